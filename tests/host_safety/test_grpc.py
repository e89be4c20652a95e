"""OTLP over gRPC: the same deliveries, bounds and silence as over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as messages
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as services
from tests.otlp_sink import Received

import infermeter

REQUESTS = "model_inference_requests_total"
fraud = infermeter.instrument_inference("fraud", version="3")


class GrpcSink(services.MetricsServiceServicer):
    """A receiver with the message size limit that receivers have by default."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.metadata: dict[str, Any] = {}
        self.refuse: grpc.StatusCode | None = None
        self._server = grpc.server(ThreadPoolExecutor(2))
        services.add_MetricsServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802  gRPC's name
        self.metadata = dict(context.invocation_metadata())
        if self.refuse is not None:
            context.abort(self.refuse, "refused")
        self.received.append(Received({}, request))
        return messages.ExportMetricsServiceResponse()

    def total(self, name: str, **labels: str) -> float:
        return self.received[-1].value(name, **labels) or 0

    def close(self) -> None:
        self._server.stop(0).wait()


@pytest.fixture
def grpc_sink() -> Iterator[GrpcSink]:
    sink = GrpcSink()
    yield sink
    infermeter.shutdown(1)
    sink.close()


def connect(port: int, **settings: Any) -> infermeter.Telemetry:
    return infermeter.configure(
        endpoint=f"http://127.0.0.1:{port}", protocol="grpc", export_interval_s=3600, handle_sigterm=False, **settings
    )


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_everything_arrives_with_its_headers(compression: str, grpc_sink: GrpcSink) -> None:
    connect(grpc_sink.port, headers={"authorization": "Bearer token"}, compression=compression)
    fraud.record(0.1, confidence=0.5)

    assert infermeter.shutdown()
    assert grpc_sink.total(REQUESTS, status="success") == 1
    assert grpc_sink.total("model_prediction_confidence") == 1
    assert grpc_sink.metadata["authorization"] == "Bearer token"


def test_more_than_one_message_may_hold_arrives_in_parts(grpc_sink: GrpcSink) -> None:
    connect(grpc_sink.port, series_limit=100_000)
    for i in range(6000):
        infermeter.instrument_inference(f"model-{i}-" + "x" * 100, version="1").record(0.1)

    assert infermeter.force_flush(30)
    parts = [part for part in grpc_sink.received if part.value(REQUESTS)]
    assert len(parts) > 1
    assert max(part.message.ByteSize() for part in parts) < 4 * 2**20
    assert sum(part.value(REQUESTS) or 0 for part in grpc_sink.received) == 6000


def test_a_refusal_is_counted_and_logged_once(grpc_sink: GrpcSink, caplog: pytest.LogCaptureFixture) -> None:
    grpc_sink.refuse = grpc.StatusCode.UNAUTHENTICATED
    telemetry = connect(grpc_sink.port)
    for _ in range(3):
        assert infermeter.force_flush() is False

    assert telemetry.deliveries.outcomes["failure"] >= 3
    (line,) = [record.getMessage() for record in caplog.records]
    assert "fails (gRPC UNAUTHENTICATED)" in line
    grpc_sink.refuse = None
    assert infermeter.force_flush()


def test_nobody_listening_is_bounded_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    connect(9, export_timeout_s=0.3)
    fraud.record(0.1)
    started_s = time.perf_counter()

    assert infermeter.force_flush(2) is False
    assert infermeter.force_flush(0.1) is False
    assert infermeter.shutdown(2) is False
    assert time.perf_counter() - started_s < 9, "2 s, 0.1 s and 2 s; without bounds each would take 10 s"
    assert len(caplog.records) == 1
