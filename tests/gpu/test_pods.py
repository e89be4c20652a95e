"""Which pods hold a GPU: from a process to its control group, to its pod, to the labels of the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml
from tests.gpu.agents import get
from tests.waiting import until

from infermeter.gpu.attribution import PodFinder
from infermeter.gpu.reader import NvmlReader

UID, CONTAINER = "0f1e2d3c-1111-2222-3333-444455556666", "ab" * 32


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with one pod: /proc and /var/log."""
    (tmp_path / "log/pods" / f"shop_fraud-7d9_{UID}").mkdir(parents=True)
    (tmp_path / "log/containers").mkdir()
    (tmp_path / "log/containers" / f"fraud-7d9_shop_main-{CONTAINER}.log").touch()
    return tmp_path


def add_process(host: Path, pid: int, cgroup: str, born: int = 77) -> None:
    folder = host / "proc" / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup").write_text(cgroup, encoding="utf-8")
    (folder / "stat").write_text(f"{pid} (py) odd) S {' '.join(['0'] * 18)} {born} 0", encoding="ascii")


IN_POD = (
    f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice/"
    f"cri-containerd-{CONTAINER}.scope\n"
)


@pytest.mark.parametrize(
    "cgroup",
    [
        IN_POD,
        f"0::/../../kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{CONTAINER}.scope\n",
        f"12:devices:/kubepods/besteffort/pod{UID}/{CONTAINER}\n1:name=systemd:/\n",
    ],
)
def test_a_process_is_found_in_its_pod(host: Path, cgroup: str) -> None:
    add_process(host, 42, cgroup)

    assert PodFinder(host / "proc", host / "log").pod_of(42) == (UID, "shop", "fraud-7d9", "main")


def test_what_is_in_no_pod_is_looked_at_once(host: Path) -> None:
    add_process(host, 42, "0::/user.slice/session-1.scope\n")
    finder = PodFinder(host / "proc", host / "log")
    assert finder.pod_of(42) is None

    (host / "proc/42/cgroup").unlink()

    assert finder.pod_of(42) is None
    assert finder.pod_of(43) is None


def test_a_number_that_came_again_is_another_process(host: Path) -> None:
    add_process(host, 42, "0::/user.slice/session-1.scope\n")
    finder = PodFinder(host / "proc", host / "log")
    assert finder.pod_of(42) is None

    add_process(host, 42, IN_POD, born=78)

    assert finder.pod_of(42).name == "fraud-7d9"


def test_the_page_names_the_pods_that_hold_a_gpu(nvml: FakeNvml, serve, host: Path) -> None:
    other = UID.replace("0f", "1f")
    add_process(host, 42, IN_POD)
    add_process(host, 43, f"0::/kubepods/pod{other}/{'cd' * 32}\n")
    add_process(host, 44, "0::/user.slice\n")
    for index, pids in enumerate([(42, 44), (42, 43), (44,)]):
        devices.h200(nvml, index)
        device = nvml.device(index)
        device.processes = len(pids)
        for place, pid in enumerate(pids):
            device.process[place].pid, device.process[place].instance = pid, 0xFFFFFFFF

    url = serve(NvmlReader(), pods=PodFinder(host / "proc", host / "log"))

    def labels(gpu: int) -> str:
        start = f'DCGM_FI_DEV_GPU_UTIL{{gpu="{gpu}"'
        rows = [line for line in get(f"{url}/metrics")[1].splitlines() if line.startswith(start)]
        return rows[0].partition('590.48.01"')[2].rpartition("}")[0] if rows else "none"

    until(lambda: labels(2) == "", "the page")
    assert labels(0) == f',container="main",namespace="shop",pod="fraud-7d9",pod_uid="{UID}"'
    assert labels(1) == f',container="main",namespace="shop",pod="fraud-7d9,{other}",pod_uid="{UID},{other}"'
