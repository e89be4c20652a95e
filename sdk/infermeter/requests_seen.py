"""Lets a web middleware learn whether the handler it wraps recorded an inference itself.

A floor for two rooms that do not know each other: one opens a note for a request, the other writes on it.
"""

from __future__ import annotations

from contextvars import ContextVar

watching = False
"""True once any middleware watches; until then recording does not even look for a note."""


class Note:
    """What happened within one request. Threads that run a handler get a copied context, but share this object."""

    recorded = False  # of the class until something is recorded, which spares most requests the writing of it
    body_counted = False  # an inner middleware counts what is in the body


_note: ContextVar[Note | None] = ContextVar("infermeter_request", default=None)


def watch() -> None:
    """Say that a middleware exists."""
    global watching
    watching = True


def open_note() -> Note:
    """Start a note for the request that the current context handles."""
    note = Note()
    _note.set(note)
    return note


def mark() -> None:
    """Note that an inference was recorded; callers ask ``watching`` first."""
    note = _note.get()
    if note is not None:
        note.recorded = True
