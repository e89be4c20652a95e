"""The middleware exports what is left before a server hears that the application has stopped."""

from __future__ import annotations

import asyncio
import threading

import pytest

from infermeter import instrument_inference, is_configured, runtime, shutdown
from infermeter.asgi import InferenceMiddleware
from infermeter.testing import CapturedMetrics

REQUESTS = "model_inference_requests_total"


async def application(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    await send({"type": "lifespan.shutdown.complete"})


class Server:
    """Runs a lifespan as a server does."""

    def __init__(self, app, **options) -> None:
        self._app = InferenceMiddleware(app, target_of=lambda _: None, methods=("POST",), **options)
        self._inbox: asyncio.Queue = asyncio.Queue()
        self.heard: asyncio.Queue = asyncio.Queue()
        self.scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}

    async def begin(self) -> None:
        self.task = asyncio.create_task(self._app(self.scope, self._inbox.get, self.heard.put))
        await self._inbox.put({"type": "lifespan.startup"})
        assert await self.heard.get() == {"type": "lifespan.startup.complete"}

    async def end(self) -> dict:
        await self._inbox.put({"type": "lifespan.shutdown"})
        answer = await self.heard.get()
        await self.task
        return answer


async def test_what_was_recorded_has_arrived_when_the_server_hears_of_the_end(connect, sink):
    connect()
    server = Server(application)
    await server.begin()
    instrument_inference("fraud").record(0.1)

    assert await server.end() == {"type": "lifespan.shutdown.complete"}
    assert sink.total(REQUESTS, model_name="fraud") == 1
    assert is_configured(), "the process may go on: only the host shuts us down"


async def test_an_application_whose_end_fails_still_exports(connect, sink):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "broken"})
        raise LookupError("broken")

    connect()
    server = Server(app)
    await server.begin()
    instrument_inference("fraud").record(0.1)
    with pytest.raises(LookupError, match="broken"):
        await server.end()

    assert sink.total(REQUESTS, model_name="fraud") == 1


async def test_the_end_waits_a_bounded_time_for_a_receiver_that_never_answers(connect, sink, monkeypatch):
    sink.swallow()
    connect(export_timeout_s=30)
    monkeypatch.setattr("infermeter.asgi.FLUSH_TIMEOUT_S", 0.05)
    server = Server(application)
    await server.begin()

    assert await asyncio.wait_for(server.end(), 10) == {"type": "lifespan.shutdown.complete"}


async def test_the_event_loop_turns_while_the_last_export_is_under_way(connect, sink, monkeypatch):
    monkeypatch.setattr("infermeter.asgi.FLUSH_TIMEOUT_S", 1.0)
    sink.swallow()
    connect(export_timeout_s=30)
    server = Server(application)
    await server.begin()
    ending = asyncio.create_task(server.end())
    turns = 0
    while not ending.done() and turns < 1000:
        await asyncio.sleep(0)
        turns += 1
    sink.released.set()
    await ending

    assert turns == 1000


async def test_a_pool_whose_threads_are_all_busy_does_not_hold_the_end_up(connect, sink, swallowed, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr("infermeter.asgi.FLUSH_TIMEOUT_S", -0.9)
    connect()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    release = threading.Event()
    busy = asyncio.get_running_loop().run_in_executor(None, release.wait)
    server = Server(application)
    await server.begin()

    assert await asyncio.wait_for(server.end(), 10) == {"type": "lifespan.shutdown.complete"}
    assert [(where, type(error)) for where, error in swallowed] == [("asgi", asyncio.TimeoutError)]
    release.set()
    await busy


async def test_exports_begin_when_the_application_has_started(connect, sink):
    telemetry = connect()
    telemetry.ticker.park()
    server = Server(application)
    await server.begin()

    assert not telemetry.ticker._parked
    await server.end()


async def test_an_application_that_shuts_us_down_itself_ends_well(connect):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        shutdown()
        await send({"type": "lifespan.shutdown.complete"})

    connect()
    server = Server(app)
    await server.begin()

    assert await server.end() == {"type": "lifespan.shutdown.complete"}


async def test_an_application_without_a_lifespan_refuses_it_as_before():
    async def app(scope, receive, send):
        raise RuntimeError("no lifespan here")

    with pytest.raises(RuntimeError, match="no lifespan here"):
        await InferenceMiddleware(app, target_of=lambda _: None, methods=())({"type": "lifespan"}, None, None)


async def test_a_failing_start_hook_does_not_stop_the_application(swallowed):
    def broken():
        raise LookupError("ours")

    server = Server(application, on_startup=broken)
    await server.begin()

    assert await server.end() == {"type": "lifespan.shutdown.complete"}
    assert [type(error) for _, error in swallowed] == [LookupError]


async def test_a_configuration_made_while_the_application_starts_is_exported_at_its_end(connect, sink):
    async def app(scope, receive, send):
        await receive()
        connect()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    server = Server(app)
    await server.begin()
    instrument_inference("fraud").record(0.1)
    await server.end()

    assert CapturedMetrics(runtime.live.families).value(REQUESTS, model_name="fraud") == 1
    assert sink.total(REQUESTS, model_name="fraud") == 1
