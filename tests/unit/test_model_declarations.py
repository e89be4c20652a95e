"""What a service declares of its models: zeros from the start, SLA as a bucket bound, before or after configure()."""

from __future__ import annotations

import pytest

import infermeter
from infermeter.testing import CapturedMetrics, capture

LATENCY = "model_inference_latency_seconds"
REQUESTS = "model_inference_requests_total"


def bounds(captured: CapturedMetrics, model: str = "fraud", version: str = "3") -> tuple[float, ...]:
    (point,) = captured.points(LATENCY, model_name=model, model_version=version)
    assert len(point.counts) == len(point.bounds) + 1
    return point.bounds


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_declared_model_is_exported_from_zero(when: str) -> None:
    def declare() -> None:
        infermeter.register_model("fraud", version="3", sla_s=0.2, classes=["legit", "fraud"], framework="sklearn")

    if when == "before":
        declare()
    with capture() as captured:
        if when == "after":
            declare()
        assert {p.labels["status"]: p.value for p in captured.points(REQUESTS)} == {"success": 0, "error": 0}
        assert bounds(captured) == (0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.5)
        assert captured.value("model_inference_sla_seconds", model_name="fraud") == 0.2
        assert captured.value("model_info", framework="sklearn", model_version="3", reference="") == 1
        assert [p.labels["bin"] for p in captured.points("model_feature_values_total")] == ["legit", "fraud"]
        assert captured.value("model_inference_in_flight", model_name="fraud") == 0
        assert captured.points("model_prediction_confidence") == []


def test_an_sla_that_is_a_bound_already_changes_nothing(captured_metrics: CapturedMetrics) -> None:
    infermeter.register_model("fraud", version="3", sla_s=0.25)

    assert bounds(captured_metrics) == (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def test_a_model_may_have_bounds_of_its_own(captured_metrics: CapturedMetrics) -> None:
    infermeter.instrument_inference("fraud", version="3", latency_bounds_s=[1, 10], sla_s=5)
    infermeter.register_model("ocr", version="3")

    assert bounds(captured_metrics) == (1.0, 5.0, 10.0)
    assert all(type(bound) is float for bound in bounds(captured_metrics))
    assert bounds(captured_metrics, "ocr") == (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def test_an_sla_belongs_to_all_versions_of_a_model(captured_metrics: CapturedMetrics) -> None:
    infermeter.register_model("fraud", version="1")
    infermeter.register_model("fraud", version="2", sla_s=0.2)
    infermeter.register_model("fraud", version="3")

    assert 0.2 in bounds(captured_metrics, version="1")
    assert 0.2 in bounds(captured_metrics, version="3")
    assert len(captured_metrics.points("model_inference_sla_seconds")) == 1


def test_bounds_changed_after_recording_keep_every_total_but_the_buckets(
    captured_metrics: CapturedMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    fraud = infermeter.instrument_inference("fraud", version="3")
    with fraud as open_call:
        fraud.record(0.1, confidence=0.5)
        infermeter.record_prediction("fraud", version="3", label="legit")
        infermeter.register_model("fraud", version="3", sla_s=0.123)
        fraud.record(0.1, confidence=0.5)
        open_call.predicted("legit")

    assert captured_metrics.value(REQUESTS, status="success") == 3
    assert captured_metrics.value("model_prediction_confidence") == 1.0
    assert captured_metrics.value("model_feature_values_total", bin="legit") == 2
    assert captured_metrics.value("model_inference_in_flight") == 0
    assert 0.123 in bounds(captured_metrics)
    assert captured_metrics.count(LATENCY) == 1
    assert len([record for record in caplog.records if "latency bounds of model" in record.getMessage()]) == 1


def test_declaring_twice_adds_and_the_last_word_wins(captured_metrics: CapturedMetrics) -> None:
    infermeter.register_model("fraud", version="3", classes=["a"], framework="sklearn", sla_s=0.2)
    infermeter.register_model("fraud", version="3", classes=["b", "a"])
    infermeter.register_model("fraud", version="3", framework="torch", sla_s=0.3)

    assert [p.labels["bin"] for p in captured_metrics.points("model_feature_values_total")] == ["a", "b"]
    assert captured_metrics.value("model_inference_sla_seconds") == 0.3
    assert [p.labels["framework"] for p in captured_metrics.points("model_info")] == ["torch"]


def test_confidence_merges_the_versions_of_a_model(captured_metrics: CapturedMetrics) -> None:
    for version in ("1", "2"):
        infermeter.record_prediction("fraud", version=version, confidence=0.5)

    (point,) = captured_metrics.points("model_prediction_confidence")
    assert point.labels == {"model_name": "fraud"}
    assert sum(point.counts) == 2


@pytest.mark.parametrize(
    ("latency_s", "bucket"),
    [(0.0, 0), (0.01, 0), (0.0100001, 1), (0.2, 4), (0.2000001, 5), (2.5, 8), (2.6, 9), (1e9, 9)],
)
def test_a_bound_is_within_its_bucket(latency_s: float, bucket: int, captured_metrics: CapturedMetrics) -> None:
    infermeter.register_model("fraud", version="3", sla_s=0.2)
    infermeter.instrument_inference("fraud", version="3").record(latency_s)

    (point,) = captured_metrics.points(LATENCY)
    assert point.counts.index(1) == bucket


def test_counts_stay_whole_numbers_past_what_floats_hold(captured_metrics: CapturedMetrics) -> None:
    fraud = infermeter.instrument_inference("fraud")
    for _ in range(3):
        fraud.record(0.1)

    (point,) = captured_metrics.points(REQUESTS, status="success")
    assert type(point.value) is int
