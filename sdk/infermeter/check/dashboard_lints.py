"""What is wrong with a dashboard: its queries, and what keeps a panel empty, misread or bound to one Grafana."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import promql_parser as ast

from infermeter.check.dashboard_files import items_of, part_of, substituted, unit_of, variables_in
from infermeter.check.expression_lints import mistakes
from infermeter.check.finding import Mistake
from infermeter.check.promql import bare, is_aggregation, nodes, operator, parse, selectors
from infermeter.check.shape_lints import result_unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infermeter.check.dashboard_files import Dashboard, PanelQuery, Variable
    from infermeter.check.finding import Finding
    from infermeter.check.known_series import KnownSeries

_FIXED_WINDOW = re.compile(r"\b(?:rate|irate|increase)\s*\([^\[\]]*\[\s*\d\w*\s*\]")
# What a panel may call a unit that the expression surely has, and how each is written in Grafana.
_UNITS_OF: dict[str, frozenset[str]] = {
    "s": frozenset({"s", "clocks", "dtdurations", "dthms"}),
    "percent": frozenset({"percent"}),
    "mebibytes": frozenset({"mbytes"}),
    "megahertz": frozenset({"suffix: MHz", "suffix:MHz"}),
}
_WITHOUT_QUERIES = frozenset({"text", "dashlist", "alertlist", "news", "annolist", "welcome", "gettingstarted"})
_TIMES = frozenset({"s", "ms", "µs", "ns"})


def dashboard_findings(dashboard: Dashboard, known: KnownSeries) -> list[Finding]:
    """Return what is wrong with a dashboard, at its lines."""
    file = dashboard.file
    found: list[Finding] = []
    defined = {variable.name for variable in dashboard.variables()}
    for variable in dashboard.variables():
        found += [mistake.at(file, variable.line) for mistake in _variable(variable, defined, known)]
    for panel in dashboard.panels():
        line = dashboard.line_of("title", panel.get("title"))
        found += [mistake.at(file, line) for mistake in _panel(panel)]
    for query in dashboard.queries():
        found += [mistake.at(file, query.line) for mistake in _query(query, defined, known)]
    return found


def _variable(variable: Variable, defined: set[str], known: KnownSeries) -> Iterator[Mistake]:
    if variable.kind != "query":
        return
    if variable.includes_all and not variable.all_value:
        yield Mistake(
            "all-value",
            f"All of ${variable.name} means the list of its values, which hides series without the label",
            'set the custom all value to ".*"',
        )
    if not variable.follows_time:
        yield Mistake(
            "variable-refresh",
            f"${variable.name} is filled once, so models that came later are not in the list",
            "refresh it on time range change (2)",
        )
    yield from _undefined(variable.query, defined)
    if variable.labels_asked:
        series, label = variable.labels_asked
        yield from mistakes(f"count by ({label}) ({substituted(series, {})})", known)


def _panel(panel: dict[str, Any]) -> Iterator[Mistake]:
    if str(panel.get("type")) in _WITHOUT_QUERIES:
        return
    if not panel.get("targets"):
        yield Mistake("panel-empty", "a panel that asks nothing", "give it a query, or make it a text")
        return
    if not panel.get("title"):
        yield Mistake("panel-title", "a panel without a title", "ask the question that it answers")
    if not panel.get("description"):
        yield Mistake("panel-description", "has no description", "say in one sentence what the reader looks at")
    if not unit_of(panel):
        yield Mistake("panel-unit", "has no unit, so that 0.2 may be anything", 'set one ("short" for plain numbers)')
    for reader in (panel, *items_of(panel, "targets")):
        uid = part_of(reader, "datasource").get("uid") or reader.get("datasource")
        if isinstance(uid, str) and not variables_in(uid) and not uid.startswith("-- "):
            yield Mistake(
                "fixed-datasource",
                f"reads the data source {uid}, which only one Grafana has",
                "use a variable of type datasource: ${datasource}",
            )
            return


def _query(query: PanelQuery, defined: set[str], known: KnownSeries) -> Iterator[Mistake]:
    yield from _undefined(query.raw, defined)
    yield from mistakes(query.expr, known)
    if _FIXED_WINDOW.search(query.raw):
        yield Mistake(
            "fixed-window",
            "a fixed window has gaps or hides detail at another zoom",
            "use [$__rate_interval], or [$__range] in an instant query",
        )
    try:
        tree = parse(query.expr)
    except ValueError:
        return
    if not query.instant and any(is_aggregation(node, name) for node in nodes(tree) for name in ("topk", "bottomk")):
        yield Mistake("topk-over-time", "picks other series at each step, so lines come and go", "ask it instantly")
    yield from _unit(query, tree)


def _undefined(text: str, defined: set[str]) -> Iterator[Mistake]:
    for name in sorted(variables_in(text) - defined):
        yield Mistake(
            "undefined-variable",
            f"${name} is no variable of this dashboard, so nothing matches",
            f"there are {', '.join(f'${one}' for one in sorted(defined)) or 'none'}",
        )


def _unit(query: PanelQuery, tree: Any) -> Iterator[Mistake]:
    real = result_unit(tree)
    if real and query.unit and query.unit not in _UNITS_OF[real] | {"short", "none"}:
        yield Mistake(
            "unit-slip",
            f"shows {real} in the unit {query.unit}",
            f"use the unit {min(_UNITS_OF[real], key=len)}, or convert the value",
        )
    if query.unit in _TIMES and _is_sum_without_count(tree):
        yield Mistake(
            "sum-without-count",
            "shows the rate of a _sum as a time; that is time spent per second, not time per request",
            "divide by the rate of the _count",
        )


def _is_sum_without_count(tree: Any) -> bool:
    inner = bare(tree)
    while isinstance(inner, ast.AggregateExpr):
        inner = bare(inner.expr)
    if isinstance(inner, ast.BinaryExpr) and operator(inner) in {"*", "/"}:
        if not isinstance(bare(inner.rhs), ast.NumberLiteral):
            return False
        inner = bare(inner.lhs)
    read = list(selectors(inner))
    return len(read) == 1 and read[0].function == "rate" and read[0].name.endswith("_sum")
