"""A model that runs in batches on a GPU: the service `digits`. The GPU's part is waited; the answers are real.

A request is prepared on the CPU, waits for others, and goes to the GPU with them, at most `LIMIT` at once.

Faults: starved-batching (somebody set the limit of version 1 to 1: requests queue up while the GPU does little in many
small runs), host-bound (preparing takes long, so that hardly anything reaches the GPU).
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import NamedTuple

import numpy as np

import infermeter

from .arrivals import arrive
from .control import Control
from .models import Model, Prediction, Rows
from .pods import CANARY_SHARE, Pod

SLA_S = 0.5
LIMIT = 16
_WAIT_S = 0.01
_RUN_S, _RUN_S_PER_ROW = 0.05, 0.001
_PREPARE_S, _SPREAD = 0.004, 0.3
_HOST_BOUND = 100.0
_PREPARED_AT_ONCE = 4
_QUEUE_LIMIT, _TO_PREPARE_LIMIT = 1024, 64
_DRAWN_AT_ONCE = 256


class OverloadedError(Exception):
    """Too many wait already; the client is told to come again."""

    status_code = 429


class _Waiting(NamedTuple):
    row: Rows
    answer: asyncio.Future[Prediction]
    since_s: float


class Lane:
    """The queue and the batches of one version.

    Args:
        version: Which one.
        model: What it serves.
        control: What it gets wrong.
    """

    def __init__(self, version: str, model: Model, control: Control) -> None:
        self._version, self._model, self._control = version, model, control
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(_QUEUE_LIMIT)
        self._batcher = infermeter.batcher("digits", version=version, limit=LIMIT)
        self._is_starved = False
        infermeter.observe_queue_depth("digits", self._queue.qsize, version=version)

    async def ask(self, row: Rows) -> Prediction:
        """Return the answer for one row."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(row, loop.create_future(), loop.time())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise OverloadedError from None
        return await waiting.answer

    async def work(self) -> None:
        """Run batches until cancelled."""
        while True:
            self._follow_setting()
            batch = await self._collect(1 if self._is_starved else LIMIT)
            await asyncio.sleep(_RUN_S + _RUN_S_PER_ROW * len(batch))
            answers = self._model.predict(self._version, np.concatenate([waiting.row for waiting in batch]))
            for waiting, answer in zip(batch, answers, strict=True):
                waiting.answer.set_result(answer)

    async def _collect(self, limit: int) -> list[_Waiting]:
        loop = asyncio.get_running_loop()
        taken = [await self._queue.get()]
        with self._batcher as batch:
            batch.add(waited_s=loop.time() - taken[0].since_s)
            due_s = loop.time() + _WAIT_S
            with suppress(asyncio.TimeoutError):
                while batch.size < limit:
                    # What is there already goes in, however late it is.
                    if self._queue.empty():
                        taken.append(await asyncio.wait_for(self._queue.get(), due_s - loop.time()))
                    else:
                        taken.append(self._queue.get_nowait())
                    batch.add(waited_s=loop.time() - taken[-1].since_s)
        return taken

    def _follow_setting(self) -> None:
        starved = self._version == "1" and self._control.has("starved-batching")
        if starved != self._is_starved:
            self._is_starved = starved
            self._batcher = infermeter.batcher("digits", version=self._version, limit=1 if starved else LIMIT)


class Digits:
    """One replica.

    Args:
        pod: Who it is.
        model: What it serves.
        control: What it gets wrong.
    """

    def __init__(self, pod: Pod, model: Model, control: Control) -> None:
        self._pod, self._model, self._control = pod, model, control
        self._chance, self._numbers = pod.chance, pod.numbers
        self._rows: list[Rows] = []
        self._hands = asyncio.Semaphore(_PREPARED_AT_ONCE)
        self._to_prepare = 0
        self._lanes = {version: Lane(version, model, control) for version in model.versions}
        self._calls = {}
        for version in model.versions:
            measured = infermeter.instrument_inference(
                pod.model, version=version, sla_s=SLA_S, classes=model.classes, framework="sklearn"
            )
            self._calls[version] = measured(self._predict)

    async def serve(self) -> None:
        """Answer requests until cancelled."""
        workers = [asyncio.create_task(lane.work()) for lane in self._lanes.values()]
        try:
            await arrive(self._pod.rate, self._chance, self._request)
        finally:
            for worker in workers:
                worker.cancel()

    async def _request(self) -> object:
        version = "2" if self._chance.random() < CANARY_SHARE else "1"
        if not self._rows:
            drawn = self._model.draw(_DRAWN_AT_ONCE, self._numbers)
            self._rows = [drawn[number : number + 1] for number in range(len(drawn))]
        return await self._calls[version](version, self._rows.pop())

    async def _predict(self, version: str, row: Rows) -> Prediction:
        await self._prepare()
        return await self._lanes[version].ask(row)

    async def _prepare(self) -> None:
        if self._to_prepare >= _TO_PREPARE_LIMIT:
            raise OverloadedError
        self._to_prepare += 1
        try:
            async with self._hands:
                prepare_s = self._chance.lognormvariate(math.log(_PREPARE_S), _SPREAD)
                await asyncio.sleep(prepare_s * (_HOST_BOUND if self._control.has("host-bound") else 1.0))
        finally:
            self._to_prepare -= 1
