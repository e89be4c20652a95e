"""The other recorder: the same calls, through plain OpenTelemetry instruments of a provider.

Slower by far, but Views and foreign readers see every measurement. Also the oracle that the cells are tested against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from infermeter import catalog
from infermeter.cells import IN_FLIGHT, LAST_TIMED, STATUS_SLOTS, SUCCESS, CountedValues, ModelCell, Shard, StatusIndex
from infermeter.families import Family
from infermeter.registry import ZERO_FROM_START, Recorder, Registry
from infermeter.version import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, MeterProvider, Observation

_STATUS_NAMES = {index: status for status, index in STATUS_SLOTS.items()}


class Instruments:
    """The instruments of one provider, each made once from its catalogue entry."""

    def __init__(self, provider: MeterProvider) -> None:
        self._provider = provider
        self._meter: Meter = provider.get_meter("infermeter", __version__)
        self._histograms: dict[tuple[str, tuple[float, ...]], Histogram] = {}
        self.requests = self._counter(catalog.REQUESTS)
        self.exceptions = self._counter(catalog.EXCEPTIONS)
        self.feature_values = self._counter(catalog.FEATURE_VALUES)

    def _counter(self, metric: catalog.Metric) -> Counter:
        return self._meter.create_counter(metric.name, metric.unit, metric.help)

    def histogram(self, metric: catalog.Metric, bounds: tuple[float, ...]) -> Histogram:
        """Return the histogram with these bounds; models with other bounds record under the same name."""
        key = (metric.name, bounds)
        if key not in self._histograms:
            # A meter holds one histogram of a name and ignores other bounds; a scope attribute gives one meter each.
            meter = self._meter if bounds == metric.bounds else self._meter_for(bounds)
            self._histograms[key] = meter.create_histogram(
                metric.name, metric.unit, metric.help, explicit_bucket_boundaries_advisory=list(bounds)
            )
        return self._histograms[key]

    def _meter_for(self, bounds: tuple[float, ...]) -> Meter:
        text = ",".join(str(bound) for bound in bounds)
        return self._provider.get_meter("infermeter", __version__, attributes={"bounds": text})

    def observe(
        self,
        metrics: Iterable[catalog.Metric],
        families: Callable[[], Iterable[Family]],
        meter: Meter | None = None,
    ) -> None:
        """Make observable instruments that read state when a reader collects."""
        meter = meter or self._meter
        for metric in metrics:
            create = meter.create_observable_counter if metric.kind == "counter" else meter.create_observable_gauge
            create(metric.name, [_reading(metric, families)], metric.unit, metric.help)

    def observe_beside(self, metric: catalog.Metric, families: Callable[[], Iterable[Family]]) -> None:
        """Observe what rooms count under a name that calls record too: a meter holds one instrument of a name."""
        self.observe(
            [metric], families, self._provider.get_meter("infermeter", __version__, attributes={"of": "rooms"})
        )


def _is_observable(metric: catalog.Metric) -> bool:
    """Return whether an observable instrument can show a metric: no histogram, and nothing that leaves as a delta."""
    return metric.kind != "histogram" and not metric.delta and metric is not catalog.SDK_INFO


def _reading(
    metric: catalog.Metric, families: Callable[[], Iterable[Family]]
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    from opentelemetry.metrics import Observation

    def read(_: CallbackOptions) -> Iterable[Observation]:
        for family in families():
            if family.metric == metric:
                return [Observation(point.value, dict(point.labels)) for point in family.points]
        return []

    return read


class InstrumentRegistry(Registry):
    """A registry whose cells count only calls in flight and hand everything else to instruments."""

    _instruments: Instruments | None = None

    def connect(self, provider: MeterProvider, state: Callable[[], Iterable[Family]]) -> None:
        """Record through this provider from now on.

        Args:
            provider: Makes the instruments.
            state: What is not recorded per call; becomes observable instruments.
        """
        self._instruments = Instruments(provider)
        recorded = (catalog.LATENCY, catalog.REQUESTS, catalog.CONFIDENCE, catalog.EXCEPTIONS, catalog.FEATURE_VALUES)
        # infermeter_info is observable with every recorder: the pipeline makes it.
        observed = [m for m in catalog.CATALOG if m not in recorded and _is_observable(m)]
        self._instruments.observe(observed, state)
        self._instruments.observe_beside(catalog.FEATURE_VALUES, state)
        for (model, version), slot in self._models.items():
            slot.cell = self._new_cell(model, version)

    def recorder(self, metric: catalog.Metric) -> Recorder | None:
        """Return what records a value of a histogram with its labels."""
        return None if self._instruments is None else self._instruments.histogram(metric, metric.bounds).record

    def collect(self) -> list[Family]:
        """Return nothing: what is recorded is in the instruments."""
        return []

    def reset_in_child(self) -> None:
        """Start from zero in a forked child: inherited instruments, whose locks may be held, are not touched again."""
        self._instruments = None
        for (model, version), slot in self._models.items():
            old, plain = slot.cell, self._new_cell(model, version)
            # Calls that were under way at the fork hold the old cell.
            old.leave, old.succeed, old.confidence, old.record = (
                plain.leave,
                plain.succeed,
                plain.confidence,
                plain.record,
            )
            old.classes, old.errors = plain.classes, plain.errors
            old.reset_in_child()
            slot.cell = plain

    def _new_cell(self, model: str, version: str) -> ModelCell:
        cell = super()._new_cell(model, version)
        if self._instruments is not None:
            _divert(cell, self._instruments, model, version)
        return cell


class _InstrumentedValues(CountedValues):
    """Caps values as ever, counts them in an instrument."""

    __slots__ = ("_counter", "_key", "_labels")

    def __init__(
        self, declared: Sequence[str], admit: Callable[[int], bool], counter: Counter, labels: dict[str, str], key: str
    ) -> None:
        super().__init__(declared, admit)
        self._counter, self._labels, self._key = counter, labels, key
        self.declare(declared)

    def declare(self, values: Sequence[str]) -> None:
        super().declare(values)
        for value in values:
            self._counter.add(0, {**self._labels, self._key: value})

    def add(self, value: str, amount: int = 1) -> bool:
        kept = super().add(value, amount)  # not exported; says which label sets there are
        self._counter.add(amount, {**self._labels, self._key: value if kept else catalog.OVERFLOW})
        return kept


def _divert(cell: ModelCell, instruments: Instruments, model: str, version: str) -> None:
    """Make a cell's functions record through instruments."""
    labels = {"model_name": model, "model_version": version}
    by_status = {index: {**labels, "status": status} for index, status in _STATUS_NAMES.items()}
    of_model = {"model_name": model}
    latency = instruments.histogram(catalog.LATENCY, cell.latency_bounds)
    confidences = instruments.histogram(catalog.CONFIDENCE, cell.confidence_bounds)
    requests = instruments.requests
    for status in ZERO_FROM_START:
        requests.add(0, {**labels, "status": status})

    def leave(shard: Shard, latency_s: float, status: StatusIndex) -> None:
        shard[IN_FLIGHT] -= 1
        shard[status] += 1  # not exported; says which label sets there are
        if status <= LAST_TIMED:
            latency.record(latency_s, labels)
        requests.add(1, by_status[status])

    count_confidence = cell.confidence  # stays in the cell: what its bins as a feature are read from

    def observe(value: float) -> None:
        count_confidence(value)
        confidences.record(value, of_model)

    def succeed(shard: Shard, latency_s: float, confidence: float) -> None:
        leave(shard, latency_s, SUCCESS)
        observe(confidence)

    def record(latency_s: float, confidence: float | None = None, status: StatusIndex = SUCCESS) -> bool:
        if not 0.0 <= latency_s < float("inf") or (confidence is not None and not 0.0 <= confidence <= 1.0):
            return False
        cell.shards.mine()[status] += 1
        if status <= LAST_TIMED:
            latency.record(latency_s, labels)
        requests.add(1, by_status[status])
        if confidence is not None:
            observe(confidence)
        return True

    cell.leave, cell.succeed, cell.confidence, cell.record = leave, succeed, observe, record
    predicted = {**labels, "feature": catalog.PREDICTION}
    cell.classes = _InstrumentedValues(
        list(cell.classes.total()), cell.classes.admits, instruments.feature_values, predicted, "bin"
    )
    cell.errors = _InstrumentedValues((), cell.errors.admits, instruments.exceptions, labels, "error_type")
