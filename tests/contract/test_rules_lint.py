"""The lints themselves: each is shown the mistake it is there for, so that it is known to be able to fail."""

from __future__ import annotations

import pytest
from tests.contract.promql_lint import findings
from tests.contract.promtool import check_rules, run_promtool

PLANTED = {
    "sum(rate(model_inference_request_total[5m]))": "did you mean model_inference_requests_total?",
    'sum(rate(model_inference_requests_total{outcome="error"}[5m]))': "has no label outcome",
    'sum(rate(model_prediction_confidence_bucket{model_version="1"}[5m]))': "has no label model_version",
    "sum by (model) (rate(model_inference_requests_total[5m]))": "grouped or matched by model,",
    "sum(rate(model_inference_in_flight[5m]))": "which is no counter",
    "max_over_time(model_inference_requests_total[5m])": "take rate() or increase() first",
    "sum(rate(model_inference_requests_total[30s]))": "fewer than four scrapes",
    "300 * sum(rate(model_inference_requests_total[5m]))": "use increase()",
    'rate(model_inference_requests_total{status="error"}[5m]) / rate(model_inference_requests_total[5m])': (
        "aggregate both sides"
    ),
    "sum(rate(model_inference_latency_seconds_sum[5m])) / (1 + sum(rate(model_inference_latency_seconds_count[5m])))": (
        "wrong at low traffic"
    ),
    "histogram_quantile(0.99, rate(model_inference_latency_seconds_bucket[5m]))": "a quantile per replica",
    "histogram_quantile(0.99, sum by (model_name) (rate(model_inference_latency_seconds_bucket[5m])))": "without le",
    'sum(rate(model_inference_latency_seconds_bucket{le="1"}[5m]))': "use the recorded series",
    'sum(rate(model_inference_requests_total{status=~"error"}[5m]))': "is no pattern",
    "sum(rate(model_inference_requests_total[$__rate_interval]))": "does not parse",
}


@pytest.mark.parametrize(("expression", "message"), PLANTED.items())
def test_a_planted_mistake_is_found_and_explained(expression, message):
    found = findings(expression)
    assert any(message in finding for finding in found), found


def test_an_expression_in_house_style_has_no_findings():
    assert (
        findings(
            '(sum by (model_name) (rate(model_inference_requests_total{status="error"}[5m])) or 0 * '
            "sum by (model_name) (rate(model_inference_requests_total[5m])))"
            " / (sum by (model_name) (rate(model_inference_requests_total[5m])) > 0)"
        )
        == []
    )


def test_promtool_refuses_a_broken_template(tmp_path):
    file = tmp_path / "broken.rules.yml"
    file.write_text(
        "groups: [{name: g, rules: [{alert: A, expr: up == 0, annotations: {summary: '{{ $labels.job }'}}]}]",
        encoding="utf-8",
    )
    assert check_rules(file).returncode != 0


def test_promtool_refuses_a_duplicate_rule(tmp_path):
    file = tmp_path / "twice.rules.yml"
    file.write_text(
        "groups: [{name: g, rules: [{record: 'a:b', expr: up}, {record: 'a:b', expr: up}]}]", encoding="utf-8"
    )
    assert check_rules(file).returncode != 0


def test_promtool_notices_a_scenario_that_comes_out_otherwise(tmp_path):
    file = tmp_path / "wrong.test.yml"
    file.write_text(
        "tests: [{input_series: [{series: up, values: '1x5'}],"
        " promql_expr_test: [{expr: up, eval_time: 1m, exp_samples: [{labels: up, value: 0}]}]}]",
        encoding="utf-8",
    )
    assert run_promtool("test", "rules", file).returncode != 0
