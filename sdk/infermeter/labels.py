"""Turns foreign values into label values and keeps the number of label sets within a cap.

Knows nothing of what is counted under a label set.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from infermeter import guard
from infermeter.catalog import OVERFLOW

C = TypeVar("C")

MAX_LENGTH = 128
"""Characters of a label value that are kept."""


def label_value(value: object) -> str:
    """Return text that every exporter can encode: at most ``MAX_LENGTH`` characters, no lone surrogates.

    ``None`` becomes the empty text, which Prometheus shows as an absent label. A member of an enumeration counts as its
    value: as callers spell it. Whatever ``str(value)`` raises passes.
    """
    if value is None:
        return ""
    if type(value) is not str:
        enumerations = sys.modules.get("enum")  # whoever has a member has loaded it
        if enumerations is not None and isinstance(value, enumerations.Enum):
            value = cast("Any", value).value
        value = str.__str__(str(value))  # a subclass becomes a plain one
    text = value
    if len(text) > MAX_LENGTH:
        text = text[:MAX_LENGTH]
    # One lone surrogate would make the encoder refuse the whole export.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class Budget:
    """Label sets that one metric name may still take, shared by everything that records under that name.

    Counting is not exact to the unit when threads race for the last places: a few more may get in, never many.
    """

    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, places: int = 1) -> bool:
        """Use places up; False if not as many are left."""
        if self._left < places:
            return False
        self._left -= places
        return True


class LabelSets(Generic[C]):
    """One accumulator per label set: all that were declared, ``limit`` others, and one that takes the overflow.

    Args:
        limit: Undeclared label sets kept apart.
        make: Returns the accumulator of a new label set.
        where: Names this place in ``infermeter_dropped_total``.
    """

    __slots__ = ("_cells", "_declared", "_limit", "_make", "_where")

    def __init__(self, limit: int, make: Callable[[tuple[str, ...]], C], where: str) -> None:
        self._limit, self._make, self._where = limit, make, where
        self._cells: dict[tuple[str, ...], C] = {}
        self._declared: dict[tuple[str, ...], None] = {}

    def declare(self, key: tuple[str, ...]) -> C:
        """Return the accumulator of a label set that the service declared; no overflow takes its place."""
        self._declared.setdefault(key)
        return self._cells.setdefault(key, self._make(key))

    def is_declared(self, key: tuple[str, ...]) -> bool:
        """Say whether the service declared a label set."""
        return key in self._declared

    def get(self, key: tuple[str, ...]) -> C:
        """Return the accumulator of a label set, or the one of the overflow, which is counted."""
        cell = self._cells.get(key)
        if cell is not None:
            return cell
        if len(self._cells) - len(self._declared) >= self._limit:
            guard.drop(self._where, "series_limit")
            guard.log_once(
                self._where,
                "series_limit",
                "more than %d undeclared label sets of a %s: further ones are folded into %r "
                "(INFERMETER_SERIES_LIMIT / series_limit raises the cap; what register_model declared is not affected)",
                self._limit,
                self._where,
                OVERFLOW,
            )
            key = (OVERFLOW,) * len(key)
            cell = self._cells.get(key)
            if cell is not None:
                return cell
        # setdefault is atomic: two threads that arrive together end up with the same accumulator, without a lock.
        return self._cells.setdefault(key, self._make(key))

    def items(self) -> list[tuple[tuple[str, ...], C]]:
        """Return all label sets with their accumulators."""
        return list(self._cells.items())

    def values(self) -> list[C]:
        """Return all accumulators."""
        return list(self._cells.values())

    def __len__(self) -> int:
        return len(self._cells)
