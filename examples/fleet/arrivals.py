"""When requests arrive: at random, at a mean rate, and whether or not the ones before are answered (an open loop)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any


async def arrive(rate: float, chance: random.Random, request: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Start a request at each arrival of a Poisson process; runs until it is cancelled.

    Args:
        rate: Requests a second, on average.
        chance: Where the randomness comes from.
        request: What a request does. What it raises is its caller's, that is nobody's.
    """
    loop = asyncio.get_running_loop()
    under_way: set[asyncio.Task[object]] = set()
    due_s = loop.time()
    while True:
        due_s = max(due_s + chance.expovariate(rate), loop.time() - 1.0)  # a machine that slept does not catch up
        await asyncio.sleep(max(due_s - loop.time(), 0.0))
        task = asyncio.create_task(_answered(request()))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


async def _answered(request: Coroutine[Any, Any, object]) -> object:
    try:
        return await request
    except Exception as error:  # noqa: BLE001  the client has seen it, and infermeter has counted it
        return error
