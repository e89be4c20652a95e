"""A client that leaves before the last chunk makes a cancelled request, whichever way that shows."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from tests.asgi_exchange import Exchange, answering, chunk, measured, start, statuses

from infermeter.testing import CapturedMetrics

IN_FLIGHT, EXCEPTIONS = "model_inference_in_flight", "model_inference_exceptions_total"


@pytest.fixture
def metrics(captured_metrics: CapturedMetrics):
    """What was recorded; whatever a test does, nothing stays in flight."""
    yield captured_metrics
    assert all(point.value == 0 for point in captured_metrics.points(IN_FLIGHT))


async def test_a_client_that_leaves_during_a_stream_is_cancelled(metrics):
    async def app(scope, receive, send):
        await receive()
        await send(start())
        await send(chunk(more=True))
        assert (await receive())["type"] == "http.disconnect"

    exchange = Exchange(on_send=lambda message: exchange.leave())
    await exchange.with_(measured(app))

    assert statuses(metrics) == {"cancelled": 1}


async def test_a_stream_that_ends_politely_because_its_client_left_is_cancelled(metrics):
    async def app(scope, receive, send):
        await receive()
        await send(start())
        await receive()
        await send(chunk())

    exchange = Exchange(on_send=lambda message: exchange.leave())
    await exchange.with_(measured(app))

    assert statuses(metrics) == {"cancelled": 1}


async def test_a_server_that_refuses_a_chunk_because_the_client_left_is_cancelled(metrics):
    gone = OSError("client has left")

    def refuse(message):
        if message["type"] == "http.response.body":
            raise gone

    with pytest.raises(OSError, match="client has left") as caught:
        await Exchange(on_send=refuse).with_(measured(answering(200)))

    assert caught.value is gone
    assert statuses(metrics) == {"cancelled": 1}
    assert metrics.points(EXCEPTIONS) == []


async def test_a_server_that_refuses_an_answer_because_the_client_left_is_cancelled(metrics):
    def refuse(message):
        raise OSError("client has left")

    with pytest.raises(OSError, match="client has left"):
        await Exchange(on_send=refuse).with_(measured(answering(200)))

    assert statuses(metrics) == {"cancelled": 1}
    assert metrics.points(EXCEPTIONS) == []


async def test_an_application_that_makes_nothing_of_a_refused_chunk_is_cancelled(metrics):
    async def app(scope, receive, send):
        with suppress(OSError):
            await answering(200)(scope, receive, send)

    def refuse(message):
        if message["type"] == "http.response.body":
            raise OSError("client has left")

    await Exchange(on_send=refuse).with_(measured(app))

    assert statuses(metrics) == {"cancelled": 1}


async def test_a_disconnect_while_the_last_chunk_is_on_its_way_is_no_departure(metrics):
    heard = asyncio.Event()

    class SlowServer(Exchange):
        async def send(self, message):
            await super().send(message)
            if message["type"] == "http.response.body":
                await heard.wait()

    async def app(scope, receive, send):
        await receive()

        async def listen():
            assert (await receive())["type"] == "http.disconnect"
            heard.set()

        listener = asyncio.create_task(listen())
        await send(start())
        await send(chunk())
        await listener

    await SlowServer().with_(measured(app))

    assert statuses(metrics) == {"success": 1}


async def test_an_operating_system_error_of_the_application_is_an_error(metrics):
    async def app(scope, receive, send):
        await receive()
        await send(start())
        raise FileNotFoundError("weights")

    with pytest.raises(FileNotFoundError):
        await Exchange().with_(measured(app))

    assert statuses(metrics) == {"error": 1}
    assert [p.labels["error_type"] for p in metrics.points(EXCEPTIONS)] == ["FileNotFoundError"]


async def test_a_client_that_left_before_anybody_read_is_cancelled(metrics):
    async def app(scope, receive, send):
        assert (await receive())["type"] == "http.disconnect"

    exchange = Exchange(body=None)
    exchange.leave()
    await exchange.with_(measured(app))

    assert statuses(metrics) == {"cancelled": 1}


async def test_a_disconnect_after_the_last_chunk_is_no_departure(metrics):
    async def app(scope, receive, send):
        await receive()
        listener = asyncio.create_task(receive())
        await send(start())
        await send(chunk())
        assert (await listener)["type"] == "http.disconnect"

    await Exchange().with_(measured(app))

    assert statuses(metrics) == {"success": 1}


async def test_a_cancelled_request_is_cancelled(metrics):
    reached = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Exchange().with_(measured(app)))
    await reached.wait()
    assert metrics.value(IN_FLIGHT) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert statuses(metrics) == {"cancelled": 1}
