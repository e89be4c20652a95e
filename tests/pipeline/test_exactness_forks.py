"""Nothing is lost and nothing is counted twice in a program that forks in the middle of its work."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from tests.pipeline.example_processes import environment, requests_in_prometheus, run_script
from tests.pipeline.live_stack import LiveStack

from infermeter.assets import asset

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

REQUESTS = 20_000


def test_a_program_that_forks_in_the_middle_adds_up_to_what_its_callers_saw(
    live_stack: LiveStack, tmp_path: Path
) -> None:
    service = "exact-forks"
    folders = os.pathsep.join(filter(None, [str(asset("examples")), os.environ.get("PYTHONPATH")]))
    env = environment(live_stack, service, interval_s=0.5, PYTHONPATH=folders)
    run_script(Path(__file__).with_name("forking_program.py"), env, str(tmp_path), timeout_s=400, warnings=())
    logs = sorted(tmp_path.glob("*.json"))
    seen: Counter[tuple[str, ...]] = Counter()
    for log in logs:
        seen.update({tuple(key.split()): calls for key, calls in json.loads(log.read_text(encoding="utf-8")).items()})

    assert len(logs) == 11
    assert seen.total() == REQUESTS
    assert requests_in_prometheus(live_stack, service) == seen
