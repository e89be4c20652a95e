"""``with instrument_inference(...)``: what the block says is counted, shared instruments do not mix their calls up."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from tests.conftest import FakeClock
from tests.unit.test_wrapped_generators import statuses

import infermeter
from infermeter.testing import CapturedMetrics, capture

fraud = infermeter.instrument_inference("fraud", version="3")


def test_a_block_counts_prediction_latency_and_success(
    captured_metrics: CapturedMetrics, fake_clock: FakeClock
) -> None:
    with infermeter.instrument_inference("fraud", version="3") as call:
        fake_clock.advance(0.3)
        call.predicted("legit", confidence=0.93)

    assert statuses(captured_metrics) == {"success": 1}
    assert captured_metrics.value("model_inference_latency_seconds") == pytest.approx(0.3)
    assert captured_metrics.value("model_prediction_confidence", model_name="fraud") == 0.93
    assert captured_metrics.value("model_feature_values_total", feature="prediction", bin="legit") == 1


def test_what_the_block_says_decides_the_status(captured_metrics: CapturedMetrics) -> None:
    with fraud as call:
        call.failed("Upstream")
    with fraud as call:
        call.rejected()
    with fraud as call:
        call.cancelled()

    assert statuses(captured_metrics) == {"error": 1, "rejected": 1, "cancelled": 1}
    assert captured_metrics.value("model_inference_exceptions_total", error_type="Upstream") == 1
    assert captured_metrics.value("model_inference_exceptions_total") == 1


@pytest.mark.parametrize("said", ["KeyError", KeyError, KeyError("customer 4711")], ids=["name", "class", "exception"])
def test_a_failure_counts_under_its_class_and_never_under_its_text(
    captured_metrics: CapturedMetrics, said: str | type[Exception] | Exception
) -> None:
    with fraud as call:
        call.failed(said)
    with infermeter.generation("fraud", version="3") as answer:
        answer.failed(said)

    assert [
        (point.labels["error_type"], point.value)
        for point in captured_metrics.points("model_inference_exceptions_total")
    ] == [("KeyError", 2)]


def test_an_exception_of_the_block_passes_and_is_counted(captured_metrics: CapturedMetrics) -> None:
    error = ValueError("model")

    def block() -> None:
        with fraud as call:
            call.rejected()
            raise error

    with pytest.raises(ValueError, match="model") as caught:
        block()

    assert caught.value is error
    assert statuses(captured_metrics) == {"error": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


async def test_an_async_block_is_measured(captured_metrics: CapturedMetrics) -> None:
    async with fraud as call:
        assert captured_metrics.value("model_inference_in_flight") == 1
        call.predicted(confidence=0.5)
    with pytest.raises(ZeroDivisionError):
        async with fraud:
            1 / 0  # noqa: B018

    assert statuses(captured_metrics) == {"success": 1, "error": 1}


def test_blocks_of_one_instrument_may_be_nested(captured_metrics: CapturedMetrics, fake_clock: FakeClock) -> None:
    with fraud as outer:
        with fraud as inner:
            assert inner is not outer
            fake_clock.advance(0.1)
            inner.failed("Timeout")
        fake_clock.advance(1)

    assert statuses(captured_metrics) == {"success": 1, "error": 1}
    assert captured_metrics.value("model_inference_latency_seconds") == pytest.approx(1.2)


def test_threads_that_share_an_instrument_do_not_mix_their_calls_up(captured_metrics: CapturedMetrics) -> None:
    everyone_in = threading.Barrier(4)

    def work(index: int) -> None:
        with fraud as call:
            everyone_in.wait()
            if index == 0:
                call.failed("First")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    assert statuses(captured_metrics) == {"success": 3, "error": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


async def test_tasks_that_share_an_instrument_do_not_mix_their_calls_up(
    captured_metrics: CapturedMetrics, fake_clock: FakeClock
) -> None:
    async def work(steps: int) -> None:
        with fraud as call:
            for _ in range(steps):
                await asyncio.sleep(0)
            if steps == 1:
                call.failed("Shortest")

    with fraud:  # tasks inherit an open block and must not end it
        await asyncio.gather(*(work(steps) for steps in (5, 1, 3)))
        assert captured_metrics.value("model_inference_in_flight") == 1

    assert statuses(captured_metrics) == {"success": 3, "error": 1}


def test_a_block_left_on_another_thread_and_context_than_it_was_entered(captured_metrics: CapturedMetrics) -> None:
    # A dependency with yield of a web framework: each half runs in a worker thread with a copy of the context.
    @contextmanager
    def dependency() -> Iterator[infermeter.InferenceCall]:
        with infermeter.instrument_inference("fraud") as call:
            yield call

    manager = dependency()
    with ThreadPoolExecutor(1) as entering, ThreadPoolExecutor(1) as leaving:
        call = entering.submit(contextvars.copy_context().run, manager.__enter__).result()
        call.failed("Handled")
        leaving.submit(contextvars.copy_context().run, manager.__exit__, None, None, None).result()

    assert statuses(captured_metrics) == {"error": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


def test_blocks_that_overlap_in_one_thread_end_their_own_model(captured_metrics: CapturedMetrics) -> None:
    def step(model: str) -> Iterator[None]:
        with infermeter.instrument_inference(model):
            yield
        yield

    first, second = step("first"), step("second")
    next(first)
    next(second)
    next(first)

    assert captured_metrics.value("model_inference_requests_total", model_name="first", status="success") == 1
    assert captured_metrics.value("model_inference_requests_total", model_name="second") == 0
    assert captured_metrics.value("model_inference_in_flight", model_name="first") == 0
    next(second)
    assert captured_metrics.value("model_inference_in_flight") == 0


def test_an_exit_stack_ends_its_blocks(captured_metrics: CapturedMetrics) -> None:
    with ExitStack() as stack:
        calls = [stack.enter_context(fraud) for _ in range(3)]
        calls[0].rejected()
        assert captured_metrics.value("model_inference_in_flight") == 3

    assert statuses(captured_metrics) == {"success": 2, "rejected": 1}
    assert captured_metrics.value("model_inference_in_flight") == 0


def test_leaving_a_block_never_entered_changes_nothing(captured_metrics: CapturedMetrics) -> None:
    with infermeter.instrument_inference("outer"):
        fraud.__exit__(None, None, None)
        assert captured_metrics.value("model_inference_in_flight", model_name="outer") == 1

    assert captured_metrics.value("model_inference_in_flight") == 0


def test_shutting_down_in_a_block_lets_it_end(captured_metrics: CapturedMetrics) -> None:
    with fraud as call:
        infermeter.shutdown()
        call.predicted("legit", confidence=0.5)


def test_a_block_begun_before_configure_is_not_half_counted() -> None:
    with ExitStack() as stack:
        stack.enter_context(fraud)
        captured = stack.enter_context(capture())
        fraud.__exit__(None, None, None)

        assert captured.value("model_inference_in_flight") == 0
        assert captured.count("model_inference_latency_seconds") == 0


@pytest.mark.parametrize(
    ("call", "dropped"),
    [
        ({"latency_s": -1.0}, 1),
        ({"latency_s": float("nan")}, 1),
        ({"latency_s": float("inf")}, 1),
        ({"latency_s": 0.1, "confidence": 1.5}, 1),
        ({"latency_s": 0.1, "confidence": float("nan")}, 1),
        ({"latency_s": 0.1, "confidence": 0.5, "status": "rejected"}, 0),
        ({"latency_s": 0}, 0),
    ],
)
def test_a_finished_call_is_recorded_whole_or_not_at_all(
    call: dict[str, object], dropped: int, captured_metrics: CapturedMetrics
) -> None:
    fraud.record(**call)  # type: ignore[arg-type]

    assert captured_metrics.value("infermeter_dropped_total") == dropped
    judged = call.get("status") != "rejected"
    assert captured_metrics.count("model_inference_latency_seconds") == (1 - dropped if judged else 0)
    assert sum(statuses(captured_metrics).values()) == 1 - dropped
    assert captured_metrics.count("model_prediction_confidence") == (1 if call.get("status") else 0)


@pytest.mark.parametrize(
    ("number", "usable"),
    [
        (np.float32(0.25), True),
        (np.float64(0.25), True),
        (np.int8(1), True),
        (1, True),
        (Fraction(1, 4), True),
        (Decimal("0.25"), False),
        (np.array([0.25]), False),
        (np.array([0.25, 0.5]), False),
        (True, False),
        ("0.25", False),
        (10**400, False),
    ],
    ids=repr,
)
@pytest.mark.parametrize("argument", ["latency_s", "confidence"])
def test_a_foreign_number_becomes_a_plain_one_or_costs_its_own_call_only(
    number: Any, usable: bool, argument: str, captured_metrics: CapturedMetrics
) -> None:
    usual = {"latency_s": 0.5, "confidence": 0.5}
    fraud.record(**{**usual, argument: number})
    fraud.record(**usual)

    recorded = 2 if usable else 1
    assert statuses(captured_metrics)["success"] == recorded
    for name in ("model_inference_latency_seconds", "model_prediction_confidence"):
        (point,) = captured_metrics.points(name)
        assert (sum(point.counts), type(point.value)) == (recorded, float), name
    assert captured_metrics.value("infermeter_dropped_total", where="inference") == 2 - recorded


def test_rounding_beyond_1_does_not_cost_a_finished_call(captured_metrics: CapturedMetrics) -> None:
    fraud.record(0.5, confidence=1.0000001)
    fraud.record(0.5, confidence=np.float32(1.0000001))

    assert captured_metrics.count("model_prediction_confidence") == 2
    assert captured_metrics.value("model_prediction_confidence") == 2
