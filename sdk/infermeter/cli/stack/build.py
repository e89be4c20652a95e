"""Runs a recipe once per machine: locked against a second builder, logged in full, moved into the cache in one step."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.locks import LockHeldError, locked
from infermeter.cli.stack.places import cache_dir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infermeter.cli.stack.go_toolchain import Go
    from infermeter.cli.stack.recipes import Recipe
    from infermeter.cli.stack.reporting import Reporter

# Compilers at a time: each takes up to about half a gigabyte, and a laptop wants to stay usable.
_MOST_WORKERS = 4
_BUILD_WAIT_S = 3600.0
_SHOWN_LINES = 15


def cached_binary(recipe: Recipe, binary: str) -> Path | None:
    """Return a binary that was built from exactly this recipe before."""
    path = cache_dir() / "bin" / recipe.key / binary
    return path if path.is_file() else None


def build(recipe: Recipe, go: Go, reporter: Reporter) -> None:
    """Build a recipe into the cache, unless somebody did while we waited.

    Raises:
        StackError: A command failed; names the full log and carries its last lines.
    """
    cache = cache_dir()
    log = cache / "logs" / f"{recipe.key}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(
            cache / f"{recipe.name}.lock",
            holder="a build",
            wait_s=_BUILD_WAIT_S,
            on_wait=lambda holder: reporter.say(f"Waiting for {holder} of {recipe.title}"),
        ):
            if cached_binary(recipe, recipe.binaries[-1]) is None:
                _build_locked(recipe, go, reporter, cache=cache, log=log)
    except LockHeldError as held:
        raise StackError(f"{recipe.title} is being built by {held} for over an hour", exit_code=ExitCode.BUSY) from None


def _build_locked(recipe: Recipe, go: Go, reporter: Reporter, *, cache: Path, log: Path) -> None:
    started_s = time.monotonic()
    succeeded = False
    reporter.build_started(f"{recipe.title} {recipe.version}", recipe.expectation, log)
    for abandoned in cache.glob(f"build-{recipe.name}-*"):  # we hold the lock, so nobody works in it
        shutil.rmtree(abandoned, ignore_errors=True)
    # Beside its destination, so that the move at the end is one rename and never a copy.
    workplace = Path(tempfile.mkdtemp(prefix=f"build-{recipe.name}-", dir=cache))
    try:
        for name, data in recipe.sources.items():
            (workplace / name).write_bytes(data)
        built = workplace / "built"
        built.mkdir()
        with log.open("w", encoding="utf-8") as record:
            _run_commands(recipe, go, reporter, workplace=workplace, built=built, record=record)
        for extra in set(built.iterdir()) - {built / name for name in recipe.binaries}:
            extra.unlink()
        destination = cache / "bin" / recipe.key
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(destination, ignore_errors=True)  # an incomplete one, or we would not be here
        built.rename(destination)
        succeeded = True
    except subprocess.CalledProcessError as failed:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        raise StackError(
            f"{recipe.title} could not be built: `{failed.cmd}` ended with status {failed.returncode}. "
            f"The full log is {log}",
            exit_code=ExitCode.BINARY_MISSING,
            log_tail="\n".join(lines[-_SHOWN_LINES:]),
        ) from None
    finally:
        reporter.build_ended(time.monotonic() - started_s, succeeded=succeeded)
        shutil.rmtree(workplace, ignore_errors=True)


def _run_commands(recipe: Recipe, go: Go, reporter: Reporter, *, workplace: Path, built: Path, record: IO[str]) -> None:
    workers = max(1, min(os.cpu_count() or 1, _MOST_WORKERS))
    env = {**go.environment(workers), "GOBIN": str(built)}
    done = 0
    for template in recipe.commands:
        command = [word.replace("{bin}", str(built)).replace("{workers}", str(workers)) for word in template]
        if command[0] == "go":
            command[0] = str(go.binary)
        record.write(f"$ {' '.join(command)}\n")
        reporter.build_advanced(min(done / recipe.steps, 0.99), "preparing")  # some commands are silent for a minute
        process = subprocess.Popen(  # noqa: S603 -- our own recipe
            command, cwd=workplace, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace", start_new_session=True,
        )  # fmt: skip
        try:
            done = _follow(process, recipe, reporter, done=done, record=record)
        finally:
            _end(process)
        if process.returncode:
            record.flush()
            raise subprocess.CalledProcessError(process.returncode, _short(template))


def _follow(process: subprocess.Popen[str], recipe: Recipe, reporter: Reporter, *, done: int, record: IO[str]) -> int:
    """Copy a command's output into the log; each line is a module downloaded or a package compiled."""
    if process.stdout is None:
        raise TypeError("the build's output is not piped")
    for line in process.stdout:
        record.write(line)
        done += 1
        doing = "downloading" if line.startswith("go: downloading") else "compiling"
        reporter.build_advanced(min(done / recipe.steps, 0.99), doing)
    process.wait()
    return done


def _end(process: subprocess.Popen[str]) -> None:
    """Leave no compiler behind when we are interrupted: they are in a session of their own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _short(template: Sequence[str]) -> str:
    return " ".join(template[:2])
