"""One program, two ways into Prometheus: through the collector, and scraped from its own /metrics.

The same series with the same values, job and instance aside.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.pipeline.conftest import StartStack
from tests.pipeline.example_processes import await_next_scrape, environment
from tests.pipeline.live_stack import LiveStack, eventually

from infermeter.cli.stack.loopback import get_json

pytestmark = pytest.mark.pipeline

RESOURCE = "k8s.namespace.name=shop,k8s.pod.name=fraud-7d4f,deployment.environment.name=staging,service.version=1.2"
# How a process reports is no part of what it reports: exports happen on one of the two ways only.
ABOUT_THE_WAY = {"infermeter_exports_total", "infermeter_export_duration_seconds"}
ABOUT_THE_SCRAPE = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"}
ABOUT_THE_SCRAPE |= {"scrape_series_added"}
CLOCKED, A_SUM = ("model_name", "clocked"), ("__name__", "model_inference_latency_seconds_sum")

Series = dict[tuple[tuple[str, str], ...], float]


def test_both_ways_into_prometheus_show_the_same_series_and_values(start_stack: StartStack) -> None:
    live = start_stack()
    with (
        program(environment(live, "parity-collector", OTEL_RESOURCE_ATTRIBUTES=RESOURCE)),
        program(
            environment(
                live,
                "parity-scraped",
                OTEL_RESOURCE_ATTRIBUTES=RESOURCE,
                OTEL_METRICS_EXPORTER="prometheus",
                OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
                OTEL_EXPORTER_PROMETHEUS_PORT="0",
            )
        ) as metrics_url,
    ):
        also_scrape(live, "parity-scraped", metrics_url)
        await_next_scrape(live)
        collected, scraped = series(live, "parity-collector"), series(live, "parity-scraped")
        descriptions = [described(live, "infermeter-collector"), described(live, "parity-scraped")]

    assert {dict(key)["__name__"] for key in collected} >= {
        "model_inference_latency_seconds_bucket",
        "model_inference_requests_total",
        "model_prediction_confidence_sum",
        "model_feature_values_total",
        "model_info",
        "target_info",
    }
    assert untimed(scraped) == untimed(collected)
    assert set(scraped) == set(collected)
    for key in scraped:
        labels = dict(key)
        if labels["__name__"] not in ("target_info", "infermeter_info"):
            assert (labels["namespace"], labels["pod"]) == ("shop", "fraud-7d4f"), labels
            assert labels["host_name"], labels
        assert not any(name.startswith(("otel_scope", "exported_")) for name in labels), labels
    names = {name for name in descriptions[1] if name.startswith("model_")}
    assert {name: descriptions[0].get(name) for name in names} == {name: descriptions[1][name] for name in names}


@contextmanager
def program(env: dict[str, str]) -> Iterator[str]:
    """Run the program until it has recorded everything, and yield the URL of its /metrics, if it has one."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(Path(__file__).with_name("parity_program.py"))],
        env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said, _, url = process.stdout.readline().strip().partition(" ")
        assert said == "recorded", f"the program ended with {process.wait(timeout=10)}"
        yield url
    finally:
        process.stdin.close()
        status = process.wait(timeout=60)
        process.stdout.close()
    assert status == 0


def also_scrape(live: LiveStack, job: str, url: str) -> None:
    """Have Prometheus scrape one more target, and wait for the first scrape."""
    config_file = live.stack.places.config / "prometheus.yml"
    config: dict[str, Any] = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    address = url.removeprefix("http://").removesuffix("/metrics")
    config["scrape_configs"].append({"job_name": job, "static_configs": [{"targets": [address]}]})
    config_file.write_text(yaml.safe_dump(config), encoding="utf-8")
    os.kill(live.stack.process_of("prometheus").pid, signal.SIGHUP)
    eventually(f"a scrape of {url}", lambda: live.value(f'up{{job="{job}"}}') == 1)


def series(live: LiveStack, job: str) -> Series:
    """Return all series of a job, by name and labels without job and instance."""
    found: Series = {}
    for labels, value in live.query(f'{{job="{job}"}}'):
        if labels["__name__"] in ABOUT_THE_WAY | ABOUT_THE_SCRAPE:
            continue
        key = tuple(sorted((name, text) for name, text in labels.items() if name not in ("job", "instance")))
        assert key not in found, f"two series of {job} differ only by instance: {key}"
        found[key] = value
    return found


def untimed(found: Series) -> Series:
    """Leave out the one sum of times that a real clock has measured."""
    return {key: value for key, value in found.items() if not {CLOCKED, A_SUM} <= set(key)}


def described(live: LiveStack, job: str) -> dict[str, tuple[str, str]]:
    """Return type and help text of each metric of a scrape job.

    In OpenMetrics, which Prometheus prefers where it is offered, a counter is described without its `_total`.
    """
    answer = get_json(f'{live.prometheus_url}/api/v1/targets/metadata?match_target={{job="{job}"}}', timeout_s=10)
    assert answer is not None
    return {row["metric"].removesuffix("_total"): (row["type"], row["help"]) for row in answer["data"]}
