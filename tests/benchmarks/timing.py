"""Paired micro-benchmarks: all cases take turns, so that whatever else the machine does hits them alike.

CPU time, garbage collector off, the loop's own cost subtracted, median over rounds. Knows nothing of what is timed.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Measured(NamedTuple):
    """One case: its cost per call, in each round."""

    name: str
    rounds_ns: list[float]

    @property
    def median_ns(self) -> float:
        """Median cost of one call in nanoseconds."""
        return statistics.median(self.rounds_ns)

    def ratio_to(self, other: Measured) -> float:
        """Return how many times the other's cost this one's is, as the median over paired rounds."""
        pairs = zip(self.rounds_ns, other.rounds_ns, strict=True)
        return statistics.median(theirs / ours for ours, theirs in pairs if ours > 0)

    def added_to_ns(self, other: Measured) -> float:
        """Return how much more this one costs than the other in nanoseconds, as the median over paired rounds."""
        return statistics.median(ours - theirs for ours, theirs in zip(self.rounds_ns, other.rounds_ns, strict=True))


def compare(cases: dict[str, Callable[[], object]], *, calls: int, rounds: int) -> dict[str, Measured]:
    """Time every case once per round, in an order that rotates.

    Args:
        cases: Functions without arguments, by name.
        calls: Calls per case and round.
        rounds: Rounds.
    """
    names = list(cases)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for case in cases.values():
        _loop(case, max(calls // 10, 1))
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            shift = turn % len(names)
            empty_ns = _loop(_nothing, calls) / calls
            for name in names[shift:] + names[:shift]:
                spent[name].append(_loop(cases[name], calls) / calls - empty_ns)
    finally:
        gc.enable()
    return {name: Measured(name, costs) for name, costs in spent.items()}


def _nothing() -> None:
    """Be called: what is left is the loop and the call."""


def _loop(case: Callable[[], object], calls: int) -> float:
    """Return the CPU nanoseconds of so many calls."""
    started_ns = time.process_time_ns()
    for _ in range(calls):
        case()
    return time.process_time_ns() - started_ns
