"""What one configuration has counted about features, next to the references they are compared with.

References are declared, often before ``configure()``, and outlive any configuration; counts belong to one. Knows
nothing of rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from infermeter import catalog, clock, models, runtime
from infermeter.cells import CountsCell
from infermeter.drift.features import reference_ratios
from infermeter.drift.layout import Layout
from infermeter.drift.reference import DriftReference
from infermeter.errors import ConfigError
from infermeter.families import Family, Labels, Point

Key = tuple[str, str]


class Monitored(NamedTuple):
    """One model version with its reference."""

    layout: Layout
    reference: DriftReference
    value_labels: list[Labels]
    """Labels of each slot of the layout; made once, exported many times."""
    ratios: list[Point]
    samples: list[Point]


class Observer(Protocol):
    """Whoever counts the inputs of one model version."""

    def observe(self, row: Any, /) -> None:
        """Count one row."""

    def observe_batch(self, rows: Any, /) -> None:
        """Count many rows."""


_monitored: dict[Key, Monitored] = {}
_observers: dict[Key, Observer] = {}


def declare(key: Key, layout: Layout, reference: DriftReference) -> None:
    """Export the bins of a model version from 0, and its reference, from now on.

    Raises:
        ConfigError: The model version has another reference already.
    """
    known = _monitored.get(key)
    if known is not None and known.reference.hash != reference.hash:
        model, version = key
        raise ConfigError(
            f"model {model!r}, version {version!r}, is monitored against the reference {known.reference.hash}; counts "
            f"against {reference.hash} cannot be added to them: give the model with the new reference its own version"
        )
    if known is None:
        _monitored[key] = _monitor(key, layout, reference)
    models.declare(*key, classes=reference.classes, reference=reference.hash)
    runtime.open_always(DriftRoom)


def attach(key: Key, observer: Observer) -> None:
    """Let others find who counts the inputs of a model version; the last one made is found."""
    _observers[key] = observer


def observer(key: Key) -> Observer | None:
    """Return who counts the inputs of a model version."""
    return _observers.get(key)


def _monitor(key: Key, layout: Layout, reference: DriftReference) -> Monitored:
    of_model: dict[str, str] = dict(zip(catalog.MODEL, key, strict=True))
    start_ns = clock.unix_ns()
    value_labels: list[Labels] = []
    ratios: list[Point] = []
    samples: list[Point] = []
    for feature in reference.features:
        labels = [Labels(of_model, feature=feature.name, bin=name) for name in feature.bins]
        if feature in layout.inputs:  # the reserved ones are counted with the calls
            value_labels += labels
        # Labels of their own: exporters keep on a label set what they made of it for one name.
        ratios += [
            Point(Labels(of_bin), start_ns, ratio)
            for of_bin, ratio in zip(labels, reference_ratios(feature), strict=True)
        ]
        samples.append(Point(Labels(of_model, feature=feature.name), start_ns, sum(feature.counts)))
    return Monitored(layout, reference, value_labels, ratios, samples)


class DriftRoom:
    """Counts of every monitored model version in one configuration."""

    def __init__(self, telemetry: runtime.Telemetry) -> None:
        self._on_new = telemetry.on_new
        self._cells: dict[Key, CountsCell] = {}

    def cell(self, key: Key) -> CountsCell:
        """Return where a model version counts."""
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells.setdefault(key, CountsCell(_monitored[key].layout.width, self._on_new))  # atomic
        return cell

    def families(self) -> Iterable[Family]:
        """Return everything as it stands now."""
        values: list[Point] = []
        ratios: list[Point] = []
        samples: list[Point] = []
        for key, monitored in list(_monitored.items()):
            cell = self.cell(key)
            start_ns, counts = cell.start_ns, cell.shards.total()
            values += [
                Point(labels, start_ns, count) for labels, count in zip(monitored.value_labels, counts, strict=True)
            ]
            ratios += monitored.ratios
            samples += monitored.samples
        return [
            Family(catalog.FEATURE_VALUES, values, declared=True),
            Family(catalog.REFERENCE_RATIO, ratios, declared=True),
            Family(catalog.REFERENCE_SAMPLES, samples, declared=True),
        ]

    def reset_in_child(self) -> None:
        """Start from zero in a forked child."""
        for cell in self._cells.values():
            cell.reset_in_child()


def forget() -> None:
    """Forget what is monitored; for tests."""
    _monitored.clear()
    _observers.clear()
