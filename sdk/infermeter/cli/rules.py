"""`infermeter rules`: the rules, dashboards and runbooks for a Prometheus and a Grafana that somebody already has."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from infermeter.check.shipped import shipped_rules
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.objectives.reading import ObjectivesError, read_objectives
from infermeter.cli.objectives.rules import rules_text
from infermeter.cli.rollout.files import PARTS, exported_files
from infermeter.cli.rollout.target import TargetError, write_files
from infermeter.cli.rollout.values import PLACEHOLDER, Values, ValuesError, example_values, read_values
from infermeter.cli.terminal import make_console

if TYPE_CHECKING:
    from infermeter.cli.rollout.target import Written

_EXAMPLES = """\b
Examples:
  infermeter rules values > values.yaml            every number and duration that can be changed
  infermeter rules export monitoring/ --values values.yaml --objectives objectives.yaml
  infermeter rules export monitoring/ --only kubernetes --runbooks https://git.example.org/ml/runbooks
"""


@click.group(epilog=_EXAMPLES)
def rules() -> None:
    """Write rules, dashboards and runbooks for your own Prometheus and Grafana."""


@rules.command(
    epilog=f"""\b
Exit status: {ExitCode.OK:d} written, {ExitCode.USAGE:d} a wrong option, a mistake in the values, or others' files.

{_EXAMPLES}"""
)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--values",
    "values_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What your team wants different; `infermeter rules values` prints one.",
)
@click.option(
    "--objectives",
    "objectives_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What your models promise; `infermeter slo` explains the file.",
)
@click.option(
    "--runbooks",
    envvar="INFERMETER_RUNBOOKS_URL",
    metavar="URL",
    help="Where the runbooks can be read; wins over the values.  [env: INFERMETER_RUNBOOKS_URL]",
)
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Write only this; may be given several times.")
@click.option("--force", is_flag=True, help="Overwrite files that an export did not write.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def export(
    directory: Path,
    *,
    values_file: Path | None,
    objectives_file: Path | None,
    runbooks: str | None,
    only: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Write rules (plain files and PrometheusRule manifests), dashboards and runbooks to DIR.

    The same version and values give the same files, byte for byte. Files that an earlier export wrote and this one does
    not are removed; files that somebody else put there are left alone.
    """
    values = _values(values_file, runbooks)
    files = exported_files(values, only or PARTS, _objectives(objectives_file))
    try:
        written = write_files(directory, files, force=force)
    except TargetError as problem:
        raise click.UsageError(str(problem)) from None
    if as_json:
        click.echo(
            json.dumps({"status": "ok", "exit_code": 0, "directory": str(directory), **written._asdict()}, indent=2)
        )
    else:
        _show(directory, written, values)


@rules.command(name="values")
def values_command() -> None:
    """Print a values file with every default, for `rules export --values`."""
    defaults: dict[str, dict[str, set[str]]] = {}
    for rule in shipped_rules():
        if rule.is_alert:
            of_alert = defaults.setdefault(rule.name, {"for": set(), "severity": set()})
            of_alert["for"].add(str(rule.spec.get("for", "")))
            of_alert["severity"].add(rule.labels["severity"])
    # Two rules may give one alert, after different times; those stay as they are unless somebody says otherwise.
    same = {
        name: {key: value for key, values in of_alert.items() if len(values) == 1 and (value := min(values))}
        for name, of_alert in defaults.items()
    }
    click.echo(example_values(same), nl=False)


def _objectives(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return rules_text(read_objectives(file), file.name)
    except ObjectivesError as error:
        for problem in error.problems:
            click.echo(str(problem))
        sys.exit(ExitCode.USAGE)


def _values(file: Path | None, runbooks: str | None) -> Values:
    try:
        alerts = [rule.name for rule in shipped_rules() if rule.is_alert]
        values = Values() if file is None else read_values(file, alerts)
    except ValuesError as problem:
        make_console().print(f"[red]error:[/red] {escape(str(problem))}", soft_wrap=True, highlight=False)
        sys.exit(ExitCode.USAGE)
    if runbooks is None:
        return values
    if not runbooks.startswith(("https://", "http://")):
        raise click.BadParameter(f"must start with https:// or http://, got {runbooks!r}", param_hint="--runbooks")
    return dataclasses.replace(values, runbooks=runbooks.rstrip("/"))


def _show(directory: Path, written: Written, values: Values) -> None:
    console = make_console()
    removed = f", removed {len(written.removed)}" if written.removed else ""
    unchanged = f", left {len(written.unchanged)} as they were" if written.unchanged else ""
    console.print(
        f"Wrote {len(written.written)} files to {escape(str(directory))}{unchanged}{removed}.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"How to load them: {escape(str(directory / 'README.md'))}", highlight=False, soft_wrap=True)
    if values.runbooks == PLACEHOLDER:
        console.print(
            "The links to runbooks lead nowhere yet: say where your team reads them, --runbooks https://…",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
