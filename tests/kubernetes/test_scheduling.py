"""With controllers, a scheduler and simulated nodes: what the chart makes becomes running pods, where it should."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
def watching(installed: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, as the release has configured it."""
    with prometheus_of(installed, NAMESPACE, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def expected_targets(cluster: Cluster) -> dict[str, str]:
    """Return where each pod of the example that is scraped should be, by what the API server says of it."""
    listed = pods(cluster, "app.kubernetes.io/name=infermeter-example-scrape")
    return {pod["metadata"]["name"]: f"http://{pod['status'].get('podIP')}:9464/metrics" for pod in listed}


def scale(cluster: Cluster, replicas: int) -> None:
    name = "deployment/infermeter-example-scrape"
    cluster.kubectl("scale", name, f"--replicas={replicas}", "-n", NAMESPACE)
    cluster.kubectl("rollout", "status", name, "-n", NAMESPACE, "--timeout=60s")


@contextmanager
def example_behind(pod: dict[str, Any], log: Path) -> Iterator[None]:
    """Run the example at the address of a pod, with the environment that its Deployment gives it."""
    address = pod["status"]["podIP"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "INFERMETER_"))}
    env |= {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    env["OTEL_EXPORTER_PROMETHEUS_HOST"] = address  # several pods share this machine's addresses
    command = [sys.executable, "-m", "uvicorn", "fraud_api.app:app", "--host", address, "--port", "8000"]
    with log.open("wb") as output:
        child = subprocess.Popen(command, env=env, cwd=asset("examples"), stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: get(f"http://{address}:8000/health")[0] == 200, f"the example; its log is {log}", timeout_s=120)
        yield
    finally:
        child.terminate()
        child.wait(timeout=60)


def test_replicas_of_the_example_are_found_within_one_refresh_and_tell_of_their_pods(installed, watching, tmp_path):
    until(lambda: watching.pods(NAMESPACE) == expected_targets(installed), "the first replica", timeout_s=REFRESH_S)
    scale(installed, 2)
    until(lambda: len(watching.pods(NAMESPACE)) == 2, "the second replica", timeout_s=REFRESH_S)
    assert watching.pods(NAMESPACE) == expected_targets(installed), "the one that pushes is left out"
    with ExitStack() as examples:
        for pod in pods(installed, "app.kubernetes.io/name=infermeter-example-scrape"):
            examples.enter_context(example_behind(pod, tmp_path / pod["metadata"]["name"]))
        query = f'model_info{{job="model-serving", namespace="{NAMESPACE}"}}'
        rows = until(lambda: len(watching.value(query)) == 4 and watching.value(query), "both replicas' models")
    named = sorted((row["pod"], row["node"], row["model_name"], row["model_version"]) for row, _ in rows)
    assert named == sorted((pod, "cpu-1", "fraud", version) for pod in expected_targets(installed) for version in "12")
    scale(installed, 1)
    until(lambda: watching.pods(NAMESPACE) == expected_targets(installed), "the other one to go", timeout_s=REFRESH_S)


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

    def settled(self, cluster: Cluster) -> dict[str, int]:
        def count() -> dict[str, int]:
            names = [part_of(pod) for pod in pods(cluster)]
            return {name: names.count(name) for name in set(names)}

        until(lambda: all(not is_leaving(pod) for pod in cluster.items("pods", "-n", NAMESPACE)), "old pods to leave")
        return count()

    def test_changed_values_and_a_rollback_leave_nothing_behind_and_nothing_twice(self, installed, watching):
        first = self.present(installed)
        assert first == self.expected(installed)
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
        self.revise(installed, "rollback", "infermeter", "1")
        assert self.present(installed) == first
        assert self.settled(installed) == RUNNING
        expected = expected_targets(installed)
        until(lambda: watching.pods(NAMESPACE) == expected, "the pods of now, and no others", timeout_s=REFRESH_S)
        assert len(watching.targets("model-serving")) == len(expected) == 1
