"""Ctrl-C, SIGTERM and a closed terminal, all as one KeyboardInterrupt; a second one does not disturb the clean-up."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def interruptible(on_repeat: Callable[[], None]) -> Generator[None]:
    """Raise KeyboardInterrupt at the first signal; for later ones call `on_repeat` and go on stopping."""
    seen = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        if seen:
            on_repeat()
            return
        seen = True
        raise KeyboardInterrupt

    before: list[tuple[signal.Signals, Any]] = [(number, signal.signal(number, handle)) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
