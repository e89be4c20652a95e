"""A small reference, and what was counted against it, as plain numbers."""

from __future__ import annotations

from infermeter import DriftReference
from infermeter.testing import CapturedMetrics

VALUES, DROPPED = "model_feature_values_total", "infermeter_dropped_total"


def reference() -> DriftReference:
    """Three features: ``amount`` in bins 00 (below 10), 01 (below 20), 02; ``age``, the same; ``country``."""
    numbers = [*[5.0] * 10, *[10.0] * 10, *[20.0] * 10]
    return DriftReference.from_columns(
        {"amount": numbers, "age": numbers, "country": ["AT", "CH", "DE"] * 10}, bins=3, top_k=2
    )


def bins(captured: CapturedMetrics) -> dict[str, float]:
    """Return what was counted, without zeros, as ``feature/bin``."""
    return {
        f"{point.labels['feature']}/{point.labels['bin']}": point.value
        for point in captured.points(VALUES)
        if point.value
    }


def dropped(captured: CapturedMetrics) -> dict[str, float]:
    return {point.labels["reason"]: point.value for point in captured.points(DROPPED, where="drift")}


ONE_ROW = {"amount/00": 1, "age/02": 1, "country/CH": 1}
