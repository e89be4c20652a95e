"""Who is reporting: service name, an instance id of its own for each process, host.

Two processes with one instance id would overwrite each other's series in the collector without a word.
"""

from __future__ import annotations

import os
import socket
import sys
import uuid
from collections.abc import Mapping

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

INSTANCE_ID = "service.instance.id"
HOST_JOB = "nvidia-gpu"
"""The label ``job`` of devices, whichever service reports them."""
_OF_HOST = (
    "host.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.node.name",
    "k8s.cluster.name",
    "deployment.environment.name",
)
PROMOTED = (
    ("namespace", ("k8s.namespace.name", "deployment.environment.name")),
    ("pod", ("k8s.pod.name",)),
    ("host_name", ("host.name",)),
)
"""Labels that the collector copies from resource attributes; the first attribute that is present wins."""


def build_resource(service_name: str | None, attributes: Mapping[str, str]) -> Resource:
    """Return the resource of this process: arguments, then OTEL_RESOURCE_ATTRIBUTES and detectors, then ours."""
    chosen: dict[str, str] = dict(attributes)
    if service_name is not None:
        chosen["service.name"] = service_name
    wanted = chosen.get(INSTANCE_ID) or OTELResourceDetector().detect().attributes.get(INSTANCE_ID)
    chosen[INSTANCE_ID] = _instance_id(str(wanted) if wanted else None)
    resource = Resource.create(chosen)
    if "host.name" not in resource.attributes:
        resource = resource.merge(Resource({"host.name": socket.gethostname()}))
    return resource


def resource_of_child(parent: Resource) -> Resource:
    """Return the resource of a forked child: its parent's, with an instance id of its own.

    Built without detectors: they start threads, which a child on its way out can no longer do.
    """
    attributes = dict(parent.attributes)
    attributes[INSTANCE_ID] = str(uuid.uuid4())
    if "process.pid" in attributes:
        attributes["process.pid"] = os.getpid()
    return Resource(attributes, parent.schema_url)


def resource_of_host(process: Resource) -> Resource:
    """Return who a device of the machine belongs to: the host, and the pod where there is one, but no process.

    Another process that goes on reporting the device must continue its series. The name is that of the scrape job for
    exporters of such devices.
    """
    host = str(process.attributes.get("k8s.node.name") or process.attributes.get("host.name") or socket.gethostname())
    kept = {name: process.attributes[name] for name in _OF_HOST if name in process.attributes}
    return Resource({"service.name": HOST_JOB, INSTANCE_ID: host, **kept})


def promoted_labels(resource: Resource) -> dict[str, str]:
    """Return the labels that the collector would add to every series of this resource."""
    labels: dict[str, str] = {}
    for label, names in PROMOTED:
        value = next((resource.attributes[name] for name in names if resource.attributes.get(name)), None)
        if value is not None:
            labels[label] = str(value)
    return labels


def _instance_id(wanted: str | None) -> str:
    """Return the id that was asked for, made unique in worker processes, which share their parent's environment."""
    if wanted is None:
        return str(uuid.uuid4())
    return f"{wanted}-{os.getpid()}" if _is_worker() else wanted


def _is_worker() -> bool:
    """Return whether the process is one of several of a kind, as far as those who start them show it."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return True
    # Its workers import the application after the fork, so no hook of ours has seen that.
    return "gunicorn.arbiter" in sys.modules
