"""Handlers of every kind: async, in the thread pool, streaming, with background work, failing, recording themselves."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from tests.asgi_exchange import Exchange, lifespan

from infermeter import instrument_inference, record_prediction
from infermeter.fastapi import instrument_app

REQUESTS, LATENCY = "model_inference_requests_total", "model_inference_latency_seconds"
IN_FLIGHT, EXCEPTIONS = "model_inference_in_flight", "model_inference_exceptions_total"


@pytest.fixture
def metrics(captured_metrics):
    """What was recorded; whatever a test does, nothing stays in flight."""
    yield captured_metrics
    assert all(point.value == 0 for point in captured_metrics.points(IN_FLIGHT))


def statuses(metrics, model="fraud"):
    return {p.labels["status"]: p.value for p in metrics.points(REQUESTS, model_name=model) if p.value}


def service(handler, **options) -> FastAPI:
    app = FastAPI()
    app.post("/predict")(handler)
    instrument_app(app, **{"model": "fraud", **options})
    return app


async def test_many_requests_at_once_are_counted_to_the_unit(metrics):
    async def predict(row: dict[str, int]) -> dict[str, int]:
        await asyncio.sleep(0)
        if row["n"] % 10 == 0:
            raise HTTPException(503)
        return row

    app = service(predict)
    await asyncio.gather(*(Exchange(body=b'{"n": %d}' % n).with_(app) for n in range(500)))

    assert statuses(metrics) == {"success": 450, "error": 50}
    assert metrics.count(LATENCY) == 500


def test_handlers_in_thread_pools_under_several_event_loops_are_counted_to_the_unit(metrics):
    def predict(row: dict[str, int]) -> dict[str, int]:
        return row

    async def ask() -> None:
        answers = await asyncio.gather(*(Exchange(body=b'{"n": 1}').with_(app) for _ in range(50)))
        assert [answer.status for answer in answers] == [200] * 50

    app = service(predict)
    asyncio.run(Exchange(method="GET").with_(app))  # an application belongs to one loop until it has started
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(asyncio.run, ask()) for _ in range(4)]:
            done.result()

    assert statuses(metrics) == {"success": 200}


async def test_a_request_shows_as_in_flight_while_its_handler_runs(metrics):
    running, go_on = asyncio.Event(), asyncio.Event()

    async def predict(row: dict[str, int]) -> None:
        running.set()
        await go_on.wait()

    request = asyncio.create_task(Exchange().with_(service(predict)))
    await running.wait()
    assert metrics.value(IN_FLIGHT, model_name="fraud") == 1
    go_on.set()
    await request


def own_sync(row: dict[str, int]) -> dict[str, float]:
    return {"confidence": 0.5}


async def own_async(row: dict[str, int]) -> dict[str, float]:
    return {"confidence": 0.5}


def own_block(row: dict[str, int]) -> dict[str, float]:
    with instrument_inference("own"):
        return {"confidence": 0.5}


def own_record(row: dict[str, int]) -> None:
    instrument_inference("own").record(0.1)


@pytest.mark.parametrize(
    "handler",
    [instrument_inference("own")(own_sync), instrument_inference("own")(own_async), own_block, own_record],
    ids=["sync", "async", "block", "record"],
)
async def test_a_handler_that_records_its_inference_is_not_counted_twice(metrics, handler):
    app = service(handler)
    for _ in range(3):
        assert (await Exchange().with_(app)).status == 200

    assert statuses(metrics, "own") == {"success": 3}
    assert statuses(metrics) == {}


async def test_requests_that_never_reach_a_handler_that_records_still_count(metrics):
    app = service(own_record)
    await Exchange().with_(app)
    assert (await Exchange(body=b"[]").with_(app)).status == 422

    assert statuses(metrics, "own") == {"success": 1}
    assert statuses(metrics) == {"rejected": 1}


async def test_a_prediction_without_a_call_leaves_the_request_to_the_middleware(metrics):
    def predict(row: dict[str, int]) -> None:
        record_prediction("fraud", label="yes", confidence=0.9)

    await Exchange().with_(service(predict))

    assert statuses(metrics) == {"success": 1}


async def test_background_tasks_are_not_part_of_a_request(metrics, fake_clock):
    async def predict(tasks: BackgroundTasks) -> None:
        fake_clock.advance(1)
        tasks.add_task(fake_clock.advance, 60)

    await Exchange().with_(service(predict))

    assert fake_clock.now_s == 1061
    assert metrics.value(LATENCY) == 1


async def test_a_failing_background_task_leaves_the_request_a_success(metrics):
    def broken() -> None:
        raise LookupError("later")

    async def predict(tasks: BackgroundTasks) -> None:
        tasks.add_task(broken)

    with pytest.raises(LookupError, match="later"):
        await Exchange().with_(service(predict))

    assert statuses(metrics) == {"success": 1}


async def test_a_stream_is_timed_to_its_last_event(metrics, fake_clock):
    async def events():
        for number in range(3):
            fake_clock.advance(1)
            yield f"data: {number}\n\n"

    async def predict() -> StreamingResponse:
        return StreamingResponse(events(), media_type="text/event-stream")

    exchange = await Exchange().with_(service(predict))

    assert exchange.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert metrics.value(LATENCY) == 3
    assert statuses(metrics) == {"success": 1}


async def test_a_client_that_hangs_up_on_a_stream_is_cancelled(metrics):
    async def endless():
        while True:
            await asyncio.sleep(0)
            yield b"token "

    async def predict() -> StreamingResponse:
        return StreamingResponse(endless())

    exchange = Exchange(on_send=lambda message: len(exchange.sent) > 3 and exchange.leave())
    await exchange.with_(service(predict))

    assert statuses(metrics) == {"cancelled": 1}


async def test_a_stream_that_breaks_is_an_error_and_the_exception_passes(metrics):
    raised = ArithmeticError("broke")

    async def breaking():
        yield b"token"
        raise raised

    async def predict() -> StreamingResponse:
        return StreamingResponse(breaking())

    with pytest.raises(Exception) as caught:  # noqa: PT011  older versions of Starlette put it into a group
        await Exchange().with_(service(predict))

    (left,) = getattr(caught.value, "exceptions", (caught.value,))
    assert left is raised
    assert statuses(metrics) == {"error": 1}


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_exception_of_a_handler_passes_unchanged_and_its_class_is_counted(metrics, kind):
    raised = ArithmeticError("broke")

    def sync() -> None:
        raise raised

    async def asynchronous() -> None:
        raise raised

    exchange = Exchange()
    with pytest.raises(ArithmeticError) as caught:
        await exchange.with_(service(sync if kind == "sync" else asynchronous))

    assert caught.value is raised
    assert exchange.status == 500
    assert statuses(metrics) == {"error": 1}
    assert [p.labels["error_type"] for p in metrics.points(EXCEPTIONS, model_name="fraud")] == ["ArithmeticError"]


async def test_a_timeout_of_a_handler_is_a_timeout(metrics):
    async def predict() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Exchange().with_(service(predict))

    assert statuses(metrics) == {"timeout": 1}


async def test_an_exception_that_the_application_turns_into_an_answer_counts_as_that_answer(metrics):
    app = FastAPI()

    @app.exception_handler(ArithmeticError)
    async def answer(request, error):
        return PlainTextResponse("busy", 429)

    @app.post("/predict")
    async def predict() -> None:
        raise ArithmeticError

    instrument_app(app, model="fraud")
    await Exchange().with_(app)

    assert statuses(metrics) == {"rejected": 1}


async def test_other_middleware_between_us_and_the_handler_changes_nothing(metrics):
    async def pass_on(request, call_next):
        await request.body()
        return await call_next(request)

    app = FastAPI()
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    app.post("/predict/{model}")(instrument_inference("own")(own_sync))
    app.post("/plain/{model}")(own_sync)
    instrument_app(app)
    for _ in range(2):
        await Exchange("/predict/x").with_(app)
        await Exchange("/plain/x").with_(app)

    assert statuses(metrics, "own") == {"success": 2}
    assert statuses(metrics, "x") == {"success": 2}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (PlainTextResponse("who?", 401), "rejected"),
        (PlainTextResponse("no", 503), "error"),
        (KeyError("user"), "error"),
    ],
    ids=["401", "503", "raises"],
)
async def test_a_request_that_a_middleware_keeps_from_the_handler_counts_too(metrics, answer, status):
    async def intercept(request, call_next):
        if isinstance(answer, Exception):
            raise answer
        return answer

    app = FastAPI()
    app.add_middleware(BaseHTTPMiddleware, dispatch=intercept)
    app.post("/v1/{model}/predict")(own_sync)
    app.get("/described")(own_sync)
    app.post("/health")(own_sync)
    instrument_app(app)
    for path in ("/v1/whatever-a-caller-likes/predict", "/described", "/health", "/nothing"):
        with suppress(KeyError):
            await Exchange(path).with_(app)

    assert [(p.labels["model_name"], p.labels["status"], p.value) for p in metrics.points(REQUESTS) if p.value] == [
        ("/v1/{model}/predict", status, 1)
    ]


@pytest.mark.parametrize("http_status", [307, 404, 405])
async def test_an_answer_of_a_middleware_that_there_is_no_such_thing_is_no_inference(metrics, http_status):
    async def intercept(request, call_next):
        return PlainTextResponse("", http_status)

    app = FastAPI()
    app.add_middleware(BaseHTTPMiddleware, dispatch=intercept)
    app.post("/predict")(own_sync)
    instrument_app(app, model="fraud")
    await Exchange().with_(app)

    assert statuses(metrics) == {}


async def test_a_middleware_of_a_mounted_application_counts_there_and_once(metrics):
    async def intercept(request, call_next):
        return PlainTextResponse("who?", 401)

    app, inner = FastAPI(), FastAPI()
    inner.add_middleware(BaseHTTPMiddleware, dispatch=intercept)
    inner.post("/predict")(own_sync)
    app.mount("/inner", inner)
    instrument_app(app, model="outer")
    instrument_app(inner, model="fraud")
    await Exchange("/inner/predict").with_(app)

    assert statuses(metrics) == {"rejected": 1}
    assert statuses(metrics, "outer") == {}


async def test_a_websocket_is_not_touched(metrics):
    app = FastAPI()

    @app.websocket("/chat")
    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())

    instrument_app(app, model="fraud")
    exchange = Exchange("/chat")
    del exchange.scope["method"]
    received = [{"type": "websocket.receive", "text": "hello"}, {"type": "websocket.connect"}]

    async def receive():
        return received.pop()

    await app({**exchange.scope, "type": "websocket", "scheme": "ws", "subprotocols": []}, receive, exchange.send)

    assert [m.get("text") for m in exchange.sent if m["type"] == "websocket.send"] == ["hello"]
    assert statuses(metrics) == {}


async def test_the_state_of_a_lifespan_reaches_the_handlers(metrics):
    @asynccontextmanager
    async def load(app):
        yield {"weights": 7}

    app = FastAPI(lifespan=load)

    @app.post("/predict")
    async def predict(request: Request) -> int:
        return request.state.weights

    instrument_app(app, model="fraud")
    async with lifespan(app) as state:
        exchange = Exchange()
        exchange.scope["state"] = dict(state)
        assert (await exchange.with_(app)).body == b"7"

    assert statuses(metrics) == {"success": 1}
