"""The agent: its page byte by byte, who yields to whom, what it says when something is wrong."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml
from tests.gpu.agents import INTERVAL_S, get
from tests.gpu.test_text import GOLDEN, PROFILE_NAMES
from tests.waiting import until

import infermeter
from infermeter import clock
from infermeter.gpu.agent import Agent, AgentRunsError
from infermeter.gpu.publishing import exporter_answers
from infermeter.gpu.reader import NvmlReader
from infermeter.gpu.schema import PROFILES
from infermeter.gpu.simulated import SimulatedReader

UP = """# HELP infermeter_gpu_nvml_up Whether the driver of the GPUs can be read: 1 or 0
# TYPE infermeter_gpu_nvml_up gauge
"""


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


def test_the_age_is_shown_once_a_reading_has_been_missed(captured_metrics, tmp_path: Path, monkeypatch) -> None:
    agent = Agent(SimulatedReader(), PROFILES["dcgm-4.8"], interval_s=600.0, folder=tmp_path)
    monotonic_s, later_s = clock.monotonic_s, [0.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: monotonic_s() + later_s[0])
    try:
        until(lambda: "DCGM_FI_DEV_GPU_UTIL" in agent.page(), "the first reading")
        later_s[0] = 900.0
        assert "infermeter_gpu_snapshot_age_seconds" not in agent.page()
        later_s[0] = 1300.0
        assert "infermeter_gpu_snapshot_age_seconds 1300" in agent.page()
    finally:
        agent.close()


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
