"""`infermeter run`: starts a command whose Python processes measure their FastAPI applications, code unchanged."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shutil import which
from typing import NoReturn

import click

from infermeter.autoinstrument import MAIN_PROCESS
from infermeter.cli.exit_codes import ExitCode
from infermeter.errors import ConfigError
from infermeter.settings import Settings, resolve

_AUTOLOAD = Path(__file__).parent / "autoload"
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as shells answer

_EXAMPLES = f"""\b
Settings come from the environment: OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_METRIC_EXPORT_INTERVAL,
INFERMETER_MODEL, INFERMETER_MODEL_VERSION and the others that configure() reads.

\b
Exit status: the command's own; {ExitCode.USAGE:d} a setting is wrong or no command was given, {_NOT_EXECUTABLE} it \
cannot be run, {_NOT_FOUND} it was not found.

\b
Examples:
  infermeter run -- uvicorn app:app
  infermeter run -- uvicorn app:app --workers 4
  infermeter run -- gunicorn app:app --workers 4 --worker-class uvicorn_worker.UvicornWorker
  INFERMETER_MODEL=fraud OTEL_SERVICE_NAME=checkout infermeter run -- python serve.py
"""


@click.command(
    epilog=_EXAMPLES,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT]...")
def run(command: tuple[str, ...]) -> None:
    """Run a Python service with metrics on, without changing its code.

    FastAPI applications in it and in its workers are measured as by instrument_app(app); one that calls it itself keeps
    its own arguments.
    """
    program, *_ = command
    if program.startswith("-"):
        raise click.UsageError(f"No such option: {program}")
    try:
        resolve(Settings())
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    found = which(program)
    if found is None:
        path = Path(program)
        if os.sep in program and path.exists():
            _give_up(f"{program} cannot be run: it is a folder or not executable", _NOT_EXECUTABLE)
        _give_up(f"{program} was not found; is it installed here, and on PATH?", _NOT_FOUND)
    environment = dict(os.environ)
    behind = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = str(_AUTOLOAD) + (os.pathsep + behind if behind else "")
    environment[MAIN_PROCESS] = str(os.getpid())  # the command takes this process over
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(found, list(command), environment)  # noqa: S606  no shell: the command runs exactly as given
    except OSError as error:
        _give_up(f"{program} cannot be run: {error.strerror}", _NOT_EXECUTABLE)


def _give_up(message: str, code: int) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
