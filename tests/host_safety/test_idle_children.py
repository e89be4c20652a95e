"""A forked child that records nothing costs nobody anything: no export, no delay at its exit."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.otlp_sink import OtlpSink

from infermeter import Telemetry, instrument_inference, shutdown


def _exit_code_of_child(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_that_recorded_nothing_exports_nothing_at_its_exit(sink: OtlpSink, connect: Callable[..., Telemetry]):
    telemetry = connect()
    assert telemetry.force_flush()
    before = sink.requests

    assert _exit_code_of_child(lambda: _assert(shutdown())) == 0
    assert sink.requests == before


def test_a_child_that_recorded_delivers_at_its_exit(sink: OtlpSink, connect: Callable[..., Telemetry]):
    telemetry = connect()
    assert telemetry.force_flush()

    def work() -> None:
        instrument_inference("fraud", version="3").record(0.1)
        _assert(shutdown())

    assert _exit_code_of_child(work) == 0
    assert sink.received[-1].value("model_inference_requests_total", status="success") == 1


def _assert(condition: bool) -> None:
    if not condition:
        raise AssertionError
