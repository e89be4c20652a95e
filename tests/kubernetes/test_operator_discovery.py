"""What the Prometheus operator would make of the chart's monitors finds and names what plain Prometheus does.

Two real Prometheus look at the same API server: one with the chart's own configuration, one with the jobs and rules
that the operator would make of PodMonitors, ServiceMonitor and PrometheusRules, as the API server has stored them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
import yaml
from tests.kubernetes.chart import find, objects
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.discovering_prometheus import Configuration, Prometheus, prometheus_of, started
from tests.kubernetes.operator_jobs import first_relabelings, jobs_of
from tests.kubernetes.simulated_pods import Pods, page_at
from tests.kubernetes.tools import operator_crds
from tests.waiting import until

pytestmark = pytest.mark.kubernetes

NAMESPACE = "operated"
MODELS = "market"
KINDS = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Service"}
MONITORS = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
JOBS = {
    "model-serving": f"podMonitor/{NAMESPACE}/infermeter-model-serving/0",
    "nvidia-gpu": f"podMonitor/{NAMESPACE}/infermeter-gpu/0",
    "infermeter-collector": f"serviceMonitor/{NAMESPACE}/infermeter-collector/0",
    "infermeter-collector-pipelines": f"serviceMonitor/{NAMESPACE}/infermeter-collector/1",
    "infermeter-collector-self": f"serviceMonitor/{NAMESPACE}/infermeter-collector/2",
}
MODEL_PAGE = """# TYPE model_inference_requests_total counter
model_inference_requests_total{model_name="fraud",model_version="1",status="success"} 7
"""
WITH_A_PROXY = {"model": (8000, 9464), "proxy": (15090,)}
# What the collector shows at each of its ports: what a pod has pushed, what something outside of the cluster has, and
# what is its own.
PAGES = {
    "infermeter-collector": """# TYPE pushed_total counter
pushed_total{job="fraud",instance="fraud-0",namespace="market",pod="fraud-0",node="node-3"} 1
pushed_total{job="notebook",instance="laptop"} 1
""",
    "infermeter-collector-pipelines": """# TYPE pushed_total counter
pushed_total{job="nightly",instance="build"} 1
""",
    "infermeter-collector-self": """# TYPE own_total counter
own_total 1
""",
}


class Both(NamedTuple):
    """Plain Prometheus, and that of the operator."""

    plain: Prometheus
    operated: Prometheus


@pytest.fixture(scope="module")
def both(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    for name in (NAMESPACE, MODELS):
        cluster.namespace(name)
    plain = objects(namespace=NAMESPACE)
    operated = objects({"prometheus": {"mode": "operator"}}, namespace=NAMESPACE)
    cluster.apply(*(one for one in plain if one["kind"] in KINDS))
    cluster.apply(*(one for one in operated if one["kind"] in MONITORS))
    pods = Pods(cluster, tmp_path_factory.mktemp("pods"))
    with ExitStack() as running:
        running.callback(cluster.kubectl, "delete", "pods", "--all", "-n", MODELS, "--grace-period=0", "--force")
        running.callback(pods.close)
        pods.add("fraud-0", "127.7.1.10", 9464, namespace=MODELS, containers=WITH_A_PROXY, page=MODEL_PAGE)
        pods.add("unsaid-0", "127.7.1.11", 9464, namespace=MODELS, containers=WITH_A_PROXY, annotations={})
        pods.add("pushing-0", "127.7.1.12", 9464, namespace=MODELS, annotations={"prometheus.io/scrape": "false"})
        pods.add("starting-0", "127.7.1.13", 9464, namespace=MODELS, ready=False)
        pods.add_gpu_exporter("exporter-0", "127.7.1.30", namespace=NAMESPACE)
        pods.add("collector-0", "127.7.1.40", 9464, namespace=NAMESPACE, label="collector")
        cluster.apply(_endpoints(cluster))
        pages = {job: running.enter_context(page_at("127.0.0.1", 0, text)) for job, text in PAGES.items()}
        folders = [tmp_path_factory.mktemp(name) for name in ("plain", "operated")]
        yield Both(
            running.enter_context(prometheus_of(cluster, NAMESPACE, folders[0], pages=pages)),
            # The operator's Prometheus has an account of its own, which is not the chart's.
            running.enter_context(started(cluster, _operated(cluster), cluster.token, folders[1], pages=pages)),
        )


def _endpoints(cluster: Cluster) -> dict[str, Any]:
    """Return what a controller would write for the collector's Service. The address is moved to loopback later."""
    ports = cluster.get("service", "infermeter-collector", "-n", NAMESPACE)["spec"]["ports"]
    pod = {"kind": "Pod", "name": "collector-0", "namespace": NAMESPACE}
    meta = {"name": "infermeter-collector", "namespace": NAMESPACE}
    addresses = [{"ip": "192.0.2.40", "targetRef": pod, "nodeName": "node-1"}]
    subset = {"addresses": addresses, "ports": [{"name": one["name"], "port": one["port"]} for one in ports]}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [subset]}


def _operated(cluster: Cluster) -> Configuration:
    monitors = cluster.items("podmonitors,servicemonitors", "-n", NAMESPACE)
    rules = cluster.items("prometheusrules", "-n", NAMESPACE)
    main = {"global": {}, "scrape_configs": [job for monitor in monitors for job in jobs_of(monitor)]}
    return Configuration(main, {f"{one['metadata']['name']}.yml": one["spec"] for one in rules})


def labels_of(prometheus: Prometheus, job: str) -> list[list[tuple[str, str]]]:
    """Return the labels of each target of a job, and where it is scraped."""
    targets = prometheus.targets(job)
    return sorted(sorted({**target["labels"], "url": target["scrapeUrl"]}.items()) for target in targets)


@pytest.mark.parametrize("job", JOBS)
def test_each_target_of_the_operators_job_has_the_labels_of_the_plain_one(job, both):
    count = 4 if job == "model-serving" else 1  # one pod says which port, and one of three leaves them all
    for prometheus, name in zip(both, (job, JOBS[job]), strict=True):
        until(lambda p=prometheus, n=name: len(p.targets(n)) >= count, f"targets of {name}")
    assert labels_of(both.operated, JOBS[job]) == labels_of(both.plain, job)


def test_a_pod_with_two_containers_is_counted_once_where_its_port_is_annotated(both):
    for prometheus in both:
        requests = f'model_inference_requests_total{{namespace="{MODELS}"}}'
        until(lambda p=prometheus, q=requests: p.value(q), "requests in Prometheus")
        ((row, value),) = prometheus.value(f"sum by (job, pod, node) ({requests})")
        assert (row, value) == ({"job": "model-serving", "pod": "fraud-0", "node": "node-1"}, 7)


def test_what_the_collector_shows_has_the_labels_that_senders_gave_it_and_no_other(both):
    shown = []
    for prometheus in both:
        query = '{__name__=~"pushed_total|own_total"}'
        rows = until(lambda p=prometheus, q=query: len(p.value(q)) == 4 and p.value(q), "what was pushed")
        shown.append(sorted(sorted(row.items()) for row, _ in rows))
    assert shown[0] == shown[1]
    assert [("__name__", "pushed_total"), ("instance", "laptop"), ("job", "notebook")] in shown[1]


def test_a_gpu_that_nobody_holds_is_nobodys_and_no_cause_for_an_alert(both):
    for prometheus in both:
        free = until(lambda p=prometheus: p.value("gpu:unallocated:group"), "a GPU that is free")
        assert [(row["host"], row["gpu"]) for row, _ in free] == [("node-1", "1")]
        query = 'ALERTS{alertname="LowGPUUtilization", alertstate="firing"}'
        fired = until(lambda p=prometheus, q=query: p.value(q), "the alert on the other one")
        assert [(row["namespace"], row["pod"], row["gpu"]) for row, _ in fired] == [("shop", "fraud-0", "0")]


def test_a_chosen_node_is_that_one_and_none_that_its_dots_could_mean():
    values = {"prometheus": {"mode": "operator"}, "modelServing": {"node": "ip-10-0-0-1.ec2.internal"}}
    spec = find(objects(values), "PodMonitor", "infermeter-model-serving")["spec"]
    *_, chosen = spec["podMetricsEndpoints"][0]["relabelings"]
    assert (chosen["sourceLabels"], chosen["action"]) == (["__meta_kubernetes_pod_node_name"], "keep")
    names = ("ip-10-0-0-1.ec2.internal", "ip-10-0-0-1xec2.internal")
    assert [bool(re.fullmatch(chosen["regex"], name)) for name in names] == [True, False]


# Monitors of the operator's own tests (pkg/prometheus/promcfg_test.go), and where these recorded what becomes of them.
RECORDED = {
    "podMonitorObjectWithPodName": {
        "kind": "PodMonitor", "metadata": {"name": "defaultPodMonitor", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"group": "group1"}}, "podMetricsEndpoints": [{"port": "podname"}]},
    },
    "serviceMonitorObjectWithNonDefaultScrapeClassAndExistingTLSConfig": {
        "kind": "ServiceMonitor", "metadata": {"name": "defaultServiceMonitor", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"group": "group1"}}, "endpoints": [{"port": "web"}]},
    },
}  # fmt: skip


@pytest.mark.parametrize("recording", RECORDED)
def test_the_operator_begins_its_jobs_as_this_test_does(recording):
    monitor: Any = RECORDED[recording]
    (endpoint,) = monitor["spec"].get("podMetricsEndpoints") or monitor["spec"]["endpoints"]
    module = operator_crds()[0].parents[2]
    file = module / "pkg/prometheus/testdata" / f"{recording}.golden"
    (job,) = yaml.safe_load(file.read_text(encoding="utf-8"))["scrape_configs"]
    *first, _, _, _ = job["relabel_configs"]  # the last three are for sharding
    assert first_relabelings(monitor, endpoint) == first
