"""Assembles provider, readers and exporters for one process, from settings.

The provider is private: setting the global one would switch on telemetry of FastAPI that nobody asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Protocol

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricExporter, MetricReader
from opentelemetry.sdk.resources import Resource

from infermeter import catalog, guard
from infermeter.export.delivery import Deliveries, TrackedExporter
from infermeter.export.deltas import Deltas
from infermeter.export.otlp import otlp_exporter
from infermeter.export.points import SCOPE
from infermeter.export.readers import PushReader
from infermeter.export.resource import build_resource, resource_of_child
from infermeter.families import Family
from infermeter.settings import Resolved
from infermeter.version import __version__


class Source(Protocol):
    """What a pipeline needs of those who count."""

    settings: Resolved
    deliveries: Deliveries

    def families(self) -> list[Family]:
        """Return everything as it stands now."""
        ...


class Pipeline:
    """One process's way out: a provider, its readers, and what has to be closed.

    Args:
        source: Whose numbers leave here.
        resource: Who is reporting.
        provider: A provider of the application to attach to; None makes a private one.
    """

    def __init__(self, source: Source, resource: Resource, provider: MeterProvider | None = None) -> None:
        self._source = source
        self._push: list[PushReader] = []
        self._to_close: list[Callable[[], None]] = []
        self.metrics_url: str | None = None
        readers = self._readers(source)
        if provider is not None and _attach(provider, readers):
            self.provider, self._is_ours = provider, False
        else:
            if provider is not None:
                resource = _resource_of(provider, resource)
            self.provider, self._is_ours = MeterProvider(readers, resource=resource, shutdown_on_exit=False), True
        self.resource = resource
        self._closed = False
        self._report_presence()

    def for_child(self, source: Source) -> Pipeline:
        """Return a new pipeline for a forked child: private, with an instance id of its own."""
        return Pipeline(source, resource_of_child(self.resource))

    def export(self) -> bool:
        """Collect and push; True if it arrived wherever it goes, or if nothing is pushed."""
        arrived = True
        for reader in self._push:
            reader.collect(timeout_millis=self._source.settings.export_timeout_s * 1000)
            arrived &= self._source.deliveries.last_succeeded
        return arrived

    def close(self) -> None:
        """Close what is ours; a provider of the application goes on."""
        self._closed = True
        for close in self._to_close:
            with guard.guard("export.shutdown"):
                close()
        if self._is_ours:
            self.provider.shutdown(timeout_millis=1000)
        else:
            for reader in self._push:
                reader.shutdown()  # pyright: ignore[reportUnknownMemberType]  # OpenTelemetry leaves its **kwargs without a type

    def _report_presence(self) -> None:
        """Report ``infermeter_info``: a reader drops a whole collection in which no instrument has a value."""
        labels = {"version": __version__, "recorder": self._source.settings.recorder}

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [] if self._closed else [Observation(1, labels)]

        name, _, unit, text = catalog.SDK_INFO[:4]
        meter = self.provider.get_meter(SCOPE, __version__)
        meter.create_observable_gauge(name, [observe], unit=unit, description=text)

    def _readers(self, source: Source) -> list[MetricReader]:
        readers: list[MetricReader] = []
        for name in source.settings.exporters:
            if name == "prometheus":
                from infermeter.export.prometheus import ScrapeReader, serve

                scrape = ScrapeReader(source.families)
                self.metrics_url, close = serve(
                    scrape, source.settings.prometheus_host, source.settings.prometheus_port
                )
                self._to_close.append(close)
                readers.append(scrape)
            elif name != "none":
                exporter, send_instead = _exporter(name, source)
                push = PushReader(
                    exporter,
                    source.families,
                    lambda: source.deliveries.last_succeeded,
                    Deltas() if name == "otlp" else None,
                    send_instead,
                )
                self._push.append(push)
                readers.append(push)
        return readers


def build(source: Source, provider: MeterProvider | None) -> Pipeline:
    """Return the pipeline of this process."""
    settings = source.settings
    return Pipeline(source, build_resource(settings.service_name, settings.resource_attributes), provider)


def _exporter(name: str, source: Source) -> tuple[MetricExporter, Callable[[bytes], None] | None]:
    if name == "otlp":
        return otlp_exporter(source.settings, source.deliveries)
    # Its default is what stdout was when its module was imported.
    return TrackedExporter(ConsoleMetricExporter(out=sys.stdout), source.deliveries, "the console"), None


def _attach(provider: MeterProvider, readers: list[MetricReader]) -> bool:
    """Attach readers to a provider of the application; False where its version cannot."""
    if not readers:
        return True
    add = getattr(provider, "add_metric_reader", None)  # public since OpenTelemetry 1.43
    if add is None:
        return False
    for reader in readers:
        add(reader)
    return True


def _resource_of(provider: MeterProvider, fallback: Resource) -> Resource:
    """Return the resource of a provider too old to attach to, so that both report as one service."""
    config = getattr(provider, "_sdk_config", None)
    resource = getattr(config, "resource", None)
    return fallback.merge(resource) if isinstance(resource, Resource) else fallback
