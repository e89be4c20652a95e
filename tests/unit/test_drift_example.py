"""examples/drift does what its first lines say: nothing has drifted, then exactly the feature of the switch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from infermeter.assets import asset


@pytest.mark.parametrize(("options", "drifted"), [((), []), (("--drift", "alcohol"), ["alcohol"])])
def test_the_switch_makes_one_feature_drift(options, drifted):
    env = {**os.environ, "OTEL_METRICS_EXPORTER": "none"}
    ended = subprocess.run(
        [sys.executable, "-m", "drift", *options],
        cwd=asset("examples"),
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert len(lines) == 13
    assert [line[0] for line in lines if line[-1] == "DRIFTED"] == drifted
