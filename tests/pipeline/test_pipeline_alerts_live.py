"""The alerts on batch jobs, in a live stack with short windows: each on the pipeline that deserves it, on no other."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.pipeline.conftest import StartStack
from tests.pipeline.example_processes import environment
from tests.pipeline.live_stack import LiveStack, eventually

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(300)]

JOB = """
import sys, time, infermeter
name, interval_s, age_s, fails = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "fails"
infermeter.configure()
with infermeter.pipeline_run(name, expected_interval_s=interval_s, max_data_age_s=3600) as run:
    run.data_as_of(time.time() - age_s)
    if fails:
        raise SystemExit(3)
"""


def job(live: LiveStack, name: str, *, interval_s: float = 3600, age_s: float = 60, fails: bool = False) -> int:
    arguments = [name, str(interval_s), str(age_s), "fails" if fails else ""]
    return subprocess.run([sys.executable, "-c", JOB, *arguments], env=environment(live, name), check=False).returncode


def firing(live: LiveStack) -> set[tuple[str, str]]:
    rows = live.query('ALERTS{alertname=~"Pipeline.*",alertstate="firing"}')
    return {(labels["alertname"], labels["pipeline"]) for labels, _ in rows}


def test_each_alert_fires_for_its_pipeline_and_for_no_other(start_stack: StartStack) -> None:
    live = start_stack(speed=60)
    with ThreadPoolExecutor(2) as two:
        late = two.submit(job, live, "late", interval_s=5)
        stale = two.submit(job, live, "stale", age_s=4000)
        well = [two.submit(job, live, "well") for _ in range(2)]
        failed = [two.submit(job, live, "fails", fails=True) for _ in range(2)]
    assert [task.result() for task in (late, stale, *well)] == [0] * 4
    assert [task.result() for task in failed] == [3, 3]

    expected = {("PipelineOverdue", "late"), ("PipelineDataStale", "stale"), ("PipelineLowSuccessRate", "fails")}
    eventually("the alerts", lambda: firing(live) >= expected, timeout_s=90)
    assert firing(live) == expected
    assert job(live, "late", interval_s=3600) == 0
    eventually("the end of PipelineOverdue", lambda: ("PipelineOverdue", "late") not in firing(live), timeout_s=60)
