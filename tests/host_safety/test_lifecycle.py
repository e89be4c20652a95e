"""Configuring, shutting down and everything in between, in any order and from any thread: the host never notices."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Callable

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.conftest import Errors
from tests.host_safety.scripts import run
from tests.otlp_sink import OtlpSink
from tests.waiting import until

import infermeter
import infermeter.runtime

Connect = Callable[..., infermeter.Telemetry]
REQUESTS = "model_inference_requests_total"
fraud = infermeter.instrument_inference("fraud", version="3")


@pytest.fixture
def our_threads() -> Callable[[], list[threading.Thread]]:
    """Exporting threads that the test has started; one of a test before may still wait for a dead host."""
    before = set(threading.enumerate())
    return lambda: [t for t in threading.enumerate() if t.name == "infermeter" and t not in before]


def test_shutdown_delivers_ends_the_thread_and_may_be_repeated(
    our_threads: Callable[[], list[threading.Thread]], sink: OtlpSink, connect: Connect
) -> None:
    telemetry = connect()
    fraud.record(0.1)

    assert infermeter.shutdown() is True
    assert infermeter.shutdown() is True
    assert telemetry.shutdown() is True
    assert telemetry.force_flush() is True
    assert sink.total(REQUESTS) == 1
    until(lambda: our_threads() == [], "the exporting thread to end")
    assert not infermeter.is_configured()


def test_recording_after_shutdown_is_a_cheap_nothing(sink: OtlpSink, connect: Connect) -> None:
    connect()
    fraud.record(0.1)
    infermeter.shutdown()
    before = len(sink.received)

    fraud.record(0.1)
    with fraud as call:
        call.predicted("legit", confidence=0.5)
    assert fraud(lambda: 7)() == 7
    infermeter.record_prediction("fraud", confidence=0.5)
    infermeter.register_model("late", sla_s=0.1)
    assert infermeter.force_flush() is True
    assert len(sink.received) == before


def test_shutdown_while_threads_record_counts_what_came_before(sink: OtlpSink, connect: Connect) -> None:
    connect()
    stop, calls = threading.Event(), []

    def record() -> None:
        count = 0
        while not stop.is_set():
            with fraud as call:
                call.predicted("legit", confidence=0.5)
            count += 1
        calls.append(count)

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: infermeter.force_flush() and sink.total(REQUESTS), "calls to arrive")
    assert infermeter.shutdown() is True
    stop.set()
    for thread in threads:
        thread.join()

    assert 0 < sink.total(REQUESTS) <= sum(calls)


def test_many_threads_may_flush_and_shut_down_at_once(sink: OtlpSink, connect: Connect) -> None:
    connect()
    fraud.record(0.1)
    start, ended, flushed = threading.Barrier(8), [], []

    def end(index: int) -> None:
        start.wait()
        if index % 2:
            ended.append(infermeter.shutdown(30))
        else:
            flushed.append(infermeter.force_flush(1))

    threads = [threading.Thread(target=end, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not any(thread.is_alive() for thread in threads)
    assert (len(ended), len(flushed)) == (4, 4)  # none raised
    assert all(ended)
    assert sink.total(REQUESTS) == 1


def test_configuring_again_replaces_delivers_the_old_and_warns_once(
    our_threads: Callable[[], list[threading.Thread]],
    sink: OtlpSink,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for count in (1, 2, 3):
        connect(service_name=f"service-{count}")
        for _ in range(count):
            fraud.record(0.1)
    assert infermeter.shutdown()

    totals = {r.resource["service.name"]: r.value(REQUESTS) for r in sink.latest().values()}
    assert totals == {"service-1": 1, "service-2": 2, "service-3": 3}
    assert len(sink.latest()) == 3
    assert [record.getMessage() for record in caplog.records if "configured again" in record.getMessage()] == [
        caplog.records[0].getMessage()
    ]
    until(lambda: our_threads() == [], "all exporting threads to end")


@pytest.mark.parametrize("recorder", ["cells", "otel"])
def test_calls_under_way_while_configured_again_arrive_with_all_they_tell(
    recorder: str, sink: OtlpSink, connect: Connect
) -> None:
    def again(service: str) -> None:
        connect(service_name=service, recorder=recorder)

    @fraud
    def predict(service: str, rows: int = 1) -> dict[str, object]:
        again(service)
        return {"confidence": 1 / rows / 2, "label": "legit"}

    again("first")
    fraud.record(0.1)
    with fraud as call:
        predict("second")
        call.predicted("legit", confidence=0.25)
    with pytest.raises(ZeroDivisionError):
        predict("third", 0)
    with fraud as call:
        again("fourth")
        again("fifth")
        call.failed("Timeout")
    assert infermeter.shutdown()

    def reported(service: str, name: str, **labels: str) -> float:
        (request,) = [r for r in sink.latest().values() if r.resource["service.name"] == service]
        return request.value(name, **labels) or 0

    assert [reported(s, REQUESTS) for s in ("first", "second", "third", "fourth", "fifth")] == [1, 2, 1, 0, 1]
    assert reported("second", "model_prediction_confidence") == 2
    assert reported("second", "model_feature_values_total", bin="legit") == 2
    assert reported("third", "model_inference_exceptions_total", error_type="ZeroDivisionError") == 1
    assert reported("fifth", "model_inference_exceptions_total", error_type="Timeout") == 1
    assert reported("fifth", "model_inference_in_flight") == 0


def test_a_child_forked_within_a_call_that_outlived_its_configuration_leaves_it_to_the_parent(
    sink: OtlpSink, connect: Connect
) -> None:
    ended = run(
        """
        infermeter.configure(export_interval_s=3600)
        with fraud:
            infermeter.configure(export_interval_s=3600)
            child = os.fork()
        if child == 0:
            fraud.record(0.1, status="error")
            sys.exit()
        os.waitpid(child, 0)
        """,
        endpoint=sink.endpoint,
    )

    assert ended.returncode == 0, ended.stderr
    assert sink.total(REQUESTS, status="success") == 1
    assert sink.total(REQUESTS, status="error") == 1


def test_nothing_is_lost_while_the_old_configuration_waits_for_a_dead_endpoint(
    sink: OtlpSink, connect: Connect
) -> None:
    with socket.socket() as black_hole:
        black_hole.bind(("127.0.0.1", 0))
        black_hole.listen()
        connect(endpoint=f"http://127.0.0.1:{black_hole.getsockname()[1]}", export_timeout_s=1)
        again = threading.Thread(target=connect, kwargs={"handle_sigterm": False, "export_timeout_s": 1})
        old = infermeter.runtime.live
        again.start()
        until(lambda: old is not None and old._shut_down, "the old configuration to be on its way out")
        for _ in range(100):
            fraud.record(0.1)
        again.join()

    assert infermeter.force_flush(30)
    assert sink.total(REQUESTS) == 100


def test_configuring_again_with_the_same_metrics_port_works() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    for _ in range(2):
        telemetry = infermeter.configure(
            exporter="prometheus", prometheus_host="127.0.0.1", prometheus_port=port, handle_sigterm=False
        )
        fraud.record(0.1)

    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    assert telemetry.metrics_url == f"http://127.0.0.1:{port}/metrics"
    assert 'model_inference_requests_total{host_name="' in text
    assert infermeter.shutdown()


def test_a_taken_metrics_port_is_refused_at_start_and_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(infermeter.ConfigError, match="OTEL_EXPORTER_PROMETHEUS_PORT / prometheus_port must be"):
            infermeter.configure(exporter="prometheus", prometheus_host="127.0.0.1", prometheus_port=port)

    assert not infermeter.is_configured()
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("recorder", ["cells", "otel"])
def test_a_handed_over_provider_keeps_its_data_and_carries_ours(
    recorder: str, sink: OtlpSink, connect: Connect
) -> None:
    theirs = InMemoryMetricReader()
    provider = MeterProvider([theirs])
    connect(meter_provider=provider, recorder=recorder)
    provider.get_meter("app").create_counter("app_things_total").add(5, {"kind": "a"})
    fraud.record(0.1)
    assert infermeter.shutdown()

    assert sink.total(REQUESTS, status="success") == 1
    if hasattr(provider, "add_metric_reader"):  # OpenTelemetry 1.43 and newer
        assert sink.total("app_things_total", kind="a") == 5
    provider.get_meter("app").create_counter("app_things_total").add(1, {"kind": "a"})
    data = theirs.get_metrics_data()
    assert data is not None
    (counter,) = [
        metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "app_things_total"
    ]
    assert [point.value for point in counter.data.data_points] == [6]
    provider.shutdown()


def test_a_provider_the_host_has_shut_down_does_not_break_us(
    sink: OtlpSink, connect: Connect, swallowed: Errors
) -> None:
    provider = MeterProvider()
    connect(meter_provider=provider)
    provider.shutdown()
    fraud.record(0.1)

    infermeter.force_flush(1)
    infermeter.shutdown(1)


@pytest.mark.parametrize("recorder", ["cells", "otel"])
def test_no_value_of_any_type_stops_an_export(recorder: str, sink: OtlpSink, connect: Connect) -> None:
    connect(recorder=recorder)
    for value in (
        None,
        True,
        "0.5",
        object(),
        float("nan"),
        float("inf"),
        -1,
        [None, True, ["nested"]],
        {"a": 1},
        b"x",
    ):
        infermeter.record_prediction("fraud", version="3", confidence=value, label=value)
        fraud(lambda value=value: {"confidence": value, "label": value})()
    infermeter.record_prediction("lone \ud800 surrogate", label="\udfff", confidence=0.5, version="\ud800")
    infermeter.record_prediction("long" * 2500, label="long" * 2500, version="v" * 10_000)
    infermeter.record_prediction("nul\x00 and \u2028 and 🦀", label="\x00")

    assert infermeter.force_flush()
    assert sink.total(REQUESTS, model_name="fraud", status="success") == 10
    assert sink.total("infermeter_dropped_total", where="confidence") > 10
    lengths = [len(value) for _, labels, _ in sink.received[-1].points() for value in labels.values()]
    assert max(lengths) <= 128


@pytest.mark.parametrize("recorder", ["cells", "otel"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on"),
    ],
)
def test_our_series_stay_cumulative_with_explicit_buckets(
    variable: str, value: str, recorder: str, sink: OtlpSink, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    connect(recorder=recorder)
    for _ in range(2):
        fraud.record(0.1, confidence=0.5)
        assert infermeter.force_flush()

    assert sink.total(REQUESTS, status="success") == 2
    (latency,) = [p for name, _, p in sink.received[-1].points() if name == "model_inference_latency_seconds"]
    assert latency.count == 2
    assert list(latency.explicit_bounds) == [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5]


def test_a_callback_of_the_host_that_fails_does_not_take_our_series_with_it(sink: OtlpSink, connect: Connect) -> None:
    def failing(_: CallbackOptions) -> list[Observation]:
        raise RuntimeError("the host's own")

    provider = MeterProvider()
    provider.get_meter("app").create_observable_gauge("app_gauge", [failing])
    connect(meter_provider=provider)
    fraud.record(0.1)

    assert infermeter.force_flush()
    assert sink.total(REQUESTS) == 1
    infermeter.shutdown()
    provider.shutdown()


def test_the_first_export_leaves_at_once_and_zeros_with_it(sink: OtlpSink, connect: Connect) -> None:
    infermeter.register_model("fraud", version="3", sla_s=0.2, classes=["legit"], framework="sklearn")
    connect()

    until(lambda: sink.received, "the first export")
    first = sink.received[0]
    assert first.value(REQUESTS, model_name="fraud", status="error") == 0
    assert first.value("model_feature_values_total", bin="legit") == 0
    assert first.value("model_inference_sla_seconds", model_name="fraud") == 0.2
    assert first.value("model_info", framework="sklearn") == 1
    infermeter.register_model("late", version="1")
    until(lambda: sink.received[-1].value(REQUESTS, model_name="late") == 0, "the new model's zeros")
