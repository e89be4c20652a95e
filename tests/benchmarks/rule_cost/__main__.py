"""Run a Prometheus with the rules on a large fleet and write what each group costs: make rule-costs.

Raw series arrive by scrapes until every window of five minutes is full; what the rules look back further for is
backfilled. The durations are those that Prometheus reports about its own evaluations.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.rule_cost.fleet import Fleet, Scrape
from tests.benchmarks.rule_cost.history import open_metrics, windows
from tests.benchmarks.rule_cost.server import SCRAPE_S, Queries, exporter, prometheus
from tests.benchmarks.rule_cost.table import ALLOWED, Facts, GroupCost, table

from infermeter.check.rule_files import Rule, read_rules
from infermeter.check.shipped import rule_files
from infermeter.cli.stack.binaries import find_or_build, version_of
from infermeter.cli.stack.reporting import SilentReporter

TABLE = Path(__file__).parents[3] / "deploy/prometheus/RULE_COSTS.md"
_WINDOW_S = 330  # of the raw series, and a scrape on top
_JUDGED = 8  # evaluations per group, the last ones


def main() -> int:
    """Measure, write the table, and return 1 if a group is too expensive."""
    options = _options()
    fleet = Fleet(options.models, options.versions, options.replicas)
    files = sorted(options.rules.glob("*.yml")) if options.rules else rule_files()
    rules = [rule for file in files for document in read_rules(file) for rule in document.rules]
    binaries = find_or_build(["prometheus", "promtool"], SilentReporter())
    with tempfile.TemporaryDirectory(prefix="rule-cost-", dir=options.folder) as name:
        folder = Path(name)
        history_samples = _backfill(binaries["promtool"], fleet, rules, folder)
        scrape = Scrape(fleet)
        _say(f"{scrape.series:,} series per scrape")
        with (
            exporter(scrape) as port,
            prometheus(binaries["prometheus"], files, port, folder, folder / "data") as server,
        ):
            _wait(server, options.minutes * 60)
            costs = _costs(server, options.minutes * 60)
            facts = Facts(
                prometheus=version_of(binaries["prometheus"]) or "",
                scraped_series=scrape.series,
                scrape_interval_s=SCRAPE_S,
                history_samples=history_samples,
                history_s=max(windows(rules).values(), default=0.0),
                head_series=int(server.value("prometheus_tsdb_head_series")),
                memory_bytes=server.value('process_resident_memory_bytes{job="prometheus"}'),
                cores=server.value('rate(process_cpu_seconds_total{job="prometheus"}[2m])'),
                failures=int(server.value("sum(prometheus_rule_evaluation_failures_total)")),
                missed=int(server.value("sum(prometheus_rule_group_iterations_missed_total)")),
            )
    text = table(fleet, costs, facts)
    sys.stdout.write(text)
    options.table.write_text(text, encoding="utf-8")
    return 1 if facts.failures or any(cost.share > ALLOWED for cost in costs) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--versions", type=int, default=3)
    parser.add_argument("--replicas", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=8.5, help="above 6, so that windows of 5 minutes are full")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--rules", type=Path, help="a folder of rule files; the shipped ones if left out")
    parser.add_argument("--folder", type=Path, help="where 5 GiB fit, for a while")
    return parser.parse_args()


def _backfill(promtool: Path, fleet: Fleet, rules: list[Rule], folder: Path) -> int:
    history, count = folder / "history.txt", 0
    with history.open("w", encoding="utf-8") as file:
        for line in open_metrics(fleet, rules, int(time.time())):
            file.write(line + "\n")
            count += not line.startswith("#")
    _say(f"backfilling {count:,} samples ({history.stat().st_size / 2**20:.0f} MiB)")
    (folder / "data").mkdir()
    command = [promtool, "tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics", history]
    subprocess.run([*command, folder / "data"], check=True, stdout=subprocess.DEVNULL)
    history.unlink()
    return count


def _wait(server: Queries, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(30.0, left_s))
        head = server.value("prometheus_tsdb_head_series")
        _say(f"{max(0, round(until_s - time.monotonic()))} s to go; {head:,.0f} series in memory")


def _costs(server: Queries, seconds: float) -> list[GroupCost]:
    """Read the last durations of each group, from the time when the windows were full."""
    full_s = max(60, int(seconds - _WINDOW_S))
    costs: list[GroupCost] = []
    for group in server.groups():
        key = f"{group['file']};{group['name']}"
        rows = server.rows(f'prometheus_rule_group_last_duration_seconds{{rule_group="{key}"}}[{full_s}s]')
        seen = [float(value) for _, value in rows[0]["values"]] if rows else [float(group["evaluationTime"])]
        last = list(dict.fromkeys(seen))[-_JUDGED:]
        costs.append(
            GroupCost(group["name"], float(group["interval"]), len(group["rules"]), statistics.median(last), max(last))
        )
    return costs


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
