"""The series of a large fleet as one scrape: what the SDK, a GPU exporter and batch jobs would show. Times nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from infermeter.catalog import BATCH_SIZE, CATALOG, CONFIDENCE, DIRECTIONS, LATENCY, Metric

# Requests per replica and scrape, of which one in 300 fails.
_REQUESTS = 15
_NAMES = {metric.name: metric for metric in CATALOG}


@dataclass(frozen=True)
class Fleet:
    """How large it is.

    Args:
        models: Models, each with its own service.
        versions: Versions per model.
        replicas: Replicas per version.
        features: Features per version that are watched for drift, with ten bins and one for what is missing.
        classes: Predicted classes.
        gpu_share: One in this many replicas holds a GPU.
        pipelines: Batch jobs.
    """

    models: int = 100
    versions: int = 3
    replicas: int = 20
    features: int = 3
    classes: int = 3
    gpu_share: int = 3
    pipelines: int = 100

    def versions_of_models(self) -> Iterator[tuple[str, str]]:
        """Yield name and version of each version of each model."""
        for model in range(self.models):
            for version in range(self.versions):
                yield f"model-{model:03}", str(version + 1)


class Scrape:
    """The text of a scrape at any tick: cut at its numbers once, then only those are filled in."""

    def __init__(self, fleet: Fleet) -> None:
        text = "".join(f"{line}\n" for line in _lines(fleet)).encode()
        self.series = text.count(b"\n")
        first, *others = text.split(b"@")
        self._markers = [part[:1] for part in others]
        self._pieces = [first, *(part[1:] for part in others)]

    def at(self, tick: int) -> bytes:
        """Return the text after `tick` intervals; counters have grown evenly."""
        values = {marker.encode(): str(int(per_tick * tick)).encode() for marker, per_tick in _GROWING.items()}
        filled = [b""] * (2 * len(self._markers) + 1)
        filled[::2] = self._pieces
        filled[1::2] = [values[marker] for marker in self._markers]
        return b"".join(filled)


# The character after an @ says which number grows there; here by how much per tick. Buckets hold shares of requests.
_SHARES = (0.05, 0.2, 0.5, 0.8, 0.93, 0.97, 0.985, 0.992, 0.996, 0.998, 0.999, 0.9995, 1.0)
_GROWING = {"r": _REQUESTS, "e": 0.05, "s": 1.2, "t": 1000} | {
    chr(ord("A") + i): _REQUESTS * share for i, share in enumerate(_SHARES)
}


def _lines(fleet: Fleet) -> Iterator[str]:
    for number, (model, version) in enumerate(fleet.versions_of_models()):
        for replica in range(fleet.replicas):
            pod = f"{model}-v{version}-{replica}"
            target = f'job="{model}",instance="{pod}",namespace="prod",pod="{pod}",host_name="node-{replica}"'
            labels = f'{target},model_name="{model}",model_version="{version}"'
            yield from _replica(labels, target, fleet, model)
            if (number + replica) % fleet.gpu_share == 0:
                yield from _gpu(f"{pod}-gpu", replica, pod)
    for number in range(fleet.pipelines):
        yield from _pipeline(f'job="jobs",instance="pipelines",namespace="prod",pipeline="job-{number:03}"')


def _replica(labels: str, target: str, fleet: Fleet, model: str) -> Iterator[str]:
    for status in ("success", "error", "timeout", "cancelled", "rejected"):
        value = {"success": "@r", "error": "@e"}.get(status, "0")
        yield f'model_inference_requests_total{{{labels},status="{status}"}} {value}'
    yield from _histogram(LATENCY, labels)
    yield from _histogram(CONFIDENCE, f'{target},model_name="{model}"')
    yield from _histogram(_NAMES["model_inference_queue_time_seconds"], labels)
    yield from _histogram(BATCH_SIZE, labels)
    yield f'model_inference_batches_total{{{labels},reason="full"}} @e'
    for name, value in {
        "model_inference_in_flight": "2",
        "model_inference_queue_depth": "1",
        "model_inference_batch_limit": "8",
    }.items():
        yield f"{name}{{{labels}}} {value}"
    yield f'model_info{{{labels},framework="torch",reference="ab12"}} 1'
    yield f'model_inference_sla_seconds{{{target},model_name="{model}"}} 0.5'
    yield f'model_inference_exceptions_total{{{labels},error_type="ValueError"}} @e'
    for direction in DIRECTIONS:
        yield f'model_tokens_total{{{labels},direction="{direction}"}} @t'
    for number in range(fleet.classes):
        yield f'model_feature_values_total{{{labels},feature="prediction",bin="class-{number}"}} @C'
    for feature in range(fleet.features):
        named = f'{labels},feature="feature-{feature}"'
        for bin_ in (*(f"{i:02}" for i in range(10)), "missing"):
            yield f'model_feature_values_total{{{named},bin="{bin_}"}} @A'
            yield f'model_feature_reference_ratio{{{named},bin="{bin_}"}} 0.0909'
        yield f"model_feature_reference_samples{{{named}}} 10000"
    yield f'infermeter_dropped_total{{{target},where="inference",reason="label"}} 0'
    yield f'infermeter_exports_total{{{target},outcome="success"}} @e'
    yield f'infermeter_exports_total{{{target},outcome="failure"}} 0'
    yield f"infermeter_export_duration_seconds{{{target}}} 0.01"
    yield f"infermeter_series{{{target}}} 120"
    yield f"infermeter_series_limit{{{target}}} 2000"
    yield f'infermeter_info{{{target},version="1"}} 1'


def _histogram(metric: Metric, labels: str) -> Iterator[str]:
    for i, bound in enumerate(metric.bounds):
        yield f'{metric.name}_bucket{{{labels},le="{bound}"}} @{chr(ord("A") + i)}'
    yield f'{metric.name}_bucket{{{labels},le="+Inf"}} @r'
    yield f"{metric.name}_count{{{labels}}} @r"
    yield f"{metric.name}_sum{{{labels}}} @s"


def _gpu(uuid: str, node: int, pod: str) -> Iterator[str]:
    labels = (
        f'job="nvidia-gpu",instance="node-{node}:9400",gpu="0",UUID="GPU-{uuid}",pci_bus_id="0",device="nvidia0",'
        f'modelName="NVIDIA H100",Hostname="node-{node}-{uuid}",namespace="prod",pod="{pod}",container="main"'
    )
    for name, value in {
        "DCGM_FI_DEV_GPU_UTIL": 62,
        "DCGM_FI_DEV_MEM_COPY_UTIL": 20,
        "DCGM_FI_DEV_FB_FREE": 40000,
        "DCGM_FI_DEV_FB_USED": 41000,
        "DCGM_FI_DEV_GPU_TEMP": 61,
        "DCGM_FI_DEV_POWER_USAGE": 410,
        "DCGM_FI_DEV_XID_ERRORS": 0,
    }.items():
        yield f"{name}{{{labels}}} {value}"


def _pipeline(labels: str) -> Iterator[str]:
    for status in ("success", "error"):
        yield f'pipeline_runs_total{{{labels},status="{status}"}} {"@e" if status == "success" else "0"}'
    for name, value in {
        "run_duration_seconds": "120",
        "last_success_timestamp_seconds": "1.8e9",
        "data_timestamp_seconds": "1.8e9",
        "expected_interval_seconds": "86400",
        "max_data_age_seconds": "172800",
        "max_duration_seconds": "600",
    }.items():
        yield f"pipeline_{name}{{{labels}}} {value}"
