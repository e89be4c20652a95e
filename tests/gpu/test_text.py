"""The page of the agent, byte by byte as committed, in each profile; and what must never be on it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.conftest import FakeClock
from tests.contract.promtool import promtool
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml

from infermeter.gpu.owner import Snapshot, XidSeen
from infermeter.gpu.reader import NvmlReader
from infermeter.gpu.sample import Gpu, GpuSample
from infermeter.gpu.schema import PROFILES
from infermeter.gpu.text import TextRenderer

GOLDEN = Path(__file__).parent / "golden"
PROFILE_NAMES = tuple(PROFILES)


def snapshot_of(reader: NvmlReader, clock: FakeClock) -> Snapshot:
    """Read everything twice, 15 s apart, and add two errors that the driver reported."""
    for gpu in reader.devices():
        reader.sample(gpu)
    clock.advance(15)
    samples = tuple(sample for gpu in reader.devices() for sample in reader.sample(gpu))
    seen = {(devices.uuid(1), 31): XidSeen(2, 1790000000.25), (devices.uuid(1), 79): XidSeen(1, 1790000001.5)}
    return Snapshot(clock.now_s, samples, tuple(reader.devices()), last_xids={devices.uuid(1): 79}, xids=seen)


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_the_page_equals_the_committed_one(
    nvml: FakeNvml, reader: NvmlReader, fake_clock: FakeClock, profile: str
) -> None:
    devices.mixed_node(nvml)

    page = TextRenderer(PROFILES[profile], "node-1").render(snapshot_of(reader, fake_clock))

    assert page == (GOLDEN / f"{profile}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_each_label_set_comes_once_and_every_value_is_a_finite_number(profile: str) -> None:
    rows = [line for line in (GOLDEN / f"{profile}.txt").read_text(encoding="utf-8").splitlines() if line[0] != "#"]

    series = [row.rpartition(" ")[0] for row in rows]
    assert len(series) == len(set(series))
    for row in rows:
        assert re.fullmatch(r"-?\d+(\.\d{3}|\.\d{6})?", row.rpartition(" ")[2]), row


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_promtool_finds_fault_only_with_the_style_of_names(profile: str) -> None:
    said = subprocess.run(
        [str(promtool()), "check", "metrics"],
        input=(GOLDEN / f"{profile}.txt").read_bytes(),
        capture_output=True,
        check=False,
    )

    assert said.returncode == 3, "3 says: it parses, but there are remarks"
    remarks = {line.partition(" ")[2] for line in said.stderr.decode().splitlines()}
    assert remarks <= {
        'counter metrics should have "_total" suffix',
        "label names should be written in 'snake_case' not 'camelCase'",
        "metric name should not include type 'counter'",
    }


def test_labels_are_escaped_and_the_pod_comes_last(fake_clock: FakeClock) -> None:
    gpu = Gpu("GPU-1", 0, 'odd "model" \\ name', "00000000:01:00.0", 0, "1.2")
    snapshot = Snapshot(0.0, (GpuSample(gpu, temperature_celsius=40),), (gpu,))
    pods = {("GPU-1", ""): {"container": "main", "namespace": "shop", "pod": "fraud-1"}}

    page = TextRenderer(PROFILES["dcgm-4.8"], "node-1").render(snapshot, pods)

    assert (
        'DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-1",pci_bus_id="00000000:01:00.0",device="nvidia0",'
        'modelName="odd \\"model\\" \\\\ name",Hostname="node-1",DCGM_FI_DRIVER_VERSION="1.2",'
        'container="main",namespace="shop",pod="fraud-1"} 40' in page.splitlines()
    )


def test_nothing_known_is_an_empty_page() -> None:
    assert TextRenderer(PROFILES["dcgm-4.8"], "node-1").render(Snapshot(0.0)) == ""
