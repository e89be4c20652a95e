"""`infermeter version`: of infermeter, and of the parts of the stack this machine has."""

from __future__ import annotations

import platform

import click

from infermeter.cli.stack.binaries import COLLECTOR, find, version_of
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.recipes import recipes
from infermeter.version import __version__


@click.command()
def version() -> None:
    """Print the versions of infermeter and of the parts it starts, and where those come from."""
    click.echo(
        f"infermeter {__version__} (Python {platform.python_version()}, {platform.system()} {platform.machine()})"
    )
    for name in (COLLECTOR, "prometheus", "alertmanager"):
        try:
            binary = find(name)
        except StackError as problem:
            click.echo(f"{name}: {problem}")
            continue
        if binary is None:
            click.echo(f"{name}: not on this machine; `infermeter up` builds {recipes()[name].version}")
        else:
            click.echo(f"{name} {version_of(binary)} ({binary})")
