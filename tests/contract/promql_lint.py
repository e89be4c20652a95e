"""Mistakes that PromQL accepts and that make a rule or a panel silently wrong; each finding says what to do instead."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

import promql_parser as ast
from tests.contract import known_series
from tests.contract.promql import RATES, bare, grouping, nodes, operator, parse, result_labels, selectors

if TYPE_CHECKING:
    from collections.abc import Iterator

# 60 would be a common threshold too; the others are lengths of windows in seconds.
_SECONDS_OF_WINDOWS = {300.0, 600.0, 900.0, 1800.0, 3600.0, 86400.0}
_SHORTEST_WINDOW_S = 60.0  # four scrapes


def findings(expression: str) -> list[str]:
    """Return what is wrong with an expression, one sentence each."""
    try:
        tree = parse(expression)
    except ValueError as error:
        return [f"does not parse: {error}"]
    return [*_names_and_labels(tree), *_windows(tree), *_shapes(tree)]


def _names_and_labels(tree: Any) -> Iterator[str]:
    available: set[str] = set()
    for selector in selectors(tree):
        labels = known_series.known(selector.name)
        if labels is None:
            every = [*known_series.exported(), *known_series.recorded(), *known_series.FOREIGN]
            nearest = difflib.get_close_matches(selector.name, every, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            yield f"nothing exports or records {selector.name or 'a series without a name'}{hint}"
            continue
        available |= labels
        for label, op, value in selector.matchers:
            if label not in labels:
                yield f"{selector.name} has no label {label}; it has {', '.join(sorted(labels))}"
            if label == "le" and op == "=" and re.fullmatch(r"\d+(\.0)?", value):
                yield f'le="{value}" is spelled "1" or "1.0" depending on how the data came; use the recorded series'
            if op in {"=~", "!~"} and re.fullmatch(r"[\w-]+", value):
                yield f"{label}{op}{value!r} is no pattern; use {'=' if op == '=~' else '!='} for one value"
    made = {arguments[1].val for arguments in (n.args for n in _calls(tree, "label_replace"))}
    unknown = set(grouping(tree)) - available - made
    if available and unknown:
        yield f"grouped or matched by {', '.join(sorted(unknown))}, which no series here has"


def _windows(tree: Any) -> Iterator[str]:
    for selector in selectors(tree):
        if selector.range_s is not None and selector.range_s < _SHORTEST_WINDOW_S:
            yield f"a window of {selector.range_s:g} s holds fewer than four scrapes; use 1m or more"
        if selector.function in RATES and not known_series.is_counter(selector.name):
            yield f"{selector.function}() of {selector.name}, which is no counter"
        is_raw_counter = known_series.is_counter(selector.name)
        if is_raw_counter and selector.range_s is not None and selector.function not in {*RATES, "resets"}:
            yield f"{selector.function}() of the counter {selector.name}; take rate() or increase() first"
    for node in nodes(tree):
        if isinstance(node, ast.NumberLiteral) and node.val in _SECONDS_OF_WINDOWS:
            yield f"{node.val:g} is the length of a window; use increase(), so that windows can be scaled"


def _shapes(tree: Any) -> Iterator[str]:
    for node in nodes(tree):
        if isinstance(node, ast.BinaryExpr) and operator(node) == "/":
            if any(_is_raw_rate(side) for side in (node.lhs, node.rhs)):
                yield "divides rates series by series; aggregate both sides with the same by() first"
            if _is_offset_by_one(node.rhs):
                yield "divides by something plus a constant, which is wrong at low traffic; use (x > 0)"
    for call in _calls(tree, "histogram_quantile"):
        if _is_raw_rate(call.args[1]):
            yield "a quantile per replica; sum by (..., le) first"
        elif "le" not in result_labels(call.args[1], lambda name: known_series.known(name) or frozenset()):
            yield "histogram_quantile() of something without le is NaN; keep le in by()"


def _calls(tree: Any, name: str) -> Iterator[Any]:
    return (node for node in nodes(tree) if isinstance(node, ast.Call) and node.func.name == name)


def _is_raw_rate(node: Any) -> bool:
    inner = bare(node)
    if isinstance(inner, ast.BinaryExpr) and isinstance(bare(inner.rhs), ast.NumberLiteral):
        inner = bare(inner.lhs)  # rate(x[5m]) > 0
    return isinstance(inner, ast.Call) and inner.func.name in RATES


def _is_offset_by_one(node: Any) -> bool:
    inner = bare(node)
    if isinstance(inner, ast.Call) and inner.func.name == "clamp_min":
        return True
    sides = (bare(inner.lhs), bare(inner.rhs)) if isinstance(inner, ast.BinaryExpr) else ()
    return bool(sides) and operator(inner) == "+" and any(isinstance(side, ast.NumberLiteral) for side in sides)
