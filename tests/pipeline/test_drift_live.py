"""Drift as Prometheus records it, over processes that fork and are replaced, equals scipy's on the same raw values."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.datasets import load_breast_cancer
from tests.pipeline.conftest import StartStack
from tests.pipeline.example_processes import environment
from tests.pipeline.live_stack import LiveStack, eventually

from infermeter import DriftReference

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(300)]

SEED = 20
FEATURES, REFERENCE_ROWS, ROWS = 20, 4_000, 3_000
SPEED = 60  # an hour becomes a minute, five minutes five seconds
PROGRAM = Path(__file__).with_name("drift_program.py")
NAMES = [f"f{i:02d}" for i in range(FEATURES)]


class World(NamedTuple):
    reference: DriftReference
    rows: dict[str, Any]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Measurements that scikit-learn ships, drawn again and again: as they are, shifted, spread, with holes."""
    random = np.random.default_rng(SEED)
    data = load_breast_cancer().data[:, :FEATURES]
    trained, served = data[::2], data[1::2]
    drawn = trained[random.integers(len(trained), size=REFERENCE_ROWS)]
    reference = DriftReference.from_columns(dict(zip(NAMES, drawn.T, strict=True)))
    reference.save(tmp_path / "reference.json")

    def some() -> Any:
        return served[random.integers(len(served), size=ROWS)]

    spread, holes = some(), some()
    spread = spread.mean(axis=0) + 1.6 * (spread - spread.mean(axis=0))
    holes[random.random(holes.shape) < 0.08] = np.nan
    rows = {"calm": some(), "shifted": some() + 0.5 * data.std(axis=0), "spread": spread, "holes": holes}
    for name, matrix in rows.items():
        np.save(tmp_path / f"{name}.npy", matrix)
    return World(reference, rows)


def expected(reference: DriftReference, rows: Any) -> dict[tuple[str, str], float]:
    """Compute every statistic from the raw values, with numpy and scipy only."""
    found: dict[tuple[str, str], float] = {}
    for column, feature in zip(rows.T, reference.inputs, strict=True):
        edges = np.array(feature.edges)
        values = column[~np.isnan(column)]
        live = np.array([*np.histogram(values, [-np.inf, *edges, np.inf])[0], np.isnan(column).sum()])
        before = np.array(feature.counts)
        p, q = ((c + 0.5) / (c.sum() + 0.5 * len(c)) for c in (live, before))
        size = live.sum() * before.sum() / (live.sum() + before.sum())
        found |= {
            (feature.name, "model_feature:drift_psi:1h"): stats.entropy(p, q) + stats.entropy(q, p),
            (feature.name, "model_feature:drift_js_distance:1h"): jensenshannon(p, q, base=2),
            (feature.name, "model_feature:drift_ks:1h"): np.abs(np.cumsum(p - q))[:-1].max(),
            (feature.name, "model_feature:drift_chi2:1h"): stats.chisquare(size * p, size * q).statistic,
            (feature.name, "model_feature:drift_psi_null:1h"): (len(p) - 1) / size,
            (feature.name, "model_feature:model_feature_compared:increase1h"): live.sum(),
        }
    return found


def recorded(live: LiveStack, model: str) -> dict[tuple[str, str], float]:
    names = "model_feature:(drift_(psi|js_distance|ks|chi2|psi_null)|model_feature_compared):(increase)?1h"
    rows = live.query(f'{{__name__=~"{names}",model_name="{model}"}}')
    return {(labels["feature"], labels["__name__"]): value for labels, value in rows}


def observed(live: LiveStack, model: str) -> float | None:
    return live.value(f'sum(max_over_time(model_feature_values_total{{model_name="{model}"}}[10m]))')


def judged(live: LiveStack, alert: str) -> set[str]:
    """Return the models that the alert's expression was ever true for.

    Not whether it fired: these processes end, and their series with them, before its fifteen minutes (15 s here) are
    over. That it fires is shown where services live on (tests/pipeline/test_demo.py).
    """
    rows = live.query(f'count_over_time(ALERTS{{alertname="{alert}"}}[10m])')
    return {labels["model_name"] for labels, _ in rows}


def test_recorded_statistics_equal_those_of_the_raw_values(
    start_stack: StartStack, world: World, tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    live = start_stack(speed=SPEED)
    env = environment(live, "drift", interval_s=0.5)
    # A worker with its fork, then their replacement, as after a graceful restart.
    for first in (0, 2):
        ended = subprocess.run(
            [sys.executable, str(PROGRAM), str(tmp_path), str(first)],
            env=env,
            check=False,
            capture_output=True,
            text=True,
        )
        assert (ended.returncode, ended.stderr) == (0, "")

    for model, rows in world.rows.items():
        eventually(f"every value of {model}", lambda m=model: observed(live, m) == ROWS * FEATURES, timeout_s=20)
        eventually(
            f"the whole window of {model}",
            lambda m=model, r=rows: (
                len(got := recorded(live, m)) == 6 * FEATURES
                and got == pytest.approx(expected(world.reference, r), rel=1e-6, abs=1e-6)
            ),
            timeout_s=50,
        )
    drifted = {"shifted", "spread", "holes"}
    eventually("FeatureDrift", lambda: judged(live, "FeatureDrift") == drifted, timeout_s=50)
    seen = 'max_over_time(model_feature_values_total{feature="f00"}[10m])'
    assert len(live.query(f"count by (instance) ({seen})")) == 4
    firing = 'ALERTS{alertname=~"DriftReference.*",alertstate="firing"}'
    assert live.query(f"count_over_time({firing}[10m])") == []
