"""How a stack looks on a terminal: the progress of a build, tables, failures. Decides nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from infermeter.cli.stack.failures import StackError
    from infermeter.cli.stack.health import PartHealth

# Where nobody watches a bar (CI), one line in this many seconds says that a build still lives.
_HEARTBEAT_S = 30.0
_STYLES = {"ready": "green", "not answering": "yellow", "crashed": "red"}


def make_console() -> Console:
    """Return a console for standard output; off a terminal it is wide enough not to cut addresses somebody pipes on."""
    console = Console()
    return console if console.is_terminal else Console(width=200)


class TerminalReporter:
    """Shows what a stack reports: a bar on a terminal, lines elsewhere."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self._console = console
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._title = ""
        self._started_s = 0.0
        self._spoke_s = 0.0

    def say(self, text: str) -> None:
        """Print one sentence."""
        self._console.print(escape(text), soft_wrap=True)

    def build_started(self, title: str, expectation: str, log: Path) -> None:
        """Announce a build and, on a terminal, show its bar."""
        self._title = title
        self._started_s = self._spoke_s = time.monotonic()
        self.say(f"Building {title}, once for this machine ({expectation}; log: {log})")
        if self._console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task(title, total=1.0)

    def build_advanced(self, done_ratio: float, doing: str) -> None:
        """Move the bar, or say from time to time that the build goes on."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done_ratio, description=f"{self._title}: {doing}")
        elif time.monotonic() - self._spoke_s > _HEARTBEAT_S:
            self._spoke_s = time.monotonic()
            self.say(f"  {doing}, about {done_ratio:.0%} after {self._spoke_s - self._started_s:.0f} s")

    def build_ended(self, elapsed_s: float, *, succeeded: bool) -> None:
        """Take the bar away and say how long it took."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        if succeeded:
            self.say(f"Built {self._title} in {_clock(elapsed_s)}")

    def part_ready(self, title: str, elapsed_s: float) -> None:
        """Say that a part answers."""
        self._console.print(f"[green]ready[/green] {escape(title)} [dim]({elapsed_s:.1f} s)[/dim]")


def show_failure(console: Console, failure: StackError) -> None:
    """Print what went wrong and the end of the log that explains it."""
    console.print(f"[red]error:[/red] {escape(str(failure))}", soft_wrap=True)
    if failure.log_tail:
        console.print("[dim]last lines of its log:[/dim]")
        for line in failure.log_tail.splitlines():
            console.print(f"  {escape(line)}", soft_wrap=True, highlight=False)


def show_parts(console: Console, parts: Sequence[PartHealth]) -> None:
    """Print one row per address, parts without one included."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("part", "state", "for", "address"):
        table.add_column(column, no_wrap=True, overflow="fold")
    for part in parts:
        state = f"[{_STYLES[part.state]}]{part.state}[/]"
        for number, (meaning, url) in enumerate(part.urls.items() or [("", "")]):
            first = number == 0
            table.add_row(part.title if first else "", state if first else "", meaning, url)
    console.print(table)


def _clock(elapsed_s: float) -> str:
    minutes, seconds = divmod(round(elapsed_s), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{elapsed_s:.1f} s"
