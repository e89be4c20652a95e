"""Many rows at once: arrays, frames and columns by name, counted column by column or as one matrix.

The fast path of ``observe_batch``. Uses numpy only where the caller has it loaded already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infermeter import guard
from infermeter.drift.columns import as_numbers, as_objects, np
from infermeter.drift.features import NOT_FINITE, REASONS, NumericFeature
from infermeter.drift.layout import WHERE, Layout

_CHUNK = 1 << 18
"""Values of a matrix that are compared at once; keeps what is needed for it in the processor's cache."""


class BatchCounter:
    """Counts rows of numbers into the bins of a layout.

    Args:
        layout: Where each feature's bins are.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        inputs = layout.inputs
        self._numeric = [i for i, feature in enumerate(inputs) if isinstance(feature, NumericFeature)]
        self._others = [i for i, feature in enumerate(inputs) if not isinstance(feature, NumericFeature)]
        edges = [feature.edges for feature in inputs if isinstance(feature, NumericFeature)]
        most = max((len(of_feature) for of_feature in edges), default=0)
        # Row j holds the j-th edge of every feature; a feature with fewer has edges that nothing reaches.
        self._edges = np.full((most, len(edges)), np.inf)
        for column, of_feature in enumerate(edges):
            self._edges[: len(of_feature), column] = of_feature
        self._offsets = np.array([layout.offsets[i] for i in self._numeric], dtype=np.intp)
        self._missing = np.array([layout.offsets[i] + inputs[i].missing for i in self._numeric], dtype=np.intp)

    def count_matrix(self, shard: list[int], matrix: Any) -> None:
        """Count a matrix with one column per feature; one of another width is dropped, a row each."""
        if matrix.shape[0] == 0:
            return
        if matrix.shape[1] != len(self._layout.inputs):
            guard.drop(WHERE, "width", matrix.shape[0])
            return
        if self._others:
            for i in self._others:
                self._count_one_by_one(shard, i, as_objects("", matrix[:, i]))
            matrix = matrix[:, self._numeric]
        self._count_numbers(shard, matrix)

    def count_columns(self, shard: list[int], columns: Mapping[str, Any], rows: int) -> None:
        """Count columns by name; a feature without a column is missing in every row."""
        layout = self._layout
        unknown = layout.unknown_names(columns)
        if unknown:
            guard.drop(WHERE, "unknown_feature", unknown * rows)
        for i, name in enumerate(layout.names):
            if name not in columns:
                place = layout.offsets[i] + layout.inputs[i].missing
                shard[place] += rows
                continue
            column = columns[name]
            if len(column) != rows:
                guard.drop(WHERE, "shape", rows)
                continue
            numbers = as_numbers(column) if isinstance(layout.inputs[i], NumericFeature) else None
            if numbers is not None and numbers.ndim == 1:
                self._count_column(shard, i, numbers)
            else:
                self._count_one_by_one(shard, i, as_objects(name, column))

    def _count_numbers(self, shard: list[int], matrix: Any) -> None:
        rows = max(1, _CHUNK // max(1, matrix.shape[1]))
        for start in range(0, matrix.shape[0], rows):
            part = matrix[start : start + rows]
            places = np.zeros(part.shape, dtype=np.uint8)
            for edge in self._edges:
                places += part >= edge
            slots = places + self._offsets
            finite = np.isfinite(part)
            if not finite.all():
                missing = np.isnan(part)
                slots = np.where(missing, self._missing, slots)
                infinite = ~(finite | missing)
                if infinite.any():
                    guard.drop(WHERE, REASONS[NOT_FINITE], int(infinite.sum()))
                    slots = slots[~infinite]
            _add(shard, slots.ravel())

    def _count_column(self, shard: list[int], i: int, numbers: Any) -> None:
        feature, offset = self._layout.inputs[i], self._layout.offsets[i]
        finite = numbers[np.isfinite(numbers)]
        missing = int(np.isnan(numbers).sum())
        infinite = numbers.size - finite.size - missing
        if infinite:
            guard.drop(WHERE, REASONS[NOT_FINITE], infinite)
        if missing:
            place = offset + feature.missing
            shard[place] += missing
        if isinstance(feature, NumericFeature):
            _add(shard, np.searchsorted(np.array(feature.edges), finite, side="right") + offset)

    def _count_one_by_one(self, shard: list[int], i: int, values: Sequence[Any]) -> None:
        index, offset = self._layout.inputs[i].index, self._layout.offsets[i]
        for value in values:
            try:
                place = index(value)
            except Exception as error:  # noqa: BLE001  a foreign number or text may raise whatever it likes
                guard.swallow(WHERE, error)
                continue
            if place < 0:
                guard.drop(WHERE, REASONS[place])
                continue
            slot = offset + place
            shard[slot] += 1


def _add(shard: list[int], slots: Any) -> None:
    counts = np.bincount(slots, minlength=0)
    hit = np.flatnonzero(counts)
    for slot, count in zip(hit.tolist(), counts[hit].tolist(), strict=True):
        shard[slot] += count
