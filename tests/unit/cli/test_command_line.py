"""The command line itself: quick help, options that are checked, exit statuses that are told."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
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


def test_a_mistyped_command_is_answered_with_the_nearest() -> None:
    failed = CliRunner().invoke(infermeter, ["stauts"])
    assert failed.exit_code == ExitCode.USAGE
    assert "Did you mean 'status'?" in failed.output


def test_the_version_is_told_by_the_usual_option() -> None:
    told = CliRunner().invoke(infermeter, ["--version"], prog_name="infermeter")
    assert (told.exit_code, told.output) == (ExitCode.OK, f"infermeter {version('infermeter')}\n")


@pytest.mark.parametrize("command", [["up"], ["demo", "drift"]])
def test_a_data_directory_that_cannot_be_made_is_named_with_the_remedy(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failed = CliRunner().invoke(infermeter, [*command, "--data-dir", str(tmp_path / "file" / "below")])
    assert failed.exit_code == ExitCode.FAILED
    said = " ".join(failed.output.split())
    assert "file/below cannot be made (Not a directory)" in said
    assert "--data-dir or INFERMETER_DATA_DIR" in said


def test_what_the_system_denies_is_one_line() -> None:
    code = (
        "import infermeter.cli.commands as commands\n"
        "from infermeter.cli.main import main\n"
        "def deny(**_): raise PermissionError(13, 'Permission denied', '/var/lib/x')\n"
        "commands.infermeter = deny\n"
        "main()"
    )
    failed = run_python(code)
    assert failed.stderr == "error: /var/lib/x: Permission denied\n"
    assert failed.returncode == ExitCode.FAILED


@pytest.mark.parametrize("command", [["top", "--once"], ["doctor"], ["doctor", "--alertmanager"]])
def test_an_address_that_is_none_is_a_usage_error_with_an_example(command: list[str]) -> None:
    option = [] if "--alertmanager" in command else ["--prometheus"]
    failed = CliRunner().invoke(infermeter, [*command, *option, "localhost:9090"])
    assert failed.exit_code == ExitCode.USAGE
    assert "give one like http://127.0.0.1:9090" in " ".join(failed.output.split())


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
