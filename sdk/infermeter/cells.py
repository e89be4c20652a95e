"""The hot path: accumulators that threads write without locks and one reader sums.

Each thread writes its own shard, so a plain ``+=`` is safe: between reading and storing a list slot CPython neither
switches threads nor runs signal handlers or finalizers. That also makes recording safe inside a finalizer, a signal
handler and after a fork. Knows nothing of names, labels or exporters.

Source of the idea: sharded counters, as in LongAdder of Java's java.util.concurrent.
"""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import inf
from operator import add
from typing import Any, Generic, TypeVar

from infermeter import clock
from infermeter.catalog import OVERFLOW

S = TypeVar("S")

Shard = list[float]
StatusIndex = int

# Slots of a shard of ModelCell. Whole numbers stay Python ints, so counts never lose precision.
LATENCY_SUM, CONFIDENCE_SUM, IN_FLIGHT, SUCCESS, ERROR, TIMEOUT, CANCELLED, REJECTED = range(8)
_BUCKETS = REJECTED + 1
STATUS_SLOTS: dict[str, StatusIndex] = {
    "success": SUCCESS,
    "error": ERROR,
    "cancelled": CANCELLED,
    "timeout": TIMEOUT,
    "rejected": REJECTED,
}
LAST_TIMED = TIMEOUT
"""Calls that end in a later slot say nothing about the service: they are counted, but have no latency.

Latency has no label for the status. One that held them would make a service that turns callers away look fast.
"""


class _Owner:
    """Lives in one thread's local storage; its death says that the thread is gone."""

    __slots__ = ("__weakref__",)


class ThreadShards(Generic[S]):
    """One shard per thread, and what threads that ended have left behind.

    Args:
        make: Returns an empty shard.
        copy: Returns an equal shard.
        add: Adds the second shard to the first.
        on_new: Called when a thread writes for the first time, before its shard is used; must not raise.
    """

    __slots__ = ("_add", "_copy", "_fold_lock", "_has_retired", "_make", "_on_new", "_retired", "_shards", "local")

    def __init__(
        self, make: Callable[[], S], copy: Callable[[S], S], add: Callable[[S, S], None], on_new: Callable[[], None]
    ) -> None:
        self._make, self._copy, self._add, self._on_new = make, copy, add, on_new
        self.local = threading.local()
        self._shards: list[tuple[weakref.ref[_Owner], S]] = []
        self._retired, self._has_retired = make(), False
        self._fold_lock = threading.Lock()  # readers only; never taken while recording

    def new(self) -> S:
        """Give the calling thread its shard; the slow path of the first write."""
        owner, shard = _Owner(), self._make()
        self.local.owner, self.local.shard = owner, shard
        self._shards.append((weakref.ref(owner), shard))
        self._on_new()
        return shard

    def mine(self) -> S:
        """Return the calling thread's shard."""
        try:
            shard: S = self.local.shard
        except AttributeError:
            return self.new()
        return shard

    def total(self) -> S:
        """Sum all shards into a fresh one, and fold those whose thread is gone."""
        shards = self._shards[:]
        if not self._has_retired:
            if not shards:
                return self._make()
            if len(shards) == 1:  # one thread: nearly always
                only = self._copy(shards[0][1])
                if not self._has_retired:  # so nobody had begun to fold it when it was copied
                    return only
        total = self._make()
        with self._fold_lock:
            dead = [entry for entry in self._shards if entry[0]() is None]
            for entry in dead:
                self._has_retired = True  # first: readers look at it without the lock
                self._add(self._retired, entry[1])
                self._shards.remove(entry)
            if self._has_retired:
                self._add(total, self._retired)
            for _, shard in list(self._shards):
                self._add(total, shard)
        return total

    def reset_in_child(self) -> None:
        """Forget everything; called in a forked child, where only the calling thread exists."""
        self._fold_lock = threading.Lock()  # the inherited one may be held by a thread that is gone
        self._shards = []
        self._retired, self._has_retired = self._make(), False
        self.local.__dict__.clear()


def _add_slots(into: Shard, shard: Shard) -> None:
    into[:] = map(add, into, shard)


def _add_ints(into: list[int], shard: list[int]) -> None:
    into[:] = map(add, into, shard)


def _add_counts(into: dict[str, int], shard: dict[str, int]) -> None:
    for key, value in list(shard.items()):
        into[key] = into.get(key, 0) + value


class ModelCell:
    """Everything one model version records per call: latency, status, in-flight, confidence, classes, error types.

    Args:
        latency_bounds: Upper bounds of the latency buckets in seconds, ascending.
        confidence_bounds: Upper bounds of the confidence buckets, ascending.
        classes: Predicted classes known beforehand; exported from 0.
        admits_class: Asked before a class that was not declared is kept apart; False counts it as ``other``.
        admits_error: The same for the class of an exception.
        on_new: Called when a thread records here for the first time.
    """

    __slots__ = (
        "classes",
        "confidence",
        "confidence_bounds",
        "enter",
        "errors",
        "latency_bounds",
        "leave",
        "record",
        "shards",
        "start_ns",
        "succeed",
    )

    def __init__(
        self,
        latency_bounds: Sequence[float],
        confidence_bounds: Sequence[float],
        *,
        classes: Sequence[str] = (),
        admits_class: Callable[[int], bool] = lambda _: True,
        admits_error: Callable[[int], bool] = lambda _: True,
        on_new: Callable[[], None] = lambda: None,
    ) -> None:
        self.latency_bounds, self.confidence_bounds = tuple(latency_bounds), tuple(confidence_bounds)
        self.start_ns = clock.unix_ns()
        width = _BUCKETS + len(self.latency_bounds) + 1 + len(self.confidence_bounds) + 1
        self.shards: ThreadShards[Shard] = ThreadShards(lambda: [0] * width, list[float].copy, _add_slots, on_new)
        self.classes = CountedValues(classes, admits_class, on_new)
        self.errors = CountedValues((), admits_error, on_new)
        self._bind()

    def _bind(self) -> None:
        """Make the functions of the hot path: closures find their data faster than attributes do."""
        local, new = self.shards.local, self.shards.new
        latency_bounds, first = self.latency_bounds, _BUCKETS
        confidence_bounds, first_confidence = self.confidence_bounds, _BUCKETS + len(self.latency_bounds) + 1
        bisect, top = bisect_left, inf

        def enter() -> Shard:
            """Count a call as started; returns the shard that a call ending on the same thread gives back."""
            try:
                shard: Shard = local.shard
            except AttributeError:
                shard = new()
            shard[IN_FLIGHT] += 1
            return shard

        def leave(shard: Shard, latency_s: float, status: StatusIndex) -> None:
            """Count a call as ended, whatever way."""
            if status <= LAST_TIMED:
                # The index first, the addition after it: nothing may run between the two halves of a +=.
                i = first + bisect(latency_bounds, latency_s)
                shard[i] += 1
                shard[LATENCY_SUM] += latency_s
            shard[status] += 1
            shard[IN_FLIGHT] -= 1

        def succeed(shard: Shard, latency_s: float, confidence: float) -> None:
            """Count a call as ended well, with one confidence."""
            i = first + bisect(latency_bounds, latency_s)
            shard[i] += 1
            shard[LATENCY_SUM] += latency_s
            shard[SUCCESS] += 1
            shard[IN_FLIGHT] -= 1
            i = first_confidence + bisect(confidence_bounds, confidence)
            shard[i] += 1
            shard[CONFIDENCE_SUM] += confidence

        def confidence(value: float) -> None:
            """Observe the confidence of one prediction."""
            try:
                shard: Shard = local.shard
            except AttributeError:
                shard = new()
            i = first_confidence + bisect(confidence_bounds, value)
            shard[i] += 1
            shard[CONFIDENCE_SUM] += value

        def record(latency_s: float, confidence: float | None = None, status: StatusIndex = SUCCESS) -> bool:
            """Count one finished call; False, and nothing counted, if a number is not finite or negative."""
            if not 0.0 <= latency_s < top:
                return False
            try:
                shard: Shard = local.shard
            except AttributeError:
                shard = new()
            if confidence is not None:
                if not 0.0 <= confidence <= 1.0:
                    return False
                i = first_confidence + bisect(confidence_bounds, confidence)
                shard[i] += 1
                shard[CONFIDENCE_SUM] += confidence
            if status <= LAST_TIMED:
                i = first + bisect(latency_bounds, latency_s)
                shard[i] += 1
                shard[LATENCY_SUM] += latency_s
            shard[status] += 1
            return True

        self.enter, self.leave, self.succeed = enter, leave, succeed
        self.confidence, self.record = confidence, record

    def split(self, total: Shard) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the latency and the confidence bucket counts of a summed shard, in which only sums are no integers."""
        end = _BUCKETS + len(self.latency_bounds) + 1
        slots: Any = total
        return tuple(slots[_BUCKETS:end]), tuple(slots[end:])

    def reset_in_child(self) -> None:
        """Start from zero in a forked child."""
        self.start_ns = clock.unix_ns()
        self.shards.reset_in_child()
        self.classes.reset_in_child()
        self.errors.reset_in_child()


class CountedValues:
    """Counts per text value, with a cap on how many values are kept apart.

    Args:
        declared: Values that are exported from 0 and always kept apart.
        admits: Asked, with the number of values known, whether one more may be kept apart.
        on_new: Called when a thread counts here for the first time.
    """

    __slots__ = ("_known", "_shards", "admits")

    def __init__(
        self,
        declared: Sequence[str],
        admits: Callable[[int], bool] = lambda _: True,
        on_new: Callable[[], None] = lambda: None,
    ) -> None:
        # Insertion order is export order; a dict because its setdefault is atomic.
        self._known: dict[str, None] = dict.fromkeys(declared)
        self.admits = admits
        self._shards: ThreadShards[dict[str, int]] = ThreadShards(dict, dict[str, int].copy, _add_counts, on_new)

    def declare(self, values: Sequence[str]) -> None:
        """Keep these values apart from now on, and export them from 0."""
        for value in values:
            self._known.setdefault(value)

    def admit(self, value: str) -> bool:
        """Return whether a value is kept apart, taking a place for it if it is new."""
        if value in self._known:
            return True
        if not self.admits(len(self._known)):
            return False
        self._known.setdefault(value)
        return True

    def add(self, value: str, amount: int = 1) -> bool:
        """Count a value; False if it went to ``other`` because the cap is reached."""
        kept = self.admit(value)
        if not kept:
            value = OVERFLOW
        counts = self._shards.mine()
        counts.setdefault(value, 0)  # apart from the addition: nothing may run between the two halves of a +=
        counts[value] += amount
        return kept

    def total(self) -> dict[str, int]:
        """Return the count of each value, declared values with 0."""
        counted = self._shards.total()
        if not self._known:
            return counted
        total = dict.fromkeys(list(self._known), 0)
        _add_counts(total, counted)
        return total

    def reset_in_child(self) -> None:
        """Start from zero in a forked child; known values stay known."""
        self._shards.reset_in_child()


class SumCell:
    """A sum that any thread may add to: counters, and gauges that go up and down."""

    __slots__ = ("_shards", "start_ns")

    def __init__(self, on_new: Callable[[], None] = lambda: None) -> None:
        self.start_ns = clock.unix_ns()
        self._shards: ThreadShards[Shard] = ThreadShards(lambda: [0], list[float].copy, _add_slots, on_new)

    def add(self, amount: float = 1) -> None:
        """Add to the calling thread's part."""
        shard = self._shards.mine()
        shard[0] += amount

    def total(self) -> float:
        """Return the sum over all threads."""
        return self._shards.total()[0]

    def reset_in_child(self) -> None:
        """Start from zero in a forked child."""
        self.start_ns = clock.unix_ns()
        self._shards.reset_in_child()


class CountsCell:
    """Many counts that are recorded together: the thread's shard is a list with a slot for each.

    Args:
        width: How many counts.
        on_new: Called when a thread records here for the first time.
    """

    __slots__ = ("shards", "start_ns")

    def __init__(self, width: int, on_new: Callable[[], None] = lambda: None) -> None:
        self.start_ns = clock.unix_ns()
        self.shards: ThreadShards[list[int]] = ThreadShards(lambda: [0] * width, list[int].copy, _add_ints, on_new)

    def reset_in_child(self) -> None:
        """Start from zero in a forked child."""
        self.start_ns = clock.unix_ns()
        self.shards.reset_in_child()


class HistogramCell:
    """One histogram label set: bucket counts and their sum.

    Args:
        bounds: Upper bounds of the buckets, ascending.
        on_new: Called when a thread records here for the first time.
    """

    __slots__ = ("bounds", "observe", "shards", "start_ns")

    def __init__(self, bounds: Sequence[float], on_new: Callable[[], None] = lambda: None) -> None:
        self.bounds = tuple(bounds)
        self.start_ns = clock.unix_ns()
        width = len(self.bounds) + 2
        self.shards: ThreadShards[Shard] = ThreadShards(lambda: [0] * width, list[float].copy, _add_slots, on_new)
        mine, edges = self.shards.mine, self.bounds

        def observe(value: float) -> None:
            """Count a value into its bucket; slot 0 is the sum."""
            shard = mine()
            i = 1 + bisect_left(edges, value)
            shard[i] += 1
            shard[0] += value

        self.observe: Callable[[float], None] = observe
