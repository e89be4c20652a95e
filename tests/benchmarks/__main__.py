"""``make bench``: prints what infermeter costs next to its peers, and whether the budgets hold.

Absolute budgets were set on a machine where plain OpenTelemetry 1.45 took 17.3 us per inference and a bare FastAPI
request 73 us. Where this machine is slower they are judged at that machine's speed; both figures are shown.
"""

from __future__ import annotations

import json
import sys
from typing import NamedTuple

import click
from rich.console import Console
from rich.table import Table
from tests.benchmarks import drift, exporting, gpus, recording, web
from tests.benchmarks.timing import Measured

REFERENCE_OTEL_US = 17.3
REFERENCE_REQUEST_US = 73.0
SETS, MANY_SETS = 10_000, 50_000


class Verdict(NamedTuple):
    """One budget and what was measured for it."""

    budget: str
    measured: str
    holds: bool


@click.command(epilog="Example: python -m tests.benchmarks --rounds 30 --json")
@click.option("--rounds", default=15, show_default=True, help="Rounds per comparison; more is steadier.")
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON.")
def main(*, rounds: int, as_json: bool) -> None:
    """Compare costs in one run. Exits with 1 if a budget does not hold."""
    console = Console(stderr=as_json, width=118)
    with console.status("one inference"):
        inference = recording.one_inference(rounds)
    with console.status("decorators"):
        decorated = recording.decorators(rounds)
    with console.status("FastAPI requests"):
        requests = web.requests(rounds)
    with console.status(f"export of {SETS:,} label sets"):
        exports = exporting.to_bytes(SETS, rounds) | exporting.scrape(SETS, rounds)
    with console.status(f"pauses while {MANY_SETS:,} label sets are exported"):
        pauses = exporting.pauses(MANY_SETS, max(rounds // 3, 3))
    with console.status("drift"):
        values, watched = drift.values(rounds), drift.requests(rounds)
        in_example = drift.example(max(rounds, 30))
        costs = drift.many_models(rounds)
    with console.status("import"):
        import_ms = exporting.import_ms(max(rounds, 15))
    with console.status("GPUs on a fake driver"):
        of_gpus = gpus.gpus(rounds)
    slower = inference[recording.OTEL].median_ns / 1000 / REFERENCE_OTEL_US
    verdicts = [*_verdicts(inference, decorated, requests), *_verdicts_of_exports(exports, pauses, import_ms, slower)]
    verdicts += _verdicts_of_drift(values, watched, in_example, slower)
    verdicts += _verdicts_of_gpus(of_gpus)
    if as_json:
        figures = {
            name: round(case.median_ns, 1)
            for group in (inference, decorated, requests, exports, values, watched, in_example)
            for name, case in group.items()
        }
        figures |= {
            f"{name}, {found.gpus} GPU(s)": round(case.median_ns, 1)
            for found in of_gpus
            for name, case in found.cases.items()
        }
        json.dump({"median_ns": figures, "budgets": [verdict._asdict() for verdict in verdicts]}, sys.stdout, indent=2)
    else:
        _print(console, "One inference: latency, request and confidence", inference, recording.OTEL)
        _print(console, "Around an empty function", decorated, recording.PROM_DECORATOR)
        _print_added(console, requests)
        _print(console, f"{SETS:,} label sets", exports, exporting.STANDARD)
        console.print(
            f"Longest pause of a recording thread while {MANY_SETS:,} label sets are exported: "
            f"{pauses.standard_ms:.1f} ms by OpenTelemetry's encoder, {pauses.ours_ms:.1f} ms by ours, "
            f"{pauses.alone_ms:.1f} ms without an export"
        )
        _print(console, f"One value, {drift.FEATURES} features", values, drift.RIVER)
        _print_added(console, watched, drift.WITHOUT)
        _print_added(console, in_example, drift.EXAMPLE)
        console.print(
            f"{drift.MODELS} models with {drift.FEATURES} features: {costs.memory_mib:.1f} MiB, "
            f"{costs.export_ms:.1f} ms to sum at each export"
        )
        _print_gpus(console, of_gpus)
        _print_verdicts(console, verdicts)
    sys.exit(0 if all(verdict.holds for verdict in verdicts) else 1)


def _verdicts(
    inference: dict[str, Measured], decorated: dict[str, Measured], requests: dict[str, Measured]
) -> list[Verdict]:
    ours = inference[recording.OURS]
    against_otel = ours.ratio_to(inference[recording.OTEL])
    against_prometheus = ours.ratio_to(inference[recording.PROM_LABELS])
    slower = inference[recording.OTEL].median_ns / 1000 / REFERENCE_OTEL_US
    bare_ns = requests[web.BARE].median_ns
    added_us = (requests[web.OURS].median_ns - bare_ns) / 1000
    instrumentator_us = (requests[web.INSTRUMENTATOR].median_ns - bare_ns) / 1000
    request_slower = bare_ns / 1000 / REFERENCE_REQUEST_US
    return [
        _at_most("one inference, bound", 0.35, ours.median_ns / 1000, slower),
        Verdict(
            "one inference at least 40 times faster than plain OpenTelemetry", f"{against_otel:.0f}", against_otel >= 40
        ),
        Verdict(
            "one inference at least 10 times faster than prometheus_client's labels path",
            f"{against_prometheus:.0f}",
            against_prometheus >= 10,
        ),
        _at_most(
            "decorator around an empty function", 0.7, decorated[recording.OURS_DECORATOR].median_ns / 1000, slower
        ),
        _at_most("added to a FastAPI request", 5.0, added_us, request_slower),
        Verdict(
            "added to a FastAPI request: less than prometheus-fastapi-instrumentator",
            f"{added_us:.1f} us against {instrumentator_us:.1f} us",
            added_us < instrumentator_us,
        ),
    ]


def _verdicts_of_exports(
    exports: dict[str, Measured], pauses: exporting.Pauses, import_ms: float, slower: float
) -> list[Verdict]:
    encoded_ms, scraped_ms = (exports[name].median_ns / 1e6 for name in (exporting.OURS, exporting.SCRAPE))
    return [
        _at_most(f"{SETS:,} label sets to OTLP bytes", 10, encoded_ms, slower, unit="ms"),
        Verdict(
            f"pause of a recording thread during an export of {MANY_SETS:,} label sets below 20 ms",
            f"{pauses.ours_ms:.1f} ms here, {pauses.alone_ms:.1f} ms without an export",
            pauses.ours_ms / max(slower, 1.0) < 20,
        ),
        _at_most(f"/metrics of {SETS:,} label sets", 20, scraped_ms, slower, unit="ms"),
        _at_most("import infermeter", 15, import_ms, slower, unit="ms"),
    ]


def _verdicts_of_drift(
    values: dict[str, Measured], watched: dict[str, Measured], in_example: dict[str, Measured], slower: float
) -> list[Verdict]:
    without, example = watched[drift.WITHOUT], in_example[drift.EXAMPLE]
    return [
        _at_most(f"one value in a batch of {drift.ROWS}", 100, values[drift.BATCH].median_ns, slower, unit="ns"),
        *(
            _at_most(f"added to a request, {name}", 10, watched[name].added_to_ns(without) / 1000, slower)
            for name in (drift.WITH_ROW, drift.WITH_BATCH)
        ),
        *(
            _at_most(
                f"added to a request of the fraud example, {name}",
                10,
                in_example[name].added_to_ns(example) / 1000,
                slower,
            )
            for name in (drift.ROW_IN_EXAMPLE, drift.BATCH_IN_EXAMPLE)
        ),
    ]


def _verdicts_of_gpus(found: list[gpus.OfGpus]) -> list[Verdict]:
    calls = max(one.calls_per_gpu for one in found)
    collected = sum(one.calls_of_collections for one in found)
    return [
        Verdict("at most 10 calls of the driver per GPU and reading", f"{calls:.1f}", calls <= 10),
        Verdict("no call of the driver in a collection", f"{collected}", collected == 0),
    ]


def _at_most(what: str, budget: float, measured: float, slower: float, *, unit: str = "us") -> Verdict:
    """Judge an absolute budget at the speed of the machine it was set on, unless this one is faster."""
    at_reference = measured / max(slower, 1.0)
    return Verdict(
        f"{what} at most {budget:g} {unit}",
        f"{measured:.2f} {unit} here, {at_reference:.2f} {unit} at reference speed "
        f"(this machine: {slower:.1f} x slower)",
        at_reference <= budget,
    )


def _print(console: Console, title: str, cases: dict[str, Measured], base: str) -> None:
    table = Table("", "us", f"times faster than {base}", title=title, title_justify="left")
    for name, case in cases.items():
        table.add_row(name, f"{case.median_ns / 1000:.2f}", f"{case.ratio_to(cases[base]):.1f}")
    console.print(table)


def _print_added(console: Console, cases: dict[str, Measured], base: str = web.BARE) -> None:
    table = Table("", "us per request", "added us", "added", title="One FastAPI request", title_justify="left")
    bare_ns = cases[base].median_ns
    for name, case in cases.items():
        added_ns = case.added_to_ns(cases[base])
        table.add_row(name, f"{case.median_ns / 1000:.1f}", f"{added_ns / 1000:.1f}", f"{added_ns / bare_ns:.0%}")
    console.print(table)


def _print_gpus(console: Console, found: list[gpus.OfGpus]) -> None:
    table = Table("ms", *(f"{one.gpus} GPU(s)" for one in found), title="GPUs, on a fake driver", title_justify="left")
    for name in found[0].cases:
        table.add_row(name, *(f"{one.cases[name].median_ns / 1e6:.3f}" for one in found))
    table.add_row("calls per GPU and reading", *(f"{one.calls_per_gpu:.1f}" for one in found))
    table.add_row("calls per GPU the plain way", *(str(gpus.PLAIN_CALLS) for _ in found))
    console.print(table)


def _print_verdicts(console: Console, verdicts: list[Verdict]) -> None:
    table = Table("budget", "measured", "", title="Budgets", title_justify="left")
    for verdict in verdicts:
        table.add_row(verdict.budget, verdict.measured, "[green]holds[/]" if verdict.holds else "[red]exceeded[/]")
    console.print(table)


if __name__ == "__main__":
    main()
