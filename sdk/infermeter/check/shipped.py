"""Where our own rules, dashboards and runbooks lie, and the series that they record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infermeter.assets import asset
from infermeter.check.rule_files import read_rules

if TYPE_CHECKING:
    from pathlib import Path

    from infermeter.check.rule_files import Rule


def shipped_files() -> list[Path]:
    """Return every rule file, dashboard and runbook that comes with this package."""
    return [
        *rule_files(),
        *sorted(asset("deploy/grafana/dashboards").glob("*.json")),
        *sorted(asset("deploy/runbooks").glob("*.md")),
    ]


def rule_files() -> list[Path]:
    """Return the rule files that come with this package."""
    folder = asset("deploy/prometheus/rules")
    return sorted(file for file in folder.iterdir() if file.suffix in {".yml", ".yaml"})


def shipped_rules() -> list[Rule]:
    """Return the rules that come with this package, in order."""
    return [rule for file in rule_files() for document in read_rules(file) for rule in document.rules]
