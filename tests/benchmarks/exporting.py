"""What an export costs: bytes from cells, the pause it causes to a thread that records, a scrape, and the import."""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics
from opentelemetry.sdk.resources import Resource
from tests.benchmarks.timing import Measured, compare

import infermeter
from infermeter.export.points import outgoing, with_families
from infermeter.export.wire import request_of

STANDARD = "OpenTelemetry's encoder, from the same cells"
OURS = "infermeter, from cells to OTLP bytes"
SCRAPE = "infermeter, /metrics"
SETS_OF_A_MODEL = 7  # latency, queue time, batch size; success, error, in flight, info
"""Without a confidence: its bins, as a feature, would be two thirds of all label sets. The budgets were set with half
histograms, half numbers."""
_EMPTY = MetricsData([ResourceMetrics(Resource({"service.name": "benchmark"}), [], "")])


class Pauses(NamedTuple):
    """The longest time in milliseconds that a recording thread stood still, per export, median over exports."""

    standard_ms: float
    ours_ms: float
    alone_ms: float
    """Without any export: what the machine itself takes."""


def to_bytes(sets: int, rounds: int) -> dict[str, Measured]:
    """Time everything from the cells of so many label sets to the bytes of one request."""
    telemetry = _recorded(sets)
    cases: dict[str, Callable[[], object]] = {
        STANDARD: lambda: encode_metrics(with_families(_EMPTY, outgoing(telemetry.families()))).SerializeToString(),
        OURS: lambda: request_of(_EMPTY, outgoing(telemetry.families())),
    }
    try:
        return compare(cases, calls=1, rounds=rounds)
    finally:
        infermeter.shutdown()


def pauses(sets: int, exports: int) -> Pauses:
    """Measure how long a thread that only records stands still while another one makes bytes of so many label sets."""
    telemetry = _recorded(sets)
    bound = telemetry.slot("model-0", "1").cell.record
    cases: list[Callable[[], object]] = [
        lambda: encode_metrics(with_families(_EMPTY, outgoing(telemetry.families()))).SerializeToString(),
        lambda: request_of(_EMPTY, outgoing(telemetry.families())),
        lambda: time.sleep(0.05),
    ]
    try:
        worst_ms: list[list[float]] = [[_worst_pause_ms(bound, case) for case in cases] for _ in range(exports)]
    finally:
        infermeter.shutdown()
    return Pauses(*(statistics.median(column) for column in zip(*worst_ms, strict=True)))


def scrape(sets: int, rounds: int) -> dict[str, Measured]:
    """Time one scrape of so many label sets over loopback, the CPU time of this whole process."""
    telemetry = _recorded(sets, exporter="prometheus", prometheus_host="127.0.0.1", prometheus_port=0)
    url = telemetry.metrics_url
    assert url is not None

    def ask() -> None:
        with urllib.request.urlopen(url) as answer:
            assert len(answer.read()) > sets * 50

    try:
        return compare({SCRAPE: ask}, calls=1, rounds=rounds)
    finally:
        infermeter.shutdown()


def import_ms(rounds: int) -> float:
    """Return the CPU milliseconds that ``import infermeter`` adds to a bare Python, median of paired runs."""
    added: list[float] = []
    for _ in range(rounds):
        bare, ours = (_cpu_ms_of(program) for program in ("pass", "import infermeter"))
        added.append(ours - bare)
    return statistics.median(added)


def _recorded(sets: int, **settings: object) -> infermeter.Telemetry:
    telemetry = infermeter.configure(
        **{"exporter": "none", "recorder": "cells", "series_limit": 1_000_000, "export_interval_s": 3600, **settings}  # type: ignore[arg-type]
    )
    for model in range(-(-sets // SETS_OF_A_MODEL)):
        name = f"model-{model}"
        infermeter.instrument_inference(name, version="1").record(0.0123)
        infermeter.record_queue_time(name, 0.0123, version="1")
        infermeter.record_batch_size(name, 8, version="1")
    held = sum(len(family.points) for family in telemetry.families())
    assert sets <= held <= sets + 2 * SETS_OF_A_MODEL, f"the benchmark measures {held} label sets instead of {sets}"
    return telemetry


def _worst_pause_ms(record: Callable[[float, float], object], export: Callable[[], object]) -> float:
    """Record without a pause until an export in another thread ends; return the longest gap between two records."""
    gc.collect()
    thread = threading.Thread(target=export)
    worst_s, clock = 0.0, time.perf_counter
    thread.start()
    before_s = clock()
    while thread.is_alive():
        record(0.0123, 0.93)
        now_s = clock()
        if now_s - before_s > worst_s:
            worst_s = now_s - before_s
        before_s = now_s
    return worst_s * 1000


def _cpu_ms_of(program: str) -> float:
    def spent_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before_s = spent_s()
    subprocess.run([sys.executable, "-c", program], check=True)
    return (spent_s() - before_s) * 1000
