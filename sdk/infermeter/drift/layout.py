"""The bins of all features of a reference side by side in one list of counts, and the hot path that fills it.

Knows shards as plain lists; knows nothing of threads, exports or arrays.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infermeter import guard
from infermeter.drift.features import REASONS, CategoricalFeature, NumericFeature
from infermeter.drift.reference import DriftReference

WHERE = "drift"
"""This place in ``infermeter_dropped_total``."""

_ABSENT = object()

Input = NumericFeature | CategoricalFeature


class Layout:
    """Where each feature's bins are.

    Args:
        reference: Its features become the columns of a row, in their order.
        ignored: Names that a row may have besides.

    Attributes:
        count_values: Counts a row given as values in the order of the features.
        count_mapping: Counts a row given as values by name.
        is_numeric: All features are numbers.
    """

    __slots__ = ("count_mapping", "count_values", "ignored", "inputs", "is_numeric", "names", "offsets", "width")

    def __init__(self, reference: DriftReference, ignored: Sequence[str] = ()) -> None:
        self.inputs: tuple[Input, ...] = reference.inputs
        self.names = reference.feature_names
        self.is_numeric = all(isinstance(feature, NumericFeature) for feature in self.inputs)
        self.offsets: list[int] = []
        self.ignored = frozenset(ignored)
        self.width = 0
        for feature in self.inputs:
            self.offsets.append(self.width)
            self.width += len(feature.bins)
        self._bind()

    def _bind(self) -> None:
        """Make the functions of the hot path: closures find their data faster than attributes do."""
        offsets = tuple(self.offsets)
        every_edges = tuple(feature.edges if isinstance(feature, NumericFeature) else None for feature in self.inputs)
        indexes = tuple(feature.index for feature in self.inputs)
        named = list(zip(self.names, offsets, every_edges, indexes, strict=True))
        columns, bisect, absent = len(offsets), bisect_right, _ABSENT
        unknown_in = self._unknown_in

        def count_values(shard: list[int], row: Sequence[Any]) -> None:
            """Count a row; one of another width is dropped as a whole, because no value is known to be whose."""
            if len(row) != columns:
                guard.drop(WHERE, "width")
                return
            # Not strict: a row that another thread changes meanwhile is the host's business.
            for offset, edges, index, value in zip(offsets, every_edges, indexes, row):  # noqa: B905
                # A number minus itself is 0, unless it is infinite or NaN.
                # The index first, the addition after it: nothing may run between the two halves of a +=.
                if edges is not None and type(value) is float and value - value == 0.0:
                    i = offset + bisect(edges, value)
                    shard[i] += 1
                else:
                    _count_foreign(shard, offset, index, value)

        def count_mapping(shard: list[int], row: Mapping[Any, Any]) -> None:
            """Count a row; a feature that it lacks is missing, a name that is no feature is counted as dropped."""
            get, found = row.get, 0
            for name, offset, edges, index in named:
                value = get(name, absent)
                if edges is not None and type(value) is float and value - value == 0.0:
                    found += 1
                    i = offset + bisect(edges, value)
                    shard[i] += 1
                elif value is absent:
                    _count_foreign(shard, offset, index, None)
                else:
                    found += 1
                    _count_foreign(shard, offset, index, value)
            if len(row) != found:
                unknown = unknown_in(row)
                if unknown:
                    guard.drop(WHERE, "unknown_feature", unknown)

        self.count_values: Callable[[list[int], Sequence[Any]], None] = count_values
        self.count_mapping: Callable[[list[int], Mapping[Any, Any]], None] = count_mapping

    def _unknown_in(self, names: Any) -> int:
        known = self.ignored.union(self.names)
        return sum(1 for name in names if name not in known)

    def unknown_names(self, names: Any) -> int:
        """Return how many of the names are neither a feature nor ignored."""
        return self._unknown_in(names)


def _count_foreign(shard: list[int], offset: int, index: Callable[[Any], int], value: Any) -> None:
    """Count a value that is no plain number: missing, a text, of another type, or nothing that has a bin."""
    try:
        place = index(value)
    except Exception as error:  # noqa: BLE001  a foreign number or text may raise whatever it likes
        guard.swallow(WHERE, error)
        return
    if place < 0:
        guard.drop(WHERE, REASONS[place])
        return
    i = offset + place
    shard[i] += 1
