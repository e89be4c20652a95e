"""Recording from finalizers, garbage collection, signal handlers and many threads: no deadlock, nothing lost."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.host_safety.scripts import run
from tests.otlp_sink import OtlpSink

import infermeter
from infermeter.testing import CapturedMetrics

REQUESTS = "model_inference_requests_total"
fraud = infermeter.instrument_inference("fraud", version="3")


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Switch threads every 10 µs."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(count: int, work: Callable[[int], object]) -> None:
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_eight_threads_and_a_reader_lose_nothing(restless_threads: None, captured_metrics: CapturedMetrics) -> None:
    each, stop = 4000, threading.Event()
    infermeter.register_model("fraud", version="3", classes=["legit"])

    def record(thread: int) -> None:
        for i in range(each):
            fraud.record(0.1, confidence=0.5, status="success" if i % 2 else "error")
            with fraud as call:
                call.predicted(["legit", "new"][i % 2], confidence=0.25)
                if i % 4 == 0:
                    call.failed(f"Type{thread}")
            infermeter.record_prediction("other-model", confidence=0.5)

    def read() -> None:
        while not stop.is_set():
            assert captured_metrics.value(REQUESTS) >= 0

    reader = threading.Thread(target=read)
    reader.start()
    in_threads(8, record)
    stop.set()
    reader.join()

    calls = 8 * each
    assert captured_metrics.value(REQUESTS, model_name="fraud") == 2 * calls
    assert captured_metrics.value(REQUESTS, status="error") == calls / 2 + calls / 4
    assert captured_metrics.count("model_inference_latency_seconds", model_name="fraud") == 2 * calls
    assert captured_metrics.count("model_prediction_confidence", model_name="fraud") == 2 * calls
    assert captured_metrics.value("model_prediction_confidence", model_name="fraud") == calls * 0.75
    assert captured_metrics.value("model_feature_values_total", feature="prediction") == calls
    assert captured_metrics.value("model_inference_exceptions_total") == calls / 4
    assert captured_metrics.value("model_inference_in_flight") == 0
    assert captured_metrics.count("model_prediction_confidence", model_name="other-model") == calls


def test_a_counter_never_falls_while_threads_come_and_go(
    restless_threads: None, captured_metrics: CapturedMetrics
) -> None:
    stop, falls = threading.Event(), []

    def read() -> None:
        before = 0.0
        while not stop.is_set():
            now = captured_metrics.value(REQUESTS)
            if now < before:
                falls.append((before, now))
            before = now

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(60):
        in_threads(5, lambda _: fraud.record(0.1))
    stop.set()
    for reader in readers:
        reader.join()

    assert captured_metrics.value(REQUESTS) == 300
    assert falls == []


def test_threads_that_end_leave_their_counts_and_no_memory(captured_metrics: CapturedMetrics) -> None:
    def churn(rounds: int) -> None:
        for _ in range(rounds):
            in_threads(20, lambda _: fraud.record(0.1, confidence=0.5))
            captured_metrics.families()

    churn(5)
    gc.collect()
    before = len(gc.get_objects())
    churn(50)
    gc.collect()

    assert captured_metrics.value(REQUESTS) == 55 * 20
    assert len(gc.get_objects()) - before < 200


def test_what_a_thread_records_while_it_dies_is_kept(captured_metrics: CapturedMetrics) -> None:
    class RecordsAtItsEnd:
        def __del__(self) -> None:
            fraud.record(0.1)

    local = threading.local()

    def work(_: int) -> None:
        local.at_end = RecordsAtItsEnd()
        fraud.record(0.1)
        local.after = RecordsAtItsEnd()

    for _ in range(20):
        in_threads(3, work)
        captured_metrics.families()

    assert captured_metrics.value(REQUESTS) == 20 * 3 * 3


def test_calls_that_end_on_another_thread_balance(captured_metrics: CapturedMetrics) -> None:
    @fraud
    def chunks() -> Iterator[int]:
        yield 1

    def begin(_: int) -> None:
        stream = chunks()
        next(stream)
        running.append(stream)

    running: list[Iterator[int]] = []
    in_threads(10, begin)
    assert captured_metrics.value("model_inference_in_flight") == 10
    for stream in running:
        in_threads(1, lambda _, stream=stream: list(stream))  # type: ignore[misc]

    assert captured_metrics.value("model_inference_in_flight") == 0
    assert captured_metrics.value(REQUESTS, status="success") == 10


def test_recording_from_garbage_collection_and_finalizers_loses_nothing(sink: OtlpSink) -> None:
    ended = run(
        """
        infermeter.configure(export_interval_s=0.02)
        in_gc = infermeter.instrument_inference("in-gc")
        in_del = infermeter.instrument_inference("in-del")
        counts = {"gc": 0, "del": 0}
        def on_gc(phase, info):
            counts["gc"] += 1
            with in_gc as call: call.predicted("legit", confidence=0.5)
        class Cycle:
            def __init__(self): self.me = self
            def __del__(self):
                counts["del"] += 1
                with in_del as call: call.predicted(f"class-{counts['del'] % 60}", confidence=0.5)
        gc.set_threshold(5)
        gc.callbacks.append(on_gc)
        for i in range(8000):
            Cycle()
            with fraud as call: call.predicted(f"class-{i % 60}", confidence=0.5)
            if i % 400 == 0: infermeter.register_model(f"m{i}", version="1", sla_s=0.123)
        gc.callbacks.remove(on_gc)
        gc.disable()
        expected = dict(counts)
        print(infermeter.shutdown(20), expected["gc"], expected["del"])
        os._exit(0)
        """,
        endpoint=sink.endpoint,
    )

    assert ended.stdout.startswith("True "), ended.stderr
    _, in_gc, in_del = ended.stdout.split()
    for model, calls in [("fraud", 8000), ("in-gc", int(in_gc)), ("in-del", int(in_del))]:
        assert calls > 100
        assert sink.total(REQUESTS, model_name=model) == calls
        assert sink.total("model_prediction_confidence", model_name=model) == calls
        assert sink.total("model_feature_values_total", model_name=model, feature="prediction") == calls


def test_recording_in_a_signal_handler_loses_nothing(sink: OtlpSink) -> None:
    ended = run(
        """
        infermeter.configure(export_interval_s=0.02)
        handled = armed = 0
        def on_alarm(*_):
            global handled
            fraud.record(0.1, confidence=0.5)
            with fraud as call: call.predicted(f"class-{handled % 60}", confidence=0.25)
            infermeter.record_prediction(f"new-{handled}", confidence=float("nan"))
            handled += 1
        signal.signal(signal.SIGALRM, on_alarm)
        calls = 0
        while handled < 2000:
            fraud.record(0.1, confidence=0.5)
            with fraud as call: call.predicted(f"class-{calls % 60}", confidence=0.25)
            infermeter.record_prediction(f"newer-{calls}", confidence=float("nan"))
            calls += 1
            if armed == handled:
                armed += 1
                signal.setitimer(signal.ITIMER_REAL, 0.00005 + calls % 13 * 0.00001)
        signal.setitimer(signal.ITIMER_REAL, 0)
        expected = calls + handled
        print(infermeter.shutdown(20), expected)
        """,
        endpoint=sink.endpoint,
    )

    assert ended.stdout.startswith("True "), ended.stderr
    expected = int(ended.stdout.split()[1])
    assert sink.total(REQUESTS, model_name="fraud", status="success") == 2 * expected
    assert sink.total("model_prediction_confidence", model_name="fraud") == 2 * expected
    assert sink.total("model_feature_values_total", model_name="fraud", feature="prediction") == expected
    assert sink.total("infermeter_dropped_total", where="confidence", reason="not_finite") == expected
    assert sink.total("model_inference_in_flight", model_name="fraud") == 0


def test_a_signal_within_any_recording_loses_neither(sink: OtlpSink) -> None:
    # Little else happens in this loop, so that most signals arrive between two steps of the recording itself.
    ended = run(
        """
        infermeter.configure(export_interval_s=3600)
        answer = {"confidence": 0.5, "label": "legit"}
        predict = fraud(lambda: answer)
        broken = fraud(lambda: 1 / 0)
        def record():
            predict()
            fraud.record(0.1, confidence=0.5)
            try: broken()
            except ZeroDivisionError: pass
        handled = calls = 0
        def on_alarm(*_):
            global handled
            record()
            handled += 1
            signal.setitimer(signal.ITIMER_REAL, 0.00002 + handled % 17 * 0.000001)
        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.0001)
        while handled < 15000:
            record(); record(); record(); record(); record(); record(); record(); record()
            calls += 8
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        expected = calls + handled
        print(infermeter.shutdown(20), expected)
        """,
        endpoint=sink.endpoint,
    )

    assert ended.stdout.startswith("True "), ended.stderr
    expected = int(ended.stdout.split()[1])
    assert sink.total(REQUESTS, status="success") == 2 * expected
    assert sink.total("model_inference_exceptions_total") == expected
    assert sink.total("model_inference_latency_seconds") == 3 * expected
    assert sink.total("model_prediction_confidence") == 2 * expected
    assert sink.total("model_feature_values_total", bin="legit") == expected
