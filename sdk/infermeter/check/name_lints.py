"""Names and labels in an expression that nothing has: a rule that reads them is silent for ever."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from infermeter.check.finding import Mistake
from infermeter.check.promql import calls, grouping, is_aggregation, nodes, selectors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from infermeter.check.known_series import KnownSeries
    from infermeter.check.promql import Selector

# Names that are in many published rules and that their exporter does not have, or not in this meaning.
_FAMOUS_MISTAKES = {
    "DCGM_FI_DEV_MEM_USED": "DCGM_FI_DEV_FB_USED, in MiB",
}
# Names that our own reader exports and dcgm-exporter's default list leaves out.
_RARE = {"DCGM_FI_DEV_FB_TOTAL": "DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE"}


def names_and_labels(tree: Any, known: KnownSeries) -> Iterator[Mistake]:
    """Yield each series, label and matcher that cannot be right."""
    available: set[str] | None = set()
    for selector in selectors(tree):
        if not selector.name and any(label == "__name__" for label, _, _ in selector.matchers):
            available = None
            yield from _name_patterns(selector, known)
            continue
        if selector.name not in known:
            yield _unknown_series(selector, known)
            available = None
            continue
        if selector.name in _RARE:
            yield Mistake(
                "rare-series",
                f"dcgm-exporter does not export {selector.name} by default, so most clusters have nothing there",
                f"use {_RARE[selector.name]}",
            )
        labels = known.labels(selector.name)
        available = None if available is None or labels is None else available | labels
        if labels is not None:
            yield from _unknown_labels(selector, labels)
        yield from _matchers(selector)
    if not available:
        return  # nothing is read, or some labels are anyone's guess
    made = {arguments[1].val for arguments in (call.args for call in calls(tree, "label_replace"))}
    made |= {node.param.val for node in nodes(tree) if is_aggregation(node, "count_values")}
    unknown = set(grouping(tree)) - available - made
    if unknown:
        yield Mistake(
            "unknown-label",
            f"grouped or matched by {', '.join(sorted(unknown))}, which no series here has",
            _instead(min(unknown), available),
        )


def _unknown_series(selector: Selector, known: KnownSeries) -> Mistake:
    if not selector.name:
        return Mistake("unknown-series", "nothing exports or records a series without a name", "name the series")
    if selector.name in _FAMOUS_MISTAKES:
        return Mistake("unknown-series", f"nothing exports {selector.name}", f"use {_FAMOUS_MISTAKES[selector.name]}")
    nearest = known.nearest(selector.name)
    fix = f"did you mean {nearest}?" if nearest else "correct the name"
    return Mistake(
        "unknown-series",
        f"nothing exports or records {selector.name}, so this is always empty",
        f"{fix} (--foreign {selector.name} if something else exports it)",
    )


def _name_patterns(selector: Selector, known: KnownSeries) -> Iterator[Mistake]:
    patterns = [value for label, op, value in selector.matchers if label == "__name__" and op in {"=", "=~"}]
    for pattern in patterns:
        if not known.any_name_like(pattern):
            yield Mistake("unknown-series", f"no known series is named like {pattern}", "correct the pattern")


def _unknown_labels(selector: Selector, labels: frozenset[str]) -> Iterator[Mistake]:
    for label, _, _ in selector.matchers:
        if label not in labels:
            yield Mistake(
                "unknown-label",
                f"{selector.name} has no label {label}, so nothing matches",
                _instead(label, labels),
            )


def _instead(label: str, labels: Collection[str]) -> str:
    nearest = difflib.get_close_matches(label, labels, n=1, cutoff=0.5)
    listed = f"there are {', '.join(sorted(labels))}"
    return f"did you mean {nearest[0]}? {listed}" if nearest else listed


def _matchers(selector: Selector) -> Iterator[Mistake]:
    for label, op, value in selector.matchers:
        if label == "le" and op == "=" and re.fullmatch(r"\d+(\.0)?", value):
            yield Mistake(
                "le-spelling",
                f'le="{value}" is spelled "1" or "1.0" depending on how the data came',
                f'use the recorded series, or le=~"{value.removesuffix(".0")}([.]0)?"',
            )
        if op in {"=~", "!~"} and re.fullmatch(r"[\w-]+", value):
            yield Mistake(
                "no-pattern", f"{label}{op}{value!r} is no pattern", f"use {'=' if op == '=~' else '!='} for one value"
            )
