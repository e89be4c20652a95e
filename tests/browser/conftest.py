"""The page as a person has it: built from its sources, served by the console, in Chromium, before a real Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from tests.browser.chromium import FLAGS, chromium_binary
from tests.browser.fleet import Fleet, serving
from tests.browser.running_prometheus import SCRAPE_S, RunningPrometheus, prometheus
from tests.console.running_console import Console, StandIn, answer, console, stand_in
from tests.waiting import until

from infermeter.cli.stack.reporting import SilentReporter
from infermeter.cli.web.page_build import find_or_build_page

ARTIFACTS = Path(__file__).parents[1] / "artifacts" / "console"


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built page."""
    page = find_or_build_page(SilentReporter())
    assert page is not None
    return page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_binary(), args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture(scope="session")
def measured(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPrometheus]:
    """A Prometheus with half a minute of the fleet in it, all recording rules included."""
    with (
        serving(fleet) as port,
        prometheus(tmp_path_factory.mktemp("prometheus"), port) as running,
    ):
        until(lambda: len(running.ask("query", query="count_over_time(up[40s]) >= 30")["result"]) == 2, "30 scrapes")
        yield running


@pytest.fixture(scope="session")
def live(measured: RunningPrometheus, built: Path) -> Iterator[Console]:
    """The console before that Prometheus."""
    with stand_in() as alertmanager:
        alertmanager.handle = lambda handler: answer(handler, 200, "[]")  # nothing is silenced
        places = {"alertmanager_url": alertmanager.url, "page": built}
        with console(measured.url, **places, scrape_interval_s=SCRAPE_S, most_bytes=8 << 20) as one:
            yield one


@pytest.fixture
def upstream() -> Iterator[StandIn]:
    """A stand-in for Prometheus whose answers a test decides."""
    with stand_in() as one:
        yield one


@pytest.fixture
def canned(upstream: StandIn, built: Path) -> Iterator[Console]:
    """The console before the stand-in."""
    with console(upstream.url, page=built, scrape_interval_s=SCRAPE_S) as one:
        yield one


class Window:
    """A page in the browser that remembers what went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(f"{error}\n{error.stack}"))
        page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        ours = "Multiple readback operations" in message.text  # the tests count colours on the same canvas again
        if message.type in ("error", "warning") and not ours:
            self.problems.append(f"{message.type}: {message.text} at {message.location}")

    def open(self, url: str) -> Page:
        self.page.goto(url)
        self.page.wait_for_selector("body[data-ready]", timeout=30_000)
        return self.page


@pytest.fixture
def open_window(browser: Browser) -> Iterator[Callable[..., Window]]:
    """Open windows of any size and theme; whatever went wrong in one fails the test, unless it emptied `problems`."""
    windows: list[Window] = []

    def opened(width: int = 1440, height: int = 900, **context: Any) -> Window:
        context.setdefault("color_scheme", "dark")
        context.setdefault("timezone_id", "UTC")
        page = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()
        windows.append(Window(page))
        return windows[-1]

    yield opened
    problems = [problem for window in windows for problem in window.problems]
    for window in windows:
        window.page.context.close()
    assert problems == []


def keep(page: Page, name: str, *, whole: bool = True) -> None:
    """Leave a picture for a person to look at."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=whole)
