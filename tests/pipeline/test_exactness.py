"""Nothing is lost and nothing is counted twice: Prometheus agrees with the client's log, to the unit.

What counts as sent is what was answered. The client cannot know whether a request without an answer was served, so it
logs it apart and sends it again as a new one; a server that served it and lost the answer would show a surplus here.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.pipeline.conftest import StartStack
from tests.pipeline.example_processes import (
    GUNICORN,
    UVICORN,
    ClientLog,
    environment,
    finish,
    requests_in_prometheus,
    send_all,
    serving,
    traffic,
)
from tests.pipeline.live_stack import LiveStack, eventually

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

REQUESTS = 20_000
FEWER = 8_000
"""Where the point is one moment in the middle, not the number."""
MIX = ("--errors", "0.02", "--malformed", "0.01", "--slow", "0.001")
WORKERS = 4


def test_four_uvicorn_workers_add_up_to_what_the_client_sent(live_stack: LiveStack, tmp_path: Path) -> None:
    service = "exact-uvicorn"
    command = (*UVICORN, "--workers", str(WORKERS))
    with serving(command, environment(live_stack, service), tmp_path / "server.log") as url:
        log = send_all(url, tmp_path / "sent.csv", REQUESTS, *MIX)

    assert requests_in_prometheus(live_stack, service) == log.answered()
    assert log.answered().total() == REQUESTS
    assert len(workers(log)) == WORKERS


def test_recycled_workers_of_a_preloading_gunicorn_add_up_to_what_the_client_sent(
    live_stack: LiveStack, tmp_path: Path
) -> None:
    service = "exact-gunicorn"
    recycling = ("--preload", "--workers", str(WORKERS), "--max-requests", "1500", "--max-requests-jitter", "500")
    with serving((*GUNICORN, *recycling), environment(live_stack, service), tmp_path / "server.log") as url:
        log = send_all(url, tmp_path / "sent.csv", REQUESTS, *MIX)

    assert requests_in_prometheus(live_stack, service) == log.answered()
    assert log.answered().total() == REQUESTS
    assert len(workers(log)) >= 2 * WORKERS, "hardly any worker was recycled: the test has not tested what it is about"


def test_a_collector_that_restarts_in_the_middle_costs_nothing(start_stack: StartStack, tmp_path: Path) -> None:
    live = start_stack()
    service = "exact-restart"
    command = (*UVICORN, "--workers", str(WORKERS))
    with (
        serving(command, environment(live, service, interval_s=0.5), tmp_path / "server.log") as url,
        traffic(url, tmp_path / "sent.csv", "--rate", "0", *MIX) as (_, log),
    ):
        eventually("traffic before", lambda: log.lines() > FEWER / 4, timeout_s=120)
        live.restart("collector")
        afterwards = log.lines() + FEWER / 4
        eventually("traffic after", lambda: log.lines() > afterwards, timeout_s=120)

    assert requests_in_prometheus(live, service) == log.answered()
    assert log.answered().total() > FEWER / 2


def test_a_killed_worker_loses_at_most_its_last_export_interval(live_stack: LiveStack, tmp_path: Path) -> None:
    service, interval_s, busy_s = "exact-killed", 2.0, 2.0
    command = (*UVICORN, "--workers", str(WORKERS))
    options = ("--requests", str(FEWER), "--rate", "0", "--errors", "0", "--malformed", "0", "--slow", "0.001")
    env = environment(live_stack, service, interval_s=interval_s)
    with (
        serving(command, env, tmp_path / "server.log") as url,
        traffic(url, tmp_path / "sent.csv", *options) as (client, log),
    ):
        eventually("half of the traffic", lambda: log.lines() > FEWER / 2, timeout_s=120)
        victim = log.rows()[-1].served_by
        assert victim is not None
        killed_unix_s = time.time()
        os.kill(victim, signal.SIGKILL)
        finish(client)
    counted, answered = Counter(requests_in_prometheus(live_stack, service)), log.answered()
    of_victim = [row for row in log.rows() if row.served_by == victim]
    lost = (answered - counted).total()

    assert answered.total() == FEWER
    # What it had served and reported but not yet answered when it was killed is the only surplus there can be.
    assert (counted - answered).total() <= log.unanswered()
    # What is missing are its last answers, the first of them younger than one interval and what an export takes on a
    # busy machine.
    assert lost < len(of_victim), "nothing of the killed worker has arrived"
    ages_s = [killed_unix_s - row.unix_s for row in of_victim[len(of_victim) - lost :]]
    assert max(ages_s, default=0) <= interval_s + busy_s, f"{lost} answers of the killed worker are missing"


def workers(log: ClientLog) -> set[int]:
    """Return the processes that answered."""
    return {row.served_by for row in log.rows() if row.served_by is not None}
