"""Scaled rules are the same rules, only faster."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import yaml
from tests.contract.promtool import check_rules, run_promtool

from infermeter.assets import asset
from infermeter.check.durations import seconds_of
from infermeter.cli.scaled_rules import scale_duration, scale_expression, scale_rules

SHIPPED = asset("deploy/prometheus/rules")


@pytest.mark.parametrize(
    ("expression", "scaled"),
    [
        ("rate(x[5m])", "rate(x[10s])"),
        ("sum_over_time(x:rate5m[59m59s:5m])", "sum_over_time(x:rate5m[1m59s966ms:10s])"),
        ("max_over_time(x[1h:])", "max_over_time(x[2m:])"),
        ("x offset 1h", "x offset 2m"),
        ("x offset -30m", "x offset -1m"),
        ("rate(x[5m] offset 1w)", "rate(x[10s] offset 5h36m)"),
        ("rate(x[1h30m])", "rate(x[3m])"),
        ("rate(x[300])", "rate(x[10s])"),
        ("x[5m] @ 1609746000", "x[10s] @ 1609746000"),
    ],
)
def test_every_window_in_an_expression_is_divided(expression, scaled):
    assert scale_expression(expression, speed=30) == scaled


@pytest.mark.parametrize(
    "expression",
    [
        "model_version:model_inference_errors:ratio_rate5m > 0.01",
        "x{job=\"[5m]\"} or x{job='offset 5m'} or x{job=`[1h]`}",
        'x{job="quoted \\" [5m]"}',
        "x > 300  # [5m] offset 1h",
        'x{offset="5m"} and on (offset) y',
        "time() - x > 900",
        "histogram_quantile(0.99, y) >= 2.5",
    ],
)
def test_what_is_no_window_is_left_alone(expression):
    assert scale_expression(expression, speed=30) == expression


@pytest.mark.parametrize(
    ("duration", "speed", "scaled"),
    [
        ("5m", 1, "5m"),
        ("5m", 30, "10s"),
        ("15s", 30, "500ms"),
        ("1d", 2, "12h"),
        ("1y", 1, "8760h"),
        ("1h1m1s1ms", 1, "1h1m1s1ms"),
        ("90", 30, "3s"),
        ("0s", 30, "0s"),
        ("0", 30, "0s"),
        ("1m", 7, "8s571ms"),
    ],
)
def test_a_duration_is_divided_and_rounded_down_to_milliseconds(duration, speed, scaled):
    assert scale_duration(duration, speed=speed) == scaled


def test_a_duration_that_would_vanish_is_refused():
    with pytest.raises(ValueError, match="less than a millisecond of 5m"):
        scale_duration("5m", speed=1e9)


@pytest.mark.parametrize("speed", [0.5, 0, -1, math.inf, math.nan])
def test_a_speed_that_is_no_speed_up_is_refused(tmp_path, speed):
    with pytest.raises(ValueError, match="speed must be"):
        scale_rules(SHIPPED, tmp_path, speed=speed)


def test_sources_are_never_overwritten():
    with pytest.raises(ValueError, match="target must differ"):
        scale_rules(SHIPPED, SHIPPED, speed=2)


def test_a_folder_without_rules_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no rule files"):
        scale_rules(tmp_path, tmp_path / "target", speed=2)


def test_a_file_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        scale_rules(tmp_path / "none.yml", tmp_path / "target.yml", speed=2)


def test_every_duration_of_a_file_is_divided_and_everything_else_kept(tmp_path):
    source, target = tmp_path / "a.rules.yml", tmp_path / "b.rules.yml"
    source.write_text(
        """
groups:
  - name: g
    interval: 30s
    query_offset: 1m
    limit: 5
    rules:
      - {record: "a:b:rate5m", expr: "sum(rate(x[5m]))", labels: {window: 5m}}
      - {alert: A, expr: "a:b:rate5m > 300", for: 5m, keep_firing_for: 10m, annotations: {summary: "in 5m [5m]"}}
""",
        encoding="utf-8",
    )
    scale_rules(source, target, speed=10)
    (group,) = yaml.safe_load(target.read_text(encoding="utf-8"))["groups"]
    assert group == {
        "name": "g",
        "interval": "3s",
        "query_offset": "6s",
        "limit": 5,
        "rules": [
            {"record": "a:b:rate5m", "expr": "sum(rate(x[30s]))", "labels": {"window": "5m"}},
            {
                "alert": "A",
                "expr": "a:b:rate5m > 300",
                "for": "30s",
                "keep_firing_for": "1m",
                "annotations": {"summary": "in 5m [5m]"},
            },
        ],
    }


def test_groups_are_evaluated_at_least_as_often_as_asked(tmp_path):
    source = tmp_path / "rules.yml"
    source.write_text("groups: [{name: a, interval: 1m30s}, {name: b, interval: 2s}, {name: c}]\n")

    scale_rules(source, tmp_path / "scaled.yml", speed=1, most_interval_s=5)

    groups = yaml.safe_load((tmp_path / "scaled.yml").read_text())["groups"]
    assert [group.get("interval") for group in groups] == ["5000ms", "2s", None]


def test_a_file_without_groups_stays_one(tmp_path):
    (tmp_path / "empty.yml").write_text("# nothing yet\n", encoding="utf-8")
    scale_rules(tmp_path / "empty.yml", tmp_path / "scaled.yml", speed=2)
    assert yaml.safe_load((tmp_path / "scaled.yml").read_text(encoding="utf-8")) == {}


def test_names_of_files_groups_alerts_and_recorded_series_stay(tmp_path):
    scale_rules(SHIPPED, tmp_path, speed=30)
    assert _names(tmp_path) == _names(SHIPPED)


def test_speed_one_changes_no_meaning(tmp_path):
    scale_rules(SHIPPED, tmp_path, speed=1)
    for file in SHIPPED.glob("*.yml"):
        before, after = (
            yaml.safe_load((folder / file.name).read_text(encoding="utf-8")) for folder in (SHIPPED, tmp_path)
        )
        assert _in_seconds(str(after)) == _in_seconds(str(before))


@pytest.mark.parametrize("speed", [2, 7, 30, 100])
def test_promtool_accepts_scaled_rules(tmp_path, speed):
    scale_rules(SHIPPED, tmp_path, speed=speed)
    result = check_rules(*sorted(tmp_path.glob("*.yml")))
    assert result.returncode == 0, result.stdout + result.stderr


FIRING = 'count(ALERTS{alertname="HighPredictionErrorRate",alertstate="firing"}) or vector(0)'
PENDING_OR_FIRING = 'count(ALERTS{alertname="HighPredictionErrorRate"}) or vector(0)'


def _requests(**values: str):
    """Return the counter by status, sampled every second."""
    series = 'model_inference_requests_total{{model_name="m",model_version="1",status="{}"}}'
    return [{"series": series.format(status), "values": value} for status, value in values.items()]


def _expect(expr: str, eval_time: str, value: float, labels: str = "{}"):
    return {"expr": expr, "eval_time": eval_time, "exp_samples": [{"labels": labels, "value": value}]}


def _scenario(rules: Path) -> str:
    """At speed 30 five minutes are ten seconds: ten to fill the window, ten to wait."""
    tests = [
        {
            "name": "2 % errors page within half a minute, and stop paging soon after they stop",
            "input_series": _requests(success="0+98x40 4018+100x60", error="0+2x40 80x60"),
            "promql_expr_test": [
                _expect(FIRING, "8s", 0),
                _expect(FIRING, "25s", 1),
                _expect(PENDING_OR_FIRING, "65s", 0),
            ],
        },
        {
            "name": "0.5 % errors stay silent",
            "input_series": _requests(success="0+995x60", error="0+5x60"),
            "promql_expr_test": [_expect("sum(count_over_time(ALERTS[1m])) or vector(0)", "60s", 0)],
        },
        {
            "name": "the count that guards against chance is the count of the scaled window",
            "input_series": _requests(success="0+100x60"),
            "promql_expr_test": [
                _expect(
                    "round(model_version:model_inference_valid:increase5m)",
                    "40s",
                    1000,
                    '{model_name="m",model_version="1"}',
                )
            ],
        },
    ]
    return yaml.safe_dump(
        {
            "rule_files": [str(rules / "base.rules.yml"), str(rules / "inference.rules.yml")],
            "evaluation_interval": "1s",
            "tests": [{"interval": "1s", **test} for test in tests],
        }
    )


def test_a_scaled_alert_fires_in_scaled_time(tmp_path):
    scale_rules(SHIPPED, tmp_path / "rules", speed=30)
    scenario = tmp_path / "scenario.test.yml"
    scenario.write_text(_scenario(tmp_path / "rules"), encoding="utf-8")
    result = run_promtool("test", "rules", scenario)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_same_scenario_does_not_come_out_with_rules_as_shipped(tmp_path):
    scenario = tmp_path / "scenario.test.yml"
    scenario.write_text(_scenario(SHIPPED), encoding="utf-8")
    assert run_promtool("test", "rules", scenario).returncode != 0


def _in_seconds(text: str) -> str:
    """Return a text with every duration in one spelling: 90m is 1h30m."""
    return re.sub(r"(?:\d+(?:ms|[ywdhms]))+", lambda found: f"{seconds_of(found[0])}s", text)


def _names(folder):
    return {
        (file.name, group["name"], rule.get("alert") or rule["record"])
        for file in folder.glob("*.yml")
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    }
