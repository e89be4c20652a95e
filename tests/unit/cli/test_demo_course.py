"""The course of a scenario against a Prometheus that is played here: what counts as stated, as another, as lasting."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from infermeter.cli.commands import infermeter
from infermeter.cli.demo import course
from infermeter.cli.demo.alerts import Fired, Labels
from infermeter.cli.demo.course import Course, Result
from infermeter.cli.demo.report import SilentAudience, as_json
from infermeter.cli.demo.scenarios import SCENARIOS, Scenario, Stated
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.places import Places

SCENARIO = Scenario(
    "fire", "It burns.", (Stated("Smoke", room="kitchen"),), "the kitchen", (Stated("Sprinkler", room="kitchen"),)
)
SMOKE: Labels = {"alertname": "Smoke", "room": "kitchen", "severity": "critical"}
SPRINKLER: Labels = {"alertname": "Sprinkler", "room": "kitchen"}
ELSEWHERE: Labels = {"alertname": "Smoke", "room": "attic"}


class Played:
    """A Prometheus whose alerts are a function of whether the fault is on; remembers what it has shown."""

    def __init__(self, places: Places, alerts: Callable[[bool], list[Labels]]) -> None:
        self._places, self._alerts = places, alerts
        self._seen: list[Fired] = []

    @property
    def is_broken(self) -> bool:
        file = self._places.fleet_control
        return file.exists() and json.loads(file.read_text(encoding="utf-8"))["faults"].get("fire", 0) > time.time()

    def firing(self) -> list[Labels]:
        shown = self._alerts(self.is_broken)
        self._seen += [Fired(labels, time.time()) for labels in shown]
        return shown

    def fired_since(self, start_s: float) -> list[Fired]:
        since = [one for one in self._seen if one.since_s >= start_s]
        return [one for number, one in enumerate(since) if one.labels not in [s.labels for s in since[:number]]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name, value in {"_SLACK_S": 0.3, "_POLL_S": 0.01}.items():
        monkeypatch.setattr(course, name, value)

    def play(alerts: Callable[[bool], list[Labels]]) -> Result:
        places = Places(tmp_path)
        played = Played(places, alerts)
        result = Course(played, places, 1e6, SilentAudience()).run([SCENARIO])  # type: ignore[arg-type]
        assert not played.is_broken
        return result

    return play


def test_the_stated_alert_and_nothing_else_is_as_stated(play: Callable[..., Result]) -> None:
    result = play(lambda broken: [SMOKE] if broken else [])

    assert result.as_stated
    assert [one.labels for one in result.outcomes[0].fired] == [SMOKE]
    assert as_json([result], 60)["scenarios"][0]["fired"][0]["labels"] == {"room": "kitchen", "severity": "critical"}


def test_an_alert_that_may_come_is_no_other(play: Callable[..., Result]) -> None:
    assert play(lambda broken: [SMOKE, SPRINKLER] if broken else []).as_stated


def test_what_may_come_does_not_stand_for_what_must(play: Callable[..., Result]) -> None:
    result = play(lambda broken: [SPRINKLER] if broken else [])

    assert not result.as_stated
    assert [str(stated) for stated in result.outcomes[0].missing] == ['Smoke{room="kitchen"}']


def test_the_same_alert_about_something_else_is_another(play: Callable[..., Result]) -> None:
    result = play(lambda broken: [SMOKE, ELSEWHERE] if broken else [])

    assert not result.as_stated
    assert [one.labels for one in result.others] == [ELSEWHERE]


def test_an_alert_that_does_not_end_is_told(play: Callable[..., Result]) -> None:
    smoked = False

    def alerts(broken: bool) -> list[Labels]:
        nonlocal smoked
        smoked |= broken
        return [SMOKE] if smoked else []

    result = play(alerts)

    assert not result.as_stated
    assert result.lasting == [SMOKE]


def test_an_alert_that_fired_before_is_nobodys_fault_and_no_proof(play: Callable[..., Result]) -> None:
    result = play(lambda broken: [SMOKE, ELSEWHERE])

    assert (result.others, result.lasting) == ([], [])
    assert [str(stated) for stated in result.outcomes[0].missing] == ['Smoke{room="kitchen"}']


def test_an_interrupt_mends_the_fleet(play: Callable[..., Result], tmp_path: Path) -> None:
    def alerts(broken: bool) -> list[Labels]:
        if broken:
            raise KeyboardInterrupt
        return []

    with pytest.raises(KeyboardInterrupt):
        play(alerts)

    assert json.loads(Places(tmp_path).fleet_control.read_text(encoding="utf-8"))["faults"] == {}


class TestCommand:
    def test_the_list_states_the_alerts_of_every_scenario(self) -> None:
        listed = json.loads(CliRunner().invoke(infermeter, ["demo", "--list", "--json"]).output)

        assert [one["name"] for one in listed] == list(SCENARIOS)
        assert all(one["must"] for one in listed)

    def test_an_unknown_scenario_is_answered_with_the_known_ones(self) -> None:
        refused = CliRunner().invoke(infermeter, ["demo", "earthquake"])

        assert refused.exit_code == ExitCode.USAGE
        assert all(name in refused.output for name in SCENARIOS)

    def test_stop_where_nothing_runs_says_so(self, tmp_path: Path) -> None:
        stopped = CliRunner().invoke(infermeter, ["demo", "stop", "--data-dir", str(tmp_path)])

        assert (stopped.exit_code, stopped.output.strip()) == (ExitCode.OK, "Nothing is running.")

    def test_stop_stands_alone(self) -> None:
        assert CliRunner().invoke(infermeter, ["demo", "stop", "error-burst"]).exit_code == ExitCode.USAGE
