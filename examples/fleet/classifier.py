"""A classifier behind an API, two versions at once: the services `biopsy` and `wine`.

The model is real and takes under a millisecond; what a network, a feature store and a busy machine would add is waited.

Faults: slow-replica (biopsy-1 waits for something), drift (one feature of biopsy arrives in another unit), error-burst
(a store that wine needs is away), class-shift (wine swaps two classes), bad-canary (version 2 of wine is slow and
fails).
"""

from __future__ import annotations

import asyncio
import math

import numpy as np

import infermeter

from .arrivals import arrive
from .control import Control
from .models import Model, Rows
from .pods import CANARY_SHARE, Pod

SLA_S = 0.5
_MEDIAN_S, _SPREAD = 0.06, 0.35
"""Of the time an answer takes: lognormal, far enough below the SLA for a machine that is busy with other things."""
_SLOW = 15.0
_CANARY_SLOW = 1.8  # within the SLA, so that only the comparison of versions sees it
_USUAL_ERRORS, _USUAL_REFUSALS = 0.001, 0.002
_BURST_ERRORS, _CANARY_ERRORS = 0.5, 0.6
_DRAWN_AT_ONCE = 256
_DRIFTING = "texture error"
_WATCHED = {
    "biopsy": ("mean radius", "mean texture", "mean symmetry", _DRIFTING, "worst area", "worst concavity"),
    "wine": ("alcohol", "malic_acid", "magnesium", "flavanoids", "hue", "proline"),
}
"""Features compared with the training data."""
_REFERENCE_ROWS = 4000


class FeatureStoreError(Exception):
    """What the model needs besides the request could not be fetched."""


class BadRequestError(Exception):
    """The client sent nonsense."""

    status_code = 400


class Classifier:
    """One replica.

    Args:
        pod: Who it is.
        model: What it serves.
        control: What it gets wrong.
    """

    def __init__(self, pod: Pod, model: Model, control: Control) -> None:
        self._pod, self._model, self._control = pod, model, control
        self._chance, self._numbers = pod.chance, pod.numbers
        self._rows: list[Rows] = []
        self._watched = {name: model.features.index(name) for name in _WATCHED[pod.model]}
        self._calls = {}
        self._monitors = {}
        for version in model.versions:
            measured = infermeter.instrument_inference(
                pod.model, version=version, sla_s=SLA_S, classes=model.classes, framework="sklearn"
            )
            self._calls[version] = measured(self._predict)
            self._monitors[version] = infermeter.monitor_drift(pod.model, self._reference(version), version=version)

    async def serve(self) -> None:
        """Answer requests until cancelled."""
        await arrive(self._pod.rate, self._chance, self._request)

    async def _request(self) -> object:
        version = "2" if self._chance.random() < CANARY_SHARE else "1"
        return await self._calls[version](version, self._next_row())

    async def _predict(self, version: str, row: Rows) -> dict[str, object]:
        await asyncio.sleep(self._latency_s(version))
        self._fail_sometimes(version)
        [prediction] = self._model.predict(version, row)
        self._monitors[version].observe({name: row[0, column] for name, column in self._watched.items()})
        return {"label": self._named(prediction.label), "confidence": prediction.confidence}

    def _latency_s(self, version: str) -> float:
        latency_s = self._chance.lognormvariate(math.log(_MEDIAN_S), _SPREAD)
        if self._control.has("slow-replica") and self._pod.name == "biopsy-1":
            return latency_s * _SLOW
        if self._is_bad_canary(version):
            return min(latency_s * _CANARY_SLOW, 0.9 * SLA_S)
        return latency_s

    def _fail_sometimes(self, version: str) -> None:
        if self._chance.random() < _USUAL_REFUSALS:
            raise BadRequestError
        errors = _USUAL_ERRORS
        if self._control.has("error-burst") and self._pod.model == "wine":
            errors = _BURST_ERRORS
        elif self._is_bad_canary(version):
            errors = _CANARY_ERRORS
        if self._chance.random() < errors:
            raise FeatureStoreError

    def _is_bad_canary(self, version: str) -> bool:
        return version == "2" and self._pod.model == "wine" and self._control.has("bad-canary")

    def _named(self, label: str) -> str:
        """Return the class as the client gets it; the fault is one of the service, not of the model."""
        if self._pod.model == "wine" and self._control.has("class-shift"):
            return {"class_0": "class_1"}.get(label, label)
        return label

    def _reference(self, version: str) -> infermeter.DriftReference:
        """Return what the model was trained on, and what it said of it; the same in every replica."""
        rows = self._model.draw(_REFERENCE_ROWS, np.random.default_rng(0))
        predictions = self._model.predict(version, rows)
        return infermeter.DriftReference.from_columns(
            {name: rows[:, column] for name, column in self._watched.items()},
            prediction=[prediction.label for prediction in predictions],
            confidence=[prediction.confidence for prediction in predictions],
        )

    def _next_row(self) -> Rows:
        if not self._rows:
            drawn = self._model.draw(_DRAWN_AT_ONCE, self._numbers)
            self._rows = [drawn[number : number + 1] for number in range(len(drawn))]
        row = self._rows.pop()
        if self._pod.model == "biopsy" and self._control.has("drift"):
            column = self._watched[_DRIFTING]
            row[0, column] += 1.5 * self._model.deviations[column]
        return row
