"""The cells against plain OpenTelemetry instruments: the same calls give the same names, labels and points."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from tests.conftest import Errors, FakeClock
from tests.otlp_sink import OtlpSink
from tests.unit.random_programs import Program

import infermeter
from infermeter import guard, models
from infermeter.catalog import CATALOG

SEEDS = [int(seed) for seed in os.environ.get("ORACLE_SEEDS", "").split(",") if seed] or [
    1,
    2,
    3,
    *(random.SystemRandom().randrange(10**9) for _ in range(5)),  # printed in the test's name
]
ABOUT_EXPORTS = {"infermeter_exports_total", "infermeter_export_duration_seconds", "infermeter_info"}
Points = dict[tuple[str, frozenset[tuple[str, Any]]], object]


def run(seed: int, clock: FakeClock, **settings: Any) -> infermeter.Telemetry:
    guard.forget()
    models.forget()
    clock.now_s = 1000.0
    program = Program(seed, clock)
    if seed % 2:
        program.declare()
    telemetry = infermeter.configure(export_interval_s=3600, handle_sigterm=False, **settings)
    if not seed % 2:
        program.declare()
    program.run(200)
    return telemetry


def without_unused(points: Points) -> Points:
    """Leave out histograms without a value, which instruments do not export, and what counts exports."""
    return {key: value for key, value in points.items() if key[0] not in ABOUT_EXPORTS and value != "empty histogram"}


def received(sink: OtlpSink) -> Points:
    points: Points = {}
    for name, labels, point in sink.received[-1].points():
        key = (name, frozenset(labels.items()))
        assert key not in points, f"one label set twice: {key}"
        if hasattr(point, "bucket_counts"):
            value: object = (point.count, round(point.sum, 6), tuple(point.bucket_counts), tuple(point.explicit_bounds))
            points[key] = value if point.count else "empty histogram"
        else:
            points[key] = round(point.as_double or point.as_int, 6)
    return without_unused(points)


@pytest.mark.parametrize("seed", SEEDS)
def test_cells_and_instruments_export_the_same_points(
    seed: int, sink: OtlpSink, fake_clock: FakeClock, swallowed: Errors
) -> None:
    exported = {}
    for recorder in ("cells", "otel"):
        run(seed, fake_clock, recorder=recorder, endpoint=sink.endpoint)
        assert infermeter.shutdown()
        exported[recorder] = received(sink)

    assert exported["cells"] == exported["otel"]
    assert len(exported["cells"]) > 50
    assert {name for name, _ in exported["cells"]} <= {metric.name for metric in CATALOG}


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_a_handed_over_provider_shows_its_readers_the_same_points(
    seed: int, sink: OtlpSink, fake_clock: FakeClock, swallowed: Errors
) -> None:
    run(seed, fake_clock, recorder="cells", endpoint=sink.endpoint)
    assert infermeter.shutdown()
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    run(seed, fake_clock, recorder="otel", exporter="none", meter_provider=provider)

    assert without_unused(in_memory(reader.get_metrics_data())) == received(sink)

    infermeter.shutdown()
    provider.shutdown()


def in_memory(data: MetricsData | None) -> Points:
    assert data is not None
    points: Points = {}
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            assert scope.scope.name == "infermeter"
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    key = (metric.name, frozenset((point.attributes or {}).items()))
                    assert key not in points, f"one label set twice: {key}"
                    if hasattr(point, "bucket_counts"):
                        points[key] = (
                            point.count,
                            round(point.sum, 6),
                            *map(tuple, (point.bucket_counts, point.explicit_bounds)),
                        )
                    else:
                        points[key] = round(point.value, 6)
    return points


def test_units_descriptions_and_kinds_are_the_same(sink: OtlpSink, fake_clock: FakeClock, swallowed: Errors) -> None:
    described = {}
    for recorder in ("cells", "otel"):
        run(1, fake_clock, recorder=recorder, endpoint=sink.endpoint)
        assert infermeter.shutdown()
        described[recorder] = {
            metric.name: (metric.unit, metric.description, metric.WhichOneof("data"))
            for resource in sink.received[-1].message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    assert described["cells"] == described["otel"]
    kinds = {"sum": "counter", "gauge": "gauge", "histogram": "histogram"}
    known = {metric.name: (metric.unit, metric.help, metric.kind) for metric in CATALOG}
    for name, (unit, description, kind) in described["cells"].items():
        assert (unit, description, kinds[kind]) == known[name]
