"""The command line itself: quick help, options that are checked, exit statuses that are told."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from infermeter.cli.commands import infermeter
from infermeter.cli.exit_codes import ExitCode


def run_python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


def test_help_imports_no_command() -> None:
    code = (
        "import sys\n"
        "from infermeter.cli.main import main\n"
        "sys.argv = ['infermeter', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name in ('rich', 'yaml') or name.startswith(\n"
        "    ('opentelemetry', 'infermeter.cli.stack', 'infermeter.cli.up'))])"
    )
    assert run_python(code).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", [[], *([name] for name in infermeter.list_commands(click.Context(infermeter)))])
def test_every_command_has_help_with_what_it_does(command: list[str]) -> None:
    shown = CliRunner().invoke(infermeter, [*command, "--help"])
    assert shown.exit_code == ExitCode.OK
    assert "Examples:" in shown.output


def test_a_missing_extra_is_one_sentence_with_the_remedy() -> None:
    code = "import sys\nsys.modules['click'] = None\nfrom infermeter.cli.main import main\nmain()"
    failed = run_python(code)
    assert failed.stderr == 'The command line needs the extra "cli": pip install "infermeter[cli]"\n'
    assert failed.returncode == ExitCode.FAILED


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (["--port", "grafana=3000"], "'grafana' is no port; there are otlp-http"),
        (["--port", "prometheus"], "give a number from 1 to 65535, like prometheus=9090"),
        (["--port", "prometheus=70000"], "give a number from 1 to 65535"),
        (["--ports", "console=9000,grafana=3000"], "'grafana' is no port"),
        (["--speed", "0.5"], "0.5 is not in the range"),
        (["--profile", "push"], "'push' is not one of"),
        (["--rules", "/nowhere"], "does not exist"),
    ],
)
def test_a_wrong_option_is_a_usage_error_that_says_what_is_allowed(option: list[str], why: str, tmp_path: Path) -> None:
    failed = CliRunner().invoke(infermeter, ["up", "--data-dir", str(tmp_path), *option])
    assert failed.exit_code == ExitCode.USAGE
    assert why in " ".join(failed.output.split())


def test_a_token_the_collector_would_cut_is_refused(tmp_path: Path) -> None:
    env = {"INFERMETER_OTLP_TOKEN": "two words"}
    failed = CliRunner().invoke(infermeter, ["up", "--data-dir", str(tmp_path)], env=env)
    assert failed.exit_code == ExitCode.USAGE


def test_the_data_directory_follows_the_xdg_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from infermeter.cli.stack.places import cache_dir, default_data_dir

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert default_data_dir() == tmp_path / "state" / "infermeter"
    assert cache_dir() == Path.home() / ".cache" / "infermeter"


def test_exit_statuses_are_distinct_and_each_says_what_it_means() -> None:
    assert len({int(code) for code in ExitCode}) == len(ExitCode.__members__)
    assert [code.name for code in ExitCode if not code.meaning] == []


def test_the_readme_has_the_whole_table_of_exit_statuses() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert "\n".join(f"| {code:d} | {code.meaning} |" for code in ExitCode) in readme


def test_help_shows_every_exit_status() -> None:
    shown = CliRunner().invoke(infermeter, ["--help"]).output
    assert [code.name for code in ExitCode if not re.search(rf"^ +{code:d}  \S", shown, re.MULTILINE)] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_the_values_of_options(shell: str) -> None:
    script = CliRunner().invoke(infermeter, ["completion", shell], prog_name="infermeter").output
    assert "_INFERMETER_COMPLETE" in script
    asked = {"_INFERMETER_COMPLETE": f"{shell}_complete", "COMP_WORDS": "infermeter do", "COMP_CWORD": "1"}
    if shell == "fish":
        asked["COMP_CWORD"] = "do"
    answer = run_python("from infermeter.cli.main import main; main()", **asked).stdout
    assert "down" in answer
    assert "doctor" in answer
