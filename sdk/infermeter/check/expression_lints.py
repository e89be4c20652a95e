"""All mistakes of one expression: what PromQL accepts and what makes a rule or a panel silently wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infermeter.check.finding import Mistake
from infermeter.check.flow_lints import flows
from infermeter.check.name_lints import names_and_labels
from infermeter.check.promql import parse
from infermeter.check.shape_lints import shapes, windows

if TYPE_CHECKING:
    from infermeter.check.known_series import KnownSeries


def mistakes(expression: str, known: KnownSeries) -> list[Mistake]:
    """Return what is wrong with an expression, each mistake once."""
    try:
        tree = parse(expression)
    except ValueError as error:
        return [Mistake("syntax", f"does not parse: {error}", "write PromQL that promtool accepts")]
    found = [*names_and_labels(tree, known), *windows(tree, known), *shapes(tree, known), *flows(tree, known)]
    return list(dict.fromkeys(found))
