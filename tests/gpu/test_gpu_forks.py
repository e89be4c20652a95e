"""GPUs in processes that fork: the child opens the driver anew, the parent goes on, and no lock is kept by a child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml
from tests.waiting import until

import infermeter
from infermeter.gpu.reader import NvmlReader

PREAMBLE = """
import os, sys, time
import infermeter
from infermeter import runtime
from infermeter.gpu.reader import NvmlReader

def shown():
    return sorted(
        point.labels["gpu"]
        for family in runtime.live.families() if family.metric.name == "DCGM_FI_DEV_GPU_TEMP"
        for point in family.points
    )

def wait(check):
    end = time.monotonic() + 30
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True

def in_child(work):
    child = os.fork()
    if child == 0:
        os._exit(0 if work() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

BOTH = ["0", "1"]
fraud = infermeter.instrument_inference("fraud", version="3")  # who never recorded when it forks is a server's master
"""


@pytest.fixture
def start(
    nvml: FakeNvml, fake_environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen]]:
    """Run a program on a fake that refuses what a child inherited, as the real driver does."""
    devices.h200(nvml, 0)
    devices.h200(nvml, 1)
    nvml.state.strict_fork = 1
    started: list[subprocess.Popen[str]] = []
    environment = {
        **fake_environment,
        "INFERMETER_GPU_LOCK_DIR": str(tmp_path / "locks"),
        "INFERMETER_GPU_EXPORTER_URL": "http://127.0.0.1:9/metrics",
        "OTEL_METRICS_EXPORTER": "none",
    }

    def start(program: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PREAMBLE + program],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, said = process.communicate(timeout=120)
    return out, said


def test_a_fork_before_the_driver_is_opened_lets_each_process_open_its_own(start) -> None:
    process = start("""
infermeter.observe_gpus(NvmlReader(), publisher="always", interval_s=0.05)
infermeter.configure()
fraud.record(0.1)
child = in_child(lambda: wait(lambda: shown() == BOTH))
print(child, wait(lambda: shown() == BOTH))
""")

    assert ended(process) == ("0 True\n", "")


def test_a_fork_after_the_driver_is_opened_does_not_use_what_was_inherited(start) -> None:
    process = start("""
infermeter.observe_gpus(NvmlReader(), publisher="always", interval_s=0.05)
infermeter.configure()
fraud.record(0.1)
first = wait(lambda: shown() == BOTH)
child = in_child(lambda: wait(lambda: shown() == BOTH) and runtime.live.families())
again = wait(lambda: shown() == BOTH)
print(first, child, again)
""")

    assert ended(process) == ("True 0 True\n", "")


def test_a_child_of_a_child_reads_as_well(start) -> None:
    process = start("""
infermeter.observe_gpus(NvmlReader(), publisher="always", interval_s=0.05)
infermeter.configure()
fraud.record(0.1)
first = wait(lambda: shown() == BOTH)
def grandchild():
    return wait(lambda: shown() == BOTH) and in_child(lambda: wait(lambda: shown() == BOTH)) == 0
print(first, in_child(grandchild))
""")

    assert ended(process) == ("True 0\n", "")


def test_a_child_that_others_of_its_process_left_references_in_reads_as_well(start) -> None:
    process = start("""
import pynvml
pynvml.nvmlInit()
pynvml.nvmlInit()  # as a framework does at import
infermeter.observe_gpus(NvmlReader(), publisher="always", interval_s=0.05)
infermeter.configure()
fraud.record(0.1)
first = wait(lambda: shown() == BOTH)
print(first, in_child(lambda: wait(lambda: shown() == BOTH)))
""")

    assert ended(process) == ("True 0\n", "")


def test_forks_in_the_middle_of_readings_never_hang(start) -> None:
    process = start("""
infermeter.observe_gpus(NvmlReader(), publisher="always", interval_s=0.001)
infermeter.configure()
fraud.record(0.1)
first = wait(lambda: shown() == BOTH)
print(first, {in_child(lambda: wait(lambda: shown() == BOTH)) for _ in range(20)})
""")

    assert ended(process) == ("True {0}\n", "")


def test_a_child_does_not_keep_the_lock_of_a_holder_that_is_killed(
    nvml: FakeNvml, start, captured_metrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = start("""
infermeter.observe_gpus(NvmlReader(), interval_s=0.05)
infermeter.configure()
fraud.record(0.1)
wait(lambda: shown() == BOTH)
child = os.fork()
if child == 0:
    sys.stdin.read()  # until the test ends
    os._exit(0)
print(child, flush=True)
sys.stdin.read()
""")
    child = int(holder.stdout.readline())
    monkeypatch.setenv("INFERMETER_GPU_LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.setenv("INFERMETER_GPU_EXPORTER_URL", "http://127.0.0.1:9/metrics")
    infermeter.observe_gpus(NvmlReader(), interval_s=0.05)
    until(lambda: captured_metrics.value("infermeter_gpu_publisher", state="standby") == 1, "us to wait")

    holder.kill()
    holder.wait()

    until(lambda: captured_metrics.points("DCGM_FI_DEV_GPU_TEMP"), "us to take over")
    os.kill(child, 0)  # it lives
    os.kill(child, signal.SIGKILL)
