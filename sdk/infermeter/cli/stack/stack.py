"""Starts the parts of a stack, waits until each is ready, and stops them; what a part is, the parts table knows."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack import processes
from infermeter.cli.stack.binaries import find_or_build
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.options import DEFAULT_PORTS
from infermeter.cli.stack.parts import BINARIES, parts_of
from infermeter.cli.stack.places import Places
from infermeter.cli.stack.ports import choose_ports
from infermeter.cli.stack.processes import ProcessId, identify_child
from infermeter.cli.stack.readiness import NotReadyError, wait_for
from infermeter.cli.stack.reporting import Reporter, SilentReporter
from infermeter.cli.stack.state import RunningPart, StackState, read_state, write_state
from infermeter.cli.web.page_build import find_or_build_page

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from infermeter.cli.stack.options import StackOptions
    from infermeter.cli.stack.part import Part

# Longer than the SDK's last flush (3 s) plus a slow machine; then SIGKILL.
STOP_GRACE_S = 8.0
_SHOWN_LINES = 20
# Services first: what they send on their way out still has somewhere to go. The rest can go together.
_STOPPED_FIRST = ("traffic", "example", "fleet")


class Stack:
    """One collector, Prometheus and Alertmanager, with the example if wanted.

    Not for two threads. `start` cleans up after itself when it fails or is interrupted, whatever by.
    """

    def __init__(self, options: StackOptions, *, reporter: Reporter | None = None) -> None:
        """Describe a stack; nothing is started yet."""
        self.options = options
        self.places = Places(options.data_dir)
        self.ports: Mapping[str, int] = {}
        self._reporter = reporter or SilentReporter()
        self._parts: dict[str, Part] = {}
        self._running: dict[str, RunningPart] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._spawned_s: dict[str, float] = {}
        self._started_at = datetime.now(tz=timezone.utc).isoformat(timespec="seconds")

    def start(self) -> StackState:
        """Find or build the binaries, start every part and return when all are ready.

        Raises:
            StackError: A port or a binary is missing, a part crashed or was not ready in time. Nothing is left running.
        """
        binaries = find_or_build(BINARIES, self._reporter)
        if self.options.console:
            self._build_page()
        self.places.make()
        self.ports = choose_ports(self.options)
        if self.options.port_policy == "prefer":
            for name, port in self.ports.items():
                if port != DEFAULT_PORTS[name] and name not in self.options.ports:
                    self._reporter.say(f"Port {DEFAULT_PORTS[name]} ({name}) is taken; using {port} instead.")
        self._parts = {part.name: part for part in parts_of(self.options, self.ports, binaries, self.places)}
        try:
            self._start_parts()
        except BaseException:  # Ctrl-C as well: whatever ends the start, nothing is left running
            self.stop()
            raise
        return self._remember()

    def stop(self) -> None:
        """Stop every part and everything they started, and forget them. Never mind if some are gone already."""
        if not self._running:
            return  # nothing of ours; the state file, if there is one, is another stack's
        stop_parts(tuple(self._running.values()))
        for child in self._children.values():
            child.wait(timeout=STOP_GRACE_S)
        self._children.clear()
        self._running.clear()
        self.places.state_file.unlink(missing_ok=True)

    def restart(self, name: str) -> None:
        """Stop one part and start it again on the same port; return when it is ready."""
        self.stop_part(name)
        self._spawn(self._parts[name])
        self._await_ready(self._parts[name])

    def stop_part(self, name: str) -> None:
        """Stop one part and leave the others alone."""
        processes.stop([self._running[name].process], grace_s=STOP_GRACE_S)
        self._children.pop(name).wait(timeout=STOP_GRACE_S)

    def process_of(self, name: str) -> ProcessId:
        """Return the process of a part."""
        return self._running[name].process

    def url(self, port_name: str) -> str:
        """Return the address of a listener by the name of its port, like `otlp-http`."""
        return f"http://127.0.0.1:{self.ports[port_name]}"

    def detach(self) -> None:
        """Let the parts live on without us."""
        for child in self._children.values():
            child.returncode = 0  # not ours to wait for any more; silences Popen's warning about it
        self._children.clear()

    def crashed(self) -> list[RunningPart]:
        """Return the parts that have died since they were started."""
        return [part for part in self._running.values() if not part.alive]

    def _build_page(self) -> None:
        """Build what the console shows, if need be; without it everything else still works, and the console says so."""
        try:
            find_or_build_page(self._reporter)
        except StackError as failure:
            self._reporter.say(str(failure))

    def _start_parts(self) -> None:
        waiting = list(self._parts.values())
        ready: set[str] = set()
        while waiting:
            # All that can start do so together, then each is awaited: a start takes as long as its slowest part.
            now = [part for part in waiting if set(part.after) <= ready]
            for part in now:
                self._spawn(part)
            for part in now:
                self._await_ready(part)
            ready |= {part.name for part in now}
            waiting = [part for part in waiting if part.name not in ready]
        self._raise_if_crashed()

    def _spawn(self, part: Part) -> None:
        log = self.places.log(part.name)
        child = processes.spawn(part.argv, env=part.env, cwd=part.cwd, log=log)
        self._children[part.name] = child
        self._spawned_s[part.name] = time.monotonic()
        self._running[part.name] = RunningPart(
            part.name, part.title, identify_child(child.pid), str(log), part.health_url, dict(part.urls)
        )
        self._remember()

    def _await_ready(self, part: Part) -> None:
        def probe() -> str | None:
            self._raise_if_crashed()
            return part.ready()

        try:
            wait_for(f"{part.title} to be ready", probe, timeout_s=self.options.ready_timeout_s)
        except NotReadyError as late:
            raise StackError(
                f"{late}. Its log: {self.places.log(part.name)}",
                exit_code=ExitCode.START_FAILED,
                log_tail=last_lines(self.places.log(part.name), _SHOWN_LINES),
            ) from None
        self._reporter.part_ready(part.title, time.monotonic() - self._spawned_s[part.name])

    def _raise_if_crashed(self) -> None:
        for name, child in self._children.items():
            status = child.poll()
            if status is not None:
                ending = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
                raise StackError(
                    f"{self._parts[name].title} {ending} during start-up. Its log: {self.places.log(name)}",
                    exit_code=ExitCode.START_FAILED,
                    log_tail=last_lines(self.places.log(name), _SHOWN_LINES),
                )

    def _remember(self) -> StackState:
        state = StackState(self._started_at, dict(self.ports), tuple(self._running.values()))
        write_state(self.places.state_file, state)
        return state


def attach(part: Part, places: Places, *, timeout_s: float) -> StackState:
    """Add a part to a stack that runs, in the place of a dead one of that name, and wait until it is ready.

    Raises:
        StackError: Nothing runs, or the part was not ready in time; then it is not left running.
    """
    state = read_state(places.state_file)
    if state is None:
        raise StackError("Nothing is running. Start it with `infermeter up`.", exit_code=ExitCode.NOT_RUNNING)
    log = places.log(part.name)
    child = processes.spawn(part.argv, env=part.env, cwd=part.cwd, log=log)
    running = RunningPart(part.name, part.title, identify_child(child.pid), str(log), part.health_url, dict(part.urls))

    def probe() -> str | None:
        return part.ready() if child.poll() is None else f"it ended with status {child.returncode}"

    try:
        wait_for(f"{part.title} to be ready", probe, timeout_s=timeout_s)
    except BaseException as late:
        processes.stop([running.process], grace_s=STOP_GRACE_S)
        child.wait(timeout=STOP_GRACE_S)
        if not isinstance(late, NotReadyError):
            raise
        raise StackError(
            f"{late}. Its log: {log}", exit_code=ExitCode.START_FAILED, log_tail=last_lines(log, _SHOWN_LINES)
        ) from None
    child.returncode = 0  # it lives on without us; silences Popen's warning about it
    others = tuple(other for other in state.parts if other.name != part.name)
    grown = StackState(state.started_at, state.ports, (*others, running))
    write_state(places.state_file, grown)
    return grown


def stop_parts(parts: tuple[RunningPart, ...]) -> None:
    """Stop parts that this or another command started, services before what they report to."""
    for first in (True, False):
        chosen = [part.process for part in parts if (part.name in _STOPPED_FIRST) is first]
        processes.stop(chosen, grace_s=STOP_GRACE_S)


def stop_recorded(places: Places) -> StackState | None:
    """Stop what the state file names and remove it; return what it said."""
    state = read_state(places.state_file)
    if state is not None:
        stop_parts(state.parts)
    places.state_file.unlink(missing_ok=True)
    return state


def last_lines(log: Path, count: int) -> str:
    """Return the end of a log; empty when there is none."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""
