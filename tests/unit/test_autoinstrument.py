"""Applications are measured although their code does not mention us, and exactly as if it did."""

from __future__ import annotations

import sys

import pytest
from fastapi import FastAPI
from tests.asgi_exchange import Exchange, lifespan, models_of, statuses
from tests.host_safety import scripts

from infermeter import ConfigError, configure, is_configured, runtime
from infermeter.autoinstrument import (
    InfermeterInstrumentor,
    configure_from_environment,
    instrument_applications,
    restore_applications,
)
from infermeter.fastapi import instrument_app
from infermeter.testing import CapturedMetrics


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Leave the class FastAPI and the way processes start as they were."""
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setattr(runtime, "starts_parked", False)
    original = FastAPI.build_middleware_stack
    yield
    restore_applications()
    assert FastAPI.build_middleware_stack is original


def service() -> FastAPI:
    app = FastAPI()
    app.post("/predict")(lambda: 1)
    return app


def live() -> CapturedMetrics:
    return CapturedMetrics(runtime.live.families)


async def test_an_application_made_before_is_counted():
    app = service()
    instrument_applications()
    async with lifespan(app):
        await Exchange().with_(app)

    assert statuses(live(), "/predict") == {"success": 1}


async def test_the_environment_names_the_model(monkeypatch):
    monkeypatch.setenv("INFERMETER_MODEL", "fraud")
    instrument_applications()
    await Exchange().with_(service())

    assert statuses(live(), "fraud") == {"success": 1}


async def test_a_configuration_of_the_service_is_kept():
    mine = configure(exporter="none", handle_sigterm=False)
    instrument_applications()
    await Exchange().with_(service())

    assert runtime.live is mine
    assert statuses(live(), "/predict") == {"success": 1}


async def test_an_application_that_instruments_itself_keeps_its_arguments():
    instrument_applications()
    app = service()
    instrument_app(app, model="fraud")
    await Exchange().with_(app)

    assert models_of(live()) == {"fraud"}


async def test_a_mounted_application_counts_once_with_its_whole_template():
    instrument_applications()
    app, inner = FastAPI(), service()
    app.mount("/inner", inner)
    await Exchange("/inner/predict").with_(app)

    assert statuses(live(), "/inner/predict") == {"success": 1}
    assert models_of(live()) == {"/inner/predict"}


async def test_restoring_leaves_later_applications_alone():
    instrument_applications()
    instrument_applications()
    restore_applications()
    restore_applications()
    configure(exporter="none", handle_sigterm=False)
    await Exchange().with_(service())

    assert models_of(live()) == set()


async def test_the_entry_point_configures_instruments_and_takes_it_back():
    instrumentor = InfermeterInstrumentor()
    instrumentor.instrument()
    try:
        assert is_configured()
        await Exchange().with_(service())
        assert statuses(live(), "/predict") == {"success": 1}
    finally:
        instrumentor.uninstrument()
    assert list(instrumentor.instrumentation_dependencies()) == []


async def test_a_wrong_setting_does_not_stop_an_application_that_does_not_know_us(monkeypatch, swallowed):
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "soon")
    instrument_applications()

    assert (await Exchange().with_(service())).status == 200
    assert [(where, type(error)) for where, error in swallowed] == [("autoinstrument", ConfigError)]


def test_exports_wait_for_the_first_record(connect, sink, monkeypatch):
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
    configure_from_environment()
    configure_from_environment()

    assert runtime.live.ticker._parked
    runtime.live.start()
    sink.await_total(1, "infermeter_info")


def test_fastapi_is_instrumented_when_it_is_imported_and_not_before():
    program = """
    import sys
    from infermeter.autoinstrument import begin
    begin()
    assert "fastapi" not in sys.modules
    from importlib.metadata import version
    import fastapi, fastapi.applications, inspect
    assert fastapi.FastAPI.build_middleware_stack.__module__ == "infermeter.autoinstrument"
    assert fastapi.applications.__spec__.loader is fastapi.applications.__loader__
    assert type(fastapi.applications.__loader__).__name__ == "SourceFileLoader"
    assert "class FastAPI" in inspect.getsource(fastapi.applications)
    print("ok")
    """
    done = scripts.run(program)

    assert done.stdout == "ok\n", done.stderr


def test_a_missing_fastapi_is_missed_as_before():
    program = """
    import sys
    from infermeter.autoinstrument import begin
    begin()
    sys.path[:] = [entry for entry in sys.path if "site-packages" not in entry]
    try:
        import fastapi
    except ModuleNotFoundError as missing:
        print(missing.name)
    """
    done = scripts.run(program)

    assert done.stdout == "fastapi\n", done.stderr


def test_the_folder_of_run_is_not_left_on_the_path():
    assert not any("autoload" in entry for entry in sys.path)
