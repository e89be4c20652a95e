"""The real Prometheus, with the configuration of the chart, finds the pods of a real API server and scrapes them.

Behind the pods' addresses, all of them loopback, listen real processes of the SDK.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml
from tests.kubernetes.chart import CHART, Values, objects
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.discovering_prometheus import REFRESH_S, Prometheus, prometheus_of
from tests.kubernetes.simulated_pods import Pods, page_at
from tests.waiting import until

from infermeter.assets import asset

pytestmark = pytest.mark.kubernetes

RELEASE_NAMESPACE = "discovery"

# What kube-state-metrics shows of two pods, one of which serves a model.
RESTARTS = "kube_pod_container_status_restarts_total"
STATE_PAGE = f"""# TYPE {RESTARTS} counter
{RESTARTS}{{namespace="shop",pod="fraud-0",container="model"}} 3
{RESTARTS}{{namespace="shop",pod="web-0",container="web"}} 5
"""
# Two containers that both declare ports, as where a proxy stands in front of the model.
WITH_A_PROXY = {"model": (8000, 9464), "proxy": (15090,)}


def install_prometheus(cluster: Cluster, namespace: str, values: Values | None = None) -> None:
    """Apply what the chart makes for Prometheus to find: its account and what it reads."""
    cluster.namespace(namespace)
    kinds = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ConfigMap"}
    listed = [one for one in objects(values, namespace=namespace) if one["kind"] in kinds]
    named = "app.kubernetes.io/name"
    cluster.apply(*(one for one in listed if one["metadata"]["labels"][named] == "prometheus"))


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """A namespace with pods that are to be scraped, and some that are not."""
    for name in ("shop", "payroll", RELEASE_NAMESPACE):
        cluster.namespace(name)
    pods = Pods(cluster, tmp_path_factory.mktemp("pods"))
    try:
        pods.add("fraud-0", "127.7.0.10", 9464, serves="fraud")
        pods.add("elsewhere-0", "127.7.0.11", 9500, serves="churn",
                 annotations={"prometheus.io/port": "9500", "prometheus.io/path": "/metrics"})  # fmt: skip
        pods.add("web-0", "127.7.0.20", 9464, label="web")
        pods.add("starting-0", "127.7.0.21", 9464, ready=False)
        pods.add("pushing-0", "127.7.0.22", 9464, annotations={"prometheus.io/scrape": "false"})
        pods.add("odd-path-0", "127.7.0.23", 9464,
                 annotations={"prometheus.io/port": "9464", "prometheus.io/path": "/internal/metrics"})  # fmt: skip
        pods.add("proxied-0", "127.7.0.25", 9464, containers=WITH_A_PROXY)
        pods.add("unsaid-0", "127.7.0.26", 9464, containers=WITH_A_PROXY, annotations={})
        pods.add("wages-0", "127.7.0.27", 9464, namespace="payroll")
        pods.add("wages-1", "127.7.0.28", 9464, namespace="payroll", node="node-2")
        pods.add_gpu_exporter("exporter-0", "127.7.0.30", namespace=RELEASE_NAMESPACE)
        pods.add_gpu_exporter("of-another-release-0", "127.7.0.31", namespace=RELEASE_NAMESPACE, release="other")
        yield pods
    finally:
        pods.close()
        for name in ("shop", "payroll", RELEASE_NAMESPACE):
            cluster.kubectl("delete", "pods", "--all", "-n", name, "--grace-period=0", "--force")


@pytest.fixture(scope="module")
def prometheus(shop: Pods, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    install_prometheus(cluster, RELEASE_NAMESPACE)
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        page_at("127.0.0.1", 0, STATE_PAGE) as state,
        prometheus_of(cluster, RELEASE_NAMESPACE, folder, pages={"kube-state-metrics": state}) as running,
    ):
        yield running


def scraped(prometheus: Prometheus) -> list[tuple[str, str]]:
    """Return (pod, address) of each target of the shop."""
    labels = [(one["labels"], one["scrapeUrl"]) for one in prometheus.targets("model-serving")]
    return sorted((named["pod"], url) for named, url in labels if named["namespace"] == "shop")


def test_pods_that_serve_models_are_found_at_their_annotated_port_and_path_and_others_are_not(prometheus):
    expected = [
        ("elsewhere-0", "http://127.7.0.11:9500/metrics"),
        ("fraud-0", "http://127.7.0.10:9464/metrics"),
        ("odd-path-0", "http://127.7.0.23:9464/internal/metrics"),
        # However many containers and ports there are, one is annotated.
        ("proxied-0", "http://127.7.0.25:9464/metrics"),
        # Where none is, each is looked at.
        ("unsaid-0", "http://127.7.0.26:15090/metrics"),
        ("unsaid-0", "http://127.7.0.26:8000/metrics"),
        ("unsaid-0", "http://127.7.0.26:9464/metrics"),
    ]
    until(lambda: len(scraped(prometheus)) >= len(expected), "the pods to be found")
    assert scraped(prometheus) == expected


def test_a_target_has_the_labels_that_rules_know_and_no_other(prometheus):
    until(lambda: "proxied-0" in dict(scraped(prometheus)), "the pod to be found")
    (target,) = [one for one in prometheus.targets("model-serving") if one["labels"]["pod"] == "proxied-0"]
    assert target["labels"] == {
        "job": "model-serving", "instance": "127.7.0.25:9464", "namespace": "shop", "pod": "proxied-0",
        "node": "node-1",
    }  # fmt: skip


def test_what_they_show_carries_namespace_pod_and_node(prometheus):
    query = 'model_inference_requests_total{job="model-serving", status="success"}'
    rows = until(lambda: prometheus.value(f"{query} > 0"), "requests in Prometheus")
    until(lambda: len(prometheus.value(f"{query} > 0")) == 2, "requests of both services")
    rows = prometheus.value(query)
    named = {(row["namespace"], row["pod"], row["node"], row["model_name"]) for row, _ in rows}
    assert named == {("shop", "fraud-0", "node-1", "fraud"), ("shop", "elsewhere-0", "node-1", "churn")}


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"namespaces": ["payroll"]}, {"wages-0", "wages-1"}), ({"node": "node-2"}, {"wages-1"})],
    ids=["namespaces", "node"],
)
def test_of_chosen_namespaces_or_a_chosen_node_only_these_pods_are_found(values, expected, shop, cluster, tmp_path):
    namespace = f"discovery-by-{next(iter(values))}"
    install_prometheus(cluster, namespace, {"modelServing": values})
    with prometheus_of(cluster, namespace, tmp_path) as running:

        def found() -> set[str]:
            return {target["labels"]["pod"] for target in running.targets("model-serving")}

        until(found, "the pods to be found")
        # The others have been there all the time: with this one, they would have been found as well.
        shop.add("late-0", "127.7.0.29", 9464, namespace="payroll", node="node-2")
        until(lambda: "late-0" in found(), "a pod that is added", timeout_s=REFRESH_S)
        assert found() == expected | {"late-0"}
    cluster.kubectl("delete", "pod", "late-0", "-n", "payroll", "--grace-period=0", "--force")


def test_a_pod_that_becomes_ready_or_is_added_appears_within_one_refresh(prometheus, shop):
    shop.add("fraud-1", "127.7.0.12", 9464, serves="fraud")
    until(lambda: "fraud-1" in dict(scraped(prometheus)), "a new replica", timeout_s=REFRESH_S)
    shop.add("starting-0", "127.7.0.21", 9464, ready=True)
    until(lambda: "starting-0" in dict(scraped(prometheus)), "a pod that became ready", timeout_s=REFRESH_S)


def test_a_pod_that_is_gone_is_scraped_no_more_after_one_refresh(prometheus, shop, cluster):
    shop.add("leaving-0", "127.7.0.24", 9464)
    until(lambda: "leaving-0" in dict(scraped(prometheus)), "the pod")
    cluster.kubectl("delete", "pod", "leaving-0", "-n", "shop", "--grace-period=0", "--force")
    until(lambda: "leaving-0" not in dict(scraped(prometheus)), "the pod to be forgotten", timeout_s=REFRESH_S)


def test_gpus_keep_the_pod_that_holds_them_and_get_the_node_of_their_exporter(prometheus):
    (target,) = until(lambda: prometheus.targets("nvidia-gpu"), "the exporter of GPUs")
    assert target["scrapeUrl"] == "http://127.7.0.30:9400/metrics", "that of another release is not this one's"
    rows = until(lambda: prometheus.value("DCGM_FI_DEV_GPU_UTIL"), "GPUs in Prometheus")
    held = sorted((row["gpu"], row.get("namespace"), row.get("pod"), row["host_name"], value) for row, value in rows)
    assert held == [("0", "shop", "fraud-0", "node-1", 3), ("1", None, None, "node-1", 0)]


def test_the_overview_shows_restarts_of_the_pods_that_serve_a_model(prometheus):
    panels = json.loads(asset("deploy/grafana/dashboards/overview.json").read_text(encoding="utf-8"))["panels"]
    (expression,) = [
        target["expr"] for panel in panels for target in panel.get("targets", []) if RESTARTS in target["expr"]
    ]
    for variable, value in (("$__range", "5m"), ("$namespace", ".*"), ("$model", ".*"), ("$version", ".*")):
        expression = expression.replace(variable, value)
    rows = until(lambda: prometheus.value(expression), "restarts on the overview", timeout_s=60)
    assert {(row["namespace"], row["pod"]) for row, _ in rows} == {("shop", "fraud-0")}


# Everything is slow and fails half of the time, and both GPUs are idle, one of which nobody holds.
MODELS = [{"namespace": "shop", "model_name": name, "model_version": "1"} for name in ("churn", "fraud")]
HELD_GPU = {"namespace": "shop", "pod": "fraud-0", "host": "node-1", "gpu": "0", "UUID": "GPU-1"}
ALERTS = {
    "HighInferenceLatency": ("critical", MODELS),
    "HighPredictionErrorRate": ("critical", MODELS),
    "LowGPUUtilization": ("warning", [HELD_GPU]),
}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_with_the_labels_of_this_path(alert, prometheus):
    """Firing, because the rules' minutes (`for`) are seconds here; expressions and windows are the shipped ones."""
    severity, expected = ALERTS[alert]
    query = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    until(lambda: len(prometheus.value(query)) >= len(expected), f"{alert} to fire", timeout_s=120)
    common = {"__name__": "ALERTS", "alertname": alert, "alertstate": "firing", "severity": severity}
    fired = [row for row, _ in prometheus.value(query)]
    assert sorted(map(sorted, (row.items() for row in fired))) == sorted(
        sorted({**common, **labels}.items()) for labels in expected
    )


def test_prometheus_evaluates_the_shipped_rules_without_an_error(prometheus):
    shipped = {
        rule["alert"]: rule["expr"]
        for file in (CHART / "files/rules").glob("*.yml")
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    evaluated = until(lambda: _evaluated(prometheus), "every rule to be evaluated")
    assert [(rule["name"], rule.get("lastError")) for rule in evaluated if rule["health"] != "ok"] == []
    running = {rule["name"]: rule["query"] for rule in evaluated if rule["type"] == "alerting"}
    assert running.keys() == shipped.keys()
    for alert in ALERTS:
        theirs, ours = (prometheus.api("format_query", query=text) for text in (running[alert], shipped[alert]))
        assert theirs == ours


def _evaluated(prometheus: Prometheus) -> list[dict[str, str]]:
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    return [] if any(rule["health"] == "unknown" for rule in rules) else rules
