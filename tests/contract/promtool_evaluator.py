"""Promtool as a calculator: give it series and queries, get back what they come to under our rules.

`promtool test rules` only compares. Asked to compare with something that cannot be, it prints what it has got.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from tests.contract.promtool import run_promtool

_IMPOSSIBLE = [{"labels": '{nothing="has this"}', "value": -1}]
_FAILED = re.compile(r'expr: ("(?:\\.|[^"\\])*"), time: (\S+?),\s*\n\s*exp: .*\n\s*got: (.*)')
_SAMPLE = re.compile(r'(?:[^,{}\s]*)\{((?:[^"{}]|"(?:\\.|[^"\\])*")*)\} (\S+?)(?:, |$)')
_LABEL = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')
_NAMED_ONLY = re.compile(r"^([\w:]+|\{\}) (\S+)$")

Labels = frozenset[tuple[str, str]]


class Evaluated(NamedTuple):
    """Value by labels, without the name."""

    values: dict[Labels, float]

    def by(self, label: str) -> dict[str, float]:
        """Return the values by one label, for results that differ in it."""
        return {dict(labels)[label]: value for labels, value in self.values.items()}

    def only(self) -> float:
        """Return the value of a result that is a single one."""
        (value,) = self.values.values()
        return value


def evaluate(
    series: Mapping[str, str],
    queries: Sequence[tuple[str, str]],
    rule_files: Sequence[Path],
    *,
    step: str = "1m",
    every: str = "1m",
    version: str = "prometheus-3",
    timeout_s: float = 240,
) -> list[Evaluated]:
    """Return what each query comes to.

    Args:
        series: Values in promtool's notation by series.
        queries: Expression and time since the start, such as ``45m``.
        rule_files: Loaded in this order; groups are evaluated in it.
        step: How far apart the values are.
        every: How often rules are evaluated.
        version: Which promtool.
        timeout_s: When to give up.
    """
    test = {
        "interval": step,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": at, "exp_samples": _IMPOSSIBLE} for expr, at in queries],
    }
    content = {
        "rule_files": [str(file.resolve()) for file in rule_files],
        "evaluation_interval": every,
        "group_eval_order": [group for file in rule_files for group in groups_of(file)],
        "tests": [test],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".test.yml", encoding="utf-8") as file:
        yaml.safe_dump(content, file, width=10**9, sort_keys=False)
        file.flush()
        result = run_promtool("test", "rules", file.name, version=version, timeout_s=timeout_s)
    said = result.stdout + result.stderr
    found = {(yaml.safe_load(expr), at): _parsed(got) for expr, at, got in _FAILED.findall(said)}
    missing = [query for query in queries if (query[0], _duration(query[1])) not in found]
    if missing:
        raise AssertionError(f"promtool did not evaluate {missing}:\n{said[:4000]}")
    return [found[expr, _duration(at)] for expr, at in queries]


def groups_of(file: Path) -> list[str]:
    """Return the names of a rule file's groups."""
    return [group["name"] for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]


def _parsed(got: str) -> Evaluated:
    got = got.strip()
    if got in {"nil", "", "{}"}:
        return Evaluated({})
    plain = _NAMED_ONLY.match(got)
    if plain:
        return Evaluated({frozenset(): float(plain[2])})
    return Evaluated(
        {
            frozenset(pair for pair in _LABEL.findall(labels) if pair[0] != "__name__"): float(value)
            for labels, value in _SAMPLE.findall(got)
        }
    )


def _duration(text: str) -> str:
    """Spell a number of minutes, hours or days as promtool does: whole weeks as weeks."""
    minutes = int(text[:-1]) * {"m": 1, "h": 60, "d": 1440}[text[-1]]
    if minutes % 10080 == 0:
        return f"{minutes // 10080}w"
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    return "".join(f"{number}{unit}" for number, unit in ((days, "d"), (hours, "h"), (rest, "m")) if number)
