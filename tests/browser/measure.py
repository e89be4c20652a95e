"""Measures the page's budgets and prints them: `python -m tests.browser.measure [URL]`, by default its own small stack.

Sizes are exact; times depend on the machine, so nothing here passes or fails.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import CDPSession, sync_playwright
from tests.browser.chromium import FLAGS, chromium_binary
from tests.browser.fleet import Fleet, serving
from tests.browser.running_prometheus import SCRAPE_S, prometheus
from tests.console.running_console import console

from infermeter.cli.stack.reporting import SilentReporter
from infermeter.cli.web.page_build import find_or_build_page

WATCHED_S = 20


@contextmanager
def small_stack() -> Iterator[str]:
    """Serve the page before a Prometheus with a minute of the stand-in fleet."""
    built = find_or_build_page(SilentReporter())
    files = [path for path in Path(built or ".").rglob("*") if path.suffix in (".js", ".css", ".html")]
    size = sum(len(gzip.compress(path.read_bytes(), 6)) for path in files)
    print(f"page, compressed: {size / 1000:.0f} kB (budget 300)")
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Fleet()) as port,
        prometheus(Path(folder), port, speed=1) as running,
        console(running.url, page=built, scrape_interval_s=SCRAPE_S, most_bytes=8 << 20) as one,
    ):
        time.sleep(60)
        yield one.url


def busy_s(session: CDPSession) -> float:
    """Return how long the page's main thread has worked since the session began, by Chromium's own count."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


def measure(url: str) -> None:
    """Print times and load of the overview."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_binary(), args=list(FLAGS))
        firsts, alls = [], []
        for _ in range(3):
            page = browser.new_context(viewport={"width": 1440, "height": 1340}).new_page()
            started = time.perf_counter()
            page.goto(f"{url}/?from=now-15m&refresh=5s", wait_until="commit")
            page.wait_for_selector(".panel[data-state=drawn] canvas")
            firsts.append(time.perf_counter() - started)
            page.locator(".panel[data-state=loading]").first.wait_for(state="detached")
            alls.append(time.perf_counter() - started)
        print(f"first chart: {' '.join(f'{one:.2f}' for one in firsts)} s (budget 1.5)")
        print(f"all panels:  {' '.join(f'{one:.2f}' for one in alls)} s")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        before = busy_s(session)
        time.sleep(WATCHED_S)
        share = (busy_s(session) - before) / WATCHED_S
        print(f"main thread at a refresh of 5 s: {100 * share:.1f} % of a core (budget 8)")
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        print(f"heap: {heap:.0f} MB")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1].rstrip("/"))
    else:
        with small_stack() as own:
            measure(own)
