"""The routes of a FastAPI or Starlette application: all of them, through routers, mounts and hosts, by full template.

Knows nothing of inferences. Only imported where FastAPI is installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from starlette.routing import Host, Mount

PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
"""A parameter in a template, with or without its converter."""


class Place(NamedTuple):
    """One way to a route: its full template, and what a scope may know it by."""

    template: str
    route: object
    endpoint: object


def all_places(routes: Sequence[Any], prefix: str = "") -> Iterator[Place]:
    """Walk all routes, through routers, mounts and hosts."""
    for context in _flat(routes):
        route: Any = getattr(context, "original_route", context)
        path: str = getattr(context, "path_format", None) or ""
        if isinstance(route, Host):
            yield from all_places(route.routes, prefix)
        elif isinstance(route, Mount):
            mounted = prefix + path.removesuffix("/{path}")
            if route.routes:
                yield from all_places(route.routes, mounted)
            else:
                yield Place(mounted or "/", route, route.app)
        else:
            yield Place(prefix + path, route, getattr(context, "endpoint", None))


def _flat(routes: Sequence[Any]) -> Iterator[Any]:
    """Yield routes with those of included routers in their place; before FastAPI 0.137 they are already there."""
    for route in routes:
        contexts: Callable[[], Iterator[Any]] | None = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
        else:
            for context in contexts():
                # Only an APIRoute is matched through its context, everything else through a copy with the prefix.
                yield getattr(context, "starlette_route", None) or context


def pattern_of(template: str) -> re.Pattern[str]:
    """Return what matches the paths of a template, and perhaps a few more."""
    return re.compile(".+".join(re.escape(part) for part in PARAMETER.sub("{}", template).split("{}")))
