"""Which pods the fleet has; knows nothing of what they do."""

from __future__ import annotations

import random
import zlib
from typing import NamedTuple

import numpy as np

NAMESPACE = "demo"


class Pod(NamedTuple):
    """One process of the fleet, as Kubernetes would show it."""

    name: str
    service: str
    """Value of the label ``job``."""
    node: str
    """Name of the machine; the whole fleet runs on one, and pretends."""
    model: str = ""
    rate: float = 0.0
    """Requests a second."""
    gpus: tuple[int, ...] = ()
    """Numbers of the simulated GPUs that it holds, one after the other."""

    @property
    def chance(self) -> random.Random:
        """Return randomness of its own."""
        return random.Random(self.name)

    @property
    def numbers(self) -> np.random.Generator:
        """Return randomness of its own for arrays."""
        return np.random.default_rng(zlib.crc32(self.name.encode()))


# GPUs have other numbers, and so other UUIDs, than those that `infermeter up` simulates for the machine itself.
PODS = (
    Pod("biopsy-0", "biopsy-api", "node-a", "biopsy", 14.0),
    Pod("biopsy-1", "biopsy-api", "node-a", "biopsy", 14.0),
    Pod("biopsy-2", "biopsy-api", "node-b", "biopsy", 14.0),
    Pod("wine-0", "wine-api", "node-a", "wine", 20.0),
    Pod("wine-1", "wine-api", "node-b", "wine", 20.0),
    Pod("digits-0", "digits-api", "node-a", "digits", 30.0, gpus=(3,)),
    Pod("digits-1", "digits-api", "node-b", "digits", 30.0, gpus=(6,)),
    Pod("assistant-0", "assistant", "node-b", "assistant", 6.0, gpus=(7,)),
    Pod("training-0", "training", "node-a", gpus=(4, 5)),
    Pod("features", "feature-pipeline", "node-a"),
)
CANARY_SHARE = 0.2
"""Of the requests, for version 2 of every model."""
