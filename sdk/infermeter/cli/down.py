"""`infermeter down`: stops what `infermeter up` started."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

from infermeter.cli.data_dir import data_dir_option
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.locks import LockHeldError, locked
from infermeter.cli.stack.stack import stop_recorded
from infermeter.cli.terminal import make_console

if TYPE_CHECKING:
    from rich.console import Console

    from infermeter.cli.stack.places import Places

_WAIT_S = 10.0

_EXAMPLES = """\b
Examples:
  infermeter down                            stop everything; the time series stay for the next `up`
  infermeter down --purge                    and delete data, logs and configuration of this stack
"""


@click.command(epilog=_EXAMPLES)
@data_dir_option
@click.option("--purge", is_flag=True, help="Delete the stack's data, logs and configuration as well.")
def down(places: Places, *, purge: bool) -> None:
    """Stop everything that `up` started; fine to call when nothing runs."""
    console = make_console()
    sys.exit(_down(console, places, purge=purge))


def _down(console: Console, places: Places, *, purge: bool) -> ExitCode:
    if not places.data_dir.exists():
        console.print("Nothing is running.")
        return ExitCode.OK
    try:
        with locked(places.lock_file, holder="`infermeter down`", wait_s=_WAIT_S):
            stopped = stop_recorded(places)
            if purge:
                for folder in (places.data_dir / "data", places.logs, places.config):
                    shutil.rmtree(folder, ignore_errors=True)
    except LockHeldError as held:
        console.print(f"[red]error:[/red] {held} is at work on {places.data_dir}; press Ctrl-C there to stop it.")
        return ExitCode.BUSY
    if stopped is None or not stopped.parts:
        console.print("Nothing is running.")
    else:
        console.print(f"Stopped {', '.join(part.title for part in stopped.parts)}. Nothing is left running.")
    return ExitCode.OK
