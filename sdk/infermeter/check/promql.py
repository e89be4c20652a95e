"""PromQL as a tree: which series an expression reads, with which labels, and which labels its result has.

Knows the language; knows none of our names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import promql_parser as ast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RATES = ("rate", "irate", "increase")


@dataclass(frozen=True)
class Selector:
    """One `name{label="value"}` in an expression."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]  # label, operator, value
    function: str | None  # the function around its range, if it has one
    range_s: float | None


def parse(expression: str) -> Any:
    """Parse an expression.

    Raises:
        ValueError: It is not PromQL.
    """
    return ast.parse(expression)


def children(node: Any) -> Iterator[Any]:
    """Yield the expressions directly below a node."""
    if isinstance(node, ast.BinaryExpr):
        yield node.lhs
        yield node.rhs
    elif isinstance(node, ast.AggregateExpr):
        if node.param is not None:
            yield node.param
        yield node.expr
    elif isinstance(node, ast.Call):
        yield from node.args
    elif isinstance(node, ast.ParenExpr | ast.UnaryExpr | ast.SubqueryExpr):
        yield node.expr


def nodes(node: Any) -> Iterator[Any]:
    """Yield a node and everything below it."""
    yield node
    for child in children(node):
        yield from nodes(child)


def bare(node: Any) -> Any:
    """Return the expression inside parentheses and signs."""
    while isinstance(node, ast.ParenExpr | ast.UnaryExpr):
        node = node.expr
    return node


def selectors(node: Any, function: str | None = None) -> Iterator[Selector]:
    """Yield every series selector of an expression."""
    if isinstance(node, ast.VectorSelector | ast.MatrixSelector):
        vector = _vector(node)
        range_s = node.range.total_seconds() if isinstance(node, ast.MatrixSelector) else None
        matchers = tuple((m.name, _OPERATORS[str(m.op)], m.value) for m in vector.matchers.matchers)
        yield Selector(vector.name or "", matchers, function if range_s is not None else None, range_s)
        return
    name = node.func.name if isinstance(node, ast.Call) else None
    for child in children(node):
        yield from selectors(child, name)


def _vector(node: ast.VectorSelector | ast.MatrixSelector) -> ast.VectorSelector:
    return node.vector_selector if isinstance(node, ast.MatrixSelector) else node


_OPERATORS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}


def operator(node: Any) -> str:
    """Return the operator of a binary expression or the name of an aggregation."""
    return str(node.op).strip("'")


def calls(node: Any, name: str) -> Iterator[Any]:
    """Yield every call of a function."""
    return (part for part in nodes(node) if isinstance(part, ast.Call) and part.func.name == name)


def is_aggregation(node: Any, name: str) -> bool:
    """Say whether a node is this aggregation."""
    return isinstance(node, ast.AggregateExpr) and operator(node) == name


def grouping(node: Any) -> Iterator[str]:
    """Yield every label named in by, without, on, ignoring or group_left anywhere in an expression."""
    for part in nodes(node):
        if isinstance(part, ast.AggregateExpr) and part.modifier is not None:
            yield from part.modifier.labels
        if isinstance(part, ast.BinaryExpr) and part.modifier is not None:
            if part.modifier.matching is not None:
                yield from part.modifier.matching.labels
            yield from part.modifier.group_labels or ()


class _UnknownLabelsError(Exception):
    """An expression reads a series whose labels nobody knows."""


def result_labels(node: Any, labels_of: Callable[[str], frozenset[str] | None]) -> frozenset[str] | None:
    """Return the labels that an expression's result can have; None if that cannot be told.

    Args:
        node: The expression.
        labels_of: Returns the labels of a series by name; None for a series whose labels nobody knows.
    """

    def certain(name: str) -> frozenset[str]:
        labels = labels_of(name)
        if labels is None:
            raise _UnknownLabelsError
        return labels

    try:
        return _labels(node, certain)
    except _UnknownLabelsError:
        return None


def _labels(node: Any, labels_of: Callable[[str], frozenset[str]]) -> frozenset[str]:
    if isinstance(node, ast.VectorSelector | ast.MatrixSelector):
        return labels_of(_vector(node).name or "")
    if isinstance(node, ast.AggregateExpr):
        return _aggregated(node, labels_of)
    if isinstance(node, ast.BinaryExpr):
        return _combined(node, _labels(node.lhs, labels_of), _labels(node.rhs, labels_of))
    if isinstance(node, ast.Call):
        return _called(node, labels_of)
    inner = next(children(node), None)
    return frozenset() if inner is None else _labels(inner, labels_of)


def _aggregated(node: Any, labels_of: Callable[[str], frozenset[str]]) -> frozenset[str]:
    name = operator(node)
    if name in {"topk", "bottomk"}:
        return _labels(node.expr, labels_of)
    added = frozenset({node.param.val}) if name == "count_values" else frozenset[str]()
    if node.modifier is None:
        return added
    named = frozenset[str](node.modifier.labels)
    by = node.modifier.type == ast.AggModifierType.By
    try:
        inner = _labels(node.expr, labels_of)
    except _UnknownLabelsError:
        if not by:
            raise
        inner = named  # whatever goes in, only these come out
    return ((inner & named) if by else (inner - named)) | added


def _combined(node: Any, left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    name, modifier = operator(node), node.modifier
    if name == "or":
        return left | right
    if name in {"and", "unless"}:
        return left
    if not left or not right:  # one side is a number
        return left | right
    if modifier is None or modifier.matching is None:
        return left
    included = frozenset(modifier.group_labels or ())
    if modifier.card == ast.VectorMatchCardinality.ManyToOne:
        return left | included
    if modifier.card == ast.VectorMatchCardinality.OneToMany:
        return right | included
    matched = frozenset(modifier.matching.labels)
    return left & matched if modifier.matching.type == ast.LabelModifierType.Include else left - matched


def _called(node: Any, labels_of: Callable[[str], frozenset[str]]) -> frozenset[str]:
    name, arguments = node.func.name, list(node.args)
    if name in {"absent", "absent_over_time"}:
        only = next(selectors(node))
        return frozenset(label for label, op, _ in only.matchers if op == "=")
    if name == "scalar" or not arguments:
        return frozenset()
    labels = frozenset[str]().union(*(_labels(argument, labels_of) for argument in arguments))
    if name == "label_replace":
        return labels | {arguments[1].val}
    return labels - {"le"} if name == "histogram_quantile" else labels
