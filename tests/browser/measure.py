"""Measures the page's budgets with the whole stack that `up` starts: `python -m tests.browser.measure`.

`python -m tests.browser.measure URL` measures a console that runs. Sizes are exact; times depend on the machine, so
nothing here passes or fails.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright
from tests.browser.chromium import FLAGS, chromium_binary

from infermeter.cli.stack.reporting import SilentReporter
from infermeter.cli.web.page_build import find_or_build_page

WATCHED_S = 20
LONGEST_S = 60


def weigh() -> None:
    """Print what a browser has to fetch before anything is drawn."""
    built = find_or_build_page(SilentReporter())
    files = [path for path in Path(built or ".").rglob("*") if path.suffix in (".js", ".css", ".html")]
    size = sum(len(gzip.compress(path.read_bytes(), 6)) for path in files)
    print(f"page, compressed: {size / 1000:.0f} kB (budget 300)")


@contextmanager
def whole_stack(browser: Browser) -> Iterator[str]:
    """Type `infermeter up`, open what it says, and tell how long that took; then serve until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        page = browser.new_context(viewport={"width": 1440, "height": 1340}).new_page()
        infermeter = (sys.executable, "-m", "infermeter.cli")
        started = time.perf_counter()
        up = subprocess.Popen([*infermeter, "up", "--data-dir", folder], stdout=subprocess.PIPE, text=True)
        try:
            assert up.stdout is not None
            said = ""
            while not (found := re.search(r"open (http://\S+)", said)):
                line = up.stdout.readline()
                assert line, f"up ended with {up.wait()}:\n{said}"
                said += line
            page.goto(found[1], wait_until="commit")
            page.wait_for_selector(".panel[data-state=drawn] canvas")
            print(f"up, to the first chart: {time.perf_counter() - started:.1f} s (budget 10)")
            last_s, empty = filled(page, started)
            print(f"up, to the last panel:  {last_s:.1f} s (budget 30); after {LONGEST_S} s still empty: {empty}")
            page.close()
            yield found[1]
        finally:
            subprocess.run([*infermeter, "down", "--data-dir", folder], stdout=subprocess.DEVNULL, check=True)
            up.wait()


def filled(page: Page, started: float) -> tuple[float, list[str]]:
    """Wait for the panels of the overview; return when the last was drawn, and which were not within a minute."""
    titles = "(boxes) => boxes.map((box) => box.querySelector('h3').textContent)"
    empty, last_s = [""], 0.0
    while empty and time.perf_counter() - started < LONGEST_S:
        still = page.eval_on_selector_all(".panel:not([data-state=drawn])", titles)
        if still != empty:
            empty, last_s = still, time.perf_counter() - started
        page.wait_for_timeout(100)
    return last_s, empty


def busy_s(session: CDPSession) -> float:
    """Return how long the page's main thread has worked since the session began, by Chromium's own count."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


def measure(browser: Browser, url: str) -> None:
    """Print times and load of the overview, of a quarter of an hour."""
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


def main() -> None:
    """Measure the console that is named, or one of our own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_binary(), args=list(FLAGS))
        if len(sys.argv) > 1:
            measure(browser, sys.argv[1].rstrip("/"))
            return
        weigh()
        with whole_stack(browser) as own:
            measure(browser, own)


if __name__ == "__main__":
    main()
