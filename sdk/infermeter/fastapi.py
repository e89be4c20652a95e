"""Counts the requests of a FastAPI application as inferences. The only file that imports FastAPI.

Knows how FastAPI and Starlette tell which route a request took, in all supported versions; knows nothing of cells.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING

from infermeter import guard, models
from infermeter.asgi import InferenceMiddleware
from infermeter.drift.bodies import BodyInputs, InputsPath
from infermeter.errors import ConfigError, MissingExtraError
from infermeter.targets import OnBody, Scope, Target

try:
    from fastapi import FastAPI
    from starlette.middleware import Middleware

    from infermeter.routes import PARAMETER, all_places, pattern_of
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] not in ("fastapi", "starlette"):
        raise
    raise MissingExtraError("infermeter.fastapi", "fastapi") from missing

if TYPE_CHECKING:
    from starlette.types import ASGIApp

EXCLUDED = (
    *("/health", "/health/*", "/healthz", "/livez", "/readyz", "/live", "/ready", "/ping"),
    *("/metrics", "/metrics/*", "/docs", "/docs/*", "/redoc", "/openapi.json"),
)
"""Routes that are no inferences unless ``exclude`` says otherwise."""

_MODEL_PARAMETERS, _VERSION_PARAMETERS = ("model_name", "model"), ("model_version", "version")
_MODEL_VARIABLE, _VERSION_VARIABLE = "INFERMETER_MODEL", "INFERMETER_MODEL_VERSION"
_METHODS, _ANY_METHOD = ("POST",), ("GET", "POST", "PUT", "PATCH", "DELETE", "QUERY")
_REMEMBERED_ROUTES = 4096


def instrument_app(
    app: FastAPI,
    *,
    model: str | None = None,
    version: str | None = None,
    routes: Sequence[str] | None = None,
    exclude: Sequence[str] = EXCLUDED,
    inputs: str | Mapping[str, str] | None = None,
    http: bool = False,
) -> None:
    """Count each request to an inference route as one inference, and export what is left when the application stops.

    To be called before the application starts, in any order with ``configure()`` and with adding routes. Called again,
    the new arguments replace the old ones. A handler that records an inference itself is not counted again, wherever it
    runs the model, except by ``loop.run_in_executor``, which hides the request from the thread: call
    ``asyncio.to_thread`` instead, or exclude the route.

    The model is the argument, else the path parameter ``model_name`` or ``model``, else INFERMETER_MODEL, else the
    route template as the application defines it (with the prefixes of routers and mounts, without a proxy's root
    path). The version is the argument, else ``model_version`` or ``version``, else INFERMETER_MODEL_VERSION, else
    empty. A path parameter becomes no label where the answer is 404 or 422, nor where another 4xx answers a name that
    has not been served before: callers do not choose labels. An answer 404 is counted, as rejected, only where
    argument or environment name the model; 405 never. Calls in flight are shown from the moment a handler reads its
    body or begins to answer.

    Args:
        app: The application; one that is mounted in another has no lifespan of its own, so also instrument the outer.
        model: Model that all inference routes serve.
        version: Version of it.
        routes: Templates or globs of the inference routes, whatever their method, such as ``/v1/{model}/predict`` or
            ``/v1/*``. Default: every route that takes POST.
        exclude: Templates or globs that are no inferences; replaces the default: health, metrics and docs.
        inputs: Where the JSON body holds the inputs of the model, for its ``monitor_drift``: ``features``,
            ``transaction.features``, ``instances[*].features`` for many rows, ``$`` for the body itself; or such a
            place by template or glob of routes. Model and version, found as above, say whose monitor counts. Bodies are
            kept as the application reads them, up to 1 MiB, and their inputs counted after the answer, unless it is
            4xx: JSON is read twice, which ``monitor.inputs`` on the handler spares. A body without inputs there is
            counted in ``infermeter_dropped_total``.
        http: Also make spans and HTTP server metrics, by opentelemetry-instrumentation-fastapi, with the stable names
            unless OTEL_SEMCONV_STABILITY_OPT_IN says otherwise. FastAPI's own telemetry then steps aside. Spans go to
            the global tracer provider, metrics out with ours.

    Raises:
        ConfigError: An argument has a value that is not allowed, or the application has started.
        MissingExtraError: ``http`` without opentelemetry-instrumentation-fastapi.
    """
    _instrument(app, model, version, routes, exclude, inputs, http=http, yields=False)


def instrument_unless_instrumented(app: FastAPI) -> None:
    """Instrument an application that its code has not instrumented; what it is mounted in counts before it does."""
    if _position(app) is None:
        _instrument(app, None, None, None, EXCLUDED, None, http=False, yields=True)


def _instrument(
    app: FastAPI,
    model: str | None,
    version: str | None,
    routes: Sequence[str] | None,
    exclude: Sequence[str],
    inputs: str | Mapping[str, str] | None,
    *,
    http: bool,
    yields: bool,
) -> None:
    if not isinstance(app, FastAPI):  # pyright: ignore[reportUnnecessaryIsInstance]  not every caller checks types
        raise ConfigError(f"app must be a FastAPI application, got {app!r}")
    if app.middleware_stack is not None:
        raise ConfigError(
            f"app must be instrumented before it starts: call instrument_app where the application {app.title!r} is "
            "made, not in its lifespan or in a request"
        )
    choice = _Routes(
        app,
        model=_checked_label("model", model, may_be_empty=False),
        version=_checked_label("version", version, may_be_empty=True),
        chosen=None if routes is None else _checked_patterns("routes", routes),
        excluded=_checked_patterns("exclude", exclude),
        inputs=_checked_inputs(inputs),
    )
    if not isinstance(http, bool):  # pyright: ignore[reportUnnecessaryIsInstance]  as above
        raise ConfigError(f"http must be True or False, got {http!r}")
    _set_http(app, wanted=http)
    entry = Middleware(
        InferenceMiddleware,
        target_of=choice.target_of,
        target_by_path=choice.target_by_path,
        methods=_METHODS if routes is None else _ANY_METHOD,
        yields=yields,
        on_startup=choice.check,
        keeps_bodies=inputs is not None,
    )
    position = _position(app)
    if position is not None:
        app.user_middleware[position] = entry
    else:
        app.user_middleware.insert(0, entry)  # the outermost: its clock is the caller's


def _position(app: FastAPI) -> int | None:
    """Return where among the middleware of an application ours is."""
    kinds: list[object] = [entry.cls for entry in app.user_middleware]
    return kinds.index(InferenceMiddleware) if InferenceMiddleware in kinds else None


def _checked_label(argument: str, value: object, *, may_be_empty: bool) -> str | None:
    if value is None or (isinstance(value, str) and (may_be_empty or value.strip())):
        return value
    allowed = "a text" if may_be_empty else "a text of at least one character"
    raise ConfigError(f"{argument} must be {allowed} or None, got {value!r}")


def _checked_patterns(argument: str, value: Sequence[str]) -> tuple[str, ...]:
    """Return patterns as templates spell them: ``{name:path}`` is ``{name}`` there."""
    given: object = value
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise ConfigError(f'{argument} must be a list of route templates or globs, such as ["/v1/*"], got {value!r}')
    for pattern in value:
        if not isinstance(pattern, str) or not pattern.startswith(("/", "*")):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                f'{argument} must hold route templates or globs, such as "/predict", "/v1/{{model}}/predict" or '
                f'"/v1/*", got {pattern!r}'
            )
    return tuple(PARAMETER.sub(r"{\1}", pattern) for pattern in value)


def _checked_inputs(value: str | Mapping[str, str] | None) -> dict[str, OnBody]:
    """Return who counts the inputs in a body, by pattern."""
    if value is None:
        return {}
    given: Mapping[str, object] = value if isinstance(value, Mapping) else {"*": value}
    patterns = _checked_patterns("inputs", list(given))
    parse = _json_parser()
    return {
        pattern: BodyInputs(InputsPath(place), parse).count
        for pattern, place in zip(patterns, given.values(), strict=True)
    }


def _json_parser() -> Callable[[bytes], object]:
    """Return the parser that comes with FastAPI: a fraction of the standard library's time for many numbers."""
    try:
        from pydantic_core import from_json
    except ImportError:  # before pydantic 2
        return json.loads
    return from_json


_UNKNOWN = Target("unknown")


class _Routes:
    """Says what a request counts as, from the route that took it.

    Args:
        app: The application, with the routes it has or will have.
        model: Model of all inference routes; None to let path, environment or template decide.
        version: The same for the version.
        chosen: Patterns of inference routes; None for all.
        excluded: Patterns of other routes.
        inputs: Who counts the inputs in a body, by pattern; the first that fits.
    """

    def __init__(
        self,
        app: FastAPI,
        *,
        model: str | None,
        version: str | None,
        chosen: tuple[str, ...] | None,
        excluded: tuple[str, ...],
        inputs: Mapping[str, OnBody],
    ) -> None:
        self._app, self._model, self._version = app, model, version
        self._chosen, self._excluded, self._inputs = chosen, excluded, inputs
        self._by_route: dict[int, Target | None] = {}  # of routes that can be reached in one way only
        self._by_place: dict[int, list[tuple[re.Pattern[str], Target | None]]] = {}
        self._by_path: list[tuple[Collection[str], re.Pattern[str], Target | None]] = []
        self._paths_known = 0  # how many routes the application had when they were taken down
        self._kept: list[object] = []  # routes are remembered by identity, so they must stay alive
        self._targets: dict[str, Target | None] = {}
        name = model or os.environ.get(_MODEL_VARIABLE)
        number = version if version is not None else os.environ.get(_VERSION_VARIABLE)
        if name and number is not None:  # its zeros leave before its first request: a first failure is a rise from 0
            models.declare(name, number)

    def target_of(self, scope: Scope) -> Target | None:
        """Return what a request counts as; None while no route has taken it, or for no inference."""
        route: object = scope.get("route")
        target = self._by_route.get(id(route), _UNKNOWN)
        return target if target is not _UNKNOWN else self._find(scope, route)

    def target_by_path(self, scope: Scope) -> Target | None:
        """Return what a request counts as that a middleware kept from all routes: what takes its path."""
        if scope.get("endpoint") not in (None, self._app):  # a mounted application has itself there
            return None
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        return next(
            (
                target
                for methods, pattern, target in self._paths()
                if scope["method"] in methods and pattern.fullmatch(path)
            ),
            None,
        )

    def _paths(self) -> list[tuple[Collection[str], re.Pattern[str], Target | None]]:
        """Return all routes by methods and path, the most specific first."""
        known = len(self._app.routes)
        if known != self._paths_known:
            places = sorted(all_places(self._app.routes), key=lambda place: -len(place.template))
            self._by_path = [
                (getattr(place.route, "methods", None) or (), pattern_of(place.template), self._target(place.template))
                for place in places
            ]
            self._paths_known = known
        return self._by_path

    def check(self) -> None:
        """Declare models that no path names, once all routes are known, and say once if a chosen route is missing.

        A model without a version is not declared before: some path may yet name the version.
        """
        templates = [place.template for place in all_places(self._app.routes)]
        for template in templates:
            target = self._target(template)
            if target is not None and target.is_declared:
                models.declare(*target.own)
        asked = [(f"routes=[{pattern!r}]", pattern) for pattern in self._chosen or ()]
        asked += [(f"inputs={{{pattern!r}: ...}}", pattern) for pattern in self._inputs if pattern != "*"]
        for argument, pattern in asked:
            if not any(fnmatchcase(template, pattern) for template in templates):
                guard.log_once(
                    "asgi", argument, "instrument_app: %s matches no route; there are: %s", argument, templates
                )

    def _find(self, scope: Scope, route: object) -> Target | None:
        """Find a route among those of the application; the slow path of its first request, and of shared routes."""
        if route is None:
            route = scope.get("endpoint")  # all that older versions of Starlette leave
            if route is None:
                return None
            if id(route) in self._by_route:
                return self._by_route[id(route)]
        places = self._by_place.get(id(route)) or self._remember(route)
        if len(places) <= 1:
            return places[0][1] if places else None
        path: str = scope["path"].removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
        while path:
            fitting = [(len(pattern.pattern), target) for pattern, target in places if pattern.fullmatch(path)]
            if fitting:
                return max(fitting, key=lambda fit: fit[0])[1]
            # A mounted application's templates begin below its mount, and where that ends the scope no longer tells.
            _, slash, rest = path[1:].partition("/")
            path = slash + rest
        return None

    def _remember(self, route: object) -> list[tuple[re.Pattern[str], Target | None]]:
        if len(self._kept) >= _REMEMBERED_ROUTES:
            self._by_route, self._by_place, self._kept = {}, {}, []
        templates = dict.fromkeys(
            place.template for place in all_places(self._app.routes) if place.route is route or place.endpoint is route
        )
        places = [(pattern_of(template), self._target(template)) for template in templates]
        self._kept.append(route)
        if len(places) > 1:
            self._by_place[id(route)] = places
        else:
            self._by_route[id(route)] = places[0][1] if places else None
        return places

    def _target(self, template: str) -> Target | None:
        if template not in self._targets:
            chosen = self._chosen is None or any(fnmatchcase(template, pattern) for pattern in self._chosen)
            excluded = any(fnmatchcase(template, pattern) for pattern in self._excluded)
            self._targets[template] = self._new_target(template) if chosen and not excluded else None
        return self._targets[template]

    def _new_target(self, template: str) -> Target:
        parameters = PARAMETER.findall(template)
        by_model = "" if self._model else next((name for name in _MODEL_PARAMETERS if name in parameters), "")
        by_version = (
            "" if self._version is not None else next((name for name in _VERSION_PARAMETERS if name in parameters), "")
        )
        name = self._model or os.environ.get(_MODEL_VARIABLE)
        version = self._version if self._version is not None else os.environ.get(_VERSION_VARIABLE, "")
        return Target(
            name or template,
            version,
            model_parameter=by_model,
            version_parameter=by_version,
            is_declared=bool(name) and not by_model and not by_version,
            on_body=next((count for pattern, count in self._inputs.items() if fnmatchcase(template, pattern)), None),
        )


class _HttpTelemetry:
    """Takes the place of an application's ``build_middleware_stack``: adds HTTP telemetry when the stack is built.

    Not before: until then the application may be instrumented by somebody else, who is left alone.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def __call__(self) -> ASGIApp:
        app = self._app
        if getattr(app, "_is_instrumented_by_opentelemetry", False):
            return type(app).build_middleware_stack(app)
        del app.build_middleware_stack
        with guard.guard("http"):
            from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

            from infermeter.http_telemetry import LiveMeterProvider, prefer_stable_names

            prefer_stable_names()
            FastAPIInstrumentor.instrument_app(app, meter_provider=LiveMeterProvider())
        return app.build_middleware_stack()


def _set_http(app: FastAPI, *, wanted: bool) -> None:
    if isinstance(app.__dict__.get("build_middleware_stack"), _HttpTelemetry):
        del app.build_middleware_stack
    if not wanted:
        return
    try:
        import_module("opentelemetry.instrumentation.fastapi")
    except ModuleNotFoundError as missing:
        if not (missing.name or "").startswith("opentelemetry.instrumentation"):
            raise
        raise MissingExtraError("http=True", "fastapi") from missing
    if not getattr(app, "_is_instrumented_by_opentelemetry", False):
        app.build_middleware_stack = _HttpTelemetry(app)  # type: ignore[method-assign]
