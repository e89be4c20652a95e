"""A /metrics endpoint through opentelemetry-exporter-prometheus, with the series the collector would show."""

from __future__ import annotations

import gzip
import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource

from infermeter.addresses import in_url
from infermeter.catalog import Metric
from infermeter.errors import ConfigError, MissingExtraError
from infermeter.export.points import Families, outgoing, with_families
from infermeter.export.readers import with_labels
from infermeter.export.resource import promoted_labels
from infermeter.families import Point

try:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app, start_http_server  # pyright: ignore[reportUnknownVariableType]  # it has no types

    from infermeter.export.text import page_of
except ImportError:
    raise MissingExtraError(
        "the Prometheus endpoint (OTEL_METRICS_EXPORTER / exporter = prometheus)", "prometheus"
    ) from None


_END = b"# EOF\n"


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
        self._rest: Callable[..., Iterable[bytes]] = cast("Any", make_wsgi_app)(self.registry)
        self._one_at_a_time = threading.Lock()
        self._set_aside: list[tuple[Metric, list[Point], bool]] | None = None
        self._common: Mapping[str, str] = {}

    def page(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status, headers and body of the answer to a plain GET.

        What prometheus_client would take half a second for, with 10,000 label sets, is written by ourselves.
        """
        said: list[tuple[str, list[tuple[str, str]]]] = []

        def answered(status: str, headers: list[tuple[str, str]]) -> None:
            said.append((status, headers))

        asked = {name: value for name, value in environ.items() if name != "HTTP_ACCEPT_ENCODING"}
        with self._one_at_a_time:  # the collector of OpenTelemetry is not made for two scrapes at once
            self._set_aside = []
            try:
                body = b"".join(self._rest(asked, answered))
                ours, common = self._set_aside, self._common
            finally:
                self._set_aside = None
        (status, headers) = said[0]
        open_metrics = dict(headers).get("Content-Type", "").startswith("application/openmetrics-text")
        body = body.removesuffix(_END) + page_of(ours, common, open_metrics=open_metrics)
        body += _END if open_metrics else b""
        if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            # The lowest level: a tenth of the highest one's time, for a few per cent more bytes.
            body, headers = gzip.compress(body, compresslevel=1), [*headers, ("Content-Encoding", "gzip")]
        return status, headers, body

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> None:
        leaving = outgoing(self._families())
        if self._set_aside is not None:
            self._set_aside += leaving.of_process
            leaving.of_process.clear()
        data = with_families(metrics_data, leaving)
        if data.resource_metrics:
            common = promoted_labels(data.resource_metrics[0].resource)
            if common != self._common:
                self._common = common
            data = with_labels(data, common)
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

    by_prometheus_client = cast("Callable[..., Iterable[bytes]]", server.get_app())

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        is_plain = environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] != "/favicon.ico"
        if not is_plain or environ.get("QUERY_STRING"):  # a choice of names, for example
            return by_prometheus_client(environ, start_response)
        status, headers, body = reader.page(environ)
        start_response(status, headers)
        return [body]

    server.set_app(app)

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return f"http://{in_url(host)}:{server.server_port}/metrics", close


def _for_target_info(resource: Resource) -> Resource:
    """Return what goes into target_info: the collector leaves out what became the labels job and instance."""
    left_out = ("service.name", "service.namespace", "service.instance.id")
    return Resource({key: value for key, value in resource.attributes.items() if key not in left_out})
