"""When a part counts as ready: probes that say what is still missing, and waiting for them with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any

from infermeter.cli.stack.loopback import get, get_json

# Returns what is still missing, in words, or None when nothing is.
Probe = Callable[[], str | None]

_POLL_S = 0.05


class NotReadyError(Exception):
    """A deadline passed; the message says what was waited for and what was missing last."""


def wait_for(what: str, probe: Probe, *, timeout_s: float, poll_s: float = _POLL_S) -> None:
    """Poll until a probe is satisfied.

    Args:
        what: What is waited for, for the error.
        probe: Returns what is missing, or None. What it raises ends the wait.
        timeout_s: How long to wait.
        poll_s: Pause between two looks.

    Raises:
        NotReadyError: The probe was not satisfied in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while (missing := probe()) is not None:
        if time.monotonic() > deadline_s:
            raise NotReadyError(f"waited {timeout_s:g} s for {what}; still: {missing}")
        time.sleep(poll_s)


def answers(url: str) -> Probe:
    """Probe that a GET is answered with 200."""

    def probe() -> str | None:
        status, _ = get(url)
        if status == HTTPStatus.OK:
            return None
        return f"{url} {'does not answer' if status == 0 else f'answers {status}'}"

    return probe


def rules_loaded(prometheus_url: str, expected_groups: Collection[str]) -> Probe:
    """Probe that Prometheus has loaded these rule groups and that none of them fails."""

    def probe() -> str | None:
        answer = get_json(f"{prometheus_url}/api/v1/rules")
        if answer is None:
            return "Prometheus does not tell its rules"
        groups = answer["data"]["groups"]
        missing = sorted(set(expected_groups) - {group["name"] for group in groups})
        if missing:
            return f"rule groups not loaded: {', '.join(missing)}"
        failing = [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]
        if failing:
            return f"rule {failing[0]['name']} fails: {failing[0].get('lastError', 'no reason given')}"
        return None

    return probe


def scrapes_healthy(prometheus_url: str, jobs: Collection[str]) -> Probe:
    """Probe that Prometheus has scraped these jobs and that the last scrape of each succeeded."""

    def probe() -> str | None:
        answer = get_json(f"{prometheus_url}/api/v1/targets?state=active")
        if answer is None:
            return "Prometheus does not tell its targets"
        targets: list[dict[str, Any]] = answer["data"]["activeTargets"]
        state = {str(target["labels"]["job"]): target for target in targets}
        for job in jobs:
            target = state.get(job)
            if target is None or target["health"] != "up":
                reason = target["lastError"] if target else ""
                return f"scrape of {job}: {reason or 'not scraped yet'}"
        return None

    return probe


def alertmanager_known(prometheus_url: str) -> Probe:
    """Probe that Prometheus has an Alertmanager to send alerts to."""

    def probe() -> str | None:
        answer = get_json(f"{prometheus_url}/api/v1/alertmanagers")
        if answer and answer["data"]["activeAlertmanagers"]:
            return None
        return "Prometheus knows no Alertmanager yet"

    return probe


def all_of(*probes: Probe) -> Probe:
    """Probe several things in order; the first that is missing is the answer."""

    def probe() -> str | None:
        return next((missing for one in probes if (missing := one()) is not None), None)

    return probe
