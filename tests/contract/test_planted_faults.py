"""Each lint is shown the fault that it is there for, so that it is known to be able to fail, and to explain itself."""

from __future__ import annotations

import ast
import copy
import json
from pathlib import Path

import pytest
import yaml
from tests.contract import planted
from tests.contract.promtool import check_rules, promtool, run_promtool
from tests.contract.shipped import findings

import infermeter.check
from infermeter.check.files import check_files
from infermeter.check.lints import LINTS
from infermeter.cli.promtool import complaints_of, failed_tests_of


def said_about(folder: Path, name: str, text: str) -> list[str]:
    """Return what the check says about a file, without the folder."""
    file = folder / name
    file.write_text(text, encoding="utf-8")
    checked = check_files([file], promtool=complaints_of(promtool()), promtool_test=failed_tests_of(promtool()))
    found = checked.findings
    return [str(finding).replace(f"{folder}/", "") for finding in found]


def rules_with(rule: dict[str, object]) -> str:
    return yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}, sort_keys=False)


def changed(content: dict, changes: dict[str, object]) -> dict:
    """Return a copy with other things at some paths."""
    copied = copy.deepcopy(content)
    for path, value in changes.items():
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        at = copied
        for step in way:
            at = at[step]
        at[last] = value
    return copied


@pytest.mark.parametrize(("expression", "message"), planted.EXPRESSIONS.items())
def test_a_mistake_in_an_expression_is_found_and_explained(expression, message):
    found = findings(expression)
    assert any(message in finding for finding in found), found


@pytest.mark.parametrize("expression", planted.SOUND_EXPRESSIONS)
def test_an_expression_in_house_style_has_no_findings(expression):
    assert findings(expression) == []


@pytest.mark.parametrize(("changes", "message"), planted.ALERTS.values(), ids=planted.ALERTS)
def test_a_mistake_in_an_alert_is_found_and_explained(changes, message, tmp_path):
    said = said_about(tmp_path, "rules.yml", rules_with({**planted.SOUND_ALERT, **changes}))
    assert any(message in one for one in said), said


@pytest.mark.parametrize(("rule", "message"), planted.RECORDINGS.items(), ids=lambda rule: rule[0])
def test_a_mistake_in_a_recording_is_found_and_explained(rule, message, tmp_path):
    said = said_about(tmp_path, "rules.yml", rules_with({"record": rule[0], "expr": rule[1]}))
    assert any(message in one for one in said), said


@pytest.mark.parametrize(("changes", "message"), planted.DASHBOARDS.values(), ids=planted.DASHBOARDS)
def test_a_mistake_in_a_dashboard_is_found_and_explained(changes, message, tmp_path):
    said = said_about(tmp_path, "page.json", json.dumps(changed(planted.SOUND_DASHBOARD, changes), indent=1))
    assert any(message in one for one in said), said


@pytest.mark.parametrize(("file", "message"), planted.FILES.items(), ids=lambda value: str(value)[:30])
def test_a_mistake_in_a_file_is_named_with_its_line(file, message, tmp_path):
    said = said_about(tmp_path, *file)
    assert any(message in one for one in said), said


@pytest.mark.parametrize("name", ["rules.yml", "page.json", "page.md", "x.test.yml"])
def test_a_file_that_is_no_text_is_a_finding_and_no_crash(name, tmp_path):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00g")
    (finding,) = check_files([tmp_path / name]).findings
    assert str(finding).endswith(f"{name}:1: format: is not UTF-8; save it as UTF-8")


def test_an_alert_and_a_dashboard_in_house_style_have_no_findings(tmp_path):
    assert said_about(tmp_path, "rules.yml", rules_with(planted.SOUND_ALERT)) == []
    assert said_about(tmp_path, "page.json", json.dumps(planted.SOUND_DASHBOARD)) == []


def test_every_lint_has_a_name_in_the_list_and_every_name_a_lint():
    assert _lints_in_the_code() == set(LINTS)


def test_every_lint_has_been_shown_its_fault():
    messages = [
        *planted.RECORDINGS.values(),
        *planted.FILES.values(),
        *(message for _, message in (*planted.ALERTS.values(), *planted.DASHBOARDS.values())),
    ]
    shown = {finding.split(":")[0] for expression in planted.EXPRESSIONS for finding in findings(expression)}
    assert {lint for lint in LINTS if not any(f"{lint}:" in message for message in messages)} <= shown


def _lints_in_the_code() -> set[str]:
    named = set()
    for file in Path(infermeter.check.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                lint = {"Mistake": 0, "Finding": 2}.get(node.func.id)
                if lint is not None and isinstance(node.args[lint], ast.Constant):
                    named.add(node.args[lint].value)
    return named


def test_promtool_refuses_a_broken_template(tmp_path):
    file = tmp_path / "broken.rules.yml"
    file.write_text(
        "groups: [{name: g, rules: [{alert: A, expr: up == 0, annotations: {summary: '{{ $labels.job }'}}]}]",
        encoding="utf-8",
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
