"""Rows about what a model predicts: against the version before it, and against the data it was trained on."""

from __future__ import annotations

from deploy.grafana.source.panels import BLUE, GREEN, RED, YELLOW, Panel, Query, Row, Threshold
from deploy.grafana.source.queries import (
    CONFIDENCE,
    MODEL,
    NAMED_VERSION,
    NO_REFERENCE,
    NO_REQUESTS,
    NO_RULES,
    ONE_VERSION,
    REQUESTS,
    VALUES,
    VERSION,
    drift,
    rate,
    share_of_classes,
)

_CLASSES = f'{VERSION},feature="prediction"'
_MISSING = f'{VERSION},bin="missing"'
_ONE_FEATURE = f"{ONE_VERSION}, feature"
_NAMED_FEATURE = "{{model_name}} {{model_version}} {{feature}}"
_NO_CLASS = "Waits for a prediction that states its class"
_NO_SECOND_VERSION = "Waits for a second version of the model with traffic"

CANARY_ROW = Row(
    "Is a new version as good as the one before?",
    (
        Panel(
            shape="timeseries",
            title="How is the traffic split between the versions?",
            description="Share of each version among the model's requests; all versions, whatever is chosen above.",
            unit="percentunit",
            queries=(
                Query(
                    f"sum by ({ONE_VERSION}) ({rate(REQUESTS, MODEL)}) / on (namespace, model_name) group_left ()"
                    f" (sum by (namespace, model_name) ({rate(REQUESTS, MODEL)}) > 0)",
                    NAMED_VERSION,
                ),
            ),
            waits_for=NO_REQUESTS,
            no_limit="how much a new version gets is a choice",
            maximum=1,
        ),
        Panel(
            shape="timeseries",
            title="Does one version fail more than the others?",
            description="Share of failures per version over 5 minutes; all versions, whatever is chosen above.",
            unit="percentunit",
            queries=(Query(f"model_version:model_inference_errors:ratio_rate5m{{{MODEL}}}", NAMED_VERSION),),
            waits_for=NO_RULES,
            thresholds=(Threshold(0.01, RED, "HighPredictionErrorRate fires if it lasts", "1 %"),),
            alerts=("CanaryErrorRateWorse", "HighPredictionErrorRate"),
            decimals=2,
        ),
        Panel(
            shape="timeseries",
            title="Is a difference to the usual version more than chance?",
            description=(
                "Failures and latency of each version against the one with most traffic, in standard errors: "
                "up to 2 is chance. All versions, whatever is chosen above."
            ),
            unit="short",
            queries=(
                Query(f"model_version:canary_errors:z{{{MODEL}}}", f"{NAMED_VERSION} failures"),
                Query(f"model_version:canary_latency:ks_score{{{MODEL}}}", f"{NAMED_VERSION} latency"),
            ),
            waits_for=_NO_SECOND_VERSION,
            thresholds=(
                Threshold(2.5, YELLOW, "CanaryLatencyWorse fires if 10 % more are late", "2.5"),
                Threshold(4, RED, "CanaryErrorRateWorse fires if 0.5 % more fail", "4"),
            ),
            alerts=("CanaryErrorRateWorse", "CanaryLatencyWorse"),
            decimals=1,
            minimum=None,
        ),
    ),
)

PREDICTIONS_ROW = Row(
    "Does it still predict as it should?",
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
            base=BLUE,
            no_limit="what is usual differs from model to model; a change is what counts",
            alerts=("ConfidenceDistributionShift",),
            height=9,
            decimals=0,
        ),
        Panel(
            shape="piechart",
            title="Which classes were predicted?",
            description="Shares over the whole time range.",
            unit="short",
            queries=(Query(f"sum by (bin) (increase({VALUES}{{{_CLASSES}}}[$__range]))", "{{bin}}", instant=True),),
            waits_for=_NO_CLASS,
            no_limit="what is usual differs from model to model; a change is what counts",
            alerts=("PredictionDistributionShift",),
            height=9,
            decimals=0,
        ),
        Panel(
            shape="timeseries",
            title="Do the shares of the classes change?",
            description="Share of each predicted class; the lines of one model add up to 100 %.",
            unit="percentunit",
            queries=(Query(share_of_classes(), "{{model_name}} {{namespace}} {{bin}}"),),
            waits_for=_NO_CLASS,
            no_limit="what is usual differs from model to model; a change is what counts",
            alerts=("PredictionDistributionShift",),
            height=9,
            maximum=1,
        ),
        Panel(
            shape="timeseries",
            title="When did which feature leave the training data?",
            description="Population stability index over an hour, above what chance alone would give.",
            unit="short",
            queries=(Query(drift(), _NAMED_FEATURE),),
            waits_for=NO_REFERENCE,
            thresholds=(
                Threshold(0.1, YELLOW, "worth a look", "0.1"),
                Threshold(0.2, RED, "FeatureDrift fires if it is more than chance", "0.2"),
            ),
            alerts=("FeatureDrift", "ManyFeaturesDrifted"),
            height=9,
            decimals=2,
        ),
        Panel(
            shape="bargauge",
            title="On how many values is that based?",
            description="Values of each feature in the time range; fewer than 200 in an hour say nothing.",
            unit="short",
            queries=(
                Query(
                    f"sum by ({_ONE_FEATURE}) (increase({VALUES}{{{VERSION}}}[$__range]))", _NAMED_FEATURE, instant=True
                ),
            ),
            waits_for="Waits for a monitored feature, class or confidence",
            base=YELLOW,
            thresholds=(Threshold(200, GREEN, "enough for FeatureDrift, in an hour", "200"),),
            alerts=("DriftReferenceMissing", "DriftReferenceInconsistent"),
            height=9,
            decimals=0,
        ),
        Panel(
            shape="timeseries",
            title="Which features are missing?",
            description="Share of values that are not there (None, NaN, absent key), per feature.",
            unit="percentunit",
            queries=(
                Query(
                    f"(sum by ({_ONE_FEATURE}) ({rate(VALUES, _MISSING)})"
                    f" or 0 * sum by ({_ONE_FEATURE}) ({rate(VALUES)}))"
                    f" / (sum by ({_ONE_FEATURE}) ({rate(VALUES)}) > 0)",
                    _NAMED_FEATURE,
                ),
            ),
            waits_for="Waits for a monitored feature",
            no_limit="how much may be missing is in the reference; missing is a bin that FeatureDrift compares",
            alerts=("FeatureDrift",),
            height=9,
            decimals=1,
            maximum=1,
        ),
    ),
)
