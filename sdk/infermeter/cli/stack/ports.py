"""Which port each listener gets, and who has one that we wanted; knows nothing of what listens there."""

from __future__ import annotations

import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.options import DEFAULT_PORTS, StackOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOPBACK = "127.0.0.1"
_LISTENING = "0A"  # the state column of /proc/net/tcp


def choose_ports(options: StackOptions) -> dict[str, int]:
    """Return a free port for each listener of the stack, by name.

    Raises:
        StackError: A port that was asked for, or any with `port_policy="strict"`, is taken; names the owner.
    """
    chosen: dict[str, int] = {}
    # Those that were asked for first: a default that somebody wants for another listener gives way.
    for name in sorted(options.needed_ports, key=lambda name: name not in options.ports):
        asked = options.ports.get(name)
        wanted = asked if asked is not None else DEFAULT_PORTS[name]
        must = asked is not None or options.port_policy == "strict"
        if must and wanted in chosen.values():
            other = next(key for key, value in chosen.items() if value == wanted)
            raise StackError(f"port {wanted} is asked for twice: {other} and {name}", exit_code=ExitCode.USAGE)
        if must or options.port_policy == "prefer":
            if wanted not in chosen.values() and is_free(wanted):
                chosen[name] = wanted
                continue
            if must:
                raise StackError(
                    f"port {wanted} ({name}) is taken by {owner_of(wanted)}. Stop it, choose another with "
                    f"--ports {name}=NUMBER, or leave the option out and a free port is chosen.",
                    exit_code=ExitCode.PORT_TAKEN,
                )
        chosen[name] = 0
    return _fill(chosen, reserved=set(options.ports.values()))


def is_free(port: int) -> bool:
    """Say whether we could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port in TIME_WAIT from the last run is free, one that somebody listens on is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def owner_of(port: int) -> str:
    """Describe who listens on a port, as far as this user may know."""
    pid = _listener_from_proc(port) or _listener_from_lsof(port)
    if pid is None:
        return "another process (which one, only its owner or root can see)"
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = []
    name = " ".join([Path(words[0]).name, *words[1:3]]).strip() if words else "a process"
    return f"{name} (pid {pid})"


def _fill(chosen: Mapping[str, int], reserved: set[int]) -> dict[str, int]:
    """Replace each 0 by a free port; all are held open until the last is found, so that none comes twice."""
    filled = dict(chosen)
    with ExitStack() as held:
        for name in chosen:
            while not filled[name]:
                probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                probe.bind((_LOOPBACK, 0))
                free: int = probe.getsockname()[1]
                if free not in reserved and free not in filled.values():
                    filled[name] = free
    return filled


def _listener_from_proc(port: int) -> int | None:
    inodes: set[str] = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
        except OSError:
            continue
        inodes |= {row[9] for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port}
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    return next((int(file.parts[2]) for file in Path("/proc").glob("[0-9]*/fd/*") if _link(file) in wanted), None)


def _link(file: Path) -> str | None:
    try:
        return str(file.readlink())
    except OSError:  # closed meanwhile, or another user's
        return None


def _listener_from_lsof(port: int) -> int | None:
    try:
        found = subprocess.run(  # noqa: S603 -- a fixed command and a number
            ["lsof", "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"],  # noqa: S607
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return None
    first = found.stdout.split()
    return int(first[0]) if first else None
