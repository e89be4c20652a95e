"""Series of devices that are gone: whoever stores them is told that they ended, instead of showing them for minutes.

The sign is Prometheus's own marker of an ended series, a certain value that is no number. It is sent until a push
arrives. Knows nothing of devices.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from infermeter.families import Family, Point

ENDED: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""Prometheus's staleness marker. Our collector turns it into OTLP's own sign, which this value alone is not."""

Key = tuple[str, tuple[tuple[str, str], ...]]


class Vanished:
    """Compares what is pushed with what the other side was told last."""

    def __init__(self) -> None:
        self._told: Mapping[Key, Family] = {}
        self._pending: Mapping[Key, Family] = {}

    def of(self, families: Iterable[Family]) -> list[Family]:
        """Return a family with the ended value for each series that was told and is not among these.

        One family per series: the collector's exporter leaves out what follows such a value in a metric.
        """
        now: dict[Key, Family] = {}
        for family in families:
            for point in family.points:
                key = (family.metric.name, tuple(point.labels.items()))
                now[key] = Family(family.metric, [Point(point.labels, point.start_ns, ENDED)])
        self._pending = now
        return [family for key, family in self._told.items() if key not in now]

    def arrived(self) -> None:
        """The other side has what ``of()`` was last asked about."""
        self._told = self._pending
