"""The simulated month leaves out what no alert reads, and nothing else. `make simulate` runs it."""

from __future__ import annotations

import pytest
import yaml
from tests.contract.rule_files import rule_files
from tests.simulation.needed_rules import write_needed


def rules_of(files) -> list[dict]:
    return [
        rule
        for file in files
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def test_alerts_and_what_they_read_through_others_stay(tmp_path):
    (tmp_path / "a.yml").write_text(
        """
groups:
  - name: recorded
    rules:
      - {record: a:one, expr: "rate(x[5m])"}
      - {record: a:two, expr: "sum by (model) (a:one)"}
      - {record: a:people, expr: "avg_over_time(a:two[30d])"}
  - name: for people only
    rules: [{record: a:more, expr: a:people}]
  - name: alerts
    rules: [{alert: High, expr: "max_over_time(a:two[1h:1m]) > 1 unless b:three == 1", for: 5m}]
""",
        encoding="utf-8",
    )
    (tmp_path / "b.yml").write_text(
        "groups: [{name: b, rules: [{record: 'b:three', expr: x}, {record: 'b:three', expr: y}]}]", encoding="utf-8"
    )
    (tmp_path / "out").mkdir()

    written, left = write_needed([tmp_path / "a.yml", tmp_path / "b.yml"], tmp_path / "out")

    names = [rule.get("record") or rule["alert"] for rule in rules_of(written)]
    assert names == ["a:one", "a:two", "High", "b:three", "b:three"]
    assert left == ["a:more", "a:people"]


@pytest.mark.parametrize("series", ["slo:burn_rate:3d", "slo:budget:ratio", "model:model_inference_replicas:count"])
def test_what_shipped_alerts_read_is_evaluated(tmp_path, series):
    written, left = write_needed(rule_files(), tmp_path)

    assert series in {rule.get("record") for rule in rules_of(written)}
    assert "slo:error_budget_remaining:ratio" in left
    alerts = [rule["alert"] for rule in rules_of(rule_files()) if "alert" in rule]
    assert [rule["alert"] for rule in rules_of(written) if "alert" in rule] == alerts
