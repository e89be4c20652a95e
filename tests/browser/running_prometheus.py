"""A real Prometheus that scrapes the stand-in fleet every second, with our rules at thirty times their speed."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.waiting import until

from infermeter.assets import asset
from infermeter.cli.scaled_rules import scale_rules
from infermeter.cli.stack.binaries import find_or_build
from infermeter.cli.stack.reporting import SilentReporter

SPEED = 30.0
SCRAPE_S = 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class RunningPrometheus:
    """A Prometheus to ask directly, without the page."""

    url: str

    def ask(self, path: str, **parameters: Any) -> Any:
        form = urllib.parse.urlencode(parameters, doseq=True)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{form}", timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, query: str, at_s: float | None = None) -> float:
        when = {} if at_s is None else {"time": at_s}
        return float(self.ask("query", query=query, **when)["result"][0]["value"][1])

    @property
    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


@contextmanager
def prometheus(folder: Path, fleet_port: int, speed: float = SPEED) -> Iterator[RunningPrometheus]:
    """Run it until the block ends, with the rules at that speed; its files are in `folder`."""
    port = free_port()
    rules = folder / "rules"
    scale_rules(asset("deploy/prometheus/rules"), rules, speed=speed)
    jobs = {"infermeter-collector": fleet_port, "prometheus": port}
    scrapes = [
        {"job_name": job, "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
        for job, target in jobs.items()
    ]
    config = {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{30 / speed:g}s"},
        "rule_files": [f"{rules}/*.yml"],
        "scrape_configs": scrapes,
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    binary = find_or_build(["prometheus"], SilentReporter())["prometheus"]
    log = (folder / "prometheus.log").open("wb")
    process = subprocess.Popen(
        [
            binary, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ],
        stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    running = RunningPrometheus(f"http://127.0.0.1:{port}")
    try:
        until(lambda: running.ready or process.poll() is not None, "Prometheus to be ready")
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield running
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()
