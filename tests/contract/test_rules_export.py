"""`infermeter rules export`: what a team loads into its own Prometheus and Grafana, with its own values in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.contract.promtool import check_rules
from tests.contract.rule_files import alerts, rule_files, rules

from infermeter.assets import asset
from infermeter.cli.commands import infermeter
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.rollout.files import exported_files
from infermeter.cli.rollout.rule_texts import rules_text
from infermeter.cli.rollout.thresholds import ThresholdPlaceError, number, thresholds, with_values
from infermeter.cli.rollout.values import PLACEHOLDER, Override, Values

every_threshold = pytest.mark.parametrize("name", thresholds())


def run(*arguments: object) -> Result:
    return CliRunner().invoke(infermeter, ["rules", *map(str, arguments)])


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def another_value(name: str) -> float:
    threshold = thresholds()[name]
    return round(threshold.default / 2, 6)


def rules_of(files: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Return the exported rules by name; some alerts have two."""
    texts = [text for path, text in files.items() if path.startswith("prometheus/")]
    listed = [rule for text in texts for group in yaml.safe_load(text)["groups"] for rule in group["rules"] or []]
    return by_name((rule.get("alert") or rule["record"], rule) for rule in listed)


def by_name(rules: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name, rule in rules:
        found.setdefault(name, []).append(rule)
    return found


def test_without_values_the_rules_are_the_shipped_ones_with_their_comments():
    files = exported_files(Values())
    for file in rule_files():
        assert files[f"prometheus/rules/{file.name}"] == file.read_text(encoding="utf-8")
    assert json.loads(files["grafana/dashboards/overview.json"])["uid"] == "infermeter-overview"


def test_what_is_exported_passes_the_check_of_every_user(tmp_path):
    assert run("export", tmp_path, "--runbooks", "https://git.example.org/ml").exit_code == ExitCode.OK
    checked = CliRunner().invoke(infermeter, ["check", str(tmp_path)])
    assert checked.exit_code == ExitCode.OK, checked.output


def test_the_same_values_give_the_same_files_and_nothing_is_written_twice(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    run("export", first)
    run("export", second)
    assert files_in(first) == files_in(second)
    again = json.loads(run("export", first, "--json").output)
    assert (again["written"], again["removed"]) == ([], [])
    assert len(again["unchanged"]) == len(files_in(first)) - 1


def test_manifests_hold_the_same_rules_and_dashboards_as_the_plain_files():
    values = Values(namespace="monitoring", manifest_labels={"release": "prom"})
    files = exported_files(values)
    manifests = {path: yaml.safe_load(text) for path, text in files.items() if path.startswith("kubernetes/")}
    of_rules = [one for one in manifests.values() if one["kind"] == "PrometheusRule"]
    assert len(of_rules) == len(rule_files())
    for file in rule_files():
        name = f"infermeter-{file.name.removesuffix('.rules.yml')}".replace("_", "-")
        manifest = next(one for one in of_rules if one["metadata"]["name"] == name)
        assert manifest["spec"] == yaml.safe_load(files[f"prometheus/rules/{file.name}"])
        assert manifest["metadata"]["namespace"] == "monitoring"
        assert manifest["metadata"]["labels"]["release"] == "prom"
    shown = {
        file: text for one in manifests.values() if one["kind"] == "ConfigMap" for file, text in one["data"].items()
    }
    assert shown == {
        path.split("/")[-1]: text for path, text in files.items() if path.startswith("grafana/dashboards/")
    }


def test_every_link_to_a_runbook_leads_where_the_team_reads_them():
    files = exported_files(Values(runbooks="https://git.example.org/ml/pages"))
    assert [path for path, text in files.items() if PLACEHOLDER in text] == []
    exported = rules_of(files)
    for alert in alerts():
        urls = {rule["annotations"]["runbook_url"] for rule in exported[alert.name]}
        assert urls == {f"https://git.example.org/ml/pages/{alert.name}.md"}
        assert f"runbooks/{alert.name}.md" in files


@every_threshold
def test_a_number_stands_wherever_the_table_says_and_nowhere_else_changes(name, tmp_path):
    threshold = thresholds()[name]
    values = Values(thresholds={name: another_value(name)})
    files, shipped = exported_files(values, ["prometheus"]), exported_files(Values(), ["prometheus"])
    before, after = rules_of(shipped), rules_of(files)
    assert {rule for rule in before if before[rule] != after[rule]} == threshold.places.keys()
    for path, text in files.items():
        if path.startswith("prometheus/") and text != shipped[path]:
            file = tmp_path / Path(path).name
            file.write_text(text, encoding="utf-8")
            assert check_rules(file).returncode == 0


@every_threshold
def test_a_number_that_panels_draw_changes_there_with_its_words(name):
    threshold = thresholds()[name]
    shipped, files = (
        {path: json.loads(text) for path, text in exported_files(values, ["grafana"]).items() if path.endswith(".json")}
        for values in (Values(), Values(thresholds={name: another_value(name)}))
    )
    changed = [
        (before, after)
        for path, page in shipped.items()
        for before, after in zip(page["panels"], files[path]["panels"], strict=True)
        if before != after
    ]
    assert bool(changed) == bool(threshold.panels)
    for before, after in changed:
        assert before["description"] != after["description"]
        assert before["fieldConfig"]["defaults"]["thresholds"] != after["fieldConfig"]["defaults"]["thresholds"]


def test_a_rule_that_was_rewritten_without_the_table_of_thresholds_is_noticed():
    with pytest.raises(ThresholdPlaceError, match="LowGPUUtilization does not say"):
        with_values(
            "LowGPUUtilization", "expr: gpu:utilization_ratio:avg5m < 0.35\n", {"low_gpu_utilization_ratio": 0.2}
        )


def test_defaults_of_thresholds_are_what_the_values_file_shows():
    shown = yaml.safe_load(run("values").output)
    assert shown["thresholds"] == {name: threshold.default for name, threshold in thresholds().items()}
    assert shown["alerts"].keys() == {alert.name for alert in alerts()}
    assert shown["alerts"]["HighInferenceLatency"] == {"for": "5m", "severity": "critical"}


def test_the_values_file_with_every_default_changes_nothing(tmp_path):
    (tmp_path / "values.yaml").write_text(run("values").output, encoding="utf-8")
    run("export", tmp_path / "plain")
    run("export", tmp_path / "valued", "--values", tmp_path / "values.yaml")
    plain, valued = files_in(tmp_path / "plain"), files_in(tmp_path / "valued")
    doctor = "prometheus/rules/doctor.rules.yml"  # a comment behind its `for`
    assert {path for path in plain if plain[path] != valued[path]} <= {doctor}
    assert yaml.safe_load(plain[doctor]) == yaml.safe_load(valued[doctor])


def test_durations_severities_and_labels_are_the_teams():
    files = exported_files(
        Values(alerts={"LowGPUUtilization": Override(for_="2h", severity="info")}, labels={"team": "ml: one"})
    )
    rule = rules_of(files)["LowGPUUtilization"][0]
    assert (rule["for"], rule["labels"]) == ("2h", {"severity": "info", "team": "ml: one"})
    other = rules_of(files)["HighInferenceLatency"][0]
    assert (other["for"], other["labels"]) == ("5m", {"severity": "critical", "team": "ml: one"})


@pytest.mark.parametrize("name", [alert.name for alert in alerts()])
def test_an_alert_that_is_disabled_is_gone_and_the_rest_is_as_it_was(name):
    left = rules_of(exported_files(Values(alerts={name: Override(disabled=True)}), ["prometheus"]))
    assert left == by_name((rule.name, rule.spec) for rule in rules() if rule.name != name)


def test_an_alert_that_fires_at_once_can_be_made_to_wait(tmp_path):
    file = tmp_path / "x.rules.yml"
    file.write_text(
        "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up == 0\n"
        "        labels:\n          severity: info\n",
        encoding="utf-8",
    )
    written = yaml.safe_load(rules_text(file, Values(alerts={"A": Override(for_="3m")})))
    assert written["groups"][0]["rules"][0]["for"] == "3m"


BAD_VALUES = {
    "thresholds: {error_rato: 0.1}": ":1: thresholds: nothing is called error_rato; did you mean error_ratio?",
    "thresholds:\n  error_ratio: 1": ":2: error_ratio must be a number above 0 and below 1, got '1'; Share of failed",
    "thresholds:\n  error_ratio: five": ":2: error_ratio must be a number above 0",
    "thresholds:\n  late_ratio: .nan": ":2: late_ratio must be a number above 0",
    "thresholds:\n  error_ratio: [1]": ":2: error_ratio must be a text",
    "alerts:\n  HighInferenceLatenzy: {for: 5m}": ":2: alerts: nothing is called HighInferenceLatenzy; did you mean",
    "alerts:\n  HighInferenceLatency: {for: 5 minutes}": ":2: HighInferenceLatency.for must be a duration like 5m",
    "alerts:\n  HighInferenceLatency: {severity: page}": ":2: HighInferenceLatency.severity must be critical or",
    "alerts:\n  HighInferenceLatency: {disabled: maybe}": ":2: HighInferenceLatency.disabled must be true or false",
    "alerts:\n  HighInferenceLatency: {sla: 2}": ":2: HighInferenceLatency: nothing is called sla; there are for",
    "labels: {severity: low}": ":1: labels: 'severity' is no name for a label",
    "labels: {a-b: low}": ":1: labels: 'a-b' is no name for a label",
    "labels: [a]": ":1: labels must be a mapping of texts",
    "runbooks: git.example.org": ":1: runbooks must be an address that starts with https://",
    "kubernetes: {namespce: x}": ":1: kubernetes: nothing is called namespce; did you mean namespace?",
    "labels: {a: x}\nlabels: {b: x}": ":2: the file: labels is there twice",
    "- 1": ":1: the file must be a mapping",
    "a: [": ":1: is not YAML",
}


@pytest.mark.parametrize(("text", "message"), BAD_VALUES.items())
def test_a_mistake_in_the_values_is_one_line_with_place_reason_and_what_is_allowed(text, message, tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text(text, encoding="utf-8")
    failed = run("export", tmp_path / "out", "--values", values)
    assert failed.exit_code == ExitCode.USAGE
    assert failed.output.count("\n") == 1
    assert f"{values}{message}" in failed.output
    assert not (tmp_path / "out").exists()


def test_what_the_models_promise_comes_from_the_teams_objectives(tmp_path):
    objectives = tmp_path / "objectives.yaml"
    promises = "{model: fraud, availability: 99.9, sla: 250ms, window: 28d}"
    objectives.write_text(f"objectives: [{promises}]\n", encoding="utf-8")
    assert run("export", tmp_path / "out", "--objectives", objectives).exit_code == ExitCode.OK
    rules = (tmp_path / "out/prometheus/rules/objectives.rules.yml").read_text(encoding="utf-8")
    assert "vector(0.999)" in rules
    manifest = (tmp_path / "out/kubernetes/infermeter-objectives.prometheusrule.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(manifest)["spec"] == yaml.safe_load(rules)
    assert not re.search(r"[&*]id\d", rules + manifest)

    objectives.write_text("objectives: [{model: fraud, availability: 101}]\n", encoding="utf-8")
    refused = run("export", tmp_path / "none", "--objectives", objectives)
    assert refused.exit_code == ExitCode.USAGE
    assert f"{objectives}:1" in refused.output
    assert not (tmp_path / "none").exists()


def test_files_of_others_are_neither_overwritten_nor_removed(tmp_path):
    (tmp_path / "README.md").write_text("ours", encoding="utf-8")
    (tmp_path / "notes.md").write_text("ours", encoding="utf-8")
    refused = run("export", tmp_path)
    assert refused.exit_code == ExitCode.USAGE
    assert "README.md was not written by an export; --force overwrites" in refused.output
    assert run("export", tmp_path, "--force").exit_code == ExitCode.OK
    assert (tmp_path / "notes.md").read_text(encoding="utf-8") == "ours"


def test_what_an_earlier_export_wrote_and_this_one_does_not_is_removed(tmp_path):
    run("export", tmp_path)
    (tmp_path / "notes.md").write_text("ours", encoding="utf-8")
    assert run("export", tmp_path, "--only", "prometheus").exit_code == ExitCode.OK
    left = set(files_in(tmp_path))
    assert {path.split("/")[0] for path in left} == {".infermeter-export", "README.md", "notes.md", "prometheus"}


def test_a_list_that_names_files_elsewhere_removes_none_of_them(tmp_path):
    (tmp_path / "precious").write_text("ours", encoding="utf-8")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".infermeter-export").write_text("../precious\n", encoding="utf-8")
    assert run("export", tmp_path / "out").exit_code == ExitCode.OK
    assert (tmp_path / "precious").exists()


def test_an_address_that_is_none_is_refused(tmp_path):
    refused = run("export", tmp_path, "--runbooks", "runbooks/")
    assert refused.exit_code == ExitCode.USAGE
    assert "must start with https:// or http://" in refused.output


def test_grafana_reads_the_dashboards_from_where_the_readme_says_they_go():
    provisioning = yaml.safe_load(exported_files(Values())["grafana/provisioning/dashboards/infermeter.yaml"])
    path = provisioning["providers"][0]["options"]["path"]
    assert path in exported_files(Values())["README.md"]


def test_numbers_are_written_as_prometheus_reads_them():
    assert [number(value) for value in (0.01, 1 - 0.01, 3.0, 100 * 0.3, 1e-5)] == ["0.01", "0.99", "3", "30", "1e-05"]
    assert asset("deploy/prometheus/thresholds.yaml").is_file()
