"""Every query of every dashboard, asked of a Prometheus that watches the fleet, and every rule, over both ways into it.

Both ways: Prometheus scrapes the collector, or the collector pushes to Prometheus's own receiver.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from tests.contract.dashboard_files import DASHBOARDS, PanelQuery, all_queries
from tests.contract.rule_files import recordings
from tests.pipeline.conftest import StartStack
from tests.pipeline.live_stack import LiveStack, eventually
from tests.pipeline.otlp_payloads import metric, request, resource

from infermeter.check.dashboard_files import read_dashboard, substituted
from infermeter.check.known_series import ANNOUNCED
from infermeter.check.promql import parse, selectors
from infermeter.cli.stack.loopback import get_json

pytestmark = pytest.mark.pipeline

Recorded = frozenset[tuple[str, ...]]

SPEED = 20
# The month of an error budget is read at the full hours, which are three minutes apart here, from events of five
# minutes, recorded every two: all are there two of those hours after the start at the latest.
DATA_WITHIN_S = 2 * 3600 / SPEED + 60
MODELS = ("biopsy", "wine", "digits", "assistant")
# What is empty while nothing is wrong, by panel and letter of the query, and why.
EMPTY_WHEN_ALL_IS_WELL = {
    ("How busy is the memory of each GPU?", "B"): "the newer generation of names; the fleet's GPUs have the older one",
    ("Which GPUs have reported an error?", "A"): "no GPU has",
    ("Where and why are measurements lost?", "A"): "none are",
}
# The same where Prometheus scrapes the collector, which then has nothing to send.
EMPTY_WHEN_SCRAPED = {
    ("How full is the collector's queue?", "A"): "there is no queue",
}
# Recordings that have nothing to say about a fleet that is well, and why.
NOT_RECORDED = {
    "collector_exporter:enqueue_failed_metric_points:rate5m": "nothing has failed, or nothing is sent",
    "collector_exporter:send_failed_metric_points:rate5m": "nothing has failed, or nothing is sent",
    "gpu:unallocated:group": "every GPU is held by a pod",
    "gpu_xid:critical_errors:group": "no GPU has reported an error",
    "model_feature:drift_psi_significant:1h": "no feature has drifted, or one has by chance for a moment",
    "model_version:slow_while_gpu_idle:ratio": "no model is slow",
    **dict.fromkeys(
        (
            "model_feature_bin:model_feature_this_week:increase1h",
            "model_feature_bin:model_feature_this_week:ratio1h",
            "model_feature_bin:model_feature_week_ago:increase1h",
            "model_feature_bin:model_feature_week_ago:ratio1h",
            "model_feature:drift_week_psi:1h",
            "model_feature:drift_week_psi_null:1h",
            "model_feature:drift_week_psi_significant:1h",
        ),
        "compares with a week ago, which the fleet has not seen",
    ),
}


class Missing(list[str]):
    """True when nothing is missing, and shows what is."""

    def __bool__(self) -> bool:
        return not len(self)


@pytest.mark.timeout(1200)
def test_every_query_has_data_and_every_rule_records_the_same_over_both_ways(start_stack: StartStack) -> None:
    over_scrapes = watched(start_stack, "scrape")
    over_otlp = watched(start_stack, "otlp", until_recorded=over_scrapes)
    assert over_scrapes <= over_otlp


def watched(start_stack: StartStack, profile: str, until_recorded: Recorded = frozenset()) -> Recorded:
    """Watch a fleet until everything is there, and return what the rules recorded."""
    live = start_stack(example=False, fleet=True, console=False, profile=profile, speed=SPEED)
    may_be_empty = EMPTY_WHEN_ALL_IS_WELL.keys() | (EMPTY_WHEN_SCRAPED.keys() if profile == "scrape" else set())
    panels = Panels(live, may_be_empty)
    eventually(f"data for every query ({profile})", panels.missing, timeout_s=DATA_WITHIN_S)
    eventually(f"series of every rule ({profile})", lambda: Missing(unrecorded(live)), timeout_s=DATA_WITHIN_S)
    assert unhealthy(live) == []
    assert choices_without_values(live) == []
    eventually(
        f"what was recorded the other way ({profile})",
        lambda: Missing(map(" ".join, until_recorded - recorded(live))),
        timeout_s=DATA_WITHIN_S,
    )
    found = recorded(live)
    live.stack.stop()
    return found


def test_without_data_every_rule_is_healthy(start_stack: StartStack) -> None:
    live = start_stack(example=False, console=False, speed=SPEED)
    eventually("an evaluation of every rule", lambda: Missing(unhealthy(live)), timeout_s=60)


class Panels:
    """Which queries have had data for All, and for one model; what has had some once need not have it again."""

    def __init__(self, live: LiveStack, may_be_empty: Collection[tuple[str, str]]) -> None:
        def wanted(values: dict[str, str]) -> dict[str, PanelQuery]:
            queries = [query for query in all_queries(values) if (query.panel, query.ref) not in may_be_empty]
            return {place(query): query for query in queries if not announced(query)}

        self._live = live
        self._for_all = wanted({})
        self._for_one = {model: wanted({"model": model}) for model in MODELS}

    def missing(self) -> Missing:
        """Ask again for what has had no data yet."""
        self._send_restarts()
        self._for_all = self._still_empty(self._for_all)
        shown = self._for_one[MODELS[0]].keys()
        for model in MODELS:
            self._for_one[model] = self._still_empty(
                {key: query for key, query in self._for_one[model].items() if key in shown}
            )
            shown = self._for_one[model].keys()  # the next model need only fill what this one leaves empty
        return Missing(sorted([f"All: {key}" for key in self._for_all] + [f"one model: {key}" for key in shown]))

    def _still_empty(self, queries: dict[str, PanelQuery]) -> dict[str, PanelQuery]:
        return {key: query for key, query in queries.items() if not self._live.query(query.expr)}

    def _send_restarts(self) -> None:
        """Say what kube-state-metrics would say of a pod of the fleet."""
        labels = {"namespace": "demo", "pod": "digits-0", "container": "main"}
        restarts = metric("kube_pod_container_status_restarts_total", "counter", 1, labels)
        assert self._live.send(request(resource(service__name="kube-state-metrics"), restarts)) == 200


def place(query: PanelQuery) -> str:
    return f"{query.dashboard}: {query.panel} ({query.ref})"


def announced(query: PanelQuery) -> bool:
    """Say whether a query reads what no rule records yet."""
    names = {selector.name for selector in selectors(parse(query.expr))}
    return bool(names & ANNOUNCED.keys() - {rule.name for rule in recordings()})


def choices_without_values(live: LiveStack) -> list[str]:
    """Return the variables at the top of a page that offer nothing."""
    empty: list[str] = []
    for file in sorted(DASHBOARDS.glob("*.json")):
        dashboard = read_dashboard(file)
        assert dashboard is not None
        for variable in dashboard.variables():
            if variable.labels_asked:
                series, label = variable.labels_asked
                values = live.query(f"group by ({label}) ({substituted(series, {})})")
                if not any(labels.get(label) for labels, _ in values):
                    empty.append(f"{file.name}: ${variable.name}")
    return empty


def unhealthy(live: LiveStack) -> list[str]:
    """Return the rules that fail or have not been evaluated yet, with what Prometheus says."""
    answer: Any = get_json(f"{live.prometheus_url}/api/v1/rules", timeout_s=10)
    rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    assert rules
    return [f"{rule['name']}: {rule.get('lastError', '')}" for rule in rules if rule["health"] != "ok"]


def recorded(live: LiveStack) -> Recorded:
    """Return recorded series but those that come by chance: name and labels, without those of the reporting process."""
    rows = [labels for labels, _ in live.query('{__name__=~".+:.+"}')]
    return frozenset(
        tuple(f"{name}={value}" for name, value in sorted(labels.items()) if name not in {"job", "instance"})
        for labels in rows
        if labels["__name__"] not in NOT_RECORDED
    )


def unrecorded(live: LiveStack) -> set[str]:
    """Return the recordings without a series."""
    names = {labels["__name__"] for labels, _ in live.query('{__name__=~".+:.+"}')}
    return {rule.name for rule in recordings()} - names - NOT_RECORDED.keys()


def test_what_may_be_empty_or_unrecorded_still_exists() -> None:
    places = {(query.panel, query.ref) for query in all_queries()}
    assert EMPTY_WHEN_ALL_IS_WELL.keys() | EMPTY_WHEN_SCRAPED.keys() <= places
    assert NOT_RECORDED.keys() <= {rule.name for rule in recordings()}
