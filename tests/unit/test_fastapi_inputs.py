"""``instrument_app(inputs=…)`` counts what is in a body, and the application notices nothing of it."""

from __future__ import annotations

import json
import logging

import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.routing import Mount
from tests.asgi_exchange import Exchange
from tests.unit.drift_counts import ONE_ROW, bins, dropped, reference

import infermeter
from infermeter import ConfigError
from infermeter.drift.bodies import InputsPath
from infermeter.fastapi import instrument_app
from infermeter.request_bodies import BODY_LIMIT

ROW = [5.0, 25.0, "CH"]
NAMED = {"amount": 5.0, "age": 25.0, "country": "CH"}


class Chunks(Exchange):
    """A request whose body arrives in pieces, the last of which may never come."""

    def __init__(self, *chunks: object, path: str = "/predict", ends: bool = True, **options) -> None:
        super().__init__(path, body=None, **options)
        last = len(chunks) - 1
        self._requests = [
            {"type": "http.request", "body": chunk, "more_body": not ends or place < last}
            for place, chunk in enumerate(chunks)
        ][::-1]
        self.handed_over = list(self._requests[::-1])


def service(inputs: object = "features", **options) -> FastAPI:
    """Answers with what it has read of the body."""
    app = FastAPI()

    @app.post("/predict")
    @app.post("/other")
    async def predict(request: Request) -> dict[str, str]:
        return {"read": (await request.body()).decode("latin-1")}

    infermeter.monitor_drift("fraud", reference(), version="3")
    instrument_app(app, inputs=inputs, **{"model": "fraud", "version": "3", **options})
    return app


async def post(app, document: object, path: str = "/predict") -> Exchange:
    return await Exchange(path, body=json.dumps(document).encode()).with_(app)


@pytest.mark.parametrize(
    ("place", "document"),
    [
        ("features", {"features": ROW}),
        ("features", {"features": NAMED}),
        ("transaction.features", {"transaction": {"features": ROW}}),
        ("$", ROW),
        ("$", NAMED),
        ("$.features", {"features": ROW}),
        ("[1]", [None, ROW]),
        ("parts[0].x", {"parts": [{"x": ROW}]}),
        ("$price", {"$price": ROW}),
        ("{}", {"{}": ROW}),
    ],
)
async def test_one_row_is_counted_where_it_is_said_to_be(captured_metrics, place, document):
    exchange = await post(service(place), document)

    assert exchange.status == 200
    assert bins(captured_metrics) == ONE_ROW
    assert dropped(captured_metrics) == {}


@pytest.mark.parametrize(
    ("place", "document"),
    [
        ("rows[*]", {"rows": [ROW, NAMED]}),
        ("$[*]", [ROW, ROW]),
        ("[*].x", [{"x": ROW}, {"x": ROW}]),
        ("instances[*].features", {"instances": [{"features": ROW}, {"features": NAMED}]}),
    ],
)
async def test_many_rows_are_counted_as_a_batch(captured_metrics, place, document):
    await post(service(place), document)

    assert bins(captured_metrics) == dict.fromkeys(ONE_ROW, 2)


@pytest.mark.parametrize("place", ["", " ", "a..b", ".a", "a.", "a[x]", "a[*][*]", "a[*]b", "[", "a]", "$.", 3, None])
def test_what_names_no_place_is_refused_with_examples(place):
    with pytest.raises(ConfigError, match=r'such as "features", "transaction.features" or "instances\[\*\].features"'):
        InputsPath(place)


@pytest.mark.parametrize("inputs", [3, ["features"], {"predict": "features"}, {"/predict": None}, ""])
def test_a_wrong_argument_is_refused(inputs):
    app = FastAPI()
    with pytest.raises(ConfigError, match="inputs must"):
        instrument_app(app, inputs=inputs)

    assert app.user_middleware == []


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


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "body_json"),
        (b"amount=5&age=25", "body_json"),
        (b'{"features": [5.0, 25.0', "body_json"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "body_json"),
        (b"\xff" * 100, "body_json"),
        (b"[" * 200_000, "body_json"),
        (b"null", "body_path"),
        (b"3", "body_path"),
        (b'"features"', "body_path"),
        (b"[]", "body_path"),
        (b"{}", "body_path"),
        (b'{"Features": [5.0, 25.0, "CH"]}', "body_path"),
        (b'{"features": null}', "row_type"),
        (b'{"features": 5}', "row_type"),
        (b'{"features": "5,25,CH"}', "row_type"),
        (b'{"features": [5.0, 25.0]}', "width"),
        (b'{"features": [5.0, 25.0, "CH", 1]}', "width"),
        (b'{"features": [[5.0, 25.0, "CH"]]}', "width"),
    ],
)
async def test_a_body_without_inputs_is_answered_as_ever_and_counted(captured_metrics, body, reason):
    exchange = await Exchange(body=body).with_(service())

    assert exchange.status == 200
    assert json.loads(exchange.body)["read"].encode("latin-1") == body
    assert bins(captured_metrics) == {}
    assert dropped(captured_metrics) == {reason: 1}


async def test_elements_without_inputs_are_counted_and_the_others_observed(captured_metrics):
    await post(service("rows[*].x"), {"rows": [{"x": ROW}, {"y": ROW}, 3, None, {"x": ROW}]})
    await post(service("rows[*].x"), {"rows": {"x": ROW}})

    assert bins(captured_metrics) == dict.fromkeys(ONE_ROW, 2)
    assert dropped(captured_metrics) == {"body_path": 4}


async def test_of_a_huge_body_nothing_is_kept(captured_metrics, monkeypatch):
    from infermeter.request_bodies import PassingBody

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


async def test_places_differ_by_route_and_other_routes_are_left_alone(captured_metrics):
    app = service({"/predict": "features", "/none/*": "x"})
    await post(app, {"features": ROW})
    await post(app, {"features": ROW}, "/other")

    assert bins(captured_metrics) == ONE_ROW
    assert dropped(captured_metrics) == {}


async def test_the_path_says_whose_monitor_counts(captured_metrics, caplog):
    app = FastAPI()

    @app.post("/v1/{model_name}/{model_version}")
    async def predict(model_name: str, model_version: str, features: list[float | str]) -> int:
        return 1

    for version in ("3", "4"):
        infermeter.monitor_drift("fraud", reference(), version=version)
    instrument_app(app, inputs="$")
    with caplog.at_level(logging.WARNING, "infermeter"):
        for path in ("/v1/fraud/4", "/v1/fraud/4", "/v1/fraud/5", "/v1/fraud/6"):
            await post(app, ROW, path)

    by_version = {
        p.labels["model_version"]: p.value
        for p in captured_metrics.points("model_feature_values_total", feature="country", bin="CH")
    }
    assert by_version == {"3": 0, "4": 2}
    (said,) = [record.getMessage() for record in caplog.records]
    assert "model 'fraud', version '5', which no monitor_drift() watches" in said


async def test_a_handler_that_records_the_inference_itself_is_counted_too(captured_metrics):
    app = service()

    @app.post("/itself")
    async def itself(request: Request) -> int:
        with infermeter.instrument_inference("fraud", version="3"):
            await request.body()
        return 1

    await post(app, {"features": ROW}, "/itself")

    assert bins(captured_metrics) == ONE_ROW


async def test_of_two_applications_in_one_another_the_inner_one_counts(captured_metrics):
    inner = service()
    outer = FastAPI()
    outer.mount("/inner", inner)
    instrument_app(outer, model="fraud", version="3", inputs="features")
    await post(outer, {"features": ROW}, "/inner/predict")
    await post(Starlette(routes=[Mount("/in", outer)]), {"features": ROW}, "/in/inner/predict")

    assert bins(captured_metrics) == dict.fromkeys(ONE_ROW, 2)


async def test_a_route_that_does_not_exist_is_said_once(captured_metrics, caplog):
    from tests.asgi_exchange import lifespan

    app = service({"/predct": "features", "*": "features"})
    with caplog.at_level(logging.WARNING, "infermeter"):
        async with lifespan(app):
            pass

    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("instrument_app: inputs={'/predct': ...} matches no route; there are: ['/openapi.json'")


async def test_trouble_of_the_monitor_stays_away_from_the_application(swallowed, monkeypatch):
    infermeter.configure(exporter="none")
    app = service()
    monkeypatch.setattr("infermeter.drift.bodies.InputsPath.rows", lambda *_: 1 / 0)
    exchange = await post(app, {"features": ROW})

    assert exchange.status == 200
    assert [(where, type(error)) for where, error in swallowed] == [("asgi", ZeroDivisionError)]


async def test_before_configuration_nothing_is_kept(monkeypatch):
    from infermeter.request_bodies import PassingBody

    monkeypatch.setattr(PassingBody, "saw", lambda *_: pytest.fail("kept"))

    assert (await post(service(), {"features": ROW})).status == 200


async def test_the_standard_library_reads_where_pydantic_is_too_old(captured_metrics, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pydantic_core", None)
    app = service()
    await post(app, {"features": ROW})
    await Exchange(body=b"[" * 200_000).with_(app)

    assert bins(captured_metrics) == ONE_ROW
    assert dropped(captured_metrics) == {"body_json": 1}
