"""An answer that comes token by token: an async generator, on its own and as a streamed HTTP response.

    OTEL_SERVICE_NAME=assistant OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python examples/streaming.py
    OTEL_SERVICE_NAME=assistant python -m uvicorn streaming:app --app-dir examples    # POST /generate?prompt=hello

What to see: the time of a call runs to its last token, here about 80 ms; the first token comes after 10 ms, and each
later one 10 ms after the one before. Of 30 calls, 20 are read to the end (status success), 8 are left after three
tokens (cancelled: no failure of the service, so in no error ratio), and 2 break off after four (error): 192 in all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

import infermeter

TOKENS = 8

infermeter.configure()


infermeter.register_model("assistant", version="1", sla_s=1.0)


@infermeter.generation("assistant", version="1")
async def generate(prompt: str) -> AsyncGenerator[str]:
    """Yield an answer token by token; a model server would do the waiting."""
    for number in range(TOKENS):
        await asyncio.sleep(0.01)
        if prompt == "unspeakable" and number == TOKENS // 2:
            raise ArithmeticError("the sampler found no token")
        yield f"{prompt}-{number} "


app = FastAPI(title="assistant")


@app.post("/generate")
async def answer(prompt: str) -> StreamingResponse:
    """Stream an answer; a client that hangs up closes the generator."""
    return StreamingResponse(generate(prompt), media_type="text/plain")


async def read(prompt: str, *, tokens: int = TOKENS) -> None:
    """Read an answer, or as much of it as is wanted."""
    async with aclosing(generate(prompt)) as stream:  # closes it at once, not when the garbage is collected
        async for _ in stream:
            tokens -= 1
            if tokens == 0:
                return


async def main() -> None:
    """Thirty readers, some impatient, some unlucky."""
    patient = [read("hello", tokens=TOKENS + 1) for _ in range(20)]
    impatient = [read("hello", tokens=3) for _ in range(8)]
    unlucky = [read("unspeakable") for _ in range(2)]
    outcomes = await asyncio.gather(*patient, *impatient, *unlucky, return_exceptions=True)
    print(f"{len(outcomes)} answers, {sum(o is not None for o in outcomes)} broke off")


if __name__ == "__main__":
    asyncio.run(main())
