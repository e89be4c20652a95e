"""Latency is that of calls that say something about the service: neither cancelled nor rejected ones.

The histogram has no label for the status, so whoever reads it (an SLA, a quantile, a comparison of versions) could not
leave them out. What is judged is thereby the same set of calls in the counter and in the histogram.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.asgi_exchange import Exchange, answering, chunk, measured, start
from tests.otlp_sink import OtlpSink
from tests.unit.random_programs import RejectedError, drive

import infermeter
from infermeter.catalog import STATUSES
from infermeter.cells import STATUS_SLOTS

LATENCY, REQUESTS = "model_inference_latency_seconds", "model_inference_requests_total"
JUDGED = {"success", "error", "timeout"}
RAISED: dict[str, BaseException | None] = {
    "success": None,
    "error": ValueError(),
    "cancelled": asyncio.CancelledError(),
    "timeout": TimeoutError(),
    "rejected": RejectedError(),
}
SECONDS = 0.25

fraud = infermeter.instrument_inference("fraud")


def test_there_is_a_slot_for_each_status() -> None:
    assert tuple(STATUS_SLOTS) == STATUSES


def end(error: BaseException | None) -> dict[str, float]:
    if error is not None:
        raise error
    return {"confidence": 0.5}


def function(error: BaseException | None) -> None:
    fraud(end)(error)


def coroutine(error: BaseException | None) -> None:
    async def predict() -> object:
        return end(error)

    drive(fraud(predict)())


def generator(error: BaseException | None) -> None:
    def chunks() -> Iterator[object]:
        yield 1
        end(error)

    list(fraud(chunks)())


def async_generator(error: BaseException | None) -> None:
    async def chunks() -> AsyncIterator[object]:
        yield 1
        end(error)

    async def read() -> None:
        async for _ in fraud(chunks)():
            pass

    drive(read())


def block(error: BaseException | None) -> None:
    with fraud:
        end(error)


def arguments(error: BaseException | None) -> None:
    @infermeter.instrument_inference
    def predict(model_name: str) -> object:
        return end(error)

    predict("fraud")


@pytest.fixture(params=["cells", "otel"])
def recorded(request: pytest.FixtureRequest, sink: OtlpSink, connect: Callable[..., Any]) -> Callable[[], list[float]]:
    """Configure a recorder; returns what reads how many calls were counted, how many timed, and their seconds."""
    telemetry = connect(recorder=request.param, handle_sigterm=False)

    def read() -> list[float]:
        assert telemetry.force_flush()
        latencies = [point for name, _, point in sink.received[-1].points() if name == LATENCY]
        assert sink.received[-1].value("model_inference_in_flight") in (None, 0)
        return [sink.total(REQUESTS), sum(p.count for p in latencies), sum(p.sum for p in latencies)]

    return read


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("form", [function, coroutine, generator, async_generator, block, arguments])
def test_only_a_call_that_is_judged_has_a_latency(
    form: Callable[[BaseException | None], None], status: str, recorded: Callable[[], list[float]]
) -> None:
    with suppress(BaseException):
        form(RAISED[status])

    calls, timed, seconds = recorded()
    assert (calls, timed) == (1, 1 if status in JUDGED else 0)
    assert (seconds > 0) == (status in JUDGED)


@pytest.mark.parametrize("status", STATUSES)
def test_only_a_finished_call_that_is_judged_has_a_latency(status: str, recorded: Callable[[], list[float]]) -> None:
    fraud.record(SECONDS, confidence=0.5, status=status)

    assert recorded() == ([1, 1, SECONDS] if status in JUDGED else [1, 0, 0])


def test_a_block_that_says_it_was_rejected_or_cancelled_has_no_latency(recorded: Callable[[], list[float]]) -> None:
    with fraud as call:
        call.rejected()
    with fraud as call:
        call.cancelled()

    assert recorded() == [2, 0, 0]


def test_a_generation_that_its_reader_leaves_has_no_latency(recorded: Callable[[], list[float]]) -> None:
    with suppress(GeneratorExit), infermeter.generation("fraud") as tokens:
        tokens.first_token()
        raise GeneratorExit

    assert recorded() == [1, 0, 0]


@pytest.mark.parametrize(("http_status", "timed"), [(200, 1), (503, 1), (504, 1), (429, 0), (422, 0), (499, 0)])
async def test_only_a_request_that_is_judged_has_a_latency(
    http_status: int, timed: int, recorded: Callable[[], list[float]]
) -> None:
    await Exchange().with_(measured(answering(http_status)))

    assert recorded()[:2] == [1, timed]


async def test_a_streamed_answer_that_its_client_leaves_has_no_latency(recorded: Callable[[], list[float]]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(start())
        await send(chunk(more=True))
        await receive()

    exchange = Exchange(on_send=lambda message: exchange.leave())
    await exchange.with_(measured(app))

    assert recorded() == [1, 0, 0]
