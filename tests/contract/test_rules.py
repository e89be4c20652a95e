"""The rule files: promtool accepts them, their scenarios come out, and each alert has what it needs."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import yaml
from tests.contract.promtool import PROMTOOLS, check_rules, run_promtool
from tests.contract.rule_files import RULE_TESTS, Rule, alerts, recordings, rule_files, rules
from tests.contract.shipped import KNOWN, findings

from infermeter.check.promql import bare, nodes, operator, parse, result_labels, selectors

REQUIRED = {
    "HighInferenceLatency": ("critical", "5m"),
    "HighPredictionErrorRate": ("critical", "5m"),
    "LowGPUUtilization": ("warning", "15m"),
}
# Alerts about one process on purpose, and at once: whoever tries the way to Alertmanager waits for theirs.
ABOUT_ONE_PROCESS = {"DoctorCanary"}
# Fires always, so that its absence is noticed.
HEARTBEATS = {"Watchdog"}
SEVERITIES = {"critical", "warning", "info", "none"}
RUNBOOK_BASE = "https://infermeter.example/deploy/runbooks/"
RECORDED_NAME = re.compile(r"[a-z_]+:[a-z0-9_]+:[a-z0-9_]+")
LABEL_IN_TEXT = re.compile(r"\$labels\.(\w+)")

test_files = sorted(RULE_TESTS.glob("*.test.yml"))
trap_files = sorted((RULE_TESTS / "traps").glob("*.test.yml"))
every_version = pytest.mark.parametrize("version", PROMTOOLS)
every_rule = pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.place)
every_alert = pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)


@every_version
@pytest.mark.parametrize("file", rule_files(), ids=lambda file: file.name)
def test_promtool_accepts_the_file_with_all_lints_fatal(file, version):
    result = check_rules(file, version=version)
    assert result.returncode == 0, result.stdout + result.stderr


@every_version
@pytest.mark.parametrize("file", [*test_files, *trap_files], ids=lambda file: file.name)
def test_scenarios_of_the_file_come_out_as_written(file, version):
    result = run_promtool("test", "rules", file, version=version)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_alerts_of_the_requirements_keep_their_name_severity_and_duration():
    found = {alert.name: (alert.spec["labels"]["severity"], alert.spec["for"]) for alert in alerts()}
    assert {name: found.get(name) for name in REQUIRED} == REQUIRED


def test_every_alert_has_a_test_file_and_every_test_file_an_alert():
    tested = {file.name.removesuffix(".test.yml") for file in test_files}
    assert tested - {"base"} == {alert.name for alert in alerts()}


@pytest.mark.parametrize("file", [*test_files, *trap_files], ids=lambda file: file.name)
def test_scenarios_name_the_order_of_their_groups_which_is_else_another_one_in_each_run(file):
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    groups = [
        group["name"]
        for rules_file in content["rule_files"]
        for group in yaml.safe_load((file.parent / rules_file).read_text(encoding="utf-8"))["groups"]
    ]
    assert content.get("group_eval_order", groups[:1]) == groups


@every_alert
def test_the_alert_is_tested_firing_silent_and_without_data(alert: Rule):
    content = yaml.safe_load((RULE_TESTS / f"{alert.name}.test.yml").read_text(encoding="utf-8"))
    kinds = Counter(re.match(r"(fires|silent|missing data)\b", test["name"])[1] for test in content["tests"])
    assert set(kinds) == ({"fires"} if alert.name in HEARTBEATS else {"fires", "silent", "missing data"})
    fired = [
        case
        for test in content["tests"]
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == alert.name and case["exp_alerts"]
    ]
    assert fired, "no scenario expects the alert with its labels and texts"


@every_alert
def test_the_alert_says_how_bad_for_how_long_what_and_where_to_read_on(alert: Rule):
    assert alert.spec["for"] != ""
    assert alert.spec["for"] != "0s" or alert.name in ABOUT_ONE_PROCESS | HEARTBEATS
    assert alert.spec["labels"]["severity"] in SEVERITIES
    assert set(alert.texts) == {"summary", "description", "runbook_url"}
    assert "$value" in alert.texts["description"]
    assert alert.texts["runbook_url"] == f"{RUNBOOK_BASE}{alert.name}.md"


@every_alert
def test_the_alert_compares_something(alert: Rule):
    if alert.name in ABOUT_ONE_PROCESS | HEARTBEATS:
        return  # the series is there only while the alert should be, which is always for a heartbeat
    tree = parse(alert.expr)
    compares = any(
        operator(n) in {">", "<", ">=", "<=", "==", "!=", "unless"} for n in nodes(tree) if hasattr(n, "lhs")
    )
    assert compares, "without a comparison an alert fires as soon as its series exists"


@every_alert
def test_labels_in_the_texts_survive_the_expression(alert: Rule):
    used = {label for text in alert.texts.values() for label in LABEL_IN_TEXT.findall(text)}
    available = result_labels(parse(alert.expr), KNOWN.labels)
    assert available is not None
    assert used <= available


@every_alert
def test_no_label_of_a_replica_reaches_the_alert(alert: Rule):
    available = result_labels(parse(alert.expr), KNOWN.labels)
    assert available is not None
    kept = {"instance", "host_name"} if alert.name in ABOUT_ONE_PROCESS else set[str]()
    assert not available & ({"instance", "host_name", "le"} - kept), "one problem would page once per replica"


@every_rule
def test_the_expression_has_none_of_the_known_mistakes(rule: Rule):
    for expression in (rule.expr, *rule.template_queries):
        assert findings(expression) == []


@every_rule
def test_queries_in_texts_have_no_windows_because_scaling_leaves_texts_alone(rule: Rule):
    assert not [s for query in rule.template_queries for s in selectors(parse(query)) if s.range_s]


def test_recorded_names_say_level_metric_and_operation():
    assert [rule.name for rule in recordings() if not RECORDED_NAME.fullmatch(rule.name)] == []


def test_a_name_is_recorded_once():
    recorded = Counter((rule.name, *sorted(rule.labels.items())) for rule in recordings())
    assert [name for name, count in recorded.items() if count > 1] == []


def test_alerts_on_models_read_the_recording_layer_only():
    raw = {
        (alert.name, selector.name)
        for alert in alerts()
        for selector in selectors(parse(alert.expr))
        if selector.name.startswith("model_") and ":" not in selector.name
    }
    assert raw == set()


def test_every_recorded_series_is_read_by_a_rule_or_a_panel():
    from tests.contract.dashboard_files import all_queries

    read = {s.name for rule in rules() for e in (rule.expr, *rule.template_queries) for s in selectors(parse(e))}
    read |= {s.name for query in all_queries() for s in selectors(parse(query.expr))}
    assert {rule.name for rule in recordings()} - read == KEPT_FOR_READERS.keys()


# Recorded for people and for rules that come, and why.
KEPT_FOR_READERS = {
    "model_feature:drift_js_distance:1h": "for who is used to it; alerts look at the population stability index",
    "model_feature:drift_ks:1h": "the same",
    "model:model_version_active:count": "answers 'what runs?' in one series; the panel counts over the chosen range",
}


def test_error_ratio_counts_errors_and_timeouts_over_what_is_judged():
    expressions = {rule.name: rule.expr for rule in recordings()}
    judged = {value for _, _, value in _status_matchers(expressions["model_version:model_inference_valid:rate5m"])}
    failed = {value for _, _, value in _status_matchers(expressions["model_version:model_inference_errors:rate5m"])}
    assert judged == {"success|error|timeout"}
    assert failed == {"error|timeout"}


def _status_matchers(expression: str) -> list[tuple[str, str, str]]:
    return [m for selector in selectors(bare(parse(expression))) for m in selector.matchers if m[0] == "status"]
