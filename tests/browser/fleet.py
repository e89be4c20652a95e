"""A fleet on one /metrics page: every series that the dashboards ask for, as numbers that move in a known way.

Its numbers are no measurements: the page's tests need all panels filled at once, by one process, always alike.
`python -m tests.browser.fleet` serves it by hand.
"""

from __future__ import annotations

import http.server
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

LATENCY_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
CONFIDENCE_BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64)
TOKEN_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5)

_RESTART_S = 15
"""After how many seconds a pod restarts once."""
HOSTILE = '<img src=x onerror="window.pwned=1">'
"""A label value that must stay text wherever it is shown."""


@dataclass(frozen=True)
class Model:
    """A model version of the fleet: who it is, what it gets, how fast it is (median, seconds)."""

    name: str
    version: str
    replicas: int
    rate: float
    median_s: float
    sla_s: float
    classes: tuple[str, ...] = ()
    batch_limit: int = 0
    tokens: bool = False


MODELS = (
    Model("fraud", "3", 2, 40, 0.04, 0.25, ("legitimate", "fraud", "unsure")),
    Model("fraud", "4", 1, 6, 0.05, 0.25, ("legitimate", "fraud", "unsure")),
    Model("digits", "1", 1, 60, 0.06, 0.5, ("zero", "one", "seven", HOSTILE), batch_limit=32),
    Model("assistant", "2", 1, 4, 0.2, 1.0, tokens=True),
)


@dataclass
class Fleet:
    """What is wrong at the moment: `starved` lets digits queue while its GPU idles, `errors` lets fraud 4 fail."""

    wrong: set[str] = field(default_factory=set)
    started_s: float = field(default_factory=time.time)
    counters: dict[str, float] = field(default_factory=dict)
    _last_s: float = field(default_factory=lambda: time.time() - 1)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def page(self) -> str:
        """Return the exposition of now."""
        with self._lock:
            now = time.time()
            passed, self._last_s = now - self._last_s, now
            lines = [*self._models(now, passed), *self._gpus(now), *self._pipelines(now), *self._telemetry(now, passed)]
        return "\n".join(lines) + "\n"

    def _count(self, name: str, labels: str, by: float) -> str:
        key = f"{name}{{{labels}}}"
        self.counters[key] = self.counters.get(key, 0.0) + by
        return f"{key} {self.counters[key]:.6g}"

    def _histogram(
        self, name: str, labels: str, bounds: tuple[float, ...], median: float, spread: float, count: float
    ) -> Iterator[str]:
        """Count observations of a log-normal distribution: what lies below each bound is known."""
        for bound in bounds:
            below = 0.5 * (1 + math.erf(math.log(bound / median) / (spread * math.sqrt(2))))
            yield self._count(f"{name}_bucket", f'{labels},le="{bound}"', count * below)
        yield self._count(f"{name}_bucket", f'{labels},le="+Inf"', count)
        yield self._count(f"{name}_count", labels, count)
        yield self._count(f"{name}_sum", labels, count * median * math.exp(spread**2 / 2))

    def _models(self, now: float, passed: float) -> Iterator[str]:
        for model in MODELS:
            for replica in range(model.replicas):
                yield from self._replica(model, replica, now, passed)

    def _replica(self, model: Model, replica: int, now: float, passed: float) -> Iterator[str]:
        pod = f"{model.name}-{model.version}-{replica}"
        where = f'namespace="demo",pod="{pod}",host_name="node-a",job="{model.name}",instance="{pod}"'
        named = f'{where},model_name="{model.name}"'
        of = f'{named},model_version="{model.version}"'
        count = model.rate / model.replicas * (1 + 0.3 * math.sin(now / 20)) * passed
        starved = "starved" in self.wrong and model.batch_limit > 0
        slow = "slow" in self.wrong and model.name == "fraud" and model.version == "3"
        failed = 0.2 if "errors" in self.wrong and model.version == "4" else 0.002
        median = 0.9 if starved else 0.4 if slow else model.median_s * (1 + 0.4 * math.sin(now / 17))
        yield self._count("model_inference_requests_total", f'{of},status="success"', count * (1 - failed))
        yield self._count("model_inference_requests_total", f'{of},status="error"', count * failed)
        yield self._count("model_inference_exceptions_total", f'{of},error_type="ValueError"', count * failed)
        yield from self._histogram("model_inference_latency_seconds", of, self._bounds(model), median, 0.5, count)
        yield f"model_inference_sla_seconds{{{named}}} {model.sla_s}"
        yield f'model_info{{{of},framework="sklearn",reference="a1b2c3"}} 1'
        yield f"model_inference_in_flight{{{of}}} {3 + 2 * math.sin(now / 9):.0f}"
        if model.classes:
            yield from self._histogram("model_prediction_confidence", named, CONFIDENCE_BOUNDS, 0.8, 0.25, count)
            for i, label in enumerate(model.classes):
                shown = label.replace("\\", r"\\").replace('"', r"\"")
                share = count * (len(model.classes) - i) / 10
                yield self._count("model_feature_values_total", f'{of},feature="prediction",bin="{shown}"', share)
        for i, feature in enumerate(("age", "amount")):
            for bin_index in range(4):
                drifted = 3.0 if "drift" in self.wrong and i == 0 and bin_index == 3 else 1.0
                labels = f'{of},feature="{feature}",bin="{bin_index}"'
                yield self._count("model_feature_values_total", labels, count * drifted / 4)
                yield f"model_feature_reference_ratio{{{labels}}} 0.2475"
            missing = f'{of},feature="{feature}",bin="missing"'
            yield self._count("model_feature_values_total", missing, count * 0.01)
            yield f"model_feature_reference_ratio{{{missing}}} 0.01"
            yield f'model_feature_reference_samples{{{of},feature="{feature}"}} 5000'
        if model.batch_limit:
            size = 2.0 if starved else 24.0
            yield from self._histogram("model_inference_batch_size", of, BATCH_BOUNDS, size, 0.2, count / size)
            yield f"model_inference_batch_limit{{{of}}} {model.batch_limit}"
            yield f"model_inference_queue_depth{{{of}}} {40 if starved else 2 + math.sin(now / 7):.0f}"
            wait = 0.7 if starved else 0.02
            yield from self._histogram(
                "model_inference_queue_time_seconds", of, LATENCY_BOUNDS, wait, 0.4, count / size
            )
            for reason, share in (("full", 0.7), ("time", 0.3)):
                yield self._count("model_inference_batches_total", f'{of},reason="{reason}"', count / size * share)
        if model.tokens:
            yield from self._histogram("model_time_to_first_token_seconds", of, TOKEN_BOUNDS, 0.15, 0.4, count)
            yield from self._histogram("model_time_per_output_token_seconds", of, TOKEN_BOUNDS, 0.03, 0.3, count)
            yield self._count("model_tokens_total", f'{of},direction="input"', count * 300)
            yield self._count("model_tokens_total", f'{of},direction="output"', count * 120)

    @staticmethod
    def _bounds(model: Model) -> tuple[float, ...]:
        return tuple(sorted({*LATENCY_BOUNDS, model.sla_s}))

    def _gpus(self, now: float) -> Iterator[str]:
        holders = ("digits-1-0", "assistant-2-0", "")
        for gpu, pod in enumerate(holders):
            uuid = f"GPU-{gpu}aaaaaaa"
            of = (
                f'gpu="{gpu}",UUID="{uuid}",Hostname="node-a",modelName="H100",'
                f'namespace="{"demo" if pod else ""}",pod="{pod}",job="dcgm",instance="node-a:9400"'
            )
            idle = not pod or ("starved" in self.wrong and gpu == 0)
            utilization = 8 if idle else 65 + 20 * math.sin(now / 30 + gpu)
            used = 500 if not pod else 30_000 + 4000 * math.sin(now / 40 + gpu)
            yield f"DCGM_FI_DEV_GPU_UTIL{{{of}}} {utilization:.0f}"
            yield f"DCGM_FI_DEV_MEM_COPY_UTIL{{{of}}} {utilization / 2:.0f}"
            yield f"DCGM_FI_DEV_FB_USED{{{of}}} {used:.0f}"
            yield f"DCGM_FI_DEV_FB_FREE{{{of}}} {81559 - used:.0f}"
            yield f"DCGM_FI_DEV_GPU_TEMP{{{of}}} {50 + utilization / 4:.0f}"
            yield f"DCGM_FI_DEV_POWER_USAGE{{{of}}} {120 + 4 * utilization:.1f}"
            yield f"DCGM_FI_DEV_XID_ERRORS{{{of}}} {31 if gpu == 1 else 0}"
            if pod:
                name, version = pod.split("-")[:2]
                yield f'model_gpu_info{{{of},model_name="{name}",model_version="{version}"}} 1'

    def _pipelines(self, now: float) -> Iterator[str]:
        for pipeline, age_s in (("features", 600.0), ("training", 40_000.0)):
            of = f'namespace="demo",pipeline="{pipeline}",job="airflow",instance="airflow-0"'
            yield self._count("pipeline_runs_total", f'{of},status="success"', 0.05)
            yield self._count("pipeline_runs_total", f'{of},status="error"', 0.001)
            yield f"pipeline_run_duration_seconds{{{of}}} {90 + age_s / 100:.0f}"
            yield f"pipeline_last_success_timestamp_seconds{{{of}}} {now - age_s:.0f}"
            yield f"pipeline_data_timestamp_seconds{{{of}}} {now - age_s * 1.5:.0f}"
            yield f"pipeline_expected_interval_seconds{{{of}}} 86400"
            yield f"pipeline_max_data_age_seconds{{{of}}} 90000"
            yield f"pipeline_max_duration_seconds{{{of}}} 1800"

    def _telemetry(self, now: float, passed: float) -> Iterator[str]:
        for job, pods in (("fraud", 3), ("digits", 1), ("assistant", 1)):
            for i in range(pods):
                of = f'namespace="demo",job="{job}",instance="{job}-{i}"'
                yield f'infermeter_info{{{of},version="0.1.0",recorder="cells"}} 1'
                yield self._count("infermeter_dropped_total", f'{of},where="labels",reason="overflow"', 0.0)
                yield self._count("infermeter_exports_total", f'{of},outcome="success"', passed / 5)
                yield self._count("infermeter_exports_total", f'{of},outcome="failure"', 0.0)
                yield f"infermeter_export_duration_seconds{{{of}}} {0.008 + 0.003 * math.sin(now / 11):.5f}"
                yield f"infermeter_series{{{of}}} 140"
                yield f"infermeter_series_limit{{{of}}} 2000"
        collector = 'job="infermeter-collector",instance="collector-0"'
        for kind, part in (("receiver_accepted", "receiver"), ("receiver_refused", "receiver"),
                           ("exporter_sent", "exporter"), ("exporter_send_failed", "exporter"),
                           ("exporter_enqueue_failed", "exporter")):  # fmt: skip
            moved = passed * 300 if kind in ("receiver_accepted", "exporter_sent") else 0.0
            labels = f'{collector},{part}="{"otlp" if part == "receiver" else "prometheus"}"'
            yield self._count(f"otelcol_{kind}_metric_points_total", labels, moved)
        yield f'otelcol_exporter_queue_size{{{collector},exporter="otlp_http"}} 3'
        yield f'otelcol_exporter_queue_capacity{{{collector},exporter="otlp_http"}} 1000'
        for pod in ("fraud-3-0", "digits-1-0"):
            of = f'namespace="demo",pod="{pod}",container="model",job="kube-state-metrics",instance="ksm"'
            restarts = 1 if pod == "digits-1-0" and now - self.started_s > _RESTART_S else 0
            yield f"kube_pod_container_status_restarts_total{{{of}}} {restarts}"


@contextmanager
def serving(fleet: Fleet, port: int = 0) -> Iterator[int]:
    """Serve /metrics until the block ends; gives the port. `/wrong/NAME` and `/right/NAME` switch faults by hand."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, verb, *name = self.path.split("/")
            if verb == "wrong":
                fleet.wrong.update(name)
            elif verb == "right":
                fleet.wrong.difference_update(name)
            body = fleet.page().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    with serving(Fleet(), 9499) as listening:
        print(f"http://127.0.0.1:{listening}/metrics")
        threading.Event().wait()
