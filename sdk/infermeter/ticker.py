"""The one thread that exports: at its interval, when asked, and once more at the end.

Everything that leaves the process leaves through here, so exports never overlap, and whoever asks for one waits on a
queue with a bound, never on a lock that a fork or a signal handler could have left held: a handler that interrupted a
put may itself put to a ``SimpleQueue``, but not set an ``Event``. The queues are of the thread's kind: gevent replaces
both, perhaps long after the start, and a greenlet that waited on a queue of the system would stop all others. Knows
nothing of what is exported.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

from infermeter import clock, guard

if TYPE_CHECKING:
    from queue import SimpleQueue

MIN_GAP_S = 1.0
"""Least time between exports that new models ask for, so that a burst of registrations costs one."""


class _Request:
    """One wish for an export, and how it ended."""

    __slots__ = ("done", "last")

    def __init__(self, done: SimpleQueue[bool], *, last: bool) -> None:
        self.done, self.last = done, last


class Ticker:
    """Calls ``export`` on a daemon thread.

    Args:
        export: Does one export and says whether it arrived.
        close: Called on the thread after the last export.
        interval_s: Seconds between exports.
        not_before_s: Monotonic time before which the other side does not want the next one; 0 for any time.
    """

    def __init__(
        self,
        export: Callable[[], bool],
        close: Callable[[], None],
        interval_s: float,
        not_before_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._export, self._close, self._interval_s, self._not_before_s = export, close, interval_s, not_before_s
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._parked = False
        self.reset_in_child()

    def reset_in_child(self) -> None:
        """Forget the inherited thread; nothing of it is touched."""
        self._make_queues()
        self._requests: deque[_Request] = deque()
        self._thread = None
        self._soon = False
        self._parked = False

    @property
    def running(self) -> bool:
        """Whether the thread has been started in this process."""
        return self._thread is not None

    @property
    def is_current(self) -> bool:
        """Whether the caller runs on the thread."""
        return threading.current_thread() is self._thread

    def start(self) -> None:
        """Start the thread unless it runs; the first export follows at once."""
        if self._thread is not None or self._stopped:
            return
        self._soon = True
        self._new_thread().start()

    def _new_thread(self) -> threading.Thread:
        self._make_queues()
        self._thread = thread = threading.Thread(target=self._run, name="infermeter", daemon=True)
        return thread

    def _make_queues(self) -> None:
        from queue import SimpleQueue  # with configure(): it would add to the package's import time

        self._queue: type[SimpleQueue[Any]] = SimpleQueue
        self._wake: SimpleQueue[None] = SimpleQueue()

    @property
    def parked(self) -> bool:
        """Whether nothing is exported because this process only forks workers."""
        return self._parked

    def park(self) -> None:
        """Export no more until something is recorded: this process only forks workers."""
        self._parked = True

    def unpark(self) -> None:
        """Export again."""
        self._parked = False

    def soon(self) -> None:
        """Ask for an export within about a second; nobody waits for it."""
        self._soon = True
        self._wake.put(None)

    def flush(self, timeout_s: float, *, last: bool = False) -> bool:
        """Export everything recorded so far; False if that failed or took longer than the bound.

        Args:
            timeout_s: How long to wait, in seconds.
            last: Close afterwards; no export follows.
        """
        if self._stopped:
            return not last
        from queue import Empty

        self._stopped |= last
        starts = self._thread is None
        thread = self._thread or self._new_thread()
        request = _Request(self._queue(), last=last)
        if self.is_current:
            # Asked from within an export, by a log handler for example: to wait would be to wait for itself.
            if last:
                self._requests.append(request)
            return False
        self._requests.append(request)
        if starts:
            try:
                thread.start()
            except RuntimeError:  # an interpreter on its way out starts no threads
                return self._inline(last=last)
        else:
            self._wake.put(None)
        try:
            return request.done.get(timeout=max(timeout_s, 0.0))
        except Empty:
            return False

    def _inline(self, *, last: bool) -> bool:
        succeeded = self._guarded_export()
        if last:
            self._close()
        return succeeded

    def _guarded_export(self) -> bool:
        with guard.guard("export"):
            return self._export()
        return False

    def _run(self) -> None:
        import random  # on our own thread: it would add to the package's import time
        from queue import Empty

        wake = self._wake
        # The first full interval is a random share of one: a fleet that starts together does not export together.
        due_s = clock.monotonic_s() + self._interval_s * random.random()  # noqa: S311  not about secrets
        last_s, asked_s = -MIN_GAP_S, inf
        while True:
            now_s = clock.monotonic_s()
            if self._soon:
                # Beside the schedule, whose phase stays: what is asked for at start comes to a whole fleet at once.
                asked_s = min(asked_s, max(now_s, last_s + MIN_GAP_S))
                self._soon = False
            pause_s = max(min(due_s, asked_s), self._not_before_s()) - now_s
            if not self._requests and pause_s > 0:
                with suppress(Empty):
                    wake.get(timeout=pause_s)
                continue
            for _ in range(wake.qsize()):  # before the requests are taken: what comes later wakes again
                wake.get()
            requests = [self._requests.popleft() for _ in range(len(self._requests))]
            succeeded = self._guarded_export() if requests or not self._parked else False
            last_s, asked_s = clock.monotonic_s(), inf
            due_s = due_s + self._interval_s if now_s >= due_s else due_s
            if due_s < last_s:  # an export that outlasted the interval does not cause a burst
                due_s = last_s + self._interval_s
            last = any(request.last for request in requests)
            if last:
                with guard.guard("export.shutdown"):
                    self._close()
            for request in requests:
                request.done.put(succeeded)
            if last:
                return
