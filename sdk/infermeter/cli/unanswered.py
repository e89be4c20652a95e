"""Why a server did not answer, in our words. Knows no HTTP client: each wraps the system's own error several times."""

from __future__ import annotations

import os
import socket
import ssl

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_EOF_WHILE_READING"})


def reason(error: BaseException) -> str | None:
    """Return what the system said, from wherever it lies beneath an HTTP client's error; None if it said nothing."""
    left, seen = [error], set[int]()
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        said = _said(one)
        if said is not None:
            return said
        beneath = one.__cause__ or one.__context__
        attempts: tuple[BaseException, ...] = getattr(one, "exceptions", ())  # one for each address of a name
        left += [*([beneath] if beneath else []), *reversed(attempts)]
    return None


def _said(error: BaseException) -> str | None:
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted here"
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS there" if error.reason in _NO_TLS else f"TLS failed: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)  # an event loop puts other words into the error
    return None
