"""`infermeter slo`: check a file of objectives, and write the rules that record them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.markup import escape

from infermeter.assets import asset
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.objectives.objective import Objectives
from infermeter.cli.objectives.reading import ObjectivesError, read_objectives
from infermeter.cli.objectives.rules import rules_text
from infermeter.cli.terminal import make_console

_EXAMPLES = """\b
Examples:
  infermeter slo check objectives.yaml               every mistake with its line
  infermeter slo generate objectives.yaml            print the rules
  infermeter slo generate objectives.yaml -o rules/objectives.rules.yml

\b
An objectives.yaml:
  defaults: {availability: 99.5, latency: 99, window: 30d}
  objectives:
    - model: fraud
      namespace: prod           # leave out: in all of them
      availability: 99.9        # per cent answered without error or timeout
      latency: 99               # per cent answered within the SLA
      sla: 250ms                # leave out: what the service declares
      window: 28d
"""
_EXIT_CODES = f"""\b
Exit status: {ExitCode.OK:d} all right, {ExitCode.CHECK_FINDINGS:d} something is wrong in the file, \
{ExitCode.USAGE:d} a wrong option.

"""


@click.group(epilog=_EXAMPLES)
def slo() -> None:
    """Say what your models promise, and get burn rates and budgets for it."""


_file = click.argument(
    "file", required=False, metavar="[FILE]", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


@slo.command(epilog=_EXIT_CODES + _EXAMPLES)
@_file
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(file: Path | None, *, as_json: bool) -> None:
    """Say what is wrong in FILE, a file of objectives; without FILE, in the one that comes with infermeter."""
    path = file or _shipped()
    try:
        objectives = read_objectives(path)
    except ObjectivesError as error:
        if as_json:
            found = [asdict(problem) for problem in error.problems]
            answer = {"status": "findings", "exit_code": int(ExitCode.CHECK_FINDINGS), "findings": found}
            click.echo(json.dumps(answer, indent=2))
        else:
            _show(error)
        sys.exit(ExitCode.CHECK_FINDINGS)
    if as_json:
        content = {"defaults": asdict(objectives.defaults), "objectives": [asdict(o) for o in objectives.models]}
        click.echo(json.dumps({"status": "ok", "exit_code": 0, "findings": [], **content}, indent=2))
        return
    make_console().print(
        f"[green]Nothing is wrong[/] in {escape(str(path))}: {_summary(objectives)}.", highlight=False, soft_wrap=True
    )


@slo.command(epilog=_EXIT_CODES + _EXAMPLES)
@_file
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write there, not to stdout.",
)
def generate(file: Path | None, *, output: Path | None) -> None:
    """Write the rules that record the objectives of FILE; the same file gives the same rules, byte for byte.

    Put the result beside the rules that come with infermeter, in place of objectives.rules.yml.
    """
    path = file or _shipped()
    try:
        objectives = read_objectives(path)
    except ObjectivesError as error:
        _show(error, err=True)  # standard output may be a rule file
        sys.exit(ExitCode.CHECK_FINDINGS)
    text = rules_text(objectives, path.name)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"{output} cannot be written: {error.strerror}", param_hint="--output") from None
    make_console().print(f"Wrote {escape(str(output))}: {_summary(objectives)}.", highlight=False, soft_wrap=True)


def _shipped() -> Path:
    return asset("deploy/prometheus/slo/objectives.yaml")


def _summary(objectives: Objectives) -> str:
    defaults, count = objectives.defaults, len(objectives.models)
    own = {0: "no model has its own", 1: "1 model has its own"}.get(count, f"{count} models have their own")
    return (
        f"{defaults.availability_percent:g} % answered and {defaults.latency_percent:g} % within the SLA over "
        f"{defaults.window_days} days; {own} objectives"
    )


def _show(error: ObjectivesError, *, err: bool = False) -> None:
    for problem in error.problems:
        click.echo(str(problem), err=err)
