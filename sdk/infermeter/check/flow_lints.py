"""What gets lost between the parts of an expression: labels that are gone where they are wanted, filters for numbers.

Also who reads a series whose name depends on a version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import promql_parser as ast

from infermeter.check.finding import Mistake
from infermeter.check.promql import bare, nodes, operator, result_labels, selectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infermeter.check.known_series import KnownSeries

_COMPARISONS = frozenset({">", "<", ">=", "<=", "==", "!="})
_COLLECTOR_COUNTER = re.compile(r"otelcol_\w+_(?:points|spans|records)(_total)?")


def flows(tree: Any, known: KnownSeries) -> Iterator[Mistake]:
    """Yield what gets lost on the way through an expression."""
    for node in nodes(tree):
        if isinstance(node, ast.AggregateExpr):
            yield from _lost_in_aggregation(node, known)
        if isinstance(node, ast.BinaryExpr):
            yield from _lost_in_matching(node, known)
            yield from _filter_for_a_number(node)
    yield from _one_spelling(tree)


def _lost_in_aggregation(node: Any, known: KnownSeries) -> Iterator[Mistake]:
    if node.modifier is None or node.modifier.type != ast.AggModifierType.By:
        return
    inner = result_labels(node.expr, known.labels)
    if inner is None:
        return
    # What no series here has is an unknown label, which is another mistake.
    lost = {label for label in node.modifier.labels if label not in inner and label in _had(node, known)}
    if lost:
        yield Mistake(
            "lost-label",
            f"groups by {', '.join(sorted(lost))}, which the expression inside has already removed",
            f"keep it inside too; left are {', '.join(sorted(inner)) or 'no labels'}",
        )


def _lost_in_matching(node: Any, known: KnownSeries) -> Iterator[Mistake]:
    modifier = node.modifier
    if modifier is None or modifier.matching is None or modifier.matching.type != ast.LabelModifierType.Include:
        return
    for side in (node.lhs, node.rhs):
        labels = result_labels(side, known.labels)
        if labels is None or isinstance(bare(side), ast.NumberLiteral):
            continue
        lost = {label for label in modifier.matching.labels if label not in labels and label in _had(side, known)}
        if lost:
            yield Mistake(
                "lost-label",
                f"matches on {', '.join(sorted(lost))}, which one side has removed, so nothing matches",
                f"keep it on both sides; left are {', '.join(sorted(labels)) or 'no labels'}",
            )


def _had(node: Any, known: KnownSeries) -> frozenset[str]:
    """Return the labels that the series below a node have before anything is done to them."""
    return frozenset[str]().union(*(known.labels(selector.name) or () for selector in selectors(node)))


def _filter_for_a_number(node: Any) -> Iterator[Mistake]:
    if operator(node) not in {"+", "-", "*", "/"}:
        return
    for side in (node.lhs, node.rhs):
        inner = bare(side)
        if not (isinstance(inner, ast.AggregateExpr) and operator(inner) == "avg"):
            continue
        compared = bare(inner.expr)
        if (
            isinstance(compared, ast.BinaryExpr)
            and operator(compared) in _COMPARISONS
            and not (compared.modifier is not None and compared.modifier.return_bool)
        ):
            sign = operator(compared)
            yield Mistake(
                "filter-for-a-number",
                f"{sign} drops series instead of giving 0 or 1, so the idle ones vanish from the mean",
                f"write {sign} bool",
            )


def _one_spelling(tree: Any) -> Iterator[Mistake]:
    names = {selector.name for selector in selectors(tree)}
    for name in sorted(names):
        match = _COLLECTOR_COUNTER.fullmatch(name)
        if not match:
            continue
        other = name.removesuffix("_total") if match.group(1) else f"{name}_total"
        if other not in names:
            yield Mistake(
                "collector-spelling",
                f"half of all collectors call it {other}, depending on their version",
                f'read both: {{__name__=~"{name.removesuffix("_total")}(_total)?"}}, or one "or" the other',
            )
