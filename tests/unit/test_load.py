"""Load of a model: queues, batches and why they were dispatched."""

from __future__ import annotations

import asyncio
import inspect
import math
import threading
from fractions import Fraction

import pytest
from tests.conftest import Errors, FakeClock
from tests.otlp_sink import OtlpSink

import infermeter
from infermeter import runtime
from infermeter.testing import CapturedMetrics, capture

SIZE, WAIT, BATCHES = (
    "model_inference_batch_size",
    "model_inference_queue_time_seconds",
    "model_inference_batches_total",
)
DEPTH, LIMIT = "model_inference_queue_depth", "model_inference_batch_limit"
OF_LLM = {"model_name": "llm", "model_version": "1"}


def reasons(captured: CapturedMetrics, **labels: str) -> dict[str, float]:
    return {point.labels["reason"]: point.value for point in captured.points(BATCHES, **labels)}


def test_sizes_and_waits_fall_into_their_buckets(captured_metrics):
    for size in (1, 2, 3, 32, 600):
        infermeter.record_batch_size("llm", size, version="1")
    infermeter.record_queue_time("llm", 0.03, version="1")

    (sizes,) = captured_metrics.points(SIZE, **OF_LLM)
    assert dict(zip(sizes.bounds, sizes.counts, strict=False)) == dict.fromkeys(sizes.bounds, 0) | {
        1: 1,
        2: 1,
        4: 1,
        32: 1,
    }
    assert sizes.counts[-1] == 1
    assert sizes.value == 638
    (waits,) = captured_metrics.points(WAIT, **OF_LLM)
    assert waits.counts[waits.bounds.index(0.05)] == 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "none"), ("3", "type"), (True, "type"), (math.nan, "not_finite"), (math.inf, "not_finite"),
     (-1, "out_of_range"), ([2], "type"), (10**400, "not_finite"), (0, "out_of_range")],
)  # fmt: skip
def test_what_is_no_size_is_dropped_and_counted(captured_metrics, value, reason):
    infermeter.record_batch_size("llm", value)

    assert captured_metrics.points(SIZE) == []
    assert captured_metrics.value("infermeter_dropped_total", where="batch_size", reason=reason) == 1


def test_numbers_of_other_kinds_are_taken(captured_metrics):
    infermeter.record_queue_time("llm", Fraction(1, 4))

    assert captured_metrics.value(WAIT) == 0.25


def test_a_queue_declared_before_configure_is_asked_at_every_export_in_every_configuration():
    waiting = [1, 2, 3]
    infermeter.observe_queue_depth("llm", waiting.__len__, version="1")
    for _ in range(2):
        with capture() as captured:
            assert captured.value(DEPTH, **OF_LLM) == 3
            waiting.append(4)
            assert captured.value(DEPTH, **OF_LLM) == 4
            waiting.pop()


def test_a_depth_that_is_set_stays_until_the_next(captured_metrics):
    infermeter.observe_queue_depth("llm", 7, version="1")
    infermeter.observe_queue_depth("llm", 5, version="1")

    assert [point.value for point in captured_metrics.points(DEPTH)] == [5]


def test_a_queue_that_raises_costs_its_own_series_only(swallowed: Errors):
    def broken() -> int:
        raise OSError("gone")

    infermeter.observe_queue_depth("a", broken)
    infermeter.observe_queue_depth("b", lambda: 2)
    with capture(strict=False) as captured:
        assert [(p.labels["model_name"], p.value) for p in captured.points(DEPTH)] == [("b", 2)]
        assert captured.value("infermeter_dropped_total", where="queue_depth", reason="OSError") >= 1


def test_part_filled_batches_and_full_ones_are_told_apart(captured_metrics, fake_clock: FakeClock):
    slow, busy = (infermeter.batcher(name, limit=4) for name in ("slow", "busy"))
    for _ in range(3):
        with slow as batch:
            batch.add()
            fake_clock.advance(0.02)
    for _ in range(5):
        with busy as batch:
            for _ in range(4):
                batch.add(waited_s=0.001)
    with busy as batch:
        batch.add(2)
        batch.flush()

    assert reasons(captured_metrics, model_name="slow") == {"full": 0, "timeout": 3, "flush": 0}
    assert reasons(captured_metrics, model_name="busy") == {"full": 5, "timeout": 0, "flush": 1}
    assert captured_metrics.value(SIZE, model_name="slow") == 3
    assert captured_metrics.value(SIZE, model_name="busy") == 22
    assert captured_metrics.value(LIMIT, model_name="busy") == 4
    assert captured_metrics.value(WAIT, model_name="slow") == pytest.approx(0.06)
    (waits,) = captured_metrics.points(WAIT, model_name="slow")
    assert waits.counts[waits.bounds.index(0.025)] == 3


def test_an_empty_batch_and_one_that_failed_to_leave_record_nothing(captured_metrics):
    llm = infermeter.batcher("llm", limit=4)
    with llm:
        pass

    def fails_to_leave() -> None:
        with llm as batch:
            batch.add()
            raise KeyError

    with pytest.raises(KeyError):
        fails_to_leave()

    assert captured_metrics.points(SIZE) == []
    assert reasons(captured_metrics) == {"full": 0, "timeout": 0, "flush": 0}


async def test_one_batcher_serves_overlapping_tasks_and_threads(captured_metrics):
    llm = infermeter.batcher("llm", limit=8)
    both_open = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else None

    async def collect(inputs: int) -> None:
        with llm as batch:
            batch.add(inputs)
            if both_open is not None:
                await both_open.wait()
            else:
                await asyncio.sleep(0)

    await asyncio.gather(collect(8), collect(3))
    barrier = threading.Barrier(2)

    def collect_in_thread(inputs: int) -> None:
        with llm as batch:
            batch.add(inputs)
            barrier.wait()

    threads = [threading.Thread(target=collect_in_thread, args=(inputs,)) for inputs in (8, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert reasons(captured_metrics) == {"full": 2, "timeout": 2, "flush": 0}
    assert captured_metrics.value(SIZE) == 24


async def test_a_decorated_runner_records_each_batch_it_gets(captured_metrics):
    @infermeter.batcher("sync", limit=2)
    def run(inputs: list[int]) -> int:
        return sum(inputs)

    @infermeter.batcher("async", limit=2)
    async def run_async(inputs: list[int]) -> int:
        return sum(inputs)

    class Server:
        @infermeter.batcher("method", limit=2)
        def run(self, inputs: list[int]) -> int:
            return sum(inputs)

    assert run([1, 2]) == 3
    assert run(inputs=[1]) == 1
    assert run([]) == 0
    assert await run_async([1, 2]) == 3
    assert Server().run([1, 2]) == 3
    assert inspect.iscoroutinefunction(run_async)
    assert reasons(captured_metrics, model_name="sync") == {"full": 1, "timeout": 1, "flush": 0}
    assert reasons(captured_metrics, model_name="async")["full"] == 1
    assert reasons(captured_metrics, model_name="method")["full"] == 1


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "8"])
def test_a_limit_that_is_none_is_refused_at_start(limit):
    with pytest.raises(infermeter.ConfigError, match="limit must be a whole number"):
        infermeter.batcher("llm", limit=limit)


def test_nothing_is_recorded_before_configure():
    infermeter.record_batch_size("llm", 3)
    infermeter.batcher("llm").dispatched(3)
    infermeter.observe_queue_depth("llm", 3)
    with capture() as captured:
        assert captured.points(SIZE) == captured.points(BATCHES) == captured.points(DEPTH) == []


@pytest.mark.parametrize("recorder", ["cells", "otel"])
def test_both_recorders_export_the_same_load(recorder: str, sink: OtlpSink, connect):
    connect(recorder=recorder)
    infermeter.batcher("llm", version="1", limit=4).dispatched(4, oldest_wait_s=0.2)
    infermeter.observe_queue_depth("llm", lambda: 6, version="1")
    assert infermeter.force_flush()

    points = {(name, labels.get("reason")): point for name, labels, point in sink.received[-1].points()}
    assert points[SIZE, None].sum == 4
    assert points[WAIT, None].count == 1
    assert (points[BATCHES, "full"].as_double or points[BATCHES, "full"].as_int) == 1
    assert points[DEPTH, None].as_double or points[DEPTH, None].as_int == 6


def test_a_forked_child_starts_from_zero_and_keeps_what_was_declared(captured_metrics):
    llm = infermeter.batcher("llm", limit=4)
    llm.dispatched(4)
    infermeter.observe_queue_depth("llm", 9)
    room = runtime.live.room(infermeter.inference.load.LoadRoom)
    runtime.live.after_fork_in_child()  # what the hook calls; the whole of it is in tests/host_safety

    assert captured_metrics.points(SIZE) == captured_metrics.points(DEPTH) == []
    assert reasons(captured_metrics) == {"full": 0, "timeout": 0, "flush": 0}
    assert captured_metrics.value(LIMIT) == 4
    assert runtime.live.room(infermeter.inference.load.LoadRoom) is room
    llm.dispatched(3)
    assert reasons(captured_metrics) == {"full": 0, "timeout": 1, "flush": 0}
