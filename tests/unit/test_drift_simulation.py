"""The alert judges simulated windows: silent without drift, awake with it. `make simulate-drift` does it at length."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.drift_simulation.ours import ENOUGH, LARGE, SURE, Feature

import infermeter
from infermeter.assets import asset
from infermeter.testing import CapturedMetrics

SEED = 77
random = np.random.default_rng(SEED)
feature = Feature(random)


def test_the_simulation_judges_as_the_rules_do():
    rules = asset("deploy/prometheus/rules/drift.rules.yml").read_text(encoding="utf-8")

    assert float(re.search(r"drift_chi2_z:1h > ([\d.]+)", rules)[1]) == SURE
    assert int(re.search(r"model_feature_compared:increase1h >= (\d+)", rules)[1]) == ENOUGH
    assert float(re.search(r"drift_psi_significant:1h\{[^}]*\} > ([\d.]+)", rules)[1]) == LARGE


@pytest.mark.parametrize("values", [50, 200, 1_000, 50_000])
def test_without_drift_there_is_no_alert(values):
    print(f"seed {SEED}")
    assert feature.alert_share(feature.windows(random, values, 2_000)) == 0


@pytest.mark.parametrize("values", [200, 1_000])
def test_a_shift_of_three_quarters_of_a_deviation_is_found(values):
    print(f"seed {SEED}")
    assert feature.alert_share(feature.windows(random, values, 2_000, shift=0.75)) >= 0.99


def test_values_that_repeat_alert_by_chance_unless_each_unit_counts_once(captured_metrics: CapturedMetrics):
    print(f"seed {SEED}")
    reference = infermeter.DriftReference.from_columns({"x": feature.sample})
    alerts = {"each": 0, "once": 0}
    for window in range(60):
        monitors = {name: infermeter.monitor_drift(f"{name}-{window}", reference) for name in alerts}
        for user, value in enumerate(random.normal(size=50).tolist()):
            for _ in range(20):
                monitors["each"].observe([value])
                monitors["once"].observe([value], unit=user)
    for point_model in [f"{name}-{window}" for name in alerts for window in range(60)]:
        live = [int(p.value) for p in captured_metrics.points("model_feature_values_total", model_name=point_model)]
        name = point_model.partition("-")[0]
        assert sum(live) == (1_000 if name == "each" else 50)
        alerts[name] += feature.alerts(live)

    assert alerts["once"] == 0
    assert alerts["each"] > 10
