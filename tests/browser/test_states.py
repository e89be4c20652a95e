"""What the page says when there is nothing to show: Prometheus away, nothing measured yet, a panel nobody knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Route, expect
from tests.browser.conftest import Window, keep
from tests.browser.looking import panels
from tests.console.running_console import AskedHandler, Console, StandIn, answer

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=window.pwned=1>"
LABELS = {"model_name": HOSTILE, "le": "0.5", "gpu": "0"}


def question(handler: AskedHandler) -> dict[str, str]:
    """Return what the page asked, by name."""
    _, _, query = handler.asked.target.partition("?")
    return {name: values[-1] for name, values in parse_qs(handler.asked.body.decode() or query).items()}


def known_samples(handler: AskedHandler) -> None:
    """Answer ranges with 0, 1, 2 … and a last point of 42, instants with 7, labels with two values."""
    asked = question(handler)
    if "/query_range" in handler.path:
        start, end, step = (float(asked[name]) for name in ("start", "end", "step"))
        count = int((end - start) / step) + 1
        values = [[start + i * step, str(i % 5)] for i in range(count - 1)] + [[end, "42"]]
        data: Any = {"resultType": "matrix", "result": [{"metric": LABELS, "values": values}]}
    elif "/query" in handler.path:
        data = {"resultType": "vector", "result": [{"metric": LABELS, "value": [float(asked["time"]), "7"]}]}
    elif "/rules" in handler.path:
        data = {"groups": []}
    else:
        data = ["fraud", "digits"]
    answer(handler, 200, json.dumps({"status": "success", "data": data}))


def empty(handler: AskedHandler) -> None:
    kind = "matrix" if "/query_range" in handler.path else "vector"
    data: Any = {"resultType": kind, "result": []} if "/query" in handler.path else []
    data = {"groups": []} if "/rules" in handler.path else data
    answer(handler, 200, json.dumps({"status": "success", "data": data}))


def panel(number: int, kind: str, title: str, **field: Any) -> dict[str, Any]:
    """Return a small panel; `format` and `instant` are of its query."""
    query = {"expr": "x", "refId": "A", "legendFormat": "{{model_name}}"}
    query |= {name: field.pop(name) for name in ("format", "instant") if name in field}
    return {
        "id": number, "type": kind, "title": title, "targets": [query], "options": field.pop("options", {}),
        "fieldConfig": {"defaults": field, "overrides": []},
        "gridPos": {"x": (number % 4) * 6, "y": number // 4 * 6, "w": 6, "h": 6},
    }  # fmt: skip


THRESHOLDS = {"mode": "absolute", "steps": [{"color": "green", "value": None}, {"color": "red", "value": 10}]}
NUMBERED = {"displayMode": "table", "calcs": ["lastNotNull"]}
EVERY_KIND = {
    "uid": "every-kind", "title": "Every kind", "time": {"from": "now-5m", "to": "now"}, "refresh": "", "panels": [
        panel(1, "stat", "A stat", unit="s"),
        panel(2, "stat", "A share", unit="percentunit", options={"reduceOptions": {"calcs": ["max"]}}),
        panel(3, "gauge", "A gauge", unit="percent", thresholds=THRESHOLDS),
        panel(4, "bargauge", "Bars", unit="bytes"),
        panel(5, "table", "A table", instant=True, format="table", unit="reqps"),
        panel(6, "timeseries", "Lines", unit="short", options={"legend": NUMBERED}),
        panel(7, "heatmap", "A heatmap", format="heatmap", unit="s"),
        panel(8, "piechart", "A ring", instant=True, options={"legend": {"values": ["percent", "value"]}}),
        panel(9, "state-timeline", "States", thresholds=THRESHOLDS),
        panel(10, "text", "A text", options={"mode": "markdown", "content": f"# Hello\n\n{HOSTILE} **bold**"}),
        panel(11, "candlestick", "A stranger"),
    ],
}  # fmt: skip


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def offering(page_dashboard: dict[str, Any]) -> Callable[[Route], None]:
    return lambda route: route.fulfill(json=page_dashboard)


def test_known_samples_give_exactly_these_texts(canned: Console, upstream: StandIn, open_window: Callable[..., Window]):
    upstream.handle = known_samples
    window = open_window(1440, 1000)
    window.page.route("**/api/dashboards/every-kind", offering(EVERY_KIND))
    page = window.open(f"{canned.url}/?d=every-kind")
    shown = {one["title"]: one for one in panels(page).values()}
    keep(page, "every-kind-dark")

    assert shown["A stat"]["text"].replace("\n", "") == "42 s"
    assert shown["A share"]["text"].replace("\n", "") == "4200%"
    assert shown["A gauge"]["told"] == "42%"
    assert lines(shown["Bars"]["text"]) == [HOSTILE, "42 B"]
    assert page.locator("[data-panel='5'] tbody td").all_inner_texts()[1:] == [HOSTILE, "0.5", "0", "7 req/s"]
    assert shown["Lines"]["text"].split() == ["Series", "Last", "*", *HOSTILE.split(), "42"]
    assert shown["A heatmap"]["told"] == "Most counts between 0 s and 500 ms"
    assert shown["A ring"]["text"].split() == [*HOSTILE.split(), "100%", "7"]
    assert shown["States"]["told"] == f"States over time. Now: {HOSTILE} 42"
    assert lines(shown["A text"]["text"]) == ["Hello", f"{HOSTILE} bold"]
    assert (shown["A stranger"]["state"], "open it in Grafana" in shown["A stranger"]["note"]) == ("unknown", True)
    for title in ("A gauge", "Lines", "A heatmap", "A ring", "States"):
        assert shown[title]["ink"] > 50, title
    red = "rgb(255, 115, 131)"
    assert page.locator("[data-panel='3'] .big").evaluate("(node) => getComputedStyle(node).color") == red
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img").count() == 0


def test_one_banner_says_that_prometheus_is_away_and_the_page_recovers(
    canned: Console, upstream: StandIn, open_window: Callable[..., Window]
):
    def away(handler: AskedHandler) -> None:
        handler.close_connection = True

    upstream.handle = away
    window = open_window()
    window.page.goto(f"{canned.url}/?refresh=1s")
    page = window.page
    banner = page.locator(".banner")
    banner.wait_for(state="visible")
    assert "does not answer (it hung up). The page tries again" in banner.inner_text()  # nothing is shown yet
    assert page.get_by_text("Prometheus is away:").count() == 1
    assert page.locator("[data-state=error]").count() == 0
    keep(page, "away-dark")

    upstream.handle = known_samples
    banner.wait_for(state="hidden")
    assert all(one["state"] == "drawn" for one in panels(page).values())
    page.click("[data-picker=model] summary")
    assert page.is_visible("[data-picker=model] label:has-text('fraud')")

    upstream.handle = away
    banner.wait_for(state="visible")
    assert "42" in page.inner_text("main")  # what was known stays
    assert "What is shown is from before" in banner.inner_text()
    window.problems.clear()  # the browser's own lines about the answers 502


def test_an_empty_prometheus_tells_what_to_do(canned: Console, upstream: StandIn, open_window: Callable[..., Window]):
    upstream.handle = empty
    page = open_window().open(canned.url)  # whose refresh is every 30 s
    waiting = page.locator(".waiting")
    waiting.wait_for()
    keep(page, "waiting-dark")
    assert "Waiting for the first samples" in waiting.inner_text()
    assert {"infermeter demo", "infermeter doctor"} <= set(waiting.locator("code").all_inner_texts())

    upstream.handle = known_samples
    waiting.wait_for(state="detached", timeout=15_000)
    page.click("[data-picker=model] summary")
    page.wait_for_selector("[data-picker=model] label:has-text('fraud')")


def test_a_store_that_has_just_begun_is_shown_from_its_beginning(
    canned: Console, upstream: StandIn, open_window: Callable[..., Window]
):
    def young(handler: AskedHandler) -> None:
        if question(handler).get("query") != "count(up)":
            known_samples(handler)
            return
        end = float(question(handler)["end"])
        data = {"resultType": "matrix", "result": [{"metric": {}, "values": [[end - 20, "3"], [end, "3"]]}]}
        answer(handler, 200, json.dumps({"status": "success", "data": data}))

    upstream.handle = young
    window = open_window()
    page = window.open(f"{canned.url}/?refresh=")
    assert page.inner_text("[data-picker=range] summary") == "Last 5 minutes"
    assert "from=" not in page.url

    window.open(f"{canned.url}/?from=now-1h&refresh=")
    assert page.inner_text("[data-picker=range] summary") == "Last hour"


def test_the_page_of_alerts_shows_the_refresh_that_was_chosen(
    canned: Console, upstream: StandIn, open_window: Callable[..., Window]
):
    upstream.handle = known_samples
    page = open_window().open(f"{canned.url}/?view=alerts")
    refresh = page.get_by_label("Refresh every")
    expect(refresh).to_have_value("10s")
    refresh.select_option("1m")
    page.wait_for_url("**refresh=1m**")
    expect(refresh).to_have_value("1m")
    page.go_back()
    expect(refresh).to_have_value("10s")


def test_an_error_of_one_query_stays_in_its_panel(
    canned: Console, upstream: StandIn, open_window: Callable[..., Window]
):
    def handle(handler: AskedHandler) -> None:
        query = question(handler).get("query", "")
        if "topk" in query or query == "count(up)":
            said = {"status": "error", "errorType": "execution", "error": "too many samples"}
            answer(handler, 422, json.dumps(said))
        else:
            known_samples(handler)

    upstream.handle = handle
    window = open_window()
    page = window.open(f"{canned.url}/?refresh=")
    states = [one["state"] for one in panels(page).values()]
    assert states.count("error") == 1
    assert page.inner_text("[data-state=error] .note") == "too many samples"
    assert page.locator(".banner").is_hidden()
    assert page.inner_text(".status") == "1 panel failing"
    window.problems.clear()  # the browser's own line about the answer 422


def test_nothing_is_asked_while_nobody_looks(canned: Console, upstream: StandIn, open_window: Callable[..., Window]):
    upstream.handle = known_samples
    page = open_window().open(f"{canned.url}/?refresh=1s")
    page.evaluate("""() => {
        Object.defineProperty(document, 'hidden', { get: () => true, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }""")
    page.wait_for_load_state("networkidle")
    before = sum("query" in one.target for one in upstream.asked)
    page.evaluate("new Promise((done) => setTimeout(done, 2500))")  # two and a half times the refresh interval
    assert sum("query" in one.target for one in upstream.asked) == before
