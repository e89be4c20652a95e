"""The row about batch pipelines: do they run, succeed, and leave fresh data?"""

from __future__ import annotations

from deploy.grafana.source.panels import GREEN, RED, YELLOW, Panel, Query, Row, Threshold

_HERE = '{namespace=~"$namespace"}'
_NAMED = "{{pipeline}} {{namespace}}"
_WAITS = "Waits for a pipeline that reports its runs (pipeline_run), and for the pipeline rules"


def _of(name: str) -> str:
    return f"pipeline:pipeline_{name}{_HERE}"


PIPELINES_ROW = Row(
    "Do the pipelines deliver?",
    (
        Panel(
            shape="bargauge",
            title="Which pipelines are overdue?",
            description="Time since the last success, as a share of the interval in which the next one is expected.",
            unit="percentunit",
            queries=(
                Query(
                    f"(time() - {_of('last_success_timestamp_seconds:max')}) / {_of('expected_interval_seconds:max')}",
                    _NAMED,
                    instant=True,
                ),
            ),
            waits_for=_WAITS,
            thresholds=(
                Threshold(1, YELLOW, "the next success is late", "100 %"),
                Threshold(1.5, RED, "PipelineOverdue fires", "150 %"),
            ),
            alerts=("PipelineOverdue", "PipelineDisappeared"),
            width=6,
            decimals=0,
        ),
        Panel(
            shape="bargauge",
            title="Which share of the runs succeeds?",
            description="Successful runs among all runs of the last day.",
            unit="percentunit",
            queries=(Query(_of("runs_success:ratio_increase1d"), _NAMED, instant=True),),
            waits_for=_WAITS,
            base=RED,
            thresholds=(Threshold(0.95, GREEN, "enough; below it PipelineLowSuccessRate fires", "95 %"),),
            alerts=("PipelineLowSuccessRate",),
            width=6,
            decimals=0,
            maximum=1,
        ),
        Panel(
            shape="bargauge",
            title="How old is the newest data?",
            description="Age of the newest record that a pipeline has processed, as a share of the age it may have.",
            unit="percentunit",
            queries=(
                Query(
                    f"(time() - {_of('data_timestamp_seconds:max')}) / {_of('max_data_age_seconds:max')}",
                    _NAMED,
                    instant=True,
                ),
            ),
            waits_for="Waits for a pipeline that says how old its data is (data_as_of), and for the pipeline rules",
            thresholds=(Threshold(1, RED, "PipelineDataStale fires", "100 %"),),
            alerts=("PipelineDataStale",),
            width=6,
            decimals=0,
        ),
        Panel(
            shape="timeseries",
            title="How long do the runs take?",
            description="Duration of the last run of each pipeline.",
            unit="s",
            queries=(Query(_of("run_duration_seconds:last"), _NAMED),),
            waits_for=_WAITS,
            no_limit="each pipeline has its own; PipelineSlow compares with what was declared or usual",
            alerts=("PipelineSlow",),
            width=6,
        ),
    ),
)
