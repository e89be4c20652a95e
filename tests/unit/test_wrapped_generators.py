"""A wrapped generator streams as before; time runs from its first step to its last, however it ends."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.conftest import FakeClock

import infermeter
from infermeter.testing import CapturedMetrics

fraud = infermeter.instrument_inference("fraud")


def statuses(captured: CapturedMetrics) -> dict[str, float]:
    points = captured.points("model_inference_requests_total")
    return {point.labels["status"]: point.value for point in points if point.value}


@fraud
def echo() -> Any:
    """Repeat what is sent, survive ValueError, return a result."""
    received = None
    while received != "end":
        try:
            received = yield received
        except ValueError as error:  # noqa: PERF203  what the test is about
            received = f"caught {error}"
    return {"confidence": 0.5}


def test_send_throw_and_return_value_reach_through(captured_metrics: CapturedMetrics) -> None:
    stream = echo()

    assert next(stream) is None
    assert stream.send("a") == "a"
    assert stream.throw(ValueError("b")) == "caught b"
    with pytest.raises(StopIteration) as end:
        stream.send("end")

    assert end.value.value == {"confidence": 0.5}
    assert statuses(captured_metrics) == {"success": 1}
    assert captured_metrics.value("model_prediction_confidence") == 0.5


def test_yield_from_sees_the_return_value(captured_metrics: CapturedMetrics) -> None:
    @fraud
    def inner() -> Any:
        yield 1
        return "result"

    def outer() -> Any:
        result = yield from inner()
        yield result

    assert list(outer()) == [1, "result"]


def test_time_runs_from_the_first_step_to_the_last(captured_metrics: CapturedMetrics, fake_clock: FakeClock) -> None:
    @fraud
    def chunks() -> Iterator[int]:
        for i in range(3):
            fake_clock.advance(0.1)
            yield i

    stream = chunks()
    fake_clock.advance(100)
    assert captured_metrics.value("model_inference_in_flight") == 0
    for _ in stream:
        assert captured_metrics.value("model_inference_in_flight") == 1
        fake_clock.advance(1)

    assert captured_metrics.value("model_inference_latency_seconds") == pytest.approx(3.3)
    assert captured_metrics.value("model_inference_in_flight") == 0


def test_a_stream_closed_early_is_cancelled_and_the_model_told(captured_metrics: CapturedMetrics) -> None:
    told = []

    @fraud
    def chunks() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            told.append("closed")

    stream = chunks()
    next(stream)
    stream.close()

    assert told == ["closed"]
    assert statuses(captured_metrics) == {"cancelled": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


def test_a_stream_dropped_without_closing_is_cancelled(captured_metrics: CapturedMetrics) -> None:
    @fraud
    def chunks() -> Iterator[int]:
        yield 1
        yield 2

    stream = chunks()
    next(stream)
    del stream
    gc.collect()

    assert statuses(captured_metrics) == {"cancelled": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


def test_a_stream_never_started_is_no_call(captured_metrics: CapturedMetrics) -> None:
    @fraud
    def chunks() -> Iterator[int]:
        yield 1

    stream = chunks()
    stream.close()

    assert statuses(captured_metrics) == {}
    assert captured_metrics.value("model_inference_in_flight") == 0


def test_an_exception_in_mid_stream_is_an_error_and_passes(captured_metrics: CapturedMetrics) -> None:
    error = ValueError("model")

    @fraud
    def chunks() -> Iterator[int]:
        yield 1
        raise error

    with pytest.raises(ValueError, match="model") as caught:
        list(chunks())

    assert caught.value is error
    assert error.__context__ is None
    assert statuses(captured_metrics) == {"error": 1}
    assert captured_metrics.value("model_inference_exceptions_total", error_type="ValueError") == 1


def test_an_exception_thrown_in_and_not_caught_comes_back_out(captured_metrics: CapturedMetrics) -> None:
    stream = echo()
    next(stream)
    error = KeyError("thrown")

    with pytest.raises(KeyError) as caught:
        stream.throw(error)

    assert caught.value is error
    assert statuses(captured_metrics) == {"error": 1}


def test_wrong_arguments_raise_and_leave_nothing_in_flight(captured_metrics: CapturedMetrics) -> None:
    with pytest.raises(TypeError):
        list(echo("too many"))

    assert captured_metrics.value("model_inference_in_flight") == 0


def test_a_wrapped_generator_still_makes_a_context_manager(captured_metrics: CapturedMetrics) -> None:
    @contextmanager
    @fraud
    def session() -> Iterator[str]:
        yield "open"

    with session() as state:
        assert state == "open"
    with pytest.raises(ZeroDivisionError), session():
        1 / 0  # noqa: B018

    assert statuses(captured_metrics) == {"success": 1, "error": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


def test_configuring_in_mid_stream_counts_the_call_where_it_ends(captured_metrics: CapturedMetrics) -> None:
    stream = echo()
    next(stream)
    infermeter.configure(exporter="none", handle_sigterm=False)
    stream.close()

    assert captured_metrics.value("model_inference_in_flight") == 0
    assert statuses(captured_metrics) == {"cancelled": 1}
