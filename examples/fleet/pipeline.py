"""A batch job that prepares features again and again: the pipeline `features`.

It runs every ten minutes, or as many times more often as the rules' windows are shorter.

Fault: stale-pipeline (its source delivers nothing new; every run succeeds on old data).
"""

from __future__ import annotations

import asyncio
import time

import infermeter

from .control import POLL_S, Control
from .pods import Pod

PIPELINE = "features"
_INTERVAL_S = 600.0
_RUN_S = 6.0


class Pipeline:
    """The job and its schedule.

    Args:
        pod: Who it is.
        control: What it gets wrong.
    """

    def __init__(self, pod: Pod, control: Control) -> None:
        self._chance, self._control = pod.chance, control
        self._newest_s = time.time()

    async def serve(self) -> None:
        """Run until cancelled."""
        while True:
            speed = self._control.speed
            due_s = time.monotonic() + _INTERVAL_S / speed
            await self._run(speed)
            await self._wait(due_s, speed)

    async def _wait(self, due_s: float, speed: float) -> None:
        """Wait for the next run, or until the schedule has changed."""
        while (left_s := due_s - time.monotonic()) > 0 and self._control.speed == speed:  # noqa: ASYNC110  a file tells nobody
            await asyncio.sleep(min(left_s, POLL_S))

    async def _run(self, speed: float) -> None:
        interval_s = _INTERVAL_S / speed
        declared = {
            "expected_interval_s": interval_s,
            "max_data_age_s": 3 * interval_s,
            "max_duration_s": interval_s / 2,
        }
        with infermeter.pipeline_run(PIPELINE, **declared) as run:
            await asyncio.sleep(_RUN_S / speed * self._chance.uniform(0.8, 1.2))
            if not self._control.has("stale-pipeline"):
                self._newest_s = time.time() - 0.1 * interval_s
            run.data_as_of(self._newest_s)
