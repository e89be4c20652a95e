"""Whether the other pages can be believed: what the SDK, the collector and Prometheus lose, and what they cost."""

from __future__ import annotations

from deploy.grafana.source.panels import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    YELLOW,
    Dashboard,
    Panel,
    Query,
    Row,
    Threshold,
)
from deploy.grafana.source.queries import MODEL, VARIABLES

_HERE = '{namespace=~"$namespace"}'
_COLLECTOR_UP = 'up{job=~"infermeter-collector(-.+)?"}'
_NO_SDK = "Waits for a service that uses infermeter"
_NO_COLLECTOR = "Waits for the collector's own metrics (job infermeter-collector-self)"
_NO_PROMETHEUS = "Waits for Prometheus' own metrics (job prometheus)"


def _increase(name: str, labels: str = _HERE) -> str:
    return f"increase({name}{labels}[$__range])"


def _rate(name: str, labels: str = _HERE) -> str:
    return f"rate({name}{labels}[$__rate_interval])"


def _group(expr: str) -> str:
    """Return series of rule groups by the name of the group alone: Prometheus writes the path of its file before it."""
    return f'label_replace({expr}, "rule_group", "$1", "rule_group", ".*;(.*)")'


def _collector(name: str, by: str) -> str:
    """Return a rate of the collector's, whose counters end in _total or not, depending on its version."""
    return f"sum by ({by}) ({_rate(name + '_total', '')} or {_rate(name, '')})"


def _not_sent(name: str) -> str:
    """Return a rate of failures; 0 and not absent before the first one, from when the collector counts them."""
    sent = _collector("otelcol_exporter_sent_metric_points", "exporter")
    return f"{_collector(name, 'exporter')} or 0 * {sent}"


TRUST_ROW = Row(
    "Can the numbers be believed?",
    (
        Panel(
            shape="stat",
            title="How many processes report?",
            description="Processes with the SDK whose series arrive.",
            unit="short",
            queries=(Query(f"count(infermeter_info{_HERE})", "processes"),),
            waits_for=_NO_SDK,
            base=BLUE,
            no_limit="a step down in the small chart is a loss, or a deployment",
            alerts=("ModelReplicasNotReporting", "ModelTelemetryMissing"),
            width=6,
            height=5,
            decimals=0,
        ),
        Panel(
            shape="stat",
            title="How many measurements were lost?",
            description="What the SDK could not record as given, in the time range.",
            unit="short",
            queries=(Query(f"sum({_increase('infermeter_dropped_total')}) or vector(0)", "lost", instant=True),),
            waits_for=_NO_SDK,
            thresholds=(
                Threshold(1, YELLOW, "something is not recorded; below is where and why", "1"),
                Threshold(10, RED, "TelemetryMeasurementsDropped fires if it is within ten minutes", "10"),
            ),
            alerts=("TelemetryMeasurementsDropped",),
            width=6,
            height=5,
            decimals=0,
        ),
        Panel(
            shape="stat",
            title="Which share of the exports fails?",
            description="Exports of the SDK that failed after their retries, among all of the time range.",
            unit="percentunit",
            queries=(
                Query(
                    "(sum(" + _increase("infermeter_exports_total", '{namespace=~"$namespace",outcome="failure"}') + ")"
                    f" or 0 * sum({_increase('infermeter_exports_total')}))"
                    f" / (sum({_increase('infermeter_exports_total')}) > 0)",
                    "failed",
                    instant=True,
                ),
            ),
            waits_for=_NO_SDK,
            thresholds=(
                Threshold(0.01, YELLOW, "charts have gaps", "1 %"),
                Threshold(0.1, RED, "alerts may be blind", "10 %"),
            ),
            width=6,
            height=5,
            decimals=1,
            maximum=1,
        ),
        Panel(
            shape="stat",
            title="How many collector targets answer?",
            description="Addresses of collectors that Prometheus can read, and those that it cannot.",
            unit="short",
            queries=(
                Query(f"sum({_COLLECTOR_UP}) or vector(0)", "answer"),
                Query(f"count({_COLLECTOR_UP} == 0) or vector(0)", "silent"),
            ),
            waits_for=_NO_COLLECTOR,
            base=BLUE,
            no_limit="CollectorMissing fires where none of a job answers",
            alerts=("CollectorMissing", "TelemetryTargetDown"),
            width=6,
            height=5,
            decimals=0,
        ),
    ),
)

SDK_ROW = Row(
    "Does the SDK lose anything?",
    (
        Panel(
            shape="timeseries",
            title="Where and why are measurements lost?",
            description="Measurements per second that could not be recorded as given, by service, place and reason.",
            unit="ops",
            queries=(
                Query(
                    f"sum by (job, where, reason) ({_rate('infermeter_dropped_total')})",
                    "{{job}} {{where}}: {{reason}}",
                ),
            ),
            waits_for="Waits for nothing: no measurement has been lost",
            no_limit="ten within ten minutes are TelemetryMeasurementsDropped",
            alerts=("TelemetryMeasurementsDropped",),
        ),
        Panel(
            shape="timeseries",
            title="Do the exports arrive?",
            description="Exports per second and service, by outcome.",
            unit="ops",
            queries=(Query(f"sum by (job, outcome) ({_rate('infermeter_exports_total')})", "{{job}} {{outcome}}"),),
            waits_for=_NO_SDK,
            no_limit="the share of failures has one, at the top",
            alerts=("TelemetryExportsFailing", "CollectorMissing"),
        ),
        Panel(
            shape="timeseries",
            title="How long does an export take?",
            description="Duration of the last export with its retries, the slowest process of each service.",
            unit="s",
            queries=(Query(f"max by (job) (infermeter_export_duration_seconds{_HERE})", "{{job}}"),),
            waits_for=_NO_SDK,
            thresholds=(
                Threshold(1, YELLOW, "the collector is slow or far away", "1 s"),
                Threshold(3, RED, "exports are given up", "3 s"),
            ),
        ),
    ),
)

COLLECTOR_ROW = Row(
    "Does the collector keep up?",
    (
        Panel(
            shape="timeseries",
            title="How much comes in, and how much goes out?",
            description="Data points per second that collectors accepted and passed on.",
            unit="ops",
            queries=(
                Query(_collector("otelcol_receiver_accepted_metric_points", "receiver"), "in: {{receiver}}"),
                Query(_collector("otelcol_exporter_sent_metric_points", "exporter"), "out: {{exporter}}"),
            ),
            waits_for=_NO_COLLECTOR,
            no_limit="out is far from in when something is lost on the way",
        ),
        Panel(
            shape="timeseries",
            title="What does the collector refuse or fail to pass on?",
            description="Data points per second that were refused (senders try again) or lost.",
            unit="ops",
            queries=(
                Query(_collector("otelcol_receiver_refused_metric_points", "receiver"), "refused: {{receiver}}"),
                Query(_not_sent("otelcol_exporter_send_failed_metric_points"), "not sent: {{exporter}}"),
                Query(_not_sent("otelcol_exporter_enqueue_failed_metric_points"), "queue full: {{exporter}}"),
            ),
            waits_for="Waits for nothing: the collector has refused and lost nothing",
            thresholds=(Threshold(0.05, RED, "CollectorRefusingData or CollectorExportFailing fires", "0.05/s"),),
            alerts=("CollectorRefusingData", "CollectorExportFailing"),
        ),
        Panel(
            shape="timeseries",
            title="How full is the collector's queue?",
            description="Waiting batches as a share of what the queue of an exporter holds.",
            unit="percentunit",
            queries=(
                Query(
                    "max by (exporter) (otelcol_exporter_queue_size / (otelcol_exporter_queue_capacity > 0))",
                    "{{exporter}}",
                ),
            ),
            waits_for="Waits for an exporter with a queue (the profile otlp; an exporter that is scraped has none)",
            thresholds=(Threshold(0.8, RED, "the backend is slower than what comes in", "80 %"),),
            alerts=("CollectorExportFailing",),
            maximum=1,
        ),
    ),
)

SERIES_ROW = Row(
    "Does the number of series stay in bounds?",
    (
        Panel(
            shape="bargauge",
            title="How close are services to their limit of label sets?",
            description="Label sets under the fullest metric name, as a share of what one name may hold.",
            unit="percentunit",
            queries=(
                Query(
                    f"max by (namespace, job) (infermeter_series{_HERE} / (infermeter_series_limit{_HERE} > 0))",
                    "{{job}} {{namespace}}",
                    instant=True,
                ),
            ),
            waits_for=_NO_SDK,
            thresholds=(
                Threshold(0.8, YELLOW, "new label sets will soon be folded into other", "80 %"),
                Threshold(1, RED, "new label sets are folded into other and counted as lost", "100 %"),
            ),
            alerts=("TelemetryCardinalityHigh", "TelemetryMeasurementsDropped"),
            decimals=0,
            maximum=1,
        ),
        Panel(
            shape="timeseries",
            title="Which scrapes are large?",
            description="Samples per scrape and job.",
            unit="short",
            queries=(Query("sum by (job) (scrape_samples_post_metric_relabeling)", "{{job}}"),),
            waits_for=_NO_PROMETHEUS,
            no_limit="TelemetryCardinalityHigh and TelemetryCardinalityGrowing know what is usual",
            alerts=("TelemetryCardinalityHigh", "TelemetryCardinalityGrowing", "ScrapeSampleLimitReached"),
        ),
        Panel(
            shape="timeseries",
            title="How many series does each model cost?",
            description="Series of request counts per model; one model version and replica has two to five of them.",
            unit="short",
            queries=(
                Query(
                    f"count by (namespace, model_name) (model_inference_requests_total{{{MODEL}}})",
                    "{{model_name}} {{namespace}}",
                ),
            ),
            waits_for="Waits for a first request to a model",
            no_limit="a line that grows without a deployment is a label that should not be one",
            alerts=("TelemetryCardinalityGrowing",),
            opens="model",
        ),
    ),
)

PROMETHEUS_ROW = Row(
    "Do the rules keep up?",
    (
        Panel(
            shape="bargauge",
            title="How much of its interval does each group of rules need?",
            description="Duration of the last evaluation as a share of the group's interval, the twenty slowest.",
            unit="percentunit",
            queries=(
                Query(
                    "topk(20, max by (rule_group) ("
                    + _group(
                        "prometheus_rule_group_last_duration_seconds / (prometheus_rule_group_interval_seconds > 0)"
                    )
                    + "))",
                    "{{rule_group}}",
                    instant=True,
                ),
            ),
            waits_for=_NO_PROMETHEUS,
            thresholds=(
                Threshold(0.1, YELLOW, "more than we allow ourselves for 100 models", "10 %"),
                Threshold(0.8, RED, "RuleGroupSlow fires; alerts come late", "80 %"),
            ),
            alerts=("RuleGroupSlow",),
            width=12,
            height=9,
            decimals=1,
        ),
        Panel(
            shape="timeseries",
            title="Do evaluations of rules fail or get left out?",
            description="Failed rule evaluations and missed group evaluations per second.",
            unit="ops",
            queries=(
                Query(
                    f"sum by (rule_group) ({_group(_rate('prometheus_rule_evaluation_failures_total', ''))})",
                    "failed: {{rule_group}}",
                ),
                Query(
                    f"sum by (rule_group) ({_group(_rate('prometheus_rule_group_iterations_missed_total', ''))})",
                    "left out: {{rule_group}}",
                ),
            ),
            waits_for=_NO_PROMETHEUS,
            thresholds=(Threshold(0.001, RED, "RuleEvaluationFailing or RuleGroupSlow fires", "0.001/s"),),
            alerts=("RuleEvaluationFailing", "RuleGroupSlow"),
            width=12,
            height=9,
        ),
        Panel(
            shape="state-timeline",
            title="When did which target not answer?",
            description="Every address that Prometheus reads; 1 is up.",
            unit="short",
            queries=(Query("min by (job, instance) (up)", "{{job}} {{instance}}"),),
            waits_for=_NO_PROMETHEUS,
            base=RED,
            thresholds=(Threshold(1, GREEN, "it answers; below it TelemetryTargetDown fires", "1"),),
            alerts=("TelemetryTargetDown",),
            width=12,
            decimals=0,
        ),
        Panel(
            shape="table",
            title="Which versions of the SDK run?",
            description="Processes by service, version and recorder.",
            unit="short",
            queries=(
                Query(
                    f"count by (namespace, job, version, recorder) (infermeter_info{_HERE})",
                    "Processes",
                    instant=True,
                    table=True,
                ),
            ),
            waits_for=_NO_SDK,
            base=ORANGE,
            thresholds=(Threshold(1, BLUE, "at least one process", "1"),),
            width=12,
            decimals=0,
        ),
    ),
)

TELEMETRY_PAGE = Dashboard(
    uid="infermeter-telemetry-health",
    title="Telemetry health",
    description="What the SDK, the collector and Prometheus lose and cost: whether the other pages can be believed.",
    rows=(TRUST_ROW, SDK_ROW, COLLECTOR_ROW, SERIES_ROW, PROMETHEUS_ROW),
    variables=VARIABLES,
)
