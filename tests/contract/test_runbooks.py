"""Each alert has a runbook that a person can use at night: the same questions in the same order, queries that work."""

from __future__ import annotations

import re

import pytest
from tests.contract.rule_files import RUNBOOKS, alerts
from tests.contract.shipped import findings

SECTIONS = [
    "What it means",
    "How sure it is",
    "First three queries",
    "Likely causes, in order",
    "Fix",
    "When to silence it",
]
QUERY = re.compile(r"^```promql\n(.*?)\n```$", re.MULTILINE | re.DOTALL)

runbooks = {file.stem: file.read_text(encoding="utf-8") for file in RUNBOOKS.glob("*.md") if file.stem != "README"}
every_runbook = pytest.mark.parametrize("name", sorted(runbooks))


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    assert set(runbooks) == {alert.name for alert in alerts()}


@every_runbook
def test_the_runbook_answers_the_same_questions_in_the_same_order(name):
    text = runbooks[name]
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert all(part.strip() for part in re.split(r"^## .*$", text, flags=re.MULTILINE)), "a section is empty"


@every_runbook
def test_the_runbook_says_the_severity_of_the_alert_first(name):
    severity = next(alert.spec["labels"]["severity"] for alert in alerts() if alert.name == name)
    assert runbooks[name].splitlines()[2].startswith(f"{severity.capitalize()}. ")


@every_runbook
def test_the_runbook_has_three_queries_and_each_works(name):
    queries = QUERY.findall(runbooks[name])
    assert len(queries) == 3
    assert [(query, findings(query)) for query in queries if findings(query)] == []


@every_runbook
def test_the_runbook_numbers_its_causes(name):
    causes = runbooks[name].split("## Likely causes, in order")[1].split("##")[0]
    numbers = re.findall(r"^(\d+)\. ", causes, re.MULTILINE)
    assert numbers == [str(i + 1) for i in range(len(numbers))]
    assert len(numbers) >= 3


@every_runbook
def test_names_of_alerts_in_the_runbook_exist(name):
    mentioned = set(re.findall(r"\b(?:[A-Z][a-z]+|SLA|GPU){2,}[A-Za-z]*\b", runbooks[name]))
    assert {word for word in mentioned if word.endswith(_ENDINGS)} <= {alert.name for alert in alerts()}


_ENDINGS = ("Missing", "Latency", "Rate", "Utilization", "Boundary", "Dropped", "High", "Failing", "Slow", "Stopped")


def test_the_placeholder_of_the_base_address_is_explained():
    base = {alert.texts["runbook_url"].split("/deploy/")[0] for alert in alerts()}
    assert len(base) == 1
    assert f"sed -i 's|{base.pop()}|" in (RUNBOOKS / "README.md").read_text(encoding="utf-8")
