"""What gevent changes about threads, as far as we must know: a greenlet that waits for the system stops all others.

Asks only what the host has loaded; imports nothing of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def replace_threads() -> bool:
    """Return whether what is started as a thread from now on is a greenlet."""
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def run_within_event_loop() -> bool:
    """Return whether the caller runs within gevent's event loop, where nothing may wait."""
    gevent: Any = sys.modules.get("gevent")
    return gevent is not None and isinstance(gevent.getcurrent(), gevent.hub.Hub)


def start(function: Callable[..., object], *args: object) -> None:
    """Call a function on a greenlet of its own; only where there are any."""
    sys.modules["gevent"].spawn(function, *args)
