"""What the real collector does to what arrives: refuses what is broken, keeps names, and adds the right labels."""

from __future__ import annotations

import gzip
import re
import uuid

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from tests.pipeline.conftest import StartStack
from tests.pipeline.live_stack import LiveStack, eventually
from tests.pipeline.otlp_payloads import Kind, metric, request, resource

pytestmark = pytest.mark.pipeline

MODEL = {"model_name": "fraud", "model_version": "3"}
# The names of the design as an SDK sends them: what Prometheus shows must be the same, unit or not.
NAMES: list[tuple[str, Kind, str]] = [
    ("model_inference_latency_seconds", "histogram", "s"),
    ("model_inference_requests_total", "counter", "{request}"),
    ("model_inference_exceptions_total", "counter", "{exception}"),
    ("model_inference_in_flight", "gauge", "{request}"),
    ("model_inference_sla_seconds", "gauge", "s"),
    ("model_info", "gauge", ""),
    ("model_prediction_confidence", "histogram", ""),
    ("model_inference_queue_depth", "gauge", "{request}"),
    ("model_inference_batch_size", "histogram", "{input}"),
    ("model_tokens_total", "counter", "{token}"),
    ("model_feature_values_total", "counter", "{value}"),
    ("model_feature_reference_ratio", "gauge", ""),
    ("pipeline_last_success_timestamp_seconds", "gauge", "s"),
    ("DCGM_FI_DEV_GPU_UTIL", "gauge", ""),
    ("infermeter_dropped_total", "counter", "{measurement}"),
]


def new_service(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


def names_in(stack: LiveStack, service: str) -> set[str]:
    rows = stack.query(f'{{job="{service}"}}')
    return {re.sub(r"_(bucket|sum|count)$", "", labels["__name__"]) for labels, _ in rows} - {"target_info"}


def send_ok(stack: LiveStack, attributes: dict[str, str | int], *metrics: Metric) -> None:
    assert stack.send(request(attributes, *metrics)) == 200


class TestBrokenInput:
    @pytest.mark.parametrize("body", [b"not protobuf at all", b"\x0a\xff\xff\xff\x7f", b"\xff" * 1000])
    def test_a_malformed_body_is_refused_with_400(self, live_stack: LiveStack, body: bytes) -> None:
        assert live_stack.send_bytes(body) == 400

    def test_malformed_compression_is_refused_with_400(self, live_stack: LiveStack) -> None:
        assert live_stack.send_bytes(b"not gzip", headers={"Content-Encoding": "gzip"}) == 400

    @pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip bomb"])
    def test_a_30_megabyte_body_is_refused_and_memory_stays_flat(
        self, live_stack: LiveStack, *, compressed: bool
    ) -> None:
        # Valid but for its size, so that nothing but the limit refuses it.
        huge = metric("model_info", "gauge", 1, {"model_name": "x" * 30_000_000})
        body = request(dict(resource(service__name="huge")), huge).SerializeToString()
        headers = {"Content-Encoding": "gzip"} if compressed else {}
        payload = gzip.compress(body) if compressed else body
        statuses = [live_stack.send_bytes(payload, headers=headers) for _ in range(25)]
        assert all(400 <= status < 500 for status in statuses), statuses
        # 750 MB were sent. Measured: 75 to 140 MB, the same after 25 as after 60 of them.
        assert live_stack.rss_bytes("collector") < 250_000_000

    def test_it_goes_on_working_after_broken_input(self, live_stack: LiveStack) -> None:
        live_stack.send_bytes(b"broken")
        send_ok(live_stack, dict(resource(service__name=new_service("after"))), metric("model_info", "gauge", 1, MODEL))


class TestNames:
    def test_names_arrive_unchanged(self, live_stack: LiveStack) -> None:
        service = new_service("names")
        metrics = [metric(name, kind, 1, MODEL, unit=unit) for name, kind, unit in NAMES]
        send_ok(live_stack, dict(resource(service__name=service, service__instance__id="i1")), *metrics)
        wanted = {name for name, _, _ in NAMES}
        eventually("all names in Prometheus", lambda: names_in(live_stack, service) == wanted)

    @pytest.mark.parametrize(
        ("kind", "unit"), [("gauge", "%"), ("gauge", "MiBy"), ("counter", ""), ("counter", "mJ"), ("gauge", "1")]
    )
    def test_gpu_names_stay_whatever_unit_or_kind_a_producer_chose(
        self, live_stack: LiveStack, kind: Kind, unit: str
    ) -> None:
        service = new_service("gpu")
        send_ok(
            live_stack,
            dict(resource(service__name=service)),
            metric("DCGM_FI_DEV_FB_USED", kind, 7, {"gpu": "0", "UUID": "GPU-1"}, unit=unit),
        )
        eventually("the GPU series", lambda: names_in(live_stack, service) == {"DCGM_FI_DEV_FB_USED"})


class TestLabels:
    def test_a_series_has_the_services_identity_and_nothing_else(self, live_stack: LiveStack) -> None:
        service = new_service("identity")
        attributes = resource(
            service__name=service,
            service__instance__id="i1",
            k8s__namespace__name="shop",
            deployment__environment__name="staging",
            k8s__pod__name="pod-7",
            host__name="node-1",
            process__pid=12,
            telemetry__sdk__version="1.45",
        )
        status = {**MODEL, "status": "success"}
        send_ok(live_stack, dict(attributes), metric("model_inference_requests_total", "counter", 5, status))
        rows = eventually("the series", lambda: live_stack.query(f'model_inference_requests_total{{job="{service}"}}'))
        assert rows == [
            (
                {
                    "__name__": "model_inference_requests_total",
                    **status,
                    "job": service,
                    "instance": "i1",
                    "namespace": "shop",
                    "pod": "pod-7",
                    "host_name": "node-1",
                },
                5.0,
            )
        ]

    def test_the_environment_is_the_namespace_where_there_is_no_kubernetes(self, live_stack: LiveStack) -> None:
        service = new_service("environment")
        attributes = resource(service__name=service, deployment__environment__name="staging")
        send_ok(live_stack, dict(attributes), metric("model_info", "gauge", 1, MODEL))
        rows = eventually("the series", lambda: live_stack.query(f'model_info{{job="{service}"}}'))
        assert rows[0][0]["namespace"] == "staging"
        assert "pod" not in rows[0][0]
        assert "host_name" not in rows[0][0]

    def test_a_label_the_producer_set_wins_over_the_promoted_one(self, live_stack: LiveStack) -> None:
        service = new_service("own")
        attributes = resource(service__name=service, k8s__namespace__name="shop")
        send_ok(live_stack, dict(attributes), metric("model_info", "gauge", 1, {**MODEL, "namespace": "mine"}))
        rows = eventually("the series", lambda: live_stack.query(f'model_info{{job="{service}"}}'))
        assert rows[0][0]["namespace"] == "mine"

    def test_two_processes_without_an_instance_id_do_not_overwrite_each_other(self, live_stack: LiveStack) -> None:
        service = new_service("noid")
        for pid in (11, 12):
            attributes = resource(service__name=service, host__name="node-1", process__pid=pid)
            send_ok(live_stack, dict(attributes), metric("model_info", "gauge", pid, MODEL))
        rows = eventually(
            "both series",
            lambda: len(found := live_stack.query(f'model_info{{job="{service}"}}')) == 2 and found,
        )
        assert {labels["instance"]: value for labels, value in rows} == {"node-1-11": 11, "node-1-12": 12}

    def test_no_scope_and_no_exported_labels_anywhere(self, live_stack: LiveStack) -> None:
        service = new_service("clean")
        send_ok(live_stack, dict(resource(service__name=service)), metric("model_info", "gauge", 1, MODEL))
        rows = eventually("the series", lambda: live_stack.query(f'{{job="{service}"}}'))
        labels = {label for row, _ in rows for label in row}
        assert not [label for label in labels if label.startswith(("otel_scope", "exported_"))]
        assert "otel_scope" not in live_stack.exposition()


class TestRestart:
    def test_totals_go_on_after_a_restart_of_the_collector(self, start_stack: StartStack) -> None:
        stack = start_stack()
        service = new_service("restart")
        attributes = dict(resource(service__name=service, service__instance__id="i1"))
        expr = f'model_inference_requests_total{{job="{service}"}}'
        send_ok(stack, attributes, metric("model_inference_requests_total", "counter", 40, MODEL))
        eventually("the first total", lambda: stack.value(expr) == 40)
        stack.restart("collector")
        send_ok(stack, attributes, metric("model_inference_requests_total", "counter", 100, MODEL))
        eventually("the total after the restart", lambda: stack.value(expr) == 100)
        assert stack.value(f"resets({expr}[5m])") == 0


class TestToken:
    def test_without_the_token_nothing_is_accepted(self, start_stack: StartStack) -> None:
        stack = start_stack(bearer_token="open-sesame")
        body = request(dict(resource(service__name=new_service("auth"))), metric("model_info", "gauge", 1, MODEL))
        assert stack.send(body) == 401
        assert stack.send(body, headers={"Authorization": "Bearer wrong"}) == 401
        assert stack.send(body, headers={"Authorization": "Bearer open-sesame"}) == 200

    def test_grpc_demands_the_token_as_well(self, start_stack: StartStack) -> None:
        stack = start_stack(bearer_token="open-sesame")
        body = request(dict(resource(service__name=new_service("auth"))), metric("model_info", "gauge", 1, MODEL))
        with grpc.insecure_channel(stack.otlp_grpc_url.removeprefix("http://")) as channel:
            export = MetricsServiceStub(channel).Export
            with pytest.raises(grpc.RpcError) as refused:
                export(body, timeout=5)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            export(body, timeout=5, metadata=[("authorization", "Bearer open-sesame")])


class TestSecondProfile:
    def test_pushed_series_are_the_scraped_ones(self, live_stack: LiveStack, start_stack: StartStack) -> None:
        pushing = start_stack(profile="otlp")
        service = new_service("both")
        attributes = resource(
            service__name=service, service__instance__id="i1", k8s__pod__name="p", host__name="h", service__version="2"
        )
        body = request(dict(attributes), *[metric(name, kind, 3, MODEL, unit=unit) for name, kind, unit in NAMES])
        found = []
        for stack in (live_stack, pushing):
            assert stack.send(body) == 200
            eventually("all names", lambda stack=stack: len(names_in(stack, service)) == len(NAMES))
            rows = stack.query(f'{{job="{service}",__name__!="target_info"}}')
            # Prometheus writes le="1.0" on scrape and le="1" on OTLP (reference, section 2.3).
            found.append(
                sorted(
                    (
                        sorted(
                            {**labels, "le": str(float(labels["le"]))}.items() if "le" in labels else labels.items()
                        ),
                        value,
                    )
                    for labels, value in rows
                )
            )
        assert found[0] == found[1]
