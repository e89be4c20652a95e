"""What one process of a stack is: its command, environment, readiness and addresses. Starts nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infermeter.cli.stack.readiness import Probe


@dataclass(frozen=True, kw_only=True)
class Part:
    """One process of the stack.

    Attributes:
        name: Short name, for commands and files.
        title: What the user reads.
        argv: The command.
        env: Its whole environment.
        cwd: Where it runs.
        ready: What must hold before it counts as ready.
        health_url: Answers 200 while it is well; empty for a part that does not listen.
        urls: What a user may open, by meaning.
        after: Parts that must be ready before this one is started.
    """

    name: str
    title: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    ready: Probe
    health_url: str = ""
    urls: Mapping[str, str] = field(default_factory=dict[str, str])
    after: tuple[str, ...] = ()
