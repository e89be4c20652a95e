"""`make simulate-drift`: writes deploy/prometheus/DRIFT_SIMULATION.md, a table of false and of true alerts.

Exits with 1 if ours raises one alert without drift, or finds less than 99 % of the shifts of 0.75 from 200 values on.

python -m tests.drift_simulation --windows 20000 --seed 77
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
from tests.drift_simulation.others import evidently_share, nannyml_share
from tests.drift_simulation.ours import ENOUGH, LARGE, REFERENCE_VALUES, Feature

from infermeter.drift import scores

SIZES = (50, 100, 200, 500, 1_000, 5_000, 50_000)
SHIFTS = (0.0, 0.5, 0.75)
REPEATS, USERS = 20, 50
TARGET = Path("deploy/prometheus/DRIFT_SIMULATION.md")
WINDOWS_OF_OTHERS = {"Evidently": 50, "NannyML": 300}  # what takes some 70 ms a window, and what takes 3
Judge = Callable[[Any, Any], float]


@click.command()
@click.option("--windows", default=20_000, show_default=True, help="Windows per cell for ours and for plain PSI.")
@click.option("--seed", default=77, show_default=True)
def main(windows: int, seed: int) -> None:
    """Simulate windows of a normal feature and count the alerts."""
    random = np.random.default_rng(seed)
    feature = Feature(random)
    broken: list[str] = []
    others: dict[str, Judge] = {"Evidently": evidently_share, "NannyML": nannyml_share}
    lines = [
        "# How often drift alerts are wrong, and how often they find a shift",
        "",
        _about(windows, seed),
    ]
    click.echo(lines[-1])
    for shift in SHIFTS:
        title = "No drift: every alert is false" if not shift else f"A shift of {shift} standard deviations"
        lines += [
            "",
            f"## {title}",
            "",
            f"| values | FeatureDrift | PSI > {LARGE} alone | {' | '.join(map(_named, others))} |",
        ]
        click.echo("\n".join(lines[-3:]))
        lines.append("| --- " * (3 + len(others)) + "|")
        for size in SIZES:
            counts = feature.windows(random, size, windows, shift=shift)
            plain = np.mean([scores.psi(live, feature.feature.counts) > LARGE for live in counts.tolist()])
            cells = [feature.alert_share(counts), float(plain)]
            if (shift == 0 and cells[0] > 0) or (shift == 0.75 and size >= ENOUGH and cells[0] < 0.99):
                broken.append(f"shift {shift}, {size} values: alerts in {cells[0]:.3%} of the windows")
            for name, judge in others.items():
                how_many = WINDOWS_OF_OTHERS[name] // (10 if size > 5_000 else 1)
                cells.append(judge(feature.sample, random.normal(loc=shift, size=(how_many, size))))
            lines.append(f"| {size:,} | {' | '.join(map(_percent, cells))} |")
            click.echo(lines[-1])
    lines += ["", f"## Repeated values: {USERS} users send each of theirs {REPEATS} times, no drift", ""]
    lines += ["| counted | FeatureDrift |", "| --- | --- |"]
    once, thousand = (feature.windows(random, users, windows) for users in (USERS, REPEATS * USERS))
    of_units = [feature.alert_share(counts) for counts in (once, thousand)]
    if any(of_units):
        broken.append(f"repeated values with unit=: alerts in {max(of_units):.3%} of the windows")
    lines.append(f"| every value ({USERS * REPEATS:,}) | {_percent(feature.alert_share(once * REPEATS))} |")
    lines.append(f"| each user once, `unit=` ({USERS}) | {_percent(of_units[0])} |")
    lines.append(f"| each of {REPEATS * USERS:,} users once, `unit=` | {_percent(of_units[1])} |")
    click.echo("\n".join(lines[-6:]))
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if broken:
        sys.exit("\n".join(broken))


def _named(tool: str) -> str:
    return f"{tool} {version(tool.lower())}"


def _about(windows: int, seed: int) -> str:
    asked = ", ".join(f"{number} for {name}" for name, number in WINDOWS_OF_OTHERS.items())
    return (
        f"Written by `make simulate-drift`. Seed {seed}. One normal feature, {REFERENCE_VALUES:,} values in its "
        f"reference; {windows:,} windows per cell for ours and plain PSI, {asked} with their defaults (a tenth of "
        "it at 50,000 values). Shares of windows with an alert. NannyML takes its threshold from how much chunks of "
        "the reference differ that are as large as a window: from 5,000 values on there are two at most, too few for "
        "that."
    )


def _percent(share: float) -> str:
    return "0" if share == 0 else f"{share:.3%}" if share < 0.1 else f"{share:.1%}"


if __name__ == "__main__":
    main()
