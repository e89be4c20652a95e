"""However a demonstration ends, the fleet is mended and the rules are as they were; and it brings what it lacks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from tests.pipeline.conftest import StartStack
from tests.pipeline.live_stack import LiveStack, eventually

from infermeter.cli.demo.alerts import Prometheus
from infermeter.cli.demo.speeds import speed_of
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.fleet import write_control
from infermeter.cli.stack.state import read_state

pytestmark = pytest.mark.pipeline

SPEED = 60


def test_staying_ends_at_ctrl_c_with_the_result(start_stack: StartStack) -> None:
    live = start_stack(fleet=True, speed=SPEED)
    with demo(live, "error-burst", "--stay") as process:
        await_fault(live)
        eventually("the stated alert", lambda: fires(live, "HighPredictionErrorRate"), timeout_s=60)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)

    assert process.returncode == ExitCode.OK, output
    assert "stated, came" in output
    assert_as_before(live, SPEED)


def test_ctrl_c_mends_at_once(start_stack: StartStack) -> None:
    live = start_stack(fleet=True, speed=SPEED)
    with demo(live, "error-burst") as process:
        await_fault(live)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)

    assert process.returncode == ExitCode.INTERRUPTED, output
    assert_as_before(live, SPEED)


def test_stop_mends_what_a_killed_one_has_left_broken_and_slows_the_rules_down(start_stack: StartStack) -> None:
    live = start_stack(fleet=True)
    with demo(live, "error-burst") as process:
        eventually("fast rules", lambda: control(live)["speed"] == SPEED, timeout_s=60)
        process.kill()
    write_control(live.stack.places, speed=SPEED, faults={"error-burst": time.time() + 600})
    assert speed_of(Prometheus(live.prometheus_url)) == SPEED

    with demo(live, "stop") as process:
        output, _ = process.communicate(timeout=30)

    assert process.returncode == ExitCode.OK, output
    assert_as_before(live, 1)
    assert "metric_expiration: 180s" in (live.stack.places.config / "collector.yaml").read_text(encoding="utf-8")


def test_a_stack_without_a_fleet_gets_one_that_down_stops(start_stack: StartStack) -> None:
    live = start_stack(speed=SPEED)
    with demo(live) as process:
        output, _ = process.communicate(timeout=90)

    assert process.returncode == ExitCode.OK, output
    assert "nothing is broken" in output
    state = read_state(live.stack.places.state_file)
    assert state is not None
    fleet = next(part for part in state.parts if part.name == "fleet")
    assert fleet.alive
    assert_as_before(live, SPEED)
    with command(live, "down") as process:
        process.communicate(timeout=60)
    assert not fleet.alive


@contextmanager
def demo(live: LiveStack, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with command(live, "demo", *arguments) as process:
        yield process


@contextmanager
def command(live: LiveStack, name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run one of our commands on a stack; ends it at the end, whatever happens."""
    words = [sys.executable, "-m", "infermeter.cli", name, "--data-dir", str(live.stack.places.data_dir), *arguments]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def control(live: LiveStack) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(live.stack.places.fleet_control.read_text(encoding="utf-8"))
    return content


def await_fault(live: LiveStack) -> None:
    eventually("the fault to be switched on", lambda: control(live)["faults"], timeout_s=90)


def fires(live: LiveStack, alert: str) -> bool:
    return any(labels["alertname"] == alert for labels in Prometheus(live.prometheus_url).firing())


def assert_as_before(live: LiveStack, speed: float) -> None:
    assert control(live) == {"speed": speed, "faults": {}}
    assert speed_of(Prometheus(live.prometheus_url)) == speed
