"""What the simulated GPUs of the fleet do, by fault; infermeter's own simulation shows what that looks like.

Faults: gpu-lost (one of training-0's falls off the bus), hot-gpu (another one of its slows down in the heat),
starved-batching and host-bound (those of digits have little to do).
"""

from __future__ import annotations

from pathlib import Path

from infermeter.gpu.simulated import Behaviour, SimulatedReader, steer

from .control import Control
from .pods import PODS, Pod

INTERVAL_S = 1.0
_LOST_GPU, _HOT_GPU = 4, 5


class Gpus:
    """All GPUs of the fleet, seen from where faults are switched.

    Args:
        control: What goes wrong.
        file: Where the pods' simulations look.
    """

    def __init__(self, control: Control, file: Path) -> None:
        self._control, self._file = control, file
        self._told: dict[int, Behaviour] | None = None

    def follow(self) -> None:
        """Tell the simulations what is new."""
        behaviours: dict[int, Behaviour] = {}
        if self._control.has("gpu-lost"):
            behaviours[_LOST_GPU] = "lost"
        if self._control.has("hot-gpu"):
            behaviours[_HOT_GPU] = "hot"
        if self._control.has("starved-batching") or self._control.has("host-bound"):
            behaviours.update(
                dict.fromkeys((number for pod in PODS if pod.model == "digits" for number in pod.gpus), "starved")
            )
        if behaviours != self._told:
            steer(self._file, behaviours)
            self._told = behaviours


def reader_of(pod: Pod, file: Path) -> SimulatedReader:
    """Return the GPUs that a pod sees: its own."""
    return SimulatedReader(["busy"] * len(pod.gpus), control=file, first=pod.gpus[0])
