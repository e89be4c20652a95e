"""The overview's numbers, asked of Prometheus. A number that is not there is None: unsupported is absent, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infermeter import catalog

if TYPE_CHECKING:
    from infermeter.cli.diagnosis.backend import Backend

_VERSION = ("namespace", "model_name", "model_version")
_GPU = ("host", "gpu", "UUID", "GPU_I_ID")
_PIPELINE = ("namespace", "pipeline")
_REQUESTS, _LATENCY = catalog.REQUESTS.name, catalog.LATENCY.name
_COUNTED = 'status=~"success|error|timeout"'
_PARALLEL = 6

Key = tuple[str, ...]


@dataclass(frozen=True)
class ModelNumbers:
    """One version of a model. Ratios are 0 to 1, times in seconds."""

    namespace: str
    model_name: str
    model_version: str
    requests_per_s: float | None
    failed_ratio: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    sla_s: float | None
    within_sla_ratio: float | None
    in_flight: float | None
    waiting: float | None


@dataclass(frozen=True)
class GpuNumbers:
    """One GPU, or one instance of a partitioned one."""

    host: str
    gpu: str
    uuid: str
    instance: str
    busy_ratio: float | None
    memory_used_bytes: float | None
    memory_total_bytes: float | None
    temperature_celsius: float | None
    power_watts: float | None


@dataclass(frozen=True)
class PipelineNumbers:
    """One pipeline."""

    namespace: str
    pipeline: str
    since_success_s: float | None
    expected_interval_s: float | None
    duration_s: float | None


@dataclass(frozen=True)
class Alert:
    """An alert that fires, or is about to."""

    name: str
    state: str
    severity: str
    since: str
    summary: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Overview:
    """Everything at one moment."""

    requests_per_s: float | None
    failed_ratio: float | None
    active_versions: float | None
    gpu_busy_ratio: float | None
    models: tuple[ModelNumbers, ...]
    gpus: tuple[GpuNumbers, ...]
    pipelines: tuple[PipelineNumbers, ...]
    alerts: tuple[Alert, ...]


def expressions(window: str) -> dict[str, str]:
    """Return what is asked, by the name of the number.

    Args:
        window: Over how long rates are taken, at least four scrape intervals, such as `1m`.
    """
    version = ", ".join(_VERSION)
    counted = f"sum by ({version}) (rate({_REQUESTS}{{{_COUNTED}}}[{window}]))"
    failed = f'sum by ({version}) (rate({_REQUESTS}{{status=~"error|timeout"}}[{window}]))'
    buckets = f"sum by ({version}, le) (rate({_LATENCY}_bucket[{window}]))"
    all_failed, all_counted = f"sum({failed})", f"sum({counted})"
    gpu = ", ".join(_GPU[2:])
    return {
        "total": f"sum(rate({_REQUESTS}[{window}]))",
        "total_failed": f"({all_failed} or 0 * {all_counted}) / ({all_counted} > 0)",
        "active": f"count(sum by ({version}) (rate({_REQUESTS}[{window}])) > 0)",
        "gpu_busy": "avg(gpu:utilization_ratio:avg5m)",
        "requests": f"sum by ({version}) (rate({_REQUESTS}[{window}]))",
        "failed": f"({failed} or 0 * {counted}) / ({counted} > 0)",
        "p50": f"histogram_quantile(0.5, {buckets}) >= 0",
        "p95": f"histogram_quantile(0.95, {buckets}) >= 0",
        "p99": f"histogram_quantile(0.99, {buckets}) >= 0",
        "sla": f"max by (namespace, model_name) ({catalog.SLA.name})",
        "over_sla": "model_version:model_inference_over_sla:ratio_rate5m",
        "in_flight": f"sum by ({version}) ({catalog.IN_FLIGHT.name})",
        "waiting": f"sum by ({version}) ({catalog.QUEUE_DEPTH.name})",
        "busy": f"max by ({', '.join(_GPU)}) (gpu:utilization_ratio:avg5m)",
        "memory_used": "gpu:memory_used_bytes:max",
        "memory_free": "gpu:memory_free_bytes:max",
        "temperature": f"max by ({gpu}) (DCGM_FI_DEV_GPU_TEMP)",
        "power": f"max by ({gpu}) (DCGM_FI_DEV_POWER_USAGE)",
        "last_success": f"time() - max by (namespace, pipeline) ({catalog.PIPELINE_LAST_SUCCESS.name})",
        "interval": f"max by (namespace, pipeline) ({catalog.PIPELINE_INTERVAL.name})",
        "duration": f"max by (namespace, pipeline) ({catalog.PIPELINE_DURATION.name})",
    }


def read_overview(prometheus: Backend, *, window: str) -> Overview:
    """Ask for all numbers.

    Raises:
        NoAnswerError: Prometheus does not answer.
    """
    with ThreadPoolExecutor(_PARALLEL) as workers:
        asked = {name: workers.submit(prometheus.query, text) for name, text in expressions(window).items()}
        alerts = workers.submit(_alerts, prometheus)
    found = {name: one.result() for name, one in asked.items()}

    def one(name: str) -> float | None:
        return found[name][0][1] if found[name] else None

    def by(name: str, labels: tuple[str, ...]) -> dict[Key, float]:
        return {tuple(row.get(label, "") for label in labels): value for row, value in found[name]}

    return Overview(
        requests_per_s=one("total"),
        failed_ratio=one("total_failed"),
        active_versions=one("active"),
        gpu_busy_ratio=one("gpu_busy"),
        models=_models({name: by(name, _VERSION) for name in _OF_VERSIONS}, by("sla", _VERSION[:2])),
        gpus=_gpus({name: by(name, _GPU) for name in _OF_GPUS}, {name: by(name, _GPU[2:]) for name in _OF_UUIDS}),
        pipelines=_pipelines({name: by(name, _PIPELINE) for name in _OF_PIPELINES}),
        alerts=alerts.result(),
    )


_OF_VERSIONS = ("requests", "failed", "p50", "p95", "p99", "over_sla", "in_flight", "waiting")
_OF_GPUS = ("busy", "memory_used", "memory_free")
_OF_UUIDS = ("temperature", "power")
_OF_PIPELINES = ("last_success", "interval", "duration")
_Found = dict[str, dict[Key, float]]


def _models(found: _Found, slas_s: dict[Key, float]) -> tuple[ModelNumbers, ...]:
    return tuple(
        ModelNumbers(
            namespace=key[0],
            model_name=key[1],
            model_version=key[2],
            requests_per_s=found["requests"].get(key),
            failed_ratio=found["failed"].get(key),
            p50_s=found["p50"].get(key),
            p95_s=found["p95"].get(key),
            p99_s=found["p99"].get(key),
            sla_s=slas_s.get(key[:2]),
            within_sla_ratio=1 - found["over_sla"][key] if key in found["over_sla"] else None,
            in_flight=found["in_flight"].get(key),
            waiting=found["waiting"].get(key),
        )
        for key in sorted(found["requests"])
    )


def _gpus(found: _Found, of_uuids: _Found) -> tuple[GpuNumbers, ...]:
    def total(key: Key) -> float | None:
        used, free = found["memory_used"].get(key), found["memory_free"].get(key)
        return None if used is None or free is None else used + free

    return tuple(
        GpuNumbers(
            host=key[0],
            gpu=key[1],
            uuid=key[2],
            instance=key[3],
            busy_ratio=found["busy"].get(key),
            memory_used_bytes=found["memory_used"].get(key),
            memory_total_bytes=total(key),
            temperature_celsius=of_uuids["temperature"].get(key[2:]),
            power_watts=of_uuids["power"].get(key[2:]),
        )
        for key in sorted(set(found["busy"]) | set(found["memory_used"]))
    )


def _pipelines(found: _Found) -> tuple[PipelineNumbers, ...]:
    keys = sorted({key for rows in found.values() for key in rows})
    return tuple(
        PipelineNumbers(
            namespace=key[0],
            pipeline=key[1],
            since_success_s=found["last_success"].get(key),
            expected_interval_s=found["interval"].get(key),
            duration_s=found["duration"].get(key),
        )
        for key in keys
    )


def _alerts(prometheus: Backend) -> tuple[Alert, ...]:
    """Return all but those that notify nobody, the firing ones first."""
    answer: list[dict[str, Any]] = prometheus.get("/api/v1/alerts")["data"]["alerts"]
    alerts = [
        Alert(
            name=one["labels"]["alertname"],
            state=one["state"],
            severity=one["labels"].get("severity", ""),
            since=one["activeAt"],
            summary=one["annotations"].get("summary", ""),
            labels={name: value for name, value in one["labels"].items() if name not in ("alertname", "severity")},
        )
        for one in answer
        if one["labels"].get("severity") != "none"
    ]
    return tuple(sorted(alerts, key=lambda alert: (alert.state != "firing", alert.since, alert.name)))
