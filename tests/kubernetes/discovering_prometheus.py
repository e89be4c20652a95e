"""The real Prometheus outside a cluster, with configuration, rules and account of a release inside it.

Only addresses are changed: the API server is told instead of found, and what is no pod is looked for on loopback.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.ports import free_ports
from tests.kubernetes.tools import tool
from tests.waiting import until

from infermeter.cli.stack import processes
from infermeter.cli.stack.loopback import get

REFRESH_S = 15.0
"""A pod that changes is known at once; it is scraped within one interval."""
NAME = "infermeter-prometheus"


class Prometheus:
    """The running server.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def api(self, path: str, **query: str) -> Any:
        """Return the data of an answer."""
        status, body = get(f"{self.url}/api/v1/{path}?{urlencode(query)}")
        assert status == 200, body
        return json.loads(body)["data"]

    def value(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return what an instant query shows."""
        return [(row["metric"], float(row["value"][1])) for row in self.api("query", query=expression)["result"]]

    def targets(self, job: str) -> list[dict[str, Any]]:
        """Return what a job scrapes."""
        active = self.api("targets", state="active")["activeTargets"]
        return [target for target in active if target["scrapePool"] == job]

    def pods(self, namespace: str) -> dict[str, str]:
        """Return where each pod of a namespace that serves models is scraped."""
        labels = [(target["labels"], target["scrapeUrl"]) for target in self.targets("model-serving")]
        return {named["pod"]: url for named, url in labels if named["namespace"] == namespace}


@contextmanager
def prometheus_of(cluster: Cluster, namespace: str, folder: Path, *, state_port: int = 1) -> Iterator[Prometheus]:
    """Start Prometheus with what a release called infermeter has put into a namespace, and stop it.

    Args:
        cluster: Where the release is.
        namespace: Of the release.
        folder: For its files.
        state_port: Where somebody plays kube-state-metrics.
    """
    token = folder / "token"
    token.write_text(cluster.token_of(namespace, NAME), encoding="utf-8")
    (folder / "rules").mkdir()
    for name, text in cluster.get("configmap", f"{NAME}-rules", "-n", namespace)["data"].items():
        (folder / "rules" / name).write_text(text, encoding="utf-8")
    config = yaml.safe_load(cluster.get("configmap", NAME, "-n", namespace)["data"]["prometheus.yml"])
    _localise(config, cluster, token, state_port)
    config["rule_files"] = [str(folder / "rules/*.yml")]
    config["global"]["evaluation_interval"] = "5s"
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (port,) = free_ports(1)
    argv = [str(tool("prometheus")), f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    child = processes.spawn(argv, env=dict(os.environ), cwd=folder, log=folder / "prometheus.log")
    try:
        server = Prometheus(f"http://127.0.0.1:{port}")
        until(lambda: get(f"{server.url}/-/ready")[0] == 200, "Prometheus", timeout_s=60)
        yield server
    finally:
        processes.stop([processes.identify_child(child.pid)], grace_s=8)
        child.wait(timeout=8)


def _localise(config: dict[str, Any], cluster: Cluster, token: Path, state_port: int) -> None:
    for job in config["scrape_configs"]:
        for discovery in job.get("kubernetes_sd_configs", []):
            discovery |= {
                "api_server": cluster.url,
                "authorization": {"credentials_file": str(token)},
                "tls_config": {"ca_file": str(cluster.ca)},
            }
        for static in job.get("static_configs", []):
            static["targets"] = [f"127.0.0.1:{state_port if job['job_name'] == 'kube-state-metrics' else 1}"]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = ["127.0.0.1:1"]
