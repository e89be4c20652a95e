"""Batch jobs on the real collector and Prometheus: runs of processes that are long gone add up."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest
from tests.pipeline.example_processes import environment
from tests.pipeline.live_stack import LiveStack, eventually

pytestmark = pytest.mark.pipeline

JOB = """
import sys, time, infermeter
infermeter.configure()
with infermeter.pipeline_run(sys.argv[1], expected_interval_s=60) as run:
    run.data_as_of(time.time() - 3600)
    print("ready", flush=True)
    time.sleep(0.2)
    if sys.argv[2] == "fail":
        raise ValueError("the source is empty")
    if sys.argv[2] == "hang":
        time.sleep(60)
"""


def job(live: LiveStack, pipeline: str, ending: str) -> int:
    """Run a job in a process of its own, host and instance like those of any cron job; return its status."""
    env = environment(live, "nightly", OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=prod")
    process = subprocess.Popen(
        [sys.executable, "-c", JOB, pipeline, ending], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    if ending == "hang":
        process.send_signal(signal.SIGTERM)
    status = process.wait(60)
    process.stdout.close()
    return status


def runs(live: LiveStack, pipeline: str) -> dict[str, float]:
    rows = live.query(f'pipeline_runs_total{{pipeline="{pipeline}"}}')
    assert {labels["instance"] for labels, _ in rows} <= {"pipelines"}
    assert {labels["namespace"] for labels, _ in rows} <= {"prod"}
    return {labels["status"]: value for labels, value in rows}


def settled(live: LiveStack, pipeline: str, expected: dict[str, float]) -> Any:
    return eventually(f"runs {expected} of {pipeline}", lambda: runs(live, pipeline) == expected, timeout_s=30)


def test_runs_of_short_lived_processes_add_up_to_the_unit(live_stack: LiveStack) -> None:
    assert job(live_stack, "fails", "fail") == 1
    assert job(live_stack, "killed", "hang") == -signal.SIGTERM
    assert job(live_stack, "succeeds", "end") == 0
    settled(live_stack, "succeeds", {"success": 1, "error": 0})
    assert job(live_stack, "succeeds", "end") == 0

    settled(live_stack, "fails", {"success": 0, "error": 1})
    settled(live_stack, "killed", {"success": 0, "error": 1})
    settled(live_stack, "succeeds", {"success": 2, "error": 0})
    age_s = live_stack.value('time() - pipeline_data_timestamp_seconds{pipeline="succeeds"}')
    assert age_s is not None
    assert 3600 <= age_s < 3700
    assert live_stack.value('pipeline_data_timestamp_seconds{pipeline="fails"}') is None


def test_runs_that_overlap_are_all_counted(live_stack: LiveStack) -> None:
    env = environment(live_stack, "nightly", OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=prod")
    processes = [
        subprocess.Popen([sys.executable, "-c", JOB, "crowd", "end"], env=env, stdout=subprocess.DEVNULL)
        for _ in range(6)
    ]
    assert [process.wait(60) for process in processes] == [0] * 6

    settled(live_stack, "crowd", {"success": 6, "error": 0})


def test_services_do_not_appear_among_the_pipelines_nor_pipelines_among_the_services(live_stack: LiveStack) -> None:
    assert job(live_stack, "apart", "end") == 0
    settled(live_stack, "apart", {"success": 1, "error": 0})

    assert "pipeline_runs_total" not in live_stack.exposition()
    assert live_stack.query('infermeter_info{instance="pipelines"}') == []
