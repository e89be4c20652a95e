"""HTTP spans and metrics of an application, by OpenTelemetry's own instrumentation, sent out with ours.

Knows how to lead instruments to the configuration in force; knows nothing of models or inferences.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from opentelemetry.context import Context
from opentelemetry.metrics import (
    Counter,
    Histogram,
    Meter,
    MeterProvider,
    NoOpCounter,
    NoOpHistogram,
    NoOpMeter,
    NoOpUpDownCounter,
    UpDownCounter,
)
from opentelemetry.util.types import Attributes

from infermeter import guard, runtime

I = TypeVar("I")  # noqa: E741  an instrument

SEMCONV = "OTEL_SEMCONV_STABILITY_OPT_IN"


def prefer_stable_names() -> None:
    """Choose the stable HTTP conventions unless the environment has chosen.

    The old ones, still the default, put the client's Host header into labels and round durations to milliseconds.
    """
    os.environ.setdefault(SEMCONV, "http")


class LiveMeterProvider(MeterProvider):
    """Leads synchronous instruments to the provider in force: made before ``configure()``, used after a fork."""

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes | None = None,
    ) -> Meter:
        """Return a meter whose instruments record wherever the live configuration exports from."""
        return _LiveMeter(name, version, schema_url, attributes)


class _LiveMeter(NoOpMeter):
    """Makes instruments that look for their real counterpart when they are used. Observable ones stay without."""

    def __init__(self, name: str, version: str | None, schema_url: str | None, attributes: Attributes | None) -> None:
        super().__init__(name, version, schema_url)
        self._find: Callable[[MeterProvider], Meter] = lambda provider: provider.get_meter(
            name, version, schema_url, attributes
        )

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        return _LiveCounter(_Live(lambda p: self._find(p).create_counter(name, unit, description)), name)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> UpDownCounter:
        return _LiveUpDownCounter(_Live(lambda p: self._find(p).create_up_down_counter(name, unit, description)), name)

    def create_histogram(self, name: str, unit: str = "", description: str = "", **advisory: Any) -> Histogram:
        return _LiveHistogram(
            _Live(lambda p: self._find(p).create_histogram(name, unit, description, **advisory)), name
        )


class _Live(Generic[I]):
    """An instrument of whatever provider is in force."""

    def __init__(self, make: Callable[[MeterProvider], I]) -> None:
        self._make = make
        self._provider: MeterProvider | None = None
        self._instrument: I | None = None

    def get(self) -> I | None:
        telemetry = runtime.live
        if telemetry is None:
            return None
        provider = telemetry.meter_provider
        if provider is not self._provider:
            self._instrument, self._provider = self._make(provider), provider
        return self._instrument


class _LiveCounter(NoOpCounter):
    def __init__(self, live: _Live[Counter], name: str) -> None:
        super().__init__(name)
        self._live = live

    def add(self, amount: float, attributes: Attributes | None = None, context: Context | None = None) -> None:
        with guard.guard("http"):
            instrument = self._live.get()
            if instrument is not None:
                instrument.add(amount, attributes, context)


class _LiveUpDownCounter(NoOpUpDownCounter):
    def __init__(self, live: _Live[UpDownCounter], name: str) -> None:
        super().__init__(name)
        self._live = live

    def add(self, amount: float, attributes: Attributes | None = None, context: Context | None = None) -> None:
        with guard.guard("http"):
            instrument = self._live.get()
            if instrument is not None:
                instrument.add(amount, attributes, context)


class _LiveHistogram(NoOpHistogram):
    def __init__(self, live: _Live[Histogram], name: str) -> None:
        super().__init__(name)
        self._live = live

    def record(self, amount: float, attributes: Attributes | None = None, context: Context | None = None) -> None:
        with guard.guard("http"):
            instrument = self._live.get()
            if instrument is not None:
                instrument.record(amount, attributes, context)
