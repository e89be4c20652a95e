"""The few shapes our dashboards are made of, as Grafana's JSON. Knows nothing of what is shown.

Ids, positions and query letters are given in order, so the same source always gives the same file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]

# Grafana 11.0.
SCHEMA_VERSION = 39
WIDTH = 24
ROW_HEIGHT = 1

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"


@dataclass(frozen=True)
class Query:
    """One PromQL query of a panel.

    Args:
        expr: The query; may use Grafana's variables.
        legend: Name of each series; `{{label}}` is filled in.
        instant: Ask for one value instead of a course over time.
        buckets: The result is the cumulative buckets of a histogram.
    """

    expr: str
    legend: str
    instant: bool = False
    buckets: bool = False


@dataclass(frozen=True)
class Threshold:
    """Where a colour begins, and what that says to the reader.

    Args:
        value: The colour holds from here on.
        colour: A colour name of Grafana.
        meaning: Ends the sentence "from VALUE on: ...".
        shown: How a person writes the value.
    """

    value: float
    colour: str
    meaning: str
    shown: str


@dataclass(frozen=True)
class Panel:
    """A panel without its place on the page.

    Args:
        shape: How it is drawn.
        title: A question.
        description: One sentence that answers "what am I looking at?".
        unit: Grafana's name of the unit.
        queries: What is asked.
        waits_for: What is missing when there is nothing to show.
        base: Colour below the first threshold.
        thresholds: Ascending. Their meaning is added to the description.
        width: Of 24 columns.
        height: In Grafana's grid units.
        decimals: Digits after the point; None leaves it to Grafana.
        minimum: Where the axis begins.
        maximum: Where the axis ends.
        stacked: Draw the series on top of each other.
    """

    shape: Literal["stat", "timeseries", "heatmap", "bargauge"]
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    waits_for: str
    base: str = GREEN
    thresholds: tuple[Threshold, ...] = ()
    width: int = 8
    height: int = 8
    decimals: int | None = None
    minimum: float | None = 0
    maximum: float | None = None
    stacked: bool = False


@dataclass(frozen=True)
class Row:
    """A heading and the panels under it, filled from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A choice at the top of the page, filled from the values of a label."""

    name: str
    label: str
    description: str
    query: str


@dataclass(frozen=True)
class Dashboard:
    """A page."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = field(default=())


def dashboard_json(dashboard: Dashboard) -> Json:
    """Return the JSON model that Grafana imports."""
    return {
        "annotations": {"list": []},
        "description": dashboard.description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [
            {
                "asDropdown": True,
                "icon": "external link",
                "includeVars": True,
                "keepTime": True,
                "tags": ["infermeter"],
                "targetBlank": False,
                "title": "infermeter",
                "tooltip": "",
                "type": "dashboards",
                "url": "",
            }
        ],
        "panels": _placed(dashboard.rows),
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["infermeter"],
        "templating": {"list": [_datasource_variable(), *map(_label_variable, dashboard.variables)]},
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": dashboard.title,
        "uid": dashboard.uid,
        "version": 1,
        "weekStart": "",
    }


def _placed(rows: tuple[Row, ...]) -> list[Json]:
    placed: list[Json] = []
    y = 0
    for row in rows:
        placed.append(
            {
                "collapsed": False,
                "gridPos": {"h": ROW_HEIGHT, "w": WIDTH, "x": 0, "y": y},
                "id": len(placed) + 1,
                "panels": [],
                "title": row.title,
                "type": "row",
            }
        )
        y += ROW_HEIGHT
        x = line_height = 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y, line_height = 0, y + line_height, 0
            place = {"h": panel.height, "w": panel.width, "x": x, "y": y}
            placed.append({**_panel_json(panel), "gridPos": place, "id": len(placed) + 1})
            x, line_height = x + panel.width, max(line_height, panel.height)
        y += line_height
    return placed


def _panel_json(panel: Panel) -> Json:
    meanings = "".join(f" From {t.shown} on: {t.meaning}." for t in panel.thresholds)
    defaults: Json = {
        "color": {"mode": "thresholds" if panel.shape in {"stat", "bargauge"} else "palette-classic"},
        "custom": _CUSTOM[panel.shape](panel),
        "mappings": [],
        "noValue": panel.waits_for,
        "thresholds": {
            "mode": "absolute",
            "steps": [
                {"color": panel.base, "value": None},
                *({"color": t.colour, "value": t.value} for t in panel.thresholds),
            ],
        },
        "unit": panel.unit,
    }
    optional = {"decimals": panel.decimals, "min": panel.minimum, "max": panel.maximum}
    defaults |= {name: value for name, value in optional.items() if value is not None}
    return {
        "datasource": DATASOURCE,
        "description": f"{panel.description}{meanings}",
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.shape](panel),
        "targets": [_target(query, chr(ord("A") + i)) for i, query in enumerate(panel.queries)],
        "title": panel.title,
        "type": panel.shape,
    }


def _target(query: Query, letter: str) -> Json:
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "format": "heatmap" if query.buckets else "time_series",
        "instant": query.instant,
        "legendFormat": query.legend,
        "range": not query.instant,
        "refId": letter,
    }


def _timeseries_custom(panel: Panel) -> Json:
    return {
        "axisPlacement": "auto",
        "drawStyle": "line",
        "fillOpacity": 40 if panel.stacked else 8,
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
        "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
    }


def _heatmap_custom(_panel: Panel) -> Json:
    return {"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}}


def _no_custom(_panel: Panel) -> Json:
    return {}


def _stat_options(_panel: Panel) -> Json:
    return {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": _LAST,
        "textMode": "auto",
        "wideLayout": True,
    }


def _timeseries_options(_panel: Panel) -> Json:
    return {
        "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _heatmap_options(panel: Panel) -> Json:
    return {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "exponent": 0.5,
            "fill": "dark-orange",
            "mode": "scheme",
            "reverse": False,
            "scale": "exponential",
            "scheme": "Oranges",
            "steps": 64,
        },
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": panel.unit},
    }


def _bargauge_options(_panel: Panel) -> Json:
    return {
        "displayMode": "gradient",
        "maxVizHeight": 300,
        "minVizHeight": 12,
        "minVizWidth": 8,
        "namePlacement": "auto",
        "orientation": "horizontal",
        "reduceOptions": _LAST,
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "color",
    }


_LAST: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_CUSTOM = {
    "stat": _no_custom,
    "timeseries": _timeseries_custom,
    "heatmap": _heatmap_custom,
    "bargauge": _no_custom,
}
_OPTIONS = {
    "stat": _stat_options,
    "timeseries": _timeseries_options,
    "heatmap": _heatmap_options,
    "bargauge": _bargauge_options,
}


def _datasource_variable() -> Json:
    return {
        "current": {},
        "description": "The Prometheus that has the series.",
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
        "type": "datasource",
    }


def _label_variable(variable: Variable) -> Json:
    return {
        # All is a pattern and not the list of values: the list would hide series that lack the label.
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": DATASOURCE,
        "definition": variable.query,
        "description": variable.description,
        "hide": 0,
        "includeAll": True,
        "label": variable.label,
        "multi": True,
        "name": variable.name,
        "options": [],
        "query": {"qryType": 1, "query": variable.query, "refId": f"variable-{variable.name}"},
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }
