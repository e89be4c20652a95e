"""`infermeter up`: starts the local stack and says where it is."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from rich.markup import escape

from infermeter.cli.data_dir import data_dir_option
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.interrupts import interruptible
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.health import health_of
from infermeter.cli.stack.locks import LockHeldError, locked
from infermeter.cli.stack.options import DEFAULT_PORTS, Profile, StackOptions
from infermeter.cli.stack.stack import Stack, last_lines, stop_recorded
from infermeter.cli.stack.state import StackState, read_state
from infermeter.cli.stack.tokens import bearer_token
from infermeter.cli.terminal import TerminalReporter, make_console, show_failure, show_parts
from infermeter.gpu.nvml import library_is_there

if TYPE_CHECKING:
    from rich.console import Console

    from infermeter.cli.stack.places import Places

_WATCH_S = 0.5
_SHOWN_LINES = 20
_P99 = "histogram_quantile(0.99, sum by (model_name, le) (rate(model_inference_latency_seconds_bucket[1m])))"

_EXAMPLES = """\b
Examples:
  infermeter up                              everything, in the background
  infermeter up --no-demo                    your own service will send
  infermeter up --service-only               collector, Prometheus and Alertmanager alone
  infermeter up --ports prometheus=9190,console=8080
  infermeter up --foreground                 stay, and stop everything at Ctrl-C
  infermeter up --speed 60                   rules with windows 60 times shorter

Ports that are taken are replaced by free ones, which the table shows. Set INFERMETER_OTLP_TOKEN to demand that bearer
token of everybody who sends. Binaries come from INFERMETER_COLLECTOR_BINARY, INFERMETER_PROMETHEUS_BINARY and
INFERMETER_ALERTMANAGER_BINARY, else from PATH, else from the cache, else they are built.
"""


def _parse_ports(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    ports: dict[str, int] = {}
    for value in (one for given in values for one in given.split(",")):
        name, _, number = value.partition("=")
        if name not in DEFAULT_PORTS:
            raise click.BadParameter(f"{name!r} is no port; there are {', '.join(DEFAULT_PORTS)}")
        if not number.isdecimal() or not 0 < int(number) < 2**16:
            raise click.BadParameter(f"{value!r}: give a number from 1 to 65535, like {name}={DEFAULT_PORTS[name]}")
        ports[name] = int(number)
    return ports


@click.command(epilog=_EXAMPLES)
@data_dir_option
@click.option(
    "--ports",
    "--port",
    "ports",
    multiple=True,
    callback=_parse_ports,
    metavar="NAME=NUMBER,…",
    help=f"Use exactly these ports. NAME is one of {', '.join(DEFAULT_PORTS)}.",
)
@click.option("--strict-ports", is_flag=True, help="Fail when a default port is taken, instead of taking a free one.")
@click.option(
    "--demo/--no-demo",
    default=True,
    help="Start the fleet of model services that `infermeter demo` breaks, and simulated GPUs.  [default: yes]",
)
@click.option("--service-only", is_flag=True, help="Start only what a service sends to: no console and no demo.")
@click.option("--example/--no-example", default=False, help="Start the FastAPI example as well.  [default: no]")
@click.option("--console/--no-console", "with_console", default=True, help="Serve the page.  [default: yes]")
@click.option("--traffic/--no-traffic", default=True, help="Send requests to the example.  [default: yes]")
@click.option(
    "--profile",
    type=click.Choice(get_args(Profile)),
    default="scrape",
    show_default=True,
    help="Prometheus scrapes the collector, or the collector pushes OTLP to Prometheus.",
)
@click.option(
    "--scrape-interval",
    "scrape_interval_s",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two scrapes; in production it is 15.",
)
@click.option(
    "--speed",
    type=click.FloatRange(1, 60),
    default=1.0,
    metavar="NUMBER",
    help="Divide the windows of all rules by this, to see alerts in seconds.",
)
@click.option(
    "--rules",
    "extra_rule_dirs",
    multiple=True,
    metavar="DIRECTORY",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Load these rule files as well.",
)
@click.option("--webhook", "webhook_url", metavar="URL", help="Where Alertmanager sends notifications.")
@click.option(
    "--timeout",
    "ready_timeout_s",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one part may take until it is ready.",
)
@click.option("--foreground", is_flag=True, help="Stay and stop everything at Ctrl-C or when a part crashes.")
def up(
    places: Places,
    *,
    ports: dict[str, int],
    strict_ports: bool,
    demo: bool,
    service_only: bool,
    example: bool,
    traffic: bool,
    with_console: bool,
    profile: Profile,
    scrape_interval_s: float,
    speed: float,
    extra_rule_dirs: tuple[Path, ...],
    webhook_url: str | None,
    ready_timeout_s: float,
    foreground: bool,
) -> None:
    """Start collector, Prometheus, Alertmanager, the console and a demonstration; wait until all of them are ready.

    Everything listens on this machine only. What is missing is built once, which takes about ten minutes.
    """
    console = make_console()
    options = StackOptions(
        data_dir=places.data_dir,
        ports=ports,
        port_policy="strict" if strict_ports else "prefer",
        example=example and not service_only,
        fleet=demo and not service_only,
        gpus=demo and not service_only and not library_is_there(),
        traffic=traffic,
        console=with_console and not service_only,
        profile=profile,
        scrape_interval_s=scrape_interval_s,
        speed=speed,
        extra_rule_dirs=tuple(folder.absolute() for folder in extra_rule_dirs),
        webhook_url=webhook_url,
        bearer_token=bearer_token(),
        ready_timeout_s=ready_timeout_s,
    )
    sys.exit(_up(console, options, places, foreground=foreground))


def _up(console: Console, options: StackOptions, places: Places, *, foreground: bool) -> ExitCode:
    if os.name != "posix":
        console.print("error: the local stack needs Linux or macOS; on Windows use WSL. The SDK itself runs anywhere.")
        return ExitCode.FAILED
    stack = Stack(options, reporter=TerminalReporter(console))
    try:
        with interruptible(lambda: console.print("still stopping…")):
            places.make()
            with locked(places.lock_file, holder="`infermeter up`"):
                if _already_running(console, places):
                    return ExitCode.OK
                state = stack.start()
                _welcome(console, options, state, foreground=foreground)
            if foreground:
                return _watch(console, stack, places)
            stack.detach()
    except LockHeldError as held:
        console.print(f"[red]error:[/red] {held} is at work on {places.data_dir}; wait for it, or press Ctrl-C there.")
        return ExitCode.BUSY
    except StackError as failure:
        show_failure(console, failure)
        return failure.exit_code
    except KeyboardInterrupt:
        stack.stop()
        console.print("Stopped; nothing is left running.")
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def _already_running(console: Console, places: Places) -> bool:
    """Say so when the stack runs and is whole; clear away what is left of one that is not."""
    state = read_state(places.state_file)
    if state is None:
        return False
    if state.parts and all(part.alive for part in state.parts):
        console.print("Already running; other options need `infermeter down` first.\n")
        show_parts(console, health_of(state))
        return True
    dead = [part.title for part in state.parts if not part.alive]
    stop_recorded(places)
    if len(dead) < len(state.parts):
        console.print(f"{', '.join(dead)} had crashed; stopped the rest and starting afresh.")
    elif dead:
        console.print("The last stack ended without `infermeter down`; starting afresh.")
    return False


def _watch(console: Console, stack: Stack, places: Places) -> ExitCode:
    """Stay until Ctrl-C, until a part crashes, or until `infermeter down` in another terminal."""
    while places.state_file.exists():
        crashed = stack.crashed()
        if crashed and places.state_file.exists():
            show_failure(
                console,
                StackError(f"{crashed[0].title} crashed; stopping everything. Its log: {crashed[0].log}",
                           log_tail=last_lines(Path(crashed[0].log), _SHOWN_LINES)),
            )  # fmt: skip
            stack.stop()
            return ExitCode.DEGRADED
        time.sleep(_WATCH_S)
    stack.stop()
    console.print("Stopped by `infermeter down`.")
    return ExitCode.OK


def _welcome(console: Console, options: StackOptions, state: StackState, *, foreground: bool) -> None:
    console.print()
    show_parts(console, health_of(state))
    console.print()
    query = shlex.quote(f"query={_P99}" if options.example or options.fleet else 'query=up{job=~"infermeter.*"}')
    url = f"http://127.0.0.1:{state.ports['prometheus']}/api/v1/query"
    console.print("Try next:", style="bold")
    if options.console:
        _hint(console, f"open http://127.0.0.1:{state.ports['console']}")
    if options.fleet:
        _hint(console, "infermeter demo --list")
    _hint(console, f"curl -s {url} --data-urlencode {query}")
    _hint(
        console,
        f"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{state.ports['otlp-http']} python your_service.py",
    )
    _hint(
        console,
        "Ctrl-C stops everything" if foreground else "infermeter status, infermeter logs, infermeter down",
    )


def _hint(console: Console, text: str) -> None:
    console.print(f"  {escape(text)}", soft_wrap=True, highlight=False)
