"""promtool as functions from rules, or tests of rules, to what it dislikes. Knows how it is run, no rules."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.failures import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMEOUT_S = 120


def complaints_of(promtool: Path) -> Callable[[str], str]:
    """Return the function that checks the text of a rule file as strictly as promtool can."""

    def complaints(rules: str) -> str:
        with tempfile.TemporaryDirectory(prefix="infermeter-check-") as folder:
            file = Path(folder) / "rules.yml"
            file.write_text(rules, encoding="utf-8")
            said = _run(promtool, "check", "rules", "--lint=all", "--lint-fatal", file)
        lines = [line.replace(f"{file}: ", "").replace(str(file), "the file").strip() for line in said.splitlines()]
        return "\n".join(line for line in lines if line and line != "FAILED:" and not line.startswith("Checking "))

    return complaints


def failed_tests_of(promtool: Path) -> Callable[[Path], str]:
    """Return the function that runs a file of tests where it lies, because it names its rules by relative paths."""
    return lambda tests: _run(promtool, "test", "rules", tests)


def _run(promtool: Path, *arguments: str | Path) -> str:
    """Run promtool and return what it said, or an empty text where it is content."""
    command = [str(promtool), *map(str, arguments)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603 -- found by us
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise StackError(f"{promtool} does not run: {problem}", exit_code=ExitCode.BINARY_MISSING) from None
    said = ran.stdout + ran.stderr
    return "" if ran.returncode == 0 else said or f"promtool ended with status {ran.returncode}"
