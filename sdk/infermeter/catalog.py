"""Every series this package records, as data: name, kind, unit, meaning, labels, bounds.

The name is spelled exactly as Prometheus shows it. Knows nothing of how a value is recorded or exported.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One row of the catalogue.

    Units follow UCUM as OpenTelemetry uses it. A gauge never has the unit ``1``: Prometheus would call it ``_ratio``.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()
    internal: bool = False  # about the SDK itself rather than about the user's models


MODEL = ("model_name", "model_version")

STATUSES = ("success", "error", "cancelled", "timeout", "rejected")
"""How a call can end; the first two are exported from 0 as soon as a model is known."""

OUTCOMES = ("success", "failure")
"""How an export can end."""

OVERFLOW = "other"
"""The label value that takes what a cap keeps out."""

PREDICTION = "prediction"
"""The reserved feature whose bins are the predicted classes."""

LATENCY = Metric(
    "model_inference_latency_seconds",
    "histogram",
    "s",
    "Model inference latency",
    MODEL,
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
REQUESTS = Metric(
    "model_inference_requests_total",
    "counter",
    "{request}",
    "Total inference requests",
    (*MODEL, "status"),
)
CONFIDENCE = Metric(
    "model_prediction_confidence",
    "histogram",
    "",
    "Model prediction confidence scores",
    ("model_name",),
    (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
)
EXCEPTIONS = Metric(
    "model_inference_exceptions_total",
    "counter",
    "{exception}",
    "Inference requests that failed, by class of the exception",
    (*MODEL, "error_type"),
)
IN_FLIGHT = Metric(
    "model_inference_in_flight",
    "gauge",
    "{request}",
    "Inference requests that have started and not ended",
    MODEL,
)
SLA = Metric(
    "model_inference_sla_seconds",
    "gauge",
    "s",
    "Latency that 99 % of the model's requests must stay within, as declared",
    ("model_name",),
)
INFO = Metric(
    "model_info",
    "gauge",
    "",
    "A model version known to this process; the value is always 1",
    (*MODEL, "framework", "reference"),
)
FEATURE_VALUES = Metric(
    "model_feature_values_total",
    "counter",
    "{value}",
    "Values seen per feature and bin; the feature prediction counts predicted classes",
    (*MODEL, "feature", "bin"),
)
DROPPED = Metric(
    "infermeter_dropped_total",
    "counter",
    "{measurement}",
    "Measurements that the SDK could not record as given, by place and reason",
    ("where", "reason"),
    internal=True,
)
EXPORTS = Metric(
    "infermeter_exports_total",
    "counter",
    "{export}",
    "Exports that ended, by outcome",
    ("outcome",),
    internal=True,
)
EXPORT_DURATION = Metric(
    "infermeter_export_duration_seconds",
    "gauge",
    "s",
    "Duration of the last export, with its retries",
    (),
    internal=True,
)
SERIES = Metric(
    "infermeter_series",
    "gauge",
    "{series}",
    "Label sets held under the fullest metric name",
    (),
    internal=True,
)
SERIES_LIMIT = Metric(
    "infermeter_series_limit",
    "gauge",
    "{series}",
    "Label sets that one metric name may hold before the rest is folded into other",
    (),
    internal=True,
)
SDK_INFO = Metric(
    "infermeter_info",
    "gauge",
    "",
    "The SDK in this process; the value is always 1",
    ("version", "recorder"),
    internal=True,
)

CATALOG: tuple[Metric, ...] = (
    LATENCY,
    REQUESTS,
    CONFIDENCE,
    EXCEPTIONS,
    IN_FLIGHT,
    SLA,
    INFO,
    FEATURE_VALUES,
    DROPPED,
    EXPORTS,
    EXPORT_DURATION,
    SERIES,
    SERIES_LIMIT,
    SDK_INFO,
)
