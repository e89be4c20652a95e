"""Families as OpenTelemetry's public data classes, so that standard readers and exporters take them.

Knows nothing of where the numbers come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from infermeter import catalog, clock
from infermeter.export.deltas import Deltas
from infermeter.export.resource import resource_of_host
from infermeter.export.vanished import Vanished
from infermeter.families import Family, Point
from infermeter.version import __version__

SCOPE = "infermeter"
_CUMULATIVE = AggregationTemporality.CUMULATIVE

Families = Callable[[], Iterable[Family]]


def metric_of(family: Family, now_ns: int, *, as_delta: bool = False) -> Metric:
    """Return one family as an OpenTelemetry metric, cumulative since each point's start unless it is a delta."""
    name, kind, unit, text = family.metric[:4]
    if kind == "histogram":
        points = [
            HistogramDataPoint(
                attributes=dict(point.labels),
                start_time_unix_nano=point.start_ns,
                time_unix_nano=now_ns,
                count=sum(point.counts),
                sum=float(point.value),
                bucket_counts=point.counts,
                explicit_bounds=point.bounds,
                min=None,  # type: ignore[arg-type]  # the encoder leaves out what is None; the annotation says float
                max=None,  # type: ignore[arg-type]  # as above
            )
            for point in family.points
        ]
        return Metric(name, text, unit, Histogram(points, _CUMULATIVE))
    numbers = [
        NumberDataPoint(
            attributes=dict(point.labels),
            start_time_unix_nano=point.start_ns if kind == "counter" else None,  # type: ignore[arg-type]  # as above
            time_unix_nano=now_ns,
            value=point.value,
        )
        for point in family.points
    ]
    if kind == "counter":
        temporality = AggregationTemporality.DELTA if as_delta else _CUMULATIVE
        return Metric(name, text, unit, Sum(numbers, temporality, is_monotonic=True))
    return Metric(name, text, unit, Gauge(numbers))


class Outgoing(NamedTuple):
    """What leaves with one collection: catalogue entry, label sets, whether they are deltas."""

    now_ns: int
    of_process: list[tuple[catalog.Metric, list[Point], bool]]
    of_host: list[tuple[catalog.Metric, list[Point], bool]]
    """About devices of the machine: leaves under a resource of its own."""


def outgoing(families: Iterable[Family], deltas: Deltas | None = None, vanished: Vanished | None = None) -> Outgoing:
    """Return what leaves of what we counted.

    Args:
        families: What we counted.
        deltas: What the other side was told so far, where it takes deltas.
        vanished: Which series of devices it was told, where it must be told of their end.
    """
    result = Outgoing(clock.unix_ns(), [], [])
    if deltas is not None:
        families = deltas.of(families, result.now_ns)
    families = [family for family in families if family.points]
    ended = [] if vanished is None else vanished.of([family for family in families if family.metric.of_host])
    for metric, points, _ in (*families, *ended):
        where = result.of_host if metric.of_host else result.of_process
        where.append((metric, points, metric.delta and deltas is not None))
    return result


def with_families(data: MetricsData, leaving: Outgoing) -> MetricsData:
    """Return the collected data with our families in our scope; the collected data is left as it is."""
    if not data.resource_metrics:
        return data
    of_process, of_host = (
        [metric_of(Family(metric, points), leaving.now_ns, as_delta=is_delta) for metric, points, is_delta in families]
        for families in (leaving.of_process, leaving.of_host)
    )
    first = data.resource_metrics[0]
    resources = [_in_our_scope(first, of_process) if of_process else first, *data.resource_metrics[1:]]
    if of_host:
        scope = ScopeMetrics(InstrumentationScope(SCOPE, __version__), of_host, "")
        resources.append(ResourceMetrics(resource_of_host(first.resource), [scope], ""))
    return MetricsData(resources)


def _in_our_scope(resource: ResourceMetrics, metrics: list[Metric]) -> ResourceMetrics:
    scopes = list(resource.scope_metrics)
    for i, scope in enumerate(scopes):
        if scope.scope.name == SCOPE:
            scopes[i] = ScopeMetrics(scope.scope, [*scope.metrics, *metrics], scope.schema_url)
            break
    else:
        scopes.append(ScopeMetrics(InstrumentationScope(SCOPE, __version__), metrics, ""))
    return replace(resource, scope_metrics=scopes)
