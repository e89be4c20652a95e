"""The ASGI middleware counts each request once, for as long as it took, in the way it ended."""

from __future__ import annotations

import asyncio

import pytest
from tests.asgi_exchange import Exchange, answering, chunk, measured, models_of, start, statuses

from infermeter import configure, instrument_inference, runtime
from infermeter.targets import Target
from infermeter.testing import CapturedMetrics

LATENCY = "model_inference_latency_seconds"
IN_FLIGHT, EXCEPTIONS = "model_inference_in_flight", "model_inference_exceptions_total"


@pytest.fixture
def metrics(captured_metrics: CapturedMetrics):
    """What was recorded; whatever a test does, nothing stays in flight."""
    yield captured_metrics
    assert all(point.value == 0 for point in captured_metrics.points(IN_FLIGHT))


@pytest.mark.parametrize(
    ("http_status", "status"),
    [
        (200, "success"),
        (204, "success"),
        (302, "success"),
        (400, "rejected"),
        (408, "rejected"),
        (422, "rejected"),
        (429, "rejected"),
        (499, "cancelled"),
        (500, "error"),
        (503, "error"),
        (504, "timeout"),
    ],
)
async def test_the_answer_decides_the_status(metrics, http_status, status):
    await Exchange().with_(measured(answering(http_status)))

    assert statuses(metrics) == {status: 1}
    assert metrics.points(EXCEPTIONS) == []


async def test_a_request_is_timed_to_its_last_chunk_and_not_to_the_end_of_background_work(metrics, fake_clock):
    async def app(scope, receive, send):
        fake_clock.advance(1)
        await send(start())
        fake_clock.advance(1)
        await send(chunk(more=True))
        fake_clock.advance(1)
        await send(chunk())
        assert statuses(metrics) == {"success": 1}
        fake_clock.advance(60)

    await Exchange().with_(measured(app))

    assert metrics.value(LATENCY) == 3
    assert metrics.count(LATENCY) == 1


async def test_sending_a_file_by_its_path_ends_a_request(metrics):
    async def app(scope, receive, send):
        await send(start())
        await send({"type": "http.response.pathsend", "path": "/file"})

    await Exchange().with_(measured(app))

    assert statuses(metrics) == {"success": 1}


async def test_a_request_is_in_flight_from_reading_its_body_to_its_last_chunk(metrics):
    seen = []

    async def app(scope, receive, send):
        await receive()
        seen.append(metrics.value(IN_FLIGHT))
        await send(start())
        seen.append(metrics.value(IN_FLIGHT))
        await send(chunk())
        seen.append(metrics.value(IN_FLIGHT))

    await Exchange().with_(measured(app))

    assert seen == [1, 1, 0]


async def test_a_stream_without_a_body_to_read_is_in_flight_from_its_first_chunk(metrics):
    async def app(scope, receive, send):
        await send(start())
        assert metrics.value(IN_FLIGHT) == 1
        await send(chunk())

    await Exchange().with_(measured(app))


class BrokenModelError(Exception):
    pass


async def test_an_exception_passes_unchanged_and_counts_by_its_class(metrics):
    raised = BrokenModelError("secret text")

    async def app(scope, receive, send):
        await receive()
        raise raised

    with pytest.raises(BrokenModelError) as caught:
        await Exchange().with_(measured(app))

    assert caught.value is raised
    assert raised.__context__ is None
    assert statuses(metrics) == {"error": 1}
    assert [(p.labels["error_type"], p.value) for p in metrics.points(EXCEPTIONS)] == [("BrokenModelError", 1)]


async def test_an_exception_in_the_middle_of_a_stream_is_an_error(metrics):
    async def app(scope, receive, send):
        await send(start())
        await send(chunk(more=True))
        raise BrokenModelError

    with pytest.raises(BrokenModelError):
        await Exchange().with_(measured(app))

    assert statuses(metrics) == {"error": 1}


async def test_an_exception_after_the_last_chunk_passes_and_changes_nothing(metrics):
    async def app(scope, receive, send):
        await answering(200)(scope, receive, send)
        raise BrokenModelError

    with pytest.raises(BrokenModelError):
        await Exchange().with_(measured(app))

    assert statuses(metrics) == {"success": 1}
    assert metrics.points(EXCEPTIONS) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_ends_a_process_passes(metrics, error):
    async def app(scope, receive, send):
        raise error

    call = measured(app)(Exchange().scope, None, None)
    with pytest.raises(error):
        call.send(None)

    assert sum(statuses(metrics).values()) == 1


@pytest.mark.parametrize(("error", "status"), [(TimeoutError, "timeout"), (asyncio.TimeoutError, "timeout")])
async def test_a_timeout_that_leaves_the_application_is_a_timeout(metrics, error, status):
    async def app(scope, receive, send):
        raise error

    with pytest.raises(error):
        await Exchange().with_(measured(app))

    assert statuses(metrics) == {status: 1}


async def test_an_application_that_returns_without_a_whole_answer_is_an_error(metrics):
    async def silent(scope, receive, send):
        pass

    async def broken_off(scope, receive, send):
        await send(start())
        await send(chunk(more=True))

    async def forgetful(scope, receive, send):
        await receive()

    await Exchange().with_(measured(silent))
    await Exchange().with_(measured(broken_off))
    await Exchange().with_(measured(forgetful))

    assert statuses(metrics) == {"error": 3}


async def test_a_handler_that_records_is_not_counted_again(metrics):
    predict = instrument_inference("own")(lambda: None)
    in_flight = []

    async def app(scope, receive, send):
        await receive()
        in_flight.append(metrics.value(IN_FLIGHT, model_name="fraud"))
        predict()
        await send(start())
        await send(chunk())

    middleware = measured(app)
    await Exchange().with_(middleware)
    await Exchange().with_(middleware)

    assert statuses(metrics, "own") == {"success": 2}
    assert statuses(metrics) == {}
    assert in_flight == [1, 0], "after the first request it is known that the handler shows its own"


async def test_a_thread_that_runs_the_handler_tells_its_request(metrics):
    predict = instrument_inference("own")(lambda: None)

    async def app(scope, receive, send):
        await asyncio.to_thread(predict)
        await answering(200)(scope, receive, send)

    await Exchange().with_(measured(app))

    assert statuses(metrics, "own") == {"success": 1}
    assert models_of(metrics) == {"own"}


async def test_requests_at_the_same_time_do_not_take_each_other_for_recorded(metrics):
    predict = instrument_inference("own")(lambda: None)
    both = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else None

    async def app(scope, receive, send):
        await receive()
        if both is not None:
            await both.wait()
        if scope["path"] == "/own":
            predict()
        await send(start())
        await send(chunk())

    middleware = measured(app)
    await asyncio.gather(Exchange("/own").with_(middleware), Exchange("/other").with_(middleware))

    assert statuses(metrics, "own") == {"success": 1}
    assert statuses(metrics) == {"success": 1}


@pytest.mark.parametrize(("inner_status", "inner", "outer"), [(200, 1, 0), (404, 0, 0), (500, 1, 0)])
async def test_one_of_ours_inside_another_counts_once_in_the_inner(metrics, inner_status, inner, outer):
    app = measured(measured(answering(inner_status), Target("inner")), Target("outer"))

    await Exchange().with_(app)

    assert sum(statuses(metrics, "inner").values()) == inner
    assert sum(statuses(metrics, "outer").values()) == outer


async def test_an_inner_one_that_raises_counts_once(metrics):
    async def app(scope, receive, send):
        raise BrokenModelError

    with pytest.raises(BrokenModelError):
        await Exchange().with_(measured(measured(app, Target("inner")), Target("outer")))

    assert statuses(metrics, "inner") == {"error": 1}
    assert statuses(metrics, "outer") == {}


async def test_one_that_yields_leaves_the_request_to_the_outer(metrics):
    await Exchange().with_(measured(measured(answering(200), Target("inner"), yields=True), Target("outer")))

    assert statuses(metrics, "outer") == {"success": 1}
    assert models_of(metrics) == {"outer"}


@pytest.mark.parametrize("kind", ["websocket", "anything-new"])
async def test_other_connections_get_what_the_server_gave(metrics, kind):
    seen = []

    async def app(*given):
        seen.extend(given)

    given = ({"type": kind}, object(), object())
    await measured(app)(*given)

    assert all(a is b for a, b in zip(seen, given, strict=True))
    assert given[0] == {"type": kind}


async def test_nothing_is_wrapped_before_configure():
    seen = []

    async def app(*given):
        seen.extend(given)

    given = (Exchange().scope, object(), object())
    await measured(app)(*given)

    assert runtime.live is None
    assert all(a is b for a, b in zip(seen, given, strict=True))


async def test_other_methods_are_no_inferences(metrics):
    await Exchange(method="GET").with_(measured(answering(200)))

    assert models_of(metrics) == set()


async def test_a_new_configuration_takes_over_between_requests(metrics):
    middleware = measured(answering(200))
    await Exchange().with_(middleware)
    again = configure(exporter="none", handle_sigterm=False)
    await Exchange().with_(middleware)

    assert runtime.live is again
    assert statuses(metrics) == {"success": 1}


async def test_a_shutdown_in_the_middle_of_a_request_disturbs_nobody(metrics):
    async def app(scope, receive, send):
        await receive()
        runtime.shutdown()
        await send(start())
        await send(chunk())

    exchange = await Exchange().with_(measured(app))

    assert exchange.body == b"x"
