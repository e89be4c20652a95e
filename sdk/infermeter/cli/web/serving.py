"""The console's process: its socket and its server, until somebody stops it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn

from infermeter.cli.web.impatience import ImpatientProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_MOST_CONNECTIONS = 256
_IDLE_TIMEOUT_S = 75
_MOST_HEAD_BYTES = 16 << 10
_SHUTDOWN_TIMEOUT_S = 2


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Args:
        host: An address of this machine, or a name of one.
        port: 0 for a free one.

    Raises:
        OSError: The port is taken, or the address is not this machine's.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=128)


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Return a server with our limits; `run(sockets=[...])` answers until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",  # a request line may carry the token
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody tells us who a client is
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_IDLE_TIMEOUT_S,
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
        h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
    )
    return uvicorn.Server(config)
