"""One inference (latency, request, confidence) in four ways, and a decorator around an empty function."""

from __future__ import annotations

import time
from collections.abc import Callable

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, Counter, Histogram
from tests.benchmarks.timing import Measured, compare

import infermeter
from infermeter import catalog, runtime

OTEL = "plain OpenTelemetry instruments"
PROM_LABELS = "prometheus_client, labels per call"
PROM_BOUND = "prometheus_client, pre-bound"
OURS = "infermeter, bound"
OURS_PUBLIC = "infermeter, instrument.record()"
PROM_DECORATOR = "prometheus_client decorator, labels per call"
OURS_DECORATOR = "infermeter decorator"
OURS_BARE = "infermeter decorator, labels from arguments"

MODEL, VERSION = "resnet50", "v1"
LATENCY_S, SURE = 0.0123, 0.93


def one_inference(rounds: int) -> dict[str, Measured]:
    """Time one recorded inference: all label values known, latency measured elsewhere."""
    infermeter.configure(exporter="none")
    assert runtime.live is not None
    bound = runtime.live.slot(MODEL, VERSION).cell.record
    instrument = infermeter.instrument_inference(MODEL, version=VERSION)
    cases: dict[str, Callable[[], object]] = {
        OTEL: _otel(),
        **_prometheus(),
        OURS: lambda: bound(LATENCY_S, SURE),
        OURS_PUBLIC: lambda: instrument.record(LATENCY_S, confidence=SURE),
    }
    try:
        return compare(cases, calls=20_000, rounds=rounds)
    finally:
        infermeter.shutdown()


def decorators(rounds: int) -> dict[str, Measured]:
    """Time a decorator around a function that does nothing."""
    infermeter.configure(exporter="none")
    latency, requests, _ = _prometheus_metrics()

    def conventional() -> None:
        started_s = time.perf_counter()
        requests.labels(MODEL, VERSION, "success").inc()
        latency.labels(MODEL, VERSION).observe(time.perf_counter() - started_s)

    @infermeter.instrument_inference(MODEL, version=VERSION)
    def empty() -> None:
        """Do nothing."""

    @infermeter.instrument_inference
    def by_arguments(model_name: str, model_version: str, features: object) -> None:
        """Do nothing."""

    cases: dict[str, Callable[[], object]] = {
        PROM_DECORATOR: conventional,
        OURS_DECORATOR: empty,
        OURS_BARE: lambda: by_arguments(MODEL, VERSION, None),
    }
    try:
        return compare(cases, calls=20_000, rounds=rounds)
    finally:
        infermeter.shutdown()


def _otel() -> Callable[[], object]:
    meter = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False).get_meter("benchmark")
    latency = meter.create_histogram(
        "latency", unit="s", explicit_bucket_boundaries_advisory=list(catalog.LATENCY.bounds)
    )
    requests = meter.create_counter("requests")
    confidence = meter.create_histogram(
        "confidence", explicit_bucket_boundaries_advisory=list(catalog.CONFIDENCE.bounds)
    )
    of_version = {"model_name": MODEL, "model_version": VERSION}
    of_status, of_model = {**of_version, "status": "success"}, {"model_name": MODEL}

    def record() -> None:
        latency.record(LATENCY_S, of_version)
        requests.add(1, of_status)
        confidence.record(SURE, of_model)

    return record


def _prometheus_metrics() -> tuple[Histogram, Counter, Histogram]:
    registry = CollectorRegistry()
    return (
        Histogram("latency", "d", catalog.MODEL, buckets=catalog.LATENCY.bounds, registry=registry),
        Counter("requests", "d", (*catalog.MODEL, "status"), registry=registry),
        Histogram("confidence", "d", ("model_name",), buckets=catalog.CONFIDENCE.bounds, registry=registry),
    )


def _prometheus() -> dict[str, Callable[[], object]]:
    latency, requests, confidence = _prometheus_metrics()
    child_latency, child_confidence = latency.labels(MODEL, VERSION), confidence.labels(MODEL)
    child_requests = requests.labels(MODEL, VERSION, "success")

    def with_labels() -> None:
        latency.labels(MODEL, VERSION).observe(LATENCY_S)
        requests.labels(MODEL, VERSION, "success").inc()
        confidence.labels(MODEL).observe(SURE)

    def bound() -> None:
        child_latency.observe(LATENCY_S)
        child_requests.inc()
        child_confidence.observe(SURE)

    return {PROM_LABELS: with_labels, PROM_BOUND: bound}
