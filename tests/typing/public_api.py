"""Read by mypy and pyright only: what must type-check, and what must not.

Each line that must be refused carries an ignore; both checkers report one that nobody needs.
"""

# ruff: noqa: B018
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# mypy: warn-unused-ignores

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TypedDict

from typing_extensions import assert_type

import infermeter


class Answer(TypedDict):
    confidence: float


# A decorator gives back what it got: parameters, kind and result.


@infermeter.instrument_inference
def bare(model_name: str, model_version: str, features: list[float]) -> Answer:
    return {"confidence": 0.5}


@infermeter.instrument_inference("fraud", version="3", sla_s=0.2, latency_bounds_s=[0.1, 1], classes=["a", 1])
def named(features: list[float], *, explain: bool = False) -> Answer:
    return {"confidence": 0.5}


@infermeter.instrument_inference("fraud")
async def coroutine(features: list[float]) -> Answer:
    return {"confidence": 0.5}


@infermeter.instrument_inference("fraud")
def generator(features: list[float]) -> Generator[str, int, bytes]:
    yield "chunk"
    return b""


@infermeter.instrument_inference("fraud")
async def async_generator(features: list[float]) -> AsyncGenerator[str, int]:
    yield "chunk"


@infermeter.instrument_inference(confidence="score", label=lambda result: result["top"])
def extracted(model_name: str) -> dict[str, object]:
    return {}


assert_type(bare("fraud", "3", [1.0]), Answer)
assert_type(named([1.0], explain=True), Answer)
assert_type(generator([1.0]), Generator[str, int, bytes])
assert_type(async_generator([1.0]), AsyncGenerator[str, int])
assert_type(extracted("fraud"), dict[str, object])


async def awaited() -> None:
    assert_type(await coroutine([1.0]), Answer)


bare("fraud", "3")  # type: ignore[call-arg]
named("text")  # type: ignore[arg-type]
named([1.0], explain="yes")  # type: ignore[arg-type]


class Service:
    @infermeter.instrument_inference("fraud")
    def method(self, x: int) -> str:
        return str(x)

    @classmethod
    @infermeter.instrument_inference("fraud")
    def of_class(cls, x: int) -> str:
        return str(x)

    @staticmethod
    @infermeter.instrument_inference("fraud")
    def static(x: int) -> str:
        return str(x)


assert_type(Service().method(1), str)
assert_type(Service.of_class(1), str)
assert_type(Service.static(1), str)
Service().method("1")  # type: ignore[arg-type]


# A block does not swallow: what comes after it is reached only without an exception.


def block() -> str:
    with infermeter.instrument_inference("fraud", version="3") as call:
        assert_type(call, infermeter.InferenceCall)
        call.predicted("legit", confidence=0.93)
        call.predicted(["a", "b"], confidence=[0.5, 0.6])
        call.failed("Upstream")
        call.rejected()
        call.cancelled()
        return "returned"


async def async_block() -> str:
    async with infermeter.instrument_inference("fraud") as call:
        assert_type(call, infermeter.InferenceCall)
        return "returned"


infermeter.instrument_inference(7)  # type: ignore[call-overload]
infermeter.instrument_inference("fraud", "3")  # type: ignore[call-overload]
infermeter.instrument_inference("fraud", version=3)  # type: ignore[call-overload]
infermeter.instrument_inference("fraud", sla="0.2")  # type: ignore[call-overload]
infermeter.instrument_inference(version="3")  # type: ignore[call-overload]

# Instruments

instrument = infermeter.instrument_inference("fraud", version="3")
assert_type(instrument, infermeter.InferenceInstrument)
instrument.record(0.1, confidence=0.5, status="error")
instrument.record("0.1")  # type: ignore[arg-type]
instrument.record(0.1, 0.5)  # type: ignore[call-arg]

# Functions

infermeter.record_prediction("fraud", label="legit", confidence=0.5, version="3")
infermeter.register_model("fraud", version="3", sla_s=0.2, classes=["a"], framework="sklearn")
assert_type(infermeter.configure(service_name="fraud", export_interval_s=5), infermeter.Telemetry)
assert_type(infermeter.configure(infermeter.Settings(service_name="fraud")), infermeter.Telemetry)
assert_type(infermeter.force_flush(1.0), bool)
assert_type(infermeter.shutdown(timeout_s=1), bool)
assert_type(infermeter.is_configured(), bool)
assert_type(infermeter.__version__, str)

infermeter.configure("fraud")  # type: ignore[arg-type]
infermeter.configure(export_interval_s="5")  # type: ignore[arg-type]
infermeter.configure(export_interval_ms=5)  # type: ignore[call-arg]
infermeter.record_prediction("fraud", "legit")  # type: ignore[call-arg]
infermeter.record_prediction(7)  # type: ignore[arg-type]
infermeter.register_model()  # type: ignore[call-arg]
infermeter.Settings(service="fraud")  # type: ignore[call-arg]
infermeter.Settings().service_name = "fraud"  # type: ignore[misc]
infermeter.no_such_name  # type: ignore[attr-defined]

# Errors are what their names say.

error: Exception = infermeter.MissingExtraError("feature", "extra")
value_error: ValueError = infermeter.ConfigError("message")
import_error: ImportError = infermeter.MissingExtraError("feature", "extra")


# A drift monitor: what it takes is anything, what it decorates stays what it was.

reference = infermeter.DriftReference.from_columns({"amount": [1.0, 2.0]}, prediction=["a", "b"], bins=5)
assert_type(reference, infermeter.DriftReference)
monitor = infermeter.monitor_drift("fraud", reference, version="3", ignore=["id"], sample_ratio=0.5)
assert_type(monitor, infermeter.DriftMonitor)
monitor.observe([1.0], unit="alice")
monitor.observe_batch([[1.0]], units=["alice"])
infermeter.monitor_drift("fraud", 3)  # type: ignore[arg-type]


@monitor.inputs("features")
def watched(features: list[float], *, explain: bool = False) -> Answer:
    return {"confidence": 0.5}


assert_type(watched([1.0]), Answer)
watched(["a"])  # type: ignore[list-item]
