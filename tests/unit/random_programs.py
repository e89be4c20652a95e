"""Random sequences of calls of the public API, the same for every recorder, made from a seed.

Knows the public API only; knows nothing of recorders or points.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from tests.conftest import FakeClock

import infermeter

MODELS = ["fraud", "ocr", "a" * 200, "ünïcode \ud800", "llm"]
VERSIONS = ["1", "2", None, 3]
NAN, INF = float("nan"), float("inf")
CONFIDENCES = [0.0, 0.1, 0.5, 0.95, 0.99, 1.0, 1, 0.3001, None, "0.5", True, NAN, INF, -1.0, [0.1, 0.9]]
LABELS = ["legit", "fraud", 0, 1, True, None, 2.5, b"bytes", ["a", "b", None], object(), "x" * 300, "\udcff"]
STATUSES = ["success", "error", "cancelled", "timeout", "rejected"]
LATENCIES_S = [0.0, 0.001, 0.01, 0.0101, 0.05, 0.2, 0.25, 1.0, 2.5, 60.0, -1.0, float("nan"), float("inf")]


class RejectedError(Exception):
    status_code = 422


ERRORS: list[type[BaseException]] = [
    ValueError,
    KeyError,
    TimeoutError,
    RejectedError,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
    KeyboardInterrupt,
    type("E" * 300, (RuntimeError,), {}),
]


class Program:
    """One random program; run it once per recorder with a fresh clock."""

    def __init__(self, seed: int, clock: FakeClock) -> None:
        self._random = random.Random(seed)
        self._clock = clock
        self._shared: dict[tuple[str, object], infermeter.InferenceInstrument] = {}

    def declare(self) -> None:
        """Register some models, with SLA, classes, own bounds, framework."""
        for model in self._random.sample(MODELS, 3):
            infermeter.register_model(
                model,
                version=self._version(),
                sla_s=self._random.choice([None, 0.2, 0.25]),
                classes=self._random.choice([[], ["legit", "fraud"], [0, 1]]),
                latency_bounds_s=self._random.choice([None, [0.1, 0.5]]),
                framework=self._random.choice([None, "sklearn"]),
            )

    def run(self, steps: int) -> None:
        """Do that many calls, each of a random form."""
        forms: list[Callable[[], None]] = [
            self._function,
            self._coroutine,
            self._generator,
            self._async_generator,
            self._block,
            self._async_block,
            self._bare,
            self._prediction,
            self._finished_call,
        ]
        for _ in range(steps):
            self._random.choice(forms)()

    def _version(self) -> Any:
        return self._random.choice(VERSIONS)

    def _instrument(self) -> infermeter.InferenceInstrument:
        key = (self._random.choice(MODELS), self._version())
        if key not in self._shared or self._random.random() < 0.3:
            self._shared[key] = infermeter.instrument_inference(key[0], version=key[1])
        return self._shared[key]

    def _result(self) -> object:
        confidence, label = self._random.choice(CONFIDENCES), self._random.choice(LABELS)
        row = {"confidence": confidence, "label": label}
        return self._random.choice([row, {"confidence": confidence}, {"label": label}, [row, row], (), None, 7])

    def _ending(self) -> Callable[[], object]:
        """Return what the model does: take time, then return or raise."""
        latency_s = abs(self._random.choice(LATENCIES_S[:10]))
        result, fails = self._result(), self._random.random() < 0.3
        error = self._random.choice(ERRORS)("text that is nobody's business")

        def end() -> object:
            self._clock.advance(latency_s)
            if fails:
                raise error
            return result

        return end

    def _function(self) -> None:
        end = self._ending()
        with suppress(BaseException):
            self._instrument()(end)()

    def _coroutine(self) -> None:
        end = self._ending()

        async def predict() -> object:
            return end()

        wrapped = self._instrument()(predict)
        with suppress(BaseException):
            drive(wrapped())

    def _generator(self) -> None:
        end, take = self._ending(), self._random.randrange(3)

        def chunks() -> Iterator[object]:
            yield 1
            yield 2
            return end()

        running = self._instrument()(chunks)()
        with suppress(BaseException):
            for _ in range(take):
                next(running)
            if self._random.random() < 0.5:
                list(running)
        running.close()

    def _async_generator(self) -> None:
        end, whole = self._ending(), self._random.random() < 0.5

        async def chunks() -> Any:
            yield 1
            end()
            yield 2

        running = self._instrument()(chunks)()
        with suppress(BaseException):
            drive(running.__anext__())
            if whole:
                while True:
                    drive(running.__anext__())
        with suppress(BaseException):
            drive(running.aclose())

    def _block(self) -> None:
        end, say = self._ending(), self._random.randrange(4)
        confidence, label = self._random.choice(CONFIDENCES), self._random.choice(LABELS)
        with suppress(BaseException), self._instrument() as call:
            call.predicted(label, confidence=confidence)
            end()
            [call.failed, call.rejected, call.cancelled, lambda: None][say](*(["Handled"] if say == 0 else []))

    def _async_block(self) -> None:
        end = self._ending()

        async def predict() -> None:
            async with self._instrument() as call:
                call.predicted("legit")
                end()

        with suppress(BaseException):
            drive(predict())

    def _bare(self) -> None:
        end = self._ending()

        @infermeter.instrument_inference
        def predict(model_name: object, model_version: object = "1") -> object:
            return end()

        name = self._random.choice([*MODELS, 7, None])
        with suppress(BaseException):
            if self._random.random() < 0.5:
                predict(name, self._version())
            else:
                predict(model_name=name)

    def _prediction(self) -> None:
        infermeter.record_prediction(
            self._random.choice(MODELS),
            label=self._random.choice(LABELS),
            confidence=self._random.choice(CONFIDENCES),
            version=self._version(),
        )

    def _finished_call(self) -> None:
        self._instrument().record(
            self._random.choice(LATENCIES_S),
            confidence=self._random.choice([None, 0.5, 2.0]),
            status=self._random.choice([*STATUSES, "nonsense"]),
        )


def drive(awaitable: Any) -> object:
    """Run something that never really waits, without an event loop."""
    steps = awaitable.__await__()
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value
