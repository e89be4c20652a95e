"""Processes of ours: started detached, recognised later without doubt, stopped with everything they started.

A pid alone proves nothing after a crash or a reboot, so a process is its pid and its birth mark (boot and start time).
Each part leads its own process group; whoever is stopped, the whole group goes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    birth_mark: str


@dataclass(frozen=True)
class _Seen:
    pid: int
    group: int
    birth_mark: str


def spawn(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that Ctrl-C and a closed terminal reach us and not it."""
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 -- our own parts table
            list(argv), env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip


def identify(pid: int) -> ProcessId | None:
    """Return who has this pid now; None when nobody living does."""
    seen = next((one for one in _living([pid]) if one.pid == pid), None)
    return None if seen is None else ProcessId(seen.pid, seen.birth_mark)


def identify_child(pid: int) -> ProcessId:
    """Return a child of ours, also one that has died already: its group may still have members."""
    return identify(pid) or ProcessId(pid, f"{_boot_mark()}/died at once")


def is_alive(process: ProcessId) -> bool:
    """Say whether this very process still lives; a zombie does not."""
    return identify(process.pid) == process


def stop(processes: Iterable[ProcessId], *, grace_s: float) -> None:
    """End the processes and everything in their groups: SIGTERM, and SIGKILL for what lives after `grace_s`."""
    groups = [process for process in processes if _members(process)]
    for send, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        for process in groups:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, send)
        deadline_s = time.monotonic() + patience_s
        while groups and time.monotonic() < deadline_s:
            groups = [process for process in groups if _members(process)]
            if groups:
                time.sleep(0.03)
        if not groups:
            return


def _members(process: ProcessId) -> list[_Seen]:
    """Return the living members of the group that `process` leads or led."""
    members = [one for one in _living() if one.group == process.pid]
    leader = next((one for one in members if one.pid == process.pid), None)
    if leader is not None and leader.birth_mark != process.birth_mark:
        return []  # the number went to somebody else; not ours to touch
    if leader is None and not process.birth_mark.startswith(_boot_mark()):
        return []  # from before a reboot: a group of that number has nothing to do with us
    return members


def _living(pids: Sequence[int] | None = None) -> list[_Seen]:
    if (_PROC / "self" / "stat").exists():
        numbers = pids if pids is not None else [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
        return [one for number in numbers if (one := _read_proc(number)) is not None]
    return _read_ps()


def _read_proc(pid: int) -> _Seen | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name is in parentheses and may contain anything; what follows the last one is fixed.
    fields = text.rpartition(")")[2].split()
    state, group, started = fields[0], int(fields[2]), fields[19]
    return None if state in "ZX" else _Seen(pid, group, f"{_boot_mark()}/{started}")


def _read_ps() -> list[_Seen]:
    """Read the process table where there is no /proc (macOS, the BSDs)."""
    listing = subprocess.run(
        ["ps", "-axo", "pid=,pgid=,stat=,lstart="],  # noqa: S607 -- the system's own, wherever it lies
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [line.split(maxsplit=3) for line in listing.splitlines()]
    return [
        _Seen(int(pid), int(group), f"{sys.platform}/{born}") for pid, group, state, born in rows if state[0] != "Z"
    ]


def _boot_mark() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return sys.platform
