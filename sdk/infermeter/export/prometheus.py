"""A /metrics endpoint through opentelemetry-exporter-prometheus, with the series the collector would show."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace

from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource

from infermeter.errors import ConfigError, MissingExtraError
from infermeter.export.points import Families, outgoing, with_families
from infermeter.export.readers import with_labels
from infermeter.export.resource import promoted_labels

try:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
except ImportError:
    raise MissingExtraError(
        "the Prometheus endpoint (OTEL_METRICS_EXPORTER / exporter = prometheus)", "prometheus"
    ) from None


class ScrapeReader(PrometheusMetricReader):
    """Renders our families and everything else of its provider when Prometheus asks."""

    def __init__(self, families: Families) -> None:
        self._families = families
        known = inspect.signature(PrometheusMetricReader.__init__).parameters
        if "scope_info_enabled" in known:
            super().__init__(scope_info_enabled=False)
        else:  # before 0.62b0, scope labels did not exist
            super().__init__()
        # A registry of our own: the global one also holds what the application registered there itself.
        REGISTRY.unregister(self._collector)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self._collector)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> None:
        data = with_families(metrics_data, outgoing(self._families()))
        if data.resource_metrics:
            data = with_labels(data, promoted_labels(data.resource_metrics[0].resource))
            data = MetricsData([replace(r, resource=_for_target_info(r.resource)) for r in data.resource_metrics])
        super()._receive_metrics(data, timeout_millis)  # pyright: ignore[reportUnknownMemberType]  # OpenTelemetry leaves its **kwargs without a type

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Take the collector out of our registry."""
        self.registry.unregister(self._collector)


def serve(reader: ScrapeReader, host: str, port: int) -> tuple[str, Callable[[], None]]:
    """Serve /metrics on a thread; returns its URL and the function that closes it.

    Raises:
        ConfigError: The port cannot be had.
    """
    try:
        server, thread = start_http_server(port, host, reader.registry)
    except OSError as error:
        raise ConfigError(
            f"OTEL_EXPORTER_PROMETHEUS_PORT / prometheus_port must be a free port on {host}, got {port} "
            f"({error.strerror or error}); several workers cannot share one: let them push with exporter=otlp, "
            "or give each its own port"
        ) from None

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return f"http://{host}:{server.server_port}/metrics", close


def _for_target_info(resource: Resource) -> Resource:
    """Return what goes into target_info: the collector leaves out what became the labels job and instance."""
    left_out = ("service.name", "service.namespace", "service.instance.id")
    return Resource({key: value for key, value in resource.attributes.items() if key not in left_out})
