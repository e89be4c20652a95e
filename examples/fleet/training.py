"""A training job next door: it serves nothing, and holds two GPUs."""

from __future__ import annotations

import asyncio


class Training:
    """The job; its work is that of its GPUs."""

    async def serve(self) -> None:
        """Train until cancelled."""
        await asyncio.Event().wait()
