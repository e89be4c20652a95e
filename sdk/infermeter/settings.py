"""What can be set, where each value comes from, and what is allowed: argument, then environment, then default.

OpenTelemetry's own variables are used wherever they exist; ``INFERMETER_*`` only for what it has no name for. Knows
nothing of what the values are used for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar, cast

from infermeter.catalog import LATENCY
from infermeter.errors import ConfigError
from infermeter.models import checked_bounds

T = TypeVar("T")

EXPORTERS = ("otlp", "prometheus", "console", "none")
PROTOCOLS = ("http/protobuf", "grpc")
RECORDERS = ("cells", "otel")
COMPRESSIONS = ("none", "gzip")
METRICS_PATH = "/v1/metrics"


class Settings(NamedTuple):
    """All settings of one configuration, immutable. Fields left at None take the environment's value or the default."""

    service_name: str | None = None
    """OTEL_SERVICE_NAME. Name of the service, the label ``job`` in Prometheus."""
    exporter: str | None = None
    """OTEL_METRICS_EXPORTER. One or more of otlp, prometheus, console, none, comma separated. Default otlp."""
    endpoint: str | None = None
    """OTEL_EXPORTER_OTLP_METRICS_ENDPOINT (whole URL) or OTEL_EXPORTER_OTLP_ENDPOINT (base URL, as the argument)."""
    protocol: str | None = None
    """OTEL_EXPORTER_OTLP_METRICS_PROTOCOL or OTEL_EXPORTER_OTLP_PROTOCOL. http/protobuf (default) or grpc."""
    headers: Mapping[str, str] | None = None
    """OTEL_EXPORTER_OTLP_HEADERS (read by the exporter). Sent with each export, for example a bearer token."""
    compression: str | None = None
    """OTEL_EXPORTER_OTLP_METRICS_COMPRESSION or OTEL_EXPORTER_OTLP_COMPRESSION. none (default) or gzip."""
    export_interval_s: float | None = None
    """OTEL_METRIC_EXPORT_INTERVAL in milliseconds. Seconds between exports, default 15 as Prometheus scrapes."""
    export_timeout_s: float | None = None
    """OTEL_EXPORTER_OTLP_METRICS_TIMEOUT or OTEL_EXPORTER_OTLP_TIMEOUT in seconds. Bound of one export, default 3."""
    prometheus_host: str | None = None
    """OTEL_EXPORTER_PROMETHEUS_HOST. Address that serves /metrics, default localhost."""
    prometheus_port: int | None = None
    """OTEL_EXPORTER_PROMETHEUS_PORT. Port that serves /metrics, default 9464; 0 takes a free one."""
    resource_attributes: Mapping[str, str] | None = None
    """OTEL_RESOURCE_ATTRIBUTES (merged, the argument wins). k8s.namespace.name, k8s.pod.name and the like."""
    recorder: str | None = None
    """INFERMETER_RECORDER. cells (default) or otel: plain OpenTelemetry instruments, for Views and foreign readers."""
    latency_bounds_s: tuple[float, ...] | None = None
    """INFERMETER_LATENCY_BOUNDS_S. Bucket bounds of models that declare none, in seconds."""
    series_limit: int | None = None
    """INFERMETER_SERIES_LIMIT. Label sets kept apart per metric name, default 2000."""
    class_limit: int | None = None
    """INFERMETER_CLASS_LIMIT. Predicted classes kept apart per model version, default 50."""
    error_type_limit: int | None = None
    """INFERMETER_ERROR_TYPE_LIMIT. Exception classes kept apart per model version, default 20."""
    handle_sigterm: bool | None = None
    """INFERMETER_HANDLE_SIGTERM. Export once more on SIGTERM where the process left it at its default. Default true."""
    disabled: bool | None = None
    """OTEL_SDK_DISABLED. Record nothing at all. Default false."""


class Resolved(NamedTuple):
    """Settings with every value decided and checked; None only where absent is a value of its own."""

    service_name: str | None
    exporters: tuple[str, ...]
    endpoint: str | None
    protocol: str
    headers: Mapping[str, str] | None
    compression: str
    export_interval_s: float
    export_timeout_s: float
    prometheus_host: str
    prometheus_port: int
    resource_attributes: Mapping[str, str]
    recorder: str
    latency_bounds_s: tuple[float, ...]
    series_limit: int
    class_limit: int
    error_type_limit: int
    handle_sigterm: bool
    disabled: bool


def refuse_other_kinds(settings: object, meter_provider: object) -> None:
    """Raise ``ConfigError`` for arguments of ``configure()`` that are another kind of thing; None is always allowed."""
    if settings is not None and not isinstance(settings, Settings):
        raise ConfigError(f"settings must be a Settings, got {settings!r}")
    if meter_provider is not None and not hasattr(meter_provider, "get_meter"):
        raise ConfigError(f"meter_provider must be a MeterProvider of OpenTelemetry, got {meter_provider!r}")


def resolve(given: Settings, environ: Mapping[str, str] | None = None) -> Resolved:
    """Decide every setting: argument, else environment, else default.

    Raises:
        ConfigError: A value is not allowed; names the variable, the argument, the value and what is allowed.
    """
    env = _Environment(os.environ if environ is None else environ)
    protocol_vars = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    compression_vars = ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")
    timeout_vars = ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    protocol = env.pick("protocol", given.protocol, protocol_vars, _one_of(PROTOCOLS), "http/protobuf")
    return Resolved(
        service_name=env.pick("service_name", given.service_name, ("OTEL_SERVICE_NAME",), _text, None),
        exporters=env.pick("exporter", given.exporter, ("OTEL_METRICS_EXPORTER",), _exporters, ("otlp",)),
        endpoint=_endpoint(env, given, protocol),
        protocol=protocol,
        headers=_headers(given.headers),
        compression=env.pick("compression", given.compression, compression_vars, _one_of(COMPRESSIONS), "none"),
        export_interval_s=_interval_s(env, given),
        export_timeout_s=env.pick("export_timeout_s", given.export_timeout_s, timeout_vars, _seconds(60.0), 3.0),
        prometheus_host=env.pick(
            "prometheus_host", given.prometheus_host, ("OTEL_EXPORTER_PROMETHEUS_HOST",), _text, "localhost"
        ),
        prometheus_port=env.pick(
            "prometheus_port", given.prometheus_port, ("OTEL_EXPORTER_PROMETHEUS_PORT",), _whole(0, 65535), 9464
        ),
        resource_attributes=env.parsed(
            "OTEL_RESOURCE_ATTRIBUTES", "resource_attributes", given.resource_attributes or {}, _attributes
        ),
        recorder=env.pick("recorder", given.recorder, ("INFERMETER_RECORDER",), _one_of(RECORDERS), "cells"),
        latency_bounds_s=_bounds(env, given),
        series_limit=env.pick(
            "series_limit", given.series_limit, ("INFERMETER_SERIES_LIMIT",), _whole(1, 1_000_000), 2000
        ),
        class_limit=env.pick("class_limit", given.class_limit, ("INFERMETER_CLASS_LIMIT",), _whole(1, 10_000), 50),
        error_type_limit=env.pick(
            "error_type_limit", given.error_type_limit, ("INFERMETER_ERROR_TYPE_LIMIT",), _whole(1, 10_000), 20
        ),
        handle_sigterm=env.pick("handle_sigterm", given.handle_sigterm, ("INFERMETER_HANDLE_SIGTERM",), _flag, True),
        disabled=env.pick("disabled", given.disabled, ("OTEL_SDK_DISABLED",), _flag, False),
    )


class _RejectedError(Exception):
    """A parser refuses a value; its text says what is allowed."""


class _Environment:
    """Looks a setting up and puts both of its names into the error."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def read(self, names: tuple[str, ...]) -> tuple[str, str] | None:
        """Return the first variable that is set to something, with its value; empty counts as not set."""
        for name in names:
            value = self._variables.get(name, "").strip()
            if value:
                return name, value
        return None

    def pick(self, argument: str, given: object, names: tuple[str, ...], parse: Callable[[object], T], default: T) -> T:
        """Return the argument, else the environment's value, else the default, parsed and checked."""
        if given is not None:
            return self.parsed(names[0], argument, given, parse)
        found = self.read(names)
        return default if found is None else self.parsed(found[0], argument, found[1], parse)

    def parsed(self, name: str, argument: str, value: object, parse: Callable[[object], T]) -> T:
        try:
            return parse(value)
        except _RejectedError as allowed:
            raise ConfigError(f"{name} / {argument} must be {allowed}, got {value!r}") from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _RejectedError("a text of at least one character")
    return value.strip()


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("true", "1", "yes", "on"):
        return True
    if word in ("false", "0", "no", "off"):
        return False
    raise _RejectedError("true or false")


def _one_of(allowed: tuple[str, ...]) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in allowed:
            raise _RejectedError(f"one of {', '.join(allowed)}")
        return str(value)

    return parse


def _whole(least: int, most: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise _RejectedError(f"a whole number from {least} to {most}")
        return number

    return parse


def _seconds(most: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        number = _number(value)
        if number is None or not 0 < number <= most:
            raise _RejectedError(f"a number of seconds above 0 and at most {most:g}")
        return number

    return parse


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _attributes(value: object) -> dict[str, str]:
    attributes: dict[object, object] = dict(cast("Mapping[object, object]", value)) if _is_mapping(value) else {None: 0}
    if not all(isinstance(k, str) and isinstance(v, (str, int, float)) for k, v in attributes.items()):
        raise _RejectedError("a mapping of names to texts")
    return cast("dict[str, str]", attributes)


def _headers(headers: object) -> dict[str, str] | None:
    """Return headers that can be sent; what they hold may be secret, so an error shows no value."""
    if headers is None:
        return None
    allowed = "OTEL_EXPORTER_OTLP_HEADERS / headers must be a mapping of names to texts without line breaks"
    if not _is_mapping(headers):
        raise ConfigError(f"{allowed}, got a value of type {type(headers).__name__}")
    checked = dict(cast("Mapping[object, object]", headers))
    for name, value in checked.items():
        if not all(isinstance(part, str) and not {"\r", "\n"} & set(part) for part in (name, value)):
            raise ConfigError(f"{allowed}, got something else for {name!r}")
    return cast("dict[str, str]", checked)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _exporters(value: object) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in value.split(","))) if isinstance(value, str) else ()
    if not names or any(name not in EXPORTERS for name in names) or ("none" in names and len(names) > 1):
        raise _RejectedError(f"one or more of {', '.join(EXPORTERS)}, separated by commas")
    return names


def _interval_s(env: _Environment, given: Settings) -> float:
    names = ("OTEL_METRIC_EXPORT_INTERVAL",)
    if given.export_interval_s is not None:
        return env.parsed(names[0], "export_interval_s", given.export_interval_s, _seconds(3600.0))

    def milliseconds(value: object) -> float:
        number = _number(value)
        if number is None or not 0 < number <= 3_600_000:
            raise _RejectedError("a number of milliseconds above 0 and at most 3600000")
        return number / 1000

    return env.pick("export_interval_s", None, names, milliseconds, 15.0)


def _bounds(env: _Environment, given: Settings) -> tuple[float, ...]:
    if given.latency_bounds_s is not None:
        return checked_bounds(given.latency_bounds_s)
    found = env.read(("INFERMETER_LATENCY_BOUNDS_S",))
    if found is None:
        return LATENCY.bounds
    try:
        bounds = [float(part) for part in found[1].split(",")]
    except ValueError:
        raise ConfigError(
            "INFERMETER_LATENCY_BOUNDS_S / latency_bounds_s must be ascending numbers of seconds above 0, "
            f"such as 0.1,0.5,1, got {found[1]!r}"
        ) from None
    return checked_bounds(bounds)


def _endpoint(env: _Environment, given: Settings, protocol: str) -> str | None:
    """Return the URL as it will be used, or None for the exporter's own default.

    The argument and OTEL_EXPORTER_OTLP_ENDPOINT are base URLs, to which OTLP/HTTP adds its path; the metrics variable
    is used as it is. gRPC also knows addresses without a scheme.
    """
    whole, base = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    address = _address if protocol == "grpc" else _url
    found = env.read((whole, base))
    if given.endpoint is not None:
        found = (base, given.endpoint)
    if found is None:
        return None
    url = env.parsed(found[0], "endpoint", found[1], address)
    if protocol == "grpc" or found[0] == whole or url.endswith(METRICS_PATH):
        return url
    return url.rstrip("/") + METRICS_PATH


def _url(value: object) -> str:
    from urllib.parse import urlsplit

    allowed = "a URL such as http://localhost:4318"
    if not isinstance(value, str):
        raise _RejectedError(allowed)
    text = value.strip()
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise _RejectedError(allowed)
    return text


def _address(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if "://" in text:
        return _url(text)
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise _RejectedError("an address such as http://localhost:4317, or collector:4317 for TLS")
    return text
