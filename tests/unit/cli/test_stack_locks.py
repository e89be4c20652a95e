"""One command at a time, and the one who waits learns who works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infermeter.cli.stack.locks import LockHeldError, locked

HOLD = """
import sys, time
from pathlib import Path
from infermeter.cli.stack.locks import locked
with locked(Path(sys.argv[1]), holder="the other one"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_held_lock_is_refused_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "lock"
    with (
        locked(path, holder="a build"),
        pytest.raises(LockHeldError, match=rf"a build \(pid {os.getpid()}\)"),
        locked(path, holder="another"),
    ):
        pytest.fail("held twice")
    with locked(path, holder="later"):
        pass


def test_whoever_waits_is_told_for_whom_and_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    told: list[str] = []

    def release(who: str) -> None:
        told.append(who)
        holder.stdin.close()  # type: ignore[union-attr]  # checked above

    with locked(path, holder="us", wait_s=10, on_wait=release):
        assert told == [f"the other one (pid {holder.pid})"]
    holder.stdout.close()
    holder.wait()


def test_a_killed_holder_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    with locked(path, holder="us"):
        pass
