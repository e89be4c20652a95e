"""The inputs of a model within the JSON body of a request: where they are, and what is counted when they are not there.

Knows bodies and monitors; knows nothing of applications or routes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from infermeter import guard
from infermeter.drift import room
from infermeter.drift.layout import WHERE
from infermeter.errors import ConfigError
from infermeter.request_bodies import PassingBody

Step = str | int

_EACH = "[*]"
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+)\]")
_ABSENT = object()
_ALLOWED = 'such as "features", "transaction.features" or "instances[*].features"'


class InputsPath:
    """A place in a JSON document, such as ``features``, ``transaction.features`` or ``instances[*].features``.

    Names are separated by dots, ``[2]`` is an element of a list, ``$`` the document itself. ``[*]``, once at most,
    stands for every element: each holds one row of inputs.

    Raises:
        ConfigError: The text is no such place.
    """

    def __init__(self, text: object) -> None:
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"inputs must name a place in the JSON body, {_ALLOWED}, got {text!r}")
        from_root = text[1:] if re.match(r"\$($|[.\[])", text) else text if text.startswith("[") else f".{text}"
        to_rows, each, within = from_root.partition(_EACH)
        self.text, self.is_batch = text, bool(each)
        self._to_rows, self._within = _steps(text, to_rows), _steps(text, within)

    def rows(self, document: object) -> list[Any]:
        """Return the rows of inputs in a document; where there are none is counted."""
        value = _at(document, self._to_rows)
        if self.is_batch:
            elements = cast("list[object]", value) if isinstance(value, list) else [_ABSENT]
            found = [_at(element, self._within) for element in elements] if self._within else elements
        else:
            found = [value]
        rows = [row for row in found if row is not _ABSENT]
        if len(rows) < len(found):
            guard.drop(WHERE, "body_path", len(found) - len(rows))
        return rows


def _steps(text: str, part: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    end = 0
    while end < len(part):
        match = _STEP.match(part, end)
        if match is None:
            raise ConfigError(f"inputs must name a place in the JSON body, {_ALLOWED}, got {text!r}")
        steps.append(match["name"] if match["index"] is None else int(match["index"]))
        end = match.end()
    return tuple(steps)


def _at(value: object, steps: tuple[Step, ...]) -> object:
    for step in steps:
        if isinstance(step, str):
            value = cast("dict[str, object]", value).get(step, _ABSENT) if isinstance(value, dict) else _ABSENT
        else:
            elements = cast("list[object]", value) if isinstance(value, list) else []
            value = elements[step] if step < len(elements) else _ABSENT
    return value


class BodyInputs:
    """Counts the inputs in the bodies of requests, each with the monitor of the model version that was asked.

    Args:
        path: Where in the body they are.
        parse: Reads JSON; raises ``ValueError`` for what is none.
    """

    def __init__(self, path: InputsPath, parse: Callable[[bytes], object]) -> None:
        self._path, self._parse = path, parse

    def count(self, key: room.Key, body: PassingBody) -> None:
        """Count one body; the application has seen all it wanted of it."""
        observer = room.observer(key)
        if observer is None:
            guard.log_once(
                WHERE,
                self._path.text,
                "inputs=%r: requests count as model %r, version %r, which no monitor_drift() watches: none are counted",
                self._path.text,
                *key,
            )
        elif body.is_too_large:
            guard.drop(WHERE, "body_size")
        elif not body.is_complete:
            guard.drop(WHERE, "body_unread")
        else:
            self._count(observer, body.content())

    def _count(self, observer: room.Observer, content: bytes) -> None:
        try:
            document = self._parse(content)
        except (ValueError, RecursionError):
            guard.drop(WHERE, "body_json")
            return
        rows = self._path.rows(document)
        if self._path.is_batch:
            observer.observe_batch(rows)
        elif rows:
            observer.observe(rows[0])
