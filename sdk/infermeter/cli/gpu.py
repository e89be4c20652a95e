"""`infermeter gpu`: what GPUs there are and what they tell, and the agent that publishes those of a host."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from infermeter.addresses import in_url
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.gpu_devices import look, show
from infermeter.cli.interrupts import interruptible
from infermeter.cli.stack.ports import owner_of
from infermeter.cli.terminal import make_console
from infermeter.errors import ConfigError, MissingExtraError
from infermeter.gpu.election import default_folder
from infermeter.gpu.owner import DEFAULT_INTERVAL_S, MIN_INTERVAL_S
from infermeter.gpu.sample import GpuUnavailableError
from infermeter.gpu.schema import DEFAULT_PROFILE, PROFILES
from infermeter.gpu.simulated import BEHAVIOURS, DEFAULT_DEVICES, Behaviour, SimulatedReader

if TYPE_CHECKING:
    from infermeter.gpu.sample import GpuReader

EXPORTER_PORT = 9400
_SERVICE = "infermeter-gpu-agent"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

_LIST_EXAMPLES = f"""\b
Exit status: {ExitCode.OK:d} shown, {ExitCode.NO_GPU:d} no GPU can be read.

\b
Examples:
  infermeter gpu list                        devices, how much each tells, and why not the rest
  infermeter gpu list --json | jq '.devices[].unsupported'
  infermeter gpu list --demo                 simulated devices, where there is no GPU
"""
_AGENT_EXAMPLES = f"""\b
Exit status: {ExitCode.OK:d} stopped by a signal, {ExitCode.PORT_TAKEN:d} the port is taken, {ExitCode.BUSY:d} this \
host has an agent already.

\b
Examples:
  infermeter gpu agent                       serve this host's GPUs on port 9400, as dcgm-exporter does
  infermeter gpu agent --host 0.0.0.0 --profile dcgm-4.9
  infermeter gpu agent --pods                say which pods hold each GPU; needs hostPID and /var/log of the host
  OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 infermeter gpu agent      push by OTLP as well
  infermeter gpu agent --demo                simulated devices; their modelName says so
  curl -X POST 'localhost:9400/release?seconds=60'      let go of the driver, so that a GPU can be reset

Let Prometheus scrape it or let it push, not both, or sums over GPUs count double.
"""


def _parse_devices(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> tuple[Behaviour, ...] | None:
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    known: dict[str, Behaviour] = {behaviour: behaviour for behaviour in BEHAVIOURS}
    if not set(names) <= known.keys():
        raise click.BadParameter(f"{value!r}: give names out of {', '.join(BEHAVIOURS)}, with commas")
    return tuple(known[name] for name in names)


@click.group(epilog="\b\nExamples:\n  infermeter gpu list\n  infermeter gpu agent --host 0.0.0.0")
def gpu() -> None:
    """Show the GPUs of this machine, or publish them."""


@gpu.command("list", epilog=_LIST_EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--demo", is_flag=True, help="Show simulated devices.")
def list_gpus(*, as_json: bool, demo: bool) -> None:
    """Show the GPUs of this machine, what each of them tells, and why it does not tell the rest."""
    reader = _reader(demo=demo)
    try:
        devices = look(reader)
    except GpuUnavailableError as trouble:
        if as_json:
            click.echo(json.dumps({"devices": [], "problem": {"kind": trouble.kind, "text": str(trouble)}}, indent=2))
        else:
            click.echo(f"error: {trouble}.", err=True)
        sys.exit(ExitCode.NO_GPU)
    finally:
        reader.close()
    if as_json:
        click.echo(json.dumps({"devices": [device.as_json() for device in devices], "problem": None}, indent=2))
    elif devices:
        show(make_console(), devices)
    else:
        click.echo("The NVIDIA driver is here and knows no GPU.")


@gpu.command(epilog=_AGENT_EXAMPLES)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=EXPORTER_PORT, show_default=True, help="Port; 0 for a free one."
)
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default=DEFAULT_PROFILE,
    envvar="INFERMETER_GPU_PROFILE",
    show_default=True,
    help="Whose names.  [env: INFERMETER_GPU_PROFILE]",
)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.1),
    default=DEFAULT_INTERVAL_S,
    envvar="INFERMETER_GPU_INTERVAL_S",
    show_default=True,
    metavar="SECONDS",
    help=f"Seconds between readings; {MIN_INTERVAL_S:g} or more for real devices.  [env: INFERMETER_GPU_INTERVAL_S]",
)
@click.option("--otlp/--no-otlp", default=None, help="Push by OTLP.  [default: if OTEL_EXPORTER_OTLP_ENDPOINT is set]")
@click.option("--pods", is_flag=True, help="Name the pods that hold each GPU, from the host's processes.")
@click.option("--demo", is_flag=True, help="Publish simulated devices.")
@click.option(
    "--demo-devices",
    metavar="NAME,…",
    callback=_parse_devices,
    help=f"With --demo: what each device does, of {', '.join(BEHAVIOURS)}.  [default: {','.join(DEFAULT_DEVICES)}]",
)
@click.option(
    "--demo-control",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help='With --demo: a file of JSON that changes devices while they run, such as {"0": "lost"}.',
)
def agent(
    *,
    host: str,
    port: int,
    profile: str,
    interval_s: float,
    otlp: bool | None,
    pods: bool,
    demo: bool,
    demo_devices: tuple[Behaviour, ...] | None,
    demo_control: Path | None,
) -> None:
    """Publish the GPUs of this host in the format of dcgm-exporter until Ctrl-C.

    Services on the host that call observe_gpus() then leave the GPUs to it.
    """
    from infermeter import runtime
    from infermeter.gpu.agent import Agent, AgentRunsError
    from infermeter.gpu.attribution import PodFinder
    from infermeter.gpu.page_server import PageServer

    if not demo and interval_s < MIN_INTERVAL_S:
        raise click.UsageError(f"--interval / INFERMETER_GPU_INTERVAL_S must be at least {MIN_INTERVAL_S:g} seconds")
    if (demo_control or demo_devices) and not demo:
        raise click.UsageError("--demo-control and --demo-devices go with --demo")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    pushes = any(os.environ.get(name) for name in _ENDPOINTS) if otlp is None else otlp
    reader = _reader(demo=demo, devices=demo_devices, control=demo_control)
    try:
        server = PageServer(host, port)
    except OSError as error:
        _fail(*_cannot_listen(host, port, error))
    try:
        runtime.configure(
            service_name=os.environ.get("OTEL_SERVICE_NAME") or _SERVICE,
            exporter=None if pushes else "none",
            handle_sigterm=False,  # below, with the other signals
        )
        running = Agent(
            reader,
            PROFILES[profile],
            interval_s,
            Path(os.environ.get("INFERMETER_GPU_LOCK_DIR", "").strip() or default_folder()),
            pods=PodFinder() if pods else None,
            exclusive=not demo,
        )
    except AgentRunsError:
        _fail(ExitCode.BUSY, "another `infermeter gpu agent` publishes the GPUs of this host; stop it first")
    except (ConfigError, MissingExtraError) as error:
        _fail(ExitCode.USAGE, str(error))
    server.start(running)
    click.echo(f"http://{in_url(host)}:{server.port}/metrics, names of {profile}{', and by OTLP' if pushes else ''}")
    try:
        with interruptible(lambda: None):
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
        runtime.shutdown()
        running.close()


def _reader(*, demo: bool, devices: tuple[Behaviour, ...] | None = None, control: Path | None = None) -> GpuReader:
    if demo:
        return SimulatedReader(devices or DEFAULT_DEVICES, control=control)
    try:
        from infermeter.gpu.reader import NvmlReader

        return NvmlReader()
    except MissingExtraError as error:
        _fail(ExitCode.FAILED, str(error))


def _cannot_listen(host: str, port: int, error: OSError) -> tuple[ExitCode, str]:
    if error.errno != errno.EADDRINUSE:
        text = f"cannot listen on {host}:{port} ({error.strerror}); give an address of this machine with --host"
        return ExitCode.USAGE, text
    text = (
        f"port {port} is taken by {owner_of(port)}. If that is a dcgm-exporter, this host's GPUs are published "
        "already; else stop it, or choose another --port"
    )
    return ExitCode.PORT_TAKEN, text


def _fail(code: ExitCode, text: str) -> NoReturn:
    click.echo(f"error: {text}.", err=True)
    sys.exit(code)
