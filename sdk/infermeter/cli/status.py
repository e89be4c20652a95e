"""`infermeter status`: what runs, where, and whether it answers; for people and, as JSON, for scripts."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infermeter.cli.data_dir import data_dir_option
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.health import health_of
from infermeter.cli.stack.stack import last_lines
from infermeter.cli.stack.state import StackState, read_state
from infermeter.cli.terminal import make_console, show_parts

if TYPE_CHECKING:
    from infermeter.cli.stack.places import Places

_SHOWN_LINES = 5

_EXAMPLES = f"""\b
Exit status: {ExitCode.OK:d} everything is ready, {ExitCode.NOT_RUNNING:d} nothing runs, \
{ExitCode.DEGRADED:d} a part has crashed or does not answer.

\b
Examples:
  infermeter status
  infermeter status --json | python -m json.tool
"""


@click.command(epilog=_EXAMPLES)
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(places: Places, *, as_json: bool) -> None:
    """Say what runs, where, and whether it answers."""
    state = read_state(places.state_file)
    parts = health_of(state) if state is not None else []
    if all(part.state == "crashed" for part in parts):
        code, word = ExitCode.NOT_RUNNING, "stopped"
    elif all(part.state == "ready" for part in parts):
        code, word = ExitCode.OK, "running"
    else:
        code, word = ExitCode.DEGRADED, "degraded"
    if as_json:
        found = state or StackState(started_at="", ports={})
        answer = {
            "status": word,
            "started_at": found.started_at or None,
            "data_dir": str(places.data_dir),
            "ports": found.ports,
            "parts": [asdict(part) for part in parts],
        }
        click.echo(json.dumps(answer, indent=2))
        sys.exit(code)
    console = make_console()
    if code is ExitCode.NOT_RUNNING:
        console.print("Nothing is running. Start it with `infermeter up`.")
        sys.exit(code)
    show_parts(console, parts)
    for part in parts:
        if part.state == "crashed":
            console.print(f"\n[red]{part.title} crashed.[/red] Its log: {part.log}", soft_wrap=True)
            console.print(last_lines(Path(part.log), _SHOWN_LINES), markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
