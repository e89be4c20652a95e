"""Families as bytes of OTLP's protobuf messages, written directly: a label set is encoded once, its numbers each time.

Everything of a data point that changes has a fixed width, so one ``pack`` writes it. That spares an export nearly all
objects, and recording threads the garbage collections that come with them. The result parses to exactly what the
standard encoder makes of the same families. Field numbers: opentelemetry/proto/metrics/v1/metrics.proto. Knows nothing
of where the numbers come from, nor of how bytes leave the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics

from infermeter import guard
from infermeter.catalog import Metric
from infermeter.export.points import SCOPE, Outgoing
from infermeter.export.resource import resource_of_host
from infermeter.families import HistogramHead, Labels, Point
from infermeter.version import __version__

_INT, _DOUBLE = Struct("<q"), Struct("<d")
_FIXED64 = Struct("<Q")
# Tags: number of a field and how it is encoded.
_START, _TIME = b"\x11", b"\x19"
_AS_INT, _AS_DOUBLE = b"\x31", b"\x21"
_COUNT, _SUM, _BUCKETS, _BOUNDS = b"\x21", 0x29, b"\x32", b"\x3a"
_NUMBER_ATTRIBUTE, _HISTOGRAM_ATTRIBUTE = b"\x3a", b"\x4a"
_DATA = {"gauge": b"\x2a", "counter": b"\x3a", "histogram": b"\x4a"}
_DELTA, _CUMULATIVE, _MONOTONIC = b"\x10\x01", b"\x10\x02", b"\x18\x01"
_WIDTH_OF_NUMBER = 18  # time and value, each with its tag


def request_of(data: MetricsData, leaving: Outgoing) -> bytes:
    """Return an ExportMetricsServiceRequest: what OpenTelemetry collected, with our families in our scope.

    Args:
        data: What OpenTelemetry collected; not empty.
        leaving: What we counted.
    """
    chunks: list[bytes] = []  # joined once: each copy of megabytes costs as much as a thousand label sets
    ours = _metrics(leaving.of_process, leaving.now_ns)
    for resource in encode_metrics(data).resource_metrics:
        chunks += _resource(resource, ours)
        ours = []  # with the first one only
    if leaving.of_host:
        host = MetricsData([ResourceMetrics(resource_of_host(data.resource_metrics[0].resource), [], "")])
        (resource,) = encode_metrics(host).resource_metrics
        chunks += _resource(resource, _metrics(leaving.of_host, leaving.now_ns))
    return b"".join(chunks)


def _resource(resource: metrics_pb2.ResourceMetrics, ours: list[bytes]) -> list[bytes]:
    """Return one resource as a field of the request, with our metrics in our scope."""
    bare = metrics_pb2.ResourceMetrics(resource=resource.resource, schema_url=resource.schema_url)
    chunks = [bare.SerializeToString()]
    for metrics in resource.scope_metrics:
        body = [metrics.SerializeToString()]
        if ours and metrics.scope.name == SCOPE:
            body, ours = [*body, *ours], []  # a repeated field goes on wherever it stands
        chunks += _field_of(b"\x12", body)
    if ours:
        scope = _field(b"\x0a", SCOPE.encode()) + _field(b"\x12", __version__.encode())
        chunks += _field_of(b"\x12", [_field(b"\x0a", scope), *ours])
    return _field_of(b"\x0a", chunks)


def _metrics(families: Iterable[tuple[Metric, list[Point], bool]], now_ns: int) -> list[bytes]:
    """Return each family as a field of our scope; one that cannot be encoded does not take the others with it."""
    chunks: list[bytes] = []
    for metric, points, is_delta in families:
        with guard.guard("encode"):
            if metric.kind == "histogram":
                body = [_histograms(points, now_ns), _CUMULATIVE]
            elif metric.kind == "counter":
                total = _numbers(points, now_ns, since_start=True)
                body = [total, _DELTA if is_delta else _CUMULATIVE, _MONOTONIC]
            else:
                body = [_numbers(points, now_ns, since_start=False)]
            chunks += _field_of(b"\x12", [_head_of(metric), *_field_of(_DATA[metric.kind], body)])
    return chunks


def _numbers(points: list[Point], now_ns: int, *, since_start: bool) -> bytes:
    now = _TIME + _FIXED64.pack(now_ns)
    int_at, double_at = now + _AS_INT, now + _AS_DOUBLE
    pack_int, pack_double = _INT.pack, _DOUBLE.pack
    parts: list[bytes] = []
    for labels, start_ns, value, _, _ in _rows(points):
        since_ns = start_ns if since_start else 0
        try:
            known_since_ns, head = labels.as_number
        except AttributeError:
            known_since_ns, head = -1, b""
        if known_since_ns != since_ns:
            head = _head_of_number(labels, since_ns)
        parts += (head, int_at, pack_int(value)) if type(value) is int else (head, double_at, pack_double(value))
    return b"".join(parts)


def _histograms(points: list[Point], now_ns: int) -> bytes:
    at = _TIME + _FIXED64.pack(now_ns) + _COUNT
    parts: list[bytes] = []
    known: HistogramHead | None
    for labels, start_ns, value, counts, bounds in _rows(points):
        try:
            known = labels.as_histogram
        except AttributeError:
            known = None
        if known is None or known[0] != start_ns or known[1] is not bounds:
            known = _head_of_histogram(labels, start_ns, bounds)
        _, _, head, pack, width = known
        parts += (head, at, pack(sum(counts), _SUM, value, width, *counts))
    return b"".join(parts)


def _rows(points: list[Point]) -> Iterable[tuple[Any, int, float, tuple[int, ...], tuple[float, ...]]]:
    """Return points whose labels may or may not remember what was made of them."""
    return points


def _head_of_number(labels: Mapping[str, str], since_ns: int) -> bytes:
    """Return what a number begins with; 0 leaves out since when it is counted."""
    fixed = _START + _FIXED64.pack(since_ns) if since_ns else b""
    fixed += _attributes(_NUMBER_ATTRIBUTE, labels)
    head = b"\x0a" + _varint(len(fixed) + _WIDTH_OF_NUMBER) + fixed
    if isinstance(labels, Labels):
        labels.as_number = since_ns, head
    return head


def _head_of_histogram(labels: Mapping[str, str], start_ns: int, bounds: tuple[float, ...]) -> HistogramHead:
    """Return start, bounds, what a histogram begins with, what packs the rest, and the width of its counts."""
    buckets = len(bounds) + 1
    width = _BUCKETS + _varint(8 * buckets)
    fixed = _START + _FIXED64.pack(start_ns) + _attributes(_HISTOGRAM_ATTRIBUTE, labels)
    fixed += _field(_BOUNDS, Struct(f"<{len(bounds)}d").pack(*bounds))
    rest = Struct(f"<QBd{len(width)}s{buckets}Q")
    head = b"\x0a" + _varint(len(fixed) + 10 + rest.size) + fixed  # 10: the time, and the tag of the count
    known = (start_ns, bounds, head, rest.pack, width)
    if isinstance(labels, Labels):
        labels.as_histogram = known
    return known


def _head_of(metric: Metric) -> bytes:
    head = _field(b"\x0a", metric.name.encode())
    head += _field(b"\x12", metric.help.encode()) if metric.help else b""
    return head + (_field(b"\x1a", metric.unit.encode()) if metric.unit else b"")


def _attributes(tag: bytes, labels: Mapping[str, str]) -> bytes:
    """Return labels as KeyValue messages."""
    parts: list[bytes] = []
    for name, value in labels.items():
        text = _field(b"\x12", _field(b"\x0a", value.encode("utf-8", "replace")))
        parts.append(_field(tag, _field(b"\x0a", name.encode()) + text))
    return b"".join(parts)


def _field(tag: bytes, body: bytes) -> bytes:
    """Return a field whose length goes before it."""
    return tag + _varint(len(body)) + body


def _field_of(tag: bytes, chunks: list[bytes]) -> list[bytes]:
    """Return a field that consists of chunks, as chunks."""
    return [tag + _varint(sum(map(len, chunks))), *chunks]


def _varint(number: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
