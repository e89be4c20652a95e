"""`make simulate`: thirty ordinary days through the rules, and the table of the false alarms that they raise.

Takes half an hour; --model runs a part of the fleet (models do not influence each other) and keeps its counts, so that
it can be done in pieces.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.contract.promtool_evaluator import evaluate
from tests.contract.rule_files import RULE_TESTS, alerts, rule_files
from tests.simulation.needed_rules import write_needed
from tests.simulation.traffic import FLEET, MINUTES_A_DAY, Series, series_of

from infermeter.assets import asset

SEED = 20
EVERY = "2m"
ABOUT_THIS = {"base", "inference", "gpu", "batching", "objectives", "slo", "canary", "meta"}
MODELS = {model.name: model for model in FLEET}
TABLE = "SIMULATION.md"
# Times at which an alert begins to fire, over a day.
BEGINNINGS = (
    "sum by (alertname, severity) (count_over_time("
    f'(ALERTS{{alertstate="firing"}} unless ALERTS{{alertstate="firing"}} offset {EVERY})[1d:{EVERY}]))'
)


def simulate(name: str, days: int) -> dict[str, dict[str, int]]:
    """Return how often each alert began to fire, by rule set and alert."""
    series: Series = series_of(MODELS[name], days, SEED)
    for job in ("infermeter-collector", "infermeter-collector-self"):
        series[f'up{{job="{job}",instance="c1"}}'] = f"1x{days * MINUTES_A_DAY}"
    sets = {
        "as printed": [RULE_TESTS / "traps" / "as_printed.rules.yml"],
        "shipped": [file for file in rule_files() if file.name.split(".")[0] in ABOUT_THIS],
    }
    found: dict[str, dict[str, int]] = {}
    for rules, files in sets.items():
        began_s = time.monotonic()
        queries = [(BEGINNINGS, f"{day}d") for day in range(1, days + 1)]
        counts: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as folder:
            needed, _ = write_needed(files, Path(folder))
            days_found = evaluate(series, queries, needed, every=EVERY, timeout_s=3000)
        for labels, count in (item for day in days_found for item in day.values.items()):
            told = dict(labels)
            counts[f"{told['severity']} {told['alertname']}"] += round(count)
        found[rules] = dict(counts)
        print(f"{name}, rules {rules}: {time.monotonic() - began_s:.0f} s, {dict(counts)}", flush=True)
    return found


def table(by_model: dict[str, dict[str, dict[str, int]]], days: int) -> str:
    """Return the page with the false alarms of both rule sets, for the models that were run."""
    models = [name for name in MODELS if name in by_model]
    found: dict[str, Counter[str]] = {"as printed": Counter(), "shipped": Counter()}
    for counts_of_rules in by_model.values():
        for rules, counts in counts_of_rules.items():
            found[rules].update(counts)
    missing = [name for name in MODELS if name not in models]
    lines = [
        f"# False alarms in {days} ordinary days",
        "",
        "Nothing is wrong in these days, so every alarm is a false one: models with much and little traffic, days",
        "and nights, weekends, noise within the SLA, a deployment with a canary each week, restarts, a GPU that",
        f"nobody holds. Counted is how often an alert begins to fire, evaluated by promtool every {EVERY}; recordings",
        "that no alert reads, directly or through others, are left out. Written by `make simulate`; the traffic is",
        "`tests/simulation/traffic.py`.",
        *(["", f"Not run yet: {', '.join(missing)} (`make simulate`)."] if missing else []),
        "",
        "| model | requests per minute at its busiest | late | failed | replicas |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {model.name}{' (GPU)' if model.gpu else ''}{' (office hours only)' if model.office_hours else ''} "
            f"| {model.peak:g} | {model.late:.1%} | {model.errors:.1%} | {model.replicas} |"
            for model in (MODELS[name] for name in models)
        ),
        "",
        "| alert | severity | rules as printed | rules as shipped |",
        "| --- | --- | --- | --- |",
    ]
    severities = {alert.name: alert.spec["labels"]["severity"] for alert in alerts()}
    judged = [alert for alert in severities if severities[alert] in {"critical", "warning"}]
    printed = {name.split()[1]: count for name, count in found["as printed"].items()}
    shipped = {name.split()[1]: count for name, count in found["shipped"].items()}
    in_files = {alert.name for alert in alerts() if alert.file.split(".")[0] in ABOUT_THIS}
    for name in judged:
        if name in in_files:
            was = printed.get(name, 0) if name in PRINTED else "none"
            lines.append(f"| {name} | {severities[name]} | {was} | {shipped.get(name, 0)} |")
    totals = {
        severity: [sum(c for n, c in counts.items() if n.startswith(severity)) for counts in found.values()]
        for severity in ("critical", "warning")
    }
    lines += [
        f"| **all {severity}** | | **{printed}** | **{shipped}** |" for severity, (printed, shipped) in totals.items()
    ]
    raised = [
        f"{alert.split()[1]} about {name} ({count})"
        for name in models
        for alert, count in by_model[name]["shipped"].items()
        if alert.split()[0] in totals and count
    ]
    lines += ["", f"By the rules as shipped: {', '.join(raised) or 'none'}."]
    return "\n".join([*lines, ""])


PRINTED = {"HighInferenceLatency", "HighPredictionErrorRate", "LowGPUUtilization"}


def main() -> None:
    """Run what was asked for, and write the table of what has been run so far."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--model", choices=MODELS, action="append", help="only this one; may be given several times")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table of what was kept")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--keep", type=Path, default=Path(".simulation"), help="where counts are kept between parts")
    options = parser.parse_args()
    options.keep.mkdir(exist_ok=True)
    for name in () if options.table else options.model or MODELS:
        (options.keep / f"{name}.json").write_text(json.dumps(simulate(name, options.days)), encoding="utf-8")
    done = [name for name in MODELS if (options.keep / f"{name}.json").exists()]
    by_model = {name: json.loads((options.keep / f"{name}.json").read_text(encoding="utf-8")) for name in done}
    text = table(by_model, options.days)
    print(text)
    if options.days == 30:
        (asset("deploy/prometheus") / TABLE).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
