"""What the other side of a push has been told: counters of short-lived processes leave as what was added since.

A push that failed is told again with the next one. Knows nothing of what is counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from infermeter.families import Family, Point

Key = tuple[str, tuple[tuple[str, str], ...]]


class Deltas:
    """Turns counters that ask for it into what was added since the last push that arrived."""

    def __init__(self) -> None:
        self._told: dict[Key, tuple[float, int]] = {}
        self._pending: dict[Key, tuple[float, int]] = {}

    def of(self, families: Iterable[Family], now_ns: int) -> list[Family]:
        """Return the families with those counters replaced; they count as told only after ``arrived()``."""
        self._pending = {}
        return [
            family._replace(points=self._points(family, now_ns)) if family.metric.delta else family
            for family in families
        ]

    def _points(self, family: Family, now_ns: int) -> list[Point]:
        points: list[Point] = []
        for point in family.points:
            key = (family.metric.name, tuple(sorted(point.labels.items())))
            value, since_ns = self._told.get(key, (0, point.start_ns))
            points.append(point._replace(value=point.value - value, start_ns=since_ns))
            self._pending[key] = (point.value, now_ns)
        return points

    def arrived(self) -> None:
        """The other side has what ``of()`` returned last."""
        self._told |= self._pending
        self._pending = {}
