"""The service: FastAPI around the two models, measured by infermeter, configured by OTEL_* variables alone.

    python -m uvicorn fraud_api.app:app --app-dir examples

`configure()` runs when the module is imported. That is right for every server: workers of uvicorn import the module
themselves, and with `gunicorn --preload` the master trains the models once, its workers inherit them, and each worker
reports under an instance id of its own. `instrument_app` takes model and version from the path, and delivers the last
interval when the server stops.
"""

from __future__ import annotations

import asyncio
import os

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

import infermeter
from infermeter.fastapi import instrument_app

from . import models

infermeter.configure()
for version in models.VERSIONS:
    infermeter.register_model(
        models.NAME, version=version, sla_s=models.SLA_S, classes=list(models.CLASSES), framework="sklearn"
    )

app = FastAPI(title="fraud-api")
instrument_app(app)


class Transaction(BaseModel):
    """What a client sends."""

    features: list[float] = Field(description="30 numbers about the transaction")
    feature_store_s: float = Field(0.0, ge=0, le=2, description="Seconds that looking up more features takes")


class Answer(BaseModel):
    """What the service says."""

    label: str
    confidence: float
    served_by: int = Field(description="Process id: shows that several workers add up to one model")


@app.get("/health")
async def health() -> dict[str, str]:
    """Answer once the models are trained."""
    return {"status": "ok", "versions": ",".join(models.VERSIONS)}


@app.post("/predict/{model_name}/{model_version}")
async def predict(model_name: str, model_version: str, transaction: Transaction) -> Answer:
    """Say whether a transaction is fraud."""
    model = models.VERSIONS.get(model_version)
    if model is None or model_name != models.NAME:
        raise HTTPException(404, f"only {models.NAME} is served, in versions {', '.join(models.VERSIONS)}")
    if not transaction.features:
        raise HTTPException(400, "a transaction without features cannot be judged")
    await asyncio.sleep(transaction.feature_store_s)
    prediction = model.predict(transaction.features)  # under a millisecond; what takes longer belongs in a thread
    infermeter.record_prediction(
        models.NAME, version=model_version, label=prediction.label, confidence=prediction.confidence
    )
    return Answer(label=prediction.label, confidence=prediction.confidence, served_by=os.getpid())
