"""For users' tests: what an application recorded, as plain numbers, with nothing exported.

pytest loads this module as a plugin and offers the fixture ``captured_metrics``; elsewhere use ``capture()``.
Imports no OpenTelemetry by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import pytest

from infermeter import guard, runtime
from infermeter.families import Family, Point


class CapturedMetrics:
    """What the live configuration has recorded, read at the time of asking."""

    def __init__(self, families: Callable[[], list[Family]]) -> None:
        self.families = families

    def points(self, name: str, **labels: str) -> list[Point]:
        """Return the label sets of a metric that carry these labels, empty if there are none."""
        return [
            point
            for family in self.families()
            if family.metric.name == name
            for point in family.points
            if labels.items() <= point.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum over matching label sets: a counter's count, a gauge's value, a histogram's sum."""
        return sum(point.value for point in self.points(name, **labels))

    def count(self, name: str, **labels: str) -> int:
        """Return how many observations matching label sets of a histogram hold."""
        return sum(sum(point.counts) for point in self.points(name, **labels))


@contextmanager
def capture(*, strict: bool = True) -> Generator[CapturedMetrics]:
    """Record for the length of a block and export nothing; afterwards nothing is configured.

    Args:
        strict: Raise what would be swallowed in production: an extractor that fails, for example. At the place where it
            happens, and at the end of the block for what happened on our own thread.

    Raises:
        Exception: Whatever was swallowed, if ``strict``.
    """
    ours: list[Exception] = []

    def on_swallowed(_: str, error: Exception) -> None:
        if threading.current_thread().name == "infermeter":
            ours.append(error)
        else:
            raise error

    before, guard.on_swallowed = guard.on_swallowed, on_swallowed if strict else guard.on_swallowed
    guard.forget()
    own = runtime.configure(exporter="none", recorder="cells", handle_sigterm=False, disabled=False)

    def families() -> list[Family]:
        # An application that configures itself within the block has replaced what was configured here.
        return (runtime.live or own).families()

    try:
        yield CapturedMetrics(families)
    finally:
        runtime.shutdown()
        guard.on_swallowed = before
    if ours:
        raise ours[0]


@pytest.fixture
def captured_metrics() -> Iterator[CapturedMetrics]:
    """What the test recorded through infermeter; errors that production would swallow fail the test."""
    with capture() as captured:
        yield captured
