"""With controllers, a scheduler and simulated nodes: what the chart makes becomes running pods, where it should."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.kubernetes.chart import CHART, Values, run_helm
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.discovering_prometheus import REFRESH_S, Prometheus, prometheus_of
from tests.kubernetes.nodes import add_nodes, add_volumes
from tests.waiting import until

from infermeter.assets import asset
from infermeter.cli.stack.loopback import get

pytestmark = pytest.mark.kubernetes

NAMESPACE = "scheduled"
VALUES: Values = {"example": {"ways": ["push", "scrape"]}}
SCRAPED = "app.kubernetes.io/name=infermeter-example-scrape"
RUNNING = {
    "infermeter-collector": 1,
    "prometheus": 1,
    "alertmanager": 1,
    "dcgm-exporter": 2,
    "infermeter-example-push": 1,
    "infermeter-example-scrape": 1,
}


@pytest.fixture(scope="module")
def installed(whole_cluster: Cluster) -> Iterator[Cluster]:
    """The chart with its example on two nodes with GPUs and one without."""
    add_nodes(whole_cluster)
    add_volumes(whole_cluster, 4)
    whole_cluster.kubectl("create", "namespace", NAMESPACE)
    whole_cluster.kubectl(
        "create", "secret", "generic", "infermeter-otlp-token", "--from-literal=token=x", "-n", NAMESPACE
    )
    answer = run_helm(
        "install", "infermeter", CHART, "-n", NAMESPACE, "--wait", "--timeout=120s",
        values=VALUES, env=whole_cluster.environment,
    )  # fmt: skip
    told = whole_cluster.kubectl("get", "pods", "-n", NAMESPACE, "-o", "wide").stdout
    assert answer.returncode == 0, answer.stderr + told
    yield whole_cluster
    run_helm("uninstall", "infermeter", "-n", NAMESPACE, env=whole_cluster.environment)
    whole_cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def pods(cluster: Cluster, selector: str = "app.kubernetes.io/part-of=infermeter") -> list[dict[str, Any]]:
    return [pod for pod in cluster.items("pods", "-n", NAMESPACE, "-l", selector) if not is_leaving(pod)]


def is_leaving(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def part_of(pod: dict[str, Any]) -> str:
    part: str = pod["metadata"]["labels"]["app.kubernetes.io/name"]
    return part


def selector_of(labels: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())


def test_everything_runs(installed):
    listed = pods(installed)
    assert {pod["status"]["phase"] for pod in listed} == {"Running"}
    counted = {name: sum(part_of(pod) == name for pod in listed) for name in {part_of(pod) for pod in listed}}
    assert counted == RUNNING


def test_the_exporter_is_on_each_node_with_gpus_and_on_no_other(installed):
    nodes = sorted(pod["spec"]["nodeName"] for pod in pods(installed, "app=dcgm-exporter"))
    assert nodes == ["gpu-1", "gpu-2"], "the taint is tolerated, the selector is honoured"


def test_nothing_else_is_on_a_node_with_gpus(installed):
    others = {pod["spec"]["nodeName"] for pod in pods(installed) if part_of(pod) != "dcgm-exporter"}
    assert others == {"cpu-1"}


def test_the_disruption_budget_is_the_collectors_and_lets_a_node_be_drained(installed):
    def healthy() -> Any:
        status = installed.get("pdb", "infermeter-collector", "-n", NAMESPACE).get("status", {})
        return status.get("currentHealthy") == 1 and status

    status = until(healthy, "the budget to count its pods")
    assert (status["expectedPods"], status["disruptionsAllowed"]) == (1, 1)


def test_the_network_policy_is_about_the_collector_and_lets_in_prometheus_and_senders(installed):
    policy = installed.get("networkpolicy", "infermeter-collector", "-n", NAMESPACE)["spec"]
    chosen = pods(installed, selector_of(policy["podSelector"]["matchLabels"]))
    assert [part_of(pod) for pod in chosen] == ["infermeter-collector"]
    senders, scrapers = policy["ingress"]
    assert {peer["namespaceSelector"] == {} for peer in senders["from"]} == {True}
    scraping = pods(installed, selector_of(scrapers["from"][0]["podSelector"]["matchLabels"]))
    assert [part_of(pod) for pod in scraping] == ["prometheus"]
    ports = {port["name"]: port["containerPort"] for port in chosen[0]["spec"]["containers"][0]["ports"]}
    opened = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert opened == ports.keys() - {"health"}, "the kubelet is let in anyway"


@pytest.mark.parametrize("name", ["collector", "prometheus", "alertmanager", "dcgm-exporter"])
def test_each_service_leads_to_the_pods_of_its_part(installed, name):
    service = installed.get("service", f"infermeter-{name}", "-n", NAMESPACE)["spec"]
    chosen = pods(installed, selector_of(service["selector"]))
    assert {part_of(pod).removeprefix("infermeter-") for pod in chosen} == {name}
    names = {port["name"] for pod in chosen for port in pod["spec"]["containers"][0]["ports"]}
    assert {port["targetPort"] for port in service["ports"]} <= names


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Prometheus keeps its series while it is stopped and reads what the next revision says."""
    return tmp_path_factory.mktemp("prometheus")


def expected_targets(cluster: Cluster) -> dict[str, str]:
    """Return where each pod of the example that is scraped should be, by what the API server says of it."""
    listed = pods(cluster, SCRAPED)
    return {pod["metadata"]["name"]: f"http://{pod['status'].get('podIP')}:9464/metrics" for pod in listed}


def scale(cluster: Cluster, replicas: int) -> None:
    name = "deployment/infermeter-example-scrape"
    cluster.kubectl("scale", name, f"--replicas={replicas}", "-n", NAMESPACE)
    cluster.kubectl("rollout", "status", name, "-n", NAMESPACE, "--timeout=60s")


class Examples:
    """The example, running behind its pods."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def follow(self, cluster: Cluster) -> None:
        """Start it behind each pod that does not have it yet, with the environment that the Deployment gives it."""
        listed = {pod["status"]["podIP"]: pod for pod in pods(cluster, SCRAPED)}
        for address in listed.keys() - self._children.keys():
            self._children[address] = self._start(address, listed[address])
        for address in listed:
            health = f"http://{address}:8000/health"
            until(lambda url=health: get(url)[0] == 200, f"the example; logs are in {self._folder}", timeout_s=120)

    def _start(self, address: str, pod: dict[str, Any]) -> subprocess.Popen[bytes]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "INFERMETER_"))}
        env |= {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"] if "value" in one}
        env["OTEL_EXPORTER_PROMETHEUS_HOST"] = address  # what the kubelet puts in for the pod's address
        command = [sys.executable, "-m", "uvicorn", "fraud_api.app:app", "--host", address, "--port", "8000"]
        with (self._folder / pod["metadata"]["name"]).open("wb") as log:
            return subprocess.Popen(command, env=env, cwd=asset("examples"), stdout=log, stderr=subprocess.STDOUT)

    def close(self) -> None:
        """End them."""
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            child.wait(timeout=60)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    running = Examples(tmp_path_factory.mktemp("examples"))
    yield running
    running.close()


Series = list[tuple[str, ...]]
WHOSE = ("job", "instance", "namespace", "pod", "node", "model_name", "model_version")


def models(prometheus: Prometheus, *, after_s: float = 0) -> Series:
    """Return whose each series of model_info is, as soon as there are some from after a time."""
    until(lambda: prometheus.value(f"timestamp(model_info) > {after_s}"), "the example's models")
    return sorted(tuple(row.get(name, "") for name in WHOSE) for row, _ in prometheus.value("model_info"))


def expected_models(cluster: Cluster) -> Series:
    """Return one series for each pod that is scraped and each of the versions it serves."""
    addresses = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in pods(cluster, SCRAPED)}
    return sorted(
        ("model-serving", f"{address}:9464", NAMESPACE, pod, "cpu-1", "fraud", version)
        for pod, address in addresses.items()
        for version in "12"
    )


def test_replicas_of_the_example_are_found_within_one_refresh_and_tell_of_their_pods(installed, examples, folder):
    with prometheus_of(installed, NAMESPACE, folder) as watching:
        until(lambda: watching.pods(NAMESPACE) == expected_targets(installed), "the first one", timeout_s=REFRESH_S)
        scale(installed, 2)
        until(lambda: len(watching.pods(NAMESPACE)) == 2, "the second replica", timeout_s=REFRESH_S)
        assert watching.pods(NAMESPACE) == expected_targets(installed), "the one that pushes is left out"
        examples.follow(installed)
        until(lambda: len(models(watching)) == 4, "both replicas' models")
        assert models(watching) == expected_models(installed)
        scale(installed, 1)
        until(lambda: watching.pods(NAMESPACE) == expected_targets(installed), "one to go", timeout_s=REFRESH_S)
        until(lambda: models(watching) == expected_models(installed), "its series to end")


class TestUpgrade:
    """Changed values and back, on the running release."""

    def revise(self, cluster: Cluster, *command: str, values: Values | None = None) -> None:
        answer = run_helm(*command, "-n", NAMESPACE, "--wait", "--timeout=120s",
                          values=values, env=cluster.environment)  # fmt: skip
        assert answer.returncode == 0, answer.stderr

    def present(self, cluster: Cluster) -> set[tuple[str, str]]:
        kinds = ("serviceaccount,secret,configmap,clusterrole,clusterrolebinding,role,rolebinding,service,daemonset,"
                 "deployment,statefulset,networkpolicy,poddisruptionbudget")  # fmt: skip
        listed = cluster.items(kinds, "-A", "-l", "app.kubernetes.io/part-of=infermeter,"
                               "app.kubernetes.io/instance=infermeter")  # fmt: skip
        mine = [one for one in listed if one["metadata"].get("namespace", NAMESPACE) in {NAMESPACE, "default"}]
        return {(one["kind"], one["metadata"]["name"]) for one in mine if NAMESPACE in str(one["metadata"])}

    def expected(self, cluster: Cluster) -> set[tuple[str, str]]:
        told = run_helm("get", "manifest", "infermeter", "-n", NAMESPACE, env=cluster.environment)
        listed = [one for one in yaml.load_all(told.stdout, Loader=yaml.CSafeLoader) if one]
        return {(one["kind"], one["metadata"]["name"]) for one in listed}

    def claims(self, cluster: Cluster) -> set[str]:
        listed = cluster.items("persistentvolumeclaims", "-n", NAMESPACE)
        assert {one["status"]["phase"] for one in listed} == {"Bound"}
        return {one["metadata"]["name"] for one in listed}

    def claimed(self, cluster: Cluster) -> set[str]:
        volumes = [volume for pod in pods(cluster) for volume in pod["spec"].get("volumes", [])]
        return {one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one}

    def seen(self, cluster: Cluster, folder: Path, examples: Examples) -> Series:
        """Restart Prometheus, as this revision has it, on the series of the former; returns whose series there are."""
        examples.follow(cluster)
        began_s = time.time()
        with prometheus_of(cluster, NAMESPACE, folder) as restarted:
            expected = expected_targets(cluster)
            until(lambda: restarted.pods(NAMESPACE) == expected, "the pods of now", timeout_s=REFRESH_S)
            assert len(restarted.targets("model-serving")) == len(expected) == 1
            return models(restarted, after_s=began_s)

    def settled(self, cluster: Cluster) -> dict[str, int]:
        def count() -> dict[str, int]:
            names = [part_of(pod) for pod in pods(cluster)]
            return {name: names.count(name) for name in set(names)}

        until(lambda: all(not is_leaving(pod) for pod in cluster.items("pods", "-n", NAMESPACE)), "old pods to leave")
        return count()

    def test_changed_values_and_a_rollback_leave_nothing_behind_and_nothing_twice(self, installed, examples, folder):
        first, claims = self.present(installed), self.claims(installed)
        assert first == self.expected(installed)
        assert claims == self.claimed(installed)
        changed: Values = {
            "collector": {"kind": "StatefulSet", "auth": {"mode": "none"}, "networkPolicy": {"enabled": False}},
            "gpu": {"source": "agent"},
            "modelServing": {"namespaces": [NAMESPACE]},
            "alertmanager": {"mode": "none"},
            "dashboards": {"enabled": False},
            "example": {"ways": ["scrape"]},
        }
        self.revise(installed, "upgrade", "infermeter", str(CHART), values=changed)
        second = self.present(installed)
        assert second == self.expected(installed)
        assert second != first
        assert self.settled(installed) == {
            "infermeter-collector": 1, "prometheus": 1, "infermeter-gpu-agent": 2, "infermeter-example-scrape": 1,
        }  # fmt: skip
        assert self.claims(installed) == claims, "Kubernetes keeps what a StatefulSet has stored"
        assert self.seen(installed, folder, examples) == expected_models(installed)
        self.revise(installed, "rollback", "infermeter", "1")
        assert self.present(installed) == first
        assert self.settled(installed) == RUNNING
        assert self.claims(installed) == self.claimed(installed) == claims
        assert self.seen(installed, folder, examples) == expected_models(installed)
