"""Dashboards with a team's values in them: limits that panels draw, their words, and the addresses of runbooks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infermeter.check.dashboard_files import items_of, part_of, unit_of
from infermeter.cli.rollout.thresholds import number, thresholds
from infermeter.cli.rollout.values import PLACEHOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from infermeter.cli.rollout.values import Values

_RUNBOOK = "Runbook "
_SHARE = "percentunit"
_SIGNS = {"celsius": " °C", "s": " s", "reqps": "/s", "ops": "/s"}


def dashboard_text(file: Path, values: Values) -> str:
    """Return the text of a shipped dashboard with other values."""
    text = file.read_text(encoding="utf-8").replace(PLACEHOLDER, values.runbooks)
    if not values.thresholds:
        return text
    content: dict[str, Any] = json.loads(text)
    for panel in items_of(content, "panels"):
        for name, value in values.thresholds.items():
            _show(panel, name, value)
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _show(panel: dict[str, Any], name: str, value: float) -> None:
    threshold = thresholds()[name]
    alerts = {str(link.get("title", "")).removeprefix(_RUNBOOK) for link in items_of(panel, "links")}
    if not alerts & set(threshold.panels):
        return
    unit = unit_of(panel)
    changed = {threshold.default: _plain(value)}
    if unit == _SHARE:
        changed[round(1 - threshold.default, 12)] = round(1 - value, 12)
    for step in items_of(part_of(part_of(part_of(panel, "fieldConfig"), "defaults"), "thresholds"), "steps"):
        was = step.get("value")
        if was not in changed:
            continue
        step["value"] = changed[was]
        panel["description"] = panel["description"].replace(
            f" From {_said(was, unit)} on: ", f" From {_said(changed[was], unit)} on: "
        )


def _said(value: float, unit: str) -> str:
    """Write a limit as the descriptions do."""
    return f"{number(100 * value)} %" if unit == _SHARE else f"{number(value)}{_SIGNS.get(unit, '')}"


def _plain(value: float) -> float:
    """Return a whole number as an int, which JSON writes without a point."""
    return int(value) if value == int(value) else value
