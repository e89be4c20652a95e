"""All label sets of one configuration, and what each of them adds up to when an exporter asks.

Knows cells, caps and declarations; knows nothing of OpenTelemetry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import add
from typing import Any, cast

from infermeter import catalog, guard, models
from infermeter.cells import (
    CONFIDENCE_SUM,
    IN_FLIGHT,
    LATENCY_SUM,
    STATUS_SLOTS,
    ModelCell,
)
from infermeter.families import Family, Labels, Point
from infermeter.labels import Budget, LabelSets

ZERO_FROM_START = ("success", "error")


Recorder = Callable[[float, dict[str, str]], None]
"""Records a value under labels, in an instrument."""


class Slot:
    """Where one model version records: its cell, and the cells it had before its bounds changed; its label sets."""

    __slots__ = (
        *("_known", "cell", "declared", "key", "labels", "labels_of_info", "labels_of_model", "labels_of_status"),
        *("labels_of_bins", "past"),
    )

    def __init__(self, cell: ModelCell, model: str, version: str) -> None:
        self.cell = cell
        self.past: list[ModelCell] = []
        self.key = (model, version)
        self.labels = Labels(model_name=model, model_version=version)
        self.labels_of_model = Labels(model_name=model)
        self.labels_of_status = [
            (index, status in ZERO_FROM_START, Labels(self.labels, status=status))
            for status, index in STATUS_SLOTS.items()
        ]
        self.labels_of_bins: list[Labels] = []
        self._known: dict[tuple[str, str], Labels] = {}
        self.declare(None)

    def labels_with(self, name: str, value: str, **others: str) -> Labels:
        """Return the labels of the model version with a further one that takes few values, always the same object."""
        labels = self._known.get((name, value))
        if labels is None:
            labels = self._known[name, value] = Labels({**self.labels, **others, name: value})
        return labels

    def declare(self, declared: models.Declaration | None) -> None:
        """Take over what ``model_info`` shows of a declaration."""
        self.declared = declared
        framework, reference = (declared.framework, declared.reference) if declared is not None else ("", "")
        self.labels_of_info = Labels(self.labels, framework=framework, reference=reference)


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
        self._feature_values = Budget(series_limit)
        self._admits_class = _admission(class_limit, self._feature_values)
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
        model, version = key
        return Slot(self._new_cell(model, version), model, version)

    def _new_cell(self, model: str, version: str) -> ModelCell:
        return ModelCell(
            models.bounds_of(model, version, self._latency_bounds_s),
            catalog.CONFIDENCE.bounds,
            classes=models.declaration_of(model, version).classes,
            admits_class=self._admits_class,
            admits_error=self._admits_error,
            on_new=self._on_new,
        )

    def slots(self) -> list[Slot]:
        """Return everything held."""
        return self._models.values()

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
        return [*readings.recorded(), *readings.states()]

    def states(self) -> list[Family]:
        """Return what is a state rather than a sum: in flight, SLA, info."""
        return self._readings().states()

    def series(self) -> int:
        """Return the number of label sets under the fullest name."""
        return max((len(family.points) for family in self._readings().recorded()), default=0)

    def _readings(self) -> _Readings:
        return _Readings(self._models.values(), self._labels_of_bins)

    def _labels_of_bins(self, slot: Slot) -> list[Labels]:
        """Return the label sets of a version's confidence as a feature; none where the name has no places left."""
        if not slot.labels_of_bins and (
            self._models.is_declared(slot.key) or self._feature_values.take(len(catalog.BIN_NAMES))
        ):
            slot.labels_of_bins = [
                Labels(slot.labels, feature=catalog.CONFIDENCE_FEATURE, bin=name) for name in catalog.BIN_NAMES
            ]
        return slot.labels_of_bins


def _admission(limit: int, budget: Budget) -> Callable[[int], bool]:
    """Return the question whether one more value may be kept apart: within its model's limit and the name's."""
    return lambda known: known < limit and budget.take()


class _Readings:
    """All model versions as they stand now, summed over their threads and past cells."""

    def __init__(self, slots: list[Slot], labels_of_bins: Callable[[Slot], list[Labels]]) -> None:
        self._labels_of_bins = labels_of_bins
        self.latency: list[Point] = []
        self.requests: list[Point] = []
        self.confidence: dict[str, Point] = {}
        self.exceptions: list[Point] = []
        self.classes: list[Point] = []
        self.bins: list[Point] = []
        self.in_flight: list[Point] = []
        self.info: list[Point] = []
        self.slas: dict[str, Point] = {}
        self._declared, self._slas = models.declared(), models.slas()
        for slot in slots:
            self._read(slot)

    def _read(self, slot: Slot) -> None:
        cell = slot.cell
        sums, predicted, errors = cell.shards.total(), cell.classes.total(), cell.errors.total()
        counts, confidences = cell.split(sums)
        start_ns = cell.start_ns
        self.latency.append(_point(Point, (slot.labels, start_ns, sums[LATENCY_SUM], counts, cell.latency_bounds)))
        if slot.past:
            start_ns = slot.past[0].start_ns
            for past in slot.past:
                before = past.shards.total()
                for index in (CONFIDENCE_SUM, IN_FLIGHT, *STATUS_SLOTS.values()):
                    sums[index] += before[index]
                confidences = _added(confidences, past.split(before)[1])
                _count_in(predicted, past.classes.total())
                _count_in(errors, past.errors.total())
        for index, from_start, labels in slot.labels_of_status:
            if from_start or sums[index]:
                self.requests.append(_point(Point, (labels, start_ns, sums[index], (), ())))
        if any(confidences):  # a model without any has no series
            self._merge_confidence(slot.labels_of_model, start_ns, sums[CONFIDENCE_SUM], confidences)
            # Once more as a feature, which knows the version and is compared with references.
            for labels, count in zip(self._labels_of_bins(slot), confidences):  # noqa: B905  there may be none
                self.bins.append(_point(Point, (labels, start_ns, count, (), ())))
        for error_type, count in errors.items():
            self.exceptions.append(Point(slot.labels_with("error_type", error_type), start_ns, count))
        for label, count in predicted.items():
            labels = slot.labels_with("bin", label, feature=catalog.PREDICTION)
            self.classes.append(Point(labels, start_ns, count))
        self.in_flight.append(_point(Point, (slot.labels, start_ns, sums[IN_FLIGHT], (), ())))
        declared = self._declared.get(slot.key)
        if declared is not slot.declared:
            slot.declare(declared)
        self.info.append(_point(Point, (slot.labels_of_info, start_ns, 1, (), ())))
        if self._slas:
            sla_s = self._slas.get(slot.key[0])
            if sla_s is not None:
                self.slas[slot.key[0]] = Point(slot.labels_of_model, start_ns, sla_s)

    def _merge_confidence(self, labels: Labels, start_ns: int, value: float, counts: tuple[int, ...]) -> None:
        """Add a version to its model: confidence carries no version."""
        model = labels["model_name"]
        known = self.confidence.get(model)
        if known is not None:
            labels_, start_ns = known.labels, min(known.start_ns, start_ns)
            value, counts = known.value + value, _added(known.counts, counts)
            self.confidence[model] = Point(labels_, start_ns, value, counts, catalog.CONFIDENCE.bounds)
        else:
            self.confidence[model] = _point(Point, (labels, start_ns, value, counts, catalog.CONFIDENCE.bounds))

    def recorded(self) -> list[Family]:
        """Return what was recorded."""
        return _filled(
            (catalog.LATENCY, self.latency),
            (catalog.REQUESTS, self.requests),
            (catalog.CONFIDENCE, list(self.confidence.values())),
            (catalog.EXCEPTIONS, self.exceptions),
            (catalog.FEATURE_VALUES, self.classes),
        )

    def states(self) -> list[Family]:
        """Return what is a state rather than a sum, and what instruments do not hold."""
        states = _filled(
            (catalog.IN_FLIGHT, self.in_flight), (catalog.INFO, self.info), (catalog.SLA, list(self.slas.values()))
        )
        return [*states, Family(catalog.FEATURE_VALUES, self.bins, declared=True)] if self.bins else states


def _filled(*families: tuple[catalog.Metric, list[Point]]) -> list[Family]:
    return [Family(metric, points) for metric, points in families if points]


_point: Callable[[type[Point], tuple[object, ...]], Point] = cast("Any", tuple).__new__
"""Makes a point in half the time of its own constructor; an export makes one for each label set."""


def _added(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(add, left, right))


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
