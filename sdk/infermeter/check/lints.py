"""The names of all lints, each with what it is there for in one line; for `--ignore`, `--lints` and for searching."""

from __future__ import annotations

LINTS: dict[str, str] = {
    # files
    "format": "the file is no YAML, JSON or rule file",
    "promtool": "what promtool check rules refuses, with all of its lints fatal",
    "promtool-test": "a test of rules (*.test.yml) that comes out otherwise",
    "syntax": "an expression is no PromQL",
    # names
    "unknown-series": "nothing exports or records the name, so the rule or panel is silent for ever",
    "rare-series": "a name that most exporters leave out",
    "unknown-label": "the series has no such label, so nothing matches",
    "le-spelling": 'le="1" is "1.0" on another way into Prometheus',
    "no-pattern": "a regular expression that is a plain value",
    "lost-label": "grouped or matched by a label that an inner part has already removed",
    "collector-spelling": "one of the two spellings of a collector's counter",
    # windows
    "short-window": "a window with fewer than four scrapes",
    "fixed-window": "a window in a panel that does not follow the zoom",
    "window-as-number": "an increase written as seconds times a rate",
    # arithmetic
    "rate-of-gauge": "rate() of something that is no counter",
    "counter-without-rate": "a counter read as it is: it is about the life of the process",
    "lifetime-ratio": "counters divided without rate()",
    "ratio-per-series": "rates divided series by series: errors by themselves",
    "mean-of-ratios": "an average of ratios, where a quiet replica weighs as much as a busy one",
    "empty-numerator": "a ratio that is missing instead of 0 until the first error",
    "padded-divisor": "a divisor plus a constant, which is wrong at low traffic",
    "zero-divisor": "a divisor filled with 0, which gives Inf",
    "label-sets": "two sides with different labels, which never match",
    "unit-slip": "seconds compared with milliseconds, a percentage with a share, or a panel in another unit",
    "sum-without-count": "a _sum shown as the time of a request",
    "filter-for-a-number": "a comparison that drops series where 0 or 1 was meant",
    # quantiles
    "quantile-per-series": "a quantile per replica",
    "quantile-of-lifetime": "a quantile of counts since the process started",
    "quantile-without-le": "a quantile of something without buckets",
    # rules
    "record-name": "a recorded series that looks like an exported one",
    "recorded-unit": "a recorded series whose name says another unit",
    "group-interval": "a group that is evaluated less often than its series live",
    # alerts
    "alert-comparison": "an alert that compares nothing",
    "alert-for": "an alert that a single evaluation sets off",
    "alert-severity": "an alert without a severity, which is routed nowhere",
    "alert-text": "an alert without words for a person",
    "alert-runbook": "an alert without a page that says what to do",
    "alert-template": "a template with one brace, which is printed as it is",
    "alert-value-label": "the value in a label, which makes each evaluation a new alert",
    "alert-label-lost": "a text that uses a label which the expression removes",
    "alert-per-replica": "an alert about a model per replica",
    "alert-traffic-floor": "a ratio judged at any traffic: one failed request at night pages",
    "alert-healthy": "an alert about a GPU that is well used",
    "alert-sticky": "an alert on a gauge that keeps the last error for ever",
    # dashboards
    "all-value": "All of a variable that hides series without its label",
    "undefined-variable": "a variable that the dashboard does not have",
    "variable-refresh": "a variable that is filled once and misses models that came later",
    "fixed-datasource": "a data source that only one Grafana has",
    "panel-empty": "a panel without a query",
    "panel-title": "a panel without a title",
    "panel-description": "a panel without a description",
    "panel-unit": "a panel without a unit",
    "topk-over-time": "topk in a course over time, where lines come and go",
}
