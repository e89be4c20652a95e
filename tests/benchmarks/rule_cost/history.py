"""What the rules would have recorded before: series that their long windows read, as OpenMetrics for promtool."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import promql_parser as ast
from tests.benchmarks.rule_cost.fleet import Fleet

from infermeter.catalog import LATENCY
from infermeter.check.known_series import KnownSeries
from infermeter.check.promql import nodes, parse, selectors
from infermeter.check.rule_files import Rule

# Raw series fill their windows while the benchmark runs; what looks back further is written before.
_LIVE_S = 420.0
# One sample a minute for six hours, one in five minutes before that: what Prometheus just bridges.
_FINE_S, _COARSE_S, _FINE_FOR_S = 60, 300, 21_600


def windows(rules: list[Rule]) -> dict[str, float]:
    """Return how far back recorded series are read, in seconds, where that is further than the run itself."""
    reach: dict[str, float] = {}
    for rule in rules:
        for node in nodes(parse(rule.expr)):
            inner, seconds = None, 0.0
            if isinstance(node, ast.SubqueryExpr):
                inner, seconds = node.expr, node.range.total_seconds()
            elif isinstance(node, ast.MatrixSelector):
                inner, seconds = node, node.range.total_seconds()
            if inner is None or seconds <= _LIVE_S:
                continue
            for selector in selectors(inner):
                if ":" in selector.name:
                    reach[selector.name] = max(reach.get(selector.name, 0.0), seconds)
    return reach


def open_metrics(fleet: Fleet, rules: list[Rule], until_s: int) -> Iterator[str]:
    """Yield the lines of a file that `promtool tsdb create-blocks-from openmetrics` reads, in any order of time.

    Args:
        fleet: Whose models.
        rules: Whose recordings and windows.
        until_s: Time of the last sample, Unix.
    """
    known = KnownSeries((rule.name, rule.expr) for rule in rules if not rule.is_alert)
    for name, seconds in sorted(windows(rules).items()):
        labels = known.labels(name) or frozenset()
        times = _times(until_s, seconds)
        yield f"# TYPE {name} gauge"
        for series in _series(fleet, labels):
            head = f"{name}{{{series}}} "
            yield from (f"{head}{10 + at % 7} {at}" for at in times)
    yield "# EOF"


def _times(until_s: int, seconds: float) -> list[int]:
    fine_from = until_s - min(int(seconds), _FINE_FOR_S)
    coarse = range(until_s - int(seconds), fine_from, _COARSE_S)
    return [*coarse, *range(fine_from, until_s, _FINE_S)]


def _series(fleet: Fleet, labels: frozenset[str]) -> Iterator[str]:
    """Yield every combination of label values that a recorded series with these labels would have."""
    features = [f"feature-{i}" for i in range(fleet.features)]
    values = {
        "namespace": ["prod"],
        "le": [f"{bound:g}" for bound in LATENCY.bounds] + ["+Inf"],
        "slo": ["availability", "latency"],
        "feature": features,
        "bin": [*(f"{i:02}" for i in range(10)), "missing"],
        "pipeline": [f"job-{i:03}" for i in range(fleet.pipelines)],
        "job": ["job"],
        "reference": ["ab12"],
    }
    rest = sorted(labels & values.keys())
    of_models = sorted({version if "model_version" in labels else (version[0], "") for version in _models(fleet)})
    for model, version in of_models if "model_name" in labels else [("", "")]:
        for chosen in itertools.product(*(values[label] for label in rest)):
            named = dict(zip(rest, chosen, strict=True))
            if model:
                named["model_name"] = model
            if version:
                named["model_version"] = version
            yield ",".join(f'{label}="{value}"' for label, value in sorted(named.items()))


def _models(fleet: Fleet) -> list[tuple[str, str]]:
    return list(fleet.versions_of_models())
