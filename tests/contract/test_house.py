"""The house rules that no linter knows: length of files, generated pages, the public contract, packaging."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import infermeter

ROOT = Path(__file__).parents[2]
MAX_LINES = 400
SOURCE_SUFFIXES = (".py", ".js", ".ts", ".go", ".c", ".css", ".html")


def _tracked_files() -> list[Path]:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]


def test_no_source_file_is_longer_than_its_one_subject_needs():
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in _tracked_files()
        if path.suffix in SOURCE_SUFFIXES and (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }

    assert too_long == {}, f"over {MAX_LINES} lines: look for the second subject in each"


def test_every_python_file_of_the_sdk_says_what_it_knows():
    silent = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "sdk").rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert silent == []


def test_the_metric_reference_equals_the_catalogue():
    sys.path.insert(0, str(ROOT / "sdk"))
    try:
        page = importlib.import_module("write_metrics_md")
    finally:
        sys.path.remove(str(ROOT / "sdk"))

    assert page.TARGET.read_text(encoding="utf-8") == page.render(), "run: python sdk/write_metrics_md.py"


def test_every_public_name_loads_from_the_place_the_facade_gives():
    assert sorted(infermeter._HOMES) == infermeter.__all__ == sorted(infermeter.__all__)
    for name in infermeter.__all__:
        assert getattr(infermeter, name) is getattr(
            importlib.import_module(f"infermeter.{infermeter._HOMES[name]}"), name
        )


def test_the_facade_shows_type_checkers_what_it_loads():
    tree = ast.parse((ROOT / "sdk/infermeter/__init__.py").read_text(encoding="utf-8"))
    shown = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("infermeter")
        for alias in node.names
    }

    assert shown == {name: f"infermeter.{home}" for name, home in infermeter._HOMES.items()}


def test_nothing_tracked_names_a_registry_or_a_place_on_one_machine():
    suspicious = re.compile(r"https?://[\w.-]*(pypi|npmjs|proxy\.golang|artifactor|nexus)[\w.-]*", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in _tracked_files()
        if path.suffix not in (".png", ".parquet") and path != Path(__file__)
        for match in suspicious.finditer(path.read_text(encoding="utf-8", errors="ignore"))
    ]

    assert found == []
