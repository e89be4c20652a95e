"""HTTP with clients that dawdle: uvicorn's protocol, closing on who does not finish asking or does not read an answer.

uvicorn limits the pause between two requests only. Half a request head, sent byte by byte, would hold a connection for
ever, and so would an answer that nobody reads.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_TIMEOUT_S = 10.0
READING_TIMEOUT_S = 30.0


class ImpatientProtocol(H11Protocol):
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _reading_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give a new client some seconds to ask."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._head_arrived()
        self._reads_again()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Watch whether what has come is the whole head of a request."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self.cycle or self.cycle.response_complete:
            self._await_head()
        else:
            self._head_arrived()

    def pause_writing(self) -> None:
        """Give a client that does not read some seconds to go on."""
        super().pause_writing()
        if self._reading_timer is None:
            self._reading_timer = self._later(READING_TIMEOUT_S)

    def resume_writing(self) -> None:
        """Trust it again."""
        super().resume_writing()
        self._reads_again()

    def timeout_keep_alive_handler(self) -> None:
        """Close; whoever leaves the rest of an answer unread cannot keep the connection by that."""
        super().timeout_keep_alive_handler()
        if self._reading_timer is None:
            self._reading_timer = self._later(READING_TIMEOUT_S)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self._later(HEAD_TIMEOUT_S)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _reads_again(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    def _later(self, seconds: float) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, self._hang_up)

    def _hang_up(self) -> None:
        """Reset the connection; closing it would keep what is unread in the kernel's memory for minutes."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
