"""The rules that alerts depend on: what is recorded for people only takes most of a simulated month to evaluate.

Which alert fires when does not depend on the rest. Knows rule files; knows nothing of traffic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def write_needed(files: Sequence[Path], folder: Path) -> tuple[list[Path], list[str]]:
    """Write the files without the recordings that no alert reads, directly or through others.

    Args:
        files: Rule files.
        folder: Where the shorter ones go.

    Returns:
        The files written, and the names of the recordings left out.
    """
    contents = {file: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}
    rules = [rule for content in contents.values() for group in content["groups"] for rule in group["rules"]]
    needed = _read_by_alerts(rules)
    written: list[Path] = []
    for file, content in contents.items():
        for group in content["groups"]:
            group["rules"] = [rule for rule in group["rules"] if "alert" in rule or rule["record"] in needed]
        content["groups"] = [group for group in content["groups"] if group["rules"]]
        if content["groups"]:
            written.append(folder / file.name)
            written[-1].write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return written, sorted({rule["record"] for rule in rules if "record" in rule} - needed)


def _read_by_alerts(rules: Iterable[dict[str, Any]]) -> set[str]:
    """Return every name in the expressions of alerts and, in turn, of what they read."""
    expressions: dict[str, list[str]] = {}
    for rule in rules:
        expressions.setdefault(rule.get("record", ""), []).append(rule["expr"])  # "" are the alerts
    found: set[str] = set()
    open_ = [""]
    while open_:
        names = {name for expr in expressions.get(open_.pop(), ()) for name in _NAME.findall(expr)}
        open_ += names - found
        found |= names
    return found
