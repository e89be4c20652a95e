"""All label sets of one configuration, and what each of them adds up to when an exporter asks.

Knows cells, caps and declarations; knows nothing of OpenTelemetry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from infermeter import catalog, guard, models
from infermeter.cells import (
    CONFIDENCE_SUM,
    IN_FLIGHT,
    LATENCY_SUM,
    STATUS_SLOTS,
    ModelCell,
    Shard,
)
from infermeter.families import Family, Point
from infermeter.labels import Budget, LabelSets

ZERO_FROM_START = ("success", "error")


Recorder = Callable[[float, dict[str, str]], None]
"""Records a value under labels, in an instrument."""


class Slot:
    """Where one model version records: its cell, and the cells it had before its bounds changed."""

    __slots__ = ("cell", "past")

    def __init__(self, cell: ModelCell) -> None:
        self.cell = cell
        self.past: list[ModelCell] = []


class Registry:
    """Cells by model version.

    Args:
        latency_bounds_s: Bounds of models that declare none.
        series_limit: Label sets kept apart per metric name.
        class_limit: Predicted classes kept apart per model version.
        error_type_limit: Exception classes kept apart per model version.
        on_new: Called when a thread records into a cell for the first time.
    """

    def __init__(
        self,
        *,
        latency_bounds_s: tuple[float, ...],
        series_limit: int,
        class_limit: int,
        error_type_limit: int,
        on_new: Callable[[], None],
    ) -> None:
        self._latency_bounds_s, self._on_new = latency_bounds_s, on_new
        # A model version may take one label set per status under one name.
        versions = max(1, series_limit // len(catalog.STATUSES))
        self._models: LabelSets[Slot] = LabelSets(versions, self._new_slot, "model")
        self._admits_class = _admission(class_limit, Budget(series_limit))
        self._admits_error = _admission(error_type_limit, Budget(series_limit))

    def slot(self, model: str, version: str) -> Slot:
        """Return where a model version records; past the cap that is the overflow."""
        return self._models.get((model, version))

    def declare(self, declaration: models.Declaration) -> bool:
        """Take a declaration in: the slot exists from now on, with the declared bounds and classes.

        Returns:
            Whether a cell was replaced, so that whoever holds it must look it up again.
        """
        slot = self._models.declare((declaration.model, declaration.version))
        slot.cell.classes.declare(declaration.classes)
        replaced = False
        for (model, version), other in self._models.items():
            if model == declaration.model:
                replaced |= self._renew(model, version, other)
        return replaced

    def _renew(self, model: str, version: str, slot: Slot) -> bool:
        """Give a slot a new cell if its bounds are out of date; all its totals but the latency buckets are kept."""
        old = slot.cell
        if models.bounds_of(model, version, self._latency_bounds_s) == old.latency_bounds:
            return False
        slot.past.append(old)
        slot.cell = self._new_cell(model, version)
        slot.cell.classes.declare(list(old.classes.total()))
        if any(old.split(old.shards.total())[0]):
            guard.log_once(
                "bounds",
                model,
                "the latency bounds of model %r changed after it had recorded; its latency histogram starts again at 0",
                model,
            )
        return True

    def _new_slot(self, key: tuple[str, ...]) -> Slot:
        return Slot(self._new_cell(*key))

    def _new_cell(self, model: str, version: str) -> ModelCell:
        return ModelCell(
            models.bounds_of(model, version, self._latency_bounds_s),
            catalog.CONFIDENCE.bounds,
            classes=models.declaration_of(model, version).classes,
            admits_class=self._admits_class,
            admits_error=self._admits_error,
            on_new=self._on_new,
        )

    def names(self) -> list[tuple[str, ...]]:
        """Return model and version of everything held."""
        return [key for key, _ in self._models.items()]

    def __len__(self) -> int:
        """Return the number of model versions held."""
        return len(self._models)

    def reset_in_child(self) -> None:
        """Start from zero in a forked child."""
        for slot in self._models.values():
            slot.past = []
            slot.cell.reset_in_child()

    def recorder(self, metric: catalog.Metric) -> Recorder | None:  # noqa: ARG002  other registries look at it
        """Return what histograms of rooms record through; None where they count in cells."""
        return None

    def collect(self) -> list[Family]:
        """Sum everything as it stands now: what was recorded, and what is a state."""
        readings = self._readings()
        return [*_recorded(readings), *_states(readings)]

    def states(self) -> list[Family]:
        """Return what is a state rather than a sum: in flight, SLA, info."""
        return _states(self._readings())

    def series(self) -> int:
        """Return the number of label sets under the fullest name."""
        return max((len(family.points) for family in _recorded(self._readings())), default=0)

    def _readings(self) -> list[_Reading]:
        return [_Reading(model, version, slot) for (model, version), slot in self._models.items()]


def _admission(limit: int, budget: Budget) -> Callable[[int], bool]:
    """Return the question whether one more value may be kept apart: within its model's limit and the name's."""
    return lambda known: known < limit and budget.take()


class _Reading:
    """One model version, summed over its threads and its past cells."""

    def __init__(self, model: str, version: str, slot: Slot) -> None:
        self.cell = slot.cell
        self.labels = {"model_name": model, "model_version": version}
        cells = [*slot.past, slot.cell]
        self.start_ns = cells[0].start_ns
        self.sums: Shard = slot.cell.shards.total()
        self.class_counts, self.error_counts = slot.cell.classes.total(), slot.cell.errors.total()
        self.latency_counts, self.confidence_counts = slot.cell.split(self.sums)
        self.latency_sum = self.sums[LATENCY_SUM]
        for past in slot.past:
            sums = past.shards.total()
            for index in (CONFIDENCE_SUM, IN_FLIGHT, *STATUS_SLOTS.values()):
                self.sums[index] += sums[index]
            self.confidence_counts = _added(self.confidence_counts, past.split(sums)[1])
            _count_in(self.class_counts, past.classes.total())
            _count_in(self.error_counts, past.errors.total())

    def latency(self) -> Point:
        counts = tuple(int(count) for count in self.latency_counts)
        return Point(self.labels, self.cell.start_ns, self.latency_sum, counts, self.cell.latency_bounds)

    def requests(self) -> Iterable[Point]:
        for status, index in STATUS_SLOTS.items():
            count = self.sums[index]
            if count or status in ZERO_FROM_START:
                yield Point({**self.labels, "status": status}, self.start_ns, count)

    def confidence_bins(self) -> Iterable[Point]:
        """Yield the confidence as a feature of the version, which its histogram does not tell apart."""
        for index, count in enumerate(self.confidence_counts):
            labels = {**self.labels, "feature": catalog.CONFIDENCE_FEATURE, "bin": catalog.BIN_NAMES[index]}
            yield Point(labels, self.start_ns, count)

    def exceptions(self) -> Iterable[Point]:
        for error_type, count in self.error_counts.items():
            yield Point({**self.labels, "error_type": error_type}, self.start_ns, count)

    def classes(self) -> Iterable[Point]:
        for label, count in self.class_counts.items():
            yield Point({**self.labels, "feature": catalog.PREDICTION, "bin": label}, self.start_ns, count)


def _recorded(readings: list[_Reading]) -> list[Family]:
    families = [
        Family(catalog.LATENCY, [reading.latency() for reading in readings]),
        Family(catalog.REQUESTS, [point for reading in readings for point in reading.requests()]),
        Family(catalog.CONFIDENCE, _confidences(readings)),
        Family(catalog.EXCEPTIONS, [point for reading in readings for point in reading.exceptions()]),
        Family(catalog.FEATURE_VALUES, [point for reading in readings for point in reading.classes()]),
    ]
    return [family for family in families if family.points]


def _states(readings: list[_Reading]) -> list[Family]:
    in_flight: list[Point] = []
    info: list[Point] = []
    slas: dict[str, Point] = {}
    for reading in readings:
        in_flight.append(Point(reading.labels, reading.start_ns, reading.sums[IN_FLIGHT]))
        model, version = reading.labels["model_name"], reading.labels["model_version"]
        declared = models.declaration_of(model, version)
        info.append(
            Point(
                {**reading.labels, "framework": declared.framework, "reference": declared.reference},
                reading.start_ns,
                1,
            )
        )
        sla_s = models.sla_of(model)
        if sla_s is not None:
            slas[model] = Point({"model_name": model}, reading.start_ns, sla_s)
    families = [
        Family(catalog.IN_FLIGHT, in_flight),
        Family(catalog.INFO, info),
        Family(catalog.SLA, list(slas.values())),
        Family(
            catalog.FEATURE_VALUES,
            [point for reading in readings if any(reading.confidence_counts) for point in reading.confidence_bins()],
            declared=True,
        ),
    ]
    return [family for family in families if family.points]


def _confidences(readings: list[_Reading]) -> list[Point]:
    """Merge the versions of each model: confidence carries no version. A model without any has no series."""
    merged: dict[str, Point] = {}
    for reading in readings:
        if not any(reading.confidence_counts):
            continue
        model = reading.labels["model_name"]
        counts = tuple(int(count) for count in reading.confidence_counts)
        point = Point(
            {"model_name": model}, reading.start_ns, reading.sums[CONFIDENCE_SUM], counts, catalog.CONFIDENCE.bounds
        )
        known = merged.get(model)
        if known is not None:
            point = point._replace(
                start_ns=min(known.start_ns, point.start_ns),
                value=known.value + point.value,
                counts=tuple(a + b for a, b in zip(known.counts, point.counts, strict=True)),
            )
        merged[model] = point
    return list(merged.values())


def _added(left: list[float], right: list[float]) -> list[float]:
    return [a + b for a, b in zip(left, right, strict=True)]


def _count_in(into: dict[str, int], counts: Mapping[str, int]) -> None:
    for key, count in counts.items():
        into[key] = into.get(key, 0) + count


def dropped() -> Family:
    """Return what the SDK could not record, by place and reason."""
    points = [
        Point({"where": where, "reason": reason}, cell.start_ns, cell.total())
        for (where, reason), cell in guard.drops().items()
    ]
    return Family(catalog.DROPPED, points)
