"""What Prometheus shows one minute after `infermeter up`: the series of the requirements, and what is made of them."""

from __future__ import annotations

import pytest
import yaml
from tests.pipeline.conftest import StartStack
from tests.pipeline.example_processes import await_next_scrape, environment, run_script
from tests.pipeline.live_stack import LiveStack

from infermeter.assets import asset
from infermeter.cli.stack import readiness
from infermeter.cli.stack.loopback import get_json

pytestmark = pytest.mark.pipeline

MODEL, VERSION = {"model_name"}, {"model_name", "model_version"}
# As the requirements name them; Prometheus spreads a histogram over three names and adds `le`.
LABELS = {
    "model_inference_latency_seconds_bucket": VERSION | {"le"},
    "model_inference_latency_seconds_sum": VERSION,
    "model_inference_latency_seconds_count": VERSION,
    "model_inference_requests_total": VERSION | {"status"},
    "model_prediction_confidence_bucket": MODEL | {"le"},
    "model_prediction_confidence_sum": MODEL,
    "model_prediction_confidence_count": MODEL,
}
LATENCY_BOUNDS = ["0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"]
CONFIDENCE_BOUNDS = ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "0.95", "0.99", "+Inf"]
IDENTITY = {"job", "instance", "namespace", "host_name"}
P99 = "model_version:model_inference_latency_seconds:p99_rate5m"


def test_a_minute_after_up_the_series_and_the_recorded_layer_are_there(start_stack: StartStack) -> None:
    live = start_stack(example=True)
    names = [*LABELS, *recorded_names()]

    def missing() -> str | None:
        return ", ".join(name for name in names if not live.query(f'{name}{{model_name="fraud"}}')) or None

    readiness.wait_for("every series and recorded series", missing, timeout_s=60)
    for name, labels in LABELS.items():
        assert label_names(live, name, "fraud-api") == labels | IDENTITY, name
    assert bounds(live, "model_inference_latency_seconds", "fraud-api") == sorted([*LATENCY_BOUNDS, "0.2"], key=float)
    assert bounds(live, "model_prediction_confidence", "fraud-api") == CONFIDENCE_BOUNDS
    assert_no_foreign_labels(live, "fraud-api")

    by_version = {labels["model_version"]: value for labels, value in live.query(f'{P99}{{model_name="fraud"}}')}
    assert set(by_version) == {"1", "2"}
    assert all(0 < value <= 2.5 for value in by_version.values()), by_version
    # Each group has been evaluated once when its health is known; the slowest does so every 30 s.
    readiness.wait_for("healthy rules", lambda: str(unhealthy_rules(live) or "") or None, timeout_s=45)


def test_pod_and_namespace_show_where_kubernetes_gives_them(live_stack: LiveStack) -> None:
    attributes = "k8s.namespace.name=shop,k8s.pod.name=churn-5c9,deployment.environment.name=staging"
    env = environment(live_stack, "series-pod", OTEL_RESOURCE_ATTRIBUTES=attributes)
    run_script(asset("examples") / "script.py", env)
    await_next_scrape(live_stack)

    for name, labels in LABELS.items():
        assert label_names(live_stack, name, "series-pod") == labels | IDENTITY | {"pod"}, name
    found = live_stack.query('model_prediction_confidence_count{job="series-pod"}')
    assert [(labels["namespace"], labels["pod"]) for labels, _ in found] == [("shop", "churn-5c9")]
    assert_no_foreign_labels(live_stack, "series-pod")


def label_names(live: LiveStack, name: str, job: str) -> set[str]:
    """Return the label names that every series of a name has; fails if they differ among them."""
    rows = live.query(f'{name}{{job="{job}"}}')
    kinds = {frozenset(labels) - {"__name__"} for labels, _ in rows}
    assert len(kinds) == 1, f"{name} has series with different labels: {[sorted(kind) for kind in kinds]}"
    return set(kinds.pop())


def bounds(live: LiveStack, histogram: str, job: str) -> list[str]:
    """Return the bucket bounds of a histogram in ascending order."""
    found = {labels["le"] for labels, _ in live.query(f'{histogram}_bucket{{job="{job}"}}')}
    return sorted((f"{float(le):g}".replace("inf", "+Inf") for le in found), key=float)


def assert_no_foreign_labels(live: LiveStack, job: str) -> None:
    """Fail if any series of a job shows where it came from instead of what it is."""
    rows = live.query(f'{{job="{job}"}}')
    assert rows
    assert {name for labels, _ in rows for name in labels if name.startswith(("otel_scope", "exported_"))} == set()


def unhealthy_rules(live: LiveStack) -> dict[str, str]:
    """Return the rules that were not evaluated well, with the reason."""
    answer = get_json(f"{live.prometheus_url}/api/v1/rules", timeout_s=10)
    assert answer is not None
    rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    assert {"HighInferenceLatency", "LowGPUUtilization", "HighPredictionErrorRate"} <= {rule["name"] for rule in rules}
    return {rule["name"]: rule.get("lastError", rule["health"]) for rule in rules if rule["health"] != "ok"}


def recorded_names() -> list[str]:
    """Return the names of the recording layer."""
    content = yaml.safe_load(asset("deploy/prometheus/rules/base.rules.yml").read_text(encoding="utf-8"))
    return [rule["record"] for group in content["groups"] for rule in group["rules"] if "record" in rule]
