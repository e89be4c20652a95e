"""A driver that hangs for a minute: inference metrics do not notice, and the series of GPUs say what happens."""

from __future__ import annotations

import statistics
import time

from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml
from tests.otlp_sink import OtlpSink
from tests.waiting import until

import infermeter
from infermeter.gpu.reader import NvmlReader

EXPORT_S = INTERVAL_S = 0.2
REQUESTS, AGE = "model_inference_requests_total", "infermeter_gpu_snapshot_age_seconds"


def record(fraud, times: int = 2000) -> float:
    """Return the median time of a recording, in microseconds."""
    took: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        fraud.record(0.1)
        took.append(time.perf_counter() - started)
    return statistics.median(took) * 1e6


def test_inference_goes_on_while_the_driver_hangs(nvml: FakeNvml, connect, sink: OtlpSink, monkeypatch) -> None:
    monkeypatch.setenv("INFERMETER_GPU_EXPORTER_URL", "http://127.0.0.1:9/metrics")
    devices.eight_h200(nvml)
    connect(export_interval_s=EXPORT_S)
    fraud = infermeter.instrument_inference("fraud", version="3")
    infermeter.observe_gpus(NvmlReader(), publisher="always", interval_s=INTERVAL_S)

    def last(name: str, **labels: str) -> float | None:
        return sink.received[-1].value(name, **labels) if sink.received else None

    until(lambda: last("DCGM_FI_DEV_GPU_TEMP"), "the GPUs")
    before_us = record(fraud)

    nvml.rule("nvmlDeviceGetFieldValues", device=3, delay_s=60.0)

    until(lambda: last("DCGM_FI_DEV_GPU_TEMP") is None, "their end")
    assert last(AGE) > 3 * INTERVAL_S
    exports, hung_s = len(sink.received), time.monotonic()
    during_us = record(fraud)
    until(lambda: last(REQUESTS, status="success") == 4000, "what was recorded meanwhile")
    until(lambda: len(sink.received) >= exports + 5, "further exports")
    took_s = time.monotonic() - hung_s
    assert infermeter.force_flush(2.0)
    age_s = last(AGE)
    until(lambda: last(AGE) > age_s, "the age to rise")
    print(f"recording: {before_us:.2f} us before, {during_us:.2f} us during the hang")
    print(f"exports: 5 in {took_s:.2f} s, one every {EXPORT_S} s is the setting")

    nvml.clear_rules()

    until(lambda: last("DCGM_FI_DEV_GPU_TEMP"), "the GPUs again")
    assert last(AGE) < 3 * INTERVAL_S


def test_the_end_of_a_process_does_not_wait_for_a_driver_that_hangs(nvml: FakeNvml, connect, sink: OtlpSink) -> None:
    devices.h200(nvml, 0)
    connect()
    fraud = infermeter.instrument_inference("fraud", version="3")
    fraud.record(0.1)
    infermeter.observe_gpus(NvmlReader(), publisher="always", interval_s=INTERVAL_S)
    nvml.rule("nvmlDeviceGetFieldValues", delay_s=60.0)
    until(lambda: nvml.calls("nvmlDeviceGetFieldValues"), "the hang")

    started_s = time.monotonic()
    assert infermeter.shutdown(timeout_s=10.0)

    assert time.monotonic() - started_s < 10
    assert sink.received[-1].value(REQUESTS, status="success") == 1
    nvml.clear_rules()
