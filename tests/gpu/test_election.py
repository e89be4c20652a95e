"""Who holds which GPU: one lock per device, free as soon as its holder is gone."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from infermeter.gpu.election import Election

HOLDER = """
import sys
from pathlib import Path
from infermeter.gpu.election import Election
election = Election(Path(sys.argv[1]))
print(",".join(sorted(election.hold(sys.argv[2].split(",")))), flush=True)
sys.stdin.read()
"""


def test_each_gpu_has_one_holder_and_processes_that_see_different_ones_share_them(tmp_path: Path) -> None:
    first, second, third = (Election(tmp_path) for _ in range(3))

    assert first.hold(["a", "b"]) == {"a", "b"}
    assert second.hold(["b", "c"]) == {"c"}
    assert third.hold(["a", "b", "c"]) == set()
    first.release()
    assert third.hold(["a", "b", "c"]) == {"a", "b"}
    assert second.hold(["b"]) == set(), "what is no longer wanted is let go"
    assert third.hold(["a", "b", "c"]) == {"a", "b", "c"}


def test_asking_who_holds_a_lock_keeps_nobody_out(tmp_path: Path) -> None:
    asking, holding = Election(tmp_path), Election(tmp_path)

    assert not asking.is_held_elsewhere("a")
    assert holding.hold(["a"]) == {"a"}
    assert asking.is_held_elsewhere("a")
    assert not holding.is_held_elsewhere("a")


def test_a_killed_holder_leaves_its_locks_at_once(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), "a,b"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "a,b\n"
    election = Election(tmp_path)
    assert election.hold(["a", "b"]) == set()

    holder.kill()
    holder.communicate()

    assert election.hold(["a", "b"]) == {"a", "b"}


def test_a_folder_that_cannot_be_written_is_said_once_with_the_remedy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").touch()
    election = Election(tmp_path / "taken")

    with caplog.at_level(logging.WARNING, "infermeter"):
        assert [election.hold(["a", "b"]) for _ in range(3)] == [frozenset()] * 3

    (record,) = caplog.records
    assert "INFERMETER_GPU_LOCK_DIR" in record.getMessage()


def test_a_link_in_a_shared_folder_is_not_followed(tmp_path: Path) -> None:
    own = Election(tmp_path)
    own.hold(["a"])
    (lock,) = tmp_path.iterdir()
    own.release()
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")

    assert Election(tmp_path).hold(["a"]) == set()
    assert not (tmp_path / "elsewhere").exists()
