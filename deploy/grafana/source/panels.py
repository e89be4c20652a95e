"""The records our dashboards are written in, and the JSON that Grafana makes of them. Knows nothing of what is shown.

Ids, positions and query letters are given in order, so the same source always gives the same file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.grafana.source.shapes import COLOURED_BY_VALUE, Json, Shape, custom_of, options_of, overrides_of

# Grafana 11.0.
SCHEMA_VERSION = 39
WIDTH = 24
ROW_HEIGHT = 1
_TIME_PICKER: Json = {
    "hidden": False,
    "refresh_intervals": ["5s", "10s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "1d"],
    "time_options": ["5m", "15m", "1h", "6h", "12h", "24h", "2d", "7d", "30d"],
}

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

# Where the runbooks can be read; deploy/runbooks/README.md says how to set it.
RUNBOOKS = "https://infermeter.example/deploy/runbooks/"

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"


@dataclass(frozen=True)
class Query:
    """One PromQL query of a panel.

    Args:
        expr: The query; may use Grafana's variables.
        legend: Name of each series; `{{label}}` is filled in.
        instant: Ask for one value instead of a course over time.
        buckets: The result is the cumulative buckets of a histogram.
        table: The labels are wanted as columns.
    """

    expr: str
    legend: str
    instant: bool = False
    buckets: bool = False
    table: bool = False


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
        no_limit: Why there are none: what decides instead, for the description.
        alerts: The alerts that watch the same thing; the panel links to their runbooks.
        opens: The page about one model or GPU that a click on a series opens, by file name without suffix.
        width: Of 24 columns.
        height: In Grafana's grid units.
        decimals: Digits after the point; None leaves it to Grafana.
        minimum: Where the axis begins.
        maximum: Where the axis ends.
        stacked: Draw the series on top of each other.
    """

    shape: Shape
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    waits_for: str
    base: str = GREEN
    thresholds: tuple[Threshold, ...] = ()
    no_limit: str = ""
    alerts: tuple[str, ...] = ()
    opens: str = ""
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
        "links": [
            {
                **_LINK,
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "tags": ["infermeter"],
                "title": "Other pages",
                "tooltip": "The same choice and time range on another page",
                "type": "dashboards",
            },
            {
                **_LINK,
                "icon": "doc",
                "targetBlank": True,
                "title": "Runbooks",
                "tooltip": "What each alert means and what to do",
                "type": "link",
                "url": f"{RUNBOOKS}README.md",
            },
        ],
        "panels": _placed(dashboard.rows),
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["infermeter"],
        "templating": {"list": [_datasource_variable(), *map(_label_variable, dashboard.variables)]},
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": _TIME_PICKER,
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
    defaults: Json = {
        "color": {"mode": "thresholds" if panel.shape in COLOURED_BY_VALUE else "palette-classic"},
        "custom": custom_of(panel.shape, stacked=panel.stacked, has_thresholds=bool(panel.thresholds)),
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
    if panel.opens:
        defaults["links"] = [_drill_down(panel.opens)]
    return {
        "datasource": DATASOURCE,
        "description": _description(panel),
        "fieldConfig": {"defaults": defaults, "overrides": overrides_of(panel.shape, panel.queries[0].legend)},
        "links": [_runbook_link(alert) for alert in panel.alerts],
        "options": options_of(panel.shape, panel.unit),
        "repeatDirection": "h",
        "targets": [_target(query, chr(ord("A") + i)) for i, query in enumerate(panel.queries)],
        "title": panel.title,
        "transformations": [],
        "transparent": False,
        "type": panel.shape,
    }


def _description(panel: Panel) -> str:
    meanings = "".join(f" From {t.shown} on: {t.meaning}." for t in panel.thresholds)
    no_limit = f" No limit is drawn: {panel.no_limit}." if panel.no_limit else ""
    return f"{panel.description}{meanings}{no_limit}"


def _target(query: Query, letter: str) -> Json:
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "format": "heatmap" if query.buckets else "table" if query.table else "time_series",
        "instant": query.instant,
        "legendFormat": query.legend,
        "range": not query.instant,
        "refId": letter,
    }


_LINK: Json = {
    "asDropdown": False,
    "icon": "external link",
    "includeVars": False,
    "keepTime": False,
    "tags": [],
    "targetBlank": False,
    "url": "",
}


def _runbook_link(alert: str) -> Json:
    return {
        **_LINK,
        "targetBlank": True,
        "title": f"Runbook {alert}",
        "tooltip": "",
        "type": "link",
        "url": f"{RUNBOOKS}{alert}.md",
    }


# What a click on a series hands over to the page it opens.
_HANDED_OVER = {
    "model": {"namespace": "namespace", "model": "model_name", "version": "model_version"},
    "gpu-fleet": {"host": "host"},
}


def _drill_down(page: str) -> Json:
    chosen = "".join(f"&var-{name}=${{__field.labels.{label}}}" for name, label in _HANDED_OVER[page].items())
    url = f"/d/infermeter-{page}?${{datasource:queryparam}}&${{__url_time_range}}{chosen}"
    return {**_LINK, "title": f"Open the page {page} for this series", "tooltip": "", "type": "link", "url": url}


# Grafana writes these defaults of interval variables into every variable.
_NO_INTERVAL: Json = {"auto": False, "auto_count": 30, "auto_min": "10s"}


def _datasource_variable() -> Json:
    return {
        **_NO_INTERVAL,
        "current": {"text": "", "value": ""},
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
        **_NO_INTERVAL,
        # All is a pattern and not the list of values: the list would hide series that lack the label.
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": DATASOURCE,
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
