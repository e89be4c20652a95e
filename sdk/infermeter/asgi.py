"""Counts HTTP requests as inferences: a plain ASGI middleware, aware of streams, clients that leave, and lifespans.

Knows ASGI messages and cells. Knows no framework: which requests are inferences, and of which model, it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from infermeter import clock, guard, requests_seen, runtime
from infermeter.cells import CANCELLED, ERROR, IN_FLIGHT, REJECTED, SUCCESS, TIMEOUT, ModelCell, Shard, StatusIndex
from infermeter.labels import label_value
from infermeter.outcomes import FAILURES, status_of
from infermeter.request_bodies import PassingBody
from infermeter.targets import Scope, Target, TargetOf

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

FLUSH_TIMEOUT_S = runtime.SHUTDOWN_TIMEOUT_S
"""How long the end of a lifespan waits for the last export."""

_NOTE = "infermeter"
"""Key of the scope under which an outer middleware of ours finds out that the request has been counted."""
_NO_SUCH_ROUTE = frozenset({*range(300, 400), 404, 405})
"""What a router answers for a path that it has no route for, or has it with a slash more or less."""


class InferenceMiddleware:
    """Counts each request to an inference route as one inference, unless its handler recorded one itself.

    A request is timed from its arrival to the last chunk of its answer; what runs afterwards is not part of it. Status:
    below 400 success, 504 timeout, 499 cancelled, other 4xx rejected, other 5xx error; a client that left before the
    last chunk is cancelled; an exception that leaves the application counts as its kind says, and passes.

    Args:
        app: The application.
        target_of: Says what a request counts as; asked again until routing is done.
        target_by_path: Says it of a request that another middleware answered, or failed at, before any routing.
        methods: HTTP methods of inferences.
        yields: Leave a request alone that an outer middleware of this kind sees too.
        on_startup: Called once the application has started.
        keeps_bodies: Some target wants the bodies of its requests.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        target_of: TargetOf,
        methods: Collection[str],
        target_by_path: TargetOf = lambda _: None,
        yields: bool = False,
        on_startup: Callable[[], None] | None = None,
        keeps_bodies: bool = False,
    ) -> None:
        self.app = app
        self._target_of, self._target_by_path = target_of, target_by_path
        self._methods, self._yields, self._on_startup = methods, yields, on_startup
        self._keeps_bodies = keeps_bodies
        requests_seen.watch()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if (
            kind != "http"
            or runtime.live is None
            or scope["method"] not in self._methods
            or (self._yields and _NOTE in scope)
        ):
            await self.app(scope, receive, send)
            return
        request = _Request(self._target_of, self._target_by_path, scope, receive, send)
        if self._keeps_bodies:
            request.body = PassingBody()
        try:
            await self.app(scope, request.receive, request.send)
        except BaseException as error:
            if not request.ended:
                request.end(error)
            raise
        if not request.ended:
            request.end()

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin to export when the application has started; export once more before the server hears it has stopped.

        Servers may end the process as soon as they hear it, and uvicorn ends it past ``atexit``.
        """

        async def relay(message: Message) -> None:
            kind = message.get("type")
            if kind == "lifespan.startup.complete":
                with guard.guard("asgi"):
                    if runtime.live is not None:
                        runtime.live.start()
                    if self._on_startup is not None:
                        self._on_startup()
            elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await _flush()
            await send(message)

        await self.app(scope, receive, relay)


class _Request:
    """One request from its arrival to the last chunk of its answer; stands between server and application."""

    __slots__ = (
        *("_cell", "_complete", "_gone", "_note", "_outer", "_receive", "_scope", "_send", "_shard", "_started_s"),
        *("_status", "_target", "_target_by_path", "_target_of", "body", "ended"),
    )
    _shard: Shard  # of the cell; a request lives on one event loop, so on one thread

    def __init__(
        self, target_of: TargetOf, target_by_path: TargetOf, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._target_of = target_of
        self._target_by_path = target_by_path
        self._scope = scope
        self._receive = receive
        self._send = send
        self._target: Target | None = None
        self._cell: ModelCell | None = None  # where it counts as in flight
        self._status: int = 0  # of the answer, 0 before it begins
        self._complete = self._gone = self.ended = False
        self.body: PassingBody | None = None
        self._outer: requests_seen.Note | None = scope.get(_NOTE)
        # Not this object itself: with the scope it would make a cycle, and each request wait for the collector.
        self._note = scope[_NOTE] = requests_seen.open_note()
        self._started_s = clock.monotonic_s()

    async def receive(self) -> Message:
        """Give the application its next message; a handler that reads its body shows that routing is done.

        Each one is looked at, the first one too: a client that had left by then is told from an application that read
        its body and never answered.
        """
        if self._target is None:
            self._look()
        message = await self._receive()
        # Once the last chunk is on its way, servers say the same to mean that all is well.
        if message["type"] == "http.disconnect" and not self._complete:
            self._gone = True
        if self.body is not None:
            self.body.saw(message)
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Give the server its next message; the last chunk ends the request. The head of an answer goes on as it is."""
        if message["type"] != "http.response.start":
            return self._watched_send(message)
        self._status = message["status"]
        if self._target is None:
            self._look()
        return self._send(message)

    async def _watched_send(self, message: Message) -> None:
        kind = message["type"]
        if (kind == "http.response.body" and not message.get("more_body")) or kind == "http.response.pathsend":
            self._complete = True
            if self._outer is not None:
                self._claim()
        try:
            await self._send(message)
        except OSError:  # how servers say that the client has left
            self._gone = True
            raise
        if self._complete and not self.ended:
            self.end()

    def _look(self) -> None:
        """Learn what the request counts as, if routing is done, and count it as in flight if nobody else does."""
        try:
            target = self._target_of(self._scope)
            if target is None:
                return
            self._target = target
            if target.on_body is None:
                self.body = None
            if not target.handler_records and not self._note.recorded:
                cell = target.known_cell(self._scope)
                if cell is not None:
                    self._shard = cell.enter()
                    self._cell = cell
        except Exception as error:  # noqa: BLE001  the guard of the hot path, without the price of a context manager
            guard.swallow("asgi", error)

    def _claim(self) -> None:
        """Tell an outer middleware that the request is counted here: it sees the last chunk before we hear of it."""
        with guard.guard("asgi"):
            counts = self._target is not None and self._target.cell(self._scope, self._status) is not None
            if self._outer is not None and (counts or self._note.recorded):
                self._outer.recorded = True
            if self._outer is not None and self._target is not None and self._target.on_body is not None:
                self._outer.body_counted = True

    def end(self, error: BaseException | None = None) -> None:
        """Count the request as ended; called once."""
        self.ended = True
        latency_s = clock.monotonic_s() - self._started_s
        try:
            cell = self._cell
            if (
                cell is not None
                and self._complete
                and 0 < self._status < 400
                and error is None
                and not self._gone
                and not self._note.recorded
            ):  # the usual case, at once
                cell.leave(self._shard, latency_s, SUCCESS)
                if self._outer is not None:
                    self._outer.recorded = True
            else:
                self._end_otherwise(latency_s, error)
        except Exception as ours:  # noqa: BLE001  as above
            guard.swallow("asgi", ours)
        if self.body is not None:
            self._hand_over(self.body, error)

    def _hand_over(self, body: PassingBody, error: BaseException | None) -> None:
        """Give the body to whoever counts what is in it, unless the request was turned away or broke off."""
        self.body = None
        try:
            target = self._target or self._target_of(self._scope)
            if target is None or target.on_body is None or self._note.body_counted:
                return
            if self._outer is not None:
                self._outer.body_counted = True
            if self._outcome(error) != REJECTED and (body.is_complete or not self._gone):
                target.on_body(target.named(self._scope), body)
        except Exception as ours:  # noqa: BLE001  as above
            guard.swallow("asgi", ours)

    def _end_otherwise(self, latency_s: float, error: BaseException | None) -> None:
        """Find out who counts the request, and as what."""
        target = self._target or self._target_of(self._scope)
        if target is None and (error is not None or self._status not in _NO_SUCH_ROUTE):
            target = self._target_by_path(self._scope)
        if target is None:
            return
        entered = self._cell
        if self._note.recorded:
            target.handler_records, cell = True, None
            if self._outer is not None:
                self._outer.recorded = True
        else:
            cell = target.cell(self._scope, self._status if error is None else None)
        if cell is None or cell is not entered:
            if entered is not None:
                self._shard[IN_FLIGHT] -= 1
            if cell is None:
                return
            self._shard = cell.enter()
        status = self._outcome(error)
        cell.leave(self._shard, latency_s, status)
        if self._outer is not None:
            self._outer.recorded = True
        if error is not None and status in FAILURES and not cell.errors.add(label_value(type(error).__name__)):
            guard.drop("error_type", "error_type_limit")

    def _outcome(self, error: BaseException | None) -> StatusIndex:
        if self._gone:
            return CANCELLED
        if error is not None:
            return CANCELLED if isinstance(error, OSError) and _passed(error, self._send) else status_of(error)
        code = self._status
        if not code or not self._complete:
            return ERROR  # the application returned without an answer, or in the middle of one
        if code < 400:
            return SUCCESS
        if code < 500:
            return CANCELLED if code == 499 else REJECTED
        return TIMEOUT if code == 504 else ERROR


def _passed(error: BaseException, send: Send) -> bool:
    """Return whether an exception came out of the server's ``send``; an ``OSError`` then means that the client left."""
    code = getattr(getattr(send, "__func__", send), "__code__", None)
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code is code:
            return True
        step = step.tb_next
    return False


async def _flush() -> None:
    """Export what is left, within a bound and beside the event loop."""
    telemetry = runtime.live
    if telemetry is None:
        return
    with guard.guard("asgi"):
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # a server on another event loop than asyncio's
            telemetry.force_flush(FLUSH_TIMEOUT_S)
            return
        # The outer bound is for a pool whose threads the application has kept busy: the flush would never begin.
        await asyncio.wait_for(asyncio.to_thread(telemetry.force_flush, FLUSH_TIMEOUT_S), FLUSH_TIMEOUT_S + 1)
