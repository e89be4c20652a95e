"""The oldest promtool that our rules must satisfy: Debian 12's 2.42, fetched by apt into the user's cache.

Nothing is installed, only unpacked. `python -m tests.contract.debian_promtool` prints its path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from infermeter.cli.stack.places import cache_dir

VERSION = "2.42.0"
_REMEDY = (
    "rules are tested with Prometheus 2.42 as well; it comes with Debian 12 (bookworm). "
    f"On other systems put a promtool {VERSION} at the path that PROMTOOL_2_42 names."
)


class NoDebianPromtoolError(Exception):
    """It could not be had; the text says why and what to do."""


@cache
def debian_promtool() -> Path:
    """Return the path of promtool 2.42; downloads it (19 MB) unless it is in the cache.

    Raises:
        NoDebianPromtoolError: There is no apt, or it does not offer this version.
    """
    named = os.environ.get("PROMTOOL_2_42")
    target = Path(named) if named else cache_dir() / "debian" / f"prometheus-{VERSION}" / "promtool"
    if not target.exists():
        if named:
            raise NoDebianPromtoolError(f"PROMTOOL_2_42 is {named}, and there is no such file")
        _fetch(target)
    said = _run([str(target), "--version"]).stdout.splitlines()[:1]
    if not said or f"version {VERSION}" not in said[0]:
        raise NoDebianPromtoolError(f"{target} is not promtool {VERSION}: {said[0] if said else 'it does not run'}")
    return target


def _fetch(target: Path) -> None:
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise NoDebianPromtoolError(f"there is no {missing[0]} here; {_REMEDY}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="promtool-", dir=target.parent) as folder:
        said = _download(Path(folder))
        packages = list(Path(folder).glob("prometheus_*.deb"))
        if not packages:
            raise NoDebianPromtoolError(f"apt-get download prometheus={VERSION}* failed: {said}; {_REMEDY}")
        unpacked = Path(folder) / "unpacked"
        _run(["dpkg-deb", "-x", str(packages[0]), str(unpacked)])
        # In one step, so that another process never sees half of it.
        (unpacked / "usr/bin/promtool").replace(target)


def _download(folder: Path) -> str:
    """Ask apt for the package; with fresh lists if it does not know it. Return what it said."""
    command = ["apt-get", "download", f"prometheus={VERSION}*"]
    result = _run(command, folder)
    if result.returncode:
        # Lists of our own: the system's may be missing, and only root may write them.
        state = folder / "state"
        (state / "lists" / "partial").mkdir(parents=True)
        own = ["-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]
        _run(["apt-get", *own, "update"], folder)
        result = _run([*command, *own], folder)
    return " ".join(line for line in result.stderr.splitlines() if line.startswith("E:")) or "it said nothing"


def _run(command: list[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


if __name__ == "__main__":
    print(debian_promtool())
