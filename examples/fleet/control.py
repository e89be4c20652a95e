"""The file by which the fleet is told what to get wrong. Knows no fault's meaning.

    {"speed": 60, "faults": {"drift": 1767225600.0}}

Each fault has the time (Unix seconds) at which it ends by itself, so that nobody who is killed leaves the fleet broken.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

POLL_S = 0.25


class Control:
    """What the file says; looked at again when a moment has passed.

    Args:
        file: Need not exist: then nothing is wrong.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looked_s = float("-inf")
        self._changed: int | None = None
        self._faults: dict[str, float] = {}
        self._speed = 1.0

    def has(self, fault: str) -> bool:
        """Return whether a fault is switched on now."""
        self._look()
        return self._faults.get(fault, 0.0) > time.time()

    @property
    def speed(self) -> float:
        """How many times shorter than in production the windows of the rules are."""
        self._look()
        return self._speed

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < POLL_S:
            return
        self._looked_s = now_s
        try:
            changed = self._file.stat().st_mtime_ns
            if changed == self._changed:
                return
            content: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            self._faults = {str(name): float(until_s) for name, until_s in content["faults"].items()}
            self._speed = float(content["speed"])
            self._changed = changed
        except FileNotFoundError:
            self._faults, self._speed, self._changed = {}, 1.0, None
