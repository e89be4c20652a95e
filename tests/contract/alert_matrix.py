"""Which alert fires in which scenario: runs all scenarios through the shipped rules and draws the table.

`make matrix` writes the table that is committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from tests.contract.promtool_evaluator import evaluate
from tests.contract.rule_files import alerts, rule_files
from tests.contract.scenario_list import SCENARIOS
from tests.contract.scenarios import Scenario, healthy

from infermeter.assets import asset

TABLE = "MATRIX.md"
HEARTBEAT = "Watchdog"
ELSEWHERE = {"PipelineDisappeared": "takes eight days of silence; its own test has them"}
"""Alerts that no scenario has, and why."""


@cache
def fired() -> dict[str, frozenset[str]]:
    """Return the alerts that fired in each scenario, in the order of the list. Takes about a minute."""
    with ThreadPoolExecutor(2) as two:
        return dict(zip((scenario.name for scenario in SCENARIOS), two.map(_fired_in, SCENARIOS), strict=True))


def _fired_in(scenario: Scenario) -> frozenset[str]:
    world = healthy(scenario.minutes)
    scenario.change(world, scenario.minutes)
    end = f"{scenario.minutes}m"
    query = f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{end}]))'
    (result,) = evaluate(world, [(query, end)], rule_files(), every=scenario.every)
    return frozenset(result.by("alertname"))


def table(found: Mapping[str, frozenset[str]]) -> str:
    """Return the matrix as a page: a row per scenario, a column per alert."""
    names = list(dict.fromkeys(alert.name for alert in alerts() if alert.name != HEARTBEAT))
    width = max(len(scenario) for scenario in found)
    lines = [
        "# Which alert fires in which scenario",
        "",
        "Every scenario of `tests/contract/scenario_list.py`, evaluated by promtool under all rules of this folder.",
        f"Written by `make matrix`. `{HEARTBEAT}` fires in all of them and is left out.",
        "",
        "```",
        *(f"{number:>{width + 3}}  {name}" for number, name in enumerate(names, 1)),
        "",
        f"{'':{width}} {''.join(f'{number:>3}' for number in range(1, len(names) + 1))}",
    ]
    for scenario, fires in found.items():
        cells = "".join("  x" if name in fires else "  ." for name in names)
        lines.append(f"{scenario:{width}} {cells}")
    return "\n".join([*lines, "```", ""])


if __name__ == "__main__":
    target = asset("deploy/prometheus") / TABLE
    target.write_text(table(fired()), encoding="utf-8")
    print(target.read_text(encoding="utf-8"))
