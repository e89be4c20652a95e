"""The reader, the SDK and the agent on a real GPU, compared with `nvidia-smi`. Run by `make test-hardware`."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter

import pytest
from tests.waiting import until

import infermeter
from infermeter.gpu.sample import GpuSample
from infermeter.gpu.schema import PROFILES, ROWS

pytestmark = pytest.mark.hardware

MIB = 2**20


def sampled(reader) -> list[GpuSample]:
    """Read twice, as activity is known from the second time on."""
    for gpu in reader.devices():
        reader.sample(gpu)
    time.sleep(0.3)
    return [sample for gpu in reader.devices() for sample in reader.sample(gpu)]


def is_told(row: dict[str, str], column: str) -> bool:
    return row[column] not in ("", "[N/A]", "N/A", "[Not Supported]")


def whole(rows, samples) -> list[tuple[dict[str, str], GpuSample]]:
    by_uuid = {sample.gpu.uuid: sample for sample in samples if not sample.gpu.mig_id}
    return [(row, by_uuid[row["uuid"]]) for row in rows if row["uuid"] in by_uuid]


def test_devices_are_the_ones_that_nvidia_smi_shows(rows, reader) -> None:
    found = [(str(gpu.number), gpu.uuid, gpu.model, gpu.pci_bus_id, gpu.driver_version) for gpu in reader.devices()]

    assert found == [(row["index"], row["uuid"], row["name"], row["pci.bus_id"], row["driver_version"]) for row in rows]


def test_values_agree_with_nvidia_smi(rows, reader) -> None:
    for row, sample in whole(rows, sampled(reader)):
        assert sample.memory_total_bytes // MIB == int(row["memory.total"])
        assert abs(sample.memory_used_bytes / MIB - int(row["memory.used"])) <= 1024
        assert abs(sample.temperature_celsius - int(row["temperature.gpu"])) <= 5
        if is_told(row, "power.limit"):
            assert sample.power_limit_watts == pytest.approx(float(row["power.limit"]), abs=0.01)
        if is_told(row, "clocks.max.sm"):
            assert 0 < sample.sm_clock_hertz <= 1e6 * int(row["clocks.max.sm"])


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("temperature.memory", "memory_temperature_celsius"),
        ("utilization.gpu", "utilization_ratio"),
        ("power.limit", "power_limit_watts"),
        ("ecc.errors.uncorrected.volatile.total", "ecc_uncorrected_volatile"),
    ],
)
def test_what_nvidia_smi_does_not_tell_we_do_not_either(rows, reader, column: str, field: str) -> None:
    for row, sample in whole(rows, sampled(reader)):
        assert (getattr(sample, field) is not None) == is_told(row, column), row["name"]


def test_ratios_are_ratios_and_counters_do_not_fall(reader) -> None:
    before = {(s.gpu.uuid, s.gpu.mig_id): s for s in sampled(reader)}
    after = {(s.gpu.uuid, s.gpu.mig_id): s for s in sampled(reader)}

    counters = [row.field for row in ROWS if row.later.kind == "counter"]
    for key, sample in after.items():
        told = {row.field: getattr(sample, row.field) for row in ROWS}
        assert all(0 <= v <= 1 for f, v in told.items() if f.endswith("_ratio") and v is not None), told
        fell = [f for f in counters if told[f] is not None and told[f] < (getattr(before[key], f) or 0)]
        assert fell == []


def test_a_reading_makes_at_most_10_calls_per_gpu_and_says_what_it_takes(reader, monkeypatch, capsys) -> None:
    sampled(reader)
    calls: Counter[str] = Counter()
    call = reader._nvml._call

    def counted(function: str, *arguments: object) -> object:
        calls[function] += 1
        return call(function, *arguments)

    monkeypatch.setattr(reader._nvml, "_call", counted)
    devices = reader.devices()
    parts = sum(max(len(gpu.mig_uuids), 1) for gpu in devices)
    took_ms: list[float] = []
    for _ in range(20):
        started_s = time.perf_counter()
        for gpu in devices:
            reader.sample(gpu)
        took_ms.append(1000 * (time.perf_counter() - started_s))
    with capsys.disabled():
        print(f"\nreading of {len(devices)} GPU(s): median {statistics.median(took_ms):.2f} ms, {dict(calls)} in 20")
    assert sum(calls.values()) <= 10 * parts * 20


def test_series_leave_the_sdk_and_a_collection_waits_for_no_driver(
    captured_metrics, tmp_path, monkeypatch, rows
) -> None:
    monkeypatch.setenv("INFERMETER_GPU_LOCK_DIR", str(tmp_path))
    infermeter.observe_gpus(publisher="always", interval_s=5)
    until(lambda: captured_metrics.points("DCGM_FI_DEV_FB_USED"), "the first reading")

    uuids = {point.labels["UUID"] for point in captured_metrics.points("DCGM_FI_DEV_FB_USED")}
    assert uuids == {row["uuid"] for row in rows}


def test_a_child_forked_after_the_driver_was_opened_reads_as_well(reader) -> None:
    sampled(reader)
    child = os.fork()
    if child == 0:
        reader.reset_in_child()
        os._exit(0 if sampled(reader) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sampled(reader)


@pytest.mark.parametrize("profile", list(PROFILES))
def test_the_agent_serves_this_machine(profile: str, tmp_path, rows) -> None:
    environment = {**os.environ, "INFERMETER_GPU_LOCK_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "infermeter.cli", "gpu", "agent", "--port", "0", "--profile", profile]
    command += ["--interval", "5", "--no-otlp"]
    agent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        url = agent.stdout.readline().partition(",")[0]

        def page() -> str:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode()

        until(lambda: "DCGM_FI_DEV_" in page(), "the page")
        assert all(row["uuid"] in page() for row in rows)
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=30)
    assert agent.returncode == 0


def test_nothing_keeps_the_driver_open_afterwards(reader) -> None:
    sampled(reader)

    reader.close()

    import pynvml

    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlDeviceGetCount()
