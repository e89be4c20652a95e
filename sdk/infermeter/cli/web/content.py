"""What the console serves of its own: the built page, the dashboards, the runbooks. A name is looked up, never opened.

Each request's name is a key of a table that was made from what lies there, so that no name leads anywhere else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infermeter.assets import asset

if TYPE_CHECKING:
    from pathlib import Path

INDEX = "index.html"
_FIRST_DASHBOARD = "overview"


@dataclass(frozen=True)
class Dashboard:
    """A dashboard as the page's switcher lists it."""

    uid: str
    title: str
    file: str


def page_files(folder: Path | None) -> dict[str, Path]:
    """Return the files of the built page by their path in it; empty when there is no page."""
    if folder is None:
        return {}
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path for path in files}


def dashboards() -> list[Dashboard]:
    """Return the shipped dashboards, the overview first."""
    found = [Dashboard(content["uid"], content["title"], name) for name, (_, content) in _dashboard_files().items()]
    return sorted(found, key=lambda one: (not one.file.startswith(_FIRST_DASHBOARD), one.title))


def dashboard(uid: str) -> bytes | None:
    """Return a dashboard as it lies there; None when no dashboard has that uid."""
    return next((text for text, content in _dashboard_files().values() if content["uid"] == uid), None)


def runbook(alert: str) -> str | None:
    """Return the runbook of an alert as Markdown; None when there is none."""
    file = {path.stem: path for path in asset("deploy/runbooks").glob("*.md")}.get(alert)
    return None if file is None else file.read_text(encoding="utf-8")


def _dashboard_files() -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Read anew each time: who edits a dashboard sees it after a reload."""
    texts = {path.name: path.read_bytes() for path in sorted(asset("deploy/grafana/dashboards").glob("*.json"))}
    return {name: (text, json.loads(text)) for name, text in texts.items()}
