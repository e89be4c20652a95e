"""The agent: its page byte by byte, who yields to whom, what it says when something is wrong, and its pods."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml
from tests.gpu.test_text import GOLDEN, PROFILE_NAMES
from tests.waiting import until

import infermeter
from infermeter import clock
from infermeter.gpu.agent import Agent, AgentRunsError
from infermeter.gpu.attribution import PodFinder
from infermeter.gpu.page_server import PageServer
from infermeter.gpu.publishing import exporter_answers
from infermeter.gpu.reader import NvmlReader
from infermeter.gpu.schema import PROFILES
from infermeter.gpu.simulated import SimulatedReader, steer

UP = """# HELP infermeter_gpu_nvml_up Whether the driver of the GPUs can be read: 1 or 0
# TYPE infermeter_gpu_nvml_up gauge
"""
INTERVAL_S = 0.15  # NVML's activity takes two readings 100 ms apart


def get(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def serve(tmp_path: Path, captured_metrics) -> Iterator[Callable[..., str]]:
    """Run an agent in this process; returns where it answers."""
    started: list[tuple[PageServer, Agent]] = []

    def start(reader, profile: str = "dcgm-4.8", **options) -> str:
        agent = Agent(reader, PROFILES[profile], INTERVAL_S, tmp_path / "locks", **options)
        server = PageServer("127.0.0.1", 0)
        server.start(agent)
        started.append((server, agent))
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server, agent in started:
        server.close()
        agent.close()


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_the_served_page_of_eight_gpus_equals_the_committed_one(
    nvml: FakeNvml, serve, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    unix_s = [1790000000.25]
    monkeypatch.setattr(clock, "unix_ns", lambda: int(unix_s[0] * 1e9))
    monkeypatch.setenv("NODE_NAME", "node-1")
    devices.mixed_node(nvml)

    url = serve(NvmlReader(), profile) + "/metrics"

    # What the driver reports of the second GPU, as in the committed page.
    until(lambda: "DCGM_FI_PROF_DRAM" in get(url)[1], "two readings")
    nvml.xid(1, 31)
    nvml.xid(1, 31)
    until(lambda: 'xid="31"} 2' in get(url)[1], "the first errors")
    unix_s[0] = 1790000001.5
    nvml.xid(1, 79)
    until(lambda: 'xid="79"} 1\n' in get(url)[1], "the last error")
    assert get(url) == (
        200,
        (GOLDEN / f"{profile}.txt").read_text(encoding="utf-8") + UP + "infermeter_gpu_nvml_up 1\n",
    )


def test_a_driver_that_hangs_leaves_a_page_that_says_so_and_comes_back(nvml: FakeNvml, serve) -> None:
    devices.h200(nvml, 0)
    url = serve(NvmlReader())
    until(lambda: "DCGM_FI_DEV_GPU_UTIL" in get(f"{url}/metrics")[1], "the first reading")

    nvml.rule("nvmlDeviceGetUtilizationRates", delay_s=60.0)

    until(lambda: get(f"{url}/healthz")[0] == 503, "the watchdog")
    status, page = get(f"{url}/metrics")
    assert status == 200
    assert "DCGM_" not in page
    assert "infermeter_gpu_snapshot_age_seconds" in page
    assert "hangs" in get(f"{url}/healthz")[1]
    nvml.clear_rules()
    until(lambda: "DCGM_FI_DEV_GPU_UTIL" in get(f"{url}/metrics")[1], "the GPUs again")
    assert get(f"{url}/healthz") == (200, "ok\n")


def test_without_a_driver_the_agent_answers_and_says_why(nvml: FakeNvml, serve) -> None:
    nvml.state.init_ret = 9

    url = serve(NvmlReader())

    until(lambda: "no_driver" in get(f"{url}/healthz")[1], "the reason")
    assert get(f"{url}/metrics") == (200, UP + "infermeter_gpu_nvml_up 0\n")


def test_released_on_request_the_driver_is_free_and_then_read_again(nvml: FakeNvml, serve) -> None:
    devices.h200(nvml, 0)
    url = serve(NvmlReader())
    until(lambda: "DCGM_FI_DEV_GPU_UTIL" in get(f"{url}/metrics")[1], "the first reading")

    assert get(f"{url}/release?seconds=1", "POST") == (200, "released for 1 s\n")

    until(lambda: nvml.calls("nvmlShutdown") == nvml.calls("nvmlInitWithFlags"), "the release")
    assert "DCGM_" not in get(f"{url}/metrics")[1]
    until(lambda: "DCGM_FI_DEV_GPU_UTIL" in get(f"{url}/metrics")[1], "the GPUs again")


@pytest.mark.parametrize("seconds", ["x", "0", "-1", "nan", "inf", "1e9"])
def test_a_release_without_a_sensible_time_is_refused(serve, seconds: str) -> None:
    status, text = get(f"{serve(SimulatedReader())}/release?seconds={seconds}", "POST")

    assert status == 400
    assert "seconds must be" in text


def test_other_paths_and_methods_are_told_what_there_is(serve) -> None:
    url = serve(SimulatedReader())

    assert get(f"{url}/nothing")[0] == 404
    assert get(f"{url}/metrics", "POST")[0] == 404
    assert get(f"{url}/release")[0] == 405
    assert "/metrics" in get(f"{url}/")[1]


def test_a_client_that_says_nothing_keeps_nobody_waiting(serve) -> None:
    url = serve(SimulatedReader())
    host, port = url.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(8)]

    assert get(f"{url}/metrics")[0] == 200

    for connection in silent:
        connection.close()


def test_a_second_agent_on_the_host_is_refused_and_a_demo_is_not(nvml: FakeNvml, serve) -> None:
    devices.h200(nvml, 0)
    serve(NvmlReader())

    with pytest.raises(AgentRunsError):
        serve(NvmlReader())

    serve(SimulatedReader(), exclusive=False)


def test_services_leave_the_gpus_to_the_agent_of_the_host_and_take_them_when_it_is_killed(
    nvml: FakeNvml, agent_process, tmp_path: Path, captured_metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices.h200(nvml, 0)
    agent, _ = agent_process("--port", "0")
    monkeypatch.setenv("INFERMETER_GPU_LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.setenv("INFERMETER_GPU_EXPORTER_URL", "http://127.0.0.1:9/metrics")

    infermeter.observe_gpus(NvmlReader(), interval_s=INTERVAL_S)

    until(lambda: captured_metrics.value("infermeter_gpu_publisher", state="yielding") == 1, "the service to yield")
    assert captured_metrics.points("DCGM_FI_DEV_GPU_UTIL") == []
    agent.kill()
    agent.wait()
    until(lambda: captured_metrics.points("DCGM_FI_DEV_GPU_UTIL"), "the service to take over")


def test_a_demo_is_no_exporter_to_yield_to(serve) -> None:
    url = serve(SimulatedReader()) + "/metrics"
    until(lambda: "(simulated)" in get(url)[1], "the first reading")

    assert not exporter_answers(url)


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def agent_process(fake_environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., tuple]]:
    """Run `infermeter gpu agent` on the fake; returns the process and its URL."""
    started: list[subprocess.Popen[str]] = []
    environment = {**fake_environment, "INFERMETER_GPU_LOCK_DIR": str(tmp_path / "locks"), "PYTHONUNBUFFERED": "1"}

    def start(*options: str, **variables: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "infermeter.cli", "gpu", "agent", *options]
        process = subprocess.Popen(
            command, env={**environment, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        line = process.stdout.readline()
        return process, line.partition(",")[0]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_command_serves_until_sigterm_and_frees_the_driver(nvml: FakeNvml, agent_process) -> None:
    devices.h200(nvml, 0)
    process, url = agent_process("--port", "0", "--profile", "dcgm-4.9")
    until(lambda: "DCGM_FI_DEV_GPU_UTIL_RATIO" in get(url)[1], "the page")
    assert 'DCGM_FI_SYSTEM_DRIVER_VERSION="590.48.01"' in get(url)[1]

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=20) == 0
    assert nvml.calls("nvmlShutdown") == nvml.calls("nvmlInitWithFlags") > 0


def test_a_port_that_is_taken_is_named_with_its_owner(nvml: FakeNvml, agent_process) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process, _ = agent_process("--port", str(taken.getsockname()[1]))
        _, said = process.communicate(timeout=20)

    assert process.returncode == 6
    assert f"(pid {os.getpid()})" in said
    assert "--port" in said


def test_without_a_driver_the_command_says_it_in_one_sentence_and_stays(nvml: FakeNvml, agent_process) -> None:
    nvml.state.init_ret = 9
    process, url = agent_process("--port", "0")

    until(lambda: "no_driver" in get(url.replace("/metrics", "/healthz"))[1], "the reason")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)

    assert process.returncode == 0
    assert said.count("the NVIDIA driver is not loaded") == 1
    assert "modprobe" in said


def test_a_control_file_loses_a_device_of_the_demo(agent_process, tmp_path: Path) -> None:
    control = tmp_path / "gpus.json"
    _, url = agent_process("--demo", "--demo-control", str(control), "--port", "0", "--interval", "0.1")
    until(lambda: 'gpu_lost{gpu="0"' in get(url)[1], "the page")

    steer(control, {0: "lost"})

    def states() -> dict[str, str]:
        rows = [line for line in get(url)[1].splitlines() if line.startswith("gpu_lost{")]
        return {row.split('"')[1]: row[-1] for row in rows}

    until(lambda: states() == {"0": "1", "1": "0", "2": "0", "3": "0", "4": "1"}, "the loss")
    assert "(simulated)" in get(url)[1]


@pytest.mark.parametrize("options", [["--profile", "dcgm-3"], ["--interval", "1"], ["--demo-control", "x"]])
def test_a_wrong_option_is_refused(agent_process, options: list[str]) -> None:
    process, _ = agent_process("--port", "0", *options)
    _, said = process.communicate(timeout=20)

    assert process.returncode == 2
    assert options[0].lstrip("-") in said


def list_gpus(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infermeter.cli", "gpu", "list", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_list_tells_what_is_supported_and_why_not_the_rest(nvml: FakeNvml, fake_environment) -> None:
    devices.mixed_node(nvml)
    nvml.device(0).codec_ret = 4
    nvml.device(1).lost = 0
    nvml.rule("nvmlDeviceGetMarginTemperature", device=7, ret=13)

    found = json.loads(list_gpus(fake_environment, "--json").stdout)["devices"]

    h200, a100, consumer = found[0], found[5], found[7]
    assert h200["parts"][0]["values"]["DCGM_FI_DEV_POWER_USAGE"] == 627.45
    assert h200["parts"][0]["values"]["DCGM_FI_PROF_GR_ENGINE_ACTIVE"] == 0.975, "activity takes two readings"
    assert h200["unsupported"]["DCGM_FI_DEV_ENC_UTIL"] == "this user may not ask for it"
    assert "DCGM_FI_DEV_RETIRED_SBE" in h200["unsupported"]
    assert [part["mig_profile"] for part in a100["parts"]] == ["3g.20gb", "1g.5gb"]
    assert "MIG" in a100["unsupported"]["DCGM_FI_DEV_GPU_UTIL"]
    assert consumer["unsupported"]["DCGM_FI_DEV_GPU_TEMP_LIMIT"] == "this driver does not know the call"
    assert "Hopper" in consumer["unsupported"]["DCGM_FI_PROF_SM_ACTIVE"]


def test_the_list_names_a_lost_gpu_and_shows_the_others(nvml: FakeNvml, fake_environment) -> None:
    devices.eight_h200(nvml)
    nvml.rule("nvmlDeviceGetFieldValues", device=3, ret=15)

    shown = list_gpus(fake_environment)

    assert shown.returncode == 0
    rows = [line for line in shown.stdout.splitlines() if "NVIDIA H200" in line]
    assert [("lost" in row) for row in rows] == [number == 3 for number in range(8)]


def test_a_list_without_a_driver_says_what_to_do(nvml: FakeNvml, fake_environment) -> None:
    nvml.state.init_ret = 18

    shown, as_json = list_gpus(fake_environment), list_gpus(fake_environment, "--json")

    assert shown.returncode == as_json.returncode == 10
    assert "reboot the node" in shown.stderr
    assert json.loads(as_json.stdout)["problem"]["kind"] == "version_mismatch"


# --- pods -----------------------------------------------------------------------------------------------------------

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
