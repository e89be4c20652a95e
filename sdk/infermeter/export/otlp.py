"""OpenTelemetry's OTLP exporters, set up from our settings; gRPC only when its extra is there."""

from __future__ import annotations

import gzip

# Imported by requests only when it sends. A process that forks at that moment leaves its child the module's lock and
# nobody to release it: the child would wait for ever at its first export.
import netrc as _netrc  # noqa: F401  # pyright: ignore[reportUnusedImport]
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExporter

from infermeter import clock
from infermeter.errors import MissingExtraError
from infermeter.export.deadline import CuttableAdapter
from infermeter.export.delivery import Deliveries, TrackedExporter
from infermeter.settings import Resolved

MAX_RETRY_AFTER_S = 300.0


class ObservedSession(requests.Session):
    """A session that remembers how its last request ended, which the exporter does not tell, and that ends in time.

    It can be handed the body that goes out in place of what the exporter has encoded.
    """

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self.timeout_s = timeout_s
        self.kind = ""
        self.retry_after_s = 0.0
        self._body: bytes | None = None
        self._adapter = CuttableAdapter()
        self.mount("http://", self._adapter)
        self.mount("https://", self._adapter)

    def send_instead(self, body: bytes) -> None:
        """Send these bytes with the next requests, whatever their own body."""
        self._body = body

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Keep to the certificate that was configured; requests would prefer that of REQUESTS_CA_BUNDLE."""
        chosen = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, chosen, cert)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send, and note status or error."""
        self.retry_after_s = 0.0
        if self._body is not None:
            is_gzip = request.headers.get("Content-Encoding") == "gzip"
            # The lowest level: a tenth of the highest one's time, for a few per cent more bytes.
            request.body = gzip.compress(self._body, compresslevel=1) if is_gzip else self._body
            request.headers["Content-Length"] = str(len(request.body))
        timeout = kwargs.get("timeout")
        try:
            with self._adapter.within(timeout if isinstance(timeout, (int, float)) else self.timeout_s):
                response = super().send(request, **kwargs)
        except Exception as error:
            self.kind = type(error).__name__
            raise
        self.kind = f"HTTP {response.status_code}"
        if response.status_code in (429, 503):
            self.retry_after_s = _retry_after_s(response.headers.get("Retry-After"))
        return response


def otlp_exporter(settings: Resolved, deliveries: Deliveries) -> tuple[MetricExporter, Callable[[bytes], None] | None]:
    """Return the OTLP exporter of the chosen protocol, and what takes the bytes that it sends instead of its own.

    Raises:
        MissingExtraError: gRPC was chosen and is not installed.
    """
    if settings.protocol == "grpc":
        return _grpc_exporter(settings, deliveries), None
    session = ObservedSession(settings.export_timeout_s)
    exporter = OTLPMetricExporter(
        endpoint=settings.endpoint,
        headers=dict(settings.headers) if settings.headers else None,
        timeout=settings.export_timeout_s,
        compression=Compression.Gzip if settings.compression == "gzip" else Compression.NoCompression,
        session=session,
    )
    tracked = TrackedExporter(exporter, deliveries, settings.endpoint or "http://localhost:4318", session)
    return tracked, session.send_instead


def _grpc_exporter(settings: Resolved, deliveries: Deliveries) -> MetricExporter:
    try:
        import grpc
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
    except ImportError:
        raise MissingExtraError("OTLP over gRPC (OTEL_EXPORTER_OTLP_PROTOCOL / protocol = grpc)", "grpc") from None
    exporter = GrpcExporter(
        endpoint=settings.endpoint,
        headers=dict(settings.headers) if settings.headers else None,
        timeout=settings.export_timeout_s,
        compression=grpc.Compression.Gzip if settings.compression == "gzip" else grpc.Compression.NoCompression,
        max_export_batch_size=5000,  # 4 MiB is what a receiver takes by default
    )
    return TrackedExporter(exporter, deliveries, settings.endpoint or "localhost:4317")


def _retry_after_s(value: str | None) -> float:
    """Return the seconds of a Retry-After header, as a number or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - clock.unix_ns() / 1e9
        except (TypeError, ValueError):
            return 0.0
    return min(seconds, MAX_RETRY_AFTER_S) if seconds > 0 else 0.0  # not a number is no time either
