"""Nothing is recorded for nobody: a rule, a panel or a runbook reads each series that is not marked internal."""

from __future__ import annotations

import pytest
from tests.contract.dashboard_files import DASHBOARDS, all_queries
from tests.contract.rule_files import RUNBOOKS, rules

from infermeter.catalog import CATALOG, Metric
from infermeter.check.dashboard_files import read_dashboard, substituted
from infermeter.check.foreign_series import FOREIGN
from infermeter.check.promql import parse, selectors
from infermeter.check.runbook_files import queries_in

# Foreign names that are known so that users' own rules may read them, though ours do not; and who has them.
FOR_USERS = {
    "alertmanager_": "Alertmanager about itself",
    "kube_": "kube-state-metrics",
    "otelcol_": "the collector about itself",
    "prometheus_": "Prometheus about itself",
    "scrape_": "Prometheus about a scrape",
    "DCGM_": "dcgm-exporter or the SDK",
    "gpu_": "the SDK about GPUs",
}


def read_by_our_files() -> set[str]:
    """Return every name that a rule, a panel, a variable or a runbook reads."""
    expressions = [expr for rule in rules() for expr in (rule.expr, *rule.template_queries)]
    expressions += [query.expr for query in all_queries()]
    for file in DASHBOARDS.glob("*.json"):
        dashboard = read_dashboard(file)
        assert dashboard is not None
        asked = [variable.labels_asked for variable in dashboard.variables()]
        expressions += [substituted(series, {}) for series, _ in filter(None, asked)]
    expressions += [query for page in RUNBOOKS.glob("*.md") for _, query in queries_in(page)]
    return {selector.name for expression in expressions for selector in selectors(parse(expression))}


READ = read_by_our_files()


def series_of(metric: Metric) -> set[str]:
    parts = ("bucket", "count", "sum") if metric.kind == "histogram" else ()
    return {f"{metric.name}_{part}" for part in parts} or {metric.name}


@pytest.mark.parametrize("metric", [m for m in CATALOG if not m.internal], ids=lambda metric: metric.name)
def test_what_is_recorded_about_models_is_read_by_a_rule_a_panel_or_a_runbook(metric):
    assert series_of(metric) & READ, "record it for somebody: use it, or mark it internal and say in its help what for"


def test_losses_and_exports_of_the_sdk_are_watched_though_they_are_internal():
    assert {
        "infermeter_dropped_total",
        "infermeter_exports_total",
        "infermeter_series",
        "infermeter_series_limit",
    } <= READ


def test_a_foreign_name_that_nothing_reads_is_known_for_a_reason():
    unread = FOREIGN.keys() - READ - {"up", "ALERTS"}
    assert [name for name in unread if not name.startswith(tuple(FOR_USERS))] == []
