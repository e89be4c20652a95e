"""`infermeter pipeline run`: reports a command of any language as a run of a pipeline, for cron jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime
from shutil import which
from typing import TYPE_CHECKING

import click

from infermeter import pipelines, runtime
from infermeter.cli.exit_codes import ExitCode
from infermeter.errors import InfermeterError

if TYPE_CHECKING:
    from types import FrameType

_NOT_FOUND, _NOT_EXECUTABLE, _BY_SIGNAL = 127, 126, 128  # as shells answer
_FORWARDED = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))

_EXAMPLES = f"""\b
The collector is where OTEL_EXPORTER_OTLP_ENDPOINT says; the other variables that configure() reads hold too.
A collector that does not answer delays the end by at most 3 s and changes nothing else.

\b
Exit status: the command's own ({_BY_SIGNAL} + the signal that ended it); {ExitCode.USAGE:d} an option is wrong, \
{_NOT_EXECUTABLE} it cannot be run,
{_NOT_FOUND} it was not found. Whatever is not 0 counts as an error.

\b
Examples:
  infermeter pipeline run features --expected-interval-s 86400 -- python build_features.py
  infermeter pipeline run backup -- sh -c 'pg_dump shop | gzip > shop.gz'
  infermeter pipeline run load --data-as-of "$(stat -c %Y input.csv)" -- ./load input.csv
"""


@click.group(name="pipeline", epilog=_EXAMPLES)
def pipeline() -> None:
    """Report batch jobs."""


@pipeline.command(epilog=_EXAMPLES)
@click.argument("name")
@click.option("--expected-interval-s", type=float, help="Seconds within which it should succeed again.")
@click.option("--max-data-age-s", type=float, help="Age in seconds from which its data is stale.")
@click.option("--max-duration-s", type=float, help="Seconds a run should not exceed.")
@click.option("--data-as-of", help="Event time of the newest data: seconds since 1970, or ISO 8601.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT]...")
def run(
    name: str,
    command: tuple[str, ...],
    *,
    expected_interval_s: float | None,
    max_data_age_s: float | None,
    max_duration_s: float | None,
    data_as_of: str | None,
) -> None:
    """Run COMMAND and report it as a run of the pipeline NAME; standard input and output stay the command's own."""
    as_of = _time(data_as_of)
    try:
        measured = pipelines.pipeline_run(
            name,
            expected_interval_s=expected_interval_s,
            max_data_age_s=max_data_age_s,
            max_duration_s=max_duration_s,
        )
        service = None if os.environ.get("OTEL_SERVICE_NAME") else name
        runtime.configure(service_name=service, handle_sigterm=False)
    except InfermeterError as error:
        raise click.UsageError(str(error)) from error
    with measured as this_run:
        if as_of is not None:
            this_run.data_as_of(as_of)
        code = _run(command)
        this_run.end(succeeded=code == 0)
    runtime.shutdown()
    sys.exit(code)


def _run(command: tuple[str, ...]) -> int:
    """Run a command to its end and return its status as a shell would; signals go on to it."""
    found = which(command[0])
    if found is None:
        click.echo(f"Error: {command[0]} was not found; is it installed here, and on PATH?", err=True)
        return _NOT_FOUND
    sys.stdout.flush()
    sys.stderr.flush()
    signals = _Forwarding()
    try:
        child = subprocess.Popen([found, *command[1:]])  # noqa: S603  no shell: the command runs exactly as given
        signals.to(child)
        code = child.wait()
    except OSError as error:
        click.echo(f"Error: {command[0]} cannot be run: {error.strerror}", err=True)
        return _NOT_EXECUTABLE
    finally:
        signals.stop()
    return code if code >= 0 else _BY_SIGNAL - code


class _Forwarding:
    """Hands signals on to the command while it runs: how it ends is what is reported."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before = {number: signal.signal(number, self._forward) for number in _FORWARDED}

    def to(self, child: subprocess.Popen[bytes]) -> None:
        """Say who gets them; signals that came while it was being started are not lost."""
        self._child = child
        for number in self._early:
            child.send_signal(number)

    def stop(self) -> None:
        """Put the handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _forward(self, number: int, _: FrameType | None) -> None:
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)


def _time(text: str | None) -> datetime | float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither seconds since 1970 nor ISO 8601, such as 2026-01-31T06:00:00+00:00",
            param_hint="--data-as-of",
        ) from None
