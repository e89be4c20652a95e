"""How tests reach promtool: the same binary that `infermeter up` uses, and the oldest one that our rules support.

A missing one fails, it never skips.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from tests.contract.debian_promtool import debian_promtool

from infermeter.cli.stack.binaries import find_or_build
from infermeter.cli.stack.reporting import SilentReporter


@cache
def promtool() -> Path:
    """Return the path of promtool; builds it if this machine has none, and raises if it cannot."""
    return find_or_build(["promtool"], SilentReporter())["promtool"]


PROMTOOLS = {"prometheus-3": promtool, "debian-2.42": debian_promtool}
"""The versions that rules are tested with, by what tests call them."""


def run_promtool(
    *arguments: str | Path, version: str = "prometheus-3", timeout_s: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run promtool and return what it said, whether it succeeded or not."""
    command = [str(PROMTOOLS[version]()), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)


def check_rules(*files: Path, version: str = "prometheus-3") -> subprocess.CompletedProcess[str]:
    """Check rule files as strictly as promtool can."""
    return run_promtool("check", "rules", "--lint=all", "--lint-fatal", *files, version=version)
