"""A file of objectives: what may be in it, what is said about the rest, and the rules that come out."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from infermeter.assets import asset
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.objectives.reading import ObjectivesError, read_objectives
from infermeter.cli.objectives.rules import rules_text
from infermeter.cli.slo import slo

FULL = """
defaults: {availability: 99, latency: 95 %, window: 7d}
objectives:
  - model: fraud
    namespace: prod
    availability: 99.9 %
    latency: 99
    sla: 250ms
    window: 28d
  - model: fraud
    availability: 98
  - model: ranker
    sla: 0.2
    latency_bounds: [0.05, 200ms, 1]
"""


def problems(tmp_path, text):
    file = tmp_path / "objectives.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ObjectivesError) as error:
        read_objectives(file)
    assert {problem.file for problem in error.value.problems} == {str(file)}
    return [(problem.line, problem.message) for problem in error.value.problems]


def written(tmp_path, text):
    file = tmp_path / "objectives.yaml"
    file.write_text(text, encoding="utf-8")
    (group,) = yaml.safe_load(rules_text(read_objectives(file), file.name))["groups"]
    return {
        (rule["record"], *(value for _, value in sorted(rule["labels"].items()))): rule["expr"]
        for rule in group["rules"]
    }


def test_objectives_of_models_and_of_all_become_series(tmp_path):
    assert written(tmp_path, FULL) == {
        ("slo:objective:ratio", "", "", "availability"): "vector(0.99)",
        ("slo:objective:ratio", "", "", "latency"): "vector(0.95)",
        ("slo:objective_window:days", "", ""): "vector(7)",
        ("slo:objective:ratio", "fraud", "prod", "availability"): "vector(0.999)",
        ("slo:objective:ratio", "fraud", "prod", "latency"): "vector(0.99)",
        ("slo:objective_window:days", "fraud", "prod"): "vector(28)",
        ("model:model_inference_sla_objective_seconds:max", "fraud", "prod"): "vector(0.25)",
        ("slo:objective:ratio", "fraud", "", "availability"): "vector(0.98)",
        ("model:model_inference_sla_objective_seconds:max", "ranker", ""): "vector(0.2)",
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "objectives: []\n", "objectives:\n", "defaults: {}\n"])
def test_a_file_that_says_nothing_means_the_defaults(tmp_path, text):
    assert written(tmp_path, text) == {
        ("slo:objective:ratio", "", "", "availability"): "vector(0.995)",
        ("slo:objective:ratio", "", "", "latency"): "vector(0.99)",
        ("slo:objective_window:days", "", ""): "vector(30)",
    }


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("availability: 0", 3, "availability is 0, and must be a percentage from 50 to below 100, such as 99.5"),
        ("availability: 101", 3, "availability is 101, and must be a percentage from 50 to below 100, such as 99.5"),
        ("availability: 100", 3, "100 % leaves no budget, so the first failure would break it"),
        ("latency: 0.999", 3, "latency is 0.999, and must be a percentage from 50 to below 100, such as 99.5; did you"),
        ("latency: .nan", 3, "latency is .nan, and must be a percentage"),
        ("latency: high", 3, "latency is high, and must be a percentage"),
        ("latency: [99]", 3, "latency must be one value"),
        (
            "sla: 0.3",
            3,
            "sla is 0.3 s, which is no latency bucket, so compliance could not be counted; use one of 0.01",
        ),
        ("sla: 0", 3, "sla is 0, and must be a time above 0: seconds such as 0.25, or 250ms"),
        ("sla: soon", 3, "sla is soon, and must be a time above 0"),
        ("sla: 0.2\n    latency_bounds: [0.1, 0.5]", 3, "use one of 0.1, 0.5, or list"),
        ("sla: 0.5\n    latency_bounds: 0.5", 4, "latency_bounds must be a list of seconds"),
        ("sla: 0.5\n    window: 31d", 4, "window is 31d, and must be one of 7d, 28d, 30d"),
        ("avialability: 99", 3, "nothing is called avialability; did you mean availability?"),
        ("latency: 99\n    latency: 98", 4, "latency is there twice; leave one"),
        ("window: 7d", 2, "says nothing about m: give availability, latency or sla"),
        ('latency: 99\n    namespace: ""', 4, "namespace is empty: give its name, or leave the line out"),
        ("latency: 99\n  - model: m\n    latency: 98", 4, "a second objective for model m; the first is in line 2"),
        ("latency: 99\n  - {latency: 98}", 4, "an objective needs a model: the name that the service records"),
        ("latency: 99\n  - m", 4, "an objective must be a mapping with model, namespace, availability"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_is_allowed(tmp_path, text, line, message):
    found = problems(tmp_path, f"objectives:\n  - model: m\n    {text}\n")
    assert [at for at, said in found if message in said] == [line], found


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("objectives:\n  - model: [m\n", 3, "is not YAML: while parsing a flow sequence expected"),
        ("objectives:\n\t- model: m\n", 2, "is not YAML"),
        ("objectives: {m: 99}\n", 1, "objectives must be a list"),
        ("objectivs: []\n", 1, "nothing is called objectivs; did you mean objectives?"),
        ("- model: m\n", 1, "the file must be a mapping with defaults, objectives"),
        ("defaults: {availability: 200}\n", 1, "availability is 200"),
        ("objectives: \x07\n", 1, "is not YAML: special characters are not allowed"),
    ],
)
def test_a_file_of_another_shape_is_explained(tmp_path, text, line, message):
    found = problems(tmp_path, text)
    assert [at for at, said in found if message in said] == [line], found


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    text = "objectives:\n  - model: a\n    latency: 0\n  - model: b\n    sla: x\n    windw: 7d\n"
    assert [line for line, _ in problems(tmp_path, text)] == [3, 5, 6]


def test_a_file_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "objectives.yaml"
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ObjectivesError, match=r"objectives\.yaml:1: is not UTF-8"):
        read_objectives(file)


def test_the_shipped_rules_are_what_the_shipped_objectives_give():
    file = asset("deploy/prometheus/slo/objectives.yaml")
    shipped = asset("deploy/prometheus/rules/objectives.rules.yml").read_text(encoding="utf-8")
    assert shipped == rules_text(read_objectives(file), file.name), (
        "infermeter slo generate -o rules/objectives.rules.yml"
    )


def test_the_example_in_the_comments_of_the_shipped_file_is_sound(tmp_path):
    text = asset("deploy/prometheus/slo/objectives.yaml").read_text(encoding="utf-8")
    example = [line.removeprefix("#   ") for line in text.splitlines() if line.startswith(("#   - model", "#     "))]
    assert len(written(tmp_path, "objectives:\n" + "\n".join(f"  {line}" for line in example))) == 7


def test_check_prints_one_line_per_mistake_and_exits_with_findings(tmp_path):
    file = tmp_path / "o.yaml"
    file.write_text("objectives:\n  - model: m\n    latency: 101\n", encoding="utf-8")
    result = CliRunner().invoke(slo, ["check", str(file)])
    assert result.exit_code == ExitCode.CHECK_FINDINGS
    assert result.output.splitlines() == [
        f"{file}:3: latency is 101, and must be a percentage from 50 to below 100, such as 99.5"
    ]
    answer = json.loads(CliRunner().invoke(slo, ["check", str(file), "--json"]).output)
    assert answer["status"] == "findings"
    assert answer["findings"][0]["line"] == 3


def test_check_of_a_sound_file_says_what_is_promised(tmp_path):
    file = tmp_path / "o.yaml"
    file.write_text(FULL, encoding="utf-8")
    result = CliRunner().invoke(slo, ["check", str(file)])
    assert result.exit_code == ExitCode.OK
    assert "99 % answered and 95 % within the SLA over 7 days; 3 models have their own" in result.output
    assert json.loads(CliRunner().invoke(slo, ["check", str(file), "--json"]).output)["objectives"][0]["sla_s"] == 0.25


def test_generate_writes_the_same_file_each_time_and_nothing_at_all_when_something_is_wrong(tmp_path):
    file, target = tmp_path / "o.yaml", tmp_path / "objectives.rules.yml"
    file.write_text(FULL, encoding="utf-8")
    assert CliRunner().invoke(slo, ["generate", str(file), "-o", str(target)]).exit_code == 0
    assert CliRunner().invoke(slo, ["generate", str(file)]).stdout == target.read_text(encoding="utf-8")
    file.write_text("objectives: 1\n", encoding="utf-8")
    target.unlink()
    result = CliRunner().invoke(slo, ["generate", str(file), "-o", str(target)])
    assert result.exit_code == ExitCode.CHECK_FINDINGS
    assert result.stdout == ""
    assert "objectives must be a list" in result.stderr
    assert not target.exists()
