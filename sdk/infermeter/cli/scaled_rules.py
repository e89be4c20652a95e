"""Rule files with shorter windows, so that a test or a demonstration sees an alert in seconds instead of minutes.

Knows which parts of a rule file are durations. Knows nothing of what the rules mean, nor of a running Prometheus.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import yaml

from infermeter.cli.yaml_blocks import yaml_text

if TYPE_CHECKING:
    from pathlib import Path

_UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile(r"(?:\d+(?:ms|[ywdhms]))+")
_DURATION_PART = re.compile(r"(\d+)(ms|[ywdhms])")
_DURATION_OR_SECONDS = re.compile(rf"{_DURATION.pattern}|\d+(?:\.\d+)?")
# What may contain a duration, after what may look like one: strings and comments are matched first and kept.
_TOKEN = re.compile(
    r"""(?P<kept> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` | \#[^\n]* )
      | (?P<range> \[ [^\]]* \] )
      | (?P<offset> \boffset \s+ -? \s* (?:\d+(?:ms|[ywdhms]))+ )""",
    re.VERBOSE,
)
_GROUP_DURATIONS = ("interval", "query_offset")
_RULE_DURATIONS = ("for", "keep_firing_for")


def scale_rules(source: Path, target: Path, *, speed: float, most_interval_s: float | None = None) -> None:
    """Write rule files whose every window is `speed` times shorter.

    Divided are: range selectors and subqueries with their steps, offsets, ``for``, ``keep_firing_for``, and the
    ``interval`` and ``query_offset`` of groups. Names, labels, thresholds and texts stay, so a recorded series called
    ``…:rate5m`` is a rate over 10 s at speed 30, and a description that says "5 minutes" still does.

    Plain numbers in expressions stay as well: write ``increase(x[5m])``, not ``300 * rate(x[5m])``.

    A window must hold several samples: at speed 30, ``[5m]`` becomes ``[10s]``, which asks for a scrape and an export
    every 2 s.

    Args:
        source: A rule file, or a folder whose files ``*.yml`` and ``*.yaml`` are all scaled.
        target: Where to write: a file if `source` is one, else a folder, made if it is missing.
        speed: 1 or more. Durations are rounded down to milliseconds.
        most_interval_s: Groups are evaluated at least this often; None leaves that to their scaled ``interval``. It
            changes how soon something is seen, not what: windows and steps are written out in every expression.

    Raises:
        ValueError: `speed` is below 1 or not finite, a duration would vanish, or `target` is `source`.
        FileNotFoundError: `source` does not exist, or is a folder without rule files.
    """
    if not (math.isfinite(speed) and speed >= 1):
        raise ValueError(f"speed must be a finite number of at least 1, got {speed}")
    if source.resolve() == target.resolve():
        raise ValueError(f"target must differ from source, both are {source}")
    if not source.is_dir():
        _scale_file(source, target, speed, most_interval_s)
        return
    files = sorted(file for file in source.iterdir() if file.suffix in {".yml", ".yaml"})
    if not files:
        raise FileNotFoundError(f"{source} holds no rule files (*.yml, *.yaml)")
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        _scale_file(file, target / file.name, speed, most_interval_s)


def scale_expression(expression: str, *, speed: float) -> str:
    """Return a PromQL expression with every range, subquery step and offset divided by `speed`.

    Raises:
        ValueError: A duration would become shorter than a millisecond.
    """

    def scaled(match: re.Match[str]) -> str:
        if match["range"]:
            # Prometheus 3 also takes a bare number of seconds as a range.
            return _DURATION_OR_SECONDS.sub(lambda found: scale_duration(found[0], speed=speed), match["range"])
        if match["offset"]:
            return _DURATION.sub(lambda found: scale_duration(found[0], speed=speed), match["offset"])
        return match["kept"]

    return _TOKEN.sub(scaled, expression)


def scale_duration(duration: str, *, speed: float) -> str:
    """Return a Prometheus duration (or a number of seconds) divided by `speed`; zero stays zero.

    Raises:
        ValueError: The text is no duration, or the result is shorter than a millisecond.
    """
    before_ms = _milliseconds(duration)
    if before_ms == 0:
        return "0s"
    rest_ms = math.floor(before_ms / speed)
    if rest_ms < 1:
        raise ValueError(f"speed {speed:g} leaves less than a millisecond of {duration}")
    parts: list[str] = []
    for unit in ("h", "m", "s", "ms"):
        count, rest_ms = divmod(rest_ms, _UNITS_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _milliseconds(duration: str) -> float:
    if _DURATION.fullmatch(duration):
        return float(sum(int(n) * _UNITS_MS[unit] for n, unit in _DURATION_PART.findall(duration)))
    return float(duration) * 1_000


def _scale_file(source: Path, target: Path, speed: float, most_interval_s: float | None) -> None:
    content: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8")) or {}
    groups: list[dict[str, Any]] = content.get("groups") or []
    for group in groups:
        _scale_durations(group, _GROUP_DURATIONS, speed)
        if most_interval_s is not None and _milliseconds(str(group.get("interval", "0"))) > 1_000 * most_interval_s:
            group["interval"] = f"{round(1_000 * most_interval_s)}ms"
        rules: list[dict[str, Any]] = group.get("rules") or []
        for rule in rules:
            _scale_durations(rule, _RULE_DURATIONS, speed)
            rule["expr"] = scale_expression(str(rule["expr"]), speed=speed)
    header = f"# {source.name} with every window divided by {speed:g}. Written by scale_rules; change the original.\n"
    body = yaml_text(content)
    target.write_text(header + body, encoding="utf-8")


def _scale_durations(mapping: dict[str, Any], keys: tuple[str, ...], speed: float) -> None:
    for key in keys:
        if key in mapping:
            mapping[key] = scale_duration(str(mapping[key]), speed=speed)
