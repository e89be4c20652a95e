"""Families as Prometheus' text, written directly: the lines of a label set are prepared once, their numbers filled in.

Line by line the same as what prometheus_client makes of the same families, in its own text format and in OpenMetrics.
Knows nothing of where the numbers come from, nor of how text leaves the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from math import inf
from typing import Any, cast

from prometheus_client import utils

from infermeter import guard
from infermeter.catalog import Metric
from infermeter.families import Labels, Point

_PLAIN_BELOW = 1_000_000
"""Numbers from here on are written with an exponent."""
_in_full: Callable[[float], str] = cast("Any", utils).floatToGoString


def page_of(
    families: Iterable[tuple[Metric, list[Point], bool]], common: Mapping[str, str], *, open_metrics: bool
) -> bytes:
    """Return families as text; one that cannot be written does not take the others with it.

    Args:
        families: What we counted.
        common: Labels that every series gets; its own win. The same object each time, unless they have changed.
        open_metrics: In which a counter is described without its ``_total``.
    """
    chunks: list[str] = []
    for metric, points, _ in families:
        with guard.guard("encode"):
            write = _histograms if metric.kind == "histogram" else _numbers
            chunks += (_head_of(metric, open_metrics=open_metrics), write(metric, points, common))
    return "".join(chunks).encode()


def _head_of(metric: Metric, *, open_metrics: bool) -> str:
    name, kind, unit, text = metric[:4]
    if not open_metrics:
        return f"# HELP {name} {_escaped(text, quotes=False)}\n# TYPE {name} {kind}\n"
    name = name.removesuffix("_total") if kind == "counter" else name
    head = f"# HELP {name} {_escaped(text)}\n# TYPE {name} {kind}\n"
    return head + (f"# UNIT {name} seconds\n" if unit == "s" else "")  # the only one that the catalogue knows


def _numbers(metric: Metric, points: list[Point], common: Mapping[str, str]) -> str:
    lines: list[str] = []
    for labels, _, value, _, _ in _rows(points):
        try:
            known_metric, known_common, head = labels.line_of_number
        except AttributeError:
            known_metric = known_common = head = None
        if known_metric is not metric or known_common is not common:
            head = _line_of_number(metric, labels, common)
        lines.append(f"{head}{_text(value)}\n")
    return "".join(lines)


def _histograms(metric: Metric, points: list[Point], common: Mapping[str, str]) -> str:
    lines: list[str] = []
    for labels, _, value, counts, bounds in _rows(points):
        try:
            known_metric, known_common, known_bounds, plain, template = labels.lines_of_histogram
        except AttributeError:
            known_metric = known_common = known_bounds = None
            plain = template = ""
        if known_metric is not metric or known_common is not common or known_bounds is not bounds:
            plain, template = _lines_of_histogram(metric, labels, common, bounds)
        totals = tuple(accumulate(counts))
        if totals[-1] < _PLAIN_BELOW:
            lines.append(plain % (*totals, totals[-1], _text(value)))
        else:
            lines.append(template % (*map(_text, totals), _text(totals[-1]), _text(value)))
    return "".join(lines)


def _text(value: float) -> str:
    """Return a number as prometheus_client writes it."""
    return repr(float(value)) if -inf < value < _PLAIN_BELOW else _in_full(value)


def _rows(points: list[Point]) -> Iterable[tuple[Any, int, float, tuple[int, ...], tuple[float, ...]]]:
    """Return points whose labels may or may not remember what was made of them."""
    return points


def _line_of_number(metric: Metric, labels: Mapping[str, str], common: Mapping[str, str]) -> str:
    """Return the line of a series up to its value."""
    head = f"{metric.name}{_labels({**common, **labels})} "
    if isinstance(labels, Labels):
        labels.line_of_number = metric, common, head
    return head


def _lines_of_histogram(
    metric: Metric, labels: Mapping[str, str], common: Mapping[str, str], bounds: tuple[float, ...]
) -> tuple[str, str]:
    """Return the lines of a histogram with a place for each number, buckets, count, sum: for small ones, for texts."""
    shown = {**common, **labels}
    ends = [*map(_text, bounds), "+Inf"]
    heads = [f"{metric.name}_bucket{_labels({**shown, 'le': end})}" for end in ends]
    heads += [f"{metric.name}{suffix}{_labels(shown)}" for suffix in ("_count", "_sum")]
    heads = [head.replace("%", "%%") for head in heads]
    plain = "".join(f"{head} %d.0\n" for head in heads[:-1]) + f"{heads[-1]} %s\n"
    template = "".join(f"{head} %s\n" for head in heads)
    if isinstance(labels, Labels):
        labels.lines_of_histogram = metric, common, bounds, plain, template
    return plain, template


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quotes else text
