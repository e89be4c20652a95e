"""How tests reach promtool: the same binary that `infermeter up` uses. A missing one fails, it never skips."""

from __future__ import annotations

import subprocess
from functools import cache
from typing import TYPE_CHECKING

from infermeter.cli.stack.binaries import find_or_build
from infermeter.cli.stack.reporting import SilentReporter

if TYPE_CHECKING:
    from pathlib import Path


@cache
def promtool() -> Path:
    """Return the path of promtool; builds it if this machine has none, and raises if it cannot."""
    return find_or_build(["promtool"], SilentReporter())["promtool"]


def run_promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool and return what it said, whether it succeeded or not."""
    return subprocess.run(
        [str(promtool()), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


def check_rules(*files: Path) -> subprocess.CompletedProcess[str]:
    """Check rule files as strictly as promtool can."""
    return run_promtool("check", "rules", "--lint=all", "--lint-fatal", *files)
