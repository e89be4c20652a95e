"""OTLP metrics as any SDK may send them, built from the protocol's own classes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Literal

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

Kind = Literal["gauge", "counter", "histogram"]
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_STARTED_NS = time.time_ns()


def resource(**attributes: str | int) -> Mapping[str, str | int]:
    """Return resource attributes, written with `__` for the dot: `service__name="a"`."""
    return {name.replace("__", "."): value for name, value in attributes.items()}


def metric(
    name: str,
    kind: Kind,
    value: float,
    labels: Mapping[str, str],
    *,
    unit: str = "",
    bounds: Sequence[float] = (0.5, 1.0),
) -> Metric:
    """Return one metric with one point; for a histogram `value` observations of 0.1."""
    attributes = _attributes(labels)
    times = {"start_time_unix_nano": _STARTED_NS, "time_unix_nano": time.time_ns()}
    if kind == "histogram":
        count = int(value)
        point = HistogramDataPoint(
            attributes=attributes,
            count=count,
            sum=count * 0.1,
            explicit_bounds=bounds,
            bucket_counts=[count] + [0] * len(bounds),
            **times,
        )
        histogram = Histogram(data_points=[point], aggregation_temporality=_CUMULATIVE)
        return Metric(name=name, unit=unit, histogram=histogram)
    number = NumberDataPoint(attributes=attributes, as_double=value, **times)
    if kind == "gauge":
        return Metric(name=name, unit=unit, gauge=Gauge(data_points=[number]))
    total = Sum(data_points=[number], aggregation_temporality=_CUMULATIVE, is_monotonic=True)
    return Metric(name=name, unit=unit, sum=total)


def request(attributes: Mapping[str, str | int], *metrics: Metric) -> ExportMetricsServiceRequest:
    """Return an export of one resource and one scope."""
    scope = ScopeMetrics(scope=InstrumentationScope(name="infermeter", version="1"), metrics=metrics)
    return ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(resource=Resource(attributes=_attributes(attributes)), scope_metrics=[scope])]
    )


def _attributes(values: Mapping[str, str | int]) -> list[KeyValue]:
    return [
        KeyValue(key=key, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value))
        for key, value in values.items()
    ]
