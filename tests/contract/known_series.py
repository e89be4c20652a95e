"""Every series that rules and dashboards may read, with its labels: ours, recorded, foreign and announced ones."""

from __future__ import annotations

from functools import cache

from tests.contract.promql import parse, result_labels
from tests.contract.rule_files import recordings

from infermeter.catalog import CATALOG
from infermeter.gpu.schema import COUNTERS, MIG_LABELS, POD_LABELS, PROFILES, metrics_of

# What Prometheus and the collector add to every series of a service.
TARGET_LABELS = frozenset({"job", "instance", "namespace", "pod", "host_name"})

# Either of these reports GPUs: the SDK, the agent, dcgm-exporter (which may be scraped without honor_labels).
_GPU_LABELS = TARGET_LABELS | {"hostname", *MIG_LABELS, *POD_LABELS, "exported_namespace", "exported_pod"}
_GPU_SERIES = {
    metric.name: frozenset(metric.labels) | _GPU_LABELS
    for profile in PROFILES.values()
    for metric in metrics_of(profile)
}

# Names that somebody else exports too: dcgm-exporter, kube-state-metrics, Prometheus.
FOREIGN: dict[str, frozenset[str]] = {
    **_GPU_SERIES,
    "kube_pod_container_status_restarts_total": frozenset({"job", "instance", "namespace", "pod", "container", "uid"}),
    "up": frozenset({"job", "instance"}),
}
FOREIGN_COUNTERS = frozenset({"kube_pod_container_status_restarts_total"}) | COUNTERS

_MODEL = frozenset({"namespace", "model_name", "model_version"})
# Names of the design that a panel already waits for, and what will bring them. A test says when a line can go.
ANNOUNCED: dict[str, tuple[frozenset[str], str]] = {
    "model_feature:drift_psi:1h": (_MODEL | {"feature"}, "drift rules"),
    "model_feature:drift_psi_null:1h": (_MODEL | {"feature"}, "drift rules"),
}


def is_counter(name: str) -> bool:
    """Say whether a raw series only grows, so that rate() of it means something."""
    kinds = {metric.name: metric.kind for metric in CATALOG}
    if kinds.get(name) == "counter" or name in FOREIGN_COUNTERS:
        return True
    family, _, part = name.rpartition("_")
    return part in {"bucket", "count", "sum"} and kinds.get(family) == "histogram"


@cache
def exported() -> dict[str, frozenset[str]]:
    """Return the labels of each series of the catalogue, by the name that Prometheus shows."""
    labels: dict[str, frozenset[str]] = {}
    for metric in CATALOG:
        own = frozenset(metric.labels) | TARGET_LABELS
        if metric.kind == "histogram":
            labels |= {f"{metric.name}_{part}": own for part in ("count", "sum")}
            labels[f"{metric.name}_bucket"] = own | {"le"}
        else:
            labels[metric.name] = own
    return labels


@cache
def recorded() -> dict[str, frozenset[str]]:
    """Return the labels of each recorded series, worked out from its expression."""
    expressions = {rule.name: rule.expr for rule in recordings()}

    @cache
    def of(name: str) -> frozenset[str]:
        if name in expressions:
            return result_labels(parse(expressions[name]), of)
        return known_raw(name) or frozenset()

    return {name: of(name) for name in expressions}


def known_raw(name: str) -> frozenset[str] | None:
    """Return the labels of a series that is not recorded; None if nothing exports it."""
    return exported().get(name) or FOREIGN.get(name) or (ANNOUNCED[name][0] if name in ANNOUNCED else None)


def known(name: str) -> frozenset[str] | None:
    """Return the labels of a series; None if nothing exports or records it."""
    return recorded().get(name) or known_raw(name)
