"""The examples as processes of their own: scripts, servers of several kinds, traffic, and the client's log of it.

Knows how they are started and stopped. Knows nothing of what Prometheus shows about them.
"""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.pipeline.live_stack import LiveStack, eventually

from infermeter.assets import asset
from infermeter.cli.stack.loopback import get

STOP_TIMEOUT_S = 60.0
START_TIMEOUT_S = 120.0
UNANSWERED = "unanswered"


class Sent(NamedTuple):
    """One line of the client's log."""

    unix_s: float
    version: str
    status: str
    latency_s: float
    served_by: int | None


class ClientLog:
    """What the client of the traffic saw: one line per request that it sent."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def rows(self) -> list[Sent]:
        with self.file.open(encoding="utf-8", newline="") as lines:
            return [
                Sent(
                    float(row["unix_time"]),
                    row["version"],
                    row["status"],
                    float(row["latency_s"]),
                    int(row["served_by"]) if row["served_by"] else None,
                )
                for row in csv.DictReader(lines)
            ]

    def answered(self) -> Counter[tuple[str, str, str]]:
        """Return how many requests were answered, by model, version and status."""
        return Counter(("fraud", row.version, row.status) for row in self.rows() if row.status != UNANSWERED)

    def unanswered(self) -> int:
        """Return for how many sendings no answer came; each was sent again."""
        return sum(row.status == UNANSWERED for row in self.rows())

    def lines(self) -> int:
        """Return how many requests have been logged so far; cheap enough to poll."""
        return max(self.file.read_bytes().count(b"\n") - 1, 0) if self.file.exists() else 0


def environment(live: LiveStack, service: str, *, interval_s: float = 1.0, **more: str) -> dict[str, str]:
    """Return the environment that makes a process report to a stack; the OTEL_* variables of the shell stay out."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "INFERMETER_"))}
    return ours | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": live.otlp_http_url,
        "OTEL_SERVICE_NAME": service,
        "OTEL_METRIC_EXPORT_INTERVAL": str(round(interval_s * 1000)),
        "PYTHONUNBUFFERED": "1",
        **more,
    }


def run_script(
    script: Path,
    env: dict[str, str],
    *arguments: str,
    timeout_s: float = 120.0,
    warnings: Sequence[str] = ("-W", "error"),
) -> str:
    """Run a Python file to its end and return what it printed; it must not have complained about anything."""
    done = subprocess.run(
        [sys.executable, *warnings, str(script), *arguments],
        env=env, capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{script.name} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    assert done.stderr == "", f"{script.name} ended well, but said:\n{done.stderr}"
    return done.stdout


UVICORN = ("-m", "uvicorn", "fraud_api.app:app", "--no-access-log", "--log-level", "warning", "--host", "127.0.0.1")
GUNICORN = ("-m", "gunicorn", "fraud_api.app:app", "-k", "uvicorn_worker.UvicornWorker", "--log-level", "warning")


@contextmanager
def serving(command: Sequence[str], env: dict[str, str], log: Path, *, ready_path: str = "/health") -> Iterator[str]:
    """Run a server on a free port and yield its URL; ends it with SIGTERM and waits until it is gone."""
    port = _free_port()
    bind = ("--bind", f"127.0.0.1:{port}") if "gunicorn" in command else ("--port", str(port))
    url = f"http://127.0.0.1:{port}"
    with _process((*command, *bind), env, log) as server:

        def ready() -> bool:
            assert server.poll() is None, f"the server ended with {server.returncode}:\n{_tail(log)}"
            return get(f"{url}{ready_path}")[0] == 200

        eventually(f"the example at {url} to be ready", ready, timeout_s=START_TIMEOUT_S)
        yield url
        stop(server, log)


@contextmanager
def traffic(url: str, file: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], ClientLog]]:
    """Send requests to the example from a process of its own, and yield it with the log that it writes."""
    command = ("-m", "fraud_api.traffic", "--url", url, "--log", str(file), *options)
    printed = file.with_suffix(".out")
    with _process(command, {**os.environ, "PYTHONUNBUFFERED": "1"}, printed) as client:
        yield client, ClientLog(file)
        stop(client, printed)


def send_all(url: str, file: Path, requests: int, *options: str, timeout_s: float = 240.0) -> ClientLog:
    """Send so many requests as fast as they are answered, and return the client's log."""
    with traffic(url, file, "--requests", str(requests), "--rate", "0", *options) as (client, log):
        finish(client, timeout_s)
    return log


def finish(client: subprocess.Popen[bytes], timeout_s: float = 240.0) -> None:
    """Wait until the traffic has sent everything."""
    status = client.wait(timeout=timeout_s)
    assert status == 0, f"the traffic ended with {status}"


def stop(process: subprocess.Popen[bytes], log: Path) -> None:
    """Stop a process gracefully; fails if it has to be killed."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"still running {STOP_TIMEOUT_S:g} s after SIGTERM:\n{_tail(log)}") from None


@contextmanager
def _process(arguments: Sequence[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=env, cwd=asset("examples"), stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        # The group is ours: it was started as one. Usually nothing of it is left here.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]


def requests_in_prometheus(live: LiveStack, service: str) -> dict[tuple[str, str, str], int]:
    """Return the requests of a service by model, version and status, over all its processes, also those that ended.

    Waits for a scrape that began after this call, so that the answer is final for processes that are gone by now. A
    process that ended minutes ago has no current sample any more; its last one counts.
    """
    await_next_scrape(live)
    rows = live.query(
        "sum by (model_name, model_version, status) "
        f'(last_over_time(model_inference_requests_total{{job="{service}"}}[20m]))'
    )
    return {
        (labels["model_name"], labels["model_version"], labels["status"]): int(value)
        for labels, value in rows
        if value != 0
    }


def await_next_scrape(live: LiveStack) -> None:
    """Wait until Prometheus has finished a scrape of the collector that began after this call."""
    now_s = time.time()
    eventually(
        "a scrape of the collector",
        # The time of the sample, which is when the scrape began; around an operator it would be the query's.
        lambda: (live.value('timestamp(up{job="infermeter-collector"}) and up == 1') or 0) > now_s,
    )
