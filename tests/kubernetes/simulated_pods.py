"""Pods in an API server without nodes, and what listens behind their addresses: the SDK, or a page.

Knows nothing of who finds and reads them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.kubernetes.cluster import Cluster, Object
from tests.waiting import until

from infermeter.cli.stack.loopback import get

# Slow, and half of the calls fail.
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

# What dcgm-exporter shows of a GPU that a pod holds, and of one that nobody holds. Both do little.
_GPU = 'device="nvidia0",modelName="NVIDIA H100",Hostname="node-1"'
GPU_PAGE = f"""# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{{gpu="0",UUID="GPU-1",{_GPU},namespace="shop",pod="fraud-0",container="model"}} 3
DCGM_FI_DEV_GPU_UTIL{{gpu="1",UUID="GPU-2",{_GPU}}} 0
"""

ONE_CONTAINER: Mapping[str, Sequence[int]] = {"model": (8000, 8001)}


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
def page_at(address: str, port: int, text: str) -> Iterator[str]:
    """Serve a text on this address; gives address and port."""
    server = ThreadingHTTPServer((address, port), type("ThisPage", (Page,), {"text": text}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{address}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Pods:
    """Pods in the API server, and processes behind their addresses.

    Args:
        cluster: Where they are.
        folder: For logs.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self._folder, self._children = cluster, folder, ExitStack()

    def add(
        self, name: str, address: str, port: int, *, namespace: str = "shop", node: str = "node-1",
        label: str = "model-serving", ready: bool = True, annotations: dict[str, str] | None = None,
        containers: Mapping[str, Sequence[int]] = ONE_CONTAINER, serves: str | None = None, page: str | None = None,
    ) -> None:  # fmt: skip
        """Add a pod that is running; and what listens at its address, if anything.

        Args:
            name: Of the pod.
            address: Of the pod, on loopback.
            port: Where something listens, and what the annotation says where no annotations are given.
            namespace: Of the pod.
            node: Of the pod.
            label: The value of the label app.
            ready: Whether its kubelet says so.
            annotations: Instead of the one with the port.
            containers: The declared ports of each.
            serves: The model of an SDK that listens.
            page: A text, instead of an SDK.
        """
        if serves:
            self._children.enter_context(self._service(serves, address, port, name))
        if page:
            self._children.enter_context(page_at(address, port, page))
        pod: Object = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": label}, "annotations":
                         {"prometheus.io/port": str(port)} if annotations is None else annotations},
            "spec": {"nodeName": node, "containers": [
                {"name": container, "image": f"{container}:1", "ports": [{"containerPort": port} for port in ports]}
                for container, ports in containers.items()
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

    def add_gpu_exporter(self, name: str, address: str, *, namespace: str, release: str = "infermeter") -> None:
        """Add a pod of the DaemonSet of a release, with the page of two GPUs behind its address."""
        self._children.enter_context(page_at(address, 9400, GPU_PAGE))
        labels = {
            "app": "dcgm-exporter", "app.kubernetes.io/name": "dcgm-exporter", "app.kubernetes.io/instance": release,
        }  # fmt: skip
        port = {"containerPort": 9400, "name": "metrics"}
        pod: dict[str, Any] = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"nodeName": "node-1", "containers": [{"name": "exporter", "image": "dcgm:1", "ports": [port]}]},
        }  # fmt: skip
        self.cluster.apply(pod)
        self.cluster.set_status(pod, phase="Running", podIP=address, podIPs=[{"ip": address}])

    def close(self) -> None:
        """End the processes."""
        self._children.close()
