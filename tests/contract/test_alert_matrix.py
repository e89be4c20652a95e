"""Each alert fires in its scenario and in no other one."""

from __future__ import annotations

import pytest
from tests.contract.alert_matrix import ELSEWHERE, HEARTBEAT, TABLE, fired, table
from tests.contract.rule_files import alerts
from tests.contract.scenario_list import SCENARIOS

from infermeter.assets import asset

EXISTING = {alert.name for alert in alerts()}


@pytest.mark.timeout(900)  # the first one runs all scenarios
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_exactly_the_alerts_of_the_scenario_fire(scenario):
    assert scenario.fires <= EXISTING, "an alert that nobody has"
    assert fired()[scenario.name] == scenario.fires | {HEARTBEAT}


def test_every_alert_fires_in_a_scenario():
    shown = {name for scenario in SCENARIOS for name in scenario.fires} | {HEARTBEAT}
    assert EXISTING - shown == ELSEWHERE.keys() & EXISTING


def test_nothing_fires_when_all_is_well_and_in_what_only_looks_bad():
    quiet = {scenario.name for scenario in SCENARIOS if not scenario.fires}
    assert quiet == {
        "all is well",
        "slow replica, little of the traffic",
        "low traffic with one failure",
        "GPU idle and free",
    }


@pytest.mark.timeout(900)
def test_the_committed_table_is_what_fired(capsys):
    drawn = table(fired())
    with capsys.disabled():
        print(f"\n{drawn}")
    assert (asset("deploy/prometheus") / TABLE).read_text(encoding="utf-8") == drawn, "run `make matrix`"
