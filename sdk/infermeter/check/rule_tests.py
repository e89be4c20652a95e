"""What `promtool test rules` says about test files, as findings at the test that failed. Runs nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infermeter.check.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES = (".test.yml", ".test.yaml")

_FIX = "correct the rule or the test; promtool test rules says the same"
_INDENT = " " * 4  # of what promtool says about one case; more is its details


def is_rule_test(file: Path) -> bool:
    """Say whether a file holds tests of rules and no rules."""
    return file.name.endswith(SUFFIXES)


def test_findings(file: Path, said: str) -> list[Finding]:
    """Return a finding for each case that came out otherwise.

    Args:
        file: The file of tests.
        said: Everything that promtool printed; empty if all went well.
    """
    if not said.strip():
        return []
    text = file.read_text(encoding="utf-8", errors="replace")
    cases = list(_cases(said)) or [" ".join(said.split())]
    return [Finding(str(file), _line_of(case, text), "promtool-test", case, _FIX) for case in cases]


def _cases(said: str) -> Iterator[str]:
    """Yield what is said of each case; the name of a test stands before the alerts of it that failed."""
    name, case = "", list[str]()
    for line in said.splitlines():
        word = line.strip()
        if line.startswith(_INDENT) and not line.startswith(_INDENT + " "):
            if case:
                yield " ".join(case)
            case = word.split()
            if word.startswith("name: "):
                name, case = word.removeprefix("name: ").rstrip(","), []
            elif word.startswith("alertname: "):
                name, case = "", [*name.split(), *case]
        elif case:
            case += word.split()
    if case:
        yield " ".join(case)


def _line_of(case: str, text: str) -> int:
    """Return the line of a case: of its expression, else of its test; 1 if neither is found."""
    asked = re.match(r'expr: "(.+?)", time: ', case)
    wanted = rf"\bexpr: *[|>'\"-]*\s*{re.escape(asked.group(1))}" if asked else None
    named = re.match(r"(.+?) alertname: ", case)
    if named:
        wanted = rf"\bname: *[\"']?{re.escape(named.group(1))}"
    match = re.search(wanted, text) if wanted else None
    return text.count("\n", 0, match.start()) + 1 if match else 1
