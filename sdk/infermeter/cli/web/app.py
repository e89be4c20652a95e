"""The console as an ASGI application: which path is answered with what. Knows no sockets and no processes."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import anyio
import yaml
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from infermeter.cli.web import content
from infermeter.cli.web.allowed import permission
from infermeter.cli.web.errors import RefusedError, refusal
from infermeter.cli.web.gate import OPEN_PATH, Gate
from infermeter.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from infermeter.cli.web.upstream import Answer, Upstream

MOST_BODY_BYTES = 256 << 10
BODY_TIMEOUT_S = 10.0
GRAFANA_SCRAPE_INTERVAL_S = 15.0
"""What Grafana assumes where nobody says; so do our dashboards."""
_GONE = 499  # nobody reads it
_FORM = "application/x-www-form-urlencoded"
_FRESH = {"Cache-Control": "no-store"}
# Vite writes the hash of what is in a file into its name.
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_REVALIDATED = {"Cache-Control": "no-cache"}

NO_PAGE = """\
The console's page is not built here. Its sources need Node 20.19 or newer, once; the extra `stack` brings one:

  pip install "infermeter[stack]"
  infermeter console --build           (in a checkout: make console)

Then start this server again: infermeter console, or infermeter down and infermeter up.

The server itself works: /prometheus/api/v1/query?query=up
"""


@dataclass(frozen=True, kw_only=True)
class ConsoleSettings:
    """What a console shows.

    Attributes:
        page: Folder of the built page, or None where there is none.
        upstreams: Where metrics and alerts are asked for.
        hosts: Names under which it may be asked; addresses always may.
        token: What everybody has to show, or None.
        grafana_url: A Grafana with the same dashboards, for links; or None.
        scrape_interval_s: Seconds between two samples; None asks Prometheus.
    """

    page: Path | None
    upstreams: Mapping[str, Upstream]
    hosts: frozenset[str] = frozenset({"localhost"})
    token: str | None = None
    grafana_url: str | None = None
    scrape_interval_s: float | None = None


def make_app(settings: ConsoleSettings) -> ASGIApp:
    """Return the application."""
    console = _Console(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        yield
        for upstream in settings.upstreams.values():
            await upstream.close()

    answers = Starlette(
        routes=[
            Route("/", console.index, methods=["GET"]),
            Route(OPEN_PATH, console.health, methods=["GET"]),
            Route("/d/{uid}", console.as_grafana, methods=["GET"]),
            Route("/d/{uid}/{title}", console.as_grafana, methods=["GET"]),
            Route("/api/config", console.config, methods=["GET"]),
            Route("/api/dashboards", console.dashboards, methods=["GET"]),
            Route("/api/dashboards/{uid}", console.dashboard, methods=["GET"]),
            Route("/api/runbooks/{alert}", console.runbook, methods=["GET"]),
            Route("/prometheus/{rest:path}", console.pass_on, methods=["GET", "POST"]),
            Route("/alertmanager/{rest:path}", console.pass_on, methods=["GET", "POST"]),
            Route("/{file:path}", console.file, methods=["GET"]),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1024, compresslevel=6)],
        exception_handlers={
            RefusedError: _explain,
            HTTPStatus.NOT_FOUND: _not_found,
            HTTPStatus.METHOD_NOT_ALLOWED: _only_reads,
        },
        lifespan=lifespan,
    )
    return Gate(answers, hosts=settings.hosts, token=settings.token)


class _Console:
    """The answers."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._page = content.page_files(settings.page)

    async def index(self, _request: Request) -> Response:
        if content.INDEX not in self._page:
            return PlainTextResponse(NO_PAGE, HTTPStatus.SERVICE_UNAVAILABLE, _FRESH)
        return FileResponse(self._page[content.INDEX], headers=_REVALIDATED)

    async def as_grafana(self, request: Request) -> Response:
        """Lead an address that was copied from Grafana to the same place here: only its path differs."""
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "d"]
        return RedirectResponse(f"/?{urlencode([('d', request.path_params['uid']), *kept])}", headers=_FRESH)

    async def file(self, request: Request) -> Response:
        name: str = request.path_params["file"]
        if name not in self._page:
            return _missing("There is no such page here.")
        return FileResponse(self._page[name], headers=_FOREVER if name.startswith("assets/") else _REVALIDATED)

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_FRESH)

    async def config(self, _request: Request) -> Response:
        answer = {
            "version": __version__,
            **{name: upstream.shown_url for name, upstream in self._settings.upstreams.items()},
            "grafana": self._settings.grafana_url,
            "scrape_interval_s": self._settings.scrape_interval_s or await self._scrape_interval_s(),
        }
        return JSONResponse(answer, headers=_FRESH)

    async def dashboards(self, _request: Request) -> Response:
        return JSONResponse([asdict(one) for one in content.dashboards()], headers=_FRESH)

    async def dashboard(self, request: Request) -> Response:
        text = content.dashboard(request.path_params["uid"])
        if text is None:
            return _missing("There is no dashboard of that uid.")
        return Response(text, headers=_FRESH, media_type="application/json")

    async def runbook(self, request: Request) -> Response:
        text = content.runbook(request.path_params["alert"])
        if text is None:
            return _missing("There is no runbook of that alert.")
        return Response(text, headers=_FRESH, media_type="text/markdown")

    async def pass_on(self, request: Request) -> Response:
        allowed = permission(request.scope["raw_path"].decode("latin-1"))
        if allowed is None or allowed.upstream not in self._settings.upstreams:
            return _missing("This is not among what the console may read.")
        if request.method not in allowed.methods:
            return _only_reads(request, None, allow=allowed.methods)
        body = await _form(request) if request.method == "POST" else None
        upstream = self._settings.upstreams[allowed.upstream]
        answer = await _while_somebody_waits(
            request, lambda: upstream.ask(request.method, allowed.path, request.scope["query_string"], body)
        )
        if answer is None:
            return Response(status_code=_GONE)
        return Response(answer.body, answer.status, _FRESH, media_type="application/json")

    async def _scrape_interval_s(self) -> float:
        """Ask Prometheus how often it scrapes by default; other servers of its API do not know."""
        try:
            answer = await self._settings.upstreams["prometheus"].ask("GET", "/api/v1/status/config")
            interval = yaml.safe_load(json.loads(answer.body)["data"]["yaml"])["global"]["scrape_interval"]
            return _seconds(interval)
        except (RefusedError, LookupError, TypeError, ValueError, yaml.YAMLError):
            return GRAFANA_SCRAPE_INTERVAL_S


async def _while_somebody_waits(request: Request, ask: Callable[[], Awaitable[Answer]]) -> Answer | None:
    """Return the answer, or None when the browser has gone: a page that was left must not keep Prometheus busy."""
    answer: Answer | None = None
    refused: RefusedError | None = None
    async with anyio.create_task_group() as both:

        async def notice_departure() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            both.cancel_scope.cancel()

        both.start_soon(notice_departure)
        try:
            answer = await ask()
        except RefusedError as error:  # not through the group, which would wrap it
            refused = error
        both.cancel_scope.cancel()
    if refused is not None:
        raise refused
    return answer


async def _form(request: Request) -> bytes:
    """Read a form that is neither too long nor too slow."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "bad_request", f"Send {_FORM}.")
    too_long = RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"A question has {MOST_BODY_BYTES >> 10} KiB at most."
    )
    if int(request.headers.get("content-length", "0")) > MOST_BODY_BYTES:
        raise too_long
    body = bytearray()
    try:
        with anyio.fail_after(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BODY_BYTES:
                    raise too_long
    except TimeoutError:
        message = f"The question did not come within {BODY_TIMEOUT_S:g} s."
        raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, "timeout", message) from None
    return bytes(body)


def _seconds(duration: str) -> float:
    """Read a duration as Prometheus writes it, like `1m30s`."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|[smhd])", duration))


def _explain(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    # What was not read of a refused question would be taken for the next one.
    refused_here = error.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return refusal(error.status, error.kind, str(error), {"Connection": "close"} if refused_here else None)


def _missing(why: str) -> Response:
    return refusal(HTTPStatus.NOT_FOUND, "not_found", why)


def _not_found(_request: Request, _error: Exception) -> Response:
    return _missing("There is no such page here.")


def _only_reads(_request: Request, _error: Exception | None, allow: tuple[str, ...] = ("GET",)) -> Response:
    headers = {"Allow": ", ".join(allow), "Connection": "close"}
    return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", "This server only reads.", headers)
