"""Every setting: argument, then environment, then default; a wrong value is refused with both names and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

import infermeter
from infermeter import ConfigError, Settings
from infermeter.settings import Resolved, resolve

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

# field, argument and what it becomes, variable, its text and what it becomes, default
WAYS: list[tuple[str, Any, Any, str, str, Any, Any]] = [
    ("service_name", "a", "a", "OTEL_SERVICE_NAME", "b", "b", None),
    (
        "exporter",
        "console",
        ("console",),
        "OTEL_METRICS_EXPORTER",
        "otlp, prometheus",
        ("otlp", "prometheus"),
        ("otlp",),
    ),
    ("protocol", "grpc", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "grpc", "http/protobuf"),
    ("protocol", "grpc", "grpc", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc", "grpc", "http/protobuf"),
    ("compression", "gzip", "gzip", "OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "gzip", "none"),
    ("compression", "gzip", "gzip", "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip", "gzip", "none"),
    ("export_interval_s", 5, 5.0, "OTEL_METRIC_EXPORT_INTERVAL", "2500", 2.5, 15.0),
    ("export_timeout_s", 1, 1.0, "OTEL_EXPORTER_OTLP_TIMEOUT", "2.5", 2.5, 3.0),
    ("export_timeout_s", 1, 1.0, "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "2.5", 2.5, 3.0),
    ("prometheus_host", "::", "::", "OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1", "127.0.0.1", "localhost"),
    ("prometheus_port", 1, 1, "OTEL_EXPORTER_PROMETHEUS_PORT", "0", 0, 9464),
    ("recorder", "otel", "otel", "INFERMETER_RECORDER", "otel", "otel", "cells"),
    ("latency_bounds_s", (1, 2), (1.0, 2.0), "INFERMETER_LATENCY_BOUNDS_S", "0.1, 3", (0.1, 3.0), BOUNDS),
    ("series_limit", 10, 10, "INFERMETER_SERIES_LIMIT", "20", 20, 2000),
    ("class_limit", 10, 10, "INFERMETER_CLASS_LIMIT", "20", 20, 50),
    ("error_type_limit", 10, 10, "INFERMETER_ERROR_TYPE_LIMIT", "30", 30, 20),
    ("handle_sigterm", False, False, "INFERMETER_HANDLE_SIGTERM", "no", False, True),
    ("disabled", True, True, "OTEL_SDK_DISABLED", "TRUE", True, False),
]


def value_of(resolved: Resolved, field: str) -> object:
    return getattr(resolved, {"exporter": "exporters"}.get(field, field))


@pytest.mark.parametrize(("field", "given", "of_argument", "variable", "text", "of_text", "default"), WAYS)
def test_argument_then_environment_then_default(
    field: str, given: Any, of_argument: Any, variable: str, text: str, of_text: Any, default: Any
) -> None:
    argument = Settings(**{field: given})

    assert value_of(resolve(argument, {variable: text}), field) == of_argument
    assert value_of(resolve(Settings(), {variable: f" {text} "}), field) == of_text
    assert value_of(resolve(Settings(), {variable: "  "}), field) == default
    assert value_of(resolve(Settings(), {}), field) == default


def test_every_setting_is_tried_here() -> None:
    tried = {field for field, *_ in WAYS} | {"endpoint", "headers", "resource_attributes"}

    assert tried == set(Settings._fields)


@pytest.mark.parametrize(
    ("metrics", "general", "given", "url"),
    [
        (None, None, None, None),
        (None, "http://base:4318", None, "http://base:4318/v1/metrics"),
        (None, "http://base:4318/", None, "http://base:4318/v1/metrics"),
        (None, "https://base/otlp", None, "https://base/otlp/v1/metrics"),
        ("http://whole:1/custom", "http://base:4318", None, "http://whole:1/custom"),
        ("http://whole:1/custom", None, "http://mine:2", "http://mine:2/v1/metrics"),
        (None, None, "http://mine:2/v1/metrics", "http://mine:2/v1/metrics"),
        (None, None, "http://[::1]:4318", "http://[::1]:4318/v1/metrics"),
    ],
)
def test_endpoints_are_base_urls_except_the_metrics_variable(
    metrics: str | None, general: str | None, given: str | None, url: str | None
) -> None:
    environ = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": metrics or "", "OTEL_EXPORTER_OTLP_ENDPOINT": general or ""}

    assert resolve(Settings(endpoint=given), environ).endpoint == url


def test_grpc_takes_addresses_as_they_are() -> None:
    for endpoint in ("localhost:4317", "http://localhost:4317"):
        assert resolve(Settings(endpoint=endpoint, protocol="grpc"), {}).endpoint == endpoint


NOT_NUMBERS: list[object] = ["many", float("nan"), float("inf"), -1, 0, True, [1], "1e999"]
WRONG: list[tuple[str, str, object]] = [
    *[("export_interval_s", "OTEL_METRIC_EXPORT_INTERVAL", value) for value in [*NOT_NUMBERS, 3601]],
    *[("export_timeout_s", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", value) for value in [*NOT_NUMBERS, 61]],
    *[("prometheus_port", "OTEL_EXPORTER_PROMETHEUS_PORT", value) for value in (-1, 65536, "x", True, 1.5)],
    *[("series_limit", "INFERMETER_SERIES_LIMIT", value) for value in (0, -1, "x", True, 1.5, 10**9)],
    *[("class_limit", "INFERMETER_CLASS_LIMIT", value) for value in (0, "x", True)],
    *[("error_type_limit", "INFERMETER_ERROR_TYPE_LIMIT", value) for value in (0, "x", True)],
    *[("exporter", "OTEL_METRICS_EXPORTER", value) for value in ("", "otpl", "otlp,none", ",", 7)],
    *[("protocol", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", value) for value in ("http/json", "", 7)],
    *[("compression", "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", value) for value in ("zstd", 7)],
    *[("recorder", "INFERMETER_RECORDER", value) for value in ("plain", 7)],
    *[("handle_sigterm", "INFERMETER_HANDLE_SIGTERM", value) for value in ("maybe", 7)],
    *[("disabled", "OTEL_SDK_DISABLED", value) for value in ("maybe", None)[:1]],
    *[("service_name", "OTEL_SERVICE_NAME", value) for value in ("", "  ", 7)],
    *[("prometheus_host", "OTEL_EXPORTER_PROMETHEUS_HOST", value) for value in ("", 7)],
    *[
        ("endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", value)
        for value in ("localhost:4318", "ftp://x", "http://", "", 7, "http://x:0", "http://x:99999", "http://x:port")
    ],
    *[
        ("latency_bounds_s", "INFERMETER_LATENCY_BOUNDS_S", value)
        for value in ((), (1, 1), (2, 1), (0, 1), ("x",), (-1,))
    ],
    *[("latency_bounds_s", "INFERMETER_LATENCY_BOUNDS_S", value) for value in ((float("nan"),), (float("inf"),), 7)],
    *[("resource_attributes", "OTEL_RESOURCE_ATTRIBUTES", value) for value in ("a=b", {"a": object()}, {1: "a"}, 7)],
]


@pytest.mark.parametrize(("argument", "variable", "value"), WRONG, ids=lambda value: repr(value)[:30])
def test_a_wrong_argument_is_refused_naming_both_spellings_and_the_value(
    argument: str, variable: str, value: object
) -> None:
    with pytest.raises(ConfigError) as caught:
        infermeter.configure(**{"exporter": "none", argument: value})

    message = str(caught.value)
    assert f"{variable} / {argument} must be " in message
    assert f"got {value!r}" in message
    assert not infermeter.is_configured()


@pytest.mark.parametrize(
    ("variable", "argument", "text"),
    [
        ("OTEL_METRIC_EXPORT_INTERVAL", "export_interval_s", "soon"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "export_interval_s", "0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "export_timeout_s", "-3"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "export_timeout_s", "nan"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "endpoint", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "endpoint", "collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "protocol", "http/json"),
        ("OTEL_METRICS_EXPORTER", "exporter", "statsd"),
        ("OTEL_SDK_DISABLED", "disabled", "perhaps"),
        ("INFERMETER_LATENCY_BOUNDS_S", "latency_bounds_s", "1;2"),
        ("INFERMETER_LATENCY_BOUNDS_S", "latency_bounds_s", "2,1"),
        ("INFERMETER_SERIES_LIMIT", "series_limit", "2k"),
    ],
)
def test_a_wrong_variable_is_refused_naming_both_spellings(
    variable: str, argument: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)

    with pytest.raises(ConfigError, match=rf"{variable} / {argument} must be .*, got ") as caught:
        infermeter.configure()

    assert all(part.strip() in str(caught.value) for part in text.split(","))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"settings": {"exporter": "none"}}, "settings must be a Settings, got {'exporter': 'none'}"),
        ({"meter_provider": 3}, "meter_provider must be a MeterProvider of OpenTelemetry, got 3"),
    ],
)
def test_an_argument_that_is_no_setting_is_refused_too(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        infermeter.configure(**arguments)


def test_a_refused_configuration_leaves_the_one_in_force(captured_metrics: Any) -> None:
    with pytest.raises(ConfigError):
        infermeter.configure(export_interval_s=-1)

    infermeter.record_prediction("fraud", confidence=0.5)
    assert captured_metrics.count("model_prediction_confidence") == 1


def test_settings_as_one_value_yield_to_arguments() -> None:
    telemetry = infermeter.configure(
        Settings(service_name="a", exporter="none", series_limit=7), service_name="b", handle_sigterm=False
    )

    assert telemetry.settings.service_name == "b"
    assert telemetry.settings.series_limit == 7


@pytest.mark.parametrize("sla_s", [0, -1, float("nan"), float("inf"), "0.2", True, [0.2]])
def test_an_sla_that_is_no_time_is_refused_at_start(sla_s: Any) -> None:
    with pytest.raises(ConfigError, match="sla_s must be a number of seconds above 0, got"):
        infermeter.register_model("fraud", sla_s=sla_s)


@pytest.mark.parametrize("bounds", [[], [1, 1], [2, 1], [0], ["x"], [float("nan")], "0.1", 7])
def test_bounds_that_are_no_bounds_are_refused_at_start(bounds: Any) -> None:
    with pytest.raises(ConfigError, match="latency_bounds_s must be ascending numbers of seconds above 0"):
        infermeter.instrument_inference("fraud", latency_bounds_s=bounds)


@pytest.mark.parametrize("classes", ["fraud", b"fraud"])
def test_one_text_is_no_list_of_classes(classes: Any) -> None:
    with pytest.raises(ConfigError, match="classes must be a list of classes, got"):
        infermeter.register_model("fraud", classes=classes)
    with pytest.raises(ConfigError, match="classes must be a list of classes, got"):
        infermeter.instrument_inference("fraud", classes=classes)


@pytest.mark.parametrize("headers", ["auth=s3cret", {"authorization": b"s3cret"}, {"a": "x\r\ns3cret"}, 7])
def test_wrong_headers_are_refused_without_showing_what_may_be_secret(headers: Any) -> None:
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_HEADERS / headers must be a mapping of") as caught:
        infermeter.configure(exporter="none", headers=headers)

    assert "s3cret" not in str(caught.value)
