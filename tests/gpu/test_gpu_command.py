"""`infermeter gpu`: the agent as a command, and the list of what each GPU tells."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml
from tests.gpu.agents import get
from tests.waiting import until

from infermeter.gpu.simulated import steer


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


@pytest.mark.parametrize(
    "options", [["--profile", "dcgm-3"], ["--interval", "1"], ["--demo-control", "x"], ["--demo-devices", "melted"]]
)
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

    assert shown.returncode == as_json.returncode == 11
    assert "reboot the node" in shown.stderr
    assert json.loads(as_json.stdout)["problem"]["kind"] == "version_mismatch"
