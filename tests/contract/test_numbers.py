"""What the rules record equals what one computes from the requests themselves, to 1e-6.

A window of five minutes counts from its first sample to its last: with a sample a minute these are four minutes in
Prometheus 3, whose windows are open on the left, and five in 2. The requests are taken from the same minutes.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from tests.contract.promtool import PROMTOOLS
from tests.contract.promtool_evaluator import evaluate

from infermeter.assets import asset
from infermeter.catalog import LATENCY

MINUTES = 95
NOW = 90
SLA_S = 0.25
BUDGET = {"availability": 0.005, "latency": 0.01}
REPLICAS = ("a", "b", "c")
COUNTED_MINUTES = {"prometheus-3": 4, "debian-2.42": 5}
RULES = [asset(f"deploy/prometheus/rules/{name}.rules.yml") for name in ("base", "objectives", "slo")]

QUERIES = {
    "error ratio": "model_version:model_inference_errors:ratio_rate5m",
    "p50": "model_version:model_inference_latency_seconds:p50_rate5m",
    "p95": "model_version:model_inference_latency_seconds:p95_rate5m",
    "p99": "model_version:model_inference_latency_seconds:p99_rate5m",
    "SLA compliance": (
        "model_version:model_inference_within_sla:rate5m / model_version:model_inference_latency_seconds_count:rate5m"
    ),
    "over SLA": "model_version:model_inference_over_sla:ratio_rate5m",
    "beyond buckets": "model_version:model_inference_latency_seconds:beyond_buckets_ratio_rate5m",
    **{
        f"{slo} burn {window}": f'slo:burn_rate:{window}{{slo="{slo}"}}'
        for slo in BUDGET
        for window in ("5m", "30m", "1h")
    },
}
EVERY_QUERY = [pytest.param(version, name, id=f"{name}, {version}") for version in PROMTOOLS for name in QUERIES]


@cache
def requests() -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Return latencies and whether they failed, per replica and minute: traffic and trouble differ between all."""
    random = np.random.default_rng(7)
    found = {}
    for number, replica in enumerate(REPLICAS):
        minutes = []
        for minute in range(MINUTES):
            count = int(random.poisson(40 + 30 * number + 20 * np.sin(minute / 7)))
            latencies = random.lognormal(np.log(0.08 + 0.02 * number), 1.4, count)
            minutes.append((latencies, random.random(count) < 0.01 + 0.02 * (minute > 60)))
        found[replica] = minutes
    return found


def series() -> dict[str, str]:
    """Return what the replicas export: counters from 0, cumulative buckets."""
    found = {'model_inference_sla_seconds{instance="a",model_name="m"}': f"{SLA_S}x{MINUTES}"}
    for replica, minutes in requests().items():
        of = f'instance="{replica}",model_name="m",model_version="1"'
        failed = [int(failures.sum()) for _, failures in minutes]
        answered = [len(latencies) for latencies, _ in minutes]
        succeeded = [a - f for a, f in zip(answered, failed, strict=True)]
        found[f'model_inference_requests_total{{{of},status="success"}}'] = _counter(succeeded)
        found[f'model_inference_requests_total{{{of},status="error"}}'] = _counter(failed)
        for bound in (*LATENCY.bounds, np.inf):
            le = "+Inf" if np.isinf(bound) else f"{bound:g}"
            counts = [int((latencies <= bound).sum()) for latencies, _ in minutes]
            found[f'model_inference_latency_seconds_bucket{{{of},le="{le}"}}'] = _counter(counts)
    return found


def _counter(counts: list[int]) -> str:
    return " ".join(map(str, [0, *np.cumsum(counts).tolist()]))


@cache
def recorded(version: str) -> dict[str, float]:
    queries = [(expression, f"{NOW}m") for expression in QUERIES.values()]
    found = evaluate(series(), queries, RULES, version=version)
    return {name: value.only() for name, value in zip(QUERIES, found, strict=True)}


def seen(minute: int, version: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the requests that a window of five minutes which ends with a minute counts."""
    chosen = [replica[at] for replica in requests().values() for at in range(minute - COUNTED_MINUTES[version], minute)]
    return np.concatenate([latencies for latencies, _ in chosen]), np.concatenate([failed for _, failed in chosen])


def computed(name: str, version: str) -> float:
    """Compute what a query should come to from the requests."""
    latencies, failed = seen(NOW, version)
    if name == "error ratio":
        return float(failed.mean())
    if name in {"p50", "p95", "p99"}:
        return quantile(latencies, float(name[1:]) / 100)
    if name == "SLA compliance":
        return float((latencies <= SLA_S).mean())
    if name == "over SLA":
        return float((latencies > SLA_S).mean())
    if name == "beyond buckets":
        return float((latencies > LATENCY.bounds[-1]).mean())
    slo, _, window = name.split()
    windows = {"5m": 1, "30m": 6, "1h": 12}[window]
    each = [seen(minute, version) for minute in range(NOW, NOW - 5 * windows, -5)]
    bad = [failed if slo == "availability" else latencies > SLA_S for latencies, failed in each]
    return float(sum(b.sum() for b in bad) / sum(len(b) for b in bad) / BUDGET[slo])


def quantile(latencies: np.ndarray, share: float) -> float:
    """Interpolate inside the bucket that holds the rank, as histogram_quantile does."""
    bounds = [0.0, *LATENCY.bounds]
    rank = share * len(latencies)
    for lower, upper in pairwise(bounds):
        below, within = (latencies <= lower).sum(), (latencies <= upper).sum()
        if within >= rank:
            return lower + (upper - lower) * (rank - below) / (within - below)
    return bounds[-1]


@pytest.mark.parametrize(("version", "name"), EVERY_QUERY)
def test_what_is_recorded_equals_what_is_computed_from_the_requests(version, name):
    assert recorded(version)[name] == pytest.approx(computed(name, version), rel=1e-6)


def test_the_requests_exercise_every_number():
    latencies, failed = seen(NOW, "prometheus-3")
    assert failed.any()
    assert (latencies > LATENCY.bounds[-1]).any()
    assert 0.01 < (latencies > SLA_S).mean() < 0.5


def test_results_are_found_however_promtool_spells_their_time():
    """Whole weeks are weeks: a month of days must not lose four of them."""
    times = ("45m", "90m", "24h", "6d", "7d", "8d", "14d")
    found = evaluate({"seen": "1x2"}, [("vector(time())", at) for at in times], RULES[1:2], every="4h", step="1d")
    assert [value.only() for value in found] == [2700, 5400, 86400, 518400, 604800, 691200, 1209600]
