"""One HTTP exchange with an ASGI application, message by message, without a server.

Besides: small applications, and what was counted of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from infermeter.asgi import InferenceMiddleware
from infermeter.targets import Target
from infermeter.testing import CapturedMetrics

Message = MutableMapping[str, Any]


class Exchange:
    """A client that sends one request, and may leave before the answer is complete."""

    def __init__(
        self,
        path: str = "/predict",
        *,
        method: str = "POST",
        body: bytes | None = b"{}",
        root_path: str = "",
        on_send: Callable[[Message], None] = lambda _: None,
    ) -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": root_path,
            "headers": [(b"host", b"service"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
            "state": {},
        }
        self.sent: list[Message] = []
        whole = {"type": "http.request", "body": body, "more_body": False}
        self._requests: list[Message] = [] if body is None else [whole]
        self._over = asyncio.Event()
        self._on_send = on_send

    async def receive(self) -> Message:
        if self._requests:
            return self._requests.pop()
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self._on_send(message)
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._over.set()

    def leave(self) -> None:
        """Close the connection."""
        self._over.set()

    async def with_(self, app: Any) -> Exchange:
        """Exchange the messages."""
        await app(self.scope, self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        return next(m["status"] for m in self.sent if m["type"] == "http.response.start")

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.sent if m["type"] == "http.response.body")


@asynccontextmanager
async def lifespan(app: Any) -> AsyncGenerator[dict[str, Any], None]:
    """Start an application and stop it after the block, as a server does; gives the state that requests get."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    heard: asyncio.Queue[Message] = asyncio.Queue()
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    running = asyncio.create_task(app(scope, inbox.get, heard.put))
    await inbox.put({"type": "lifespan.startup"})
    assert (await heard.get())["type"] == "lifespan.startup.complete"
    yield state
    await inbox.put({"type": "lifespan.shutdown"})
    assert (await heard.get())["type"] == "lifespan.shutdown.complete"
    await running


REQUESTS = "model_inference_requests_total"


def start(status: int = 200) -> dict[str, object]:
    return {"type": "http.response.start", "status": status, "headers": []}


def chunk(more: bool = False) -> dict[str, object]:
    return {"type": "http.response.body", "body": b"x", "more_body": more}


def answering(status: int):
    async def app(scope, receive, send):
        await receive()
        await send(start(status))
        await send(chunk())

    return app


def measured(app, target: Target | None = None, **options) -> InferenceMiddleware:
    chosen = target or Target("fraud", "3")
    return InferenceMiddleware(app, target_of=lambda _: chosen, methods=("POST",), **options)


def statuses(metrics: CapturedMetrics, model: str = "fraud") -> dict[str, float]:
    return {p.labels["status"]: p.value for p in metrics.points(REQUESTS, model_name=model) if p.value}


def models_of(metrics: CapturedMetrics) -> set[str]:
    return {p.labels["model_name"] for p in metrics.points(REQUESTS)}
