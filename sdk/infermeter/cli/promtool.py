"""promtool as a function from the text of a rule file to what it dislikes. Knows where promtool is found, no rules."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.failures import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMEOUT_S = 60


def complaints_of(promtool: Path) -> Callable[[str], str]:
    """Return the function that runs a promtool as strictly as it can be."""

    def complaints(rules: str) -> str:
        with tempfile.TemporaryDirectory(prefix="infermeter-check-") as folder:
            file = Path(folder) / "rules.yml"
            file.write_text(rules, encoding="utf-8")
            command = [str(promtool), "check", "rules", "--lint=all", "--lint-fatal", str(file)]
            try:
                ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603 -- found by us
            except (OSError, subprocess.TimeoutExpired) as problem:
                raise StackError(f"{promtool} does not run: {problem}", exit_code=ExitCode.BINARY_MISSING) from None
            if ran.returncode == 0:
                return ""
            said = "\n".join(_without_chatter(ran.stdout + ran.stderr, str(file)))
            return said or f"promtool ended with status {ran.returncode}"

    return complaints


def _without_chatter(said: str, file: str) -> list[str]:
    lines = [line.replace(f"{file}: ", "").replace(file, "the file").strip() for line in said.splitlines()]
    return [line for line in lines if line and line != "FAILED:" and not line.startswith("Checking ")]
