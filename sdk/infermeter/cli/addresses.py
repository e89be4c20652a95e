"""An option that is the address of a server, checked before anything is asked."""

from __future__ import annotations

from urllib.parse import urlsplit

import click


def checked_url(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the address as it was given; refuse what no HTTP client could ask."""
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter(f"{value!r} is no address; give one like http://127.0.0.1:9090")
    return value
