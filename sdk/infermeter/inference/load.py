"""How loaded a model is: queue depth and time, batch size, batch limit, and why a batch was dispatched.

Limits and the sources of queue depths are declared, often before ``configure()``, and outlive any configuration; counts
belong to one. Knows nothing of single calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Real

from infermeter import catalog, guard, runtime
from infermeter.errors import ConfigError
from infermeter.families import Family
from infermeter.labels import label_value
from infermeter.tables import Counters, Gauges, Histograms

Depth = Callable[[], float]
Key = tuple[str, str]

_depths: dict[Key, Depth] = {}
_limits: dict[Key, int] = {}


class LoadRoom:
    """What one configuration has counted about load."""

    def __init__(self, telemetry: runtime.Telemetry) -> None:
        limit = telemetry.settings.series_limit
        self.sizes = Histograms(catalog.BATCH_SIZE, limit, telemetry.on_new, telemetry.recorder)
        self.waits = Histograms(catalog.QUEUE_TIME, limit, telemetry.on_new, telemetry.recorder)
        self.batches = Counters(catalog.BATCHES, limit, telemetry.on_new)
        self.depths = Gauges(catalog.QUEUE_DEPTH, limit)
        self._limits = Gauges(catalog.BATCH_LIMIT, limit)
        self.on_new = telemetry.on_new
        self.declare_batches()

    def declare_batches(self) -> None:
        """Export the batches of every declared limit from 0, so that the first of a kind is a rise."""
        for key in list(_limits):
            for reason in catalog.DISPATCH_REASONS:
                self.batches.cell((*key, reason))

    def families(self) -> Iterable[Family]:
        """Return everything as it stands now; asks each queue for its depth."""
        now: dict[tuple[str, ...], float] = {}
        for key, depth in list(_depths.items()):
            with guard.guard("queue_depth"):
                value = _at_least_0(depth(), "queue_depth")
                if value is not None:
                    now[key] = value
        limits: dict[tuple[str, ...], float] = {}
        limits.update(list(_limits.items()))
        return [
            self.sizes.family(),
            self.waits.family(),
            self.batches.family(),
            self.depths.family(now),
            self._limits.family(limits),
        ]

    def reset_in_child(self) -> None:
        """Start from zero; a depth that was set describes the parent's queue."""
        for table in (self.sizes, self.waits, self.batches, self.depths):
            table.reset_in_child()
        self.declare_batches()


def record_batch_size(model: str, size: int, *, version: str | None = None) -> None:
    """Record how many inputs one call of a model carried.

    Args:
        model: Model name as served, at most 128 characters; longer names are cut.
        size: Inputs in the batch, 1 or more.
        version: Model version; leave out to keep one series per model.

    Never raises. A size that is no number of at least 1 is dropped and counted.
    """
    telemetry = runtime.live
    if telemetry is None:
        return
    with guard.guard("batch_size"):
        number = _at_least_0(size, "batch_size")
        if number is not None and number < 1:
            guard.drop("batch_size", "out_of_range")
        elif number is not None:
            telemetry.room(LoadRoom).sizes.cell((label_value(model), label_value(version))).observe(number)


def record_queue_time(model: str, queue_time_s: float, *, version: str | None = None) -> None:
    """Record how long a request waited for its model.

    Args:
        model: Model name as served, at most 128 characters; longer names are cut.
        queue_time_s: Seconds from arrival to dispatch, 0 or more.
        version: Model version; leave out to keep one series per model.

    Never raises. A time that is no finite number of at least 0 is dropped and counted.
    """
    telemetry = runtime.live
    if telemetry is None:
        return
    with guard.guard("queue_time"):
        number = _at_least_0(queue_time_s, "queue_time")
        if number is not None:
            telemetry.room(LoadRoom).waits.cell((label_value(model), label_value(version))).observe(number)


def observe_queue_depth(model: str, depth: Depth | float, *, version: str | None = None) -> None:
    """Show how many requests wait for a model.

    Args:
        model: Model name as served, at most 128 characters; longer names are cut.
        depth: A function without arguments that is asked at each export, such as ``queue.qsize``, before or after
            ``configure()``; or a number, shown until the next one is given.
        version: Model version; leave out to keep one series per model.

    Never raises. A function that raises, or a depth that is no finite number of at least 0, is dropped and counted. A
    function given again for the same model version takes the first one's place.
    """
    with guard.guard("queue_depth"):
        key = (label_value(model), label_value(version))
        if callable(depth):
            _depths[key] = depth
            runtime.open_always(LoadRoom)
            return
        telemetry = runtime.live
        number = _at_least_0(depth, "queue_depth")
        if telemetry is not None and number is not None:
            room = telemetry.room(LoadRoom)
            room.depths.set(key, number)
            room.on_new()


def set_batch_limit(model: str, limit: int, *, version: str | None = None) -> None:
    """Say how many inputs one call of a model may carry at most; before or after ``configure()``.

    Args:
        model: Model name as served, at most 128 characters; longer names are cut.
        limit: Inputs, 1 or more.
        version: Model version; leave out to keep one series per model.

    Raises:
        ConfigError: The limit is not a whole number of at least 1.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:  # pyright: ignore[reportUnnecessaryIsInstance]  # users without a checker
        raise ConfigError(f"limit must be a whole number of inputs, 1 or more, got {limit!r}")
    _limits[label_value(model), label_value(version)] = limit
    runtime.open_always(LoadRoom)
    if runtime.live is not None:
        runtime.live.room(LoadRoom).declare_batches()


def _at_least_0(value: object, where: str) -> float | None:
    """Return a usable number, or None after counting why it is not one."""
    if isinstance(value, bool) or not isinstance(value, Real):
        guard.drop(where, "none" if value is None else "type")
        return None
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if 0.0 <= number < float("inf"):
        return number
    guard.drop(where, "out_of_range" if number - number == 0.0 else "not_finite")
    return None


def forget() -> None:
    """Forget limits and queues; for tests."""
    _depths.clear()
    _limits.clear()
