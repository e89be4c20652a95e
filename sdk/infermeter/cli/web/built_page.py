"""Where the built page lies: in the installation or, in a checkout, in the user's cache. Builds nothing."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from infermeter.assets import asset
from infermeter.cli.stack.places import cache_dir
from infermeter.cli.web.content import INDEX

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = "deploy/console"
_NO_SOURCES = frozenset({"dist", "node_modules", "README.md"})
STAMP = ".sources"
"""A file of the built page that holds the `sources_key` of what it was built from."""


def built_page() -> Path | None:
    """Return the folder of the page built from the sources that lie here; None when there is none.

    An installation without sources has a page that fits, or none.
    """
    try:
        sources = asset(SOURCES)
    except FileNotFoundError:
        return None
    shipped = sources / "dist"
    if (shipped / INDEX).is_file() and (not has_sources(sources) or _stamp(shipped) == sources_key(sources)):
        return shipped
    if has_sources(sources):
        cached = cached_page(sources)
        if (cached / INDEX).is_file():
            return cached
    return None


def has_sources(sources: Path) -> bool:
    """Say whether the page can be built here."""
    return (sources / "package.json").is_file()


def cached_page(sources: Path) -> Path:
    """Return where the page of these sources lies once it is built."""
    return cache_dir() / "console" / sources_key(sources)


def sources_key(sources: Path) -> str:
    """Return a short name for the content of the page's sources: every file but what is built or installed."""
    digest = hashlib.sha256()
    for path in source_files(sources):
        digest.update(path.relative_to(sources).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def source_files(sources: Path) -> list[Path]:
    """Return the files the page is built from."""
    tops = [path for path in sources.iterdir() if path.name not in _NO_SOURCES]
    below = [path for top in tops if top.is_dir() for path in top.rglob("*")]
    return sorted(path for path in (*tops, *below) if path.is_file() and not path.is_symlink())


def _stamp(folder: Path) -> str:
    try:
        return (folder / STAMP).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
