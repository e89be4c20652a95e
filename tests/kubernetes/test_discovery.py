"""The real Prometheus, with the configuration of the chart, finds the pods of a real API server and scrapes them.

Behind the pods' addresses, all of them loopback, listen real processes of the SDK.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes.chart import objects
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.discovering_prometheus import REFRESH_S, Prometheus, prometheus_of
from tests.waiting import until

from infermeter.assets import asset
from infermeter.cli.stack.loopback import get

pytestmark = pytest.mark.kubernetes

RELEASE_NAMESPACE = "discovery"

SERVICE = """
import sys, threading
import infermeter
model = sys.argv[1]
infermeter.configure()
infermeter.register_model(model, version="1", sla_s=0.2)
@infermeter.instrument_inference(model, version="1")
def predict(wrong):
    if wrong:
        raise ValueError("a bad row")
    threading.Event().wait(0.6)
pause = threading.Event()
while not pause.wait(0.05):
    for wrong in (False, True):
        try:
            predict(wrong)
        except ValueError:
            pass
"""

# What dcgm-exporter shows of a GPU that a pod holds, and of which it does little.
GPU_PAGE = """# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-1",device="nvidia0",modelName="NVIDIA H100",Hostname="node-1",namespace="shop",\
pod="fraud-0",container="model"} 3
"""


# What kube-state-metrics shows of two pods, one of which serves a model.
RESTARTS = "kube_pod_container_status_restarts_total"
STATE_PAGE = f"""# TYPE {RESTARTS} counter
{RESTARTS}{{namespace="shop",pod="fraud-0",container="model"}} 3
{RESTARTS}{{namespace="shop",pod="web-0",container="web"}} 5
"""


class Page(BaseHTTPRequestHandler):
    """Serves a text to whoever asks."""

    text = ""

    def do_GET(self) -> None:
        body = self.text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def page_at(address: str, port: int, text: str) -> Iterator[int]:
    """Serve a text on this address; gives the port."""
    server = ThreadingHTTPServer((address, port), type("ThisPage", (Page,), {"text": text}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def install_prometheus(cluster: Cluster) -> None:
    """Apply what the chart makes for Prometheus to find: its account and what it reads."""
    kinds = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap"}
    listed = objects(namespace=RELEASE_NAMESPACE)
    cluster.apply(*(one for one in listed if one["kind"] in kinds and "infermeter-prom" in one["metadata"]["name"]))


class Pods:
    """Pods in the API server, and processes behind their addresses.

    Args:
        cluster: Where they are.
        folder: For logs.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self._folder, self._children = cluster, folder, ExitStack()

    def add(
        self, name: str, address: str, port: int, *, label: str = "model-serving", ready: bool = True,
        annotations: dict[str, str] | None = None, serves: str | None = None,
    ) -> None:  # fmt: skip
        """Add a pod that is running, on a node, with this address; and what listens there, if anything."""
        if serves:
            self._children.enter_context(self._service(serves, address, port, name))
        pod = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": label}, "annotations":
                         {"prometheus.io/port": str(port)} if annotations is None else annotations},
            "spec": {"nodeName": "node-1", "containers": [
                {"name": "model", "image": "model:1", "ports": [{"containerPort": 8000}, {"containerPort": 8001}]}
            ]},
        }  # fmt: skip
        self.cluster.apply(pod)
        state = "True" if ready else "False"
        self.cluster.set_status(
            pod, phase="Running", podIP=address, podIPs=[{"ip": address}],
            conditions=[{"type": kind, "status": state, "lastProbeTime": None, "lastTransitionTime": None}
                        for kind in ("Ready", "ContainersReady")],
        )  # fmt: skip

    @contextmanager
    def _service(self, model: str, address: str, port: int, pod: str) -> Iterator[None]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "INFERMETER_"))}
        env |= {
            "OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_HOST": address,
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(port), "OTEL_SERVICE_NAME": model,
        }  # fmt: skip
        with (self._folder / f"{pod}.log").open("wb") as log:
            child = subprocess.Popen([sys.executable, "-c", SERVICE, model], env=env, stdout=log, stderr=log)
        try:
            until(lambda: get(f"http://{address}:{port}/metrics")[0] == 200, f"the service of pod {pod}")
            yield
        finally:
            child.terminate()
            child.wait(timeout=20)

    def add_gpu_exporter(self, name: str, address: str, *, release: str) -> None:
        """Add a pod of the DaemonSet of a release, with the page of one GPU behind its address."""
        self._children.enter_context(page_at(address, 9400, GPU_PAGE))
        labels = {"app": "dcgm-exporter", "app.kubernetes.io/instance": release}
        port = {"containerPort": 9400, "name": "metrics"}
        pod: dict[str, Any] = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": RELEASE_NAMESPACE, "labels": labels},
            "spec": {"nodeName": "node-1", "containers": [{"name": "exporter", "image": "dcgm:1", "ports": [port]}]},
        }  # fmt: skip
        self.cluster.apply(pod)
        self.cluster.set_status(pod, phase="Running", podIP=address, podIPs=[{"ip": address}])

    def close(self) -> None:
        """End the processes."""
        self._children.close()


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """A namespace with pods that are to be scraped, and some that are not."""
    for name in ("shop", RELEASE_NAMESPACE):
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
        pods.add_gpu_exporter("exporter-0", "127.7.0.30", release="infermeter")
        pods.add_gpu_exporter("of-another-release-0", "127.7.0.31", release="other")
        yield pods
    finally:
        pods.close()


@pytest.fixture(scope="module")
def prometheus(shop: Pods, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    install_prometheus(cluster)
    with (
        page_at("127.0.0.1", 0, STATE_PAGE) as state_port,
        prometheus_of(
            cluster, RELEASE_NAMESPACE, tmp_path_factory.mktemp("prometheus"), state_port=state_port
        ) as running,
    ):
        yield running


def scraped(prometheus: Prometheus) -> dict[str, str]:
    return prometheus.pods("shop")


def test_pods_that_serve_models_are_found_at_their_annotated_port_and_path_and_others_are_not(prometheus):
    expected = {
        "fraud-0": "http://127.7.0.10:9464/metrics",
        "elsewhere-0": "http://127.7.0.11:9500/metrics",
        "odd-path-0": "http://127.7.0.23:9464/internal/metrics",
    }
    until(lambda: len(scraped(prometheus)) >= len(expected), "the pods to be found")
    assert scraped(prometheus) == expected
    assert len(prometheus.targets("model-serving")) == len(expected), "a pod with two ports is one target"


def test_what_they_show_carries_namespace_pod_and_node(prometheus):
    query = 'model_inference_requests_total{job="model-serving", status="success"}'
    rows = until(lambda: prometheus.value(f"{query} > 0"), "requests in Prometheus")
    until(lambda: len(prometheus.value(f"{query} > 0")) == 2, "requests of both services")
    rows = prometheus.value(query)
    named = {(row["namespace"], row["pod"], row["node"], row["model_name"]) for row, _ in rows}
    assert named == {("shop", "fraud-0", "node-1", "fraud"), ("shop", "elsewhere-0", "node-1", "churn")}


def test_a_pod_that_becomes_ready_or_is_added_appears_within_one_refresh(prometheus, shop):
    shop.add("fraud-1", "127.7.0.12", 9464, serves="fraud")
    until(lambda: "fraud-1" in scraped(prometheus), "a new replica", timeout_s=REFRESH_S)
    shop.add("starting-0", "127.7.0.21", 9464, ready=True)
    until(lambda: "starting-0" in scraped(prometheus), "a pod that became ready", timeout_s=REFRESH_S)


def test_a_pod_that_is_gone_is_scraped_no_more_after_one_refresh(prometheus, shop, cluster):
    shop.add("leaving-0", "127.7.0.24", 9464)
    until(lambda: "leaving-0" in scraped(prometheus), "the pod")
    cluster.kubectl("delete", "pod", "leaving-0", "-n", "shop", "--grace-period=0", "--force")
    until(lambda: "leaving-0" not in scraped(prometheus), "the pod to be forgotten", timeout_s=REFRESH_S)


def test_gpus_keep_the_pod_that_holds_them_and_get_the_node_of_their_exporter(prometheus):
    (target,) = until(lambda: prometheus.targets("nvidia-gpu"), "the exporter of GPUs")
    assert target["scrapeUrl"] == "http://127.7.0.30:9400/metrics", "that of another release is not this one's"
    ((row, value),) = until(lambda: prometheus.value("DCGM_FI_DEV_GPU_UTIL"), "a GPU in Prometheus")
    assert (row["namespace"], row["pod"], row["host_name"], value) == ("shop", "fraud-0", "node-1", 3)


def test_the_overview_shows_restarts_of_the_pods_that_serve_a_model(prometheus):
    panels = json.loads(asset("deploy/grafana/dashboards/overview.json").read_text(encoding="utf-8"))["panels"]
    (expression,) = [
        target["expr"] for panel in panels for target in panel.get("targets", []) if RESTARTS in target["expr"]
    ]
    for variable, value in (("$__range", "5m"), ("$namespace", ".*"), ("$model", ".*"), ("$version", ".*")):
        expression = expression.replace(variable, value)
    rows = until(lambda: prometheus.value(expression), "restarts on the overview", timeout_s=60)
    assert {(row["namespace"], row["pod"]) for row, _ in rows} == {("shop", "fraud-0")}


def test_the_three_alerts_begin_with_the_labels_of_this_path(prometheus):
    """Everything is slow, fails half of the time and leaves the GPU idle: the alerts wait for their minutes."""

    def pending(alert: str) -> list[dict[str, str]]:
        return [one["labels"] for one in prometheus.api("alerts")["alerts"] if one["labels"]["alertname"] == alert]

    for alert in ("HighPredictionErrorRate", "HighInferenceLatency"):
        begun = until(lambda alert=alert: pending(alert), f"{alert} to be pending", timeout_s=240)
        assert {one["namespace"] for one in begun} == {"shop"}
        assert {one["model_name"] for one in begun} <= {"fraud", "churn"}
    (gpu,) = until(lambda: pending("LowGPUUtilization"), "LowGPUUtilization to be pending", timeout_s=120)
    assert (gpu["namespace"], gpu["pod"], gpu["host"]) == ("shop", "fraud-0", "node-1")
