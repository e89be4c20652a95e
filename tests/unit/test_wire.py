"""What is sent parses to exactly what OpenTelemetry's own encoder makes of the same families."""

from __future__ import annotations

import random

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData, ResourceMetrics
from opentelemetry.sdk.resources import Resource
from tests.conftest import Errors

from infermeter import catalog
from infermeter.catalog import Metric
from infermeter.export.deltas import Deltas
from infermeter.export.points import outgoing, with_families
from infermeter.export.vanished import ENDED
from infermeter.export.wire import request_of
from infermeter.families import Family, Labels, Point

MANY_BOUNDS = tuple(float(n) for n in range(1, 40))
LABEL_VALUES = ["", "fraud", "ü🦀", "a" * 128, "3", "\x00", "line\nbreak", '"quoted"']


def collected(*scopes: str) -> MetricsData:
    """What OpenTelemetry hands to a reader: a gauge in each scope."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource=Resource({"service.name": "svc", "n": 3}, "https://schema"))
    for scope in scopes:
        provider.get_meter(scope, "1.0").create_gauge("app_gauge").set(1.5, {"a": "b"})
    data = reader.get_metrics_data()
    provider.shutdown()
    return data or MetricsData([ResourceMetrics(Resource({}), [], "")])


def assert_equal_to_the_standard_encoder(data: MetricsData, families: list[Family], deltas: Deltas | None = None):
    leaving = outgoing(families, deltas)
    sent = ExportMetricsServiceRequest.FromString(request_of(data, leaving))

    assert sent == encode_metrics(with_families(data, leaving))
    return sent


class Random:
    """Families that change from one export to the next, as live ones do."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._labels = [(Labels if i % 2 else dict)(self._pairs(i)) for i in range(30)]

    def _pairs(self, i: int) -> dict[str, str]:
        return {f"label_{n}": self._random.choice(LABEL_VALUES) for n in range(self._random.randrange(4))} | {
            "i": str(i)
        }

    def families(self) -> list[Family]:
        return [
            Family(metric, [self._point(metric) for _ in range(self._random.randrange(9))])
            for metric in catalog.CATALOG
        ]

    def _point(self, metric: Metric) -> Point:
        labels, start_ns = self._random.choice(self._labels), self._random.choice([1, 10**18, 2 * 10**18])
        if metric.kind == "histogram":
            bounds = self._random.choice([metric.bounds, MANY_BOUNDS, (0.5,), ()])
            counts = tuple(self._random.randrange(10**12) for _ in range(len(bounds) + 1))
            return Point(labels, start_ns, self._random.random() * 10**6, counts, bounds)
        return Point(labels, start_ns, self._random.choice([0, 1, -5, 2**62, 0.0, 1.5, -1e300, float("inf")]))


@pytest.mark.parametrize("scopes", [(), ("infermeter",), ("other",), ("other", "infermeter", "third")])
@pytest.mark.parametrize("seed", range(4))
def test_random_families_are_encoded_as_by_the_standard_encoder(scopes: tuple[str, ...], seed: int) -> None:
    program, data, deltas = Random(seed), collected(*scopes), Deltas()
    for _ in range(5):
        assert_equal_to_the_standard_encoder(data, program.families(), deltas if seed % 2 else None)


def test_a_label_set_that_goes_on_with_another_start_and_other_bounds_is_encoded_anew() -> None:
    labels, data = Labels(model_name="fraud", model_version="3"), collected("infermeter")
    for start_ns, bounds in [(5, (0.5,)), (5, (0.5,)), (6, (0.5,)), (6, (0.5, 1.0))]:
        counts = tuple(range(len(bounds) + 1))
        latency = Family(catalog.LATENCY, [Point(labels, start_ns, 0.25, counts, bounds)])
        numbers = [Family(metric, [Point(labels, start_ns, 7)]) for metric in (catalog.REQUESTS, catalog.IN_FLIGHT)]
        assert_equal_to_the_standard_encoder(data, [latency, *numbers])


def test_the_marker_of_an_ended_series_arrives_bit_by_bit() -> None:
    leaving = outgoing([Family(catalog.IN_FLIGHT, [Point({"a": "b"}, 1, ENDED)])])
    body = request_of(collected("infermeter"), leaving)

    assert bytes.fromhex("020000000000f07f") in body
    assert len(ExportMetricsServiceRequest.FromString(body).resource_metrics) == 1


def test_a_family_that_cannot_be_encoded_does_not_take_the_others_with_it(swallowed: Errors) -> None:
    broken = Family(catalog.REQUESTS, [Point({"a": "b"}, 1, "a text")])  # type: ignore[arg-type]
    sound = Family(catalog.IN_FLIGHT, [Point({"a": "b"}, 1, 3)])
    body = request_of(collected("infermeter"), outgoing([broken, sound]))

    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    names = [metric.name for scope in resource.scope_metrics for metric in scope.metrics]
    assert names == ["app_gauge", catalog.IN_FLIGHT.name]
    assert [where for where, _ in swallowed] == ["encode"]
