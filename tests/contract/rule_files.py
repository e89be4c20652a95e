"""The shipped rule files, their tests and runbooks, read into plain records. Judges nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from infermeter.assets import asset

if TYPE_CHECKING:
    from pathlib import Path

RULES = asset("deploy/prometheus/rules")
RULE_TESTS = asset("deploy/prometheus/rule_tests")
RUNBOOKS = asset("deploy/runbooks")

# {{ with printf "metric{label=%q}" $labels.label | query }}
_TEMPLATE_QUERY = re.compile(r'(?:printf|query)\s+"((?:\\.|[^"\\])*)"[^}]*?\|\s*query')


@dataclass(frozen=True)
class Rule:
    """One rule as it is written in a file."""

    file: str
    group: str
    name: str
    expr: str
    is_alert: bool
    spec: dict[str, Any]

    @property
    def place(self) -> str:
        """Where a reader finds it."""
        return f"{self.file}: {self.name}"

    @property
    def texts(self) -> dict[str, str]:
        """The alert's annotations."""
        return self.spec.get("annotations", {})

    @property
    def template_queries(self) -> list[str]:
        """PromQL that the annotations run, with placeholders filled in."""
        found = [query for text in self.texts.values() for query in _TEMPLATE_QUERY.findall(text)]
        return [query.replace("%q", '"x"') for query in found]


def rule_files() -> list[Path]:
    """Return the shipped rule files."""
    return sorted(RULES.glob("*.rules.yml"))


@cache
def rules() -> tuple[Rule, ...]:
    """Return every rule of every shipped file, in order."""
    found: list[Rule] = []
    for file in rule_files():
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            for spec in group["rules"]:
                name = spec.get("alert") or spec["record"]
                found.append(Rule(file.name, group["name"], name, spec["expr"], "alert" in spec, spec))
    return tuple(found)


def alerts() -> list[Rule]:
    """Return the alerts."""
    return [rule for rule in rules() if rule.is_alert]


def recordings() -> list[Rule]:
    """Return the recording rules."""
    return [rule for rule in rules() if not rule.is_alert]
