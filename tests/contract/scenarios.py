"""Troubles of a small fleet, as series for promtool: what is wrong in each, and which alerts that is.

A healthy world and what each scenario changes in it. All values are per minute, so that rates are easy to see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

World = dict[str, str]

PER_MINUTE = 600


@dataclass(frozen=True)
class Scenario:
    """One thing that is wrong.

    Args:
        name: In the words of a person on call.
        change: Makes it happen in a healthy world of so many minutes.
        fires: The alerts that this is, symptoms included.
        minutes: How long it takes.
        every: How often rules are evaluated; long scenarios take longer steps.
    """

    name: str
    change: Callable[[World, int], None]
    fires: frozenset[str] = field(default_factory=frozenset)
    minutes: int = 45
    every: str = "1m"


def healthy(minutes: int) -> World:
    """Return a model with two replicas, a GPU each, a feature, a pipeline, a collector and Prometheus' own series."""
    world: World = {}
    for pod in ("p1", "p2"):
        answer(world, minutes, pod=pod)
        use_gpu(world, minutes, pod=pod, percent=75)
    for job in ("infermeter-collector", "infermeter-collector-self", "infermeter-collector-pipelines", "nvidia-gpu"):
        world[f'up{{job="{job}",instance="{job}:1"}}'] = f"1x{minutes}"
    for feature, bins in FEATURES.items():
        see_feature(world, minutes, feature, bins, [100] * len(bins))
    run_pipeline(world, minutes)
    world['infermeter_exports_total{namespace="prod",job="api",outcome="success"}'] = f"0+4x{minutes}"
    world['infermeter_exports_total{namespace="prod",job="api",outcome="failure"}'] = f"0x{minutes}"
    world['infermeter_series{namespace="prod",job="api"}'] = f"80x{minutes}"
    world['infermeter_series_limit{namespace="prod",job="api"}'] = f"2000x{minutes}"
    world['infermeter_dropped_total{namespace="prod",job="api",where="labels",reason="cap"}'] = f"0x{minutes}"
    world[SENT_FAILED] = f"0x{minutes}"
    world[REFUSED] = f"0x{minutes}"
    world[SAMPLES] = f"4000x{minutes}"
    world[LIMITED] = f"0x{minutes}"
    world[RULE_FAILURES] = f"0x{minutes}"
    world[RULE_DURATION] = f"0.02x{minutes}"
    world['prometheus_rule_group_interval_seconds{job="prometheus",rule_group="g"}'] = f"30x{minutes}"
    return world


SENT_FAILED = 'otelcol_exporter_send_failed_metric_points_total{job="infermeter-collector-self",exporter="otlp_http"}'
REFUSED = 'otelcol_receiver_refused_metric_points_total{job="infermeter-collector-self",receiver="otlp"}'
SAMPLES = 'scrape_samples_post_metric_relabeling{job="infermeter-collector",instance="c1"}'
LIMITED = 'prometheus_target_scrapes_exceeded_sample_limit_total{job="prometheus"}'
RULE_FAILURES = 'prometheus_rule_evaluation_failures_total{job="prometheus",rule_group="g"}'
RULE_DURATION = 'prometheus_rule_group_last_duration_seconds{job="prometheus",rule_group="g"}'
FEATURES = {"amount": ["00", "01", "02", "03", "04", "missing"], "prediction": ["ham", "spam", "other"]}


def answer(
    world: World,
    minutes: int,
    *,
    model: str = "m",
    version: str = "1",
    pod: str = "p1",
    requests: int = PER_MINUTE,
    errors: int = 0,
    late: int = 0,
    middling: int = 0,
) -> None:
    """Answer requests: so many a minute, of which so many fail, exceed the SLA (0.5 s), or take 0.25 to 0.5 s."""
    of = f'namespace="prod",job="api",instance="i-{pod}",pod="{pod}",model_name="{model}",model_version="{version}"'
    counts = {"success": requests - errors, "error": errors}
    for status, count in counts.items():
        world[f'model_inference_requests_total{{{of},status="{status}"}}'] = f"0+{count}x{minutes}"
    within = {"0.25": requests - late - middling, "0.5": requests - late, "1": requests, "+Inf": requests}
    for bound, count in within.items():
        world[f'model_inference_latency_seconds_bucket{{{of},le="{bound}"}}'] = f"0+{count}x{minutes}"


def use_gpu(world: World, minutes: int, *, pod: str | None, percent: int, gpu: str | None = None) -> None:
    """Use a GPU, which the exporter attributes to a pod or to none."""
    name = gpu or (pod or "free")
    held = f',namespace="prod",pod="{pod}"' if pod else ""
    of = f'job="nvidia-gpu",instance="n1:9400",Hostname="n1",gpu="{name[-1]}",UUID="GPU-{name}"{held}'
    world[f"DCGM_FI_DEV_GPU_UTIL{{{of}}}"] = f"{percent}x{minutes}"
    world[f"DCGM_FI_DEV_GPU_TEMP{{{of}}}"] = f"60x{minutes}"
    world[f"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{{{of}}}"] = f"0x{minutes}"
    world[f"gpu_lost{{{of}}}"] = f"0x{minutes}"


def see_feature(world: World, minutes: int, feature: str, bins: list[str], counts: list[int]) -> None:
    """Count a feature's values, so many of each bin a minute; the reference has as many of each."""
    of = f'namespace="prod",job="api",pod="p1",model_name="m",model_version="1",feature="{feature}"'
    share = 1 / len(bins)
    for name, count in zip(bins, counts, strict=True):
        world[f'model_feature_values_total{{{of},bin="{name}"}}'] = f"0+{count}x{minutes}"
        world[f'model_feature_reference_ratio{{{of},bin="{name}"}}'] = f"{share!r}x{minutes}"
    world[f"model_feature_reference_samples{{{of}}}"] = f"5000x{minutes}"


def run_pipeline(
    world: World, minutes: int, *, succeeds_until: int | None = None, data_until: int | None = None
) -> None:
    """Run a pipeline each five minutes, until it fails or its data stands still."""
    of = 'namespace="prod",job="jobs",pipeline="features"'
    last_success = minutes if succeeds_until is None else succeeds_until
    world[f'pipeline_runs_total{{{of},status="success"}}'] = _stairs(minutes, last_success, step=1 / 5)
    world[f'pipeline_runs_total{{{of},status="error"}}'] = f"0x{minutes}"
    world[f"pipeline_last_success_timestamp_seconds{{{of}}}"] = _stairs(minutes, last_success, step=60)
    newest = minutes if data_until is None else data_until
    world[f"pipeline_data_timestamp_seconds{{{of}}}"] = _stairs(minutes, newest, step=60)
    world[f"pipeline_expected_interval_seconds{{{of}}}"] = f"300x{minutes}"
    world[f"pipeline_max_data_age_seconds{{{of}}}"] = f"900x{minutes}"
    world[f"pipeline_run_duration_seconds{{{of}}}"] = f"20x{minutes}"


def _stairs(minutes: int, until: int, *, step: float) -> str:
    """Return values that rise by `step` a minute every five minutes, until they stand still."""
    return " ".join(f"{int(min(minute, until) // 5 * 5 * step)}" for minute in range(minutes + 1))


def ends(world: World, part: str, minute: int) -> None:
    """End every series with a part in its name, as when its process dies."""
    for name, values in world.items():
        if part in name:
            world[name] = f"{values.rsplit('x', 1)[0]}x{minute} stale"
