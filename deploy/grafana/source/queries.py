"""Fragments of PromQL that several pages use: what is selected, and how the names of series fit together."""

from __future__ import annotations

from deploy.grafana.source.panels import Variable

# What is selected at the top of the page.
MODEL = 'namespace=~"$namespace",model_name=~"$model"'
VERSION = f'{MODEL},model_version=~"$version"'
FAILED = f'{VERSION},status=~"error|timeout"'
JUDGED = f'{VERSION},status=~"success|error|timeout"'

REQUESTS = "model_inference_requests_total"
LATENCY = "model_inference_latency_seconds_bucket"
VALUES = "model_feature_values_total"
QUEUE = "model_inference_queue_depth"

NO_REQUESTS = "Waits for a first request to a model"
NO_GPU = "Waits for GPU metrics (dcgm-exporter, or the SDK's)"
NO_RULES = "Waits for recorded series: are the rules loaded, and is a request there?"
NO_REFERENCE = "Waits for a drift reference, and for the drift rules: they begin after 2 to 5 minutes"

ONE_VERSION = "namespace, model_name, model_version"
NAMED_VERSION = "{{model_name}} {{model_version}} {{namespace}}"


def rate(name: str, labels: str = VERSION) -> str:
    """Return the rate of a counter over the window that fits the zoom."""
    return f"rate({name}{{{labels}}}[$__rate_interval])"


def shared_bounds(by: str) -> str:
    """Keep the buckets that every selected replica has.

    Models with different SLAs have different bounds, and a sum over a bound that only some of them have is nonsense.
    """
    group = by.removesuffix("le").rstrip(", ")
    everyone = f'count by ({group}) ({LATENCY}{{{VERSION},le="+Inf"}})'
    return f"(count by ({by}) ({LATENCY}{{{VERSION}}}) == on ({group}) group_left () {everyone})"


def quantile_of(histogram: str, quantile: str) -> str:
    """Return a quantile per version of a histogram whose bounds nobody changes."""
    return f"histogram_quantile({quantile}, sum by ({ONE_VERSION}, le) ({rate(f'{histogram}_bucket')})) >= 0"


def mean_of(histogram: str) -> str:
    """Return the mean per version of what a histogram saw."""
    total, count = (f"sum by ({ONE_VERSION}) ({rate(f'{histogram}_{part}')})" for part in ("sum", "count"))
    return f"{total} / ({count} > 0)"


def failed_share() -> str:
    """Return the share of failures among what is judged, over everything selected."""
    failed, judged = f"sum({rate(REQUESTS, FAILED)})", f"sum({rate(REQUESTS, JUDGED)})"
    return f"({failed} or 0 * {judged}) / ({judged} > 0)"


def share_of_classes() -> str:
    """Return the share of each predicted class, per model."""
    chosen = f'{VERSION},feature="prediction"'
    per_class = f"sum by (namespace, model_name, bin) ({rate(VALUES, chosen)})"
    per_model = f"sum by (namespace, model_name) ({rate(VALUES, chosen)})"
    return f"{per_class} / on (namespace, model_name) group_left () ({per_model} > 0)"


def drift() -> str:
    """Return the population stability index per feature, above what chance alone would give."""
    psi, chance = (f"model_feature:drift_{name}:1h{{{VERSION}}}" for name in ("psi", "psi_null"))
    return f"clamp_min({psi} - {chance}, 0)"


# Heatmap of the latency: only bounds that all selected models share.
LATENCY_HEATMAP = (
    f"sum by (le) (increase({LATENCY}{{{VERSION}}}[$__rate_interval])) and on (le) "
    f'(count by (le) ({LATENCY}{{{VERSION}}}) == on () group_left () count({LATENCY}{{{VERSION},le="+Inf"}}))'
)
CONFIDENCE = f"sum by (le) (increase(model_prediction_confidence_bucket{{{MODEL}}}[$__range]))"

VARIABLES = (
    Variable(
        "namespace",
        "Namespace",
        "Kubernetes namespace or deployment environment; All includes services without one.",
        f"label_values({REQUESTS}, namespace)",
    ),
    Variable(
        "model",
        "Model",
        "Model name as the service declares it.",
        f'label_values({REQUESTS}{{namespace=~"$namespace"}}, model_name)',
    ),
    Variable(
        "version",
        "Version",
        "Version of the model.",
        f"label_values({REQUESTS}{{{MODEL}}}, model_version)",
    ),
)
