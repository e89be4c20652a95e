"""The plugin for users' tests: numbers of what was recorded, and no error hidden."""

from __future__ import annotations

import subprocess
import sys

import pytest

import infermeter
from infermeter import guard
from infermeter.testing import CapturedMetrics, capture


@infermeter.instrument_inference("fraud", version="3")
def predict(features: object) -> dict[str, object]:
    return {"confidence": 0.75, "label": "legit"}


def test_what_a_test_records_can_be_read_as_numbers(captured_metrics: CapturedMetrics) -> None:
    predict(None)
    predict(None)

    assert captured_metrics.value("model_inference_requests_total", model_name="fraud", status="success") == 2
    assert captured_metrics.count("model_inference_latency_seconds", model_version="3") == 2
    assert captured_metrics.value("model_prediction_confidence") == 1.5
    assert captured_metrics.points("model_feature_values_total", bin="legit")[0].value == 2
    assert captured_metrics.value("no_such_metric") == 0


def test_nothing_is_configured_after_the_block() -> None:
    with capture():
        assert infermeter.is_configured()

    assert not infermeter.is_configured()


def test_each_block_starts_from_zero() -> None:
    for _ in range(2):
        with capture() as captured:
            predict(None)
            infermeter.record_prediction("fraud", confidence="not a number")

            assert captured.value("model_inference_requests_total", status="success") == 1
            assert captured.value("infermeter_dropped_total") == 1


def test_strict_raises_what_production_swallows(swallowed: list[tuple[str, Exception]]) -> None:
    failing = infermeter.instrument_inference("fraud", confidence=lambda result: result["missing"])(
        lambda: {"other": 1}
    )

    with capture(), pytest.raises(KeyError):
        failing()

    with capture(strict=False) as captured:
        failing()
        assert captured.value("infermeter_dropped_total", reason="KeyError") == 1


def test_a_seam_set_before_is_restored_even_after_a_failing_block() -> None:
    before = guard.on_swallowed

    with pytest.raises(ZeroDivisionError), capture():
        1 / 0  # noqa: B018

    assert guard.on_swallowed is before


def test_an_application_that_configures_itself_within_the_block_is_still_read() -> None:
    with capture() as captured:
        infermeter.configure(exporter="none", handle_sigterm=False)
        predict(None)

        assert captured.value("model_inference_requests_total", status="success") == 1


def test_the_environment_can_neither_disable_nor_export_a_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setenv("INFERMETER_RECORDER", "otel")

    with capture() as captured:
        predict(None)

        assert captured.value("model_inference_requests_total", status="success") == 1
        assert captured.value("infermeter_exports_total", outcome="failure") == 0


def test_the_plugin_loads_no_opentelemetry() -> None:
    code = "import sys, infermeter.testing; print([m for m in sys.modules if m.startswith('opentelemetry')])"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert printed.stdout == "[]\n"
