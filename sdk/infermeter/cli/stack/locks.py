"""One command at a time: an advisory lock on a file that also says who holds it. The system frees it on any death."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path


class LockHeldError(Exception):
    """Somebody else holds the lock; the message is the holder as it described itself."""


@contextmanager
def locked(
    path: Path, *, holder: str, wait_s: float = 0.0, on_wait: Callable[[str], None] | None = None
) -> Generator[None]:
    """Hold the lock on `path` for the time of the block.

    Args:
        path: The lock file; it is created and stays.
        holder: Who we are, for the one who has to wait.
        wait_s: How long to wait for another holder; 0 does not wait.
        on_wait: Called once with the holder's description when we have to wait.

    Raises:
        LockHeldError: Another process held it for all of `wait_s`.
    """
    import fcntl  # POSIX only, like everything that starts a stack

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        deadline_s = time.monotonic() + wait_s
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                other = file.read().strip() or "another process"
                if time.monotonic() >= deadline_s:
                    raise LockHeldError(other) from None
                if on_wait is not None and not told:
                    on_wait(other)
                    told = True
                time.sleep(0.1)
        file.truncate(0)
        file.write(f"{holder} (pid {os.getpid()})\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
            fcntl.flock(file, fcntl.LOCK_UN)
