"""Faults for the lints to find, and a part of what each must be told about it. Every lint has at least one here."""

from __future__ import annotations

REQUESTS = "rate(model_inference_requests_total[5m])"
FAILED = 'rate(model_inference_requests_total{status="error"}[5m])'
SUM = "rate(model_inference_latency_seconds_sum[5m])"
COUNT = "rate(model_inference_latency_seconds_count[5m])"

# expression -> part of a message
EXPRESSIONS = {
    "sum(rate(model_inference_request_total[5m]))": (
        "unknown-series: nothing exports or records model_inference_request_total, so this is always empty; "
        "did you mean model_inference_requests_total?"
    ),
    "avg(DCGM_FI_DEV_MEM_USED)": "nothing exports DCGM_FI_DEV_MEM_USED; use DCGM_FI_DEV_FB_USED, in MiB",
    "DCGM_FI_DEV_FB_USED / DCGM_FI_DEV_FB_TOTAL": "rare-series: dcgm-exporter does not export DCGM_FI_DEV_FB_TOTAL",
    'count({__name__=~"modell_.*"})': "no known series is named like modell_.*",
    'sum(rate(model_inference_requests_total{outcome="error"}[5m]))': "has no label outcome, so nothing matches",
    'sum(rate(model_prediction_confidence_bucket{model_version="1"}[5m]))': "has no label model_version",
    f"sum by (model) ({REQUESTS})": "grouped or matched by model, which no series here has; did you mean model_name?",
    f"sum by (model_name) (sum by (model_version) ({REQUESTS}))": "lost-label: groups by model_name, which the",
    f"sum by (job) ({REQUESTS}) * on (pod) group_left () sum by (job) (up)": "matches on pod, which one side has",
    "sum(rate(otelcol_exporter_send_failed_metric_points[5m]))": "collector-spelling: half of all collectors call it",
    "sum(rate(model_inference_in_flight[5m]))": "rate() of model_inference_in_flight, which is no counter",
    "max_over_time(model_inference_requests_total[5m])": "take rate() or increase() first",
    "sum(model_inference_requests_total) > 100": "once over it, it stays over it until the process restarts",
    "sum(rate(model_inference_requests_total[30s]))": "fewer than four scrapes",
    f"300 * sum({REQUESTS})": "use increase()",
    f"{FAILED} / {REQUESTS}": "aggregate both sides with the same by() first",
    f"sum({SUM} / {COUNT})": "aggregate both sides with the same by() first",
    f"sum({SUM}) / (1 + sum({COUNT}))": "wrong at low traffic",
    f"sum({SUM}) / clamp_min(sum({COUNT}), 1)": "wrong at low traffic",
    f"sum({SUM}) / (sum({COUNT}) or vector(0))": "filled with 0, which gives Inf",
    f"sum({FAILED}) / sum({REQUESTS})": "write (part or 0 * all) / (all > 0)",
    f"sum by (model_name) ({SUM}) / sum by (model_version) ({COUNT})": "the sides have different labels (model_name; ",
    "avg(model_inference_latency_seconds_sum) / avg(model_inference_latency_seconds_count)": "lifetime-ratio",
    f"avg(sum by (instance) ({SUM}) / sum by (instance) ({COUNT}))": "a quiet replica weigh as much",
    "avg(model_version:model_inference_errors:ratio_rate5m)": "mean-of-ratios",
    f"1 - avg by (pod) ({REQUESTS} > 0)": "filter-for-a-number: > drops series instead of giving 0 or 1",
    "histogram_quantile(0.99, rate(model_inference_latency_seconds_bucket[5m]))": "a quantile per replica",
    "histogram_quantile(0.99, sum by (le) (model_inference_latency_seconds_bucket))": "since each process started",
    "histogram_quantile(0.99, sum by (model_name) (rate(model_inference_latency_seconds_bucket[5m])))": "without le",
    "histogram_quantile(0.9, sum by (le) (rate(model_inference_latency_seconds_bucket[5m]))) > 2000": "write 2",
    "histogram_quantile(0.99, sum by (le) (rate(model_inference_latency_seconds_bucket[5m]))) > 500": "write 0.5",
    "model_version:model_inference_latency_seconds:p99_rate5m > 250": "compares seconds with 250, which looks like",
    "500 < max(model_version:model_inference_latency_seconds:p99_rate5m)": "write 0.5",
    f"sum by (model_name) ({SUM}) / sum by (model_name) ({COUNT}) > 200": "write 0.2",
    "histogram_quantile(99, sum by (le) (rate(model_inference_latency_seconds_bucket[5m])))": "write 0.99",
    "avg(DCGM_FI_DEV_GPU_UTIL) < 0.3": "compares a percentage with 0.3, which looks like a share; write 30",
    'sum(rate(model_inference_latency_seconds_bucket{le="1"}[5m]))': "use the recorded series",
    'sum(rate(model_inference_requests_total{status=~"error"}[5m]))': "is no pattern; use = for one value",
    "sum(rate(model_inference_requests_total[$__rate_interval]))": "does not parse",
}

SOUND_EXPRESSIONS = [
    f"(sum by (job) ({FAILED}) or 0 * sum by (job) ({REQUESTS})) / (sum by (job) ({REQUESTS}) > 0)",
    "histogram_quantile(0.99, sum by (namespace, le) (rate(model_inference_latency_seconds_bucket[5m]))) > 0.5",
    "histogram_quantile(0.9, sum by (le) (rate(model_inference_latency_seconds_bucket[5m]))) > 80",
    f"sum by (model_name) ({SUM}) / sum by (model_name) ({COUNT}) > 2",
    'count by (job) ({__name__=~"(model|pipeline)_[^:]+"})',
    "time() - max by (pipeline) (last_over_time(pipeline_last_success_timestamp_seconds[7d])) > 86400",
    "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)",
    f"1 - avg by (pod) ({REQUESTS} > bool 0)",
    'sum(rate({__name__=~"otelcol_exporter_send_failed_metric_points(_total)?"}[5m]))',
]

_RATIO = "model_version:model_inference_errors:ratio_rate5m"
SOUND_ALERT = {
    "alert": "TooManyErrors",
    "expr": f"{_RATIO} > 0.05 and model_version:model_inference_valid:increase5m > 100",
    "for": "5m",
    "labels": {"severity": "warning"},
    "annotations": {
        "summary": "{{ $labels.model_name }} fails",
        "description": "{{ $value | humanizePercentage }} of its requests fail.",
        "runbook_url": "https://example.org/TooManyErrors",
    },
}
# what differs from the sound alert -> part of a message
ALERTS: dict[str, tuple[dict[str, object], str]] = {
    "no severity": ({"labels": {}}, "alert-severity: has no label severity, so it is routed nowhere"),
    "no words": ({"annotations": {"runbook_url": "x"}}, "alert-text: has no summary"),
    "no runbook": ({"annotations": {"summary": "a", "description": "b"}}, "alert-runbook: has no runbook_url"),
    "at once": ({"for": "0s"}, "alert-for: has no `for`, so a single evaluation pages"),
    "nothing compared": ({"expr": _RATIO}, "alert-comparison: compares nothing"),
    "one brace": (
        {"annotations": {**SOUND_ALERT["annotations"], "summary": "{ $labels.model_name }}"}},  # type: ignore[dict-item]
        "alert-template: has a template with one brace",
    ),
    "value in a label": (
        {"labels": {"severity": "warning", "seen": "{{ $value }}"}},
        "alert-value-label: has its value in a label",
    ),
    "label that is gone": (
        {"expr": f"sum by (model_name) ({REQUESTS}) > 5", "annotations": {"summary": "{{ $labels.pod }}"}},
        "alert-label-lost: its texts use pod, which the expression removes",
    ),
    "one page per replica": (
        {"expr": "sum by (instance) (rate(model_inference_exceptions_total[5m])) > 5"},
        "alert-per-replica: keeps instance, so one problem of a model pages once per replica",
    ),
    "any traffic": ({"expr": f"{_RATIO} > 0.05"}, "alert-traffic-floor: judges a ratio at any traffic"),
    "a GPU that works": ({"expr": "avg(DCGM_FI_DEV_GPU_UTIL) > 95"}, "alert-healthy: pages when a GPU is well used"),
    "an error that never clears": (
        {"expr": "max(DCGM_FI_DEV_XID_ERRORS) > 0"},
        "alert-sticky: this gauge keeps the last",
    ),
}

# name, expression -> part of a message
RECORDINGS = {
    ("requests_per_second", f"sum({REQUESTS})"): "record-name: requests_per_second looks like something that a service",
    (
        "gpu:accelerator_memory_used_bytes:avg",
        "avg(DCGM_FI_DEV_MEM_COPY_UTIL)",
    ): "recorded-unit: is called bytes and is a percentage",
    (
        "gpu:accelerator_sm_clock_hertz:max",
        "max(DCGM_FI_DEV_SM_CLOCK)",
    ): "recorded-unit: is called hertz and is MHz",
}

SOUND_DASHBOARD = {
    "uid": "team",
    "templating": {
        "list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus"},
            {
                "name": "model",
                "type": "query",
                "includeAll": True,
                "allValue": ".*",
                "refresh": 2,
                "query": {"query": "label_values(model_inference_requests_total, model_name)"},
            },
        ]
    },
    "panels": [
        {
            "type": "timeseries",
            "title": "How many requests?",
            "description": "Requests per second.",
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "fieldConfig": {"defaults": {"unit": "reqps"}},
            "targets": [
                {
                    "refId": "A",
                    "expr": 'sum(rate(model_inference_requests_total{model_name=~"$model"}[$__rate_interval]))',
                }
            ],
        }
    ],
}
_QUERY = "panels.0.targets.0.expr"
_RATE = "[$__rate_interval]"
# path and what stands there instead -> part of a message
DASHBOARDS: dict[str, tuple[dict[str, object], str]] = {
    "a name that nothing exports": (
        {_QUERY: f"sum(rate(model_inference_request_total{_RATE}))"},
        "unknown-series: nothing exports or records model_inference_request_total, so this is always empty",
    ),
    "All is a list": ({"templating.list.1.allValue": ""}, "all-value: All of $model means the list of its values"),
    "filled once": ({"templating.list.1.refresh": 1}, "variable-refresh: $model is filled once"),
    "a variable about nothing": (
        {"templating.list.1.query": {"query": "label_values(model_inference_requests_total, model)"}},
        "unknown-label: grouped or matched by model, which no series here has; did you mean model_name?",
    ),
    "a variable that is not there": (
        {_QUERY: f'sum(rate(model_inference_requests_total{{pod=~"$exported_namespace"}}{_RATE}))'},
        "undefined-variable: $exported_namespace is no variable of this dashboard",
    ),
    "somebody's data source": (
        {"panels.0.datasource": {"type": "prometheus", "uid": "PBFA97CFB590B2093"}},
        "fixed-datasource: reads the data source PBFA97CFB590B2093, which only one Grafana has",
    ),
    "no title": ({"panels.0.title": ""}, "panel-title: a panel without a title"),
    "no description": ({"panels.0.description": ""}, "panel-description: has no description"),
    "no unit": ({"panels.0.fieldConfig": {}}, "panel-unit: has no unit, so that 0.2 may be anything"),
    "no query": ({"panels.0.targets": []}, "panel-empty: a panel that asks nothing"),
    "a window of its own": (
        {_QUERY: "sum(rate(model_inference_requests_total[5m]))"},
        "fixed-window: a fixed window has gaps or hides detail at another zoom",
    ),
    "lines that come and go": (
        {_QUERY: f"topk(5, sum by (model_name) (rate(model_inference_requests_total{_RATE})))"},
        "topk-over-time: picks other series at each step",
    ),
    "a percentage as a share": (
        {_QUERY: "avg(DCGM_FI_DEV_GPU_UTIL)", "panels.0.fieldConfig.defaults.unit": "percentunit"},
        "unit-slip: shows percent in the unit percentunit; use the unit percent",
    ),
    "time per second as time per request": (
        {
            _QUERY: f"sum(rate(model_inference_queue_time_seconds_sum{_RATE}))",
            "panels.0.fieldConfig.defaults.unit": "s",
        },
        "sum-without-count: shows the rate of a _sum as a time",
    ),
}

# text of a file -> part of a message, with the line it must name
FILES = {
    ("rules.yml", "groups:\n  - name: g\n   rules: []\n"): "rules.yml:3: format: is not YAML: ",
    ("rules.yml", "groups:\n  - name: g\n    rules:\n      - alert: A\n"): "rules.yml:4: format: a rule needs an expr",
    ("second.json", '{"apiVersion": "x", "spec": {"elements": {}, "layout": {}}}'): (
        "second.json:1: format: is a dashboard of Grafana's second schema, which is not read yet"
    ),
    (
        "page.json",
        '{"panels": [{"type": ["x"], "targets": [], "title": null}]}',
    ): "page.json:1: panel-empty: a panel that",
    ("dashboard.json", '{\n  "panels": [\n}\n'): "dashboard.json:3: format: is not JSON",
    (
        "rules.yml",
        "groups:\n  - name: g\n    interval: 10m\n    rules:\n      - {record: 'a:b:c', expr: up}\n",
    ): "rules.yml:4: group-interval: group g is evaluated every 600 s, and a series is gone after 300 s",
    (
        "rules.yml",
        "groups:\n  - name: g\n    rules:\n      - {record: 'a:b:c', expr: up}\n      - {record: 'a:b:c', expr: up}\n",
    ): "rules.yml:5: promtool: lint error 1 duplicate rule(s) found",
    (
        "rules.yml",
        (
            "groups:\n  - name: g\n    rules:\n      - record: a:b:c\n        expr: up\n"
            "      - alert: A\n        expr: up == 0\n        annotations: {x: '{{ $labels.job }'}\n"
        ),
    ): "rules.yml:6: promtool: ",
    (
        "manifest.yaml",
        (
            "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: x}\nspec:\n  groups:\n"
            "    - name: g\n      rules:\n"
            "        - record: a:b:c\n          expr: sum(rate(model_inference_request_total[5m]))\n"
        ),
    ): "manifest.yaml:9: unknown-series: nothing exports or records model_inference_request_total",
    (
        "page.md",
        "# Page\n\n```promql\nmodel_inference_inflight\n```\n",
    ): "page.md:4: unknown-series: nothing exports or",
    (
        "rules.test.yml",
        (
            "rule_files: []\ntests:\n  - input_series: [{series: up, values: '1x5'}]\n    name: 'silent: all is up'\n"
            "    promql_expr_test: [{expr: up, eval_time: 1m, exp_samples: [{labels: up, value: 0}]}]\n"
        ),
    ): 'rules.test.yml:5: promtool-test: expr: "up", time: 1m, exp: {__name__="up"} 0E+00 got: {__name__="up"} 1E+00;',
    (
        "alerts.test.yml",
        (
            "rule_files: []\ntests:\n  - input_series: [{series: up, values: '1x5'}]\n    name: 'fires: down'\n"
            "    alert_rule_test: [{alertname: A, eval_time: 1m, exp_alerts: [{exp_labels: {x: y}}]}]\n"
        ),
    ): "alerts.test.yml:4: promtool-test: fires: down alertname: A, time: 1m, exp:[",
    ("rules.test.yml", "tests: ["): "rules.test.yml:1: promtool-test: FAILED: yaml: ",
}
