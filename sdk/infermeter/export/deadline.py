"""Ends an HTTP exchange at its deadline, however slowly the other side keeps talking.

The timeout of ``requests`` bounds each read; a peer that sends a byte now and then would hold an export for ever.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from requests.adapters import HTTPAdapter
from requests.exceptions import ReadTimeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

GRACE_S = 0.2
"""How long after its timeout an exchange is cut, so that an ordinary timeout is reported as one."""


class CuttableAdapter(HTTPAdapter):
    """Remembers its open connections, so that another thread can cut them."""

    def __init__(self) -> None:
        self._open: WeakSet[HTTPConnection] = WeakSet()
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make pools whose connections are remembered."""
        super().init_poolmanager(*args, **kwargs)
        remember = self._open.add

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                remember(self)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                remember(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain  # pyright: ignore[reportAssignmentType]  # urllib3 documents it, its types forbid it

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure  # pyright: ignore[reportAssignmentType]  # as above

        pools: dict[str, type[HTTPConnectionPool] | type[HTTPSConnectionPool]] = {
            "http": PlainPool,
            "https": SecurePool,
        }
        self.poolmanager.pool_classes_by_scheme = pools

    def cut(self) -> None:
        """End every exchange that is going on; whoever reads sees the connection closed."""
        for connection in list(self._open):
            sock = connection.sock
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connections; at exit, urllib3's pools no longer do it themselves."""
        for connection in list(self._open):
            connection.close()
        super().close()

    @contextmanager
    def within(self, seconds: float) -> Generator[None]:
        """Cut what the block does if it takes longer than this.

        Raises:
            ReadTimeout: It did; what had arrived by then may have looked like a whole answer.
        """
        was_cut = threading.Event()

        def cut() -> None:
            was_cut.set()
            self.cut()

        timer = threading.Timer(seconds + GRACE_S, cut)
        timer.daemon = True
        with suppress(RuntimeError):  # an interpreter on its way out starts no threads
            timer.start()
        try:
            yield
        finally:
            timer.cancel()
        if was_cut.is_set():
            raise ReadTimeout(f"no whole answer within {seconds:g} s")
