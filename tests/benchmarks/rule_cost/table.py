"""The measured costs as the page that is committed. Measures nothing."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.benchmarks.rule_cost.fleet import Fleet

ALLOWED = 0.1  # of the interval


@dataclass(frozen=True)
class GroupCost:
    """What one group costs, in seconds."""

    name: str
    interval_s: float
    rules: int
    median_s: float
    worst_s: float

    @property
    def share(self) -> float:
        """The worst evaluation as a share of the interval."""
        return self.worst_s / self.interval_s


@dataclass(frozen=True)
class Facts:
    """What else is worth knowing about the run."""

    prometheus: str
    scraped_series: int
    scrape_interval_s: float
    history_samples: int
    history_s: float
    head_series: int
    memory_bytes: float
    cores: float
    failures: int
    missed: int


def table(fleet: Fleet, costs: list[GroupCost], facts: Facts) -> str:
    """Return the page."""
    size = f"{fleet.models} models with {fleet.versions} versions of {fleet.replicas} replicas"
    about = (
        f"Written by `make rule-costs` for {size}: {facts.scraped_series:,} series, scraped every "
        f"{facts.scrape_interval_s:.0f} s, and {facts.history_samples:,} samples of what the rules would have recorded "
        f"in the {facts.history_s / 86400:.0f} days before (one a minute for the last six hours, one in five minutes "
        "further back)."
    )
    load = (
        f"Prometheus {facts.prometheus} held {facts.head_series:,} series in {facts.memory_bytes / 2**30:.1f} GiB and "
        f"used {facts.cores:.2f} cores for scrapes and rules together; {facts.failures} evaluations failed and "
        f"{facts.missed} were missed. The machine has two cores and does other work, so the times are upper bounds."
    )
    lines = [
        "# What the rules cost",
        "",
        textwrap.fill(about, 120),
        "",
        textwrap.fill(load, 120),
        "",
        f"Allowed is {ALLOWED:.0%} of the interval, in the worst evaluation.",
        "",
        "| group | rules | interval | median | worst | worst / interval |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for cost in sorted(costs, key=lambda cost: -cost.share):
        times = f"{1000 * cost.median_s:.0f} ms | {1000 * cost.worst_s:.0f} ms | {cost.share:.1%}"
        lines.append(f"| {cost.name} | {cost.rules} | {cost.interval_s:.0f} s | {times} |")
    busy = sum(cost.median_s / cost.interval_s for cost in costs)
    lines += ["", f"All groups together keep {busy:.1%} of one core busy."]
    return "\n".join(lines) + "\n"
