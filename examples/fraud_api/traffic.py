"""Sends requests to the service: normal, slow, broken and malformed ones, and logs how each was answered.

    python -m fraud_api.traffic --url http://127.0.0.1:8000

The log is the client's own count by model, version and status: what Prometheus shows can be checked against it.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .connection import Connection, Response, UnansweredError

_MODEL = "fraud"
_ATTEMPTS = 5
_PAUSE_BEFORE_RETRY_S = 0.1
_LOG_FIELDS = ("unix_time", "model", "version", "status", "http_status", "latency_s", "served_by")
_EXAMPLES = """examples:
  20 requests a second until Ctrl-C, one in 200 slow and one in 200 broken:
    python -m fraud_api.traffic --url http://127.0.0.1:8000
  an error burst, long enough for HighPredictionErrorRate:
    python -m fraud_api.traffic --url http://127.0.0.1:8000 --errors 0.2
  20,000 requests as fast as they are answered, each with its status in a file:
    python -m fraud_api.traffic --url http://127.0.0.1:8000 --requests 20000 --rate 0 --log sent.csv
"""


class Request(NamedTuple):
    """One request to send, and when."""

    after_s: float
    """Seconds after the start."""
    version: str
    body: bytes


class Tally:
    """Counts answers by version and status, and writes one line for each.

    Args:
        log: Where the lines go, or None.
    """

    def __init__(self, log: Any = None) -> None:
        self.answers: Counter[tuple[str, str]] = Counter()
        self._lines = csv.writer(log) if log is not None else None
        if self._lines is not None:
            self._lines.writerow(_LOG_FIELDS)

    def add(self, version: str, status: str, latency_s: float, answer: Response | None) -> None:
        """Count one request that was sent once."""
        self.answers[version, status] += 1
        if self._lines is None:
            return
        http_status = answer.status if answer is not None else 0
        served_by = json.loads(answer.body)["served_by"] if answer is not None and status == "success" else ""
        self._lines.writerow(
            (f"{time.time():.6f}", _MODEL, version, status, http_status, f"{latency_s:.6f}", served_by)
        )

    def __str__(self) -> str:
        """Return the counts as a table."""
        lines = [f"{'model':8} {'version':8} {'status':12} {'requests':>10}"]
        lines += [f"{_MODEL:8} {v:8} {status:12} {n:>10,}" for (v, status), n in sorted(self.answers.items())]
        return "\n".join(lines)


def requests(options: argparse.Namespace) -> Iterator[Request]:
    """Yield the requests in the order they are due; the same ones for the same seed."""
    from . import models  # takes seconds, because of scikit-learn; --help should not

    chance = random.Random(options.seed)
    rows = models.sample_transactions()
    normal = [json.dumps({"features": row}).encode() for row in rows]
    slow = [
        json.dumps({"features": row, "feature_store_s": round(chance.uniform(0.3, 0.6), 3)}).encode() for row in rows
    ]
    broken = [json.dumps({"features": row[:-1]}).encode() for row in rows]  # one number short: the model raises
    malformed = [json.dumps({"features": []}).encode()]  # turned away before the model sees it
    kinds = (normal, slow, broken, malformed)
    shares = (options.slow, options.errors, options.malformed)
    weights = (1 - sum(shares), *shares)
    versions = tuple(models.VERSIONS)
    number = 0
    while options.requests is None or number < options.requests:
        after_s = number / options.rate if options.rate else 0.0
        yield Request(after_s, chance.choice(versions), chance.choice(chance.choices(kinds, weights)[0]))
        number += 1


def status_of(http_status: int) -> str:
    """Return how the service must have counted a request that it answered like this."""
    if http_status < 400:
        return "success"
    if http_status == 504:
        return "timeout"
    return "rejected" if http_status < 500 else "error"


async def send(connection: Connection, request: Request, tally: Tally) -> None:
    """Send a request until it is answered, at most five times; each sending is counted for itself."""
    for attempt in range(_ATTEMPTS):
        await asyncio.sleep(attempt * _PAUSE_BEFORE_RETRY_S)
        started_s = time.perf_counter()
        try:
            answer = await connection.post(f"/predict/{_MODEL}/{request.version}", request.body)
        except UnansweredError:
            # Nobody can tell whether it was served, so it is a line of its own and in no other count.
            tally.add(request.version, "unanswered", time.perf_counter() - started_s, None)
            continue
        tally.add(request.version, status_of(answer.status), time.perf_counter() - started_s, answer)
        return


async def run(options: argparse.Namespace, tally: Tally) -> None:
    """Send everything over several connections; SIGTERM and Ctrl-C end it after the answers under way."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    url = urlsplit(options.url)
    due = requests(options)
    start_s = loop.time()

    async def one_connection() -> None:
        connection = Connection(str(url.hostname), url.port or 80)
        try:
            for request in due:
                pause_s = start_s + request.after_s - loop.time()
                if pause_s > 0:
                    await _sleep_unless(stop, pause_s)
                if stop.is_set():
                    return
                await send(connection, request, tally)
        finally:
            connection.close()

    await asyncio.gather(*(one_connection() for _ in range(options.connections)))


async def _sleep_unless(stop: asyncio.Event, pause_s: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), pause_s)
    except (TimeoutError, asyncio.TimeoutError):
        return


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to 1")
    return share


def _at_least(least: float, kind: type[int] | type[float]) -> Any:
    def parse(text: str) -> float:
        number = kind(text)
        if not number >= least:
            raise argparse.ArgumentTypeError(f"{text} is below {least:g}")
        return number

    return parse


def _loopback_url(text: str) -> str:
    url = urlsplit(text)
    host = url.hostname or ""
    if url.scheme != "http" or not (host == "localhost" or (host[:1].isdigit() and ip_address(host).is_loopback)):
        raise argparse.ArgumentTypeError(f"{text} is not http:// on this machine; other people's services are not ours")
    return text


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's options; ends the process where they make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m fraud_api.traffic",
        description="Send requests to the fraud example, until SIGTERM or Ctrl-C.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", required=True, type=_loopback_url, help="where the service listens on this machine")
    parser.add_argument("--rate", type=_at_least(0, float), default=20.0, help="requests a second; 0: as many as go")
    parser.add_argument("--slow", type=_share, default=0.005, help="share of requests slower than the SLA")
    parser.add_argument("--errors", type=_share, default=0.005, help="share of requests that make the model fail")
    parser.add_argument("--malformed", type=_share, default=0.002, help="share of requests that are refused (400)")
    parser.add_argument("--requests", type=_at_least(1, int), help="stop after so many")
    parser.add_argument("--connections", type=_at_least(1, int), default=16, help="connections used at once")
    parser.add_argument("--log", type=Path, help="CSV file for one line per request sent")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another order of requests")
    options = parser.parse_args(arguments)
    if options.slow + options.errors + options.malformed > 1:
        parser.error("--slow, --errors and --malformed are shares of the same requests: together at most 1")
    return options


def main() -> int:
    """Run the command."""
    options = parse_options()
    rate = f"{options.rate:g} requests/s" if options.rate else "requests"
    print(f"sending {rate} to {options.url}; Ctrl-C stops", flush=True)
    with ExitStack() as files:
        log = None
        if options.log is not None:
            log = files.enter_context(options.log.open("w", encoding="utf-8", newline="", buffering=1))
        tally = Tally(log)
        asyncio.run(run(options, tally))
    print(tally, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
