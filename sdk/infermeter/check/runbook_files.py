"""Queries in Markdown pages: the fenced blocks that say `promql`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_QUERY = re.compile(r"^```promql\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def queries_in(page: Path) -> list[tuple[int, str]]:
    """Return line (from 1) and text of each query of a page."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, match.start()) + 2, match.group(1)) for match in _QUERY.finditer(text)]
