"""Builds the console's page from its sources, once per content, into the user's cache; npm never writes to the sources.

Needs nothing but Python and Node: packaging runs it where no dependency of ours is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from infermeter.assets import asset
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.locks import LockHeldError, locked
from infermeter.cli.stack.node_toolchain import Node, find_node
from infermeter.cli.stack.places import cache_dir
from infermeter.cli.web.built_page import (
    SOURCES,
    STAMP,
    built_page,
    cached_page,
    has_sources,
    source_files,
    sources_key,
)
from infermeter.cli.web.content import INDEX

if TYPE_CHECKING:
    from pathlib import Path

    from infermeter.cli.stack.reporting import Reporter

_WAIT_S = 900.0
_STEP_TIMEOUT_S = 600.0
_SHOWN_LINES = 15
_KEPT_PAGES = 5
_INSTALLED = ".installed"  # npm went through to the end
_MANIFESTS = ("package.json", "package-lock.json", ".npmrc")
_QUIET = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1")


def find_or_build_page(reporter: Reporter) -> Path | None:
    """Return the folder of the page, built if it is not there yet; None where there is nothing to build it from.

    Raises:
        StackError: There is no Node, or the build failed.
    """
    found = built_page()
    if found is not None:
        return found
    try:
        sources = asset(SOURCES)
    except FileNotFoundError:
        return None
    return build_page(sources, reporter) if has_sources(sources) else None


def build_page(sources: Path, reporter: Reporter) -> Path:
    """Build the page of these sources into the cache, unless it is there, and return its folder.

    Raises:
        StackError: There is no Node, or the build failed; names the full log and carries its last lines.
    """
    page = cached_page(sources)
    try:
        with locked(
            cache_dir() / "console.lock",
            holder="a build of the console's page",
            wait_s=_WAIT_S,
            on_wait=lambda holder: reporter.say(f"Waiting for {holder}"),
        ):
            if not (page / INDEX).is_file():
                _build_locked(sources, page, reporter)
    except LockHeldError as held:
        raise StackError(f"The page is being built by {held} for a long time", exit_code=ExitCode.BUSY) from None
    return page


def _build_locked(sources: Path, page: Path, reporter: Reporter) -> None:
    node = find_node()
    log = cache_dir() / "logs" / "console.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started_s = time.monotonic()
    succeeded = False
    reporter.build_started("the console's page", "about half a minute", log)
    try:
        workplace = _workplace(sources)
        log.write_text("", encoding="utf-8")
        reporter.build_advanced(0.1, "installing")
        _install(node, workplace, log)
        reporter.build_advanced(0.6, "bundling")
        _run((*node.npm, "run", "build"), node, workplace, log)
        _move(workplace / "dist", page, sources_key(sources))
        succeeded = True
    finally:
        reporter.build_ended(time.monotonic() - started_s, succeeded=succeeded)


def _workplace(sources: Path) -> Path:
    """Copy the sources to where what npm installed for them the last time still lies."""
    digest = hashlib.sha256()
    for name in _MANIFESTS:
        if (sources / name).is_file():
            digest.update(name.encode() + (sources / name).read_bytes())
    root = cache_dir() / "console"
    workplace = root / f"work-{digest.hexdigest()[:16]}"
    for other in root.glob("work-*"):  # what older manifests installed, hundreds of megabytes
        if other != workplace:
            shutil.rmtree(other, ignore_errors=True)
    workplace.mkdir(parents=True, exist_ok=True)
    for entry in workplace.iterdir():
        if entry.name != "node_modules":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for file in source_files(sources):
        target = workplace / file.relative_to(sources)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return workplace


def _install(node: Node, workplace: Path, log: Path) -> None:
    """Let npm install what the manifest names, unless it has done so before."""
    modules = workplace / "node_modules"
    if (modules / _INSTALLED).is_file():
        return
    exactly = ("ci",) if (workplace / "package-lock.json").is_file() else ("install", "--no-package-lock")
    _run((*node.npm, *exactly, *_QUIET), node, workplace, log)
    modules.mkdir(exist_ok=True)
    (modules / _INSTALLED).touch()


def _run(command: tuple[str, ...], node: Node, workplace: Path, log: Path) -> None:
    with log.open("a", encoding="utf-8") as record:
        record.write(f"$ {' '.join(command)}\n")
        record.flush()
        process = subprocess.Popen(  # noqa: S603 -- npm, on our own manifest
            command, cwd=workplace, env=node.environment(), stdin=subprocess.DEVNULL, stdout=record,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(timeout=_STEP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        finally:
            if process.poll() is None:  # interrupted: npm's children are in a session of their own
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        what = "npm run build" if "build" in command else "npm install"
        raise StackError(
            f"The console's page could not be built: `{what}` ended with status {status}. The full log is {log}",
            exit_code=ExitCode.BINARY_MISSING,
            log_tail="\n".join(lines[-_SHOWN_LINES:]),
        )


def _move(built: Path, page: Path, key: str) -> None:
    """Put the page into the cache in one step, and let the oldest go."""
    (built / STAMP).write_text(key + "\n", encoding="utf-8")
    shutil.rmtree(page, ignore_errors=True)  # an incomplete one, or we would not be here
    built.rename(page)
    pages = [path for path in page.parent.iterdir() if (path / STAMP).is_file()]
    for old in sorted(pages, key=lambda path: (path / STAMP).stat().st_mtime)[:-_KEPT_PAGES]:
        shutil.rmtree(old, ignore_errors=True)
