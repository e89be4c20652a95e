"""The committed dashboards: equal to their source, complete, and readable by a person who has never seen them."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from deploy.grafana.source.build import TARGET, main, outdated, rendered
from tests.contract.dashboard_files import all_queries, dashboards, panels
from tests.contract.rule_files import alerts
from tests.contract.shipped import KNOWN, findings

from infermeter.check.promql import parse, selectors

# The four rows and thirteen panels that were asked for, in order, and the panel that answers each.
REQUIRED_ROWS = {
    "Is everything well?": {
        "total requests/s (all models)": "How many requests per second do all models get?",
        "overall error rate": "Which share of the requests fails?",
        "active model versions": "How many model versions are active?",
        "GPU cluster utilisation": "How busy are the GPUs of the cluster?",
    },
    "How long do answers take?": {
        "p50 / p95 / p99 by model": "How slow are the median, the slow and the slowest answers (p50, p95, p99)?",
        "latency heatmap over time": "How are the latencies spread over time?",
        "SLA compliance in per cent": "Which share of the answers is within the SLA?",
    },
    "Do the models still predict as they should?": {
        "prediction confidence distribution": "How confident are the predictions?",
        "prediction class distribution": "Which classes are predicted, and in what shares?",
        "feature drift indicators": "Which features have drifted most from the training data?",
    },
    "Does the infrastructure keep up?": {
        "GPU memory by node": "How much GPU memory is used on each node?",
        "pod restart count": "How often did pods that serve the models restart?",
        "queue depth (if batching)": "How many requests wait, and how many are in work?",
    },
}
FURTHER_ROWS = ["Do the pipelines deliver?"]
UNITS = {"reqps", "ops", "percentunit", "short", "s", "bytes", "celsius", "watt", "joule"}
# What the page of the local stack draws (deploy/console).
SHAPES = {"stat", "timeseries", "heatmap", "bargauge", "gauge", "piechart", "table", "state-timeline"}
# Alerts that a page names before their rules are there. A line goes when they are.
ANNOUNCED_ALERTS: set[str] = set()
WITHOUT_A_PANEL = {
    "DoctorCanary": "there only while infermeter doctor runs",
    "Watchdog": "always on",
}
COMPARES_ALL_VERSIONS = {
    "How is the traffic split between the versions?",
    "Does one version fail more than the others?",
    "Is a difference to the usual version more than chance?",
}
_ALERT_IN_TEXT = re.compile(
    r"\b((?:Canary|Collector|Confidence|Drift|Feature|GPU|High|Inference|Low|Many|Model|Pipeline|Prediction|Rule|SLA|SLO"
    r"|Scrape|Telemetry)(?:[A-Z][A-Za-z]+)+)\b"
)

every_dashboard = pytest.mark.parametrize("dashboard", dashboards().values(), ids=lambda d: d["uid"])
every_panel = pytest.mark.parametrize(
    "panel", [p for d in dashboards().values() for p in panels(d)], ids=lambda p: p["title"]
)
every_query = pytest.mark.parametrize("query", all_queries(), ids=lambda q: f"{q.panel} {q.ref}")


def test_committed_dashboards_equal_what_their_source_gives():
    assert outdated() == [], "run python -m deploy.grafana.source.build"


def test_a_dashboard_edited_by_hand_or_without_a_source_is_noticed(tmp_path):
    for name, text in rendered().items():
        (tmp_path / name).write_text(text.replace('"refresh": "30s"', '"refresh": "5s"'), encoding="utf-8")
    (tmp_path / "foreign.json").write_text("{}", encoding="utf-8")
    assert outdated(tmp_path) == sorted([*rendered(), "foreign.json"])


def test_the_check_of_the_builder_agrees(capsys):
    assert main(["--check"]) == 0
    assert main(["--wrong"]) == 2
    assert "build [--check]" in capsys.readouterr().err
    assert TARGET.is_dir()


def test_the_overview_has_the_four_rows_and_thirteen_panels_asked_for_in_order():
    rows: dict[str, list[str]] = {}
    for panel in dashboards()["overview.json"]["panels"]:
        if panel["type"] == "row":
            titles = rows.setdefault(panel["title"], [])
        else:
            titles.append(panel["title"])
    assert list(rows) == [*REQUIRED_ROWS, *FURTHER_ROWS]
    required = {row: list(asked.values()) for row, asked in REQUIRED_ROWS.items()}
    assert {row: titles for row, titles in rows.items() if row in required} == required
    assert sum(map(len, required.values())) == 13


@every_dashboard
def test_ids_and_uid_are_fixed_and_unique(dashboard):
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert sorted(ids) == list(range(1, len(ids) + 1))
    assert "id" not in dashboard, "the id is Grafana's own; the uid is ours"
    assert dashboard["uid"].startswith("infermeter-")


@every_dashboard
def test_panels_neither_overlap_nor_leave_the_page(dashboard):
    boxes = [(p["title"], p["gridPos"]) for p in dashboard["panels"]]
    for (one, a), (other, b) in combinations(boxes, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, f"{one} overlaps {other}"
    assert all(box["x"] >= 0 and box["x"] + box["w"] <= 24 for _, box in boxes)


@every_dashboard
def test_everything_reads_the_data_source_that_was_chosen(dashboard):
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert [source for source in _datasources(dashboard) if source != chosen] == []
    assert dashboard["templating"]["list"][0]["type"] == "datasource"


@every_dashboard
def test_variables_can_mean_all_including_series_without_the_label(dashboard):
    variables = {v["name"]: v for v in dashboard["templating"]["list"] if v["type"] == "query"}
    assert list(variables)[:3] == ["namespace", "model", "version"]
    assert set(variables) <= {"namespace", "model", "version", "host"}
    assert {v["allValue"] for v in variables.values()} == {".*"}
    assert all(v["includeAll"] and v["current"]["value"] == ["$__all"] for v in variables.values())


@every_dashboard
def test_queries_of_variables_ask_for_labels_that_exist(dashboard):
    for variable in dashboard["templating"]["list"][1:]:
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        substituted = re.sub(r"\$\w+", ".*", series)
        assert findings(f"count by ({label}) ({substituted})") == []


@every_panel
def test_the_panel_says_what_it_shows(panel):
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"].endswith("?"), "a title is a question"
    assert panel["description"].endswith(".")
    assert defaults["unit"] in UNITS
    assert defaults["noValue"].startswith("Waits for"), "an empty panel says what it waits for"


@every_panel
def test_every_colour_of_the_panel_has_a_meaning_in_words(panel):
    thresholds = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]
    has_reason = " No limit is drawn: " in panel["description"]
    assert bool(thresholds) != has_reason, "a limit, or the reason why there is none"
    assert panel["description"].count(" on: ") == len(thresholds)
    values = [step["value"] for step in thresholds]
    assert values == sorted(values)


@every_panel
def test_queries_of_the_panel_are_lettered_and_named(panel):
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH"[: len(panel["targets"])])
    assert all(target["legendFormat"] for target in panel["targets"])


@every_panel
def test_the_panel_is_of_a_shape_that_our_own_page_draws(panel):
    assert panel["type"] in SHAPES
    assert panel["transformations"] == []


@every_panel
def test_alerts_that_the_panel_names_exist_and_are_linked_to_their_runbooks(panel):
    exist = {alert.name for alert in alerts()} | ANNOUNCED_ALERTS
    linked = {link["title"].removeprefix("Runbook ") for link in panel["links"]}
    assert linked <= exist
    assert set(_ALERT_IN_TEXT.findall(panel["description"])) <= exist
    for link in panel["links"]:
        assert link["url"] == f"https://infermeter.example/deploy/runbooks/{link['title'].removeprefix('Runbook ')}.md"


def test_every_alert_has_a_panel_that_shows_what_it_watches_and_links_to_its_runbook():
    linked = {
        link["title"].removeprefix("Runbook ") for d in dashboards().values() for p in panels(d) for link in p["links"]
    }
    assert {alert.name for alert in alerts()} - linked - WITHOUT_A_PANEL.keys() == set()


@every_panel
def test_a_click_on_a_series_opens_a_page_that_exists_with_labels_that_the_series_have(panel):
    for link in panel["fieldConfig"]["defaults"].get("links", []):
        uid = re.match(r"/d/([\w-]+)\?", link["url"])[1]
        assert uid in {dashboard["uid"] for dashboard in dashboards().values()}
        page = next(dashboard for dashboard in dashboards().values() if dashboard["uid"] == uid)
        handed_over = set(re.findall(r"&var-(\w+)=", link["url"]))
        assert handed_over <= {variable["name"] for variable in page["templating"]["list"]}


@every_dashboard
def test_a_page_links_to_the_other_pages_and_to_the_runbooks(dashboard):
    pages, runbooks = dashboard["links"]
    assert (pages["tags"], pages["keepTime"], pages["includeVars"]) == (dashboard["tags"], True, True)
    assert runbooks["url"] == "https://infermeter.example/deploy/runbooks/README.md"


@every_panel
def test_a_share_never_starts_or_ends_the_axis_beyond_what_a_share_can_be(panel):
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults.get("max", 1) == 1 or defaults["unit"] != "percentunit"


@every_query
def test_the_query_has_none_of_the_known_mistakes(query):
    assert findings(query.expr) == []


@every_query
def test_windows_follow_the_zoom(query):
    windows = re.findall(r"\[([^\]]*)\]", query.raw)
    allowed = {"$__range"} if query.instant else {"$__rate_interval"}
    assert set(windows) <= allowed, "a fixed window has gaps or hides detail at another zoom"


@every_query
def test_the_choice_of_namespace_model_and_version_filters_what_has_these_labels(query):
    if query.panel in COMPARES_ALL_VERSIONS:
        return
    for selector in selectors(parse(query.expr)):
        filtered = {label for label, _, _ in selector.matchers}
        if selector.name.startswith("model_prediction_confidence"):
            assert {"namespace", "model_name"} <= filtered
        elif "model_version" in (KNOWN.labels(selector.name) or ()):
            assert {
                "namespace",
                "model_name",
                "model_version",
            } <= filtered or query.panel == "How many series does each model cost?"
        elif "model_name" in (KNOWN.labels(selector.name) or ()):
            assert {"namespace", "model_name"} <= filtered


def _datasources(node):
    if isinstance(node, dict):
        if "datasource" in node:
            yield node["datasource"]
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from _datasources(child)
