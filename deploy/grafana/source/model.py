"""One model version in depth, from what its callers see down to its batches."""

from __future__ import annotations

from deploy.grafana.source.model_behaviour import CANARY_ROW, PREDICTIONS_ROW
from deploy.grafana.source.panels import (
    BLUE,
    GREEN,
    GREY,
    RED,
    YELLOW,
    Dashboard,
    Panel,
    Query,
    Row,
    Threshold,
)
from deploy.grafana.source.queries import (
    LATENCY_HEATMAP,
    MODEL,
    NAMED_VERSION,
    NO_GPU,
    NO_REQUESTS,
    NO_RULES,
    ONE_VERSION,
    QUEUE,
    REQUESTS,
    VARIABLES,
    VERSION,
    failed_share,
    mean_of,
    quantile_of,
    rate,
)

_RECORDED = "model_version:model_inference_"
_IN_WORK = "model_inference_in_flight"
_NO_BATCHER = "Waits for a service that reports its batches (record_batch_size, observe_queue_depth)"
_NO_GENERATION = "Waits for a generation (generation(...).token())"

NOW_ROW = Row(
    "Is this version well?",
    (
        Panel(
            shape="stat",
            title="How much is it asked?",
            description="Requests per second, however they ended.",
            unit="reqps",
            queries=(Query(f"sum({rate(REQUESTS)})", "requests/s"),),
            waits_for=NO_REQUESTS,
            base=GREY,
            thresholds=(Threshold(0.001, GREEN, "there is traffic", "0.001/s"),),
            alerts=("ModelTrafficStopped", "ModelTelemetryMissing"),
            width=4,
            height=5,
        ),
        Panel(
            shape="stat",
            title="How much of it fails?",
            description="Errors and timeouts among the requests that count.",
            unit="percentunit",
            queries=(Query(failed_share(), "failed"),),
            waits_for=NO_REQUESTS,
            thresholds=(
                Threshold(0.005, YELLOW, "half of what is allowed", "0.5 %"),
                Threshold(0.01, RED, "HighPredictionErrorRate fires if it lasts", "1 %"),
            ),
            alerts=("HighPredictionErrorRate",),
            width=4,
            height=5,
            decimals=2,
        ),
        Panel(
            shape="gauge",
            title="How much of its SLA does p99 use up?",
            description="p99 latency over 5 minutes as a share of the SLA; the worst of what is selected.",
            unit="percentunit",
            queries=(
                Query(
                    f"max({_RECORDED}latency_seconds:p99_rate5m{{{VERSION}}}"
                    " / on (namespace, model_name) group_left ()"
                    f" model:model_inference_sla_seconds:max{{{MODEL}}})",
                    "of the SLA",
                ),
            ),
            waits_for=NO_RULES,
            thresholds=(
                Threshold(0.8, YELLOW, "little room is left", "80 %"),
                Threshold(1, RED, "HighInferenceLatency fires if it lasts", "100 %"),
            ),
            alerts=("HighInferenceLatency",),
            width=4,
            height=5,
            decimals=0,
            maximum=1,
        ),
        Panel(
            shape="stat",
            title="Which share is answered in time?",
            description="Answers within the SLA over the whole time range, weighted by requests.",
            unit="percentunit",
            queries=(
                Query(
                    f"sum(sum_over_time({_RECORDED}within_sla:rate5m{{{VERSION}}}[$__range]))"
                    f" / (sum(sum_over_time({_RECORDED}latency_seconds_count:rate5m{{{VERSION}}}[$__range])"
                    f" and sum_over_time({_RECORDED}within_sla:rate5m{{{VERSION}}}[$__range])) > 0)",
                    "in time",
                    instant=True,
                ),
            ),
            waits_for=NO_RULES,
            base=RED,
            thresholds=(Threshold(0.99, GREEN, "the SLA is met", "99 %"),),
            alerts=("HighInferenceLatency", "SLANotABucketBoundary"),
            width=4,
            height=5,
            decimals=2,
            maximum=1,
        ),
        Panel(
            shape="stat",
            title="How much of the error budget is left?",
            description="Of what the objective's period allows; the model's worst objective, over all of its versions.",
            unit="percentunit",
            queries=(Query(f"min(slo:error_budget_remaining:ratio{{{MODEL}}})", "left"),),
            waits_for="Waits for the SLO rules and a day of data",
            base=RED,
            thresholds=(
                Threshold(0, YELLOW, "some is left", "0 %"),
                Threshold(0.25, GREEN, "enough for the unforeseen", "25 %"),
            ),
            alerts=("SLOBurnRateHigh", "SLOBurnRateSlow"),
            width=4,
            height=5,
            decimals=0,
            minimum=None,
            maximum=1,
        ),
        Panel(
            shape="stat",
            title="How many requests are in work?",
            description="Started and not ended, over all replicas.",
            unit="short",
            queries=(Query(f"sum({_IN_WORK}{{{VERSION}}})", "in work"),),
            waits_for=NO_REQUESTS,
            base=BLUE,
            no_limit="it depends on the number of replicas and their threads",
            width=4,
            height=5,
            decimals=0,
        ),
    ),
)

LATENCY_ROW = Row(
    "How long do answers take?",
    (
        Panel(
            shape="timeseries",
            title="How slow are p50, p95 and p99, and what was promised?",
            description="Latency per version over 5 minutes and all replicas, with the model's SLA.",
            unit="s",
            queries=(
                *(
                    Query(f"{_RECORDED}latency_seconds:{q}_rate5m{{{VERSION}}}", f"{NAMED_VERSION} {q}")
                    for q in ("p50", "p95", "p99")
                ),
                Query(f"model:model_inference_sla_seconds:max{{{MODEL}}}", "{{model_name}} {{namespace}} SLA"),
            ),
            waits_for=NO_RULES,
            no_limit="the SLA is a line of its own",
            alerts=("HighInferenceLatency",),
            height=9,
        ),
        Panel(
            shape="heatmap",
            title="How are the latencies spread over time?",
            description="Requests per latency bucket; two bands are two kinds of request.",
            unit="s",
            queries=(Query(LATENCY_HEATMAP, "{{le}}", buckets=True),),
            waits_for=NO_REQUESTS,
            no_limit="each model has its own SLA",
            minimum=None,
            height=9,
        ),
        Panel(
            shape="timeseries",
            title="Which share of the answers is late, and which too late to measure?",
            description=(
                "Answers over the SLA, and answers beyond the largest bucket: where those are more than 1 %, "
                "p99 only means 'at least'."
            ),
            unit="percentunit",
            queries=(
                Query(f"{_RECORDED}over_sla:ratio_rate5m{{{VERSION}}}", f"{NAMED_VERSION} over the SLA"),
                Query(
                    f"{_RECORDED}latency_seconds:beyond_buckets_ratio_rate5m{{{VERSION}}}",
                    f"{NAMED_VERSION} beyond the buckets",
                ),
            ),
            waits_for=NO_RULES,
            thresholds=(Threshold(0.01, RED, "HighInferenceLatency fires if it is more than chance", "1 %"),),
            alerts=("HighInferenceLatency",),
            height=9,
            decimals=2,
        ),
    ),
)

ERRORS_ROW = Row(
    "Why do requests fail, and how fast is the budget spent?",
    (
        Panel(
            shape="timeseries",
            title="How do the requests end?",
            description="Requests per second by status.",
            unit="reqps",
            queries=(Query(f"sum by (status) ({rate(REQUESTS)})", "{{status}}"),),
            waits_for=NO_REQUESTS,
            no_limit="the share of failures has one, at the top",
            stacked=True,
        ),
        Panel(
            shape="timeseries",
            title="Which exceptions are behind the failures?",
            description="Failed requests per second by the class of the exception.",
            unit="reqps",
            queries=(
                Query(
                    f"sum by ({ONE_VERSION}, error_type) ({rate('model_inference_exceptions_total')})",
                    f"{{{{error_type}}}} {NAMED_VERSION}",
                ),
            ),
            waits_for="Waits for a first failure",
            no_limit="one class that is new tells more than a number",
            alerts=("HighPredictionErrorRate",),
        ),
        Panel(
            shape="timeseries",
            title="How fast is the error budget being spent?",
            description="1 means that the budget of 30 days lasts 30 days; over an hour and over six hours.",
            unit="short",
            queries=(
                Query(f"slo:burn_rate:1h{{{MODEL}}}", "{{model_name}} {{slo}} {{namespace}} 1 h"),
                Query(f"slo:burn_rate:6h{{{MODEL}}}", "{{model_name}} {{slo}} {{namespace}} 6 h"),
            ),
            waits_for="Waits for the SLO rules",
            thresholds=(
                Threshold(1, YELLOW, "the budget does not last", "1"),
                Threshold(6, RED, "SLOBurnRateHigh fires if it holds for six hours", "6"),
                Threshold(14.4, RED, "SLOBurnRateHigh fires if it holds for an hour", "14.4"),
            ),
            alerts=("SLOBurnRateHigh", "SLOBurnRateSlow"),
        ),
    ),
)

BATCHES_ROW = Row(
    "Are the batches well filled, or do requests wait for nothing?",
    (
        Panel(
            shape="timeseries",
            title="How full are the batches?",
            description="Inputs per batch on average, and the most that a batch may hold.",
            unit="short",
            queries=(
                Query(mean_of("model_inference_batch_size"), f"{NAMED_VERSION} on average"),
                Query(f"max by ({ONE_VERSION}) (model_inference_batch_limit{{{VERSION}}})", f"{NAMED_VERSION} at most"),
            ),
            waits_for=_NO_BATCHER,
            no_limit="the batch limit is a line of its own",
            alerts=("InferenceBatchingMisconfigured",),
        ),
        Panel(
            shape="timeseries",
            title="Why is a batch sent off?",
            description="Batches per second by reason: full, out of patience (timeout), or flushed.",
            unit="ops",
            queries=(
                Query(
                    f"sum by ({ONE_VERSION}, reason) ({rate('model_inference_batches_total')})",
                    f"{{{{reason}}}} {NAMED_VERSION}",
                ),
            ),
            waits_for=_NO_BATCHER,
            no_limit="mostly full with a growing queue asks for larger batches, mostly timeout for more patience",
            alerts=("InferenceBatchingMisconfigured",),
            stacked=True,
        ),
        Panel(
            shape="timeseries",
            title="How many requests wait, and how many are in work?",
            description="Over all replicas; rising while traffic is flat means that the model does not keep up.",
            unit="short",
            queries=(
                Query(
                    f"sum by ({ONE_VERSION}) (avg_over_time({QUEUE}{{{VERSION}}}[$__rate_interval]))",
                    f"{NAMED_VERSION} waiting",
                ),
                Query(
                    f"sum by ({ONE_VERSION}) (avg_over_time({_IN_WORK}{{{VERSION}}}[$__rate_interval]))",
                    f"{NAMED_VERSION} in work",
                ),
            ),
            waits_for=NO_REQUESTS,
            no_limit="it depends on the batch size of the model",
            alerts=("InferenceBatchingMisconfigured",),
        ),
        Panel(
            shape="timeseries",
            title="How much of the latency is waiting?",
            description="Time in the queue, median and p95.",
            unit="s",
            queries=tuple(
                Query(quantile_of("model_inference_queue_time_seconds", q), f"{NAMED_VERSION} {name}")
                for q, name in (("0.5", "p50"), ("0.95", "p95"))
            ),
            waits_for="Waits for a service that reports its queue (record_queue_time)",
            no_limit="compare it with the latency above",
            alerts=("InferenceBatchingMisconfigured", "InferenceHostBound"),
            width=12,
        ),
        Panel(
            shape="timeseries",
            title="How busy are the GPUs of its pods?",
            description="Mean utilisation of the GPUs held by pods that serve the version.",
            unit="percentunit",
            queries=(
                Query(
                    f"avg by ({ONE_VERSION}) (group by (namespace, pod, model_name, model_version)"
                    f' ({REQUESTS}{{{VERSION},pod!=""}}) * on (namespace, pod) group_left ()'
                    ' avg by (namespace, pod) (gpu:utilization_ratio:avg5m{pod!=""}))',
                    NAMED_VERSION,
                ),
            ),
            waits_for=f"{NO_GPU} and services that know their pod",
            base=RED,
            thresholds=(Threshold(0.3, GREEN, "enough; below it, with late answers, look at the batches", "30 %"),),
            alerts=("InferenceBatchingMisconfigured", "InferenceHostBound"),
            width=12,
            maximum=1,
        ),
    ),
)

GENERATIONS_ROW = Row(
    "How fast are generated texts?",
    (
        Panel(
            shape="timeseries",
            title="How long until the first token?",
            description="From the start of a generation to its first token, median and p95.",
            unit="s",
            queries=tuple(
                Query(quantile_of("model_time_to_first_token_seconds", q), f"{NAMED_VERSION} {name}")
                for q, name in (("0.5", "p50"), ("0.95", "p95"))
            ),
            waits_for=_NO_GENERATION,
            no_limit="what a reader accepts depends on the product",
        ),
        Panel(
            shape="timeseries",
            title="How long does each further token take?",
            description="Mean time per output token of a generation, median and p95 over generations.",
            unit="s",
            queries=tuple(
                Query(quantile_of("model_time_per_output_token_seconds", q), f"{NAMED_VERSION} {name}")
                for q, name in (("0.5", "p50"), ("0.95", "p95"))
            ),
            waits_for=_NO_GENERATION,
            no_limit="what a reader accepts depends on the product",
        ),
        Panel(
            shape="timeseries",
            title="How many tokens go in and come out?",
            description="Tokens per second by direction.",
            unit="ops",
            queries=(
                Query(
                    f"sum by ({ONE_VERSION}, direction) ({rate('model_tokens_total')})",
                    f"{{{{direction}}}} {NAMED_VERSION}",
                ),
            ),
            waits_for=_NO_GENERATION,
            no_limit="it is a cost, not a fault",
        ),
    ),
)

MODEL_PAGE = Dashboard(
    uid="infermeter-model",
    title="Model in depth",
    description="One model version: latency, failures, predictions, drift, batches and generations.",
    rows=(NOW_ROW, LATENCY_ROW, ERRORS_ROW, CANARY_ROW, PREDICTIONS_ROW, BATCHES_ROW, GENERATIONS_ROW),
    variables=VARIABLES,
)
