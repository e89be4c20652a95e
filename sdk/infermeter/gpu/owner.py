"""The one thread that asks the driver; everybody else reads the snapshot it leaves.

A call of the driver may hang for minutes: then the snapshot ages, and after three intervals nobody believes it. Knows
no metrics and no driver.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple

from infermeter import clock, greenlets, guard
from infermeter.gpu.sample import Gpu, GpuLostError, GpuReader, GpuSample, GpuUnavailableError

MIN_INTERVAL_S = 5.0
DEFAULT_INTERVAL_S = 15.0
BELIEVED_INTERVALS = 3
_WAIT_S = 1.0  # a wait for errors is not interrupted; this is how soon the thread notices that it is to stop
_MAX_BACK_OFF_S = 30.0
_BUSY_SHARE = 0.02  # of the interval that may be spent in the driver before the interval is doubled
_SLOW_CYCLES = 3  # in a row; one call that hung is no reason
_logger = logging.getLogger("infermeter")


class XidSeen(NamedTuple):
    """How often a GPU reported one error, and when last."""

    times: int
    unix_s: float


class Snapshot(NamedTuple):
    """What is known about all GPUs; never changed, only replaced."""

    at_s: float
    """When it was taken, on ``clock.monotonic_s``."""
    samples: tuple[GpuSample, ...] = ()
    devices: tuple[Gpu, ...] = ()
    lost: tuple[Gpu, ...] = ()
    problem: str = ""
    """Why no GPU can be read; empty if that works."""
    cycle_s: float = 0.0
    last_xids: Mapping[str, int] = {}
    xids: Mapping[tuple[str, int], XidSeen] = {}
    errors: Mapping[tuple[str, int], int] = {}


def all_of(devices: tuple[Gpu, ...]) -> frozenset[str]:
    """Choose every device."""
    return frozenset(device.uuid for device in devices)


Choice = Callable[[tuple[Gpu, ...]], frozenset[str]]
"""Says which devices are to be read, by UUID."""


class Owner:
    """Reads at an interval, on a thread of its own, from the first ``start()`` to ``close()``.

    Args:
        reader: What is read.
        interval_s: Seconds between readings.
        choose: Which of the devices to read; asked in each cycle.
        wanted: Whether readings are still of use; the thread ends when not, and releases the driver.
        on_release: Called on the thread when it has ended its readings.
        on_first: Called on the thread after the first reading.
    """

    def __init__(
        self,
        reader: GpuReader,
        interval_s: float = DEFAULT_INTERVAL_S,
        *,
        choose: Choice = all_of,
        wanted: Callable[[], bool] = lambda: True,
        on_release: Callable[[], None] = lambda: None,
        on_first: Callable[[], None] = lambda: None,
    ) -> None:
        self._reader, self.interval_s = reader, interval_s
        self._choose, self._wanted, self._on_release, self._on_first = choose, wanted, on_release, on_first
        self._asked_interval_s = interval_s
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._released_until_s = -math.inf
        self.snapshot: Snapshot | None = None
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._xids: dict[tuple[str, int], XidSeen] = {}
        self._last_xids: dict[str, int] = {}
        self._failures = self._slow_cycles = 0
        self._told_of: set[str] = set()

    def start(self) -> None:
        """Begin to read in this process, unless that is under way."""
        if self._closed or (self._thread is not None and self._thread.is_alive()):
            return
        if greenlets.replace_threads():
            guard.log_once(
                "gpu",
                "greenlets",
                "GPUs are not read in a process whose threads are greenlets (gevent): a call of the driver would stop "
                "them all; run `infermeter gpu agent` on this machine instead",
            )
            return
        if not self._starting.acquire(blocking=False):
            return  # another thread is at it
        try:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="infermeter-gpu", daemon=True)
                self._thread = thread
                thread.start()
        finally:
            self._starting.release()

    def believed(self) -> Snapshot | None:
        """Return the snapshot, None if there is none or it is too old to be shown."""
        snapshot = self.snapshot
        if snapshot is None or self.age_s(snapshot) > BELIEVED_INTERVALS * self.interval_s:
            return None
        return snapshot

    def age_s(self, snapshot: Snapshot) -> float:
        """Return how old a snapshot is, in seconds."""
        return max(clock.monotonic_s() - snapshot.at_s, 0.0)

    def release(self, seconds: float) -> None:
        """Let go of the driver for some time, so that somebody else may reset a GPU or change its partitions."""
        self._released_until_s = clock.monotonic_s() + seconds
        self._wake.put(None)

    def close(self, timeout_s: float = 0.0) -> None:
        """Stop and release the driver, waiting at most ``timeout_s`` seconds; a call that hangs is left behind."""
        self._closed = True
        self._wake.put(None)
        thread = self._thread
        if timeout_s > 0 and thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def reset_in_child(self) -> None:
        """Forget the inherited thread and what it saw; the next ``start()`` begins anew. Calls no driver."""
        self._starting = threading.Lock()
        self._thread, self.snapshot = None, None
        self._wake = SimpleQueue()
        self._xids, self._last_xids = {}, {}
        self._failures = self._slow_cycles = 0
        self.interval_s = self._asked_interval_s
        self._reader.reset_in_child()

    def _run(self) -> None:
        due_s = clock.monotonic_s()
        first = True
        try:
            while not self._closed and self._wanted():
                pause_s = due_s - clock.monotonic_s()
                if pause_s > 0:
                    self._pause(pause_s)
                    continue
                if clock.monotonic_s() < self._released_until_s:
                    self._let_go("released")
                    due_s = self._released_until_s
                    continue
                due_s = max(due_s + self._cycle(), clock.monotonic_s())
                if first:
                    first = False
                    with guard.guard("gpu"):
                        self._on_first()
        finally:
            self._let_go("stopped")
            with guard.guard("gpu"):
                self._on_release()

    def _let_go(self, why: str) -> None:
        self.snapshot = Snapshot(clock.monotonic_s(), problem=why)
        with guard.guard("gpu"):
            self._reader.close()

    def _pause(self, pause_s: float) -> None:
        """Let time pass, and notice errors that the driver reports meanwhile."""
        pause_s = min(pause_s, _WAIT_S)
        seen = None
        with guard.guard("gpu"):
            seen = self._reader.wait(pause_s)
        if seen is None:
            with suppress(Empty):
                self._wake.get(timeout=pause_s)
            return
        for xid in seen:
            key = (xid.uuid, xid.code)
            known = self._xids.get(key)
            self._xids[key] = XidSeen(known.times + 1 if known else 1, clock.unix_ns() / 1e9)
            self._last_xids[xid.uuid] = xid.code
            if self.snapshot is not None:
                self.snapshot = self.snapshot._replace(xids=dict(self._xids), last_xids=dict(self._last_xids))

    def _cycle(self) -> float:
        """Read once; returns seconds until the next reading."""
        started_s = clock.monotonic_s()
        pause_s = self.interval_s
        try:
            snapshot = self._read()
        except GpuUnavailableError as trouble:
            snapshot = Snapshot(0.0, problem=trouble.kind)
            self._tell(trouble)
            pause_s = trouble.retry_s
        except Exception as error:  # noqa: BLE001  whatever a reader raises costs a cycle
            guard.swallow("gpu", error)
            snapshot = Snapshot(0.0, problem=type(error).__name__)
        now_s = clock.monotonic_s()
        self.snapshot = snapshot._replace(
            at_s=now_s,
            cycle_s=now_s - started_s,
            xids=dict(self._xids),
            last_xids=dict(self._last_xids),
            errors=self._reader.errors(),
        )
        if not snapshot.problem:
            self._failures = 0
            self._slow_down(now_s - started_s)
            return self.interval_s
        with guard.guard("gpu"):
            self._reader.close()  # opened again with the next reading
        self._failures += 1
        return pause_s or min(2.0 ** (self._failures - 1), _MAX_BACK_OFF_S)

    def _read(self) -> Snapshot:
        devices = tuple(self._reader.devices())
        chosen = self._choose(devices)
        samples: list[GpuSample] = []
        lost: list[Gpu] = []
        failed = False
        for gpu in devices:
            if gpu.uuid not in chosen:
                continue
            where = f"gpu {gpu.uuid}"
            try:
                samples += self._reader.sample(gpu)
                guard.log_again(where)
            except GpuLostError as error:
                lost.append(gpu)
                text = "infermeter: GPU %d (%s) is lost and needs a reset; the others are still read (%s)"
                guard.log_once(where, "lost", text, gpu.number, gpu.uuid, error)
            except GpuUnavailableError:
                raise
            except Exception as error:  # noqa: BLE001  costs this GPU only
                failed = True
                guard.swallow("gpu", error)
        # All of them at once is trouble of the driver, not of a GPU.
        problem = "all_lost" if not samples and (lost or failed) else ""
        return Snapshot(0.0, tuple(samples), devices, tuple(lost), problem)

    def _tell(self, trouble: GpuUnavailableError) -> None:
        """Log each kind of trouble once; a machine without GPUs is nothing to warn of."""
        if trouble.kind not in self._told_of:
            self._told_of.add(trouble.kind)
            _logger.log(logging.INFO if trouble.expected else logging.WARNING, "infermeter: %s", trouble)

    def _slow_down(self, cycle_s: float) -> None:
        """Ask less often where the driver is slow for long: its lock is shared with the work of the GPU."""
        self._slow_cycles = self._slow_cycles + 1 if cycle_s > _BUSY_SHARE * max(self.interval_s, MIN_INTERVAL_S) else 0
        if self._slow_cycles >= _SLOW_CYCLES and self.interval_s < 8 * self._asked_interval_s:
            self.interval_s *= 2
            self._slow_cycles = 0
            guard.log_once(
                "gpu", "slow", "infermeter: reading the GPUs takes %.2f s; they are read less often", cycle_s
            )
