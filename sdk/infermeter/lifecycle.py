"""Hooks of the process: fork, exit, SIGTERM. Installed once, and only where the platform has them.

Knows when something happens; what is to be done it is told.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from infermeter import greenlets, guard

_installed = False


def install(
    *,
    before_fork: Callable[[], None],
    after_fork_in_parent: Callable[[], None],
    after_fork_in_child: Callable[[], None],
    at_exit: Callable[[], None],
) -> None:
    """Install the hooks of fork and exit; later calls do nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    if hasattr(os, "register_at_fork"):

        def before() -> None:
            with guard.guard("fork"):
                _finalize_multiprocessing_children(at_exit)
                before_fork()

        def in_child() -> None:
            with guard.guard("fork"):
                guard.reset_in_child()
                after_fork_in_child()

        def in_parent() -> None:
            with guard.guard("fork"):
                after_fork_in_parent()

        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
    atexit.register(at_exit)
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        _finalize_multiprocessing(at_exit)


_multiprocessing_hooked = False


class _Anchor:
    """Something for multiprocessing to hold a weak reference to."""


_anchor = _Anchor()


def _finalize_multiprocessing_children(at_exit: Callable[[], None]) -> None:
    """Have children of multiprocessing run our exit hook: they leave through ``os._exit``, past ``atexit``."""
    global _multiprocessing_hooked
    util = sys.modules.get("multiprocessing.util")
    if util is None or _multiprocessing_hooked:
        return
    _multiprocessing_hooked = True

    def in_child(_: object) -> None:
        _finalize_multiprocessing(at_exit)

    util.register_after_fork(_anchor, in_child)


def _finalize_multiprocessing(at_exit: Callable[[], None]) -> None:
    from multiprocessing import util

    util.Finalize(None, at_exit, exitpriority=0)


def handle_sigterm(at_exit: Callable[[], None], within_export: Callable[[], bool]) -> bool:
    """Run the exit hook on SIGTERM before the signal does its default work.

    Only where the process left SIGTERM at its default, and only from the main thread; a handler of the host, now or
    later, stays the only one.

    Args:
        at_exit: The exit hook, which waits for an export.
        within_export: Says whether the caller is what exports.

    Returns:
        Whether the handler was installed.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return False

    def end(number: int) -> None:
        try:
            at_exit()
        finally:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def on_sigterm(number: int, _: FrameType | None) -> None:
        # Under gevent a handler runs in whichever greenlet there is; these two would wait for themselves.
        if greenlets.run_within_event_loop() or (greenlets.replace_threads() and within_export()):
            greenlets.start(end, number)
        else:
            end(number)

    signal.signal(signal.SIGTERM, on_sigterm)
    return True
