"""How a demonstration looks: what is stated before, what comes, the table afterwards, and the same as JSON."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.status import Status

    from infermeter.cli.demo.alerts import Fired, Labels
    from infermeter.cli.demo.course import Result
    from infermeter.cli.demo.scenarios import Scenario, Stated

_SHOWN_LABELS = (
    "model_name",
    "model_version",
    "feature",
    "slo",
    "pipeline",
    "host",
    "gpu",
    "pod",
    "xid",
    "job",
    "where",
    "reason",
    "evidence",
)

_BUSY = 1.5
"""Load per core from which processes wait for each other noticeably."""


class TerminalAudience:
    """Shows the course of a scenario on a terminal.

    Args:
        console: Where.
        spinner: Says what is waited for.
    """

    def __init__(self, console: Console, spinner: Status) -> None:
        self._console, self._spinner = console, spinner

    def waits(self, what: str) -> None:
        """Show what is waited for."""
        self._spinner.update(f"waiting for {escape(what)}")

    def came(self, stated: Stated, after_s: float) -> None:
        """Print that an alert has come."""
        self._console.print(f"  [green]came[/green]   {escape(str(stated))} after {after_s:.0f} s", soft_wrap=True)


class SilentAudience:
    """For scripts, which read the result."""

    def waits(self, what: str) -> None:
        """Ignore it."""

    def came(self, stated: Stated, after_s: float) -> None:
        """Ignore it."""


def show_announcement(console: Console, scenario: Scenario, console_url: str | None = None) -> None:
    """Print what is going to happen, what must come of it, and where it can be seen."""
    console.print(f"\n[bold]{scenario.name}[/bold]  {escape(scenario.happens)}", soft_wrap=True)
    for stated in scenario.must:
        console.print(f"  must   {escape(str(stated))}", soft_wrap=True)
    for stated in scenario.may:
        console.print(f"  may    {escape(str(stated))}", soft_wrap=True)
    console.print(f"  look   {escape(scenario.look)}", soft_wrap=True)
    if console_url is not None:
        console.print(f"         {console_url}", soft_wrap=True)


def show_results(console: Console, results: Sequence[Result]) -> None:
    """Print the table: stated, came, after how long; and what nobody had stated."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("scenario", "", "alert", "after"):
        table.add_column(column, overflow="fold")
    for result in results:
        for outcome in result.outcomes:
            rows = [
                (
                    "[green]stated, came[/green]"
                    if any(s.matches(one.labels) for s in outcome.scenario.must)
                    else "may, came",
                    escape(shown(one.labels)),
                    f"{one.since_s - outcome.started_s:.0f} s",
                )
                for one in outcome.fired
            ]
            rows += [("[red]stated, did not come[/red]", escape(str(stated)), "") for stated in outcome.missing]
            for number, row in enumerate(rows):
                table.add_row(outcome.scenario.name if number == 0 else "", *row)
        started_s = result.outcomes[0].started_s
        for one in result.others:
            table.add_row("", "[red]not stated[/red]", escape(shown(one.labels)), f"{one.since_s - started_s:.0f} s")
        for labels in result.lasting:
            table.add_row("", "[red]does not end[/red]", escape(shown(labels)), "")
    console.print()
    console.print(table)
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    if busy > _BUSY and not all(result.as_stated for result in results):
        console.print(
            f"This machine has {busy:.1f} times as much to do as it has cores: then the fleet really is slow, and the "
            "alerts about it are right."
        )


def as_json(results: Sequence[Result], speed: float) -> dict[str, Any]:
    """Return everything as one object."""
    return {
        "as_stated": all(result.as_stated for result in results),
        "speed": speed,
        "scenarios": [
            {
                "name": outcome.scenario.name,
                "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(outcome.started_s)),
                "must": [_stated(stated) for stated in outcome.scenario.must],
                "may": [_stated(stated) for stated in outcome.scenario.may],
                "fired": [_fired(one, outcome.started_s) for one in outcome.fired],
                "missing": [_stated(stated) for stated in outcome.missing],
            }
            for result in results
            for outcome in result.outcomes
        ],
        "not_stated": [_fired(one, result.outcomes[0].started_s) for result in results for one in result.others],
        "not_ended": [labels for result in results for labels in result.lasting],
    }


def shown(labels: Labels) -> str:
    """Return an alert with the labels that tell it from others."""
    inside = ", ".join(f'{name}="{labels[name]}"' for name in _SHOWN_LABELS if labels.get(name))
    return f"{labels['alertname']}{{{inside}}}" if inside else labels["alertname"]


def _stated(stated: Stated) -> dict[str, Any]:
    return {"alert": stated.alert, "labels": stated.labels}


def _fired(one: Fired, started_s: float) -> dict[str, Any]:
    labels = {name: value for name, value in one.labels.items() if name != "alertname"}
    return {"alert": one.labels["alertname"], "labels": labels, "after_s": round(one.since_s - started_s, 1)}
