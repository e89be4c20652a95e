"""The file between `infermeter demo` and the fleet: written by one side, read by the other."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from infermeter.assets import asset
from infermeter.cli.demo.scenarios import SCENARIOS
from infermeter.cli.stack.fleet import read_speed, write_control
from infermeter.cli.stack.places import Places

FLEET = asset("examples") / "fleet"


@pytest.fixture
def control_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FLEET.parent))
    from fleet import control

    monkeypatch.setattr(control, "POLL_S", 0.0)
    yield lambda places: control.Control(places.fleet_control)
    for name in [name for name in sys.modules if name.partition(".")[0] == "fleet"]:
        del sys.modules[name]


def test_the_fleet_hears_of_a_fault_and_of_its_end(control_of: Any, tmp_path: Path) -> None:
    places = Places(tmp_path)
    control = control_of(places)
    assert not control.has("drift")

    write_control(places, speed=60, faults={"drift": time.time() + 60})
    assert (control.has("drift"), control.has("hot-gpu"), control.speed) == (True, False, 60)

    write_control(places, speed=1, faults={})
    assert (control.has("drift"), control.speed) == (False, 1)


def test_a_fault_ends_by_itself_when_nobody_is_left_to_end_it(control_of: Any, tmp_path: Path) -> None:
    places = Places(tmp_path)
    control = control_of(places)
    write_control(places, speed=60, faults={"drift": time.time() - 0.01})

    assert not control.has("drift")


def test_without_a_file_nothing_is_wrong_and_no_speed_is_known(control_of: Any, tmp_path: Path) -> None:
    places = Places(tmp_path)

    assert control_of(places).speed == 1
    assert read_speed(places) is None


def test_the_fleet_knows_every_scenario_and_no_other() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in FLEET.glob("*.py"))

    assert set(re.findall(r'has\("([\w-]+)"\)', source)) == set(SCENARIOS)
