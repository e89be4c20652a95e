"""A Prometheus of the benchmark's own, and the exporter that it scrapes. Knows no rules and judges nothing."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from tests.benchmarks.rule_cost.fleet import Scrape

from infermeter.cli.stack.loopback import get_json
from infermeter.cli.stack.readiness import answers, wait_for

SCRAPE_S = 15


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, scrape: Scrape) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scrape, self.started_s = scrape, time.monotonic()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        tick = 1 + round((time.monotonic() - self.server.started_s) / SCRAPE_S)
        body = self.server.scrape.at(tick)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def exporter(scrape: Scrape) -> Iterator[int]:
    """Serve a fleet and yield the port."""
    server = _Server(scrape)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


class Queries:
    """Asks a Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def groups(self) -> list[dict[str, Any]]:
        """Return the groups of rules."""
        answer = get_json(f"{self.url}/api/v1/rules", timeout_s=30)
        found: list[dict[str, Any]] = answer["data"]["groups"]
        return found

    def rows(self, expr: str) -> list[dict[str, Any]]:
        """Return what an expression gives."""
        answer = get_json(f"{self.url}/api/v1/query?query={quote(expr)}", timeout_s=30)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def value(self, expr: str) -> float:
        """Return the first value of an expression; NaN where there is none."""
        rows = self.rows(expr)
        return float(rows[0]["value"][1]) if rows else float("nan")


@contextmanager
def prometheus(binary: Path, rules: list[Path], exporter_port: int, folder: Path, data: Path) -> Iterator[Queries]:
    """Run a Prometheus on some data that scrapes the exporter and itself."""
    own, every = f"127.0.0.1:{_free_port()}", f"{SCRAPE_S}s"
    config = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [str(file) for file in rules],
        "scrape_configs": [
            {"job_name": "infermeter-collector", "honor_labels": True, **_target(f"127.0.0.1:{exporter_port}")},
            {"job_name": "prometheus", **_target(own)},
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    arguments = [f"--config.file={file}", f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=60d"]
    with (folder / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(
            [binary, *arguments, f"--web.listen-address={own}"], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            wait_for("Prometheus", answers(f"http://{own}/-/ready"), timeout_s=120)
            yield Queries(f"http://{own}")
        finally:
            server.terminate()
            server.wait(60)


def _target(address: str) -> dict[str, Any]:
    return {"static_configs": [{"targets": [address]}]}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
