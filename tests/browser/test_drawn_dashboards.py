"""Every panel of every shipped dashboard is drawn, its numbers are Prometheus', and nothing it shows can act."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.browser.conftest import Window, keep
from tests.browser.fleet import HOSTILE
from tests.browser.looking import panels, stat_texts
from tests.browser.running_prometheus import SCRAPE_S, RunningPrometheus
from tests.console.running_console import Console

from infermeter.assets import asset

pytestmark = pytest.mark.browser

DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in asset("deploy/grafana/dashboards").glob("*.json")}
MOST_STRAY_INK = 50  # pixels
MINUTE = "from=now-1m&to=now&refresh="


def panels_of(dashboard: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {panel["id"]: panel for panel in dashboard["panels"] if panel["type"] != "row"}


def filled(expr: str, *, range_s: int = 60) -> str:
    """Fill in Grafana's variables, everything chosen."""
    rate = f"{max(1 + SCRAPE_S, 4 * SCRAPE_S)}s"
    known = {"__rate_interval": rate, "__range": f"{range_s}s", "__range_s": str(range_s), "__interval": "1s"}
    return re.sub(r"\$\{?(\w+)\}?", lambda match: known.get(match[1], ".*"), expr)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_is_drawn_unless_nothing_can_be_there(
    live: Console, measured: RunningPrometheus, open_window: Callable[..., Window], name: str
):
    dashboard = DASHBOARDS[name]
    page = open_window(1440, 1340).open(f"{live.url}/?d={dashboard['uid']}&{MINUTE}")
    shown = panels(page)
    keep(page, f"{name}-dark")

    assert set(shown) == set(panels_of(dashboard))
    empty = []
    for number, panel in panels_of(dashboard).items():
        got = shown[number]
        if got["state"] == "empty":
            for target in panel["targets"]:
                assert answered(measured, target) == [], f"{panel['title']}: empty, but Prometheus has an answer"
            assert got["note"] == panel["fieldConfig"]["defaults"]["noValue"]
            empty.append(panel["title"])
            continue
        assert got["state"] == "drawn", (panel["title"], got["note"])
        assert got["series"] > 0, panel["title"]
        assert got["ink"] > MOST_STRAY_INK, f"{panel['title']}: a blank canvas"
        assert got["told"], f"{panel['title']}: nothing for a screen reader"
        if panel["type"] in ("stat", "gauge", "bargauge", "table"):
            assert re.search(r"\d", got["text"]), panel["title"]
    # What is missing here is missing in the fleet or in the rules, panel by panel; most panels must be there.
    assert len(empty) <= len(shown) / 3, empty
    assert page.evaluate("window.pwned") is None


def answered(measured: RunningPrometheus, target: dict[str, Any]) -> list[Any]:
    """Ask Prometheus what a panel asks."""
    now_s = int(time.time())
    query = filled(target["expr"])
    if target["instant"]:
        return measured.ask("query", query=query, time=now_s)["result"]
    return measured.ask("query_range", query=query, start=now_s - 60, end=now_s, step=1)["result"]


def test_the_big_numbers_are_those_of_prometheus(
    live: Console, measured: RunningPrometheus, open_window: Callable[..., Window]
):
    end_s = int(time.time()) - 2
    window = f"from={(end_s - 60) * 1000}&to={end_s * 1000}&refresh="
    page = open_window().open(f"{live.url}/?d=infermeter-overview&{window}")
    panels(page)
    compared = 0
    for number, panel in panels_of(DASHBOARDS["overview"]).items():
        if panel["type"] != "stat":
            continue
        decimals = panel["fieldConfig"]["defaults"].get("decimals")
        for text, target in zip(stat_texts(page, number), panel["targets"], strict=True):
            value = measured.value(filled(target["expr"]), end_s)
            percent = panel["fieldConfig"]["defaults"]["unit"] == "percentunit"
            number_shown = float(re.match(r"-?[\d.]+", text)[0]) / (100 if percent else 1)
            last_digit = 10.0 ** -(decimals if decimals is not None else 1) / (100 if percent else 1)
            assert math.isclose(number_shown, value, rel_tol=0.005, abs_tol=last_digit / 2 + 1e-9), (
                panel["title"],
                text,
            )
            compared += 1
    assert compared >= 6


def test_a_choice_narrows_the_questions_and_survives_a_reload(live: Console, open_window: Callable[..., Window]):
    window = open_window()
    page = window.open(f"{live.url}/?{MINUTE}")
    page.click("[data-picker=model] summary")
    page.click("[data-picker=model] label:has-text('fraud')")
    page.wait_for_url("**var-model=fraud**")

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if "query" in request.url else None)
    page.reload()
    panels(page)

    assert page.inner_text("[data-picker=model] .value") == "fraud"
    narrowed = [one for one in asked if "model_name%3D%7E" in one]
    assert narrowed
    assert all("model_name%3D%7E%22fraud%22" in one for one in narrowed)
    assert "assistant" not in page.inner_text("main")


def test_a_drag_zooms_and_back_returns(live: Console, open_window: Callable[..., Window]):
    page = open_window(1440, 1000).open(f"{live.url}/?{MINUTE}")
    panels(page)
    plots = page.locator(".panel.timeseries .plot, .panel.heatmap .plot")
    box = plots.first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    page.wait_for_selector(".crosshair:visible")  # on another chart: the hovered one has its own pointer
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, middle, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile(r"from=\d{13}&to=\d{13}"))
    start, end = map(int, re.search(r"from=(\d+)&to=(\d+)", page.url).groups())
    assert 10_000 < end - start < 30_000

    page.go_back()
    page.wait_for_url(re.compile("from=now-1m"))
    assert page.inner_text("[data-picker=range] summary") == "Last minute"


def test_it_goes_on_by_itself(live: Console, open_window: Callable[..., Window]):
    page = open_window().open(f"{live.url}/?from=now-1m&refresh=1s")
    first = page.inner_text(".status")
    page.locator(f".status:not(:text-is('{first}'))").wait_for()


def test_a_hostile_label_value_is_shown_as_text(live: Console, open_window: Callable[..., Window]):
    page = open_window(1440, 1340).open(f"{live.url}/?d=infermeter-model&{MINUTE}&var-model=digits")
    panels(page)
    assert HOSTILE in page.locator(".panel.piechart").first.inner_text()
    plot = page.locator(".panel.timeseries:has-text('img src') .plot").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    page.wait_for_selector(f".chart-tooltip:has-text('{HOSTILE}')")
    assert page.evaluate("window.pwned") is None
    assert page.locator(".chart-tooltip img, .legend img").count() == 0
