"""The agent's socket and what it answers: /metrics, /healthz, and /release for whoever must reset a GPU.

Every answer comes from what is in memory. The standard library serves it, so that a node needs no web framework.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LONGEST_RELEASE_S = 3600.0
_MOST_CONNECTIONS = 32
_PATIENCE_S = 5.0
_INDEX = "GPU agent of infermeter: /metrics, /healthz, POST /release?seconds=60 (from this host)\n"


class Page(Protocol):
    """What is served."""

    def page(self) -> str:
        """Return the body of /metrics."""
        ...

    def trouble(self) -> str:
        """Return why there is nothing to show; empty while all is well."""
        ...

    def release(self, seconds: float) -> None:
        """Let go of the driver for some time."""
        ...


class PageServer:
    """Listens as soon as it is made, answers after ``start()``.

    Args:
        host: Address to listen on.
        port: Port; 0 for a free one.

    Raises:
        OSError: The port is taken, or the address is not this machine's.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = _Server.at(host, port)
        self.port: int = self._server.server_address[1]

    def start(self, agent: Page) -> None:
        """Answer from now on, on threads of its own."""
        self._server.agent = agent
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="infermeter-page", daemon=True).start()

    def close(self) -> None:
        """Stop answering and free the port."""
        if self._server.agent is not None:
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    @classmethod
    def at(cls, host: str, port: int) -> _Server:
        cls.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return cls((host, port), _Handler)

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.agent: Page | None = None
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind; the inherited one asks DNS for a name that nobody needs."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Answer on a thread, unless too many are busy already."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Answer, and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE_S

    @property
    def _agent(self) -> Page | None:
        return self.server.agent if isinstance(self.server, _Server) else None

    def do_GET(self) -> None:
        agent, path = self._agent, urlsplit(self.path).path
        if agent is None:
            self._answer(503, "starting\n")
        elif path == "/metrics":
            self._answer(200, agent.page(), _CONTENT_TYPE)
        elif path == "/healthz":
            trouble = agent.trouble()
            self._answer(503 if trouble else 200, f"{trouble or 'ok'}\n")
        elif path == "/release":
            self._answer(405, "POST it\n")
        else:
            self._answer(200 if path == "/" else 404, _INDEX)

    do_HEAD = do_GET  # noqa: N815  the name that the standard library looks for

    def do_POST(self) -> None:
        agent, parts = self._agent, urlsplit(self.path)
        if parts.path != "/release" or agent is None:
            self._answer(404, _INDEX)
        elif not _is_from_here(str(self.client_address[0])):
            self._answer(403, "only from this host\n")
        else:
            self._release(agent, parse_qs(parts.query).get("seconds", ["60"])[0])

    def _release(self, agent: Page, text: str) -> None:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds <= _LONGEST_RELEASE_S:
            self._answer(400, f"seconds must be a number above 0, at most {_LONGEST_RELEASE_S:.0f}, got {text!r}\n")
            return
        agent.release(seconds)
        self._answer(200, f"released for {seconds:g} s\n")

    def _answer(self, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        body = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Return a name that tells no version."""
        return "infermeter"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the inherited name
        """Write no log of accesses."""


def _is_from_here(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
