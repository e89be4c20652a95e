"""OpenTelemetry's readers, handed our families with every collection.

The hook is ``MetricReader._receive_metrics``, which OpenTelemetry documents for overriding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricsData,
    PeriodicExportingMetricReader,
    ResourceMetrics,
    ScopeMetrics,
)

from infermeter.export.deltas import Deltas
from infermeter.export.points import Families, outgoing, with_families
from infermeter.export.vanished import Vanished
from infermeter.export.wire import request_of


class PushReader(PeriodicExportingMetricReader):
    """Exports whenever our ticker asks; starts no thread and installs no fork hook of its own.

    Args:
        exporter: Where to.
        families: What we counted.
        succeeded: Whether the last export arrived.
        deltas: What the other side was told so far, where it takes deltas.
        send_instead: Takes the bytes of a whole OTLP request that the exporter sends in place of its own; None where
            it can send only what it encodes.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        families: Families,
        succeeded: Callable[[], bool] = lambda: True,
        deltas: Deltas | None = None,
        send_instead: Callable[[bytes], None] | None = None,
    ) -> None:
        self._families, self._succeeded, self._deltas = families, succeeded, deltas
        self._send_instead = send_instead
        self._vanished = Vanished() if deltas is not None else None
        super().__init__(exporter, export_interval_millis=math.inf)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> None:
        data, leaving = metrics_data, outgoing(self._families(), self._deltas, self._vanished)
        if self._send_instead is None:
            data = with_families(data, leaving)
        else:
            self._send_instead(request_of(data, leaving))
        super()._receive_metrics(data, timeout_millis)  # pyright: ignore[reportUnknownMemberType]  # OpenTelemetry leaves its **kwargs without a type
        if self._deltas is not None and self._vanished is not None and self._succeeded():
            self._deltas.arrived()
            self._vanished.arrived()


def with_labels(data: MetricsData, labels: Mapping[str, str]) -> MetricsData:
    """Return the data with further attributes on every point; a point's own attributes win."""
    if not labels:
        return data
    resources: list[ResourceMetrics] = []
    for resource in data.resource_metrics:
        scopes: list[ScopeMetrics] = []
        for scope in resource.scope_metrics:
            metrics = [replace(metric, data=_labelled(metric.data, labels)) for metric in scope.metrics]
            scopes.append(replace(scope, metrics=metrics))
        resources.append(replace(resource, scope_metrics=scopes))
    return MetricsData(resources)


def _labelled(data: Any, labels: Mapping[str, str]) -> Any:
    """Return the data of one metric, whatever its kind, with further attributes on its points."""
    points = [replace(point, attributes={**labels, **(point.attributes or {})}) for point in data.data_points]
    return replace(data, data_points=points)
