"""A console on a real socket, before a stand-in for Prometheus and Alertmanager that remembers what it was asked."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.waiting import until

from infermeter.cli.web.app import ConsoleSettings, make_app
from infermeter.cli.web.serving import listen, make_server
from infermeter.cli.web.upstream import Upstream


@dataclass(frozen=True)
class Asked:
    """One request as the upstream got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class AskedHandler(http.server.BaseHTTPRequestHandler):
    """A request of the stand-in while it is answered; several are at a time."""

    asked: Asked


Handle = Callable[[AskedHandler], None]


@dataclass
class StandIn:
    """An upstream: answers `{"status": "success"}` unless `handle` is set."""

    asked: list[Asked] = field(default_factory=list)
    handle: Handle | None = None
    url: str = ""


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Listen as an upstream."""
    state = StandIn()

    class Handler(AskedHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.asked = Asked(self.command, self.path, dict(self.headers), body)
            state.asked.append(self.asked)
            if state.handle is not None:
                state.handle(self)
            else:
                answer(self, 200, json.dumps({"status": "success", "data": []}))

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who hangs up early is what we test
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(
    handler: http.server.BaseHTTPRequestHandler,
    status: int,
    body: str | bytes,
    kind: str = "application/json",
    **more: str,
) -> None:
    """Send a whole answer."""
    content = body.encode() if isinstance(body, str) else body
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **more}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


@dataclass(frozen=True)
class Reply:
    """What the console answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


class Console:
    """A running console as its clients see it."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, target: str, method: str = "GET", *, body: bytes | None = None, **headers: str) -> Reply:
        """Send a request whose target is spelled exactly so; `Host` may be another."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(body)
            got = connection.getresponse()
            return Reply(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
        finally:
            connection.close()

    def post(self, target: str, body: bytes, **headers: str) -> Reply:
        """Send a form."""
        return self.ask(target, "POST", body=body, **{"Content_Type": "application/x-www-form-urlencoded", **headers})

    def connect(self) -> socket.socket:
        """Open a bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@contextmanager
def console(
    prometheus_url: str,
    *,
    alertmanager_url: str | None = None,
    page: Path | None = None,
    most_bytes: int = 1 << 20,
    answer_timeout_s: float = 10.0,
    **settings: Any,
) -> Iterator[Console]:
    """Serve a console until the block ends."""
    limits: dict[str, Any] = {"most_bytes": most_bytes, "answer_timeout_s": answer_timeout_s}
    upstreams = {
        "prometheus": Upstream("Prometheus", prometheus_url, token_variable="INFERMETER_PROMETHEUS_TOKEN", **limits),
        "alertmanager": Upstream(
            "Alertmanager", alertmanager_url or prometheus_url, token_variable="INFERMETER_ALERTMANAGER_TOKEN", **limits
        ),
    }
    server = make_server(make_app(ConsoleSettings(page=page, upstreams=upstreams, **settings)))
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        until(lambda: server.started, "the console to start")
        yield Console(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
