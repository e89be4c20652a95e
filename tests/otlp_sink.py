"""An OTLP/HTTP receiver in this process: keeps what it decodes, and misbehaves on request.

Knows OTLP's wire format and loopback sockets; knows nothing of the SDK under test.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from tests.waiting import until

Labels = tuple[tuple[str, str], ...]


@dataclass
class Received:
    """One request: its headers, the resource, and every data point by name and labels."""

    headers: dict[str, str]
    message: ExportMetricsServiceRequest
    resource: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.resource = {}
        for resource_metrics in self.message.resource_metrics:
            self.resource |= {a.key: a.value.string_value for a in resource_metrics.resource.attributes}

    def points(self) -> Iterator[tuple[str, dict[str, str], Any]]:
        """Yield name, labels and protobuf point of everything received."""
        for resource_metrics in self.message.resource_metrics:
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    for point in getattr(metric, metric.WhichOneof("data")).data_points:
                        yield metric.name, {a.key: a.value.string_value for a in point.attributes}, point

    def value(self, name: str, **labels: str) -> float | None:
        """Return a number, or the count of a histogram, summed over label sets that match; None without any."""
        found = [
            point.count if hasattr(point, "bucket_counts") else point.as_double or point.as_int
            for known, attributes, point in self.points()
            if known == name and labels.items() <= attributes.items()
        ]
        return sum(found) if found else None


class OtlpSink:
    """Listens on a free loopback port; ``answer`` decides what a request gets."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.requests = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] = ok
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.requests += 1
                if sink.answer is ok:
                    message = ExportMetricsServiceRequest.FromString(body)
                    sink.received.append(Received(dict(self.headers.items()), message))
                sink.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that gives up is part of many tests

        self.released = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def refuse(self, status: int, **headers: str) -> None:
        """Answer every request with this status."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        self.answer = answer

    def swallow(self) -> None:
        """Accept every request and never answer."""
        self.answer = lambda _: self._hold()

    def drip(self) -> None:
        """Answer a byte at a time, so that no read ever times out."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not self.released.wait(0.2):
                handler.wfile.write(b"x")

        self.answer = answer

    def accept(self) -> None:
        """Answer as a healthy receiver again."""
        self.answer = ok

    def _hold(self) -> None:
        self.released.wait(60)

    def latest(self, instance: str | None = None) -> dict[str, Received]:
        """Return the last request of each process, by service.instance.id."""
        last = {request.resource["service.instance.id"]: request for request in list(self.received)}
        return last if instance is None else {instance: last[instance]}

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of what every process reported last."""
        return sum(request.value(name, **labels) or 0 for request in self.latest().values())

    def await_total(self, expected: float, name: str, **labels: str) -> None:
        """Wait until all processes together report this much."""
        until(
            lambda: self.total(name, **labels) == expected,
            f"{name}{labels} = {expected}, have {self.total(name, **labels)}",
        )

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def ok(handler: BaseHTTPRequestHandler) -> None:
    """Answer as a healthy receiver."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-protobuf")
    handler.send_header("Content-Length", "0")
    handler.end_headers()
