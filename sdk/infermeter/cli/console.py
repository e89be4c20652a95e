"""`infermeter console`: serves the page, for this machine, or with a token for others."""

from __future__ import annotations

import os
import re
import socket
import sys
import webbrowser
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from infermeter.addresses import in_url, is_loopback
from infermeter.cli.data_dir import data_dir_option
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.options import DEFAULT_PORTS
from infermeter.cli.stack.ports import owner_of
from infermeter.cli.stack.state import read_state
from infermeter.cli.terminal import TerminalReporter, make_console, show_failure

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from infermeter.cli.stack.places import Places
    from infermeter.cli.stack.state import StackState
    from infermeter.cli.web.upstream import Upstream

_NEEDS = ("starlette", "uvicorn", "httpx")
_SHORTEST_TOKEN = 16

_EXAMPLES = """\b
Examples:
  infermeter console                                          the local stack, or what listens on 9090 and 9093
  infermeter console --prometheus https://prometheus.example --alertmanager https://alerts.example
  INFERMETER_CONSOLE_TOKEN=$(openssl rand -hex 16) infermeter console --host 0.0.0.0

It only reads. Other machines need --host and a token; put TLS in front of it there. A Prometheus that wants a bearer
token gets the one in INFERMETER_PROMETHEUS_TOKEN, Alertmanager the one in INFERMETER_ALERTMANAGER_TOKEN.
"""


@click.command(epilog=_EXAMPLES)
@data_dir_option
@click.option(
    "--prometheus",
    "prometheus_url",
    envvar="INFERMETER_PROMETHEUS_URL",
    metavar="URL",
    help="Where Prometheus answers.  [env: INFERMETER_PROMETHEUS_URL]",
)
@click.option(
    "--alertmanager",
    "alertmanager_url",
    envvar="INFERMETER_ALERTMANAGER_URL",
    metavar="URL",
    help="Where Alertmanager answers.  [env: INFERMETER_ALERTMANAGER_URL]",
)
@click.option("--grafana", "grafana_url", metavar="URL", help="A Grafana with the same dashboards, for links.")
@click.option(
    "--scrape-interval",
    "scrape_interval_s",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Seconds between two samples, where Prometheus cannot be asked; else 15.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="NUMBER",
    help=f"Use exactly this port.  [default: {DEFAULT_PORTS['console']}, or a free one]",
)
@click.option(
    "--token",
    envvar="INFERMETER_CONSOLE_TOKEN",
    metavar="TOKEN",
    help="What everybody has to show, 16 characters or more.  [env: INFERMETER_CONSOLE_TOKEN]",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name that browsers use for this server, beside its own.",
)
@click.option("--build", "only_build", is_flag=True, help="Build the page if need be, say where it lies, and end.")
@click.option("--open/--no-open", "open_browser", default=None, help="Open a browser.  [default: on a terminal]")
def console(
    places: Places,
    *,
    prometheus_url: str | None,
    alertmanager_url: str | None,
    grafana_url: str | None,
    scrape_interval_s: float | None,
    host: str,
    port: int | None,
    token: str | None,
    allowed_hosts: tuple[str, ...],
    only_build: bool,
    open_browser: bool | None,
) -> None:
    """Serve the page with dashboards, alerts and runbooks until Ctrl-C.

    The page reads the dashboards that Grafana would; the server passes its questions on to Prometheus and Alertmanager.
    """
    screen = make_console()
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        screen.print(f'error: the console needs {", ".join(missing)}: pip install "infermeter\\[stack]"')
        sys.exit(ExitCode.FAILED)
    if only_build:
        page = _build(screen)
        click.echo(page or "There are no sources of the page in this installation.", err=page is None)
        sys.exit(ExitCode.OK if page is not None else ExitCode.BINARY_MISSING)
    token = _checked_token(host, token)
    state = read_state(places.state_file)
    if state is not None and (prometheus_url, alertmanager_url, port, token) == (None,) * 4:
        running = _console_of(state)
        if running is not None:
            _point_to(screen, f"The local stack has one: {running}", running, open_browser=open_browser)
            return
    ports = state.ports if state is not None else {}
    upstreams = {
        "prometheus": _upstream("Prometheus", prometheus_url or _local(ports, "prometheus"), "INFERMETER_PROMETHEUS"),
        "alertmanager": _upstream(
            "Alertmanager", alertmanager_url or _local(ports, "alertmanager"), "INFERMETER_ALERTMANAGER"
        ),
    }
    listener = _listen(screen, host, port)
    from infermeter.cli.web.app import ConsoleSettings, make_app
    from infermeter.cli.web.serving import make_server

    settings = ConsoleSettings(
        page=_build(screen),
        upstreams=upstreams,
        hosts=_names(host) | {name.lower() for name in allowed_hosts},
        token=token,
        grafana_url=grafana_url,
        scrape_interval_s=scrape_interval_s,
    )
    url = _url(host, listener.getsockname()[1])
    hint = " (add /?token=… to the address, once)" if token else ""
    _point_to(
        screen,
        f"Console: {url}{hint}, reading {' and '.join(one.shown_url for one in upstreams.values())}; Ctrl-C ends it.",
        f"{url}/?token={token}" if token else url,
        open_browser=open_browser,
    )
    with suppress(KeyboardInterrupt):  # how it is meant to end
        make_server(make_app(settings)).run(sockets=[listener])


def _build(screen: Console) -> Path | None:
    """Return the folder of the page; without one the server says how to get it."""
    from infermeter.cli.web.page_build import find_or_build_page

    try:
        return find_or_build_page(TerminalReporter(screen))
    except StackError as failure:
        show_failure(screen, failure)
        return None


def _checked_token(host: str, token: str | None) -> str | None:
    if token is not None and not re.fullmatch(r"[A-Za-z0-9._~-]+", token):
        raise click.UsageError("--token / INFERMETER_CONSOLE_TOKEN may have letters, digits and . _ ~ - only")
    if token is not None and len(token) < _SHORTEST_TOKEN:
        raise click.UsageError(f"--token / INFERMETER_CONSOLE_TOKEN needs {_SHORTEST_TOKEN} characters or more")
    if token is None and not is_loopback(host):
        raise click.UsageError(
            f"--host {host} is open to other machines and needs a token: set INFERMETER_CONSOLE_TOKEN, for example to "
            "what `openssl rand -hex 16` prints"
        )
    return token


def _console_of(state: StackState) -> str | None:
    """Return the address of the console that `up` started, if it lives."""
    part = next((part for part in state.parts if part.name == "console" and part.alive), None)
    return None if part is None else next(iter(part.urls.values()))


def _local(ports: dict[str, int], name: str) -> str:
    return f"http://127.0.0.1:{ports.get(name, DEFAULT_PORTS[name])}"


def _upstream(title: str, url: str, variable: str) -> Upstream:
    from infermeter.cli.web.upstream import Upstream

    try:
        return Upstream(title, url, token_variable=f"{variable}_TOKEN")
    except ValueError as error:
        raise click.UsageError(f"--{title.lower()} / {variable}_URL: {error}") from None


def _listen(screen: Console, host: str, port: int | None) -> socket.socket:
    from infermeter.cli.web.serving import listen

    wanted = DEFAULT_PORTS["console"] if port is None else port
    try:
        return listen(host, wanted)
    except OSError as error:
        if port is None:
            return listen(host, 0)
        screen.print(
            f"error: cannot listen on {host}:{port} ({error.strerror}); it belongs to {owner_of(port)}. "
            "Choose another --port, or leave it out and a free one is chosen.",
            soft_wrap=True,
        )
        sys.exit(ExitCode.PORT_TAKEN)


def _names(host: str) -> frozenset[str]:
    """Return the names by which browsers may ask, beside any address."""
    if is_loopback(host):
        return frozenset({"localhost"})
    return frozenset({"localhost", host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()})


def _url(host: str, port: int) -> str:
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host  # noqa: S104 -- compared, not bound
    return f"http://{in_url(shown)}:{port}"


def _point_to(screen: Console, text: str, url: str, *, open_browser: bool | None) -> None:
    screen.print(escape(text), soft_wrap=True, highlight=False)
    if open_browser or (open_browser is None and screen.is_terminal and _has_display()):
        webbrowser.open(url)


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
