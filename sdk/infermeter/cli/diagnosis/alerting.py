"""The last hops: rules that are loaded, healthy and evaluated, and an alert that reaches Alertmanager."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml

from infermeter.assets import asset
from infermeter.cli.diagnosis.backend import Backend, NoAnswerError
from infermeter.cli.diagnosis.finding import Finding, failed, not_checked, ok
from infermeter.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY_ALERT = "DoctorCanary"
"""The alert of doctor.rules.yml, which fires for as long as the canary is there."""
_POLL_S = 0.2
_MISSED_EVALUATIONS = 3
_SLACK_S = 5.0


def check_rules(prometheus: Backend) -> Finding:
    """Compare the loaded rule groups with ours and look at the health and the last evaluation of each."""
    try:
        groups: list[dict[str, Any]] = prometheus.get("/api/v1/rules")["data"]["groups"]
        now_s = prometheus.query("vector(time())")[0][1]
        started_s = _unix_s(prometheus.get("/api/v1/status/runtimeinfo")["data"]["startTime"])
    except NoAnswerError as error:
        return failed("rules", f"Prometheus {error}.", "See above.", ExitCode.DOCTOR_PROMETHEUS)
    missing = sorted(_our_groups() - {group["name"] for group in groups})
    if missing:
        return failed(
            "rules",
            f"Rule groups are not loaded: {', '.join(missing)}.",
            "Add deploy/prometheus/rules/*.yml to rule_files and reload Prometheus.",
            ExitCode.DOCTOR_RULES,
        )
    for group in groups:
        for rule in group["rules"]:
            if rule["health"] == "err":
                return failed(
                    "rules",
                    f"The rule {rule['name']} fails: {rule.get('lastError', 'no reason given')}.",
                    "Until it is put right it can neither fire nor record.",
                    ExitCode.DOCTOR_RULES,
                )
        age_s = now_s - max(_unix_s(group["lastEvaluation"]), started_s)  # a group waits for its turn after a start
        if age_s > _MISSED_EVALUATIONS * float(group["interval"]) + _SLACK_S and group["rules"]:
            return failed(
                "rules",
                f"The rule group {group['name']} has not been evaluated for {age_s:.0f} s.",
                "Prometheus is overloaded; see its prometheus_rule_group_last_duration_seconds.",
                ExitCode.DOCTOR_RULES,
            )
    count = sum(len(group["rules"]) for group in groups)
    return ok("rules", f"{count} rules in {len(groups)} groups are loaded and healthy.")


def await_alert(prometheus: Backend, instance: str, *, timeout_s: float, spin: Callable[[str], None]) -> Finding:
    """Wait until the rule about the canary fires."""
    deadline_s = time.monotonic() + timeout_s
    spin("waiting for the canary's rule to fire")
    try:
        while time.monotonic() < deadline_s:
            alerts: list[dict[str, Any]] = prometheus.get("/api/v1/alerts")["data"]["alerts"]
            if any(_is_canary(alert, instance) and alert["state"] == "firing" for alert in alerts):
                return ok("alert", f"The rule {CANARY_ALERT} fires for the canary.")
            time.sleep(_POLL_S)
    except NoAnswerError as error:
        return failed("alert", f"Prometheus {error}.", "See above.", ExitCode.DOCTOR_PROMETHEUS)
    return failed(
        "alert",
        f"The rule {CANARY_ALERT} did not fire within {timeout_s:g} s.",
        "Is deploy/prometheus/rules/doctor.rules.yml loaded as it is?",
        ExitCode.DOCTOR_RULES,
    )


def await_notification(
    prometheus: Backend, alertmanager_url: str | None, instance: str, *, timeout_s: float, spin: Callable[[str], None]
) -> Finding:
    """Wait until Alertmanager has the canary's alert.

    Args:
        prometheus: Names the Alertmanager where none is given.
        alertmanager_url: Its address, or None for the first that Prometheus sends to.
        instance: The canary's.
        timeout_s: How long to wait.
        spin: Told what is being waited for.
    """
    spin("waiting for the alert to reach Alertmanager")
    try:
        active = prometheus.get("/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    except NoAnswerError as error:
        return failed("Alertmanager", f"Prometheus {error}.", "See above.", ExitCode.DOCTOR_PROMETHEUS)
    if not active:
        return failed(
            "Alertmanager",
            "Prometheus knows no Alertmanager: alerts fire and nobody hears of them.",
            "Add the section alerting of deploy/prometheus/prometheus.yml with Alertmanager's address.",
            ExitCode.DOCTOR_ALERTMANAGER,
        )
    url = alertmanager_url or str(active[0]["url"]).removesuffix("/api/v2/alerts")
    alertmanager = Backend(url)
    deadline_s = time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline_s:
            alerts: list[dict[str, Any]] = alertmanager.get("/api/v2/alerts", filter=f'alertname="{CANARY_ALERT}"')
            if any(_is_canary(alert, instance) for alert in alerts):
                return ok("Alertmanager", f"The alert reached Alertmanager at {url}.")
            time.sleep(_POLL_S)
    except NoAnswerError as error:
        return failed(
            "Alertmanager",
            f"Alertmanager at {url} {error}.",
            "Start it, or correct its address in the section alerting of Prometheus' configuration.",
            ExitCode.DOCTOR_ALERTMANAGER,
        )
    return failed(
        "Alertmanager",
        f"The alert did not reach Alertmanager at {url} within {timeout_s:g} s.",
        "Does Prometheus send to this one? See prometheus_notifications_errors_total.",
        ExitCode.DOCTOR_ALERTMANAGER,
    )


def unreached(hop: str) -> Finding:
    """Return that a hop was not looked at because the one before is broken."""
    return not_checked(hop, "Waits for the hop before it.")


def _is_canary(alert: dict[str, Any], instance: str) -> bool:
    labels: dict[str, str] = alert["labels"]
    return labels.get("alertname") == CANARY_ALERT and labels.get("instance") == instance


def _our_groups() -> set[str]:
    names: set[str] = set()
    for file in (asset("deploy/prometheus") / "rules").glob("*.yml"):
        content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        names |= {group["name"] for group in content["groups"]}
    return names


def _unix_s(timestamp: str) -> float:
    """Read Prometheus' RFC 3339 time, whose nanoseconds Python 3.10 cannot; the year 1 means never."""
    return max(datetime.fromisoformat(timestamp[:19] + "+00:00").timestamp(), 0.0) if timestamp[:4] > "1970" else 0.0
