"""Keeps our failures from the host: stops them, counts them, logs each kind once.

Guards our own work only, never the model's call. Knows nothing of what is being guarded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from infermeter.catalog import OVERFLOW
from infermeter.cells import SumCell

MAX_KINDS = 100
"""Pairs of place and reason that are counted and logged apart; applications may make exception classes without end."""
MAX_LENGTH = 128
"""Characters of a class name that are kept."""

_drops: dict[tuple[str, str], SumCell] = {}
_logged: dict[tuple[str, str], None] = {}
_busy = threading.local()

on_swallowed: Callable[[str, Exception], None] | None = None
"""Seam for tests: sees every error that was kept from the host."""


def drop(where: str, reason: str, amount: int = 1) -> str:
    """Count measurements that could not be recorded as given.

    Args:
        where: A place in our code.
        reason: A word of our code, or the class of an exception: past ``MAX_KINDS`` that is ``other``.
        amount: How many.

    Returns:
        The reason it was counted under.
    """
    cell = _drops.get((where, reason))
    if cell is None:
        if len(_drops) >= MAX_KINDS:
            reason = OVERFLOW
        cell = _drops.setdefault((where, reason), SumCell())
    cell.add(amount)
    return reason


def drops() -> dict[tuple[str, str], SumCell]:
    """Return what was dropped so far in this process, by place and reason."""
    return dict(_drops)


def swallow(where: str, error: Exception) -> None:
    """Count an error of ours and log the first of its kind."""
    kind = drop(where, type(error).__name__[:MAX_LENGTH])
    if on_swallowed is not None:
        on_swallowed(where, error)
    log_once(where, kind, "infermeter could not record (%s): %r", where, error)


def log_once(where: str, kind: str, message: str, *args: object) -> None:
    """Write one warning for each kind of trouble in the life of the process.

    A logging handler of the host may itself end up here; it then finds the door closed instead of a deadlock.
    """
    if (where, kind) in _logged or getattr(_busy, "logging", False):
        return
    _logged.setdefault((where, kind))
    import logging  # when there is something to say: it is a third of the package's import time

    _busy.logging = True
    try:
        logging.getLogger("infermeter").warning(message, *args)
    except Exception:  # noqa: BLE001, S110  a handler of the host that raises is the host's business, not the model's
        pass
    finally:
        _busy.logging = False


def log_again(where: str) -> None:
    """Let trouble of a place be logged once more, after it has been well in between."""
    for key in [key for key in _logged if key[0] == where]:
        _logged.pop(key, None)


class guard:  # noqa: N801  reads as a statement: with guard("inference")
    """``with guard("place"):`` stops an ``Exception`` of our own code; everything else passes."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if isinstance(error, Exception):
            swallow(self._where, error)
            return True
        return False


def forget() -> None:
    """Forget counts and what was logged; for tests."""
    _drops.clear()
    _logged.clear()


def reset_in_child() -> None:
    """Forget counts in a forked child; what was logged stays logged, the child shares the parent's log."""
    _drops.clear()
