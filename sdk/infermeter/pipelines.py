"""``pipeline_run``: jobs that prepare features or models: did the last run succeed, when, how long, on data how old?

A job may live for less than a second and end by a signal; what it counted leaves all the same. Knows nothing of what a
job does.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, TypeVar, cast

from infermeter import catalog, clock, guard, runtime
from infermeter.errors import ConfigError
from infermeter.families import Family
from infermeter.labels import label_value
from infermeter.tables import Counters, Gauges

F = TypeVar("F", bound=Callable[..., Any])

_current: ContextVar[PipelineRun | None] = ContextVar("infermeter_run", default=None)


class PipelineRoom:
    """What one configuration knows about pipelines, and the runs that are under way."""

    def __init__(self, telemetry: runtime.Telemetry) -> None:
        limit = telemetry.settings.series_limit
        self.runs = Counters(catalog.PIPELINE_RUNS, limit, telemetry.on_new)
        self.gauges = {
            metric.name: Gauges(metric, limit)
            for metric in (
                catalog.PIPELINE_DURATION,
                catalog.PIPELINE_LAST_SUCCESS,
                catalog.PIPELINE_DATA_TIME,
                catalog.PIPELINE_INTERVAL,
                catalog.PIPELINE_MAX_DATA_AGE,
                catalog.PIPELINE_MAX_DURATION,
            )
        }
        self.under_way: dict[PipelineRun, None] = {}
        self.soon = telemetry.ticker.soon
        if _end_all not in runtime.before_end:
            runtime.before_end.append(_end_all)

    def families(self) -> Iterable[Family]:
        """Return everything as it stands now."""
        return [self.runs.family(), *(gauges.family() for gauges in self.gauges.values())]

    def reset_in_child(self) -> None:
        """Start from zero; runs that are under way belong to the parent."""
        self.under_way = {}
        self.runs.reset_in_child()
        for gauges in self.gauges.values():
            gauges.reset_in_child()


class PipelineRun:
    """One run: a ``with`` block around it, or each call of a function it decorates. Nothing here raises."""

    __slots__ = ("_data_s", "_declared", "_pipeline", "_room", "_started_s")

    def __init__(self, pipeline: str, declared: dict[str, float]) -> None:
        self._pipeline, self._declared = pipeline, declared
        self._room: PipelineRoom | None = None
        self._data_s: float | None = None
        self._started_s = 0.0

    def __enter__(self) -> PipelineRun:
        """Begin a run; one object measures one run at a time."""
        self._data_s = self._room = None
        telemetry = runtime.live
        if telemetry is not None:
            with guard.guard("pipeline"):
                room = telemetry.room(PipelineRoom)
                for status in catalog.RUN_STATUSES:
                    room.runs.cell((self._pipeline, status)).add(0)
                for name, value in self._declared.items():
                    room.gauges[name].set((self._pipeline,), value)
                room.under_way[self] = None
                self._room = room
        self._started_s = clock.monotonic_s()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End the run; an exception passes. ``sys.exit()`` and ``sys.exit(0)`` are a success."""
        self.end(succeeded=error is None or (isinstance(error, SystemExit) and error.code in (None, 0)))

    def data_as_of(self, time: datetime | float) -> None:
        """Say how new the data is; shown once the run has succeeded.

        On the object that decorates a function it speaks of the call that is under way.

        Args:
            time: Event time of the newest record processed: a ``datetime`` (one without a zone is local time), a
                ``numpy.datetime64`` (UTC), or seconds since 1970.

        A value that is neither is dropped and counted.
        """
        with guard.guard("pipeline"):
            seconds = _unix_s(time)
            run = self if self._room is not None else _current.get()
            if seconds is None or not math.isfinite(seconds):
                guard.drop("pipeline", "data_time")
            elif run is not None:
                run._data_s = seconds  # noqa: SLF001  of this class

    def end(self, *, succeeded: bool) -> None:
        """Count the run as ended, once."""
        room, self._room = self._room, None
        if room is None or self not in room.under_way:
            return  # not configured, or in a child forked within the run, which belongs to the parent
        with guard.guard("pipeline"):
            key = (self._pipeline,)
            room.under_way.pop(self, None)
            room.gauges[catalog.PIPELINE_DURATION.name].set(key, clock.monotonic_s() - self._started_s)
            if succeeded:
                room.gauges[catalog.PIPELINE_LAST_SUCCESS.name].set(key, clock.unix_ns() / 1e9)
                if self._data_s is not None:
                    room.gauges[catalog.PIPELINE_DATA_TIME.name].set(key, self._data_s)
            room.runs.cell((self._pipeline, "success" if succeeded else "error")).add()
            room.soon()

    def __call__(self, func: F, /) -> F:
        """Wrap a function or coroutine function: each call is a run."""
        import inspect  # at decoration: it would add to the package's import time

        pipeline, declared = self._pipeline, self._declared
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise ConfigError(f"pipeline_run wraps functions and coroutine functions, got {func!r}")
        if inspect.iscoroutinefunction(func):

            async def call_async(*args: Any, **kwargs: Any) -> Any:
                with PipelineRun(pipeline, declared) as run, _as_current(run):
                    return await func(*args, **kwargs)

            return cast("F", functools.update_wrapper(call_async, func))

        def call(*args: Any, **kwargs: Any) -> Any:
            with PipelineRun(pipeline, declared) as run, _as_current(run):
                return func(*args, **kwargs)

        return cast("F", functools.update_wrapper(call, func))


def pipeline_run(
    pipeline: str,
    *,
    expected_interval_s: float | None = None,
    max_data_age_s: float | None = None,
    max_duration_s: float | None = None,
) -> PipelineRun:
    """Measure a run of a pipeline: success or error, duration, when it last succeeded, how old its data is.

    A context manager around a run, or a decorator of the function that is one::

        with infermeter.pipeline_run("features", expected_interval_s=86400) as run:
            run.data_as_of(build_features())

    What was counted leaves before the process ends: also after an exception, ``sys.exit`` and SIGTERM (a run that is
    under way then ended in an error). Only ``os._exit`` and SIGKILL outrun it: call ``infermeter.force_flush()`` before
    the first; the alert PipelineOverdue notices the second.

    Args:
        pipeline: Name, at most 128 characters; longer names are cut.
        expected_interval_s: Seconds within which it should succeed again. Default for the alert: a day.
        max_data_age_s: Age in seconds from which its newest data is stale. Default for the alert: a day.
        max_duration_s: Seconds a run should not exceed. Default for the alert: twice the usual.

    Raises:
        ConfigError: The name is empty, or a limit is not a finite number of seconds above 0.
    """
    name = label_value(pipeline)
    if not name:
        raise ConfigError("pipeline must be a name of at least one character, got an empty one")
    given = {
        "expected_interval_s": (catalog.PIPELINE_INTERVAL, expected_interval_s),
        "max_data_age_s": (catalog.PIPELINE_MAX_DATA_AGE, max_data_age_s),
        "max_duration_s": (catalog.PIPELINE_MAX_DURATION, max_duration_s),
    }
    declared: dict[str, float] = {}
    for argument, (metric, value) in given.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:  # pyright: ignore[reportUnnecessaryIsInstance]  # users without a checker
            raise ConfigError(f"{argument} must be a number of seconds above 0, got {value!r}")
        declared[metric.name] = float(value)
    return PipelineRun(name, declared)


@contextmanager
def _as_current(run: PipelineRun) -> Generator[None]:
    token = _current.set(run)
    try:
        yield
    finally:
        _current.reset(token)


def _end_all() -> None:
    """The process ends: a run that is under way will not succeed any more."""
    if runtime.live is not None:
        for run in list(runtime.live.room(PipelineRoom).under_way):
            run.end(succeeded=False)


def _unix_s(time: Any) -> float | None:
    """Return seconds since 1970, None for what is no time."""
    if type(time).__module__ == "numpy" and hasattr(time, "item"):
        kind = time.dtype.kind
        time = time.astype("datetime64[us]").item() if kind == "M" else time.item()
        if kind == "M":
            time = time and time.replace(tzinfo=timezone.utc)  # not-a-time gives None
    if isinstance(time, datetime):
        return time.timestamp()
    if isinstance(time, bool) or not isinstance(time, (int, float)):
        return None
    return float(time)
