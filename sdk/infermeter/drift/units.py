"""Which units (users, sessions) were counted lately: one that sends the same row again is counted once.

Holds nothing but keyed hashes, which nobody can turn back into what they were made of, and forgets them.
"""

from __future__ import annotations

import secrets
from collections.abc import Hashable

from infermeter import clock


class SeenUnits:
    """Remembers units for a window, in bounded memory.

    Args:
        window_s: Seconds within which a unit is counted once; it is counted again one to two windows later.
        limit: Units remembered per window; more of them make the window shorter.
    """

    __slots__ = ("_before", "_key", "_limit", "_now", "_until_s", "_window_s")

    def __init__(self, window_s: float, limit: int) -> None:
        self._window_s, self._limit = window_s, limit
        self.forget()

    def forget(self) -> None:
        """Start anew, with another key."""
        self._key = secrets.randbits(64)
        self._now: dict[int, object] = {}
        self._before: dict[int, object] = {}
        self._until_s = clock.monotonic_s() + self._window_s

    def first(self, unit: Hashable) -> bool:
        """Say whether a unit was not counted within the window, and remember it. Raises for what has no hash."""
        digest = hash((self._key, unit))
        now_s = clock.monotonic_s()
        if now_s >= self._until_s or len(self._now) >= self._limit:
            # Two threads that arrive together shorten the memory once; no lock on the path of a request.
            outlived = now_s >= self._until_s + self._window_s
            self._until_s = now_s + self._window_s
            self._before, self._now = ({} if outlived else self._now), {}
        if digest in self._before:
            return False
        token = object()
        return self._now.setdefault(digest, token) is token  # atomic: of two threads with one unit, one counts it
