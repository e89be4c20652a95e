"""What instrument_app accepts, refuses, and replaces."""

from __future__ import annotations

import builtins
import importlib
import logging
import sys
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from tests.asgi_exchange import Exchange, lifespan

from infermeter import ConfigError, MissingExtraError
from infermeter.asgi import InferenceMiddleware
from infermeter.fastapi import instrument_app

REQUESTS = "model_inference_requests_total"


def service() -> FastAPI:
    app = FastAPI(title="scoring")
    app.post("/predict")(lambda: 1)
    return app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": ""}, "model must be a text of at least one character or None, got ''"),
        ({"model": " "}, "model must be a text of at least one character or None, got ' '"),
        ({"model": 3}, "model must be a text of at least one character or None, got 3"),
        ({"version": 3}, "version must be a text or None, got 3"),
        ({"routes": "/predict"}, "routes must be a list of route templates or globs"),
        ({"routes": ["predict"]}, "routes must hold route templates or globs.*got 'predict'"),
        ({"routes": [None]}, "routes must hold route templates or globs.*got None"),
        ({"exclude": "/health"}, "exclude must be a list of route templates or globs"),
        ({"exclude": None}, "exclude must be a list of route templates or globs.*got None"),
        ({"exclude": [""]}, "exclude must hold route templates or globs.*got ''"),
        ({"http": "yes"}, "http must be True or False, got 'yes'"),
    ],
)
def test_a_wrong_argument_is_refused_by_name_value_and_what_is_allowed(arguments, message):
    app = service()
    with pytest.raises(ConfigError, match=message):
        instrument_app(app, **arguments)

    assert app.user_middleware == []


@pytest.mark.parametrize("app", [None, "app", Starlette(), FastAPI])
def test_something_that_is_no_fastapi_application_is_refused(app):
    with pytest.raises(ConfigError, match="app must be a FastAPI application, got"):
        instrument_app(app)


async def test_an_application_that_has_started_is_refused_with_what_to_do():
    app = service()
    await Exchange().with_(app)

    with pytest.raises(
        ConfigError, match="before it starts: call instrument_app where the application 'scoring' is made"
    ):
        instrument_app(app)


async def test_instrumenting_in_a_lifespan_is_refused_with_what_to_do():
    @asynccontextmanager
    async def too_late(app):
        with pytest.raises(ConfigError, match="not in its lifespan"):
            instrument_app(app)
        yield

    async with lifespan(FastAPI(lifespan=too_late)):
        pass


async def test_instrumenting_twice_counts_once_with_the_last_arguments(captured_metrics):
    app = service()
    instrument_app(app, model="first")
    instrument_app(app, model="second")
    await Exchange().with_(app)

    assert captured_metrics.value(REQUESTS, status="success") == 1
    assert captured_metrics.value(REQUESTS, model_name="second", status="success") == 1


async def test_middleware_of_the_application_stays_where_it_was(captured_metrics):
    class Other:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)

    app = service()
    app.add_middleware(Other)
    instrument_app(app, model="first")
    app.add_middleware(Other)
    instrument_app(app, model="second")

    assert [entry.cls for entry in app.user_middleware] == [Other, InferenceMiddleware, Other]


async def test_a_route_that_was_asked_for_and_does_not_exist_is_said_once(captured_metrics, caplog):
    app = service()
    instrument_app(app, routes=["/predct", "/predict"])
    with caplog.at_level(logging.WARNING, "infermeter"):
        async with lifespan(app):
            pass

    said = [r.getMessage() for r in caplog.records if "matches no route" in r.getMessage()]
    assert len(said) == 1
    assert said[0].startswith(
        "instrument_app: routes=['/predct'] matches no route; there are: ['/openapi.json', '/docs'"
    )


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Make a package look as if it were not installed."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def refuse(name, *rest):
        if name == package or name.startswith(f"{package}."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(importlib, "import_module", refuse)


def test_without_fastapi_the_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "infermeter.fastapi")
    without(monkeypatch, "fastapi")

    with pytest.raises(MissingExtraError, match=r'pip install "infermeter\[fastapi\]"'):
        from infermeter.fastapi import instrument_app  # noqa: F401


def test_http_without_its_instrumentation_names_the_extra(monkeypatch):
    app = service()
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.fastapi", None)

    with pytest.raises(
        MissingExtraError, match=r'http=True needs the extra "fastapi": pip install "infermeter\[fastapi\]"'
    ):
        instrument_app(app, http=True)
