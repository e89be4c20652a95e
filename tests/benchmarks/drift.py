"""What counting features costs: per value in rows and batches, per FastAPI request, in memory and at each export."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from fastapi import FastAPI
from river.drift import ADWIN
from tests.benchmarks import web
from tests.benchmarks.timing import Measured, compare

import infermeter
from infermeter import DriftMonitor, DriftReference, runtime
from infermeter.drift.room import DriftRoom
from infermeter.fastapi import instrument_app

FEATURES, ROWS, MODELS, FEATURES_OF_REQUEST = 100, 32, 10, 30
ROW, BATCH, RIVER = "observe, one row", f"observe_batch, {ROWS} rows", "river ADWIN, one row"
WITHOUT, WITH_ROW, WITH_BATCH = "instrument_app alone", "with observe", "with observe_batch of one row"


class Costs(NamedTuple):
    """What the monitors of many models take."""

    memory_mib: float
    export_ms: float


def _monitor(model: str, features: int) -> tuple[DriftMonitor, Any]:
    values = np.random.default_rng(1).normal(size=(2_000, features))
    columns = {f"f{i}": values[:, i] for i in range(features)}
    return infermeter.monitor_drift(model, DriftReference.from_columns(columns)), values


def values(rounds: int) -> dict[str, Measured]:
    """Time one value of a hundred features, in nanoseconds: our rows and batches, and a public streaming detector."""
    infermeter.configure(exporter="none")
    monitor, drawn = _monitor("values", FEATURES)
    row, batch = drawn[0].tolist(), drawn[:ROWS]
    detectors = [ADWIN() for _ in range(FEATURES)]

    def river() -> None:
        for detector, value in zip(detectors, row, strict=True):
            detector.update(value)

    cases: dict[str, Callable[[], object]] = {
        ROW: lambda: monitor.observe(row),
        BATCH: lambda: monitor.observe_batch(batch),
        RIVER: river,
    }
    try:
        per_call = compare(cases, calls=200, rounds=rounds)
    finally:
        infermeter.shutdown()
    size = {ROW: FEATURES, BATCH: FEATURES * ROWS, RIVER: FEATURES}
    return {name: Measured(name, [ns / size[name] for ns in case.rounds_ns]) for name, case in per_call.items()}


def requests(rounds: int) -> dict[str, Measured]:
    """Time one POST with thirty features to an instrumented application, with and without a monitor."""
    infermeter.configure(exporter="none")
    monitor, drawn = _monitor("requests", FEATURES_OF_REQUEST)
    body = json.dumps({"values": drawn[0].tolist()}).encode()
    apps = {
        WITHOUT: _app(lambda _: None),
        WITH_ROW: _app(monitor.observe),
        WITH_BATCH: _app(lambda row: monitor.observe_batch([row])),
    }
    try:
        return asyncio.run(web.compare_apps(apps, calls=400, rounds=rounds, body=body))
    finally:
        infermeter.shutdown()


def _app(count: Callable[[list[float]], object]) -> FastAPI:
    app = FastAPI()

    @app.post("/predict")
    async def predict(features: web.Features) -> dict[str, float]:
        count(features.values)
        return {"score": features.values[0]}

    instrument_app(app, model="requests", version="")
    return app


def many_models(rounds: int) -> Costs:
    """Measure what ten models with a hundred features each hold, and what asking for all their counts takes."""
    infermeter.configure(exporter="none")
    assert runtime.live is not None
    values = np.random.default_rng(1).normal(size=(2_000, FEATURES))
    references = [
        DriftReference.from_columns({f"f{i}": values[:, i] + model for i in range(FEATURES)}) for model in range(MODELS)
    ]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    monitors = [infermeter.monitor_drift(f"many-{i}", reference) for i, reference in enumerate(references)]
    for monitor in monitors:
        monitor.observe_batch(values)
    room = runtime.live.room(DriftRoom)
    list(room.families())
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    spent_ms: list[float] = []
    for _ in range(rounds):
        started_ns = time.process_time_ns()
        list(room.families())
        spent_ms.append((time.process_time_ns() - started_ns) / 1e6)
    infermeter.shutdown()
    return Costs((held - before) / 2**20, median(spent_ms))
