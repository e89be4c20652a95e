"""`infermeter demo`: breaks the fleet on purpose, says beforehand which alerts must come, and afterwards which did."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from infermeter.cli.data_dir import data_dir_option
from infermeter.cli.demo.course import Course, Result
from infermeter.cli.demo.report import (
    SilentAudience,
    TerminalAudience,
    as_json,
    show_announcement,
    show_results,
)
from infermeter.cli.demo.scenarios import SCENARIOS, TOUR, Scenario
from infermeter.cli.demo.stage import USUAL_SPEED, Stage
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.interrupts import interruptible
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.locks import LockHeldError
from infermeter.cli.stack.reporting import SilentReporter
from infermeter.cli.stack.tokens import bearer_token
from infermeter.cli.terminal import TerminalReporter, make_console, show_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from infermeter.cli.stack.places import Places

_STOP = "stop"

_EXAMPLES = f"""\b
Exit status: {ExitCode.OK:d} the stated alerts came, no others, and all of them ended;
{ExitCode.DEMO_UNEXPECTED:d} they did not, or others came.

\b
Examples:
  infermeter demo --list                     what there is to break
  infermeter demo drift                      break it, watch the alert come, mend it
  infermeter demo error-burst --stay         leave it broken until Ctrl-C, to look around
  infermeter demo --tour                     everything, in a few minutes
  infermeter demo bad-canary --speed 10      rules with windows 10 times shorter than written
  infermeter demo --tour --json | jq .not_stated
  infermeter demo stop                       back to calm, whatever was left broken
"""


@click.command(epilog=_EXAMPLES)
@data_dir_option
@click.argument("names", nargs=-1, metavar="[SCENARIO]... | stop", type=click.Choice([*SCENARIOS, _STOP]))
@click.option(
    "--tour", is_flag=True, help="All scenarios, several at a time where they concern different parts of the fleet."
)
@click.option("--together", is_flag=True, help="The named scenarios at the same time.")
@click.option("--stay", is_flag=True, help="Leave it broken until Ctrl-C.")
@click.option("--list", "only_list", is_flag=True, help="Print the scenarios and what is stated about each.")
@click.option(
    "--speed",
    type=click.FloatRange(1, 60),
    metavar="NUMBER",
    help=f"Divide the windows of all rules by this.  [default: as they are, or {USUAL_SPEED:g} if that is slow]",
)
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
def demo(
    places: Places,
    *,
    names: tuple[str, ...],
    tour: bool,
    together: bool,
    stay: bool,
    only_list: bool,
    speed: float | None,
    wants_json: bool,
) -> None:
    """Break a fleet of model services on purpose, and see the right alerts say why.

    It runs on the stack that `infermeter up` has started, and starts one if there is none. Rules get windows that are
    shorter than in production, so that alerts come within a minute; afterwards they are as they were. Without a
    scenario it only sees to it that the fleet runs.
    """
    console = make_console()
    if only_list:
        _list(console, wants_json=wants_json)
        return
    if _STOP in names and len(names) > 1:
        raise click.UsageError("stop stands alone: infermeter demo stop")
    if tour and names:
        raise click.UsageError("--tour plays every scenario; leave the names out")
    acts: Sequence[Sequence[str]] = TOUR if tour else [names] if together and names else [[name] for name in names]
    rounds = [[SCENARIOS[name] for name in act] for act in acts if _STOP not in act]
    audience = SilentReporter() if wants_json else TerminalReporter(console)
    stage = Stage(places, audience, bearer_token())
    try:
        with interruptible(lambda: console.print("still mending…")):
            if _STOP in names:
                sys.exit(_stop(console, stage))
            sys.exit(_play(console, stage, rounds, speed, stay=stay, wants_json=wants_json))
    except LockHeldError as held:
        console.print(f"[red]error:[/red] {held} is at work on {places.data_dir}; wait for it, or press Ctrl-C there.")
        sys.exit(ExitCode.BUSY)
    except StackError as failure:
        show_failure(console, failure)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        console.print("Mended; the fleet and the stack go on.")
        sys.exit(ExitCode.INTERRUPTED)


def _play(
    console: Console,
    stage: Stage,
    rounds: Sequence[Sequence[Scenario]],
    speed: float | None,
    *,
    stay: bool,
    wants_json: bool,
) -> ExitCode:
    try:
        with nullcontext() if wants_json else console.status("starting what is missing"):
            prometheus, used_speed = stage.set(speed)
        results: list[Result] = []
        if not rounds:
            console.print("The fleet runs, and nothing is broken. `infermeter demo --list` says what can be.")
            return ExitCode.OK
        for scenarios in rounds:
            if not wants_json:
                for scenario in scenarios:
                    show_announcement(console, scenario, stage.console_url)
            with nullcontext() if wants_json else console.status("") as spinner:
                audience = SilentAudience() if spinner is None else TerminalAudience(console, spinner)
                course = Course(prometheus, stage.places, used_speed, audience)
                results.append(course.run(scenarios, stay=stay))
    finally:
        stage.calm_down()
    if wants_json:
        click.echo(json.dumps(as_json(results, used_speed), indent=2))
    else:
        show_results(console, results)
    return ExitCode.OK if all(result.as_stated for result in results) else ExitCode.DEMO_UNEXPECTED


def _stop(console: Console, stage: Stage) -> ExitCode:
    if stage.calm_down():
        console.print("Nothing is broken any more; alerts end within a minute.")
    else:
        console.print("Nothing is running.")
    return ExitCode.OK


def _list(console: Console, *, wants_json: bool) -> None:
    if wants_json:
        listed = [
            {
                "name": scenario.name,
                "happens": scenario.happens,
                "must": [{"alert": stated.alert, "labels": stated.labels} for stated in scenario.must],
                "may": [{"alert": stated.alert, "labels": stated.labels} for stated in scenario.may],
            }
            for scenario in SCENARIOS.values()
        ]
        click.echo(json.dumps(listed, indent=2))
        return
    for scenario in SCENARIOS.values():
        show_announcement(console, scenario)
