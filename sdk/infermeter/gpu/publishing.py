"""Whether this process publishes GPUs, and which: after dcgm-exporter and the agent, one process for each GPU.

Knows who else may publish; knows no driver and no metrics.
"""

from __future__ import annotations

import math
from typing import Literal
from urllib.request import ProxyHandler, build_opener

from infermeter import clock
from infermeter.gpu.election import AGENT, Election
from infermeter.gpu.sample import SIMULATED, Gpu

PUBLISHERS = ("auto", "always", "off")
State = Literal["publishing", "standby", "yielding", "off"]
STATES: tuple[State, ...] = ("publishing", "standby", "yielding", "off")

EXPORTER_URL = "http://127.0.0.1:9400/metrics"
_LOOK_AGAIN_S = 300.0
_TIMEOUT_S = 1.0


def exporter_answers(url: str) -> bool:
    """Return whether a dcgm-exporter, or something that looks like one, answers on this machine; a demo is none."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=_TIMEOUT_S) as answer:
            page = answer.read(65536)
            return b"DCGM_FI_DEV_" in page and SIMULATED.encode() not in page
    except (OSError, ValueError):
        return False


class Publishing:
    """Chooses, in each cycle, what this process publishes.

    Args:
        publisher: ``auto``, ``always`` or ``off``.
        election: The locks of the GPUs.
        exporter_url: Where a dcgm-exporter for this machine would answer.
    """

    def __init__(self, publisher: str, election: Election, exporter_url: str = EXPORTER_URL) -> None:
        self._publisher, self._election, self._exporter_url = publisher, election, exporter_url
        self._looked_s = -math.inf
        self._found = False
        self.state: State = "off" if publisher == "off" else "standby"

    def choose(self, devices: tuple[Gpu, ...]) -> frozenset[str]:
        """Return the devices to read and publish, by UUID."""
        every = frozenset(gpu.uuid for gpu in devices)
        if self._publisher == "off":
            return frozenset()
        if self._publisher == "always":
            self.state = "publishing"
            return every
        if self._election.is_held_elsewhere(AGENT) or self._exporter_found():
            self._election.release()
            self.state = "yielding"
            return frozenset()
        held = self._election.hold(every)
        self.state = "publishing" if held else "standby"
        return held

    def release(self) -> None:
        """Leave the GPUs to others."""
        self._election.release()
        if self.state == "publishing":
            self.state = "standby"

    def reset_in_child(self) -> None:
        """Forget what the parent holds and found out."""
        self._election.reset_in_child()
        self._looked_s = -math.inf

    def _exporter_found(self) -> bool:
        if clock.monotonic_s() - self._looked_s >= _LOOK_AGAIN_S:
            self._looked_s = clock.monotonic_s()
            self._found = exporter_answers(self._exporter_url)
        return self._found
