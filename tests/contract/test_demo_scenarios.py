"""What `infermeter demo` states is about rules that exist, and says of each alert which scenario it belongs to."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from tests.contract.rule_files import alerts

from infermeter.cli.demo.scenarios import SCENARIOS, TOUR


def test_every_stated_alert_is_one_of_our_rules() -> None:
    stated = {one.alert for scenario in SCENARIOS.values() for one in (*scenario.must, *scenario.may)}

    assert stated <= {rule.name for rule in alerts()}


def test_the_tour_plays_every_scenario_once() -> None:
    assert sorted(chain(*TOUR)) == sorted(SCENARIOS)


@pytest.mark.parametrize("act", [act for act in TOUR if len(act) > 1], ids="+".join)
def test_no_alert_of_an_act_could_belong_to_two_of_its_scenarios(act: tuple[str, ...]) -> None:
    for one, other in combinations((SCENARIOS[name] for name in act), 2):
        for stated in (*one.must, *one.may):
            assert not any(
                stated.alert == rival.alert
                and all(
                    rival.labels[name] == stated.labels[name] for name in rival.labels.keys() & stated.labels.keys()
                )
                for rival in (*other.must, *other.may)
            ), f"{stated} of {one.name} could be one of {other.name}"
