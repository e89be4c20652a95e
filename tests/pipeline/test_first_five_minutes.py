"""The README's first five minutes, as they stand there: clone, up, open, break, see the alert and its runbook, down.

One shortcut: packages that this environment has are not installed into the clone's once more.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.pipeline.live_stack import eventually

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.loopback import get, get_json

pytestmark = pytest.mark.pipeline

ROOT = Path(__file__).parents[2]
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


def test_the_readme_s_first_five_minutes(tmp_path: Path) -> None:
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
        assert_the_page_is_there(found.group())
        _watch_and_read(newcomer, found.group(), break_something)
    finally:
        ended = newcomer.types(end)
    assert "Nothing is left running." in ended.stdout


def _watch_and_read(newcomer: Newcomer, console: str, break_something: str) -> None:
    """Break something; while it is broken, find the stated alert on the page's way and read its runbook."""
    name = break_something.rpartition(" ")[2]
    listed = json.loads(newcomer.types(".venv/bin/infermeter demo --list --json").stdout)
    stated = next(one for one in listed if one["name"] == name)["must"][0]
    with newcomer.begins(break_something) as demo:
        eventually(f"{stated['alert']} to fire", lambda: fires(console, stated), timeout_s=120)
        status, runbook = get(f"{console}/api/runbooks/{stated['alert']}")
        told, _ = demo.communicate(timeout=200)
    assert (status, runbook.startswith(f"# {stated['alert']}".encode())) == (200, True)
    assert demo.returncode == ExitCode.OK, told
    assert f"came   {stated['alert']}" in told


def assert_the_page_is_there(console: str) -> None:
    """The page, its script, and data for its first panel."""
    status, page = get(f"{console}/")
    assert status == 200, page
    script_file = re.search(rb'src="\./(assets/[\w-]+\.js)"', page)
    assert script_file, page
    assert get(f"{console}/{script_file.group(1).decode()}")[0] == 200
    expression = "sum(rate(model_inference_requests_total[1m])) > 0"
    eventually(
        "requests to be counted",
        lambda: get_json(f"{console}/prometheus/api/v1/query?query={quote(expression)}")["data"]["result"],
    )


def fires(console: str, stated: dict[str, Any]) -> bool:
    """Whether the alert fires, asked as the page asks."""
    alerts = get_json(f"{console}/prometheus/api/v1/alerts")["data"]["alerts"]
    return any(
        alert["state"] == "firing"
        and alert["labels"]["alertname"] == stated["alert"]
        and stated["labels"].items() <= alert["labels"].items()
        for alert in alerts
    )
