"""What may be asked of Prometheus and Alertmanager through the console: this list, spelled so, and nothing else.

Every entry reads. Nothing that writes, deletes, reloads, stops, federates or shows a configuration is here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

UpstreamName = Literal["prometheus", "alertmanager"]

_PROMETHEUS = "/api/v1/"
_ALERTMANAGER = "/api/v2/"
_READ_BY_POST = ("query", "query_range")  # an expression may be longer than a URL
_READ_BY_GET = (*_READ_BY_POST, "labels", "series", "metadata", "rules", "alerts", "status/buildinfo")
# Names beyond these characters travel as U__…, which has only these.
_LABEL_VALUES = re.compile(r"label/[A-Za-z_][A-Za-z0-9_]*/values", re.ASCII)
_ALERTS = ("alerts", "silences", "status")


@dataclass(frozen=True)
class Permission:
    """Which upstream a path leads to, where there, and with which methods."""

    upstream: UpstreamName
    path: str
    methods: tuple[str, ...]


def permission(raw_path: str) -> Permission | None:
    """Return what a path allows, or None.

    Args:
        raw_path: The path as it came, not decoded: `%2e%2e` is no name of ours.
    """
    name = raw_path.removeprefix(f"/prometheus{_PROMETHEUS}")
    if name != raw_path:
        methods = _prometheus_methods(name)
        return Permission("prometheus", _PROMETHEUS + name, methods) if methods else None
    name = raw_path.removeprefix(f"/alertmanager{_ALERTMANAGER}")
    return Permission("alertmanager", _ALERTMANAGER + name, ("GET",)) if name in _ALERTS else None


def _prometheus_methods(name: str) -> tuple[str, ...]:
    if name in _READ_BY_POST:
        return ("GET", "POST")
    return ("GET",) if name in _READ_BY_GET or _LABEL_VALUES.fullmatch(name) else ()
