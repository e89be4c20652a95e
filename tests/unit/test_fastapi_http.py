"""HTTP telemetry is counted once, by one instrumentation, and only where it was asked for."""

from __future__ import annotations

import os

import pytest
from fastapi import FastAPI
from opentelemetry import metrics as otel
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from starlette.background import BackgroundTask
from tests.asgi_exchange import Exchange, lifespan

from infermeter import configure, runtime, shutdown
from infermeter.fastapi import instrument_app

DURATION = "http.server.request.duration"
REQUESTS = "model_inference_requests_total"


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Give back what the instrumentation changes for the whole process."""
    from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability as Conventions

    monkeypatch.setattr(Conventions, "_initialized", False)
    monkeypatch.setattr(Conventions, "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING", {})
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "")
    monkeypatch.delenv("OTEL_SEMCONV_STABILITY_OPT_IN")
    original = BackgroundTask.__call__
    yield
    BackgroundTask.__call__ = original
    if hasattr(BackgroundTask, "_otel_original_call"):
        del BackgroundTask._otel_original_call


def service(**options) -> FastAPI:
    app = FastAPI()
    app.post("/predict/{user}")(lambda user: 1)
    instrument_app(app, **{"model": "fraud", "http": True, **options})
    return app


def http_points(sink) -> dict[str, list]:
    found: dict[str, list] = {}
    for request in sink.latest().values():
        for name, labels, point in request.points():
            if name.startswith("http."):
                found.setdefault(name, []).append((labels, point))
    return found


async def test_each_request_is_counted_once_next_to_its_inference(connect, sink):
    telemetry = connect()
    app = service()
    for user in ("a", "b", "c"):
        await Exchange(f"/predict/{user}").with_(app)
    assert telemetry.force_flush()

    ((labels, point),) = http_points(sink)[DURATION]
    assert point.count == 3
    assert labels["http.route"] == "/predict/{user}"
    assert sink.total(REQUESTS, model_name="fraud", status="success") == 3


async def test_labels_hold_nothing_that_a_caller_chooses(connect, sink):
    telemetry = connect()
    app = service()
    for number in range(5):
        exchange = Exchange(f"/predict/{number}")
        exchange.scope["headers"] = [(b"host", b"evil%d" % number)]
        await exchange.with_(app)
    telemetry.force_flush()

    for name, points in http_points(sink).items():
        assert len(points) == 1, name
        assert "evil" not in repr(points)


async def test_without_http_nobody_makes_http_metrics(connect, sink):
    telemetry = connect()
    app = service(http=False)
    await Exchange("/predict/a").with_(app)
    telemetry.force_flush()

    assert http_points(sink) == {}
    assert type(otel.get_meter_provider()).__name__ == "_ProxyMeterProvider", "the global provider is not ours to set"
    assert "OTEL_SEMCONV_STABILITY_OPT_IN" not in os.environ


async def test_a_global_provider_of_the_application_does_not_count_a_second_time(connect, sink, monkeypatch):
    telemetry = connect()
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", provider)
    app = service()
    await Exchange("/predict/a").with_(app)
    telemetry.force_flush()

    assert [point.count for _, point in http_points(sink)[DURATION]] == [1]
    assert reader.get_metrics_data() is None, "FastAPI's own telemetry stepped aside"


async def test_an_application_that_is_already_instrumented_is_left_alone(connect, sink, caplog):
    telemetry = connect()
    reader = InMemoryMetricReader()
    app = FastAPI()
    app.post("/predict")(lambda: 1)
    instrument_app(app, model="fraud", http=True)
    FastAPIInstrumentor.instrument_app(app, meter_provider=MeterProvider([reader], shutdown_on_exit=False))
    await Exchange().with_(app)
    telemetry.force_flush()

    assert http_points(sink) == {}
    assert reader.get_metrics_data() is not None
    assert [record.getMessage() for record in caplog.records] == []
    assert sink.total(REQUESTS, model_name="fraud", status="success") == 1


async def test_asking_twice_counts_once_and_asking_again_without_turns_it_off(connect, sink):
    telemetry = connect()
    twice = service()
    instrument_app(twice, model="fraud", http=True)
    off = service()
    instrument_app(off, model="fraud", http=False)
    await Exchange("/predict/a").with_(twice)
    await Exchange("/predict/a").with_(off)
    telemetry.force_flush()

    assert [point.count for _, point in http_points(sink)[DURATION]] == [1]


async def test_an_application_that_starts_before_configure_reports_from_then_on(connect, sink):
    app = service()
    async with lifespan(app):
        await Exchange("/predict/a").with_(app)
        telemetry = connect()
        await Exchange("/predict/b").with_(app)
        telemetry.force_flush()

        assert [point.count for _, point in http_points(sink)[DURATION]] == [1]
        shutdown()
        await Exchange("/predict/c").with_(app)


async def test_a_second_configuration_takes_http_metrics_over(connect, sink):
    app = service()
    configure(exporter="none", handle_sigterm=False)
    await Exchange("/predict/a").with_(app)
    telemetry = connect()
    for user in ("b", "c"):
        await Exchange(f"/predict/{user}").with_(app)
    telemetry.force_flush()

    assert runtime.live is telemetry
    assert [point.count for _, point in http_points(sink)[DURATION]] == [2]


async def test_conventions_that_the_environment_chose_stay(connect, sink, monkeypatch):
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup")
    telemetry = connect()
    await Exchange("/predict/a").with_(service())
    telemetry.force_flush()

    assert {DURATION, "http.server.duration"} <= set(http_points(sink))


async def test_exceptions_pass_and_requests_are_timed_as_without(connect, sink):
    connect()
    app = FastAPI()
    raised = ArithmeticError("broke")

    @app.post("/predict")
    async def predict() -> None:
        raise raised

    instrument_app(app, model="fraud", http=True)
    with pytest.raises(ArithmeticError) as caught:
        await Exchange().with_(app)

    assert caught.value is raised
