"""An endpoint that is away, slow, refuses or never ends: the service does not notice, and no total is lost."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate

import pytest
from tests.otlp_sink import OtlpSink
from tests.waiting import until

import infermeter

Connect = Callable[..., infermeter.Telemetry]
fraud = infermeter.instrument_inference("fraud", version="3")
REQUESTS = "model_inference_requests_total"
SLACK_S = 2.0  # below the 3 s that an export may take, and room for a busy machine


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port whose connections are accepted by the kernel and never by anyone."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield int(listener.getsockname()[1])


def misbehave(sink: OtlpSink, how: str) -> None:
    if how.isdecimal():
        sink.refuse(int(how))
    else:
        {"silent": sink.swallow, "dripping": sink.drip}[how]()


def outcomes(telemetry: infermeter.Telemetry) -> dict[str, int]:
    return dict(telemetry.deliveries.outcomes)


BAD = ["400", "401", "404", "413", "429", "500", "502", "503", "silent", "dripping"]


@pytest.mark.parametrize("how", BAD)
def test_calls_do_not_notice_and_totals_are_complete_afterwards(how: str, sink: OtlpSink, connect: Connect) -> None:
    misbehave(sink, how)
    telemetry = connect(export_timeout_s=0.5, export_interval_s=0.2)
    until(lambda: sink.requests, "an export to be under way")

    for _ in range(2000):
        with fraud as call:
            call.predicted("legit", confidence=0.5)
    until(lambda: outcomes(telemetry)["failure"], "the failed export to be counted")

    sink.released.set()
    sink.accept()
    sink.await_total(2000, REQUESTS, status="success")
    until(lambda: sink.total("infermeter_exports_total", outcome="failure"), "the failures to be reported")
    until(lambda: sink.total("infermeter_exports_total", outcome="success"), "the first success to be reported")
    assert sink.total("model_prediction_confidence") == 2000


@pytest.mark.parametrize("how", ["silent", "dripping"])
def test_calls_of_any_kind_end_while_an_export_hangs(how: str, sink: OtlpSink, connect: Connect) -> None:
    misbehave(sink, how)
    telemetry = connect(export_timeout_s=60)
    until(lambda: sink.requests, "an export to be under way")

    for i in range(500):
        fraud.record(0.1)
        fraud(lambda: {"confidence": 0.5, "label": "legit"})()
        with infermeter.instrument_inference(f"new-{i}") as call:
            call.predicted("legit", confidence=0.5)
        infermeter.register_model(f"declared-{i}", version="1")
        infermeter.record_prediction("fraud", confidence=0.5)

    assert sum(outcomes(telemetry).values()) == 0, "the export has ended: nothing was proved"


@pytest.mark.parametrize("how", [*BAD, "nobody", "black hole"])
@pytest.mark.parametrize("timeout_s", [0.0, 0.4])
def test_flush_and_shutdown_are_bounded_by_their_arguments(
    how: str, timeout_s: float, sink: OtlpSink, connect: Connect, closed_port: int, black_hole: int
) -> None:
    ports = {"nobody": closed_port, "black hole": black_hole}
    if how in ports:
        connect(endpoint=f"http://127.0.0.1:{ports[how]}")
    else:
        misbehave(sink, how)
        connect()
        until(lambda: sink.requests, "an export to be under way")
    fraud.record(0.1)

    for end in (infermeter.force_flush, infermeter.shutdown):
        started_s = time.perf_counter()
        assert end(timeout_s) is False
        assert time.perf_counter() - started_s < timeout_s + SLACK_S


def test_an_export_ends_within_its_timeout(sink: OtlpSink, connect: Connect) -> None:
    sink.swallow()
    telemetry = connect(export_timeout_s=0.5)

    assert infermeter.force_flush(30) is False
    assert telemetry.deliveries.last_duration_s is not None
    assert 0.4 < telemetry.deliveries.last_duration_s < 8, "OpenTelemetry's own timeout is 10 s"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_between_exports(status: int, form: str, sink: OtlpSink, connect: Connect) -> None:
    sink.refuse(status, Retry_After="120" if form == "seconds" else formatdate(time.time() + 120, usegmt=True))
    telemetry = connect(export_interval_s=0.05)
    until(lambda: outcomes(telemetry)["failure"], "the first export to fail")
    until(lambda: telemetry.deliveries.not_before_s > time.perf_counter() + 100, "the wish to be noted")
    asked = sink.requests
    infermeter.register_model("asks-for-an-export-soon")

    with pytest.raises(AssertionError, match="waited"):
        until(lambda: sink.requests > asked, "an export that must not come", timeout_s=1.5)
    sink.accept()
    assert infermeter.force_flush()  # who asks outright is not held back
    until(lambda: sink.requests > asked + 2, "exports at their interval again")


def test_a_retry_after_that_is_nonsense_or_endless_is_kept_within_bounds(sink: OtlpSink, connect: Connect) -> None:
    telemetry = connect()
    for value, longest_s in [("soon", 1), ("-5", 1), ("nan", 1), ("inf", 301), ("1e308", 301), ("", 1)]:
        sink.refuse(503, Retry_After=value)
        infermeter.force_flush(10)

        assert telemetry.deliveries.not_before_s - time.perf_counter() < longest_s, value


@pytest.mark.parametrize("status", ["400", "401"])
def test_what_will_not_get_better_is_sent_once(status: str, sink: OtlpSink, connect: Connect) -> None:
    connect()
    assert infermeter.force_flush()
    misbehave(sink, status)
    asked = sink.requests

    assert infermeter.force_flush() is False
    assert sink.requests == asked + 1


def test_each_kind_of_failure_is_logged_once_until_it_is_well_again(
    sink: OtlpSink, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connect(export_timeout_s=0.3)

    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name != "urllib3.connectionpool"]

    for _ in range(3):
        for status in (400, 401):
            sink.refuse(status)
            infermeter.force_flush()
    assert len(said()) == 2
    assert {level for _, level, _ in caplog.record_tuples if level > logging.DEBUG} == {logging.WARNING}
    assert all(sink.endpoint in line for line in said())

    sink.accept()
    assert infermeter.force_flush()
    sink.refuse(400)
    infermeter.force_flush()
    assert len(said()) == 3


def test_one_of_two_exporters_failing_is_a_failure_with_one_line(
    sink: OtlpSink, connect: Connect, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    sink.refuse(503, Retry_After="120")
    telemetry = connect(exporter="otlp,console", export_timeout_s=0.3)
    for _ in range(3):
        assert infermeter.force_flush(30) is False

    assert len(caplog.records) == 1
    assert telemetry.deliveries.not_before_s > time.perf_counter() + 60
    assert "resource_metrics" in capsys.readouterr().out
    sink.accept()
    assert infermeter.force_flush(30)


def test_nobody_listening_is_one_line(closed_port: int, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    connect(endpoint=f"http://127.0.0.1:{closed_port}", export_timeout_s=0.2)
    for _ in range(4):
        assert infermeter.force_flush(5) is False

    (line,) = [record.getMessage() for record in caplog.records]
    assert f"127.0.0.1:{closed_port}" in line


def test_failures_of_others_through_opentelemetry_are_still_logged(
    sink: OtlpSink, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    connect()
    assert infermeter.force_flush()
    logging.getLogger("opentelemetry.exporter.otlp").warning("of the host's own exporter")

    assert "of the host's own exporter" in caplog.text


def test_headers_and_compression_are_sent(sink: OtlpSink, connect: Connect) -> None:
    connect(headers={"authorization": "Bearer token"}, compression="gzip")
    assert infermeter.force_flush()

    headers = {name.lower(): value for name, value in sink.received[-1].headers.items()}
    assert headers["authorization"] == "Bearer token"
    assert headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("how", ["raises", "records", "flushes", "shuts down", "exits"])
def test_a_log_handler_of_the_host_may_do_anything(how: str, sink: OtlpSink, connect: Connect) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)
            fraud.record(0.1)
            if how == "raises":
                raise RuntimeError("handler")
            if how == "flushes":
                infermeter.force_flush(0.2)
            if how == "shuts down":
                infermeter.shutdown(0.2)

    seen: list[logging.LogRecord] = []
    handler = Handler()
    logging.getLogger("infermeter").addHandler(handler)
    try:
        sink.refuse(400)
        telemetry = connect()
        until(lambda: seen, "the failure to be logged")
        assert infermeter.force_flush(2) is (how == "shuts down")
        if how != "shuts down":
            sink.accept()
            assert infermeter.force_flush(5)
            sink.await_total(1, REQUESTS, status="success")
        until(lambda: outcomes(telemetry)["failure"], "the failed export to be counted")
        assert len(seen) == 1
    finally:
        logging.getLogger("infermeter").removeHandler(handler)
