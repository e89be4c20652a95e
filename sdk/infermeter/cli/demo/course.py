"""The course of one or more scenarios: calm, break, see what comes, mend, calm again; and what that amounts to.

Knows nothing of terminals or of how a stack is started.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from infermeter.cli.stack.fleet import write_control

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infermeter.cli.demo.alerts import Fired, Labels, Prometheus
    from infermeter.cli.demo.scenarios import Scenario, Stated
    from infermeter.cli.stack.places import Places

_POLL_S = 0.5
# In the time of the rules, so that they shrink with the windows.
_PATIENCE_S = 7200.0
_LONGEST_FOR_S = 900.0
_SLACK_S = 30.0
"""Besides: starts, exports, scrapes and slow machines do not shrink."""


@dataclass
class Outcome:
    """What came of one scenario.

    Attributes:
        scenario: Which one.
        fired: Alerts that it had announced, as they came.
        missing: Alerts that it had announced and that did not come.
        started_s: Unix time at which it began.
    """

    scenario: Scenario
    started_s: float
    fired: list[Fired] = field(default_factory=list["Fired"])
    missing: list[Stated] = field(default_factory=list["Stated"])


@dataclass
class Result:
    """What came of scenarios that ran at the same time.

    Attributes:
        outcomes: One per scenario.
        others: Alerts that nobody had announced.
        lasting: Alerts that still fired when patience ended.
    """

    outcomes: list[Outcome]
    others: list[Fired]
    lasting: list[Labels]

    @property
    def as_stated(self) -> bool:
        """Whether the announced alerts came, no others, and all of them ended."""
        return not (self.others or self.lasting or any(outcome.missing for outcome in self.outcomes))


class Audience(Protocol):
    """Hears what happens."""

    def waits(self, what: str) -> None:
        """Hear what is waited for."""

    def came(self, stated: Stated, after_s: float) -> None:
        """Hear that an announced alert fires."""


class Course:
    """Runs scenarios on a fleet.

    Args:
        prometheus: Who evaluates the rules.
        places: Where the fleet's control file lies.
        speed: How many times shorter than written the windows of the rules are.
        audience: Hears what happens.
    """

    def __init__(self, prometheus: Prometheus, places: Places, speed: float, audience: Audience) -> None:
        self._prometheus, self._places, self._speed, self._audience = prometheus, places, speed, audience

    def mend(self) -> None:
        """Switch every fault off."""
        write_control(self._places, speed=self._speed, faults={})

    def await_calm(self) -> list[Labels]:
        """Wait until no alert fires; return those that still do when patience ends."""
        self._audience.waits("calm")
        deadline_s = time.monotonic() + _PATIENCE_S / self._speed + _SLACK_S
        while firing := [labels for labels in self._prometheus.firing() if not _takes_hours(labels)]:
            if time.monotonic() > deadline_s:
                break
            time.sleep(_POLL_S)
        return firing

    def run(self, scenarios: Sequence[Scenario], *, stay: bool = False) -> Result:
        """Break the fleet, watch, mend it, and wait for calm.

        Args:
            scenarios: What to break, all at the same time.
            stay: Leave it broken until the user interrupts.
        """
        before = self.await_calm()
        started_s = time.time()
        patience_s = _PATIENCE_S / self._speed + _SLACK_S
        hold_s = _LONGEST_FOR_S / self._speed + _SLACK_S / 6
        lasts_s = patience_s + hold_s if not stay else 86_400.0
        names = [scenario.name for scenario in scenarios]
        write_control(self._places, speed=self._speed, faults=dict.fromkeys(names, started_s + lasts_s))
        try:
            self._await_stated(scenarios, before, started_s, patience_s)
            # What takes longer to fire than the announced ones must get its chance, or "no others" means nothing.
            self._audience.waits("other alerts that nobody has announced")
            self._sleep(hold_s)
            if stay:
                self._audience.waits("Ctrl-C")
                self._sleep(lasts_s)
        except KeyboardInterrupt:
            if not stay:
                raise
        finally:
            self.mend()
        lasting = [labels for labels in self.await_calm() if labels not in before]
        fired = [one for one in self._prometheus.fired_since(started_s) if one.labels not in before]
        return Result(
            [_outcome(scenario, fired, started_s) for scenario in scenarios],
            [one for one in fired if not any(scenario.states(one.labels) for scenario in scenarios)],
            lasting,
        )

    def _await_stated(
        self, scenarios: Sequence[Scenario], before: list[Labels], started_s: float, patience_s: float
    ) -> None:
        waiting = [stated for scenario in scenarios for stated in scenario.must]
        self._audience.waits(", ".join(str(stated) for stated in waiting))
        while waiting and time.time() - started_s < patience_s:
            time.sleep(_POLL_S)
            firing = [labels for labels in self._prometheus.firing() if labels not in before]
            for stated in [stated for stated in waiting if any(stated.matches(labels) for labels in firing)]:
                waiting.remove(stated)
                self._audience.came(stated, time.time() - started_s)

    def _sleep(self, seconds: float) -> None:
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _POLL_S))


def _outcome(scenario: Scenario, fired: list[Fired], started_s: float) -> Outcome:
    missing = [stated for stated in scenario.must if not any(stated.matches(one.labels) for one in fired)]
    return Outcome(scenario, started_s, [one for one in fired if scenario.states(one.labels)], missing)


def _takes_hours(labels: Labels) -> bool:
    """Say whether an alert lasts long after its cause has gone, because what it is about lasts: a spent budget."""
    return labels.get("alertname") == "SLOBurnRateSlow"
