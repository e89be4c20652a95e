"""Answers that come token by token: their times, their tokens, and how they end."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from tests.conftest import Errors, FakeClock
from tests.otlp_sink import OtlpSink

import infermeter
from infermeter.fastapi import instrument_app
from infermeter.testing import CapturedMetrics

FIRST, PER_TOKEN = "model_time_to_first_token_seconds", "model_time_per_output_token_seconds"
TOKENS, REQUESTS, IN_FLIGHT = "model_tokens_total", "model_inference_requests_total", "model_inference_in_flight"


def ended(captured: CapturedMetrics) -> dict[str, float]:
    return {point.labels["status"]: point.value for point in captured.points(REQUESTS) if point.value}


def test_times_and_tokens_of_one_answer(captured_metrics, fake_clock: FakeClock):
    with infermeter.generation("llm", version="1") as answer:
        answer.input_tokens(100)
        fake_clock.advance(0.3)
        answer.token(2)
        for _ in range(4):
            fake_clock.advance(0.1)
            answer.token()

    assert captured_metrics.value(FIRST, model_version="1") == pytest.approx(0.3)
    assert captured_metrics.value(PER_TOKEN) == pytest.approx(0.1)
    assert captured_metrics.count(PER_TOKEN) == 1
    assert captured_metrics.value(TOKENS, direction="input") == 100
    assert captured_metrics.value(TOKENS, direction="output") == 6
    assert captured_metrics.value("model_inference_latency_seconds") == pytest.approx(0.7)
    assert ended(captured_metrics) == {"success": 1}


def test_one_token_has_a_time_to_it_and_none_per_token(captured_metrics):
    with infermeter.generation("llm") as answer:
        answer.first_token()
        answer.token()

    assert captured_metrics.count(FIRST) == 1
    assert captured_metrics.points(PER_TOKEN) == []


def test_an_answer_without_a_token_counts_as_an_inference_only(captured_metrics):
    with infermeter.generation("llm"):
        pass

    assert ended(captured_metrics) == {"success": 1}
    assert captured_metrics.points(FIRST) == []
    assert captured_metrics.points(TOKENS, direction="output")[0].value == 0


@pytest.mark.parametrize(
    ("count", "reason"), [(-1, "out_of_range"), (1.5, "out_of_range"), (True, "type"), ("2", "type"), (None, "type")]
)
def test_what_is_no_number_of_tokens_is_dropped_and_counted(captured_metrics, count, reason):
    with infermeter.generation("llm") as answer:
        answer.token(count)
        answer.input_tokens(count)

    assert captured_metrics.value(TOKENS) == 0
    assert captured_metrics.points(FIRST) == []
    dropped = {p.labels["reason"]: p.value for p in captured_metrics.points("infermeter_dropped_total", where="tokens")}
    assert sum(dropped.values()) == 2
    assert reason in dropped or isinstance(count, bool)


@infermeter.generation("llm", tokens=len)
def stream(chunks: int, *, fail: bool = False) -> Generator[str, str, str]:
    heard = ""
    for number in range(chunks):
        heard += (yield "ab") or ""
        if fail and number == 1:
            raise ArithmeticError("no token")
    return heard


@infermeter.generation("llm")
async def stream_async(chunks: int, *, fail: bool = False) -> AsyncGenerator[str, str]:
    for number in range(chunks):
        await asyncio.sleep(0)
        heard = yield "a"
        if heard:
            yield heard
        if fail and number == 1:
            raise ArithmeticError("no token")


def test_a_generator_keeps_what_it_is_and_what_it_does(captured_metrics):
    assert inspect.isgeneratorfunction(stream)
    assert inspect.isasyncgenfunction(stream_async)
    running = stream(2)
    assert next(running) == "ab"
    assert running.send("x") == "ab"
    with pytest.raises(StopIteration) as stopped:
        running.send("y")
    assert stopped.value.value == "xy"
    assert captured_metrics.value(TOKENS, direction="output") == 4
    assert ended(captured_metrics) == {"success": 1}


async def test_an_async_generator_can_be_sent_to_and_thrown_into(captured_metrics):
    running = stream_async(2)
    assert await anext(running) == "a"
    assert await running.asend("x") == "x"
    with pytest.raises(LookupError):
        await running.athrow(LookupError())
    assert ended(captured_metrics) == {"error": 1}
    assert captured_metrics.value(IN_FLIGHT) == 0


async def test_streams_that_break_and_streams_that_are_left_are_told_apart(captured_metrics):
    with pytest.raises(ArithmeticError):
        list(stream(5, fail=True))
    left = stream(5)
    next(left)
    left.close()
    with pytest.raises(ArithmeticError):
        async for _ in stream_async(5, fail=True):
            pass
    async with aclosing(stream_async(5)) as running:
        async for _ in running:
            break
    started = asyncio.Event()

    async def read_forever() -> None:
        with infermeter.generation("llm") as answer:
            answer.token()
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(read_forever())
    await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert ended(captured_metrics) == {"error": 2, "cancelled": 3}
    assert captured_metrics.count(FIRST) == 5
    assert captured_metrics.value(IN_FLIGHT) == 0


def test_a_counter_of_tokens_that_fails_costs_the_count_only(
    captured_metrics: CapturedMetrics, monkeypatch, swallowed: Errors
):
    monkeypatch.setattr("infermeter.guard.on_swallowed", None)

    @infermeter.generation("llm", tokens=lambda item: item["tokens"])
    def chunks() -> Generator[str]:
        yield "a"

    assert list(chunks()) == ["a"]
    assert captured_metrics.value("infermeter_dropped_total", where="generation") == 1


def test_only_generators_can_be_decorated():
    with pytest.raises(infermeter.ConfigError, match="wraps generator"):
        infermeter.generation("llm")(lambda: None)


def test_nothing_happens_before_configure():
    assert list(stream(2)) == ["ab", "ab"]


class Exchange:
    """A client that leaves after the first chunk of the body, as a server tells an application of it."""

    def __init__(self, leaves_while: str) -> None:
        self.left = asyncio.Event()
        self.leaves_while = leaves_while
        self.chunks = 0
        self.asked = False

    async def receive(self) -> dict[str, Any]:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            self.chunks += 1
            if self.leaves_while == "a chunk is sent":
                self.left.set()
                await asyncio.sleep(0)
            else:
                asyncio.get_running_loop().call_soon(self.left.set)


@pytest.mark.parametrize("leaves_while", ["a chunk is made", "a chunk is sent"])
async def test_a_client_that_leaves_a_stream_makes_one_cancelled_inference(captured_metrics, leaves_while):
    app = FastAPI()

    @app.post("/generate")
    async def generate() -> StreamingResponse:
        async def events() -> AsyncGenerator[str]:
            with infermeter.generation("llm", version="1") as answer:
                while True:
                    answer.token()
                    yield "data: token\n\n"
                    await asyncio.sleep(0.001)

        return StreamingResponse(events(), media_type="text/event-stream")

    instrument_app(app)
    scope = {
        "type": "http", "method": "POST", "path": "/generate", "raw_path": b"/generate", "query_string": b"",
        "headers": [], "http_version": "1.1", "scheme": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    client = Exchange(leaves_while)
    await app(scope, client.receive, client.send)
    if leaves_while == "a chunk is sent":
        gc.collect()  # the framework lets go of the generator in a cycle, and nobody closes it before
    for _ in range(100):  # then the loop closes it in one of its next turns
        await asyncio.sleep(0)

    assert client.chunks >= 1
    assert {
        (p.labels["model_name"], p.labels["status"]): p.value for p in captured_metrics.points(REQUESTS) if p.value
    } == {("llm", "cancelled"): 1}
    assert captured_metrics.count(FIRST, model_name="llm") == 1
    assert captured_metrics.value(IN_FLIGHT) == 0


@pytest.mark.parametrize("recorder", ["cells", "otel"])
def test_both_recorders_export_the_same_generation(recorder: str, sink: OtlpSink, connect, fake_clock: FakeClock):
    connect(recorder=recorder)
    with infermeter.generation("llm") as answer:
        fake_clock.advance(0.5)
        answer.token()
        fake_clock.advance(0.25)
        answer.token()
    assert infermeter.force_flush()

    points = {(name, labels.get("direction")): point for name, labels, point in sink.received[-1].points()}
    assert points[FIRST, None].sum == 0.5
    assert points[PER_TOKEN, None].sum == 0.25
    assert (points[TOKENS, "output"].as_double or points[TOKENS, "output"].as_int) == 2
