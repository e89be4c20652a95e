"""An agent to talk to: in this process or as a command of its own."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infermeter.gpu.agent import Agent
from infermeter.gpu.page_server import PageServer
from infermeter.gpu.schema import PROFILES

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
