"""What fires, as Prometheus says it: now, and at any moment since a time. Knows no scenario."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from infermeter.cli.demo.scenarios import NAMESPACE
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.loopback import get_json

if TYPE_CHECKING:
    from collections.abc import Mapping

Labels = dict[str, str]

_TIMEOUT_S = 10.0


class Fired(NamedTuple):
    """An alert that fired."""

    labels: Labels
    """Its own, with its name as `alertname`."""
    since_s: float
    """Unix time at which it was first seen firing."""


class Prometheus:
    """The server that evaluates the rules.

    Args:
        url: Its base address.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def firing(self) -> list[Labels]:
        """Return the alerts about the fleet, or about the telemetry as a whole, that fire now.

        Raises:
            StackError: Prometheus does not answer.
        """
        alerts: list[dict[str, Any]] = self._get("/api/v1/alerts")["alerts"]
        return [alert["labels"] for alert in alerts if alert["state"] == "firing" and _concerns_us(alert["labels"])]

    def fired_since(self, start_s: float) -> list[Fired]:
        """Return the same, of all evaluations since a time.

        Raises:
            StackError: Prometheus does not answer.
        """
        window_ms = max(round((time.time() - start_s) * 1000), 1)
        rows = self.query(f'min_over_time((timestamp(ALERTS{{alertstate="firing"}}))[{window_ms}ms:500ms])')
        found: list[Fired] = []
        for labels, since_s in rows:
            own = {name: value for name, value in labels.items() if name != "alertstate"}
            if _concerns_us(own):
                found.append(Fired(own, since_s))
        return sorted(found, key=lambda fired: fired.since_s)

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """Return labels and values of an instant query.

        Raises:
            StackError: Prometheus does not answer.
        """
        result: list[dict[str, Any]] = self._get(f"/api/v1/query?query={quote(expression)}")["result"]
        return [(row["metric"], float(row["value"][1])) for row in result]

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules as loaded.

        Raises:
            StackError: Prometheus does not answer.
        """
        groups: list[dict[str, Any]] = self._get("/api/v1/rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _get(self, path: str) -> Any:
        answer = get_json(self.url + path, timeout_s=_TIMEOUT_S)
        if answer is None:
            raise StackError(f"Prometheus at {self.url} does not answer; `infermeter status` says what runs.")
        return answer["data"]


def _concerns_us(labels: Mapping[str, str]) -> bool:
    """Say whether an alert is about the fleet or about no service in particular, and somebody is to hear of it."""
    return labels.get("namespace", NAMESPACE) == NAMESPACE and labels.get("severity") != "none"
