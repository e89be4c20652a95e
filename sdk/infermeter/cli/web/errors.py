"""How a refusal looks: the JSON that Prometheus itself answers with, so that the page reads one format only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping


class RefusedError(Exception):
    """A request that is not passed on, or could not be.

    Attributes:
        status: The HTTP status.
        kind: What went wrong, in one word, like Prometheus' `errorType`.
    """

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


def refusal(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer that says why there is no other."""
    content = {"status": "error", "errorType": kind, "error": message}
    return JSONResponse(content, status, {"Cache-Control": "no-store", **(headers or {})})
