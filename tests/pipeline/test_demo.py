"""The demonstration, as a user runs it: every scenario brings the alerts that it states and no others.

The table of the run lies in tests/artifacts/demo.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.conftest import StartStack
from tests.pipeline.live_stack import LiveStack

from infermeter.cli.demo.alerts import Prometheus
from infermeter.cli.demo.scenarios import SCENARIOS
from infermeter.cli.exit_codes import ExitCode

pytestmark = pytest.mark.pipeline

SPEED = 60
_LONGEST_S = 950  # the tour takes five minutes; a slow machine may need the patience that each scenario has
TABLE = Path(__file__).parents[1] / "artifacts" / "demo.md"


@pytest.mark.timeout(1000)
def test_the_tour_brings_the_stated_alerts_and_no_others_and_ends_in_calm(start_stack: StartStack) -> None:
    live = start_stack(fleet=True, gpus=True, speed=SPEED)
    started_s = time.time()
    ran = demo(live, "--tour", "--json")
    assert ran.stderr == ""
    told = json.loads(ran.stdout)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table(told), encoding="utf-8")

    assert {scenario["name"] for scenario in told["scenarios"]} == set(SCENARIOS)
    assert (told["not_stated"], told["not_ended"]) == ([], []), table(told)
    assert {scenario["name"]: scenario["missing"] for scenario in told["scenarios"] if scenario["missing"]} == {}
    assert ran.returncode == ExitCode.OK
    # Asked of Prometheus once more, over the whole time, the minutes before and between the scenarios included.
    fired = Prometheus(live.prometheus_url).fired_since(started_s)
    assert [one.labels for one in fired if not any(s.states(one.labels) for s in SCENARIOS.values())] == []
    assert Prometheus(live.prometheus_url).firing() == []


def demo(live: LiveStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a stack and return what it said."""
    command = [sys.executable, "-m", "infermeter.cli", "demo", "--data-dir", str(live.stack.places.data_dir)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=_LONGEST_S, check=False)


def table(told: dict[str, Any]) -> str:
    """Return what a run told as a table: one line per alert, stated or not."""
    lines = [
        f"# Scenarios at speed {told['speed']:g}: {'as stated' if told['as_stated'] else 'NOT as stated'}",
        "",
        "| scenario | stated | came | after |",
        "| --- | --- | --- | --- |",
    ]
    for scenario in told["scenarios"]:
        name = scenario["name"]
        for stated in scenario["must"]:
            came = [fired for fired in scenario["fired"] if covers(stated, fired)]
            lines += [f"| {name} | {text(stated)} | {text(fired)} | {fired['after_s']:.0f} s |" for fired in came] or [
                f"| {name} | {text(stated)} | **no** | |"
            ]
        for fired in scenario["fired"]:
            if not any(covers(stated, fired) for stated in scenario["must"]):
                lines.append(f"| {name} | (may come) | {text(fired)} | {fired['after_s']:.0f} s |")
    lines += [f"| | **not stated** | {text(fired)} | {fired['after_s']:.0f} s |" for fired in told["not_stated"]]
    return "\n".join(lines) + "\n"


def covers(stated: dict[str, Any], fired: dict[str, Any]) -> bool:
    return stated["alert"] == fired["alert"] and stated["labels"].items() <= fired["labels"].items()


def text(alert: dict[str, Any]) -> str:
    shown = {name: value for name, value in alert["labels"].items() if name not in {"namespace", "severity", "UUID"}}
    return f"{alert['alert']} {' '.join(f'{name}={value}' for name, value in sorted(shown.items()))}"
