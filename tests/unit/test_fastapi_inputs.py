"""``instrument_app(inputs=…)`` finds the inputs in a JSON body, and the monitor of the model that was asked."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from fastapi import FastAPI, Request
from tests.asgi_exchange import Exchange, lifespan
from tests.unit.body_service import NAMED, ROW, post, service
from tests.unit.drift_counts import ONE_ROW, bins, dropped, reference

import infermeter
from infermeter import ConfigError
from infermeter.drift.bodies import InputsPath
from infermeter.fastapi import instrument_app


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


async def test_a_route_that_does_not_exist_is_said_once(captured_metrics, caplog):
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


async def test_the_standard_library_reads_where_pydantic_is_too_old(captured_metrics, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydantic_core", None)
    app = service()
    await post(app, {"features": ROW})
    await Exchange(body=b"[" * 200_000).with_(app)

    assert bins(captured_metrics) == ONE_ROW
    assert dropped(captured_metrics) == {"body_json": 1}
