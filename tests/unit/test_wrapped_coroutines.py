"""Wrapped coroutines and async generators: the protocol is the wrapped one's, every ending is counted once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from tests.conftest import FakeClock
from tests.unit.test_wrapped_generators import statuses

import infermeter
from infermeter.testing import CapturedMetrics

fraud = infermeter.instrument_inference("fraud")


async def test_a_coroutine_is_timed_over_its_awaits(captured_metrics: CapturedMetrics, fake_clock: FakeClock) -> None:
    @fraud
    async def predict() -> dict[str, float]:
        await asyncio.sleep(0)
        fake_clock.advance(0.2)
        return {"confidence": 0.5}

    assert await predict() == {"confidence": 0.5}
    assert captured_metrics.value("model_inference_latency_seconds") == pytest.approx(0.2)
    assert captured_metrics.value("model_prediction_confidence") == 0.5


async def test_a_cancelled_task_is_cancelled_and_ends(captured_metrics: CapturedMetrics) -> None:
    started = asyncio.Event()

    @fraud
    async def predict() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(predict())
    await started.wait()
    assert captured_metrics.value("model_inference_in_flight") == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelled()
    assert statuses(captured_metrics) == {"cancelled": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


async def test_a_timeout_of_the_caller_is_cancelled_one_of_the_model_is_timeout(
    captured_metrics: CapturedMetrics,
) -> None:
    @fraud
    async def forever() -> None:
        await asyncio.Event().wait()

    @fraud
    async def model_times_out() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), 0.001)

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(forever(), 0.001)
    assert statuses(captured_metrics) == {"cancelled": 1}
    with pytest.raises(asyncio.TimeoutError):
        await model_times_out()
    assert statuses(captured_metrics) == {"cancelled": 1, "timeout": 1}
    assert captured_metrics.value("model_inference_exceptions_total") == 1


async def test_many_tasks_are_in_flight_together(captured_metrics: CapturedMetrics) -> None:
    release = asyncio.Event()

    @fraud
    async def predict() -> None:
        await release.wait()

    tasks = [asyncio.create_task(predict()) for _ in range(20)]
    await asyncio.sleep(0)
    assert captured_metrics.value("model_inference_in_flight") == 20
    release.set()
    await asyncio.gather(*tasks)

    assert captured_metrics.value("model_inference_in_flight") == 0
    assert statuses(captured_metrics) == {"success": 20}


def test_a_coroutine_never_awaited_is_no_call(captured_metrics: CapturedMetrics) -> None:
    @fraud
    async def predict() -> None:
        pass

    predict().close()

    assert statuses(captured_metrics) == {}


@fraud
async def echo() -> AsyncGenerator[Any, Any]:
    received = None
    while received != "end":
        try:
            received = yield received
        except ValueError as error:  # noqa: PERF203  what the test is about
            received = f"caught {error}"


async def test_asend_and_athrow_reach_the_async_generator(captured_metrics: CapturedMetrics) -> None:
    stream = echo()

    assert await stream.__anext__() is None
    assert await stream.asend("a") == "a"
    assert await stream.athrow(ValueError("b")) == "caught b"
    with pytest.raises(StopAsyncIteration):
        await stream.asend("end")

    assert statuses(captured_metrics) == {"success": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


async def test_an_exception_thrown_in_and_not_caught_comes_back_out(captured_metrics: CapturedMetrics) -> None:
    stream, error = echo(), KeyError("thrown")
    await stream.__anext__()

    with pytest.raises(KeyError) as caught:
        await stream.athrow(error)

    assert caught.value is error
    assert statuses(captured_metrics) == {"error": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


async def test_aclose_cancels_and_closes_the_model_at_once(captured_metrics: CapturedMetrics) -> None:
    told = []

    @fraud
    async def chunks() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            told.append("closed")

    async with aclosing(chunks()) as stream:
        async for _ in stream:
            break

    assert told == ["closed"]
    assert statuses(captured_metrics) == {"cancelled": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


async def test_a_stream_cancelled_between_chunks_closes_the_model(captured_metrics: CapturedMetrics) -> None:
    told, waiting = [], asyncio.Event()

    @fraud
    async def chunks() -> AsyncIterator[int]:
        try:
            yield 1
            waiting.set()
            await asyncio.Event().wait()
        finally:
            told.append("closed")

    async def consume() -> None:
        async for _ in chunks():
            pass

    task = asyncio.create_task(consume())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert told == ["closed"]
    assert statuses(captured_metrics) == {"cancelled": 1}


async def test_a_stream_dropped_without_closing_ends(captured_metrics: CapturedMetrics) -> None:
    stream = echo()
    await stream.__anext__()
    del stream
    gc.collect()
    for _ in range(5):  # the event loop's hook closes it in a task of its own
        await asyncio.sleep(0)

    assert statuses(captured_metrics) == {"cancelled": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


async def test_an_exception_in_mid_stream_is_an_error_and_passes(captured_metrics: CapturedMetrics) -> None:
    error = ValueError("model")

    @fraud
    async def chunks() -> AsyncIterator[int]:
        yield 1
        raise error

    with pytest.raises(ValueError, match="model") as caught:
        async for _ in chunks():
            pass

    assert caught.value is error
    assert error.__context__ is None
    assert statuses(captured_metrics) == {"error": 1}


async def test_stream_time_runs_from_the_first_step_to_the_last(
    captured_metrics: CapturedMetrics, fake_clock: FakeClock
) -> None:
    @fraud
    async def chunks() -> AsyncIterator[int]:
        for i in range(3):
            fake_clock.advance(0.1)
            yield i

    stream = chunks()
    fake_clock.advance(100)
    async for _ in stream:
        fake_clock.advance(1)

    assert captured_metrics.value("model_inference_latency_seconds") == pytest.approx(3.3)


async def test_wrong_arguments_raise_and_leave_nothing_in_flight(captured_metrics: CapturedMetrics) -> None:
    @fraud
    async def predict() -> None:
        pass

    with pytest.raises(TypeError):
        await predict("too many")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        async for _ in echo("too many"):  # type: ignore[call-arg]
            pass

    assert captured_metrics.value("model_inference_in_flight") == 0


async def test_a_stream_that_refuses_to_close_says_so_as_without_us(captured_metrics: CapturedMetrics) -> None:
    async def stubborn() -> AsyncGenerator[int, None]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    for func in (stubborn, fraud(stubborn)):
        stream = func()
        await stream.__anext__()
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            await stream.aclose()

    assert captured_metrics.value("model_inference_in_flight") == 0


async def test_a_wrapped_async_generator_still_makes_a_context_manager(captured_metrics: CapturedMetrics) -> None:
    @asynccontextmanager
    @fraud
    async def session() -> AsyncIterator[str]:
        yield "open"

    async with session() as state:
        assert state == "open"
    with pytest.raises(ZeroDivisionError):
        async with session():
            1 / 0  # noqa: B018

    assert statuses(captured_metrics) == {"success": 1, "error": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0
