"""`infermeter version`: of infermeter, and of the parts of the stack this machine has."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version as distribution_version

import click

from infermeter.cli.stack.binaries import COLLECTOR, find, version_of
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.recipes import recipes
from infermeter.version import __version__

_EXAMPLES = """\b
Examples:
  infermeter version
  infermeter version --json | jq .parts
"""


@click.command(epilog=_EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def version(*, as_json: bool) -> None:
    """Print the versions of infermeter and of the parts it starts, and where those come from."""
    parts = [_part(name) for name in (COLLECTOR, "prometheus", "alertmanager")]
    if as_json:
        answer = {
            "infermeter": __version__,
            "python": platform.python_version(),
            "opentelemetry_sdk": distribution_version("opentelemetry-sdk"),
            "parts": parts,
        }
        click.echo(json.dumps(answer, indent=2))
        return
    click.echo(
        f"infermeter {__version__} (Python {platform.python_version()}, {platform.system()} {platform.machine()})"
    )
    for part in parts:
        if part["problem"]:
            click.echo(f"{part['name']}: {part['problem']}")
        else:
            click.echo(f"{part['name']} {part['version']} ({part['binary']})")


def _part(name: str) -> dict[str, str | None]:
    """Return what there is of a part, or why it is not."""
    try:
        binary = find(name)
    except StackError as problem:
        return {"name": name, "version": None, "binary": None, "problem": str(problem)}
    if binary is None:
        absent = f"not on this machine; `infermeter up` builds {recipes()[name].version}"
        return {"name": name, "version": None, "binary": None, "problem": absent}
    return {"name": name, "version": version_of(binary), "binary": str(binary), "problem": None}
