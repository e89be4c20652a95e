"""For every width, both themes, the keyboard, a screen reader and paper."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from tests.browser.conftest import Window, keep
from tests.browser.looking import panels
from tests.console.running_console import Console

pytestmark = pytest.mark.browser

MINUTE = "from=now-1m&to=now&refresh="
PAGES = {
    "overview": f"?d=infermeter-overview&{MINUTE}",
    "model": f"?d=infermeter-model&{MINUTE}",
    "gpu-fleet": f"?d=infermeter-gpu-fleet&{MINUTE}",
    "telemetry-health": f"?d=infermeter-telemetry-health&{MINUTE}",
    "alerts": "?view=alerts&refresh=",
    "runbook": "?view=runbook&alert=HighInferenceLatency",
    "explain": f"?view=explain&label-namespace=demo&label-model_name=digits&{MINUTE}",
}

COLLISIONS = """() => {
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) found.push('the page is wider than the window');
  const boxed = document.querySelectorAll('.panel, .row > summary');
  const boxes = [...boxed].map((node) => [node, node.getBoundingClientRect()]);
  boxes.forEach(([a, one], i) => boxes.slice(i + 1).forEach(([b, other]) => {
    const over = Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1
      && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1;
    if (over) found.push(`${a.innerText.slice(0, 40)} lies over ${b.innerText.slice(0, 40)}`);
  }));
  for (const word of document.querySelectorAll('.big, .stat .label, .note, .head h1, .toolbar > *')) {
    const inner = word.getBoundingClientRect();
    const outer = (word.closest('.panel') ?? document.documentElement).getBoundingClientRect();
    if (!inner.width || word.closest('[hidden]')) continue;
    if (inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.bottom > outer.bottom + 1) {
      found.push(`${word.innerText} leaves ${word.closest('.panel')?.querySelector('h3').textContent ?? 'the page'}`);
    }
  }
  for (const word of document.querySelectorAll('.big')) {
    if (word.scrollWidth > word.clientWidth + 1) found.push(`${word.innerText} is cut off`);
  }
  for (const box of document.querySelectorAll('.panel')) {
    box.scrollIntoView({ block: 'center' });
    const { x, y, width, height } = box.getBoundingClientRect();
    const top = document.elementFromPoint(x + width / 2, y + height / 2);
    if (!box.contains(top)) found.push(`${box.innerText.slice(0, 40)} is covered by ${top?.className}`);
  }
  return found;
}"""


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_nothing_overlaps_or_is_cut_off(live: Console, open_window: Callable[..., Window], width: int):
    window = open_window(width, 900, color_scheme="light")
    for name in ("overview", "model", "gpu-fleet", "telemetry-health", "explain"):
        page = window.open(f"{live.url}/{PAGES[name]}")
        panels(page)
        keep(page, f"{name}-{width}-light")
        assert page.evaluate(COLLISIONS) == [], name


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_no_serious_violation(live: Console, open_window: Callable[..., Window], theme: str):
    window = open_window(color_scheme=theme, bypass_csp=True)  # axe is put into the page by the test
    for name, address in PAGES.items():
        page = window.open(f"{live.url}/{address}")
        if name not in ("alerts", "runbook"):
            panels(page)
        violations = Axe().run(page).response["violations"]
        serious = [
            f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
            for one in violations if one["impact"] in ("serious", "critical")
        ]  # fmt: skip
        assert serious == [], f"{name}, {theme}"


REACHABLE = """() => {
  const all = document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]');
  const seen = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.disabled;
  return [...all].filter(seen).map((node, i) => {
    node.dataset.reach = String(i);
    return node.outerHTML.slice(0, 120);
  });
}"""


@pytest.mark.parametrize("name", ["overview", "alerts"])
def test_the_keyboard_reaches_everything(live: Console, open_window: Callable[..., Window], name: str):
    page = open_window().open(f"{live.url}/{PAGES[name]}")
    if name == "overview":
        panels(page)
    page.wait_for_load_state("networkidle")  # the number of firing alerts is in the navigation by now
    wanted = page.evaluate(REACHABLE)
    reached = set()
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.reach ?? ''"))
    assert [html for i, html in enumerate(wanted) if str(i) not in reached] == []
    assert len(wanted) > 20


def test_everything_can_be_worked_by_keyboard(live: Console, open_window: Callable[..., Window]):
    page = open_window().open(f"{live.url}/{PAGES['overview']}")
    panels(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"

    page.focus("[data-picker=model] summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.wait_for_url("**var-model=**")
    page.wait_for_selector("[data-picker=model][open]")  # stays open for a second choice
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-picker=model]:not([open])")
    assert page.evaluate("document.activeElement.closest('[data-picker]').dataset.picker") == "model"

    page.focus(".legend .series")
    page.keyboard.press("Enter")
    page.wait_for_selector(".legend .off")
    assert page.evaluate("document.activeElement.className") == "series"
    page.keyboard.press("Enter")
    page.wait_for_selector(".legend .off", state="detached")

    page.focus(".panel button.about")
    page.keyboard.press("Enter")
    page.wait_for_selector(".card:popover-open")
    page.keyboard.press("Escape")
    page.wait_for_selector(".card:popover-open", state="detached")


def test_the_theme_follows_the_system_and_the_address(live: Console, open_window: Callable[..., Window]):
    page = open_window(color_scheme="light").open(f"{live.url}/{PAGES['overview']}")
    back = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(back) == "rgb(244, 245, 245)"
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-theme=dark]")
    assert page.evaluate(back) == "rgb(17, 18, 23)"
    page.goto(f"{live.url}/{PAGES['overview']}&theme=light")
    page.wait_for_selector("html[data-theme=light]")
    assert page.evaluate(back) == "rgb(244, 245, 245)"


def test_paper_is_white_and_has_no_controls(live: Console, open_window: Callable[..., Window]):
    page = open_window().open(f"{live.url}/{PAGES['overview']}")
    panels(page)
    page.emulate_media(media="print")
    page.wait_for_selector("html[data-theme=light]")
    assert not page.is_visible(".toolbar")
    printed = page.inner_text(".printed")  # what the controls would have said
    assert re.fullmatch(r"Namespace: All · Model: All · Version: All · [-\d]+ [:\d]+ to [-\d]+ [:\d]+", printed)
    keep(page, "overview-print")
