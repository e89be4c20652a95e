"""The README's first five minutes, as they stand there: clone, up, open, break, see the alert and its runbook, down.

One shortcut: packages that this environment has are not installed into the clone's once more.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page
from tests.browser.conftest import Window, keep
from tests.waiting import until

from infermeter.cli.exit_codes import ExitCode

pytestmark = [pytest.mark.pipeline, pytest.mark.browser]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 350
"""More than `demo` itself has: two minutes and a half for the alert, as much for its end, a minute to begin."""
ADDRESS = "https://infermeter.example/infermeter.git"


def script() -> list[str]:
    """The section's shell blocks."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## The first five minutes\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


class Newcomer:
    """Types what the README says, in a directory and on a data directory of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            **os.environ,
            "INFERMETER_DATA_DIR": str(home / "data"),
            "PYTHONPATH": sysconfig.get_path("purelib"),  # pip finds there what it would install
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": ADDRESS,
        }

    def types(self, commands: str, folder: str = "infermeter") -> subprocess.CompletedProcess[str]:
        """Run some lines in one shell, which ends at the first that fails."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands], cwd=self.home / folder, env=self.env, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip

    def begins(self, commands: str) -> subprocess.Popen[str]:
        """Do so in another terminal."""
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", commands], cwd=self.home / "infermeter", env=self.env,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip


@pytest.mark.timeout(1000)
def test_the_readme_s_first_five_minutes(tmp_path: Path, open_window: Callable[..., Window]) -> None:
    start, look, end = script()
    open_page, break_something = look.splitlines()
    newcomer = Newcomer(tmp_path)
    try:
        started = newcomer.types(start, folder=".")
        assert started.returncode == ExitCode.OK, started.stdout
        opened = newcomer.types(open_page)
        assert opened.returncode == ExitCode.OK, opened.stdout
        found = re.search(r"http://127\.0\.0\.1:\d+", opened.stdout)
        assert found, opened.stdout
        assert f"open {found.group()}" in started.stdout  # `up` had said so
        page = open_window().open(found.group())
        page.wait_for_selector(".panel[data-state=drawn] canvas")
        watch_and_read(newcomer, page, f"{found.group()}/?view=alerts&refresh=5s", break_something)
    finally:
        ended = newcomer.types(end)
    assert "Nothing is left running." in ended.stdout


def watch_and_read(newcomer: Newcomer, page: Page, alerts: str, break_something: str) -> None:
    """Break something; while it is broken, find the stated alert on the page and read its runbook there."""
    name = break_something.rpartition(" ")[2]
    listed = json.loads(newcomer.types(".venv/bin/infermeter demo --list --json").stdout)
    alert = next(one for one in listed if one["name"] == name)["must"][0]["alert"]
    read = False
    with newcomer.begins(break_something) as demo:
        page.goto(alerts)
        cards = page.locator(f".alert:has(.alertname:text-is('{alert}'))")
        until(lambda: cards.count() or demo.poll() is not None, f"{alert} on the page", timeout_s=PATIENCE_S)
        if cards.count():
            cards.first.locator("summary:has-text('What to do')").click()
            cards.locator(".runbook h4:has-text('Likely causes')").wait_for()  # of whichever card is first by now
            keep(page, "first-five-minutes", whole=False)
            read = True
        told, _ = demo.communicate(timeout=PATIENCE_S)
    assert read, told
    assert demo.returncode == ExitCode.OK, told
    assert f"came   {alert}" in told
