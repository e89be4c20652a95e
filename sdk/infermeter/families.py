"""What one collection hands to an exporter: catalogue entries with the values of their label sets.

Plain data between those who count and those who export; knows neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from infermeter import clock
from infermeter.catalog import Metric


class Point(NamedTuple):
    """One label set of a family as it stands now: a number, or bucket counts with their sum."""

    labels: Mapping[str, str]
    start_ns: int
    value: float
    counts: tuple[int, ...] = ()
    bounds: tuple[float, ...] = ()


class Family(NamedTuple):
    """All label sets of one catalogue entry."""

    metric: Metric
    points: list[Point]


def single(metric: Metric, value: float, labels: Mapping[str, str] | None = None) -> Family:
    """Return a family of one label set, as of now."""
    return Family(metric, [Point(labels or {}, clock.unix_ns(), value)])
