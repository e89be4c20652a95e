"""Prometheus durations as seconds. Knows the spelling and nothing else."""

from __future__ import annotations

import re

_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}


def seconds_of(duration: str) -> float | None:
    """Return a duration like ``1h30m`` in seconds; None if it is none."""
    parts = _PART.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        return None
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)
