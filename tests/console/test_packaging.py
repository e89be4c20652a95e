"""What is packed: an installed wheel has the page ready and everything that commands need, and nothing of npm."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from infermeter.cli.stack.reporting import SilentReporter
from infermeter.cli.web.page_build import find_or_build_page

ROOT = Path(__file__).parents[2]
ASSETS = "infermeter/_assets/"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheel and sdist of this checkout, by suffix."""
    assert find_or_build_page(SilentReporter()) is not None  # so that a failure says why
    folder = tmp_path_factory.mktemp("packed")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True)
    return {path.suffix: path for path in folder.iterdir()}


def members_of_wheel(packed: dict[str, Path]) -> set[str]:
    with zipfile.ZipFile(packed[".whl"]) as wheel:
        return set(wheel.namelist())


def members_of_sdist(packed: dict[str, Path]) -> set[str]:
    with tarfile.open(packed[".gz"]) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def test_the_wheel_has_the_page_and_all_files_that_commands_read(packed: dict[str, Path]):
    names = members_of_wheel(packed)

    for needed in (
        "deploy/console/dist/index.html",
        "deploy/grafana/dashboards/overview.json",
        "deploy/prometheus/prometheus.yml",
        "deploy/prometheus/rules/base.rules.yml",
        "deploy/alertmanager/alertmanager.yml",
        "deploy/runbooks/HighInferenceLatency.md",
        "deploy/local/recipes/prometheus/go.mod",
        "collector/builder.yaml",
        "collector/config/base.yaml",
        "examples/fraud_api/app.py",
    ):
        assert ASSETS + needed in names
    assert {name.rpartition(".")[2] for name in names if name.startswith(f"{ASSETS}deploy/console/dist/assets/")} >= {
        "js",
        "css",
    }


def test_nothing_of_npm_is_packed(packed: dict[str, Path]):
    names = {*members_of_wheel(packed), *members_of_sdist(packed)}

    assert [name for name in names if "node_modules" in name] == []


def test_the_sdist_has_the_page_beside_its_sources(packed: dict[str, Path]):
    names = members_of_sdist(packed)

    assert {"deploy/console/dist/index.html", "deploy/console/package.json", "sdk/build_hook.py"} <= names


def test_an_installed_wheel_finds_its_page_without_node_and_cache(packed: dict[str, Path], tmp_path: Path):
    with zipfile.ZipFile(packed[".whl"]) as wheel:
        wheel.extractall(tmp_path / "installed")
    code = "from infermeter.cli.web.built_page import built_page; print(built_page())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "XDG_CACHE_HOME": str(tmp_path), "PATH": ""}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout

    assert Path(found.strip()) == tmp_path / "installed" / ASSETS / "deploy/console/dist"
