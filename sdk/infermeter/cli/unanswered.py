"""Why a server did not answer, in our words. Knows no HTTP client: each wraps the system's own error several times."""

from __future__ import annotations

import os
import socket
import ssl


def reason(error: BaseException) -> str | None:
    """Return what the system said, from wherever it lies beneath an HTTP client's error; None if it said nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "its name cannot be resolved"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted here"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS there"
        if isinstance(cause, ConnectionRefusedError):
            return "nobody listens there"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)  # an event loop puts other words into the error
        cause = cause.__cause__ or cause.__context__
    return None
