"""How a call ended, told from the exception that ended it.

Knows the vocabulary of statuses and the exceptions of the frameworks by name; imports none of them.
"""

from __future__ import annotations

import sys

from infermeter.cells import CANCELLED, ERROR, REJECTED, TIMEOUT, StatusIndex

FAILURES = (ERROR, TIMEOUT)
"""The statuses that failure ratios count; their exceptions are counted by class."""


def status_of(error: BaseException) -> StatusIndex:
    """Return the status of a call that ended with this exception.

    ``TimeoutError`` is a timeout; cancellation, an abandoned generator and a client that hung up are cancelled; an
    exception whose ``status_code`` is 400 to 499 is rejected; everything else is an error.
    """
    if isinstance(error, TimeoutError):
        return TIMEOUT
    if isinstance(error, GeneratorExit):
        return CANCELLED
    for module in ("asyncio", "concurrent.futures"):
        # Whoever raises one of these has loaded its module; loading it here would slow the first error down.
        loaded = sys.modules.get(module)
        if loaded is not None:
            if isinstance(error, loaded.CancelledError):
                return CANCELLED
            if isinstance(error, loaded.TimeoutError):  # a class of its own before Python 3.11
                return TIMEOUT
    if type(error).__name__ == "ClientDisconnect":  # starlette.requests
        return CANCELLED
    code = getattr(error, "status_code", None)
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 499:
        return REJECTED
    return ERROR
