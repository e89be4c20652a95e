"""The committed dashboards, read into plain records, and their queries as Prometheus would get them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from infermeter.assets import asset

DASHBOARDS = asset("deploy/grafana/dashboards")

# What Grafana puts in place of its variables; All is ".*". Longer names first: $__range is the start of another one.
EVERYTHING = {
    "$__rate_interval": "5m",
    "$__range": "1h",
    "$namespace": ".*",
    "$model": ".*",
    "$version": ".*",
}


@dataclass(frozen=True)
class PanelQuery:
    """One query of a panel, ready for Prometheus."""

    dashboard: str
    panel: str
    ref: str
    raw: str
    instant: bool
    expr: str


def dashboards() -> dict[str, dict[str, Any]]:
    """Return each committed dashboard by file name."""
    return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in sorted(DASHBOARDS.glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that show something, without the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def substitute(expression: str, values: dict[str, str] | None = None) -> str:
    """Replace Grafana's variables."""
    for name, value in {**EVERYTHING, **(values or {})}.items():
        expression = expression.replace(name, value)
    return expression


def all_queries(values: dict[str, str] | None = None) -> list[PanelQuery]:
    """Return every query of every panel.

    Args:
        values: Other values for variables, for example ``{"$model": "fraud"}``.
    """
    return [
        PanelQuery(
            name, panel["title"], target["refId"], target["expr"], target["instant"], substitute(target["expr"], values)
        )
        for name, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]
