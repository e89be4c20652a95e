"""Two hand-written batchers with the same limit: one runs full, one sends out part-filled batches when its time is up.

    OTEL_SERVICE_NAME=batching OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python examples/batching.py

What to see: both models take 16 inputs at most. `embedder` gets more requests than it can take at once: 20 batches, all
with reason `full`. `reranker` is called by a client that waits for each answer: 20 batches of one, all with reason
`timeout`, and its requests waited 5 ms for company that never came. The first one's GPU is used well; the second one's
needs more concurrent callers, or a shorter wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import infermeter

LIMIT, WAIT_S, BATCHES = 16, 0.005, 20


class Batcher:
    """Collects single requests into batches: up to ``LIMIT``, or until the first has waited ``WAIT_S``."""

    def __init__(self, model: str, run: Callable[[list[int]], list[int]]) -> None:
        self._model, self._run = model, run
        self._waiting: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue()
        self._measured = infermeter.batcher(model, version="1", limit=LIMIT)
        infermeter.observe_queue_depth(model, self._waiting.qsize, version="1")

    async def ask(self, number: int) -> int:
        """Return the answer for one input."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((number, answer))
        return await answer

    async def work(self) -> None:
        """Serve for ever."""
        loop = asyncio.get_running_loop()
        while True:
            asked = [await self._waiting.get()]
            with self._measured as batch:
                batch.add()
                due_s = loop.time() + WAIT_S
                with suppress(asyncio.TimeoutError):
                    while batch.size < LIMIT:
                        # What is there already goes in, however late it is.
                        if self._waiting.empty():
                            asked.append(await asyncio.wait_for(self._waiting.get(), due_s - loop.time()))
                        else:
                            asked.append(self._waiting.get_nowait())
                        batch.add()
            answers = self._run([number for number, _ in asked])
            for (_, waiting), answer in zip(asked, answers, strict=True):
                waiting.set_result(answer)


@infermeter.instrument_inference("embedder", version="1")
def embed(batch: list[int]) -> list[int]:
    """Stand in for a model that takes a batch."""
    return [number * 2 for number in batch]


@infermeter.instrument_inference("reranker", version="1")
def rerank(batch: list[int]) -> list[int]:
    """Stand in for another one."""
    return [-number for number in batch]


async def main() -> None:
    """Ask one model all at once, the other one request after the other."""
    infermeter.configure()
    busy, starved = Batcher("embedder", embed), Batcher("reranker", rerank)
    workers = [asyncio.create_task(batcher.work()) for batcher in (busy, starved)]
    await asyncio.gather(*(busy.ask(number) for number in range(LIMIT * BATCHES)))
    for number in range(BATCHES):
        await starved.ask(number)
    for worker in workers:
        worker.cancel()
    print(f"{LIMIT * BATCHES} inputs in full batches, {BATCHES} one by one")


if __name__ == "__main__":
    asyncio.run(main())
