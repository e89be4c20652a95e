"""How each shape of panel is drawn, in Grafana's words. Knows nothing of what is shown nor where it stands."""

from __future__ import annotations

from typing import Any, Literal

Json = dict[str, Any]
Shape = Literal["stat", "timeseries", "heatmap", "bargauge", "gauge", "piechart", "table", "state-timeline"]

# Shapes whose colour says good or bad; the others tell series apart by colour.
COLOURED_BY_VALUE: frozenset[Shape] = frozenset({"stat", "bargauge", "gauge", "table", "state-timeline"})

_LAST: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_HIDDEN: Json = {"legend": False, "tooltip": False, "viz": False}


def custom_of(shape: Shape, *, stacked: bool, has_thresholds: bool) -> Json:
    """Return what Grafana calls the custom options of a shape's fields."""
    if shape == "timeseries":
        return {
            "axisPlacement": "auto",
            "drawStyle": "line",
            "fillOpacity": 40 if stacked else 8,
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "showPoints": "auto",
            "spanNulls": False,
            "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
            "thresholdsStyle": {"mode": "dashed" if has_thresholds else "off"},
        }
    if shape == "heatmap":
        return {"hideFrom": _HIDDEN, "scaleDistribution": {"type": "linear"}}
    if shape == "piechart":
        return {"hideFrom": _HIDDEN}
    if shape == "table":
        return {
            "align": "auto",
            "cellOptions": {"type": "color-text" if has_thresholds else "auto"},
            "inspect": False,
        }
    return {"fillOpacity": 80, "lineWidth": 0} if shape == "state-timeline" else {}


def options_of(shape: Shape, unit: str) -> Json:
    """Return the options of a shape."""
    options = _OPTIONS[shape]
    return {**options, "yAxis": {**options["yAxis"], "unit": unit}} if shape == "heatmap" else options


def overrides_of(shape: Shape, value_name: str) -> list[Json]:
    """Return how columns of a table differ; other shapes need none."""
    if shape != "table":
        return []
    return [
        {"matcher": {"id": "byName", "options": "Time"}, "properties": [{"id": "custom.hidden", "value": True}]},
        {
            "matcher": {"id": "byName", "options": "Value"},
            "properties": [{"id": "displayName", "value": value_name}],
        },
    ]


_OPTIONS: dict[Shape, Json] = {
    "stat": {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": _LAST,
        "showPercentChange": False,
        "textMode": "auto",
        "wideLayout": True,
    },
    "timeseries": {
        "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "heatmap": {
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
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "auto",
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "reverse": False},
    },
    "bargauge": {
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
    },
    "gauge": {
        "minVizHeight": 75,
        "minVizWidth": 75,
        "orientation": "auto",
        "reduceOptions": _LAST,
        "showThresholdLabels": False,
        "showThresholdMarkers": True,
        "sizing": "auto",
    },
    "piechart": {
        "displayLabels": [],
        "legend": {
            "calcs": [],
            "displayMode": "table",
            "placement": "right",
            "showLegend": True,
            "values": ["percent"],
        },
        "orientation": "auto",
        "pieType": "donut",
        "reduceOptions": _LAST,
        "tooltip": {"mode": "single", "sort": "none"},
    },
    "table": {
        "cellHeight": "sm",
        "footer": {"countRows": False, "fields": "", "reducer": ["sum"], "show": False},
        "frameIndex": 0,
        "showHeader": True,
        "showTypeIcons": False,
        "sortBy": [],
    },
    "state-timeline": {
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    },
}
