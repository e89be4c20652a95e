"""`infermeter console` before it serves: what it refuses to start with, and what it says when it starts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from infermeter.cli.commands import infermeter
from infermeter.cli.exit_codes import ExitCode


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--host", "0.0.0.0"], "is open to other machines and needs a token: set INFERMETER_CONSOLE_TOKEN"),
        (["--host", "::"], "needs a token"),
        (["--host", "192.0.2.1"], "needs a token"),
        (["--host", "0.0.0.0", "--token", "short"], "needs 16 characters or more"),
        (["--token", "with spaces and such"], "may have letters, digits"),
        (["--prometheus", "127.0.0.1:9090"], "is no address of Prometheus: give one like http://127.0.0.1:9090"),
        (["--prometheus", "file:///etc/passwd"], "is no address of Prometheus"),
        (["--alertmanager", "http://"], "--alertmanager / INFERMETER_ALERTMANAGER_URL"),
        (["--port", "70000"], "is not in the range"),
    ],
)
def test_what_it_does_not_start_with_is_a_usage_error_with_the_remedy(
    options: list[str], why: str, tmp_path: Path
) -> None:
    failed = CliRunner().invoke(infermeter, ["console", "--data-dir", str(tmp_path), *options])

    assert failed.exit_code == ExitCode.USAGE
    assert why in " ".join(failed.output.split())


def test_a_port_that_was_asked_for_and_is_taken_is_an_error_naming_its_owner(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = CliRunner().invoke(infermeter, ["console", "--data-dir", str(tmp_path), "--port", str(port)])

    assert failed.exit_code == ExitCode.PORT_TAKEN
    assert f"(pid {os.getpid()})" in failed.output


def test_it_says_where_it_is_and_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infermeter.cli", "console", "--data-dir", str(tmp_path), "--port", "0"]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        found = next(match for line in started.stdout if (match := re.search(r"Console: (http://\S+),", line)))
        with urllib.request.urlopen(f"{found.group(1)}/api/health") as answer:
            assert answer.status == 200
        started.send_signal(signal.SIGINT)
        _, errors = started.communicate(timeout=20)

    assert (started.returncode, errors) == (ExitCode.OK, "")
