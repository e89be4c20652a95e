"""The hop from the collector to Prometheus: does the canary arrive, once and under its own name; else, where it is."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from infermeter.cli.diagnosis.backend import Backend, NoAnswerError
from infermeter.cli.diagnosis.finding import Finding, failed, ok, warning
from infermeter.cli.diagnosis.sending import CANARY_JOB
from infermeter.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

_OLDEST = (2, 42)
_POLL_S = 0.2
_CLOCK_TOLERANCE_S = 5.0
_ALIGNMENT_S = 0.01
"""More than what Prometheus moves the time of a sample away from the start of its scrape."""
COLLECTOR_JOB = "infermeter-collector"
"""The job of deploy/prometheus/prometheus.yml that scrapes what services send."""


def check_prometheus(prometheus: Backend) -> Finding:
    """Ask Prometheus for its version."""
    try:
        build: str = prometheus.get("/api/v1/status/buildinfo")["data"]["version"]
    except NoAnswerError as error:
        return failed(
            "Prometheus",
            f"Prometheus at {prometheus.url} {error}.",
            "Start it, or name its address: --prometheus URL or INFERMETER_PROMETHEUS_URL.",
            ExitCode.DOCTOR_PROMETHEUS,
        )
    except (KeyError, TypeError):
        return failed(
            "Prometheus",
            f"What answers at {prometheus.url} is not Prometheus.",
            "Name its address: --prometheus URL or INFERMETER_PROMETHEUS_URL.",
            ExitCode.DOCTOR_PROMETHEUS,
        )
    if _numbers(build) < _OLDEST:
        return failed(
            "Prometheus",
            f"Prometheus {build} is older than 2.42, the oldest that the rules are tested on.",
            "Upgrade it.",
            ExitCode.DOCTOR_VERSIONS,
        )
    return ok("Prometheus", f"Prometheus {build} answers at {prometheus.url}.")


def check_clock(prometheus: Backend) -> Finding:
    """Compare the clocks of this machine and of Prometheus."""
    try:
        ahead_s = prometheus.clock_ahead_s()
    except NoAnswerError as error:
        return failed("clock", f"Prometheus {error}.", "See above.", ExitCode.DOCTOR_PROMETHEUS)
    if ahead_s is None or abs(ahead_s) <= _CLOCK_TOLERANCE_S:
        return ok("clock", "The clocks of this machine and of Prometheus agree.")
    return failed(
        "clock",
        f"Prometheus' clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's.",
        "Synchronise both by NTP: freshness of pipelines, staleness and dashboards compare times of both.",
        ExitCode.DOCTOR_CLOCK,
    )


def await_canary(prometheus: Backend, instance: str, *, timeout_s: float, spin: Callable[[str], None]) -> Finding:
    """Wait until the canary is in Prometheus; if it does not come, find out where it stopped.

    Args:
        prometheus: Where it should arrive.
        instance: The instance id it was sent with.
        timeout_s: How long to wait.
        spin: Told what is being waited for.
    """
    deadline_s = time.monotonic() + timeout_s
    spin("waiting for the canary to arrive in Prometheus")
    try:
        while time.monotonic() < deadline_s:
            found = prometheus.query(f'infermeter_info{{instance="{instance}"}}')
            if found:
                return _judge_labels(found[0][0])
            renamed = prometheus.query(f'infermeter_info{{exported_instance="{instance}"}}')
            if renamed:
                return failed(
                    "arrival",
                    f"The canary arrived as exported_job and exported_instance: job {renamed[0][0].get('job', '')!r} "
                    "relabels what services say about themselves.",
                    f"Set honor_labels: true for the job that scrapes the collector ({COLLECTOR_JOB} in "
                    "deploy/prometheus/prometheus.yml).",
                    ExitCode.DOCTOR_LABELS,
                )
            time.sleep(_POLL_S)
        return _where_it_stopped(prometheus, timeout_s)
    except NoAnswerError as error:
        return failed("arrival", f"Prometheus {error}.", "See above.", ExitCode.DOCTOR_PROMETHEUS)


def _judge_labels(labels: dict[str, str]) -> Finding:
    if labels.get("job") != CANARY_JOB:
        return failed(
            "arrival",
            f"The canary arrived with job {labels.get('job')!r} instead of {CANARY_JOB!r}.",
            "A relabelling rule of Prometheus or a processor of the collector overwrites job; remove it.",
            ExitCode.DOCTOR_LABELS,
        )
    if "namespace" not in labels:
        return warning(
            "arrival",
            "The canary arrived, without a namespace: equal model names of two environments would be mixed.",
            "Set OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=prod, or k8s.namespace.name in Kubernetes.",
        )
    return ok("arrival", f"The canary arrived in Prometheus, in namespace {labels['namespace']}.")


def check_copies(
    prometheus: Backend, instance: str, *, timeout_s: float = 0.0, spin: Callable[[str], None] = lambda _: None
) -> Finding:
    """Look whether a second way has brought the canary into Prometheus as well.

    Args:
        prometheus: Where it has arrived.
        instance: The instance id it was sent with.
        timeout_s: How long to wait for scrapes that have not taken place since: each job has its own rhythm.
        spin: Told what is being waited for.
    """
    canary = f'infermeter_info{{instance="{instance}"}}'
    deadline_s = time.monotonic() + timeout_s
    try:
        first_s = min((at_s for _, at_s in prometheus.query(f"timestamp({canary})")), default=0.0)
        spin("waiting for all scrapes to come round, to see whether the canary arrives twice")
        waiting, series = True, list[dict[str, str]]()
        while waiting:
            # In this order: a scrape is reported as done a moment before what it found can be queried.
            waiting = time.monotonic() < deadline_s and not _all_scraped_since(prometheus, first_s)
            time.sleep(_POLL_S)
            series = [labels for labels, _ in prometheus.query(canary)]
            waiting &= len(series) <= 1
    except NoAnswerError as error:
        return failed("copies", f"Prometheus {error}.", "See above.", ExitCode.DOCTOR_PROMETHEUS)
    if len(series) <= 1:
        return ok("copies", "The canary is there once.")
    names = {name for labels in series for name in labels}  # one copy may lack a label that another has
    differing = sorted(name for name in names if len({labels.get(name) for labels in series}) > 1)
    return failed(
        "copies",
        f"The canary arrived {len(series)} times, differing in {', '.join(differing)}: every rate is too high.",
        "Leave one way only: Prometheus scrapes the collector, in one job, or the collector pushes to it.",
        ExitCode.DOCTOR_DOUBLE,
    )


def _all_scraped_since(prometheus: Backend, unix_s: float) -> bool:
    """Return whether the last scrape of every target that is up began at this time or later, and is over."""
    targets: list[dict[str, Any]] = prometheus.get("/api/v1/targets", state="active")["data"]["activeTargets"]
    return all(target["health"] != "up" or _unix_s(target["lastScrape"]) >= unix_s - _ALIGNMENT_S for target in targets)


def _unix_s(text: str) -> float:
    """Return the time of an RFC 3339 text, whose fraction of a second Prometheus writes to the nanosecond."""
    whole, _, rest = text.replace("Z", "+00:00").partition(".")
    zone = rest.lstrip("0123456789")
    fraction = rest[: len(rest) - len(zone)]
    return datetime.fromisoformat(f"{whole}{zone}").timestamp() + float(f"0.{fraction or 0}")


def _where_it_stopped(prometheus: Backend, timeout_s: float) -> Finding:
    """Look at the scrape of the collector and at what the collector says of its own exporter."""
    lost = f"The canary did not arrive in Prometheus within {timeout_s:g} s"
    targets: list[dict[str, Any]] = prometheus.get("/api/v1/targets", state="active")["data"]["activeTargets"]
    scrapes = [target for target in targets if target["labels"].get("job") == COLLECTOR_JOB]
    for target in scrapes:
        if target["health"] != "up":
            return _failed_scrape(lost, target)
    undelivered = prometheus.query("sum by (exporter) (otelcol_exporter_send_failed_metric_points) > 0")
    undelivered += prometheus.query("sum by (exporter) (otelcol_exporter_send_failed_metric_points_total) > 0")
    if undelivered:
        name = undelivered[0][0].get("exporter", "its exporter")
        return failed(
            "arrival",
            f"{lost}: the collector's exporter {name} cannot deliver.",
            "Its log names the reason. For OTLP, Prometheus needs --web.enable-otlp-receiver.",
            ExitCode.DOCTOR_COLLECTOR,
        )
    if not scrapes:
        return failed(
            "arrival",
            f"{lost}: it has no scrape job {COLLECTOR_JOB!r}.",
            "Add the scrape_configs of deploy/prometheus/prometheus.yml, with the address of the collector's exporter "
            "(port 9464); or let the collector push by OTLP.",
            ExitCode.DOCTOR_SCRAPE,
        )
    return failed(
        "arrival",
        f"{lost}, although {scrapes[0]['scrapeUrl']} is scraped.",
        "Is this the collector that services send to? Compare the addresses, look for a filter in its configuration, "
        "or give a longer --timeout than its scrape interval.",
        ExitCode.DOCTOR_COLLECTOR,
    )


def _failed_scrape(lost: str, target: dict[str, Any]) -> Finding:
    reason, url = str(target["lastError"]), str(target["scrapeUrl"])
    if "sample limit" in reason or "body size limit" in reason:
        return failed(
            "arrival",
            f"{lost}: the scrape of {url} exceeds a limit ({reason}).",
            "Find the metric with too many label sets, or raise sample_limit and body_size_limit.",
            ExitCode.DOCTOR_SCRAPE,
        )
    if target["health"] == "unknown":
        return failed(
            "arrival",
            f"{lost}: {url} has not been scraped yet.",
            "Wait for the first scrape and ask again.",
            ExitCode.DOCTOR_SCRAPE,
        )
    return failed(
        "arrival",
        f"{lost}: the scrape of {url} fails ({reason}).",
        "Does the collector run there, and is this its exporter's port (9464 by default)?",
        ExitCode.DOCTOR_SCRAPE,
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-", maxsplit=1)[0].split(".")[:2] if part.isdigit())
