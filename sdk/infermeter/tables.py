"""The label sets of one catalogue entry as a room keeps them: histograms, counters, and gauges that are set.

Knows cells and caps; knows nothing of what is measured, nor of how it leaves the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infermeter import clock
from infermeter.catalog import Metric
from infermeter.cells import HistogramCell, SumCell
from infermeter.families import Family, Labels, Point
from infermeter.labels import LabelSets

Key = tuple[str, ...]
Recorder = Callable[[float, dict[str, str]], None]
"""Records a value under labels, in an instrument."""


class _LabelsOf(dict[Key, Labels]):
    """The labels of each key, always the same object: exporters keep on it what they made of it."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._names = metric.labels

    def __missing__(self, key: Key) -> Labels:
        return self.setdefault(key, Labels(zip(self._names, key, strict=True)))


class Histograms:
    """All label sets of a histogram.

    Args:
        metric: Its catalogue entry.
        limit: Label sets kept apart.
        on_new: Called when a thread records for the first time.
        recorder: Asked, for a new label set, for an instrument to record through; None counts here.
    """

    def __init__(
        self,
        metric: Metric,
        limit: int,
        on_new: Callable[[], None],
        recorder: Callable[[Metric], Recorder | None] = lambda _: None,
    ) -> None:
        self._metric, self._limit, self._on_new, self._recorder = metric, limit, on_new, recorder
        self._sets: LabelSets[HistogramCell] = LabelSets(limit, self._make, metric.name)
        self._labels = _LabelsOf(metric)

    def _make(self, key: Key) -> HistogramCell:
        cell = HistogramCell(self._metric.bounds, self._on_new)
        record = self._recorder(self._metric)
        if record is not None:
            labels = self._labels[key]

            def observe(value: float) -> None:
                record(value, labels)

            cell.observe = observe
        return cell

    def cell(self, key: Key) -> HistogramCell:
        """Return where a label set records."""
        return self._sets.get(key)

    def family(self) -> Family:
        """Return all label sets that hold an observation, or are there to."""
        points: list[Point] = []
        for key, cell in self._sets.items():
            total = cell.shards.total()
            counts: Any = tuple(total[1:])  # integers: only the sum is none
            points.append(Point(self._labels[key], cell.start_ns, total[0], counts, cell.bounds))
        return Family(self._metric, points)

    def reset_in_child(self) -> None:
        """Forget everything; whoever holds a cell looks it up again."""
        self._sets = LabelSets(self._limit, self._make, self._metric.name)


class Counters:
    """All label sets of a counter.

    Args:
        metric: Its catalogue entry.
        limit: Label sets kept apart.
        on_new: Called when a thread records for the first time.
    """

    def __init__(self, metric: Metric, limit: int, on_new: Callable[[], None]) -> None:
        self._metric, self._limit, self._on_new = metric, limit, on_new
        self._sets: LabelSets[SumCell] = LabelSets(limit, self._make, metric.name)
        self._labels = _LabelsOf(metric)

    def _make(self, _: Key) -> SumCell:
        return SumCell(self._on_new)

    def cell(self, key: Key) -> SumCell:
        """Return where a label set records; it is exported from 0 from now on."""
        return self._sets.get(key)

    def family(self) -> Family:
        """Return all label sets."""
        points = [Point(self._labels[key], cell.start_ns, cell.total()) for key, cell in self._sets.items()]
        return Family(self._metric, points)

    def reset_in_child(self) -> None:
        """Forget everything; whoever holds a cell looks it up again."""
        self._sets = LabelSets(self._limit, self._make, self._metric.name)


class Gauges:
    """All label sets of a gauge that is set to values.

    Args:
        metric: Its catalogue entry.
        limit: Label sets kept apart.
    """

    def __init__(self, metric: Metric, limit: int) -> None:
        self._metric, self._limit = metric, limit
        self._sets: LabelSets[list[float]] = LabelSets(limit, lambda _: [], metric.name)
        self._labels = _LabelsOf(metric)

    def set(self, key: Key, value: float) -> None:
        """Show a value from now on."""
        self._sets.get(key)[:] = [value]

    def family(self, others: Mapping[Key, float] | None = None) -> Family:
        """Return all label sets that have a value, and others that are known elsewhere."""
        now_ns = clock.unix_ns()
        values = {key: cell[0] for key, cell in self._sets.items() if cell}
        values |= others or {}
        return Family(self._metric, [Point(self._labels[key], now_ns, v) for key, v in values.items()])

    def reset_in_child(self) -> None:
        """Forget everything."""
        self._sets = LabelSets(self._limit, lambda _: [], self._metric.name)
