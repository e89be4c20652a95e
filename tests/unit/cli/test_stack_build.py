"""Builds happen once, whole or not at all; a failed one says where to look; what is found elsewhere is checked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.binaries import COLLECTOR, NEEDED_COMPONENTS, find
from infermeter.cli.stack.build import build, cached_binary
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.go_toolchain import Go
from infermeter.cli.stack.recipes import Recipe, recipes
from infermeter.cli.stack.reporting import SilentReporter

SHELL = Go(Path("/bin/sh"), (1, 99, 0))  # our commands name the compiler "go"; here it is a shell


def recipe(script: str, **changed: object) -> Recipe:
    fields: dict[str, object] = {
        "name": "tool",
        "title": "Tool",
        "version": "1.0.0",
        "sources": {"input.txt": b"hello"},
        "commands": (("go", "-c", script),),
        "binaries": ("tool",),
        "steps": 2,
        "expectation": "no time",
        **changed,
    }
    return Recipe(**fields)  # type: ignore[arg-type]  # a test's shorthand


MAKE_TOOL = "cp input.txt {bin}/tool; echo leftover > {bin}/extra"


class Witness(SilentReporter):
    def __init__(self) -> None:
        self.heard: list[object] = []

    def build_advanced(self, done_ratio: float, doing: str) -> None:
        self.heard.append((done_ratio, doing))

    def build_ended(self, elapsed_s: float, *, succeeded: bool) -> None:
        self.heard.append(succeeded)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in list(os.environ):
        if name.startswith("INFERMETER_"):
            monkeypatch.delenv(name)
    return tmp_path / "cache" / "infermeter"


def test_a_build_leaves_its_binaries_in_the_cache_and_nothing_else(cache: Path) -> None:
    made = recipe(MAKE_TOOL)
    build(made, SHELL, SilentReporter())
    binary = cached_binary(made, "tool")
    assert binary is not None
    assert binary.read_text() == "hello"
    assert sorted(path.name for path in binary.parent.iterdir()) == ["tool"]
    assert not list(cache.glob("build-*"))


def test_a_build_clears_away_what_a_killed_one_left(cache: Path) -> None:
    (cache / "build-tool-abandoned").mkdir(parents=True)
    build(recipe(MAKE_TOOL), SHELL, SilentReporter())
    assert not list(cache.glob("build-*"))


def test_what_was_built_is_not_built_again() -> None:
    build(recipe(MAKE_TOOL), SHELL, SilentReporter())
    witness = Witness()
    build(recipe(MAKE_TOOL), SHELL, witness)
    assert witness.heard == []


@pytest.mark.parametrize(
    "changed", [{"sources": {"input.txt": b"other"}}, {"version": "1.0.1"}, {"commands": (("go", "-c", "true"),)}]
)
def test_any_change_of_a_recipe_has_a_place_of_its_own(changed: dict[str, object]) -> None:
    assert recipe(MAKE_TOOL).key != recipe(MAKE_TOOL, **changed).key


def test_progress_says_what_is_done_and_never_more_than_all_of_it() -> None:
    witness = Witness()
    build(recipe(f"echo 'go: downloading x'; echo a; echo b; echo c; {MAKE_TOOL}"), SHELL, witness)
    assert witness.heard == [
        (0.0, "preparing"),
        (0.5, "downloading"),
        (0.99, "compiling"),
        (0.99, "compiling"),
        (0.99, "compiling"),
        True,
    ]


def test_a_failed_build_names_its_log_shows_its_end_and_leaves_no_binary(cache: Path) -> None:
    broken = recipe("cp input.txt {bin}/tool; echo no such module >&2; exit 3")
    witness = Witness()
    with pytest.raises(StackError) as error:
        build(broken, SHELL, witness)
    log = cache / "logs" / f"{broken.key}.log"
    assert error.value.exit_code is ExitCode.BINARY_MISSING
    assert str(log) in str(error.value)
    assert "ended with status 3" in str(error.value)
    assert "no such module" in error.value.log_tail
    assert "no such module" in log.read_text()
    assert cached_binary(broken, "tool") is None
    assert not list(cache.glob("build-*"))
    assert witness.heard[-1] is False


def test_an_interrupted_build_leaves_no_compiler_and_no_half_built_binary(cache: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        # A process started in the background inherits an ignored SIGINT.
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path\n"
        "from infermeter.cli.stack.build import build\n"
        "from infermeter.cli.stack.go_toolchain import Go\n"
        "from infermeter.cli.stack.recipes import Recipe\n"
        "from infermeter.cli.stack.reporting import SilentReporter\n"
        "class Loud(SilentReporter):\n"
        "    def build_advanced(self, done_ratio, doing): doing == 'compiling' and print('building', flush=True)\n"
        "recipe = Recipe('tool', 'Tool', '1', {}, (('go', '-c', 'touch {bin}/tool; sleep 600 & echo $!; wait'),),\n"
        "                ('tool',), 2, 'no time')\n"
        "build(recipe, Go(Path('/bin/sh'), (1,)), Loud())\n"
    )
    builder = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert builder.stdout is not None
    assert builder.stdout.readline() == "building\n"
    log = next((cache / "logs").glob("*.log"))
    builder.send_signal(signal.SIGINT)
    builder.wait()
    builder.stdout.close()
    compiler = int(log.read_text().splitlines()[-1])
    assert not Path(f"/proc/{compiler}/cmdline").exists() or not Path(f"/proc/{compiler}/cmdline").read_bytes()
    assert not list(cache.glob("build-*"))
    assert not (cache / "bin").exists()


class TestFind:
    def stand_in(self, folder: Path, name: str, version: str, components: str = "") -> Path:
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "{name}, version {version}" || printf "{components}"\n'
        )
        path.chmod(0o755)
        return path

    def test_the_setting_wins_over_path(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        on_path = self.stand_in(tmp_path / "bin", "prometheus", "3.14.0")
        chosen = self.stand_in(tmp_path / "mine", "prometheus", "3.15.1")
        monkeypatch.setenv("PATH", f"{on_path.parent}:/usr/bin:/bin")
        assert find("prometheus") == on_path
        monkeypatch.setenv("INFERMETER_PROMETHEUS_BINARY", str(chosen))
        assert find("prometheus") == chosen

    @pytest.mark.parametrize(
        ("version", "why"),
        [("3.5.0", "is version 3.5.0; prometheus 3.14.0 or newer is needed"), ("?", "version unknown")],
    )
    def test_a_setting_that_will_not_do_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, why: str
    ) -> None:
        chosen = self.stand_in(tmp_path / "mine", "prometheus", version)
        monkeypatch.setenv("INFERMETER_PROMETHEUS_BINARY", str(chosen))
        with pytest.raises(StackError, match="INFERMETER_PROMETHEUS_BINARY=.*" + why.replace("?", "[?]")):
            find("prometheus")

    def test_a_setting_that_points_nowhere_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INFERMETER_AMTOOL_BINARY", "/nowhere/amtool")
        with pytest.raises(StackError, match="is not an executable file"):
            find("amtool")

    def test_an_old_one_on_path_is_passed_over(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.stand_in(tmp_path / "bin", "prometheus", "2.53.0")
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        assert find("prometheus") is None

    def test_a_collector_on_path_is_used_only_with_every_component(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        kinds = {kind: sorted(names) for kind, names in NEEDED_COMPONENTS.items()}
        whole = "".join(f"{kind}:\\n" + "".join(f"  - name: {n}\\n" for n in names) for kind, names in kinds.items())
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        binary = self.stand_in(tmp_path / "bin", "otelcol-contrib", "0.159.0", whole)
        assert find(COLLECTOR) == binary
        self.stand_in(tmp_path / "bin", "otelcol-contrib", "0.159.0", whole.replace("bearertokenauth", "basicauth"))
        assert find(COLLECTOR) is None
        monkeypatch.setenv("INFERMETER_COLLECTOR_BINARY", str(binary))
        with pytest.raises(StackError, match="lacks the components extensions/bearertokenauth"):
            find(COLLECTOR)


def test_every_binary_has_a_recipe() -> None:
    assert set(recipes()) == {COLLECTOR, "prometheus", "promtool", "alertmanager", "amtool"}
