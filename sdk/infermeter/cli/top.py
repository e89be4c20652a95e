"""`infermeter top`: the overview in a terminal, live."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from infermeter.cli.addresses import checked_url
from infermeter.cli.data_dir import data_dir_option
from infermeter.cli.diagnosis.backend import Backend, NoAnswerError
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.overview.numbers import read_overview
from infermeter.cli.overview.tables import draw
from infermeter.cli.stack.options import DEFAULT_PORTS
from infermeter.cli.stack.state import read_state
from infermeter.cli.terminal import make_console

if TYPE_CHECKING:
    from rich.console import Console

    from infermeter.cli.stack.places import Places

_EXAMPLES = f"""\b
Exit status: {ExitCode.OK:d} shown, {ExitCode.NOT_RUNNING:d} Prometheus does not answer.

\b
Examples:
  infermeter top                             models, GPUs, pipelines and alerts, live until Ctrl-C
  infermeter top --once                      the same, once; so it is in a pipe
  infermeter top --json | jq '.models[] | select(.failed_ratio > 0.01)'
  infermeter top --prometheus https://prometheus.example --window 5m

A number that nobody reports is shown as - and is null in JSON.
"""


def _checked_window(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[1-9]\d*(s|m|h|d)", value, re.ASCII):
        raise click.BadParameter(f"{value!r} is no duration; give one like 1m")
    return value


@click.command(epilog=_EXAMPLES)
@data_dir_option
@click.option(
    "--prometheus",
    "prometheus_url",
    envvar="INFERMETER_PROMETHEUS_URL",
    callback=checked_url,
    metavar="URL",
    help="Where Prometheus answers.  [env: INFERMETER_PROMETHEUS_URL]",
)
@click.option(
    "--window",
    default="1m",
    show_default=True,
    callback=_checked_window,
    metavar="DURATION",
    help="Over how long rates are taken; four scrape intervals or more.",
)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.5),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@click.option("--once", is_flag=True, help="Show it once and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and end.")
def top(
    places: Places, *, prometheus_url: str | None, window: str, interval_s: float, once: bool, as_json: bool
) -> None:
    """Show how the models do: traffic, failures, latency, GPUs, pipelines and alerts."""
    state = read_state(places.state_file)
    ports = state.ports if state is not None else {}
    port = ports.get("prometheus", DEFAULT_PORTS["prometheus"])
    prometheus = Backend(prometheus_url or f"http://127.0.0.1:{port}")
    console = make_console()
    if as_json or once or not console.is_terminal:
        sys.exit(_show_once(console, prometheus, window, as_json=as_json))
    _watch(console, prometheus, window, interval_s)


def _show_once(console: Console, prometheus: Backend, window: str, *, as_json: bool) -> ExitCode:
    try:
        overview = read_overview(prometheus, window=window)
    except NoAnswerError as problem:
        click.echo(f"error: {_away(prometheus, problem)}", err=True)
        return ExitCode.NOT_RUNNING
    if as_json:
        click.echo(json.dumps(asdict(overview), indent=2))
    else:
        console.print(draw(overview))
    return ExitCode.OK


def _watch(console: Console, prometheus: Backend, window: str, interval_s: float) -> None:
    """Draw until Ctrl-C; a Prometheus that is away is waited for."""
    with Live(console=console, screen=True, auto_refresh=False) as screen:
        try:
            while True:
                clock = Text(time.strftime("%H:%M:%S"), "dim")
                try:
                    screen.update(Group(clock, draw(read_overview(prometheus, window=window))), refresh=True)
                except NoAnswerError as problem:
                    banner = Text(f"{_away(prometheus, problem)} Looking again.", "red")
                    screen.update(Group(clock, banner), refresh=True)
                time.sleep(interval_s)
        except KeyboardInterrupt:
            return


def _away(prometheus: Backend, problem: NoAnswerError) -> str:
    return (
        f"Prometheus at {escape(prometheus.url)} {problem}. Start the stack with `infermeter up`, or give --prometheus."
    )
