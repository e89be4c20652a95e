"""Simulated nodes, with and without GPUs, and volumes for whoever claims one."""

from __future__ import annotations

from tests.kubernetes.cluster import Cluster

GPU = "nvidia.com/gpu"


def add_nodes(cluster: Cluster) -> None:
    """Add a node without GPUs and two with, labelled and tainted as NVIDIA's operator does; wait for them."""
    for name, has_gpus in (("cpu-1", False), ("gpu-1", True), ("gpu-2", True)):
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        taints = [{"key": GPU, "value": "present", "effect": "NoSchedule"}] if has_gpus else []
        if has_gpus:
            labels[f"{GPU}.present"] = "true"
        cluster.apply(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
             "spec": {"taints": taints}}
        )  # fmt: skip
    cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s")


def add_volumes(cluster: Cluster, count: int) -> None:
    """Add volumes, which a cluster's storage class would provide."""
    cluster.apply(
        *(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"volume-{n}"},
             "spec": {"capacity": {"storage": "100Gi"}, "accessModes": ["ReadWriteOnce"],
                      "hostPath": {"path": "/nowhere"}, "persistentVolumeReclaimPolicy": "Retain"}}
            for n in range(count)
        )
    )  # fmt: skip
