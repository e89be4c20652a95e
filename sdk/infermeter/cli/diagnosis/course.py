"""The order in which the hops are looked at, as a measurement travels; those behind a broken one stay unchecked."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infermeter.cli.diagnosis import alerting, arrival, hardware, sending, services
from infermeter.cli.diagnosis.backend import Backend
from infermeter.cli.diagnosis.finding import Finding
from infermeter.settings import Settings


@dataclass(frozen=True)
class Addresses:
    """Where to look.

    Attributes:
        endpoint: Base address of the collector; None: what the environment says.
        prometheus: Base address of Prometheus.
        alertmanager: Base address of Alertmanager; None: the first that Prometheus sends to.
    """

    endpoint: str | None
    prometheus: str
    alertmanager: str | None


def diagnose(addresses: Addresses, *, timeout_s: float, spin: Callable[[str], None]) -> Iterator[Finding]:
    """Follow one canary from the SDK to Alertmanager and yield what was found, hop by hop; then look at the hardware.

    Args:
        addresses: Where to look.
        timeout_s: How long one hop may take.
        spin: Told what is being waited for.
    """
    prometheus = Backend(addresses.prometheus)
    answers = True
    for finding in _follow_canary(addresses, prometheus, timeout_s=timeout_s, spin=spin):
        answers &= (finding.hop, finding.verdict) != ("Prometheus", "failed")
        yield finding
    spin("reading the GPUs")
    yield hardware.check_gpus(prometheus if answers else None)


def _follow_canary(
    addresses: Addresses, prometheus: Backend, *, timeout_s: float, spin: Callable[[str], None]
) -> Iterator[Finding]:
    instance = f"doctor-{uuid.uuid4()}"
    yield sending.check_sdk_version()

    sent = False
    resolved, finding = sending.check_settings(Settings(endpoint=addresses.endpoint))
    yield finding
    if resolved is None:
        yield from map(alerting.unreached, ("endpoint", "export"))
    else:
        spin("knocking at the collector")
        finding = sending.check_endpoint(resolved)
        yield finding
        if finding.verdict == "failed":
            yield alerting.unreached("export")
        else:
            finding = sending.send_canary(resolved, instance)
            yield finding
            sent = finding.verdict == "ok"

    finding = arrival.check_prometheus(prometheus)
    yield finding
    if finding.verdict == "failed":
        yield from map(alerting.unreached, ("clock", "arrival", "rules", "alert", "Alertmanager", "services"))
        return
    yield arrival.check_clock(prometheus)
    arrived = False
    if sent:
        finding = arrival.await_canary(prometheus, instance, timeout_s=timeout_s, spin=spin)
        yield finding
        arrived = finding.verdict in ("ok", "warning")
    else:
        yield alerting.unreached("arrival")
    finding = alerting.check_rules(prometheus)
    yield finding
    if arrived and finding.verdict == "ok":
        finding = alerting.await_alert(prometheus, instance, timeout_s=timeout_s, spin=spin)
        yield finding
        if finding.verdict == "ok":
            yield alerting.await_notification(
                prometheus, addresses.alertmanager, instance, timeout_s=timeout_s, spin=spin
            )
        else:
            yield alerting.unreached("Alertmanager")
    else:
        yield from map(alerting.unreached, ("alert", "Alertmanager"))
    if arrived:
        yield arrival.check_copies(prometheus, instance, timeout_s=timeout_s, spin=spin)
    yield from services.check_services(prometheus)
