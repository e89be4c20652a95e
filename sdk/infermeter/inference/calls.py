"""One call from its start to its end: what to count for a result, and what for an exception.

Guards our own work only. Knows nothing of how the call was wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from infermeter import clock, guard, requests_seen
from infermeter.cells import CANCELLED, ERROR, REJECTED, SUCCESS, ModelCell, Shard, StatusIndex
from infermeter.inference.predictions import ABSENT, Reading, observe_values
from infermeter.labels import label_value
from infermeter.outcomes import FAILURES, status_of


def succeeded(cell: ModelCell, shard: Shard, latency_s: float, result: Any, reading: Reading) -> None:
    """Count a call that returned, and what its result holds."""
    try:
        if result is None and reading.plain:
            cell.leave(shard, latency_s, SUCCESS)
            return
        if type(result) is dict and reading.plain:
            fields = cast("dict[object, object]", result)
            confidence = fields.get("confidence")
            if type(confidence) is float and 0.0 <= confidence <= 1.0:  # the usual case, at once
                cell.succeed(shard, latency_s, confidence)
                if "label" in fields:
                    observe_values(cell, ABSENT, fields["label"])
                return
        cell.leave(shard, latency_s, SUCCESS)
        reading.observe(cell, cast("Any", result))
    except Exception as error:  # noqa: BLE001  the guard of the hot path, without the price of a context manager
        guard.swallow("prediction", error)


def failed(cell: ModelCell, shard: Shard, latency_s: float, error: BaseException) -> None:
    """Count a call that raised."""
    try:
        status = status_of(error)
    except Exception as ours:  # noqa: BLE001  the exception's own status_code raised; the call has ended all the same
        guard.swallow("inference", ours)
        status = ERROR
    try:
        cell.leave(shard, latency_s, status)
        if status in FAILURES:
            count_exception(cell, type(error).__name__)
    except Exception as ours:  # noqa: BLE001  as above
        guard.swallow("inference", ours)


def count_exception(cell: ModelCell, error_type: str) -> None:
    """Count a failure by its class."""
    if not cell.errors.add(label_value(error_type)):
        guard.drop("error_type", "error_type_limit")


class InferenceCall:
    """A call in a ``with`` block; tell it what the block alone knows. Nothing here raises."""

    __slots__ = ("_cell", "_error_type", "_start_ns", "_started_s", "_status", "ended")

    def __init__(self, cell: ModelCell | None) -> None:
        self._cell = cell
        self._status: StatusIndex = SUCCESS
        self._error_type: str | None = None
        self.ended = False
        self._started_s = 0.0
        self._start_ns = 0

    def predicted(self, label: object = None, *, confidence: object = None) -> None:
        """Record what the model predicted: one value each, or one per row.

        Args:
            label: Predicted class; capped, then counted as ``other``.
            confidence: 0 to 1.
        """
        if self._cell is None:
            return
        with guard.guard("prediction"):
            observe_values(self._cell, ABSENT if confidence is None else confidence, ABSENT if label is None else label)

    def failed(self, error: str | type[BaseException] | BaseException) -> None:
        """Count the call as an error although no exception leaves the block; the last word said wins.

        Args:
            error: Its class, by name or as it is, or the exception itself, whose text is never recorded.
        """
        if isinstance(error, BaseException):
            error = type(error)
        self._status, self._error_type = ERROR, error.__name__ if isinstance(error, type) else error

    def rejected(self) -> None:
        """Count the call as rejected: the caller's fault, in no failure ratio."""
        self._status, self._error_type = REJECTED, None

    def cancelled(self) -> None:
        """Count the call as cancelled: nobody waits for the answer, in no failure ratio."""
        self._status, self._error_type = CANCELLED, None

    def start(self) -> None:
        """Begin to measure; called by the wrapper."""
        if self._cell is None:
            return
        try:
            if requests_seen.watching:
                requests_seen.mark()
            self._start_ns = self._cell.start_ns
            self._cell.enter()
        except Exception as error:  # noqa: BLE001  as above
            guard.swallow("inference", error)
        self._started_s = clock.monotonic_s()

    def end(self, error: BaseException | None = None, result: object = None, reading: Reading | None = None) -> None:
        """Count the call as ended, once; called by the wrapper."""
        if self.ended:
            return
        self.ended = True
        cell = self._cell
        if cell is None or cell.start_ns != self._start_ns:
            return  # in a child forked within the call, it belongs to the parent
        latency_s = clock.monotonic_s() - self._started_s
        try:
            # The call may end on another thread than it began on: each thread writes its own shard only.
            shard = cell.shards.mine()
            if error is not None:
                failed(cell, shard, latency_s, error)
            elif self._status != SUCCESS or reading is None:
                cell.leave(shard, latency_s, self._status)
                if self._error_type is not None:
                    count_exception(cell, self._error_type)
            else:
                succeeded(cell, shard, latency_s, result, reading)
        except Exception as ours:  # noqa: BLE001  as above
            guard.swallow("inference", ours)


Lookup = Callable[[tuple[object, ...], dict[str, object]], "ModelCell | None"]
"""Finds the cell of a call from its arguments; None while nothing is configured. Never raises."""
