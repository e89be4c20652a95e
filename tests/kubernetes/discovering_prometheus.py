"""The real Prometheus outside a cluster, with configuration, rules and account of a release inside it.

Changed are addresses: the API server is told instead of found, and what is no pod is looked for on loopback. And what
costs time and decides nothing: how often it scrapes and evaluates, and how long an alert waits (`for`). Expressions
and their windows are as shipped.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
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
"""A pod that changes is known at once; it is scraped within one interval, as shipped."""
SCRAPE_S = 3
"""How often it scrapes here."""
NAME = "infermeter-prometheus"
NOBODY = "127.0.0.1:1"


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


@dataclass(frozen=True)
class Configuration:
    """What a server is started with.

    Attributes:
        main: The content of prometheus.yml.
        rules: The content of each rule file, by its name.
    """

    main: dict[str, Any]
    rules: dict[str, dict[str, Any]]


def released(cluster: Cluster, namespace: str) -> Configuration:
    """Return what a release called infermeter has put into a namespace by now."""
    main = cluster.get("configmap", NAME, "-n", namespace)["data"]["prometheus.yml"]
    rules = cluster.get("configmap", f"{NAME}-rules", "-n", namespace)["data"]
    return Configuration(yaml.safe_load(main), {file: yaml.safe_load(text) for file, text in rules.items()})


@contextmanager
def prometheus_of(
    cluster: Cluster, namespace: str, folder: Path, *, pages: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Prometheus]:
    """Start Prometheus with what a release has put into a namespace, as the release's account, and stop it.

    Args:
        cluster: Where the release is.
        namespace: Of the release.
        folder: For its files. One that has run before goes on with the series it has.
        pages: Where somebody plays a target that is no pod, by the name of the job.
    """
    token = cluster.token_of(namespace, NAME)
    with started(cluster, released(cluster, namespace), token, folder, pages=pages) as server:
        yield server


@contextmanager
def started(
    cluster: Cluster, configuration: Configuration, token: str, folder: Path, *, pages: Mapping[str, str]
) -> Iterator[Prometheus]:
    """Start Prometheus with a configuration, and stop it. Other arguments as for `prometheus_of`."""
    (folder / "token").write_text(token, encoding="utf-8")
    shutil.rmtree(folder / "rules", ignore_errors=True)
    (folder / "rules").mkdir()
    for name, rules in configuration.rules.items():
        _hasten_rules(rules)
        (folder / "rules" / name).write_text(yaml.safe_dump(rules), encoding="utf-8")
    main = configuration.main
    _localise(main, cluster, folder / "token", pages)
    _hasten_scrapes(main)
    main["rule_files"] = [str(folder / "rules/*.yml")]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(main), encoding="utf-8")
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


def _localise(main: dict[str, Any], cluster: Cluster, token: Path, pages: Mapping[str, str]) -> None:
    for job in main["scrape_configs"]:
        for discovery in job.get("kubernetes_sd_configs", []):
            discovery |= {
                "api_server": cluster.url,
                "authorization": {"credentials_file": str(token)},
                "tls_config": {"ca_file": str(cluster.ca)},
            }
            if discovery["role"] == "endpoints":  # the API server takes no loopback address for an endpoint
                told = [one["replacement"] for one in job["relabel_configs"] if one.get("target_label") == "job"]
                moved = {"target_label": "__address__", "replacement": pages.get(told[-1], NOBODY)}
                job["relabel_configs"].append(moved)
        for static in job.get("static_configs", []):
            static["targets"] = [pages.get(job["job_name"], NOBODY)]
    for alertmanager in main.get("alerting", {}).get("alertmanagers", []):
        alertmanager["static_configs"][0]["targets"] = [NOBODY]


def _hasten_scrapes(main: dict[str, Any]) -> None:
    main["global"] |= {"scrape_interval": f"{SCRAPE_S}s", "scrape_timeout": f"{SCRAPE_S}s"}
    for job in main["scrape_configs"]:
        job.pop("scrape_interval", None)


def _hasten_rules(rules: dict[str, Any]) -> None:
    for group in rules["groups"]:
        group["interval"] = "3s"
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "5s"
