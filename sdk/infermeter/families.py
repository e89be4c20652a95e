"""What one collection hands to an exporter: catalogue entries with the values of their label sets.

Plain data between those who count and those who export; knows neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from infermeter import clock
from infermeter.catalog import Metric

HistogramHead = tuple[int, tuple[float, ...], bytes, Callable[..., bytes], bytes]
"""Start and bounds that the rest was made for; what an encoded histogram begins with; what packs its numbers."""


class Labels(dict[str, str]):
    """A label set that never changes and lives as long as its series: exporters keep on it what they made of it."""

    __slots__ = ("as_histogram", "as_number", "line_of_number", "lines_of_histogram")
    as_number: tuple[int, bytes]
    as_histogram: HistogramHead
    line_of_number: tuple[Metric, Mapping[str, str], str]
    lines_of_histogram: tuple[Metric, Mapping[str, str], tuple[float, ...], str, str]


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
    declared: bool = False  # every label set was named by the service's own code, so that no cap applies


def merged(families: Iterable[Family]) -> list[Family]:
    """Return one family per catalogue entry, in order of appearance; a name must leave the process only once."""
    by_name: dict[str, Family] = {}
    for family in families:
        known = by_name.get(family.metric.name)
        by_name[family.metric.name] = Family(family.metric, [*known.points, *family.points]) if known else family
    return list(by_name.values())


def single(metric: Metric, value: float, labels: Mapping[str, str] | None = None) -> Family:
    """Return a family of one label set, as of now."""
    return Family(metric, [Point(labels or {}, clock.unix_ns(), value)])
