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


def _spends_budget(model: str, objective: str) -> tuple[Stated, Stated]:
    """Return what must come, and what may where the stack is old enough to judge whole days by."""
    return (
        Stated("SLOBurnRateHigh", model_name=model, slo=objective),
        Stated("SLOBurnRateSlow", model_name=model, slo=objective),
    )


_UNANSWERED, _UNANSWERED_SLOWLY = _spends_budget("wine", "availability")
_WORDY, _WORDY_SLOWLY = _spends_budget("assistant", "latency")
_LATE, _LATE_SLOWLY = _spends_budget("biopsy", "latency")
_QUEUED, _QUEUED_SLOWLY = _spends_budget("digits", "latency")
_IDLE = (
    Stated("LowGPUUtilization", pod="digits-0"),
    Stated("LowGPUUtilization", pod="digits-1"),
)

_ALL = (
    Scenario(
        "error-burst",
        "A store that the model wine needs is away: half of its requests fail.",
        (Stated("HighPredictionErrorRate", model_name="wine"), _UNANSWERED),
        "Which share of the requests fails? (overview); Which exceptions are behind the failures? (model)",
        (_UNANSWERED_SLOWLY,),
    ),
    Scenario(
        "slow-model",
        "Every word of the model assistant takes twelve times as long, on all replicas.",
        (Stated("HighInferenceLatency", model_name="assistant"), _WORDY),
        "How slow are the median, the slow and the slowest answers? (overview); How long until the first token?",
        (_WORDY_SLOWLY,),
    ),
    Scenario(
        "slow-replica",
        "One of three replicas of the model biopsy answers fifteen times slower than the others.",
        (Stated("HighInferenceLatency", model_name="biopsy"), _LATE),
        "How are the latencies spread over time? (overview): two bands instead of one",
        (_LATE_SLOWLY,),
    ),
    Scenario(
        "starved-batching",
        "The batch limit of version 1 of digits is set to 1: its GPUs idle while requests queue up.",
        (
            Stated("InferenceBatchingMisconfigured", model_name="digits", model_version="1", evidence="queue"),
            Stated("HighInferenceLatency", model_name="digits", model_version="1"),
            *_IDLE,
            _QUEUED,
        ),
        "How full are the batches? How many requests wait? How busy are the GPUs of its pods? (model, digits)",
        (_QUEUED_SLOWLY,),
    ),
    Scenario(
        "host-bound",
        "Preparing a request for digits takes a hundred times as long: GPUs idle, and no batch is waited for.",
        (
            Stated("InferenceHostBound", model_name="digits"),
            Stated("HighInferenceLatency", model_name="digits"),
            *_IDLE,
            _QUEUED,
        ),
        "How full are the batches? How many requests wait? How busy are the GPUs of its pods? (model, digits)",
        (_QUEUED_SLOWLY,),
    ),
    Scenario(
        "bad-canary",
        "Version 2 of wine, a fifth of the traffic, is slower than version 1 and fails more than half of its requests.",
        (
            Stated("CanaryErrorRateWorse", model_name="wine", model_version="2"),
            Stated("CanaryLatencyWorse", model_name="wine", model_version="2"),
            Stated("HighPredictionErrorRate", model_name="wine", model_version="2"),
            _UNANSWERED,
        ),
        "Does one version fail more than the others? Is a difference more than chance? (model, wine)",
        (_UNANSWERED_SLOWLY,),
    ),
    Scenario(
        "drift",
        "One feature of biopsy, texture error, arrives with another offset than in the training data.",
        (Stated("FeatureDrift", model_name="biopsy", feature="texture error"),),
        "Which features have drifted most from the training data? (overview); When did which feature leave it? (model)",
    ),
    Scenario(
        "class-shift",
        "The service of wine answers class_1 where its model says class_0.",
        (Stated("PredictionDistributionShift", model_name="wine"),),
        "Which classes are predicted, and in what shares? (overview)",
    ),
    Scenario(
        "stale-pipeline",
        "The pipeline features runs and succeeds, but its source delivers nothing new.",
        (Stated("PipelineDataStale", pipeline="features"),),
        "How old is the newest data? (overview)",
    ),
    Scenario(
        "gpu-lost",
        "GPU 4 of node-a falls off the bus.",
        (
            Stated("GPULost", host="node-a", gpu="4"),
            Stated("GPUXidCritical", host="node-a", gpu="4", xid="79"),
        ),
        "Which GPUs have reported an error? How many GPUs are there? (GPU fleet)",
    ),
    Scenario(
        "hot-gpu",
        "The fan of GPU 5 of node-a stands still.",
        (Stated("GPUHot", host="node-a", gpu="5"),),
        "How hot are they? (GPU fleet)",
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
        (Stated("PredictionDistributionShift", model_name="assistant", baseline="week"),),
    ),
)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}

TOUR: tuple[tuple[str, ...], ...] = (
    ("error-burst", "slow-replica", "starved-batching", "slow-model", "gpu-lost"),
    ("drift", "class-shift", "host-bound", "hot-gpu", "label-explosion", "stale-pipeline"),
    ("bad-canary", "dead-service"),
)
"""What the tour breaks, act by act. What breaks at the same time concerns different parts of the fleet, so that each
alert belongs to one scenario."""
