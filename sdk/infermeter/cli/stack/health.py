"""How a stack does right now, as any command can find out from its state file."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from infermeter.cli.stack.loopback import get

if TYPE_CHECKING:
    from infermeter.cli.stack.state import RunningPart, StackState

PartState = Literal["ready", "not answering", "crashed"]


@dataclass(frozen=True)
class PartHealth:
    """A part and whether it is well."""

    name: str
    title: str
    state: PartState
    pid: int
    health_url: str
    urls: dict[str, str]
    log: str


def health_of(state: StackState) -> list[PartHealth]:
    """Look at every part: does its process live, and does it answer."""
    return [
        PartHealth(part.name, part.title, _look_at(part), part.process.pid, part.health_url, part.urls, part.log)
        for part in state.parts
    ]


def _look_at(part: RunningPart) -> PartState:
    if not part.alive:
        return "crashed"
    if part.health_url and get(part.health_url)[0] != HTTPStatus.OK:
        return "not answering"
    return "ready"
