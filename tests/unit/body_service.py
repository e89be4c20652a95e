"""A FastAPI application whose requests hold the inputs of a monitored model, and requests to it."""

from __future__ import annotations

import json

from fastapi import FastAPI, Request
from tests.asgi_exchange import Exchange
from tests.unit.drift_counts import reference

import infermeter
from infermeter.fastapi import instrument_app

ROW = [5.0, 25.0, "CH"]
NAMED = {"amount": 5.0, "age": 25.0, "country": "CH"}


class Chunks(Exchange):
    """A request whose body arrives in pieces, the last of which may never come."""

    def __init__(self, *chunks: object, path: str = "/predict", ends: bool = True, **options) -> None:
        super().__init__(path, body=None, **options)
        last = len(chunks) - 1
        self._requests = [
            {"type": "http.request", "body": chunk, "more_body": not ends or place < last}
            for place, chunk in enumerate(chunks)
        ][::-1]
        self.handed_over = list(self._requests[::-1])


def service(inputs: object = "features", **options) -> FastAPI:
    """Answers with what it has read of the body."""
    app = FastAPI()

    @app.post("/predict")
    @app.post("/other")
    async def predict(request: Request) -> dict[str, str]:
        return {"read": (await request.body()).decode("latin-1")}

    infermeter.monitor_drift("fraud", reference(), version="3")
    instrument_app(app, inputs=inputs, **{"model": "fraud", "version": "3", **options})
    return app


async def post(app, document: object, path: str = "/predict") -> Exchange:
    return await Exchange(path, body=json.dumps(document).encode()).with_(app)
