"""Waits for something to become true, and says what it waited for when it does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(check: Callable[[], T], what: str, *, timeout_s: float = 45.0) -> T:
    """Return the first true answer of ``check``; fail with ``what`` when the deadline passes."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited {timeout_s:g} s for {what}; last answer: {answer!r}")
        pause.wait(0.01)
