"""The lints of expressions: each is shown the mistake it is there for, so that it is known to be able to fail."""

from __future__ import annotations

import pytest
from tests.contract.promtool import check_rules, run_promtool
from tests.contract.shipped import findings

REQUESTS = "rate(model_inference_requests_total[5m])"
FAILED = 'rate(model_inference_requests_total{status="error"}[5m])'
SUM = "rate(model_inference_latency_seconds_sum[5m])"
COUNT = "rate(model_inference_latency_seconds_count[5m])"

PLANTED = {
    "sum(rate(model_inference_request_total[5m]))": (
        "unknown-series: nothing exports or records model_inference_request_total, so this is always empty; "
        "did you mean model_inference_requests_total?"
    ),
    "avg(DCGM_FI_DEV_MEM_USED)": "nothing exports DCGM_FI_DEV_MEM_USED; use DCGM_FI_DEV_FB_USED, in MiB",
    'count({__name__=~"modell_.*"})': "no known series is named like modell_.*",
    'sum(rate(model_inference_requests_total{outcome="error"}[5m]))': "has no label outcome, so nothing matches",
    'sum(rate(model_prediction_confidence_bucket{model_version="1"}[5m]))': "has no label model_version",
    f"sum by (model) ({REQUESTS})": "grouped or matched by model, which no series here has; did you mean model_name?",
    "sum(rate(model_inference_in_flight[5m]))": "rate() of model_inference_in_flight, which is no counter",
    "max_over_time(model_inference_requests_total[5m])": "take rate() or increase() first",
    "sum(model_inference_requests_total) > 100": "once over it, it stays over it until the process restarts",
    "sum(rate(model_inference_requests_total[30s]))": "fewer than four scrapes",
    f"300 * sum({REQUESTS})": "use increase()",
    f"{FAILED} / {REQUESTS}": "aggregate both sides with the same by() first",
    f"sum({SUM}) / (1 + sum({COUNT}))": "wrong at low traffic",
    f"sum({SUM}) / clamp_min(sum({COUNT}), 1)": "wrong at low traffic",
    f"sum({SUM}) / (sum({COUNT}) or vector(0))": "filled with 0, which gives Inf",
    f"sum({FAILED}) / sum({REQUESTS})": "write (part or 0 * all) / (all > 0)",
    f"sum by (model_name) ({SUM}) / sum by (model_version) ({COUNT})": "the sides have different labels (model_name; ",
    "avg(model_inference_latency_seconds_sum) / avg(model_inference_latency_seconds_count)": "lifetime-ratio",
    f"avg(sum by (instance) ({SUM}) / sum by (instance) ({COUNT}))": "a quiet replica weigh as much",
    "avg(model_version:model_inference_errors:ratio_rate5m)": "mean-of-ratios",
    "histogram_quantile(0.99, rate(model_inference_latency_seconds_bucket[5m]))": "a quantile per replica",
    "histogram_quantile(0.99, sum by (le) (model_inference_latency_seconds_bucket))": "since each process started",
    "histogram_quantile(0.99, sum by (model_name) (rate(model_inference_latency_seconds_bucket[5m])))": "without le",
    "histogram_quantile(0.9, sum by (le) (rate(model_inference_latency_seconds_bucket[5m]))) > 2000": "write 2",
    "avg(DCGM_FI_DEV_GPU_UTIL) < 0.3": "compares a percentage with 0.3, which looks like a share; write 30",
    'sum(rate(model_inference_latency_seconds_bucket{le="1"}[5m]))': "use the recorded series",
    'sum(rate(model_inference_requests_total{status=~"error"}[5m]))': "is no pattern; use = for one value",
    "sum(rate(model_inference_requests_total[$__rate_interval]))": "does not parse",
}


@pytest.mark.parametrize(("expression", "message"), PLANTED.items())
def test_a_planted_mistake_is_found_and_explained(expression, message):
    found = findings(expression)
    assert any(message in finding for finding in found), found


@pytest.mark.parametrize(
    "expression",
    [
        f"(sum by (job) ({FAILED}) or 0 * sum by (job) ({REQUESTS})) / (sum by (job) ({REQUESTS}) > 0)",
        "histogram_quantile(0.99, sum by (namespace, le) (rate(model_inference_latency_seconds_bucket[5m]))) > 0.5",
        'count by (job) ({__name__=~"(model|pipeline)_[^:]+"})',
        "time() - max by (pipeline) (last_over_time(pipeline_last_success_timestamp_seconds[7d])) > 86400",
        "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)",
    ],
)
def test_an_expression_in_house_style_has_no_findings(expression):
    assert findings(expression) == []


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
