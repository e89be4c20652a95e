"""However a job ends, its run arrives: once, with the right outcome, and the job ends as it would have without us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from tests.host_safety.scripts import environment, run, started
from tests.otlp_sink import OtlpSink

RUNS = "pipeline_runs_total"
JOB = "infermeter.configure(export_interval_s=3600)\nwith infermeter.pipeline_run('features') as job:\n    "


def runs(sink: OtlpSink) -> dict[str, float]:
    """Add the deltas of all pushes up, as the collector does."""
    total: dict[str, float] = {}
    for received in sink.received:
        for name, labels, point in received.points():
            if name == RUNS:
                total[labels["status"]] = total.get(labels["status"], 0) + (point.as_double or point.as_int)
    return total


@pytest.mark.parametrize(
    ("ending", "status", "counted"),
    [
        ("pass", 0, {"success": 1, "error": 0}),
        ("sys.exit(0)", 0, {"success": 1, "error": 0}),
        ("sys.exit(5)", 5, {"success": 0, "error": 1}),
        ("raise ValueError('host')", 1, {"success": 0, "error": 1}),
    ],
)
def test_a_short_job_delivers_its_run_and_keeps_its_status(
    ending: str, status: int, counted: dict[str, float], sink: OtlpSink
) -> None:
    ended = run(JOB + ending, endpoint=sink.endpoint)

    assert ended.returncode == status
    assert runs(sink) == counted


def test_sigterm_within_a_run_counts_an_error_and_the_job_dies_by_the_signal(sink: OtlpSink) -> None:
    with started(JOB + "print('ready'); time.sleep(60)", endpoint=sink.endpoint) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM

    assert runs(sink) == {"success": 0, "error": 1}


def test_a_child_forked_within_a_run_leaves_the_run_to_its_parent(sink: OtlpSink) -> None:
    ended = run(
        JOB + "pid = os.fork()\n    if pid == 0: sys.exit(0)\n    assert os.waitpid(pid, 0)[1] == 0",
        endpoint=sink.endpoint,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert runs(sink) == {"success": 1, "error": 0}


def test_a_worker_of_multiprocessing_delivers_runs_of_its_own(sink: OtlpSink) -> None:
    ended = run(
        """
        import multiprocessing
        def work():
            with infermeter.pipeline_run("features"):
                pass
        infermeter.configure(export_interval_s=3600)
        worker = multiprocessing.get_context("fork").Process(target=work)
        worker.start(); worker.join()
        """,
        endpoint=sink.endpoint,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert runs(sink)["success"] == 1


def test_a_collector_that_is_away_delays_a_job_by_its_bound_only() -> None:
    started_s = time.monotonic()
    ended = run(JOB + "pass", endpoint="http://127.0.0.1:9")

    assert ended.returncode == 0
    assert time.monotonic() - started_s < 20


def command_line(*arguments: str, endpoint: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "infermeter.cli", "pipeline", "run", *arguments],
        env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "status", "counted"),
    [
        (("sh", "-c", "echo out; echo err >&2"), 0, {"success": 1, "error": 0}),
        (("sh", "-c", "exit 7"), 7, {"success": 0, "error": 1}),
        (("sh", "-c", "kill -9 $$"), 137, {"success": 0, "error": 1}),
        (("no-such-command",), 127, {"success": 0, "error": 1}),
    ],
)
def test_a_command_of_any_language_is_a_run(
    command: tuple[str, ...], status: int, counted: dict[str, float], sink: OtlpSink
) -> None:
    process = command_line(
        "shell", "--expected-interval-s", "60", "--data-as-of", "2026-01-31T06:00:00+00:00", "--", *command,
        endpoint=sink.endpoint,
    )  # fmt: skip
    out, err = process.communicate(timeout=60)

    assert process.returncode == status, err
    assert runs(sink) == counted
    if status == 0:
        assert (out, err) == ("out\n", "err\n")
        assert sink.received[-1].value("pipeline_data_timestamp_seconds", pipeline="shell") == 1769839200
        assert sink.received[-1].value("pipeline_expected_interval_seconds") == 60
        assert sink.received[-1].resource["service.name"] == "shell"


def test_sigterm_ends_the_command_and_counts_an_error(sink: OtlpSink) -> None:
    process = command_line("shell", "--", "sh", "-c", "echo ready; exec sleep 60", endpoint=sink.endpoint)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGTERM)

    assert process.wait(30) == 128 + signal.SIGTERM
    process.communicate()
    assert runs(sink) == {"success": 0, "error": 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("features",), "Missing argument"),
        (("features", "--data-as-of", "yesterday", "--", "true"), "ISO 8601"),
        (("features", "--max-duration-s", "-1", "--", "true"), "max_duration_s must be"),
    ],
)
def test_a_wrong_option_is_told_before_anything_runs(arguments: tuple[str, ...], says: str, sink: OtlpSink) -> None:
    process = command_line(*arguments, endpoint=sink.endpoint)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 2
    assert says in err
    assert sink.received == []
