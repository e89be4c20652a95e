"""Knows how the last exports ended; OpenTelemetry's own ``force_flush`` says True even after a failure.

Wraps any exporter. What an exporter raises or logs stays here: counted, and logged once for each kind.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

from infermeter import clock, guard
from infermeter.catalog import OUTCOMES

_SUCCESS, _FAILURE = OUTCOMES
_exporting = threading.local()


class Trouble(Protocol):
    """What an exporter's connection can say about a failure."""

    kind: str
    """A few words that stay the same while the cause does."""
    retry_after_s: float
    """How long the other side asked us to wait; 0 if it did not."""


class Deliveries:
    """Counts of one process: how exports ended, how long the last one took, when the next one may start."""

    def __init__(self) -> None:
        self.start_ns = clock.unix_ns()
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.last_duration_s: float | None = None
        self.last_succeeded = True
        self.not_before_s = 0.0

    def ended(self, *, succeeded: bool, duration_s: float, retry_after_s: float | None = 0.0) -> None:
        """Note the end of one export; None for an exporter that cannot be asked to wait."""
        self.outcomes[_SUCCESS if succeeded else _FAILURE] += 1
        self.last_duration_s, self.last_succeeded = duration_s, succeeded
        if retry_after_s is not None:
            self.not_before_s = clock.monotonic_s() + retry_after_s if retry_after_s else 0.0


class _ExporterLogs(logging.Filter):
    """Takes what an exporter logs while it works for us; everybody else's records pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        said: list[str] | None = getattr(_exporting, "said", None)
        if said is None:
            return True
        if record.levelno >= logging.WARNING:
            said.append(record.getMessage())
        return False


_filter = _ExporterLogs()


@contextmanager
def _listening() -> Generator[list[str]]:
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("opentelemetry."):
            logging.getLogger(name).addFilter(_filter)  # adding it twice changes nothing
    said: list[str] = []
    _exporting.said = said
    try:
        yield said
    finally:
        _exporting.said = None


def _kind_of(trouble: Trouble | None, error: Exception | None, said: list[str]) -> str:
    """Return a few words for a failure that stay the same while its cause does; empty if nothing tells."""
    if trouble is not None and trouble.kind:
        return trouble.kind
    if error is not None:
        return type(error).__name__
    status = re.search(r"StatusCode\.(\w+)", said[-1]) if said else None  # the gRPC exporter tells it nowhere else
    return f"gRPC {status[1]}" if status else ""


class TrackedExporter(MetricExporter):
    """An exporter whose ends are known.

    Args:
        inner: The exporter that does the work.
        deliveries: Where ends are counted.
        destination: Names the other side in the log.
        trouble: What the connection knows about a failure, if it can tell.
    """

    def __init__(
        self, inner: MetricExporter, deliveries: Deliveries, destination: str, trouble: Trouble | None = None
    ) -> None:
        # Without the inner exporter's preferences: the environment could make them delta or exponential, and what ends
        # in Prometheus is cumulative with explicit buckets.
        super().__init__()
        self._inner, self._deliveries, self._destination, self._trouble = inner, deliveries, destination, trouble
        self._kind = "no reason given"

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        """Export, count how it ended, and say of each kind of failure once what is wrong."""
        started_s = clock.monotonic_s()
        error: Exception | None = None
        result = MetricExportResult.FAILURE
        with _listening() as said:
            try:
                result = self._inner.export(metrics_data, timeout_millis=timeout_millis)  # pyright: ignore[reportUnknownMemberType]  # OpenTelemetry leaves its **kwargs without a type
            except Exception as caught:  # noqa: BLE001  whatever an exporter raises is a failed export
                error = caught
        succeeded = result is MetricExportResult.SUCCESS
        trouble = self._trouble
        retry_after_s = None if trouble is None else 0.0 if succeeded else trouble.retry_after_s
        self._deliveries.ended(
            succeeded=succeeded, duration_s=clock.monotonic_s() - started_s, retry_after_s=retry_after_s
        )
        place = f"export to {self._destination}"
        if succeeded:
            guard.log_again(place)
        else:
            # The gRPC exporter speaks once a minute: silence means the kind it was.
            kind = self._kind = _kind_of(trouble, error, said) or self._kind
            guard.log_once(
                place,
                kind,
                "infermeter: export to %s fails (%s); totals are kept and sent when it answers again. %s",
                self._destination,
                kind,
                said[-1] if said else error or "",
            )
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is buffered."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Close the exporter; what it raises or logs on its way out is of no use to anybody."""
        with _listening(), guard.guard("export.shutdown"):
            self._inner.shutdown(timeout_millis=timeout_millis)  # pyright: ignore[reportUnknownMemberType]  # OpenTelemetry leaves its **kwargs without a type
