"""Every combination of the chart's switches that can influence each other, as values.

A template reads few switches; those of two templates that read none in common are not multiplied with each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.kubernetes.chart import Values

COLLECTORS: tuple[Values, ...] = tuple(
    {
        "kind": kind,
        "auth": {"mode": mode},
        "podDisruptionBudget": {"enabled": enabled},
        "networkPolicy": {"enabled": enabled},
    }
    for kind, mode, enabled in product(("Deployment", "StatefulSet"), ("token", "mtls", "none"), (True, False))
)
GPUS: tuple[Values, ...] = (
    {"source": "none"},
    {"source": "dcgm"},
    {"source": "dcgm", "dcgm": {"privileged": True}},
    {"source": "agent", "runtimeClassName": "nvidia"},
    {"source": "agent", "agent": {"pods": False}},
)
PODS: tuple[Values, ...] = (
    {"enabled": False},
    {"enabled": True},
    {"enabled": True, "namespaces": ["shop", "monitoring"], "node": "node-1"},
)
ALERTMANAGERS: tuple[Values, ...] = (
    {"mode": "server"},
    {"mode": "server", "configSecret": "pager"},
    {"mode": "operator"},
    {"mode": "none"},
)


def combinations() -> Iterator[Values]:
    """Yield values for each combination."""
    for collector, ways in product(COLLECTORS, ([], ["push"], ["scrape"], ["push", "scrape"])):
        yield {"collector": collector, "example": {"ways": ways}, "gpu": {"source": "none"}}
    for mode, gpu, pods, rules in product(("server", "operator", "none"), GPUS, PODS, (True, False)):
        yield {"prometheus": {"mode": mode}, "gpu": gpu, "modelServing": pods, "rules": {"create": rules}}
    for mode, alertmanager, enabled, extras in product(
        ("server", "operator", "none"), ALERTMANAGERS, (True, False), (True, False)
    ):
        yield {
            "prometheus": {"mode": mode, "operatorLabels": {"release": "prom"}, "storageClassName": "fast"},
            "alertmanager": alertmanager,
            "collector": {"enabled": enabled, "nodeSelector": {"disk": "ssd"}},
            "dashboards": {"enabled": extras},
            "kubeStateMetrics": {"enabled": extras},
            "imagePullSecrets": ["registry"] if extras else [],
        }
