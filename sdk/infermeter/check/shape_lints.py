"""Arithmetic that PromQL accepts and that means something else than it looks like; windows that are too short."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import promql_parser as ast

from infermeter.check.finding import Mistake
from infermeter.check.promql import RATES, bare, calls, nodes, operator, result_labels, selectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infermeter.check.known_series import KnownSeries
    from infermeter.check.promql import Selector

# 60 would be a common threshold too; the others are lengths of windows in seconds.
_SECONDS_OF_WINDOWS = {300.0, 600.0, 900.0, 1800.0, 3600.0, 86400.0}
_SHORTEST_WINDOW_S = 60.0  # four scrapes

# What may look at a counter as it is.
_OVER_COUNTERS = frozenset(
    {*RATES, "resets", "changes", "last_over_time", "absent_over_time", "present_over_time", "count_over_time"}
)
_RECORDED_RATIO = re.compile(r":ratio(_rate\w*)?$")
# Series whose sum or ratio with others needs care: percent, not a share.
_PERCENT = {"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL"}
_MEGAHERTZ = {"DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_MEM_CLOCK"}
_MEBIBYTES = {"DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED"}


def windows(tree: Any, known: KnownSeries) -> Iterator[Mistake]:
    """Yield what is wrong with ranges and with the functions around them."""
    for selector in selectors(tree):
        function, name = selector.function, selector.name
        if selector.range_s is not None and selector.range_s < _SHORTEST_WINDOW_S:
            yield Mistake(
                "short-window",
                f"a window of {selector.range_s:g} s holds fewer than four scrapes",
                "use 1m or more ($__rate_interval in a dashboard)",
            )
        if function in RATES and known.is_gauge(name):
            yield Mistake(
                "rate-of-gauge",
                f"{function}() of {name}, which is no counter",
                "use the value, or avg_over_time() and delta()",
            )
        if known.is_counter(name) and selector.range_s is not None and function not in _OVER_COUNTERS:
            yield Mistake(
                "counter-without-rate",
                f"{function}() of the counter {name} is about the life of the process, not about now",
                "take rate() or increase() first",
            )
    for node in nodes(tree):
        if isinstance(node, ast.BinaryExpr) and operator(node) == "*":
            seconds = [side.val for side in (bare(node.lhs), bare(node.rhs)) if isinstance(side, ast.NumberLiteral)]
            if any(value in _SECONDS_OF_WINDOWS for value in seconds) and any(map(_is_rate, selectors(node))):
                yield Mistake(
                    "window-as-number",
                    f"{seconds[0]:g} times a rate is an increase written by hand, which a change of the window breaks",
                    "use increase()",
                )


def _is_rate(selector: Selector) -> bool:
    return selector.function in {"rate", "irate"} or ":rate" in selector.name


def shapes(tree: Any, known: KnownSeries) -> Iterator[Mistake]:
    """Yield what is wrong with ratios, means, quantiles and comparisons."""
    for node in nodes(tree):
        if isinstance(node, ast.BinaryExpr):
            yield from _binary(node, known)
        if isinstance(node, ast.AggregateExpr) and operator(node) == "avg" and is_ratio(node.expr):
            yield Mistake(
                "mean-of-ratios",
                "the average of ratios lets a quiet replica weigh as much as a busy one",
                "divide sums: sum(rate(a)) / sum(rate(b))",
            )
    for call in calls(tree, "histogram_quantile"):
        share = bare(call.args[0])
        if isinstance(share, ast.NumberLiteral) and not 0 <= share.val <= 1:
            yield Mistake(
                "unit-slip",
                f"asks for the quantile {share.val:g}, which is infinite: quantiles go from 0 to 1",
                f"write {share.val / 100:g}" if 1 < share.val <= 100 else "write 0.99 for p99",
            )
        yield from _quantile(call.args[1], known)


def _binary(node: Any, known: KnownSeries) -> Iterator[Mistake]:
    if operator(node) == "/":
        if any(_is_raw_rate(side) for side in (node.lhs, node.rhs)):
            yield Mistake(
                "ratio-per-series",
                "divides rates series by series: errors are divided by themselves, which is always 1",
                "aggregate both sides with the same by() first",
            )
        if _is_offset_by_one(node.rhs):
            yield Mistake(
                "padded-divisor", "divides by something plus a constant, which is wrong at low traffic", _FLOOR
            )
        if _has_zero_filled(node.rhs):
            yield Mistake("zero-divisor", "divides by something that may be filled with 0, which gives Inf", _FLOOR)
        if all(_is_raw_counter(side, known) for side in (node.lhs, node.rhs)):
            yield Mistake(
                "lifetime-ratio",
                "divides counters without rate(): a mean over the life of the processes, which cannot show an incident",
                "take rate() of both sides first",
            )
        if _counts_a_part(node):
            yield Mistake(
                "empty-numerator",
                "where nothing of the numerator has happened yet, the whole ratio is missing instead of 0",
                "write (part or 0 * all) / (all > 0)",
            )
    if operator(node) in _ARITHMETIC and node.modifier is None:
        sides = [_grouped(side, known) for side in (node.lhs, node.rhs)]
        if sides[0] and sides[1] and sides[0] != sides[1]:
            yield Mistake(
                "label-sets",
                f"the sides have different labels ({_listed(sides[0])}; {_listed(sides[1])}), so nothing matches",
                "aggregate both by the same labels, or add on (...) group_left ()",
            )
    if operator(node) in {">", ">=", "<", "<="}:
        for compared, limit in ((node.lhs, bare(node.rhs)), (node.rhs, bare(node.lhs))):
            if isinstance(limit, ast.NumberLiteral):
                yield from _limits(compared, limit.val, known)


_ARITHMETIC = {"+", "-", "*", "/"}
_SLOWEST_S = 100  # above every latency bucket that we ship, of generation too
_SECONDS = re.compile(r"model_\w*(:model_\w+)?_seconds(:p\d+_\w+)?")
_FLOOR = "leave such windows out: a / (b > 0)"


def _limits(compared: Any, limit: float, known: KnownSeries) -> Iterator[Mistake]:
    unit = result_unit(compared)
    if unit == "s" and limit >= _SLOWEST_S:
        yield Mistake(
            "unit-slip",
            f"compares seconds with {limit:g}, which looks like milliseconds and is never reached",
            f"write {limit / 1000:g}",
        )
    if unit == "percent" and 0 < limit < 1:
        yield Mistake(
            "unit-slip", f"compares a percentage with {limit:g}, which looks like a share", f"write {100 * limit:g}"
        )
    if _is_raw_counter(compared, known):
        yield Mistake(
            "counter-without-rate",
            "compares a counter with a number: once over it, it stays over it until the process restarts",
            "compare increase() over a window",
        )


def result_unit(node: Any) -> str | None:
    """Return the unit of an expression where that is certain: ``s``, ``percent``, ``mebibytes``, ``megahertz``."""
    inner = bare(node)
    if isinstance(inner, ast.Call) and inner.func.name == "histogram_quantile":
        names = {selector.name for selector in selectors(inner)}
        return "s" if names and all("_seconds" in name for name in names) else None
    if isinstance(inner, ast.BinaryExpr) and operator(inner) == "/" and _is_mean_of_seconds(inner):
        return "s"
    if isinstance(inner, ast.Call) and inner.func.name.endswith("_over_time") and inner.args:
        inner = bare(inner.args[-1])
    if isinstance(inner, ast.AggregateExpr) and operator(inner) in {"avg", "max", "min"}:
        return result_unit(inner.expr)
    if isinstance(inner, ast.VectorSelector | ast.MatrixSelector):
        name = next(selectors(inner)).name
        if name in _PERCENT:
            return "percent"
        if name in _MEBIBYTES:
            return "mebibytes"
        if name in _MEGAHERTZ:
            return "megahertz"
        # A timestamp is compared with large numbers for good reasons.
        return "s" if _SECONDS.fullmatch(name) else None
    return None


def _is_mean_of_seconds(node: Any) -> bool:
    sums, counts = ({selector.name for selector in selectors(side)} for side in (node.lhs, node.rhs))
    return (
        bool(sums)
        and sums == {name.removesuffix("_count") + "_sum" for name in counts}
        and all(name.endswith("_seconds_sum") for name in sums)
    )


def _quantile(argument: Any, known: KnownSeries) -> Iterator[Mistake]:
    labels = result_labels(argument, known.labels)
    if _is_raw_rate(argument):
        yield Mistake("quantile-per-series", "a quantile per replica", "sum by (..., le) (rate(...)) first")
    elif any(known.is_counter(s.name) for s in selectors(argument)) and not any(
        s.function in RATES for s in selectors(argument)
    ):
        yield Mistake(
            "quantile-of-lifetime",
            "a quantile of the counts since each process started, which cannot show an incident",
            "take rate() of the buckets first",
        )
    elif labels is not None and "le" not in labels:
        yield Mistake("quantile-without-le", "histogram_quantile() of something without le is NaN", "keep le in by()")


def _is_raw_rate(node: Any) -> bool:
    inner = bare(node)
    if isinstance(inner, ast.BinaryExpr) and isinstance(bare(inner.rhs), ast.NumberLiteral):
        inner = bare(inner.lhs)  # rate(x[5m]) > 0
    return isinstance(inner, ast.Call) and inner.func.name in RATES


def _is_raw_counter(node: Any, known: KnownSeries) -> bool:
    """Say whether this is a counter as it is, or an aggregation of one."""
    inner = bare(node)
    while isinstance(inner, ast.AggregateExpr) and operator(inner) in {"sum", "avg", "max", "min"}:
        inner = bare(inner.expr)
    return isinstance(inner, ast.VectorSelector) and known.is_counter(inner.name or "")


def is_ratio(node: Any) -> bool:
    """Say whether an expression is a ratio of rates, or a recorded one."""
    inner = bare(node)
    if isinstance(inner, ast.VectorSelector):
        return _RECORDED_RATIO.search(inner.name or "") is not None
    if not (isinstance(inner, ast.BinaryExpr) and operator(inner) == "/"):
        return False
    return any(s.function in RATES for s in selectors(inner.lhs)) and any(
        s.function in RATES for s in selectors(inner.rhs)
    )


def _is_offset_by_one(node: Any) -> bool:
    inner = bare(node)
    if isinstance(inner, ast.Call) and inner.func.name == "clamp_min":
        return True
    sides = (bare(inner.lhs), bare(inner.rhs)) if isinstance(inner, ast.BinaryExpr) else ()
    return bool(sides) and operator(inner) == "+" and any(isinstance(side, ast.NumberLiteral) for side in sides)


def _grouped(node: Any, known: KnownSeries) -> frozenset[str] | None:
    """Return the labels of an aggregation; None of anything else, whose labels vary from series to series."""
    inner = bare(node)
    if isinstance(inner, ast.BinaryExpr) and isinstance(bare(inner.rhs), ast.NumberLiteral):
        inner = bare(inner.lhs)  # sum(...) > 0
    return result_labels(inner, known.labels) if isinstance(inner, ast.AggregateExpr) else None


def _listed(labels: frozenset[str]) -> str:
    return ", ".join(sorted(labels))


def _counts_a_part(node: Any) -> bool:
    """Say whether a ratio divides some of a counter's series, like its errors, by more of them."""
    sides = [list(selectors(side)) for side in (node.lhs, node.rhs)]
    if any(len(side) != 1 or side[0].function not in RATES for side in sides):
        return False
    (part,), (whole,) = sides
    chosen = {matcher[0] for matcher in part.matchers if matcher not in whole.matchers}
    return part.name == whole.name and bool(chosen - {"le"})


def _has_zero_filled(node: Any) -> bool:
    inner = bare(node)
    return isinstance(inner, ast.BinaryExpr) and operator(inner) == "or" and _is_zero(inner.rhs)


def _is_zero(node: Any) -> bool:
    inner = bare(node)
    if isinstance(inner, ast.Call) and inner.func.name == "vector":
        inner = bare(inner.args[0])
    if isinstance(inner, ast.BinaryExpr) and operator(inner) == "*":
        return _is_zero(inner.lhs) or _is_zero(inner.rhs)
    return isinstance(inner, ast.NumberLiteral) and inner.val == 0
