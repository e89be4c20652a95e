"""`infermeter logs`: what the parts have written, of one or of all, once or as it comes."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from infermeter.cli.data_dir import data_dir_option
from infermeter.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from infermeter.cli.stack.places import Places

_POLL_S = 0.2

_EXAMPLES = """\b
Examples:
  infermeter logs                            the last lines of every part
  infermeter logs collector -n 100           more of one
  infermeter logs prometheus -f              follow it until Ctrl-C
"""


@click.command(epilog=_EXAMPLES)
@data_dir_option
@click.argument("part", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is written, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    "count",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many lines of each part to begin with.",
)
def logs(places: Places, *, part: str | None, follow: bool, count: int) -> None:
    """Show what the parts have written; PART is one of them, or leave it out for all."""
    present = {file.stem: file for file in sorted(places.logs.glob("*.log")) if ".previous" not in file.name}
    if part is not None and part not in present:
        known = f"there are logs of {', '.join(present)}" if present else f"there are no logs in {places.logs}"
        raise click.BadParameter(f"no part {part!r}; {known}", param_hint="PART")
    if not present:
        click.echo(f"There are no logs in {places.logs}.", err=True)
        sys.exit(ExitCode.NOT_RUNNING)
    chosen = {part: present[part]} if part is not None else present
    width = max(len(name) for name in chosen) if len(chosen) > 1 else 0
    read_bytes: dict[str, int] = {}
    for name, file in chosen.items():
        content = file.read_bytes()
        read_bytes[name] = len(content)
        _print(name, content.decode(errors="replace").splitlines()[-count:] if count else [], width)
    while follow:
        try:
            time.sleep(_POLL_S)
        except KeyboardInterrupt:
            sys.exit(ExitCode.OK)
        for name, file in chosen.items():
            read_bytes[name] = _print_news(name, file, read_bytes[name], width)


def _print_news(name: str, file: Path, seen_bytes: int, width: int) -> int:
    """Print the whole lines written since, and return up to where they were read."""
    try:
        if file.stat().st_size < seen_bytes:
            seen_bytes = 0  # a new run began a new log
        with file.open("rb") as log:
            log.seek(seen_bytes)
            news = log.read()
    except FileNotFoundError:
        return 0
    whole = news[: news.rfind(b"\n") + 1]
    _print(name, whole.decode(errors="replace").splitlines(), width)
    return seen_bytes + len(whole)


def _print(name: str, lines: Iterable[str], width: int) -> None:
    for line in lines:
        click.echo(f"{name:<{width}} | {line}" if width else line)
