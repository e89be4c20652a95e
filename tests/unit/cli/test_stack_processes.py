"""Processes are recognised without doubt and stopped with everything they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from infermeter.cli.stack.processes import ProcessId, identify, identify_child, is_alive, spawn, stop
from infermeter.cli.stack.readiness import wait_for

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
PARENT = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"


class Nursery:
    """Starts Python snippets in a session of their own and knows what they print first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []

    def start(self, code: str) -> tuple[ProcessId, str]:
        log = self.folder / f"{len(self.children)}.log"
        child = spawn([sys.executable, "-c", code], env=os.environ, cwd=self.folder, log=log)
        self.children.append(child)
        wait_for("the first line", lambda: None if log.read_text() else "nothing yet", timeout_s=60)
        return identify_child(child.pid), log.read_text().strip()


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    one = Nursery(tmp_path)
    yield one
    for child in one.children:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.kill()
        child.wait()


def test_a_living_process_is_recognised_and_a_zombie_is_not(nursery: Nursery) -> None:
    process, _ = nursery.start("import time; print('up', flush=True); time.sleep(600)")
    assert is_alive(process)
    os.kill(process.pid, signal.SIGKILL)
    # Nobody has waited for it yet, so its entry in the process table stays.
    wait_for("it to be dead", lambda: "alive" if is_alive(process) else None, timeout_s=60)
    assert nursery.children[0].returncode is None


def test_the_same_pid_with_another_birth_mark_is_somebody_else(nursery: Nursery) -> None:
    process, _ = nursery.start("import time; print('up', flush=True); time.sleep(600)")
    impostor = ProcessId(process.pid, process.birth_mark + "0")
    assert not is_alive(impostor)
    stop([impostor], grace_s=1)
    assert is_alive(process)


def test_stop_ends_what_the_process_has_started_too(nursery: Nursery) -> None:
    process, grandchild = nursery.start(PARENT)
    stop([process], grace_s=5)
    assert identify(int(grandchild)) is None


def test_stop_finds_what_a_dead_process_has_left_behind(nursery: Nursery) -> None:
    process, grandchild = nursery.start(PARENT)
    os.kill(process.pid, signal.SIGKILL)
    nursery.children[0].wait()
    assert identify(int(grandchild)) is not None
    stop([process], grace_s=5)
    assert identify(int(grandchild)) is None


def test_orphans_from_before_a_reboot_are_not_looked_for(nursery: Nursery) -> None:
    process, grandchild = nursery.start(PARENT)
    os.kill(process.pid, signal.SIGKILL)
    nursery.children[0].wait()
    stop([ProcessId(process.pid, "another boot/1")], grace_s=1)
    assert identify(int(grandchild)) is not None


def test_what_ignores_sigterm_is_killed_after_the_grace(nursery: Nursery) -> None:
    process, _ = nursery.start(STUBBORN)
    started_s = time.monotonic()
    stop([process], grace_s=0.3)
    assert not is_alive(process)
    assert 0.3 <= time.monotonic() - started_s < 60


def test_stopping_what_is_gone_is_no_error(nursery: Nursery) -> None:
    process, _ = nursery.start("print('done', flush=True)")
    nursery.children[0].wait()
    stop([process], grace_s=1)


def test_a_new_run_keeps_the_log_of_the_one_before(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    for word in ("first", "second"):
        spawn(["echo", word], env=os.environ, cwd=tmp_path, log=log).wait()
    assert (log.read_text(), (tmp_path / "part.previous.log").read_text()) == ("second\n", "first\n")
