"""The scenarios: what happens in each, which alerts must come of it, and which may. Switches nothing on.

How the fleet behaves under each name, examples/fleet knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE = "demo"
"""Value of the label `namespace` of everything that the fleet reports."""


class Stated:
    """An alert as it is announced.

    Args:
        alert: Name of the rule.
        labels: What it must carry; it may carry more.
    """

    def __init__(self, alert: str, **labels: str) -> None:
        self.alert, self.labels = alert, labels

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether an alert with these labels, its name among them, is the one."""
        return labels.get("alertname") == self.alert and self.labels.items() <= labels.items()

    def __str__(self) -> str:
        """Return it as PromQL would select it."""
        inside = ", ".join(f'{name}="{value}"' for name, value in self.labels.items())
        return f"{self.alert}{{{inside}}}" if inside else self.alert


@dataclass(frozen=True)
class Scenario:
    """One way to break the fleet.

    Attributes:
        name: What the user types.
        happens: What goes wrong, in one sentence.
        must: Alerts that come of it.
        may: Alerts that can come as well, by how old the stack is.
        look: Where it can be seen besides the alerts.
    """

    name: str
    happens: str
    must: tuple[Stated, ...]
    look: str
    may: tuple[Stated, ...] = ()

    def states(self, labels: Mapping[str, str]) -> bool:
        """Say whether an alert with these labels was announced."""
        return any(stated.matches(labels) for stated in (*self.must, *self.may))


_ALL = (
    Scenario(
        "error-burst",
        "A store that the model wine needs is away: half of its requests fail.",
        (Stated("HighPredictionErrorRate", model_name="wine"),),
        "Which share of the requests fails? (overview); Which exceptions are behind the failures? (model)",
    ),
    Scenario(
        "slow-model",
        "Every word of the model assistant takes twelve times as long, on all replicas.",
        (Stated("HighInferenceLatency", model_name="assistant"),),
        "How slow are the median, the slow and the slowest answers? (overview); How long until the first token?",
    ),
    Scenario(
        "slow-replica",
        "One of three replicas of the model biopsy answers eight times slower than the others.",
        (Stated("HighInferenceLatency", model_name="biopsy"),),
        "How are the latencies spread over time? (overview): two bands instead of one",
    ),
    Scenario(
        "dead-service",
        "The only process of the model assistant is killed and does not come back.",
        (Stated("ModelTelemetryMissing", model_name="assistant"),),
        "How many model versions are active? (overview); How many processes report? (telemetry health)",
    ),
    Scenario(
        "label-explosion",
        "The service of the model assistant passes the number of each conversation as predicted class.",
        (Stated("TelemetryMeasurementsDropped", job="assistant", where="label"),),
        "Where and why are measurements lost? (telemetry health); Which classes were predicted? (model): mostly other",
    ),
)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}

TOUR: tuple[tuple[str, ...], ...] = (
    ("error-burst", "slow-replica", "slow-model"),
    ("label-explosion",),
    ("dead-service",),
)
"""What the tour breaks, act by act. What breaks at the same time concerns different parts of the fleet, so that each
alert belongs to one scenario."""
