"""The body of a request as it passes by: kept up to a size, never asked for, never changed.

Knows ASGI messages; knows nothing of what a body holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infermeter import guard

BODY_LIMIT = 1 << 20
"""Bytes of one body that are kept; of a larger one none are."""


class PassingBody:
    """What an application has read of one body. It reads when, and as far as, it wants. Nothing here raises."""

    __slots__ = ("_chunks", "_size", "is_complete")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self.is_complete = False

    @property
    def is_too_large(self) -> bool:
        """Whether more has passed than is kept."""
        return self._size > BODY_LIMIT

    def saw(self, message: Mapping[str, Any]) -> None:
        """Keep the chunk of a message that the application receives."""
        try:
            if message["type"] != "http.request":
                return
            chunk = message.get("body", b"")
            self._size += len(chunk)
            if self._size > BODY_LIMIT:
                self._chunks = []
            elif chunk:
                self._chunks.append(bytes(chunk))  # the same object, unless a server hands over one that can change
            self.is_complete = not message.get("more_body", False)
        except Exception as error:  # noqa: BLE001  a message that is none is for the application to judge
            guard.swallow("asgi", error)

    def content(self) -> bytes:
        """Return what was kept."""
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
