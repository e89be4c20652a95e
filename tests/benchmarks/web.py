"""What each instrumentation adds to one FastAPI request, in process, without a network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import BaseModel
from tests.benchmarks.timing import Measured

import infermeter
from infermeter.fastapi import instrument_app

BARE = "bare FastAPI"
OURS = "infermeter.fastapi.instrument_app"
INSTRUMENTATOR = "prometheus-fastapi-instrumentator"
CONTRIB = "opentelemetry-instrumentation-fastapi"

Message = MutableMapping[str, Any]
BODY = b'{"values": [0.1, 0.2, 0.3]}'


class Features(BaseModel):
    """What the route takes."""

    values: list[float]


def requests(rounds: int) -> dict[str, Measured]:
    """Time one POST with a small body; costs are whole requests, the bare one included."""
    infermeter.configure(exporter="none")
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    ours, instrumentator, contrib = _app(), _app(), _app()
    instrument_app(ours, model="fraud", version="3")
    Instrumentator(registry=CollectorRegistry()).instrument(instrumentator)
    FastAPIInstrumentor.instrument_app(
        contrib, meter_provider=provider, tracer_provider=TracerProvider(shutdown_on_exit=False)
    )
    apps = {BARE: _app(), OURS: ours, INSTRUMENTATOR: instrumentator, CONTRIB: contrib}
    try:
        return asyncio.run(compare_apps(apps, calls=400, rounds=rounds))
    finally:
        infermeter.shutdown()


def _app() -> FastAPI:
    app = FastAPI()

    @app.post("/predict")
    async def predict(features: Features) -> dict[str, float]:
        return {"score": features.values[0]}

    return app


async def compare_apps(
    apps: Mapping[str, Callable[..., Awaitable[None]]],
    *,
    calls: int,
    rounds: int,
    body: bytes = BODY,
    path: str = "/predict",
) -> dict[str, Measured]:
    """Time every application once per round, in an order that rotates."""
    names = list(apps)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for app in apps.values():
        await _send(app, calls, body, path)
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            started_ns = time.process_time_ns()
            await _send(apps[name], calls, body, path)
            spent[name].append((time.process_time_ns() - started_ns) / calls)
    return {name: Measured(name, costs) for name, costs in spent.items()}


async def _send(app: Callable[..., Awaitable[None]], calls: int, body: bytes, path: str) -> None:
    headers = [(b"host", b"test"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    for _ in range(calls):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        statuses: list[int] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message, statuses: list[int] = statuses) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await app(scope, receive, send)
        assert statuses == [200], f"the benchmark's request was answered {statuses}"
