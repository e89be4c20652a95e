"""What the services that report already show: old SDKs, missing labels, double counts, losses, wrong clocks."""

from __future__ import annotations

from collections import defaultdict

from infermeter.cli.diagnosis.backend import Backend, NoAnswerError
from infermeter.cli.diagnosis.finding import Finding, failed, ok, warning
from infermeter.cli.diagnosis.sending import CANARY_JOB
from infermeter.cli.exit_codes import ExitCode

_OLDEST_SDK = (1, 36)
_OLD_NAME, _NEW_NAME = "http_server_duration_milliseconds_count", "http_server_request_duration_seconds_count"
# Present or not by the fate of a request; the other labels show which instrumentation recorded it.
_OF_THE_REQUEST = {"error_type", "http_route", "http_response_status_code"}
_CLOCK_TOLERANCE_S = 60


def check_services(prometheus: Backend) -> list[Finding]:
    """Return what is wrong with the services that report; one finding that all is well if nothing is."""
    try:
        jobs = [
            labels["job"] for labels, _ in prometheus.query(f'count by (job) (infermeter_info{{job!="{CANARY_JOB}"}})')
        ]
        found = [
            *_old_sdks(prometheus),
            *_counted_twice(prometheus),
            *_without_namespace(prometheus),
            *_losses(prometheus),
            *_clocks(prometheus),
        ]
    except NoAnswerError as error:
        return [failed("services", f"Prometheus {error}.", "See above.", ExitCode.DOCTOR_PROMETHEUS)]
    if found:
        return found
    if not jobs:
        return [ok("services", "No service reports yet; the way is free for the first.")]
    return [ok("services", f"{len(jobs)} reporting: {', '.join(sorted(jobs))}; nothing unusual.")]


def _old_sdks(prometheus: Backend) -> list[Finding]:
    rows = prometheus.query('count by (job, telemetry_sdk_version) (target_info{telemetry_sdk_language="python"})')
    old = {
        labels["job"]: labels["telemetry_sdk_version"]
        for labels, _ in rows
        if tuple(int(part) for part in labels["telemetry_sdk_version"].split(".")[:2] if part.isdigit()) < _OLDEST_SDK
    }
    return [
        failed(
            "services",
            f"{job} runs opentelemetry-sdk {version}; the oldest supported is 1.36.",
            "Upgrade opentelemetry-sdk there.",
            ExitCode.DOCTOR_VERSIONS,
        )
        for job, version in sorted(old.items())
    ]


def _counted_twice(prometheus: Backend) -> list[Finding]:
    """Find processes in which two instrumentations record the same HTTP requests."""
    rows = prometheus.query(f'{{__name__=~"{_OLD_NAME}|{_NEW_NAME}"}}')
    shapes: defaultdict[tuple[str, str], set[frozenset[str]]] = defaultdict(set)
    for labels, _ in rows:
        names = frozenset(labels) - _OF_THE_REQUEST
        shape = names - {"__name__"} | {labels["__name__"]}
        shapes[labels.get("job", ""), labels.get("instance", "")].add(shape)
    jobs = sorted({job for (job, _), seen in shapes.items() if len(seen) > 1})
    return [
        failed(
            "services",
            f"{job} counts its HTTP requests twice: two instrumentations of FastAPI are active.",
            "Keep one: instrument_app(app, http=True), or OpenTelemetry's own instrumentation, or FastAPI's built-in "
            '(FastAPI(telemetry={"metrics": False}) switches that off).',
            ExitCode.DOCTOR_DOUBLE,
        )
        for job in jobs
    ]


def _without_namespace(prometheus: Backend) -> list[Finding]:
    jobs = [labels["job"] for labels, _ in prometheus.query('count by (job) (model_info{namespace=""})')]
    if not jobs:
        return []
    return [
        warning(
            "services",
            f"Without a namespace: {', '.join(sorted(jobs))}. Equal model names of two environments would be mixed.",
            "Set OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=prod there, or k8s.namespace.name in Kubernetes.",
        )
    ]


def _losses(prometheus: Backend) -> list[Finding]:
    rows = prometheus.query("sum by (job, where, reason) (increase(infermeter_dropped_total[10m])) > 0")
    return [
        warning(
            "services",
            f"{labels['job']} dropped {value:.0f} measurements in 10 minutes at {labels['where']} "
            f"({labels['reason']}).",
            "See the runbook TelemetryMeasurementsDropped.",
        )
        for labels, value in rows
    ]


def _clocks(prometheus: Backend) -> list[Finding]:
    rows = prometheus.query(f"pipeline_last_success_timestamp_seconds - time() > {_CLOCK_TOLERANCE_S}")
    return [
        failed(
            "services",
            f"The clock of pipeline {labels['pipeline']}'s host is {value:.0f} s ahead of Prometheus'.",
            "Synchronise it by NTP.",
            ExitCode.DOCTOR_CLOCK,
        )
        for labels, value in rows
    ]
