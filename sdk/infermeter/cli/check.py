"""`infermeter check`: are rules, dashboards and runbooks right about the series that exist; for people and for CI."""

from __future__ import annotations

import difflib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from infermeter.check.files import check_files
from infermeter.check.lints import LINTS
from infermeter.check.shipped import shipped_files
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.promtool import complaints_of, failed_tests_of
from infermeter.cli.stack.binaries import find_or_build
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.reporting import SilentReporter
from infermeter.cli.terminal import TerminalReporter, make_console, show_failure

if TYPE_CHECKING:
    from rich.console import Console

    from infermeter.check.files import Checked

_EXAMPLES = f"""\b
Exit status: {ExitCode.OK:d} nothing is wrong, {ExitCode.CHECK_FINDINGS:d} there are findings, \
{ExitCode.USAGE:d} a wrong option or nothing to check,
{ExitCode.BINARY_MISSING:d} promtool is not there and cannot be built.

\b
Examples:
  infermeter check                                 what comes with infermeter
  infermeter check rules/ dashboards/ runbooks/    your own, and folders below
  infermeter check rules/ --foreign 'http_*' --foreign 'node_*'
  infermeter check rules/ --ignore alert-runbook --json | jq -r '.findings[].reason'
  infermeter check --lints                         every lint in one line
"""


def _known_lints(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value not in LINTS:
            near = difflib.get_close_matches(value, LINTS, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise click.BadParameter(f"no lint is called {value!r}; {meant}`infermeter check --lints` lists them")
    return values


def _list_lints(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        formatter = click.HelpFormatter(width=120)
        formatter.write_dl(sorted(LINTS.items()))
        click.echo(formatter.getvalue(), nl=False)
        context.exit()


@click.command(epilog=_EXAMPLES)
@click.argument("files", nargs=-1, metavar="[FILES]", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--foreign",
    multiple=True,
    metavar="PATTERN",
    help="Names of series that something else exports, as a shell pattern; may be given several times.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="LINT",
    callback=_known_lints,
    help="Leave out a lint; may be given several times.",
)
@click.option("--no-promtool", is_flag=True, help="Only our own lints; promtool is neither run nor built.")
@click.option("--lints", is_flag=True, is_eager=True, expose_value=False, callback=_list_lints, help="List all lints.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(
    files: tuple[Path, ...], *, foreign: tuple[str, ...], ignore: tuple[str, ...], no_promtool: bool, as_json: bool
) -> None:
    """Check rule files and their tests, PrometheusRule manifests, Grafana dashboards and Markdown pages.

    Every series and label must be exported by infermeter, recorded by these files or by infermeter's, or named with
    --foreign. On top of that: promtool (check rules, and test rules for *.test.yml), and mistakes that PromQL accepts
    and that make a rule silent or wrong. Of pages the ```promql blocks count. Without FILES, checks what comes with
    infermeter.
    """
    console = make_console()
    try:
        promtool = None if no_promtool else _promtool(console, quiet=as_json)
        checked = check_files(
            files or shipped_files(),
            promtool=complaints_of(promtool) if promtool else None,
            promtool_test=failed_tests_of(promtool) if promtool else None,
            foreign=foreign,
            ignored=ignore,
        )
    except StackError as failure:
        show_failure(console, failure)
        console.print("Without promtool: infermeter check --no-promtool", highlight=False)
        sys.exit(failure.exit_code)
    if not checked.files:
        raise click.UsageError(f"nothing to check in {', '.join(map(str, files))}: no rules, dashboards or runbooks")
    code = ExitCode.CHECK_FINDINGS if checked.findings else ExitCode.OK
    if as_json:
        click.echo(json.dumps(_answer(checked, code), indent=2))
    else:
        _show(console, checked)
    sys.exit(code)


def _promtool(console: Console, *, quiet: bool) -> Path:
    return find_or_build(["promtool"], SilentReporter() if quiet else TerminalReporter(console))["promtool"]


def _answer(checked: Checked, code: ExitCode) -> dict[str, object]:
    return {
        "status": "findings" if checked.findings else "ok",
        "exit_code": int(code),
        "files": checked.files,
        "findings": [finding.as_json() for finding in checked.findings],
    }


def _show(console: Console, checked: Checked) -> None:
    for finding in checked.findings:
        console.print(
            f"[bold]{escape(finding.file)}:{finding.line}[/]: [cyan]{finding.lint}[/]: {escape(finding.reason)}",
            soft_wrap=True,
            highlight=False,
        )
        console.print(f"    → {escape(finding.fix)}", soft_wrap=True, highlight=False)
    looked_at = f"{checked.files} file{'s' if checked.files > 1 else ''}"
    if not checked.findings:
        console.print(f"[green]Nothing is wrong[/] in {looked_at}.", highlight=False)
        return
    counted = ", ".join(f"{count} {lint}" for lint, count in Counter(f.lint for f in checked.findings).most_common())
    console.print(f"\n[red]{len(checked.findings)} findings[/] in {looked_at}: {counted}.", highlight=False)
