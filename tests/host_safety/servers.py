"""Runs a FastAPI application under a real server on a socket file, asks it, and stops it by a signal.

Knows servers and sockets; knows nothing of what is tested.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.host_safety.scripts import environment
from tests.waiting import until

PYTHON = sys.executable
TIMEOUT_S = 60


class Server:
    """A running server, its process group and its socket."""

    def __init__(self, process: subprocess.Popen[bytes], place: str, log: Path) -> None:
        self.process, self._place, self._log = process, place, log

    def post(self, path: str, body: bytes = b"{}") -> int:
        """Send one request over a connection of its own and return the status of its answer."""
        connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT_S)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(TIMEOUT_S)
        try:
            connection.sock.connect(self._place)
            headers = {"content-type": "application/json", "connection": "close"}
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the server and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def answers(self) -> bool:
        """Return whether it answers yet; fail when it is gone."""
        assert self.process.poll() is None, f"the server ended: {self.log}"
        try:
            return self.post("/nothing") == 404
        except OSError:
            return False


@contextmanager
def serving(
    application: str, command: Sequence[str], folder: Path, *, endpoint: str, **variables: str
) -> Iterator[Server]:
    """Serve a module ``service`` with ``application`` as its text; nothing of it runs after the block.

    Args:
        application: Source text.
        command: Command line; ``{socket}`` stands for the path of the socket.
        folder: Where the module goes.
        endpoint: Where exports go, at the end only unless a variable says otherwise.
        variables: More environment variables.
    """
    (folder / "service.py").write_text(textwrap.dedent(application))
    with tempfile.TemporaryDirectory() as short:  # paths of sockets have about a hundred characters
        place = str(Path(short) / "socket")
        log = folder / "log.txt"
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "3600000", **variables}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [part.format(socket=place) for part in command],
                cwd=folder,
                env=environment(HOME=short, **settings),  # where newer gunicorns put a socket of their own
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        server = Server(process, place, log)
        try:
            until(server.answers, "the server to answer", timeout_s=TIMEOUT_S)
            yield server
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(TIMEOUT_S)
