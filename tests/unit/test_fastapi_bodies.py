"""Bodies pass by: an application receives what it always did, and what it read is counted once, or as lost."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.routing import Mount
from tests.asgi_exchange import Exchange
from tests.unit.body_service import ROW, Chunks, post, service
from tests.unit.drift_counts import ONE_ROW, bins, dropped

from infermeter.fastapi import instrument_app
from infermeter.request_bodies import BODY_LIMIT, PassingBody


async def test_a_body_in_pieces_passes_unchanged_and_is_counted_once(captured_metrics):
    text = json.dumps({"features": ROW}).encode()
    exchange = Chunks(*(text[i : i + 1] for i in range(len(text))), b"")
    seen = []
    app = service()

    @app.post("/stream")
    async def stream(request: Request) -> dict[str, int]:
        seen.extend([chunk async for chunk in request.stream()])
        return {"chunks": len(seen)}

    exchange.scope["path"] = "/stream"
    await exchange.with_(app)

    assert exchange.status == 200
    assert b"".join(seen) == text
    assert bins(captured_metrics) == ONE_ROW


async def test_messages_reach_the_application_as_the_server_made_them(captured_metrics):
    received = []

    async def raw(scope, receive, send):
        while True:
            received.append(await receive())
            if not received[-1]["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app = service()
    app.mount("/raw", raw)
    exchange = Chunks(b'{"features": ', bytearray(b'[5.0, 25.0, "CH"]}'), path="/raw/x")
    await exchange.with_(app)

    assert all(got is given for got, given in zip(received, exchange.handed_over, strict=True))


async def test_a_buffer_that_the_server_uses_again_is_read_in_time(captured_metrics):
    buffer = bytearray(b'{"features": [5.0, 25.0, "CH"]}')
    app = service()

    @app.post("/reuses")
    async def reuses(request: Request) -> int:
        async for _ in request.stream():
            buffer[:] = b"x" * len(buffer)
        return 1

    await Chunks(buffer, path="/reuses").with_(app)

    assert bins(captured_metrics) == ONE_ROW


async def test_a_body_is_not_read_for_an_application_that_does_not_read_it(captured_metrics):
    app = service()

    @app.post("/blind")
    async def blind() -> int:
        return 1

    exchange = await Exchange("/blind", body=b'{"features": [1, 2, "CH"]}').with_(app)

    assert exchange.status == 200
    assert len(exchange._requests) in (0, 1)
    assert dropped(captured_metrics) == ({"body_unread": 1} if exchange._requests else {})


async def test_a_body_of_which_the_application_read_a_part_is_counted_as_unread(captured_metrics):
    app = service()

    @app.post("/first")
    async def first(request: Request) -> int:
        async for _ in request.stream():
            break
        return 1

    await Chunks(b'{"features": [1, 2, "CH"]', b"}", path="/first").with_(app)

    assert bins(captured_metrics) == {}
    assert dropped(captured_metrics) == {"body_unread": 1}


async def test_of_a_huge_body_nothing_is_kept(captured_metrics, monkeypatch):
    held = []
    saw = PassingBody.saw

    def watched(self, message):
        saw(self, message)
        held.append(sum(map(len, self._chunks)))

    monkeypatch.setattr(PassingBody, "saw", watched)
    chunk = b" " * (BODY_LIMIT // 4)
    exchange = await Chunks(*[chunk] * 40, b'{"features": [5.0, 25.0, "CH"]}').with_(service())

    assert exchange.status == 200
    assert max(held) <= BODY_LIMIT
    assert held[-1] == 0
    assert dropped(captured_metrics) == {"body_size": 1}


async def test_the_largest_body_that_is_kept(captured_metrics):
    text = b'{"features": [5.0, 25.0, "CH"]}'
    await Exchange(body=text + b" " * (BODY_LIMIT - len(text))).with_(service())
    assert bins(captured_metrics) == ONE_ROW
    await Exchange(body=text + b" " * (BODY_LIMIT - len(text) + 1)).with_(service())
    assert dropped(captured_metrics) == {"body_size": 1}


@pytest.mark.parametrize("status", [400, 404, 422, 429])
async def test_what_was_turned_away_is_no_input_and_no_loss(captured_metrics, status):
    app = service()

    @app.post("/strict")
    async def strict(request: Request) -> None:
        await request.body()
        raise HTTPException(status)

    await post(app, {"features": ROW}, "/strict")
    await Exchange("/strict", body=b"no json").with_(app)

    assert bins(captured_metrics) == {}
    assert dropped(captured_metrics) == {}


async def test_what_made_the_model_fail_is_counted(captured_metrics):
    app = service()

    @app.post("/broken")
    async def broken(request: Request) -> None:
        await request.body()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await post(app, {"features": ROW}, "/broken")

    assert bins(captured_metrics) == ONE_ROW


async def test_an_upload_that_the_client_breaks_off_is_no_loss(captured_metrics):
    exchange = Chunks(b'{"features": ', ends=False)
    exchange.leave()
    with pytest.raises(ClientDisconnect):
        await exchange.with_(service())

    assert bins(captured_metrics) == {}
    assert dropped(captured_metrics) == {}


async def test_an_answer_in_pieces_is_counted_once(captured_metrics):
    app = service()

    @app.post("/answers")
    async def answers(request: Request) -> StreamingResponse:
        await request.body()
        return StreamingResponse(str(i) for i in range(5))

    await post(app, {"features": ROW}, "/answers")

    assert bins(captured_metrics) == ONE_ROW


async def test_a_middleware_that_reads_the_body_before_routing_changes_nothing(captured_metrics):
    app = service()

    async def reads(request: Request, call_next):
        await request.body()
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=reads)
    instrument_app(app, model="fraud", version="3", inputs="features")
    exchange = await post(app, {"features": ROW})

    assert exchange.status == 200
    assert bins(captured_metrics) == ONE_ROW


async def test_of_two_applications_in_one_another_the_inner_one_counts(captured_metrics):
    inner = service()
    outer = FastAPI()
    outer.mount("/inner", inner)
    instrument_app(outer, model="fraud", version="3", inputs="features")
    await post(outer, {"features": ROW}, "/inner/predict")
    await post(Starlette(routes=[Mount("/in", outer)]), {"features": ROW}, "/in/inner/predict")

    assert bins(captured_metrics) == dict.fromkeys(ONE_ROW, 2)


async def test_before_configuration_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(PassingBody, "saw", lambda *_: pytest.fail("kept"))

    assert (await post(service(), {"features": ROW})).status == 200
