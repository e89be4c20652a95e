"""The jobs that the Prometheus operator makes of a PodMonitor or a ServiceMonitor.

After generatePodMonitorConfig and generateServiceMonitorConfig of pkg/prometheus/promcfg.go, in the version of the
operator that tools.py names. What the operator's own tests have recorded is compared with this in
test_operator_discovery.py. Sharding is left out: it moves targets, and changes no label. Knows the fields that the
chart uses, and refuses others.
"""

from __future__ import annotations

import re
from typing import Any

from tests.kubernetes.cluster import Object

Relabelings = list[dict[str, Any]]

_META = "__meta_kubernetes"
_TARGET = [f"{_META}_endpoint_address_target_kind", f"{_META}_endpoint_address_target_name"]
_JOB_NAME: Relabelings = [{"source_labels": ["job"], "target_label": "__tmp_prometheus_job_name"}]
_RUNNING: Relabelings = [
    {"action": "drop", "source_labels": [f"{_META}_pod_phase"], "regex": "(Failed|Succeeded)"},
]
# The labels that every target gets, whatever the monitor says.
_OF_A_POD: Relabelings = [
    {"source_labels": [f"{_META}_namespace"], "target_label": "namespace"},
    {"source_labels": [f"{_META}_pod_container_name"], "target_label": "container"},
    {"source_labels": [f"{_META}_pod_name"], "target_label": "pod"},
]
_OF_A_SERVICE: Relabelings = [
    *({"source_labels": _TARGET, "separator": ";", "regex": f"{kind};(.*)", "replacement": "${1}",
       "target_label": kind.lower()} for kind in ("Node", "Pod")),
    {"source_labels": [f"{_META}_namespace"], "target_label": "namespace"},
    {"source_labels": [f"{_META}_service_name"], "target_label": "service"},
    {"source_labels": [f"{_META}_pod_name"], "target_label": "pod"},
    {"source_labels": [f"{_META}_pod_container_name"], "target_label": "container"},
]  # fmt: skip
_JOB_OF_A_SERVICE = {"source_labels": [f"{_META}_service_name"], "target_label": "job", "replacement": "${1}"}
_SPEC = {"selector", "namespaceSelector", "endpoints", "podMetricsEndpoints"}
_LIMITS = {
    "bodySizeLimit": "body_size_limit", "sampleLimit": "sample_limit", "labelLimit": "label_limit",
    "labelNameLengthLimit": "label_name_length_limit", "labelValueLengthLimit": "label_value_length_limit",
}  # fmt: skip
_ENDPOINT = {"port", "interval", "honorLabels", "filterRunning", "relabelings"}
_SPELLED = {"sourceLabels": "source_labels", "targetLabel": "target_label"}


def jobs_of(monitor: Object) -> list[dict[str, Any]]:
    """Return the jobs of a monitor, as entries of scrape_configs."""
    spec, kind = monitor["spec"], monitor["kind"]
    assert spec.keys() <= _SPEC | _LIMITS.keys(), spec.keys()
    endpoints = spec["podMetricsEndpoints" if kind == "PodMonitor" else "endpoints"]
    own = monitor["metadata"]["namespace"]
    selector = spec.get("namespaceSelector", {})
    names = [] if selector.get("any") else selector.get("matchNames") or [own]
    discovery: dict[str, Any] = {"role": "pod" if kind == "PodMonitor" else "endpoints"}
    if names:
        discovery["namespaces"] = {"names": names}
    name = f"{kind[0].lower()}{kind[1:]}/{own}/{monitor['metadata']['name']}"
    return [
        {
            "job_name": f"{name}/{number}",
            "honor_labels": endpoint.get("honorLabels", False),
            "kubernetes_sd_configs": [discovery],
            "scrape_interval": endpoint["interval"],
            "relabel_configs": [*first_relabelings(monitor, endpoint), *map(_spelled, endpoint.get("relabelings", []))],
            **{prometheus: spec[operator] for operator, prometheus in _LIMITS.items() if operator in spec},
        }
        for number, endpoint in enumerate(endpoints)
    ]


def first_relabelings(monitor: Object, endpoint: dict[str, Any]) -> Relabelings:
    """Return the operator's own relabelings, which come before those of an endpoint."""
    assert endpoint.keys() <= _ENDPOINT, endpoint.keys()
    assert monitor["spec"]["selector"].keys() <= {"matchLabels"}
    labels, port = monitor["spec"]["selector"]["matchLabels"], endpoint.get("port")
    running = _RUNNING if endpoint.get("filterRunning", True) else []
    endpoint_label = [{"target_label": "endpoint", "replacement": port}] if port else []
    if monitor["kind"] == "PodMonitor":
        job = {"target_label": "job", "replacement": "{namespace}/{name}".format(**monitor["metadata"])}
        kept = [*_kept_labels("pod", labels), *_kept_port("pod_container", port)]
        return [*_JOB_NAME, *running, *kept, *_OF_A_POD, job, *endpoint_label]
    kept = [*_kept_labels("service", labels), *_kept_port("endpoint", port)]
    return [*_JOB_NAME, *kept, *_OF_A_SERVICE, *running, _JOB_OF_A_SERVICE, *endpoint_label]


def _kept_labels(kind: str, labels: dict[str, str]) -> Relabelings:
    return [
        {"action": "keep", "regex": f"({labels[name]});true",
         "source_labels": [f"{_META}_{kind}_{which}_{re.sub('[^a-zA-Z0-9_]', '_', name)}"
                           for which in ("label", "labelpresent")]}
        for name in sorted(labels)
    ]  # fmt: skip


def _kept_port(kind: str, port: str | None) -> Relabelings:
    return [{"action": "keep", "source_labels": [f"{_META}_{kind}_port_name"], "regex": port}] if port else []


def _spelled(relabeling: dict[str, Any]) -> dict[str, Any]:
    return {_SPELLED.get(name, name): value for name, value in relabeling.items()}
