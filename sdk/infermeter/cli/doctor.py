"""`infermeter doctor`: follows one measurement from the SDK to Alertmanager and names the hop that is broken."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from infermeter.cli.addresses import checked_url
from infermeter.cli.data_dir import data_dir_option
from infermeter.cli.diagnosis.course import Addresses, diagnose
from infermeter.cli.exit_codes import ExitCode, table
from infermeter.cli.stack.state import read_state
from infermeter.cli.terminal import make_console

if TYPE_CHECKING:
    from rich.console import Console

    from infermeter.cli.diagnosis.finding import Finding
    from infermeter.cli.stack.places import Places

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
_STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "not checked": "dim"}

_EXAMPLES = f"""\b
Exit status, of the first failure on the way:
{table(("DOCTOR_",))}

\b
Examples:
  infermeter doctor                                       the local stack, or what OTEL_* variables name
  infermeter doctor --endpoint https://otel.example:4318 --prometheus https://prometheus.example
  infermeter doctor --json | jq '.findings[] | select(.verdict == "failed")'

Run it where a service runs, with that service's environment: it then sees what the service sees.
"""


@click.command(epilog=_EXAMPLES)
@data_dir_option
@click.option("--endpoint", metavar="URL", help="Where to send, like OTEL_EXPORTER_OTLP_ENDPOINT.")
@click.option(
    "--prometheus",
    "prometheus_url",
    envvar="INFERMETER_PROMETHEUS_URL",
    callback=checked_url,
    metavar="URL",
    help="Where Prometheus answers.  [env: INFERMETER_PROMETHEUS_URL]",
)
@click.option(
    "--alertmanager",
    "alertmanager_url",
    callback=checked_url,
    metavar="URL",
    help="Where Alertmanager answers.  [default: the one that Prometheus sends to]",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=1),
    default=45.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the canary may take per hop; longer than the scrape interval.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(
    places: Places,
    *,
    endpoint: str | None,
    prometheus_url: str | None,
    alertmanager_url: str | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Follow one measurement from the SDK to Alertmanager and name what is broken.

    Sends a canary (the series infermeter_info of a service called infermeter-doctor) and looks for it at each hop. It
    leaves nothing behind but that series, which ends by itself, and the alert DoctorCanary, which notifies nobody.
    """
    addresses = _addresses(places, endpoint, prometheus_url, alertmanager_url)
    console = make_console()
    findings: list[Finding] = []
    with console.status("looking") as spinner:
        for finding in diagnose(addresses, timeout_s=timeout_s, spin=spinner.update):
            findings.append(finding)
            if not as_json:
                _show(console, finding)
    broken = next((finding for finding in findings if finding.verdict == "failed"), None)
    code = broken.exit_code if broken is not None else ExitCode.OK
    if as_json:
        answer = {
            "status": "ok" if broken is None else "failed",
            "exit_code": int(code),
            "findings": [{**asdict(finding), "exit_code": int(finding.exit_code)} for finding in findings],
        }
        click.echo(json.dumps(answer, indent=2))
    elif broken is None:
        warnings = sum(finding.verdict == "warning" for finding in findings)
        rest = f", {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
        console.print(f"\n[green]All well{rest}.[/green]")
    else:
        console.print(f"\n[red]Broken:[/red] {escape(broken.hop)}. {escape(broken.remedy)}", soft_wrap=True)
    sys.exit(code)


def _addresses(places: Places, endpoint: str | None, prometheus: str | None, alertmanager: str | None) -> Addresses:
    """Take what was given; else what the environment says; else the local stack; else the default ports."""
    state = read_state(places.state_file)
    ports = state.ports if state is not None else {}
    if endpoint is None and not any(os.environ.get(name) for name in _ENDPOINTS) and "otlp-http" in ports:
        endpoint = f"http://127.0.0.1:{ports['otlp-http']}"
    return Addresses(endpoint, prometheus or f"http://127.0.0.1:{ports.get('prometheus', 9090)}", alertmanager)


def _show(console: Console, finding: Finding) -> None:
    style = _STYLES[finding.verdict]
    console.print(
        f"[{style}]{finding.verdict:>11}[/] [bold]{escape(finding.hop):<13}[/] {escape(finding.found)}",
        soft_wrap=True,
        highlight=False,
    )
    if finding.remedy:
        console.print(f"{'':>25} → {escape(finding.remedy)}", soft_wrap=True, highlight=False)
