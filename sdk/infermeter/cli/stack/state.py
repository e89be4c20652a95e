"""What a running stack remembers on disk, so that a later command finds it: one JSON file, written atomically."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from infermeter.cli.stack.processes import ProcessId, is_alive

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = 1


@dataclass(frozen=True)
class RunningPart:
    """A part that was started."""

    name: str
    title: str
    process: ProcessId
    log: str
    health_url: str
    urls: dict[str, str]

    @property
    def alive(self) -> bool:
        """Whether its process still lives."""
        return is_alive(self.process)


@dataclass(frozen=True)
class StackState:
    """A stack as its state file describes it."""

    started_at: str
    ports: dict[str, int]
    parts: tuple[RunningPart, ...] = field(default=())


def write_state(file: Path, state: StackState) -> None:
    """Replace the state file in one step: a reader sees the old or the new one, never half."""
    scratch = file.with_suffix(".writing")
    scratch.write_text(json.dumps({"format": _FORMAT, **asdict(state)}, indent=2), encoding="utf-8")
    scratch.replace(file)


def read_state(file: Path) -> StackState | None:
    """Return what the state file says; None when there is none or it is of no use to this version."""
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if content.pop("format") != _FORMAT:
            return None
        parts = tuple(_read_part(part) for part in content["parts"])
        return StackState(content["started_at"], content["ports"], parts)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def _read_part(content: dict[str, Any]) -> RunningPart:
    process = ProcessId(**content.pop("process"))
    return RunningPart(process=process, **content)
