"""The overview: the four rows and thirteen panels that answer "are my models well?" on one page."""

from __future__ import annotations

from deploy.grafana.source.panels import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    YELLOW,
    Dashboard,
    Panel,
    Query,
    Row,
    Threshold,
)
from deploy.grafana.source.pipelines import PIPELINES_ROW
from deploy.grafana.source.queries import (
    CONFIDENCE,
    LATENCY,
    LATENCY_HEATMAP,
    NO_GPU,
    NO_REFERENCE,
    NO_REQUESTS,
    NO_RULES,
    QUEUE,
    REQUESTS,
    VARIABLES,
    VERSION,
    drift,
    failed_share,
    rate,
    share_of_classes,
    shared_bounds,
)


def _quantile(quantile: str) -> str:
    by = "namespace, model_name, le"
    buckets = f"sum by ({by}) ({rate(LATENCY)}) and on ({by}) {shared_bounds(by)}"
    return f"histogram_quantile({quantile}, {buckets}) >= 0"


OVERVIEW_ROW = Row(
    "Is everything well?",
    (
        Panel(
            shape="stat",
            title="How many requests per second do all models get?",
            description="Every call to the selected models, however it ended.",
            unit="reqps",
            queries=(Query(f"sum({rate(REQUESTS)})", "requests/s"),),
            waits_for=NO_REQUESTS,
            base=GREY,
            thresholds=(Threshold(0.001, GREEN, "there is traffic", "0.001/s"),),
            width=6,
            height=5,
        ),
        Panel(
            shape="stat",
            title="Which share of the requests fails?",
            description=(
                "Errors and timeouts among all requests that count; cancelled and rejected ones are on neither side."
            ),
            unit="percentunit",
            queries=(Query(failed_share(), "failed"),),
            waits_for=NO_REQUESTS,
            thresholds=(
                Threshold(0.005, YELLOW, "half of what is allowed", "0.5 %"),
                Threshold(0.01, RED, "HighPredictionErrorRate fires if it lasts", "1 %"),
            ),
            alerts=("HighPredictionErrorRate",),
            width=6,
            height=5,
            decimals=2,
        ),
        Panel(
            shape="stat",
            title="How many model versions are active?",
            description="Versions that got a request lately, and versions that some process has loaded.",
            unit="short",
            queries=(
                Query(
                    f"count(sum by (namespace, model_name, model_version) ({rate(REQUESTS)}) > 0) or vector(0)",
                    "active",
                ),
                Query(
                    f"count(count by (namespace, model_name, model_version) (model_info{{{VERSION}}})) or vector(0)",
                    "loaded",
                ),
            ),
            waits_for=NO_REQUESTS,
            base=ORANGE,
            thresholds=(Threshold(1, GREEN, "at least one version is there", "1"),),
            width=6,
            height=5,
            decimals=0,
        ),
        Panel(
            shape="stat",
            title="How busy are the GPUs of the cluster?",
            description="Mean utilisation over 5 minutes, of the GPUs that some pod holds and of all of them.",
            unit="percentunit",
            queries=(
                Query('avg(gpu:utilization_ratio:avg5m{pod!=""})', "held by a pod"),
                Query("avg(gpu:utilization_ratio:avg5m)", "all"),
            ),
            waits_for=NO_GPU,
            base=ORANGE,
            thresholds=(Threshold(0.3, GREEN, "enough; a single GPU below it is LowGPUUtilization", "30 %"),),
            alerts=("LowGPUUtilization",),
            width=6,
            height=5,
            decimals=0,
            maximum=1,
        ),
    ),
)

LATENCY_ROW = Row(
    "How long do answers take?",
    (
        Panel(
            shape="timeseries",
            title="How slow are the median, the slow and the slowest answers (p50, p95, p99)?",
            description=(
                "Latency per model over all replicas and selected versions, interpolated in the histogram's buckets; "
                "a flat line at the largest bound means that much or more."
            ),
            unit="s",
            queries=(
                Query(_quantile("0.5"), "{{model_name}} {{namespace}} p50"),
                Query(_quantile("0.95"), "{{model_name}} {{namespace}} p95"),
                Query(_quantile("0.99"), "{{model_name}} {{namespace}} p99"),
            ),
            waits_for=NO_REQUESTS,
            thresholds=(
                Threshold(
                    0.5,
                    RED,
                    "a model without an SLA of its own is too slow (HighInferenceLatency if p99 stays there)",
                    "500 ms",
                ),
            ),
            alerts=("HighInferenceLatency",),
            opens="model",
            height=9,
        ),
        Panel(
            shape="heatmap",
            title="How are the latencies spread over time?",
            description=(
                "Requests per latency bucket; two bands are two kinds of request. Only bounds that all selected models "
                "share, because a sum over the others would be wrong."
            ),
            unit="s",
            queries=(Query(LATENCY_HEATMAP, "{{le}}", buckets=True),),
            waits_for=NO_REQUESTS,
            no_limit="each model has its own SLA",
            minimum=None,
            height=9,
        ),
        Panel(
            shape="timeseries",
            title="Which share of the answers is within the SLA?",
            description=(
                "Exact, from the bucket that ends at each model's SLA: over 5 minutes, and (one point) over the whole "
                "time range, weighted by requests. Models whose SLA is no bucket are missing (SLANotABucketBoundary)."
            ),
            unit="percentunit",
            queries=(
                Query(
                    f"sum by (namespace, model_name) (model_version:model_inference_within_sla:rate5m{{{VERSION}}})"
                    " / (sum by (namespace, model_name) (model_version:model_inference_latency_seconds_count:rate5m"
                    f"{{{VERSION}}} and model_version:model_inference_within_sla:rate5m{{{VERSION}}}) > 0)",
                    "{{model_name}} {{namespace}}",
                ),
                Query(
                    "sum by (namespace, model_name) (sum_over_time("
                    f"model_version:model_inference_within_sla:rate5m{{{VERSION}}}[$__range]))"
                    " / (sum by (namespace, model_name) (sum_over_time("
                    f"model_version:model_inference_latency_seconds_count:rate5m{{{VERSION}}}[$__range])"
                    f" and sum_over_time(model_version:model_inference_within_sla:rate5m{{{VERSION}}}[$__range])) > 0)",
                    "{{model_name}} {{namespace}}, whole range",
                    instant=True,
                ),
            ),
            waits_for=NO_RULES,
            base=RED,
            thresholds=(Threshold(0.99, GREEN, "the SLA is met; below it HighInferenceLatency fires", "99 %"),),
            alerts=("HighInferenceLatency", "SLANotABucketBoundary"),
            opens="model",
            height=9,
            decimals=2,
            minimum=None,
            maximum=1,
        ),
    ),
)

HEALTH_ROW = Row(
    "Do the models still predict as they should?",
    (
        Panel(
            shape="bargauge",
            title="How confident are the predictions?",
            description=(
                "Predictions of the time range by confidence, one bar per bucket (its upper end). Confidence has no "
                "version, so the choice of a version does not change this panel."
            ),
            unit="short",
            queries=(Query(CONFIDENCE, "{{le}}", instant=True, buckets=True),),
            waits_for="Waits for a prediction that states its confidence",
            no_limit="what is usual differs from model to model; a change is what counts",
            alerts=("ConfidenceDistributionShift",),
            base=BLUE,
            height=9,
            decimals=0,
        ),
        Panel(
            shape="timeseries",
            title="Which classes are predicted, and in what shares?",
            description="Share of each predicted class; the lines of one model add up to 100 %.",
            unit="percentunit",
            queries=(Query(share_of_classes(), "{{model_name}} {{namespace}} {{bin}}"),),
            waits_for="Waits for a prediction that states its class",
            no_limit="what is usual differs from model to model; a change is what counts",
            alerts=("PredictionDistributionShift",),
            opens="model",
            base=BLUE,
            height=9,
            maximum=1,
        ),
        Panel(
            shape="bargauge",
            title="Which features have drifted most from the training data?",
            description="Population stability index over the last hour, above what chance alone would give.",
            unit="short",
            queries=(Query(f"topk(20, {drift()})", "{{model_name}} {{model_version}} {{feature}}", instant=True),),
            waits_for=NO_REFERENCE,
            thresholds=(
                Threshold(0.1, YELLOW, "worth a look", "0.1"),
                Threshold(0.2, RED, "the feature is not what the model was trained on", "0.2"),
            ),
            alerts=("FeatureDrift",),
            opens="model",
            height=9,
            decimals=2,
        ),
    ),
)

INFRASTRUCTURE_ROW = Row(
    "Does the infrastructure keep up?",
    (
        Panel(
            shape="timeseries",
            title="How much GPU memory is used on each node?",
            description="Framebuffer memory in use, and in use plus free, summed over the node's GPUs.",
            unit="bytes",
            queries=(
                Query("sum by (host) (gpu:memory_used_bytes:max)", "{{host}} used"),
                Query("sum by (host) (gpu:memory_used_bytes:max + gpu:memory_free_bytes:max)", "{{host}} used + free"),
            ),
            waits_for=NO_GPU,
            no_limit="servers that reserve memory when they start are full by design",
            opens="gpu-fleet",
        ),
        Panel(
            shape="bargauge",
            title="How often did pods that serve the models restart?",
            description="Container restarts in the time range, for pods that report the selected models.",
            unit="short",
            queries=(
                Query(
                    "sum by (namespace, pod) (increase("
                    'kube_pod_container_status_restarts_total{namespace=~"$namespace"}[$__range]))'
                    f" and on (namespace, pod) {REQUESTS}{{{VERSION}}}",
                    "{{namespace}} {{pod}}",
                    instant=True,
                ),
            ),
            waits_for="Waits for kube-state-metrics, and for pods that report a model",
            thresholds=(
                Threshold(1, YELLOW, "something ended a container", "1"),
                Threshold(3, RED, "a crash loop is likely", "3"),
            ),
            decimals=0,
        ),
        Panel(
            shape="timeseries",
            title="How many requests wait, and how many are in work?",
            description=(
                "Requests in the batching queue (mean and peak) where a service reports one, and requests in work, "
                "over all replicas. Rising while traffic is flat means that the model does not keep up."
            ),
            unit="short",
            queries=(
                Query(
                    f"sum by (namespace, model_name) (avg_over_time({QUEUE}{{{VERSION}}}[$__rate_interval]))",
                    "{{model_name}} {{namespace}} waiting",
                ),
                Query(
                    f"max by (namespace, model_name) (max_over_time({QUEUE}{{{VERSION}}}[$__rate_interval]))",
                    "{{model_name}} {{namespace}} waiting, peak of one replica",
                ),
                Query(
                    "sum by (namespace, model_name) (avg_over_time("
                    f"model_inference_in_flight{{{VERSION}}}[$__rate_interval]))",
                    "{{model_name}} {{namespace}} in work",
                ),
            ),
            waits_for=NO_REQUESTS,
            no_limit="it depends on the batch size of the model",
            alerts=("InferenceBatchingMisconfigured",),
            opens="model",
        ),
    ),
)

OVERVIEW = Dashboard(
    uid="infermeter-overview",
    title="Inference overview",
    description="Traffic, errors, latency, predictions, infrastructure and pipelines of all models on one page.",
    rows=(OVERVIEW_ROW, LATENCY_ROW, HEALTH_ROW, INFRASTRUCTURE_ROW, PIPELINES_ROW),
    variables=VARIABLES,
)
