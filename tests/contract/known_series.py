"""Every series that rules and dashboards may read, with its labels: ours, recorded, foreign and announced ones."""

from __future__ import annotations

from functools import cache

from tests.contract.promql import parse, result_labels
from tests.contract.rule_files import recordings

from infermeter.catalog import CATALOG

# What Prometheus and the collector add to every series of a service.
TARGET_LABELS = frozenset({"job", "instance", "namespace", "pod", "host_name"})

_GPU_LABELS = TARGET_LABELS | {
    "gpu",
    "UUID",
    "pci_bus_id",
    "device",
    "modelName",
    "Hostname",
    "hostname",
    "GPU_I_ID",
    "GPU_I_PROFILE",
    "container",
    "exported_namespace",
    "exported_pod",
}
_GPU_NAMES = (
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_GPU_UTIL_RATIO",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    "DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_FB_USED_BYTES",
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_FB_FREE_BYTES",
)

# Names that somebody else exports: dcgm-exporter, kube-state-metrics, Prometheus.
FOREIGN: dict[str, frozenset[str]] = {
    **dict.fromkeys(_GPU_NAMES, _GPU_LABELS),
    "kube_pod_container_status_restarts_total": frozenset({"job", "instance", "namespace", "pod", "container", "uid"}),
    "up": frozenset({"job", "instance"}),
}
FOREIGN_COUNTERS = frozenset({"kube_pod_container_status_restarts_total"})

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
