"""The committed dashboards and their queries as Prometheus would get them."""

from __future__ import annotations

from typing import Any

from infermeter.assets import asset
from infermeter.check.dashboard_files import Dashboard, PanelQuery, read_dashboard

__all__ = ["DASHBOARDS", "PanelQuery", "all_queries", "dashboards", "panels"]

DASHBOARDS = asset("deploy/grafana/dashboards")


def _read() -> list[Dashboard]:
    return [dashboard for file in sorted(DASHBOARDS.glob("*.json")) if (dashboard := read_dashboard(file))]


def dashboards() -> dict[str, dict[str, Any]]:
    """Return each committed dashboard by file name."""
    return {dashboard.file: dashboard.content for dashboard in _read()}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that show something, without the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def all_queries(values: dict[str, str] | None = None) -> list[PanelQuery]:
    """Return every query of every panel.

    Args:
        values: Other values for variables, for example ``{"model": "fraud"}``; All if left out.
    """
    return [query for dashboard in _read() for query in dashboard.queries(values)]
