"""What calls that are under way when a configuration is replaced still record: it arrives in the new one.

Knows cells and registries; knows nothing of configurations.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from infermeter.cells import IN_FLIGHT, SUCCESS, CountedValues, ModelCell, Shard, StatusIndex
from infermeter.registry import Registry

Find = Callable[[str, str], "ModelCell | None"]


def hand_over(registry: Registry, find: Find) -> None:
    """Make all cells of a registry record elsewhere from now on; what they hold stays, for its last export.

    Args:
        registry: Of the configuration that is replaced.
        find: Returns the cell of a model version that is in force, None if there is none.
    """
    process = os.getpid()

    def heir_of(model: str, version: str) -> ModelCell | None:
        # A child that is forked meanwhile has a copy of each call; the call belongs to its parent.
        return find(model, version) if os.getpid() == process else None

    for slot in registry.slots():
        for cell in (slot.cell, *slot.past):
            _divert(cell, partial(heir_of, *slot.key))


def _divert(cell: ModelCell, heir: Callable[[], ModelCell | None]) -> None:
    def leave(shard: Shard, latency_s: float, status: StatusIndex) -> None:
        shard[IN_FLIGHT] -= 1
        new = heir()
        if new is not None:
            new.leave(new.enter(), latency_s, status)

    def succeed(shard: Shard, latency_s: float, confidence: float) -> None:
        shard[IN_FLIGHT] -= 1
        new = heir()
        if new is not None:
            new.succeed(new.enter(), latency_s, confidence)

    def observe(value: float) -> None:
        new = heir()
        if new is not None:
            new.confidence(value)

    def record(latency_s: float, confidence: float | None = None, status: StatusIndex = SUCCESS) -> bool:
        new = heir()
        return new is None or new.record(latency_s, confidence, status)

    cell.leave, cell.succeed, cell.confidence, cell.record = leave, succeed, observe, record
    cell.classes = _DivertedValues(cell.classes, heir, lambda new: new.classes)
    cell.errors = _DivertedValues(cell.errors, heir, lambda new: new.errors)


class _DivertedValues(CountedValues):
    """Still tells what was counted here, and counts elsewhere."""

    __slots__ = ("_heir", "_old", "_values")

    def __init__(
        self, old: CountedValues, heir: Callable[[], ModelCell | None], values: Callable[[ModelCell], CountedValues]
    ) -> None:
        super().__init__(())
        self._old, self._heir, self._values = old, heir, values

    def add(self, value: str, amount: int = 1) -> bool:
        new = self._heir()
        return new is None or self._values(new).add(value, amount)

    def total(self) -> dict[str, int]:
        return self._old.total()
