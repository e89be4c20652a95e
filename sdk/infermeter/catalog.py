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
    delta: bool = False  # pushed as what was added since the last push: its processes are too short-lived to be summed
    of_host: bool = False  # about a device of the machine: its series must not change with the process that reports it


MODEL = ("model_name", "model_version")

STATUSES = ("success", "error", "cancelled", "timeout", "rejected")
"""How a call can end; the first two are exported from 0 as soon as a model is known."""

OUTCOMES = ("success", "failure")
"""How an export can end."""

OVERFLOW = "other"
"""The label value that takes what a cap keeps out."""

PREDICTION = "prediction"
"""The reserved feature whose bins are the predicted classes."""

CONFIDENCE_FEATURE = "confidence"
"""The reserved feature whose bins are those of the confidence histogram, numbered upwards from ``00``."""

BIN_NAMES = tuple(f"{i:02d}" for i in range(12))
"""Names of ordered bins; as many as the recording rules look at."""

MISSING = "missing"
"""The bin of values that are not there: None, NaN, NA, a key that a row does not have."""

DISPATCH_REASONS = ("full", "timeout", "flush")
"""Why a batch was handed to its model."""

DIRECTIONS = ("input", "output")
"""Which way tokens went."""

RUN_STATUSES = ("success", "error")
"""How a run of a pipeline can end."""

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
REFERENCE_RATIO = Metric(
    "model_feature_reference_ratio",
    "gauge",
    "",
    "Share of a bin in the drift reference, (count + 0.5) / (samples + 0.5 * bins); the bins of a feature add up to 1",
    (*MODEL, "feature", "bin"),
)
REFERENCE_SAMPLES = Metric(
    "model_feature_reference_samples",
    "gauge",
    "{sample}",
    "Values of a feature that the drift reference was built from",
    (*MODEL, "feature"),
)
QUEUE_DEPTH = Metric(
    "model_inference_queue_depth",
    "gauge",
    "{request}",
    "Requests that wait for their model, for example to fill a batch",
    MODEL,
)
QUEUE_TIME = Metric(
    "model_inference_queue_time_seconds",
    "histogram",
    "s",
    "Time a request waited for its model; a batcher records the oldest request of each batch",
    MODEL,
    LATENCY.bounds,
)
BATCH_SIZE = Metric(
    "model_inference_batch_size",
    "histogram",
    "{input}",
    "Inputs that one call of a model carried",
    MODEL,
    (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0),
)
BATCH_LIMIT = Metric(
    "model_inference_batch_limit",
    "gauge",
    "{input}",
    "Inputs that one call of a model may carry at most, as configured",
    MODEL,
)
BATCHES = Metric(
    "model_inference_batches_total",
    "counter",
    "{batch}",
    "Batches handed to a model, by why: it was full, its time was up, or it was flushed",
    (*MODEL, "reason"),
)
# Bounds of the two as in gen_ai.server.* of OpenTelemetry's semantic conventions.
FIRST_TOKEN = Metric(
    "model_time_to_first_token_seconds",
    "histogram",
    "s",
    "Time from the start of a generation to its first token",
    MODEL,
    (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
PER_TOKEN = Metric(
    "model_time_per_output_token_seconds",
    "histogram",
    "s",
    "Mean time per output token after the first, one observation per generation",
    MODEL,
    (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)
TOKENS = Metric(
    "model_tokens_total",
    "counter",
    "{token}",
    "Tokens that went into and came out of a model",
    (*MODEL, "direction"),
)
PIPELINE_RUNS = Metric(
    "pipeline_runs_total",
    "counter",
    "{run}",
    "Runs of a pipeline that ended, by outcome",
    ("pipeline", "status"),
    delta=True,
)
PIPELINE_DURATION = Metric(
    "pipeline_run_duration_seconds",
    "gauge",
    "s",
    "Duration of the pipeline's last run",
    ("pipeline",),
)
PIPELINE_LAST_SUCCESS = Metric(
    "pipeline_last_success_timestamp_seconds",
    "gauge",
    "s",
    "When the pipeline last succeeded, in seconds since 1970",
    ("pipeline",),
)
PIPELINE_DATA_TIME = Metric(
    "pipeline_data_timestamp_seconds",
    "gauge",
    "s",
    "Event time of the newest record the pipeline has processed, in seconds since 1970",
    ("pipeline",),
)
PIPELINE_INTERVAL = Metric(
    "pipeline_expected_interval_seconds",
    "gauge",
    "s",
    "Time within which the pipeline is expected to succeed again, as declared",
    ("pipeline",),
)
PIPELINE_MAX_DATA_AGE = Metric(
    "pipeline_max_data_age_seconds",
    "gauge",
    "s",
    "Age of its newest data from which the pipeline's output is stale, as declared",
    ("pipeline",),
)
PIPELINE_MAX_DURATION = Metric(
    "pipeline_max_duration_seconds",
    "gauge",
    "s",
    "Duration that a run of the pipeline should not exceed, as declared",
    ("pipeline",),
)
MODEL_GPU = Metric(
    "model_gpu_info",
    "gauge",
    "",
    "A GPU that the process of a model version can use; the value is always 1. Joins models to series of GPUs",
    (*MODEL, "UUID"),
)
GPU_UP = Metric(
    "infermeter_gpu_nvml_up",
    "gauge",
    "",
    "Whether the driver of the GPUs can be read: 1 or 0",
    (),
    internal=True,
)
GPU_SNAPSHOT_AGE = Metric(
    "infermeter_gpu_snapshot_age_seconds",
    "gauge",
    "s",
    "Age of what is known about the GPUs; past three intervals their series are gone, as when the driver hangs",
    (),
    internal=True,
)
GPU_READ_DURATION = Metric(
    "infermeter_gpu_collect_seconds",
    "gauge",
    "s",
    "Duration of the last reading of all GPUs",
    (),
    internal=True,
)
GPU_ERRORS = Metric(
    "infermeter_gpu_nvml_errors_total",
    "counter",
    "{error}",
    "Calls of the driver that failed, by function and code; what a GPU does not support fails once",
    ("function", "code"),
    internal=True,
)
GPU_PUBLISHER = Metric(
    "infermeter_gpu_publisher",
    "gauge",
    "",
    "1 for what this process does about GPUs, else 0: publishing, standby, yielding (to an exporter or agent), off",
    ("state",),
    internal=True,
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
    REFERENCE_RATIO,
    REFERENCE_SAMPLES,
    QUEUE_DEPTH,
    QUEUE_TIME,
    BATCH_SIZE,
    BATCH_LIMIT,
    BATCHES,
    FIRST_TOKEN,
    PER_TOKEN,
    TOKENS,
    PIPELINE_RUNS,
    PIPELINE_DURATION,
    PIPELINE_LAST_SUCCESS,
    PIPELINE_DATA_TIME,
    PIPELINE_INTERVAL,
    PIPELINE_MAX_DATA_AGE,
    PIPELINE_MAX_DURATION,
    MODEL_GPU,
    GPU_UP,
    GPU_SNAPSHOT_AGE,
    GPU_READ_DURATION,
    GPU_ERRORS,
    GPU_PUBLISHER,
    DROPPED,
    EXPORTS,
    EXPORT_DURATION,
    SERIES,
    SERIES_LIMIT,
    SDK_INFO,
)
