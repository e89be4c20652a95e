"""What counting features costs: per value in rows and batches, per FastAPI request, in memory and at each export."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
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
EXAMPLES = Path(__file__).parents[2] / "examples"
WITHOUT, WITH_ROW, WITH_BATCH = "instrument_app alone", "with observe", "with observe_batch of one row"
EXAMPLE, ROW_IN_EXAMPLE, BATCH_IN_EXAMPLE, BODY_IN_EXAMPLE = (
    *("examples/fraud_api", "it with monitor.inputs", "it with monitor.inputs, a batch of one row"),
    "it with instrument_app(inputs=...)",
)


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


def example(rounds: int) -> dict[str, Measured]:
    """Time one POST to the handler of the fraud example, with its model and thirty features, and three ways to monitor.

    Its linear model answers: the faster of the two, so that least is hidden behind it.
    """
    sys.path.insert(0, str(EXAMPLES))
    os.environ.setdefault("OTEL_METRICS_EXPORTER", "none")  # the example configures when it is imported
    fraud_api = importlib.import_module("fraud_api.app")
    models = importlib.import_module("fraud_api.models")
    infermeter.configure(exporter="none")
    rows = np.array(models.sample_transactions())
    reference = DriftReference.from_columns({f"f{i}": rows[:, i] for i in range(models.FEATURES)})
    monitor = infermeter.monitor_drift(models.NAME, reference, version="1")

    def as_batch(transaction: Any, **_: object) -> Any:
        return np.asarray([transaction.features])

    apps = {
        EXAMPLE: _example_app(fraud_api.predict),
        ROW_IN_EXAMPLE: _example_app(monitor.inputs("transaction.features")(fraud_api.predict)),
        BATCH_IN_EXAMPLE: _example_app(monitor.inputs(as_batch, batch=True)(fraud_api.predict)),
        BODY_IN_EXAMPLE: _example_app(fraud_api.predict, inputs="features"),
    }
    body = json.dumps({"features": rows[0].tolist()}).encode()
    path = f"/predict/{models.NAME}/1"
    try:
        return asyncio.run(web.compare_apps(apps, calls=200, rounds=rounds, body=body, path=path))
    finally:
        infermeter.shutdown()


def _example_app(predict: Callable[..., Any], **options: str) -> FastAPI:
    app = FastAPI()
    app.post("/predict/{model_name}/{model_version}")(predict)
    instrument_app(app, **options)
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
