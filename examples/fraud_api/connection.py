"""A keep-alive HTTP connection that says honestly whether a request was answered.

Client libraries may send a request again by themselves when a kept connection turns out to be closed. Here whoever
sends decides, because their log must agree with what the service counted. Knows no more of HTTP/1.1 than that takes.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

_ANSWER_TIMEOUT_S = 30.0
_REQUESTS_PER_CONNECTION = 100
"""Then a new one is opened, so that all workers behind one port get their share."""


class UnansweredError(Exception):
    """The connection ended before the answer was complete; nobody can say whether the request was served."""


class Response(NamedTuple):
    """An answer that arrived completely."""

    status: int
    body: bytes


class Connection:
    """One connection to a server, opened when it is needed and renewed when the server closes it.

    Args:
        host: Address of the server.
        port: Its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._requests_left = 0

    async def post(self, path: str, body: bytes) -> Response:
        """Send JSON and return the answer.

        Raises:
            UnansweredError: No complete answer came.
        """
        try:
            return await asyncio.wait_for(self._post(path, body), _ANSWER_TIMEOUT_S)
        except (OSError, EOFError, TimeoutError, asyncio.TimeoutError) as error:
            self.close()
            raise UnansweredError(type(error).__name__) from None
        except BaseException:
            self.close()
            raise

    async def _post(self, path: str, body: bytes) -> Response:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
            self._requests_left = _REQUESTS_PER_CONNECTION
        reader, writer = self._streams
        self._requests_left -= 1
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status_line, *lines = head.rstrip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        answer = Response(int(status_line.split()[1]), await reader.readexactly(int(headers["content-length"])))
        # uvicorn closes without saying so after a handler has raised; a request sent there would go unanswered.
        if self._requests_left == 0 or answer.status >= 500 or headers.get("connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        """Close it; the next request opens a new one."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None
