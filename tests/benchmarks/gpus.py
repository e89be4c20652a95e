"""What GPUs cost, on a fake driver: calls and time of a reading, of a page, and of a collection by the SDK.

The fake answers at once, so these are our own costs; a real driver adds its own to each call.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pynvml
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from tests.benchmarks.timing import Measured, compare
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml, compile_library

import infermeter
from infermeter import runtime
from infermeter.gpu.gauges import labels_of
from infermeter.gpu.owner import Snapshot
from infermeter.gpu.reader import NvmlReader
from infermeter.gpu.schema import PROFILES
from infermeter.gpu.text import TextRenderer

COUNTS = (1, 8, 64)
PLAIN_CYCLE = "a call per value, as most exporters do"
OURS_CYCLE = "infermeter, reading"
PLAIN_PAGE = "prometheus_client, labels per value"
OURS_PAGE = "infermeter, page"
COLLECT = "infermeter, collection callback"
PLAIN_CALLS = 29
_PROFILE = PROFILES["dcgm-4.8"]
_FIELDS = (3, 4, 5, 6, 74, 75, 76, 77, 78, 79, 82, 83, 94, 138, 139, 142, 143, 144, 145, 185)


class OfGpus(NamedTuple):
    """Costs on one number of GPUs."""

    gpus: int
    calls_per_gpu: float
    """Calls of the driver in one reading, as the fake counts them."""
    calls_of_collections: int
    """Calls of the driver in all timed collections."""
    cases: dict[str, Measured]


def gpus(rounds: int) -> list[OfGpus]:
    """Measure on each of ``COUNTS``."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fake = FakeNvml(folder / "state")
        os.environ |= {"FAKE_NVML_STATE": str(fake.path), "INFERMETER_GPU_EXPORTER_URL": "http://127.0.0.1:9/metrics"}
        ctypes.CDLL(str(compile_library(folder)))  # before pynvml asks for the name, which then finds this one
        return [_on(fake, count, rounds) for count in COUNTS]


def _on(fake: FakeNvml, count: int, rounds: int) -> OfGpus:
    fake.reset()
    for index in range(count):
        devices.h200(fake, index)
    reader = NvmlReader()
    snapshot = _read(reader)
    snapshot = _read(reader)
    fake.forget_calls()
    _read(reader)
    calls = fake.calls() / count
    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    renderer = TextRenderer(_PROFILE, "node-1")
    cases: dict[str, Callable[[], object]] = {
        PLAIN_CYCLE: lambda: [_plain(handle) for handle in handles],
        OURS_CYCLE: lambda: _read(reader),
        PLAIN_PAGE: lambda: _plain_page(snapshot),
        OURS_PAGE: lambda: renderer.render(snapshot),
    }
    measured = compare(cases, calls=3, rounds=rounds)
    pynvml.nvmlShutdown()
    reader.close()
    collected, calls_of_collections = _collections(fake, rounds)
    return OfGpus(count, calls, calls_of_collections, measured | collected)


def _read(reader: NvmlReader) -> Snapshot:
    found = tuple(reader.devices())
    return Snapshot(0.0, tuple(sample for gpu in found for sample in reader.sample(gpu)), found)


def _plain(handle: object) -> None:
    """Ask as is usual, one call for each value: 29 calls, and nothing of what GPM tells."""
    pynvml.nvmlDeviceGetUtilizationRates(handle)
    pynvml.nvmlDeviceGetEncoderUtilization(handle)
    pynvml.nvmlDeviceGetDecoderUtilization(handle)
    pynvml.nvmlDeviceGetMemoryInfo(handle)
    pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU)
    pynvml.nvmlDeviceGetPowerUsage(handle)
    pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)
    pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM)
    pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    for field in _FIELDS:
        pynvml.nvmlDeviceGetFieldValues(handle, [field])


def _plain_page(snapshot: Snapshot) -> bytes:
    """Set and render gauges, with the same values and labels."""
    registry = CollectorRegistry()
    labelled = [(sample, labels_of(sample.gpu, _PROFILE, "node-1")) for sample in snapshot.samples]
    names = list(labelled[0][1])
    for field, column in _PROFILE.columns:
        gauge = Gauge(column.name, column.help, names, registry=registry)
        for sample, labels in labelled:
            value = getattr(sample, field)
            if value is not None:
                gauge.labels(**labels).set(column.shown(value))
    return generate_latest(registry)


def _collections(fake: FakeNvml, rounds: int) -> tuple[dict[str, Measured], int]:
    """Time what an export asks of the room while nothing is being read."""
    fake.state.no_event_support = 1  # nothing waits for errors, so that every counted call would be a collection's
    telemetry = infermeter.configure(exporter="none")
    infermeter.observe_gpus(NvmlReader(), publisher="always", interval_s=3600)
    pause = threading.Event()
    while not any(family.metric.name == "DCGM_FI_DEV_GPU_TEMP" for family in telemetry.families()):
        pause.wait(0.01)
    fake.forget_calls()
    try:
        assert runtime.live is telemetry
        measured = compare({COLLECT: telemetry.families}, calls=3, rounds=rounds)
        return measured, fake.calls()
    finally:
        infermeter.shutdown()
