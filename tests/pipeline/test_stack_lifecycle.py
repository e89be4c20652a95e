"""`infermeter up`, `status`, `down` as a user runs them: whatever happens, nothing of ours is left running."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.live_stack import eventually

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.loopback import get_json
from infermeter.cli.stack.options import DEFAULT_PORTS
from infermeter.cli.stack.processes import identify

pytestmark = pytest.mark.pipeline

PARTS = ["collector", "alertmanager", "prometheus"]


class Shell:
    """Runs the command line on a data directory of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.env = {**os.environ, "INFERMETER_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "infermeter.cli", *arguments],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
        )

    def begin(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "infermeter.cli", *arguments],
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def up(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("up", "--service-only", *arguments, **env)

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return answer

    def started_pids(self) -> list[int]:
        """The pids the state file names now."""
        file = self.data_dir / "state.json"
        return [part["process"]["pid"] for part in json.loads(file.read_text())["parts"]] if file.exists() else []

    def processes(self) -> list[str]:
        """Every living process on the machine whose command line names our data directory."""
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                words = (directory / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            except OSError:
                continue
            if str(self.data_dir) in words and identify(int(directory.name)) is not None:
                found.append(words)
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    one = Shell(tmp_path / "data")
    yield one
    one.run("down")


def read_until(command: subprocess.Popen[str], text: str) -> None:
    """Read a command's output up to the line with `text`; fails when it ends without."""
    assert command.stdout is not None
    lines = []
    for line in command.stdout:
        lines.append(line)
        if text in line:
            return
    pytest.fail(f"no {text!r} in {''.join(lines)}")


def open_ports(ports: dict[str, int]) -> list[str]:
    """Names of the ports somebody listens on."""
    listening = []
    for name, port in ports.items():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                listening.append(name)
    return listening


def assert_nothing_is_left(shell: Shell, ports: dict[str, int] | None = None) -> None:
    assert shell.processes() == []
    assert not (shell.data_dir / "state.json").exists()
    assert open_ports(ports or {}) == []


def crashing_binary(path: Path, version: str, last_words: str) -> str:
    """A program that passes for a binary of the stack and dies when it is started in earnest."""
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "x, version {version}" && exit 0\necho "{last_words}"; exit 7\n'
    )
    path.chmod(0o755)
    return str(path)


class TestUpAndDown:
    def test_up_ends_ready_and_down_leaves_no_process_and_no_port(self, shell: Shell) -> None:
        started = shell.up()
        assert started.returncode == ExitCode.OK, started.stdout + started.stderr
        status = shell.status()
        assert status["status"] == "running"
        assert {part["name"]: part["state"] for part in status["parts"]} == dict.fromkeys(PARTS, "ready")
        for port_name in ("prometheus", "alertmanager", "otlp-http"):
            assert f"http://127.0.0.1:{status['ports'][port_name]}" in started.stdout
        assert sorted(open_ports(status["ports"])) == sorted(status["ports"])
        assert len(shell.processes()) >= len(PARTS) - 1  # the collector's command line does not name the directory
        stopped = shell.run("down")
        assert stopped.returncode == ExitCode.OK
        assert_nothing_is_left(shell, status["ports"])

    def test_up_serves_the_console_and_says_where(self, shell: Shell) -> None:
        started = shell.run("up", "--no-demo")
        assert started.returncode == ExitCode.OK, started.stdout + started.stderr
        status = shell.status()
        console = f"http://127.0.0.1:{status['ports']['console']}"
        assert {part["name"]: part["urls"] for part in status["parts"]}["console"] == {"dashboards": console}
        assert f"open {console}" in started.stdout
        answer = get_json(f"{console}/prometheus/api/v1/query?query=up")
        assert {row["metric"]["job"] for row in answer["data"]["result"]} >= {"prometheus", "alertmanager"}
        assert get_json(f"{console}/alertmanager/api/v2/status")["config"]
        assert get_json(f"{console}/api/config")["scrape_interval_s"] == 1.0
        assert console in shell.run("console", "--no-open").stdout
        shell.run("down")
        assert_nothing_is_left(shell, status["ports"])

    def test_a_second_up_says_that_it_runs_and_changes_nothing(self, shell: Shell) -> None:
        shell.up()
        pids = shell.started_pids()
        again = shell.up()
        assert again.returncode == ExitCode.OK
        assert "Already running" in again.stdout
        assert shell.started_pids() == pids

    def test_down_is_fine_when_nothing_runs(self, shell: Shell) -> None:
        stopped = shell.run("down")
        assert (stopped.returncode, stopped.stdout.strip()) == (ExitCode.OK, "Nothing is running.")

    def test_status_says_when_nothing_runs(self, shell: Shell) -> None:
        assert shell.run("status").returncode == ExitCode.NOT_RUNNING
        assert shell.status()["status"] == "stopped"

    def test_purge_deletes_what_the_stack_kept(self, shell: Shell) -> None:
        shell.up()
        shell.run("down", "--purge")
        assert sorted(path.name for path in shell.data_dir.iterdir()) == ["lock"]

    def test_logs_show_what_a_part_wrote(self, shell: Shell) -> None:
        shell.up()
        assert "Server is ready to receive web requests" in shell.run("logs", "prometheus", "-n", "100").stdout
        everything = shell.run("logs").stdout
        assert all(f"{part:<12} | " in everything for part in PARTS)
        unknown = shell.run("logs", "grafana")
        assert unknown.returncode == ExitCode.USAGE
        assert "there are logs of alertmanager, collector, prometheus" in " ".join(unknown.stderr.split())

    def test_two_stacks_live_side_by_side(self, shell: Shell, tmp_path: Path) -> None:
        other = Shell(tmp_path / "other")
        assert shell.up().returncode == other.up().returncode == ExitCode.OK
        ours, theirs = shell.status()["ports"], other.status()["ports"]
        assert not set(ours.values()) & set(theirs.values())
        other.run("down")
        assert shell.status()["status"] == "running"


class TestTakenPort:
    def test_a_taken_port_that_was_asked_for_is_an_error_naming_its_owner(self, shell: Shell) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            failed = shell.up("--port", f"prometheus={port}")
        assert failed.returncode == ExitCode.PORT_TAKEN
        assert f"port {port} (prometheus) is taken by" in failed.stdout
        assert f"(pid {os.getpid()})" in failed.stdout
        assert_nothing_is_left(shell)

    def test_a_default_port_that_is_taken_is_replaced_and_said(self, shell: Shell) -> None:
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Where another stack has it already, it is taken all the same.
            with suppress(OSError):
                taken.bind(("127.0.0.1", DEFAULT_PORTS["prometheus"]))
                taken.listen()
            started = shell.up()
        port = shell.status()["ports"]["prometheus"]
        assert f"Port {DEFAULT_PORTS['prometheus']} (prometheus) is taken; using {port} instead." in started.stdout

    def test_a_free_port_that_was_asked_for_is_used(self, shell: Shell) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        shell.up("--port", f"prometheus={port}")
        assert shell.status()["ports"]["prometheus"] == port


class TestCrash:
    def test_a_part_that_dies_while_starting_stops_everything_and_shows_its_last_words(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        binary = crashing_binary(tmp_path / "am", "0.31.1", "cannot open the flux capacitor")
        failed = shell.up(INFERMETER_ALERTMANAGER_BINARY=binary)
        assert failed.returncode == ExitCode.START_FAILED
        assert "Alertmanager ended with status 7" in failed.stdout
        assert "cannot open the flux capacitor" in failed.stdout
        assert_nothing_is_left(shell)

    def test_a_broken_rule_file_is_reported_with_the_reason(self, shell: Shell, tmp_path: Path) -> None:
        (tmp_path / "bad.yml").write_text("groups: [{name: bad, rules: [{record: a, expr: 'sum('}]}]")
        failed = shell.up("--rules", str(tmp_path))
        assert failed.returncode == ExitCode.START_FAILED
        assert "bad.yml" in failed.stdout
        assert_nothing_is_left(shell)

    def test_a_part_that_is_never_ready_is_given_up_with_what_is_missing(self, shell: Shell, tmp_path: Path) -> None:
        stuck = tmp_path / "stuck"
        stuck.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "x, version 0.31.1" && exit 0\nexec sleep 600\n')
        stuck.chmod(0o755)
        failed = shell.up("--timeout", "2", INFERMETER_ALERTMANAGER_BINARY=str(stuck))
        assert failed.returncode == ExitCode.START_FAILED
        assert "waited 2 s for Alertmanager to be ready" in failed.stdout
        assert "/-/ready does not answer" in failed.stdout
        assert_nothing_is_left(shell)

    def test_a_part_that_dies_later_is_shown_and_the_next_up_starts_afresh(self, shell: Shell) -> None:
        shell.up()
        pids = dict(zip(PARTS, shell.started_pids(), strict=True))
        os.kill(pids["prometheus"], signal.SIGKILL)
        eventually("status to see the crash", lambda: shell.run("status").returncode == ExitCode.DEGRADED)
        assert {part["name"]: part["state"] for part in shell.status()["parts"]}["prometheus"] == "crashed"
        assert "Prometheus crashed" in shell.run("status").stdout
        again = shell.up()
        assert again.returncode == ExitCode.OK
        assert "Prometheus had crashed" in again.stdout
        assert not set(shell.started_pids()) & set(pids.values())

    def test_in_the_foreground_a_crash_stops_everything(self, shell: Shell) -> None:
        up = shell.begin("up", "--service-only", "--foreground")
        read_until(up, "Ctrl-C stops everything")
        os.kill(shell.started_pids()[0], signal.SIGKILL)
        output, _ = up.communicate(timeout=60)
        assert up.returncode == ExitCode.DEGRADED
        assert "Collector crashed" in output
        assert_nothing_is_left(shell)


class TestInterrupt:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupt_during_start_up_stops_what_was_started(self, shell: Shell, number: int) -> None:
        # An interval this long keeps it waiting for the first scrape.
        up = shell.begin("up", "--service-only", "--scrape-interval", "60")
        eventually("a part to be started", lambda: len(shell.started_pids()) == len(PARTS))
        pids = shell.started_pids()
        up.send_signal(number)
        output, _ = up.communicate(timeout=60)
        assert up.returncode == ExitCode.INTERRUPTED
        assert "nothing is left running" in output
        assert [pid for pid in pids if identify(pid)] == []
        assert_nothing_is_left(shell)

    def test_ctrl_c_in_the_foreground_stops_everything(self, shell: Shell) -> None:
        up = shell.begin("up", "--service-only", "--foreground")
        read_until(up, "Ctrl-C stops everything")
        ports = shell.status()["ports"]
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=60)
        assert up.returncode == ExitCode.INTERRUPTED
        assert_nothing_is_left(shell, ports)

    def test_down_ends_an_up_in_the_foreground(self, shell: Shell) -> None:
        up = shell.begin("up", "--service-only", "--foreground")
        read_until(up, "Ctrl-C stops everything")
        shell.run("down")
        output, _ = up.communicate(timeout=60)
        assert (up.returncode, "Stopped by `infermeter down`" in output) == (ExitCode.OK, True)
        assert_nothing_is_left(shell)

    def test_a_second_command_waits_for_nobody_and_says_who_is_at_work(self, shell: Shell) -> None:
        up = shell.begin("up", "--service-only", "--scrape-interval", "60")
        eventually("a part to be started", shell.started_pids)
        second = shell.up()
        assert second.returncode == ExitCode.BUSY
        assert f"`infermeter up` (pid {up.pid}) is at work" in " ".join(second.stdout.split())
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=60)


class TestStaleState:
    def test_what_survives_a_killed_up_is_found_and_stopped(self, shell: Shell) -> None:
        up = shell.begin("up", "--service-only", "--scrape-interval", "60")
        eventually("every part to be started", lambda: len(shell.started_pids()) == len(PARTS))
        up.kill()
        up.communicate()
        pids = shell.started_pids()
        assert shell.run("down").returncode == ExitCode.OK
        assert [pid for pid in pids if identify(pid)] == []
        assert_nothing_is_left(shell)

    def test_a_process_that_got_an_old_pid_is_left_alone(self, shell: Shell) -> None:
        with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
            state = {
                "format": 1,
                "started_at": "2020-01-01T00:00:00+00:00",
                "ports": {},
                "parts": [
                    {
                        "name": "collector",
                        "title": "Collector",
                        "process": {"pid": stranger.pid, "birth_mark": "before the reboot/1"},
                        "log": "x.log",
                        "health_url": "",
                        "urls": {},
                    }
                ],
            }
            shell.data_dir.mkdir()
            (shell.data_dir / "state.json").write_text(json.dumps(state))
            assert shell.status()["status"] == "stopped"
            started = shell.up()
            assert started.returncode == ExitCode.OK
            assert "ended without `infermeter down`" in started.stdout
            assert stranger.poll() is None
            stranger.kill()

    @pytest.mark.parametrize("content", ["", "{half", '{"format": 99}', "[]"])
    def test_an_unreadable_state_file_does_not_stop_anybody(self, shell: Shell, content: str) -> None:
        shell.data_dir.mkdir()
        (shell.data_dir / "state.json").write_text(content)
        assert shell.run("status").returncode == ExitCode.NOT_RUNNING
        assert shell.run("down").returncode == ExitCode.OK
