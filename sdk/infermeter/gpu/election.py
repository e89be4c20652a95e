"""Which process publishes a GPU: the one that holds its lock file. The kernel frees it when the process dies, however.

One file per GPU, so that processes that see different devices cover each of them once. Knows no driver.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from infermeter import guard

if sys.platform != "win32":
    import fcntl

AGENT = "agent"
"""The lock of the agent: while somebody holds it, everybody else leaves all GPUs to it."""


def default_folder() -> Path:
    """Return where all processes of this machine, or of this container, look for locks.

    Shared memory rather than /tmp: it can be written in containers with a read-only file system, and services with a
    private /tmp share it.
    """
    shared = Path("/dev/shm")  # noqa: S108  no secrets; only locks are taken on what lies there
    return (shared if shared.is_dir() else Path("/tmp")) / "infermeter-gpu"  # noqa: S108


class Election:
    """The locks that this process holds.

    Args:
        folder: Where the lock files lie; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}
        self._boot = _boot_id()

    def hold(self, names: Iterable[str]) -> frozenset[str]:
        """Take what can be had of these locks, let go of all others, and return which are held."""
        wanted = frozenset(names)
        for name in [name for name in self._held if name not in wanted]:
            self._let_go(name)
        if sys.platform == "win32":  # no such locks; there, each process publishes
            return wanted
        for name in sorted(wanted - self._held.keys()):
            descriptor = self._open(name)
            if descriptor is None:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
            else:
                self._held[name] = descriptor
        return frozenset(self._held)

    def is_held_elsewhere(self, name: str) -> bool:
        """Return whether another process holds a lock. Asks with a shared lock, which never keeps an owner out."""
        if sys.platform == "win32" or name in self._held:
            return False
        descriptor = _open_existing(self._path(name))
        if descriptor is None:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def release(self) -> None:
        """Let go of all locks."""
        for name in list(self._held):
            self._let_go(name)

    def reset_in_child(self) -> None:
        """Close what a forked child inherited; to unlock it would take the parent's lock away."""
        self.release()

    def _let_go(self, name: str) -> None:
        descriptor = self._held.pop(name, None)
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}-{self._boot}.lock"

    def _open(self, name: str) -> int | None:
        """Open a lock file; None, said once with the remedy, where that cannot be."""
        try:
            found = _open_existing(self._path(name))
            if found is not None:
                return found
            _make_shared(self._folder)
            return os.open(self._path(name), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            guard.log_once(
                "gpu",
                "lock",
                "infermeter: GPUs are not published from this process, because the lock %s cannot be made (%s); set "
                'INFERMETER_GPU_LOCK_DIR to a folder that can be written, or observe_gpus(publisher="always") in the '
                "one process that is to publish",
                self._path(name),
                error.strerror or error,
            )
            return None


def _open_existing(path: Path) -> int | None:
    """Open without O_CREAT: with it, the kernel may refuse another user's file in a folder that all may write to."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None


def _make_shared(folder: Path) -> None:
    """Make a folder that all users may write to and none may delete from but their own."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777 | stat.S_ISVTX)


def _boot_id() -> str:
    """Return what tells this run of the machine from the last."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "0"
