"""Eight services on a host with eight GPUs, one of them killed: no GPU is ever published twice."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml, compile_library
from tests.pipeline.conftest import StartStack
from tests.pipeline.example_processes import environment
from tests.pipeline.live_stack import LiveStack, eventually

from infermeter.cli.stack.loopback import get_json

pytestmark = pytest.mark.pipeline

PROGRAM = Path(__file__).with_name("publisher_program.py")
PROCESSES, INTERVAL_S = 8, 1.0
POWER_SUM = "sum(DCGM_FI_DEV_POWER_USAGE)"
PUBLISHING = 'infermeter_gpu_publisher{state="publishing",job="gpu-services"} == 1'


@contextmanager
def services(live: LiveStack, folder: Path, fake: FakeNvml) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Start all of them; returns them by instance."""
    library = compile_library(folder)
    started: dict[str, subprocess.Popen[str]] = {}
    try:
        for number in range(PROCESSES):
            env = environment(
                live,
                "gpu-services",
                interval_s=INTERVAL_S,
                OTEL_RESOURCE_ATTRIBUTES=f"service.instance.id=service-{number},host.name=node-1",
                FAKE_NVML_STATE=str(fake.path),
                LD_LIBRARY_PATH=str(library.parent),
                INFERMETER_GPU_LOCK_DIR=str(folder / "locks"),
                INFERMETER_GPU_EXPORTER_URL="http://127.0.0.1:9/metrics",
                NODE_NAME="node-1",
            )
            started[f"service-{number}"] = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(INTERVAL_S)],
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        for process in started.values():
            assert process.stdout.readline() == "ready\n"
        yield started
    finally:
        for process in started.values():
            process.kill()
            process.communicate()  # closes the input, with which children end as well


def publishers(live: LiveStack) -> set[str]:
    return {labels["instance"] for labels, _ in live.query(PUBLISHING)}


def sums_since(live: LiveStack, begin_s: float) -> list[float]:
    """Return the sum over all GPUs at each half second since then."""
    url = f"{live.prometheus_url}/api/v1/query_range?query={POWER_SUM}&start={begin_s}&end={time.time()}&step=0.5"
    answer = get_json(url, timeout_s=10)
    (series,) = answer["data"]["result"]
    return [float(value) for _, value in series["values"]]


def test_a_killed_publisher_is_replaced_and_no_gpu_ever_counts_twice(start_stack: StartStack, tmp_path: Path) -> None:
    live = start_stack()
    fake = FakeNvml(tmp_path / "state")
    devices.eight_h200(fake)
    expected_w = sum(fake.device(index).power_mw for index in range(8)) / 1000
    with services(live, tmp_path, fake) as running:
        eventually("the eight GPUs", lambda: live.value(POWER_SUM) == pytest.approx(expected_w))
        begin_s = time.time()
        eventually("all services", lambda: len(live.query('infermeter_gpu_publisher{state="standby"}')) == PROCESSES)
        (holder,) = publishers(live)
        running[holder].stdin.write("fork\n")
        running[holder].stdin.flush()
        assert running[holder].stdout.readline() == "forked\n"

        running[holder].kill()
        killed_s = time.time()
        for index in range(8):
            fake.device(index).temp = 77  # what only a living publisher can tell

        eventually("a successor", lambda: len(publishers(live) - {holder}) == 1)
        eventually("its values", lambda: live.value("count(DCGM_FI_DEV_GPU_TEMP == 77)") == 8)
        took_s = time.time() - killed_s
        time.sleep(3 * INTERVAL_S)  # a second one would show by now
        assert len(publishers(live) - {holder}) == 1
        sums = sums_since(live, begin_s)
    assert len(sums) > 6
    assert sums == pytest.approx([expected_w] * len(sums))
    # Two readings of the successor, and its way through export and scrape, which take a second each.
    assert took_s < 2 * INTERVAL_S + 2 * INTERVAL_S + 6
    print(f"takeover: {took_s:.1f} s with a reading every {INTERVAL_S:g} s")
