"""A real stack as tests see it: addresses, queries, and waiting that says what it waited for."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from infermeter.cli.stack.loopback import get, get_json
from infermeter.cli.stack.readiness import wait_for
from infermeter.cli.stack.stack import Stack

Labels = dict[str, str]


class LiveStack:
    """A running stack; what the tests of this folder get from their fixtures."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    @property
    def otlp_http_url(self) -> str:
        return self.stack.url("otlp-http")

    @property
    def otlp_grpc_url(self) -> str:
        return self.stack.url("otlp-grpc")

    @property
    def exporter_url(self) -> str:
        return self.stack.url("exporter") + "/metrics"

    @property
    def prometheus_url(self) -> str:
        return self.stack.url("prometheus")

    @property
    def alertmanager_url(self) -> str:
        return self.stack.url("alertmanager")

    def restart(self, part: str) -> None:
        """Stop a part and start it again; returns when it is ready."""
        self.stack.restart(part)

    def query(self, expr: str) -> list[tuple[Labels, float]]:
        """Return the instant vector (or scalar) of an expression."""
        answer = get_json(f"{self.prometheus_url}/api/v1/query?query={quote(expr)}", timeout_s=10)
        assert answer is not None, f"Prometheus refused {expr}"
        data = answer["data"]
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in data["result"]]

    def value(self, expr: str) -> float | None:
        """Return the only value of an expression; None when there is none."""
        rows = self.query(expr)
        assert len(rows) <= 1, f"{expr} gives {len(rows)} series: {[labels for labels, _ in rows]}"
        return rows[0][1] if rows else None

    def alerts(self) -> list[dict[str, Any]]:
        """Return what Alertmanager has been told."""
        answer = get_json(f"{self.alertmanager_url}/api/v2/alerts")
        assert answer is not None, "Alertmanager does not answer"
        alerts: list[dict[str, Any]] = answer
        return alerts

    def exposition(self) -> str:
        """Return what the collector exports, as text."""
        status, body = get(self.exporter_url, timeout_s=10)
        assert status == 200, f"the exporter answers {status}"
        return body.decode()

    def send(self, request: ExportMetricsServiceRequest, *, headers: Mapping[str, str] | None = None) -> int:
        """Send metrics over OTLP/HTTP and return the status."""
        return self.send_bytes(request.SerializeToString(), headers=headers)

    def send_bytes(self, body: bytes, *, headers: Mapping[str, str] | None = None) -> int:
        """Send any bytes to where OTLP metrics are received and return the status."""
        return post(f"{self.otlp_http_url}/v1/metrics", body, headers={**_PROTOBUF, **(headers or {})})

    def rss_bytes(self, part: str) -> int:
        """Return the resident memory of a part (Linux)."""
        pages = Path(f"/proc/{self.stack.process_of(part).pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * 4096


_PROTOBUF = {"Content-Type": "application/x-protobuf"}


def post(url: str, body: bytes, *, headers: Mapping[str, str]) -> int:
    """POST to this machine and return the status, also when the server answers before it has read everything."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        try:
            connection.request("POST", parts.path, body=body, headers=dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            if connection.sock is None:
                raise
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def eventually(what: str, found: Callable[[], Any], *, timeout_s: float = 60.0) -> Any:
    """Return the first true value that `found` gives; without one in time, fails with `what` and the last value."""
    last: list[Any] = [None]

    def probe() -> str | None:
        last[0] = found()
        return None if last[0] else f"got {json.dumps(last[0], default=str)[:500]}"

    wait_for(what, probe, timeout_s=timeout_s, poll_s=0.1)
    return last[0]
