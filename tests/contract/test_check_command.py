"""`infermeter check` as a user's CI runs it: places, reasons, exit statuses, JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from infermeter.assets import asset
from infermeter.check.lints import LINTS
from infermeter.cli.commands import infermeter
from infermeter.cli.exit_codes import ExitCode

MISTYPED = """\
groups:
  - name: team
    rules:
      - record: team:requests:rate5m
        expr: sum(rate(model_inference_request_total[5m]))
      - record: team:requests:rate5m
        expr: sum(rate(model_inference_request_total[5m]))
"""


def check(*arguments: object) -> Result:
    return CliRunner().invoke(infermeter, ["check", *map(str, arguments)])


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "team.yml"
    file.write_text(MISTYPED, encoding="utf-8")
    return file


def test_what_comes_with_infermeter_has_no_findings():
    checked = check()
    assert checked.exit_code == ExitCode.OK, checked.output
    assert "Nothing is wrong" in checked.output


def test_a_mistyped_name_is_found_at_its_line_with_the_name_that_was_meant(rules):
    checked = check(rules)
    assert checked.exit_code == ExitCode.CHECK_FINDINGS
    assert f"{rules}:5: unknown-series: nothing exports or records model_inference_request_total" in checked.output
    assert "→ did you mean model_inference_requests_total?" in checked.output
    assert f"{rules}:6: promtool: lint error 1 duplicate rule(s) found" in checked.output
    assert "3 findings in 1 file: 2 unknown-series, 1 promtool." in checked.output


def test_scripts_get_the_same_as_json(rules):
    checked = check("--json", rules)
    answer = json.loads(checked.output)
    assert (answer["status"], answer["exit_code"], answer["files"]) == ("findings", 9, 1)
    assert [(f["line"], f["lint"]) for f in answer["findings"]] == [
        (5, "unknown-series"),
        (6, "promtool"),
        (7, "unknown-series"),
    ]
    assert set(answer["findings"][0]) == {"file", "line", "lint", "reason", "fix"}


def test_series_of_others_and_lints_that_one_does_not_want_are_left_out(rules):
    checked = check("--foreign", "model_inference_*", "--ignore", "promtool", rules)
    assert checked.exit_code == ExitCode.OK, checked.output


def test_a_folder_with_rules_dashboards_and_runbooks_is_checked_as_a_whole(tmp_path):
    """What one file records, a dashboard beside it may read."""
    (tmp_path / "rules").mkdir()
    recording = "groups: [{name: g, rules: [{record: 'team:up:sum', expr: 'sum by (job) (up)'}]}]"
    (tmp_path / "rules" / "own.yaml").write_text(recording, encoding="utf-8")
    (tmp_path / "rules" / "own.test.yml").write_text("rule_files: [own.yaml]\ntests: []\n", encoding="utf-8")
    (tmp_path / "page.md").write_text("```promql\nteam:up:sum\n```\n", encoding="utf-8")
    shutil.copy(asset("deploy/grafana/dashboards/overview.json"), tmp_path)
    checked = check(tmp_path)
    assert checked.exit_code == ExitCode.OK, checked.output
    assert "in 4 files" in checked.output


def test_nothing_to_check_is_said_and_not_taken_for_success(tmp_path):
    (tmp_path / "values.yaml").write_text("replicas: 2\n", encoding="utf-8")
    checked = check(tmp_path)
    assert checked.exit_code == ExitCode.USAGE
    assert "no rules, dashboards or runbooks" in checked.output


def test_a_mistyped_lint_is_a_usage_error_that_names_the_right_one(rules):
    checked = check("--ignore", "alert-runbok", rules)
    assert checked.exit_code == ExitCode.USAGE
    assert "did you mean alert-runbook?" in checked.output


def test_all_lints_are_listed_with_what_they_are_for():
    listed = check("--lints")
    assert listed.exit_code == ExitCode.OK
    assert all(name in listed.output for name in LINTS)


def test_help_names_every_exit_status_it_uses():
    told = check("--help").output
    assert "9 there are findings" in told
    assert "7 promtool is not there and cannot be built" in told


def test_a_promtool_that_will_not_do_is_an_error_and_no_silent_pass(rules, monkeypatch):
    monkeypatch.setenv("INFERMETER_PROMTOOL_BINARY", "/nowhere/promtool")
    checked = check(rules)
    assert checked.exit_code == ExitCode.BINARY_MISSING
    assert "INFERMETER_PROMTOOL_BINARY=/nowhere/promtool" in checked.output
    assert check("--no-promtool", rules).exit_code == ExitCode.CHECK_FINDINGS
