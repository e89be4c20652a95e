"""How the overview looks on a terminal; colour comes from the thresholds of the alerts only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from infermeter.cli.overview.numbers import Alert, GpuNumbers, ModelNumbers, Overview, PipelineNumbers

ABSENT = "-"
_MOST_FAILED_RATIO, _HALF_OF_IT = 0.01, 0.005
_DEFAULT_SLA_S = 0.5
_LEAST_BUSY_RATIO = 0.3
_HOTTEST_CELSIUS = 85.0
_DISPENSABLE = ("p95", "in work", "in SLA", "SLA", "p50", "waiting")
"""Columns in the order in which a narrow terminal does without them."""
_UNBOUNDED = 10_000
_SEVERITIES = {"critical": "red", "warning": "yellow"}


def draw(overview: Overview) -> RenderableType:
    """Return the whole page."""
    parts: list[RenderableType] = [_headline(overview)]
    if overview.alerts:
        parts += ["", _alerts(overview.alerts)]
    if overview.models:
        parts += ["", _Models(overview.models)]
    else:
        parts += ["", "No model has reported yet. A service that calls infermeter.configure() shows up within seconds;",
                  "`infermeter demo` starts a simulated fleet of them."]  # fmt: skip
    if overview.gpus:
        parts += ["", _gpus(overview.gpus)]
    if overview.pipelines:
        parts += ["", _pipelines(overview.pipelines)]
    return Group(*parts)


def _headline(overview: Overview) -> Text:
    firing = sum(alert.state == "firing" for alert in overview.alerts)
    line = Text()
    line.append(f"{_number(overview.requests_per_s)} requests/s", "bold")
    line.append("  failed ").append(_ratio(overview.failed_ratio), _failed_style(overview.failed_ratio))
    line.append(f"  model versions {_number(overview.active_versions)}")
    line.append(f"  GPUs busy {_ratio(overview.gpu_busy_ratio, decimals=0)}")
    line.append("  alerts ").append(str(firing), "red" if firing else "green")
    return line


def _alerts(alerts: Sequence[Alert]) -> Table:
    table = _table("alert", "state", "since", "about", whole=("alert", "state", "since"))
    for alert in alerts:
        style = _SEVERITIES.get(alert.severity, "") if alert.state == "firing" else "dim"
        about = alert.summary or ", ".join(alert.labels.values())
        table.add_row(Text(alert.name, style), Text(alert.state, style), f"{alert.since[:10]} {alert.since[11:19]}Z",
                      Text(about))  # fmt: skip
    return table


class _Models:
    """The table of the models, with as many of its columns as the terminal has room for: a number is never cut."""

    def __init__(self, models: Sequence[ModelNumbers]) -> None:
        self._models = models

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left_out: list[str] = []
        table = _models(self._models, left_out=left_out)
        while _natural_width(table, console, options) > options.max_width and len(left_out) < len(_DISPENSABLE):
            left_out.append(_DISPENSABLE[len(left_out)])
            table = _models(self._models, left_out=left_out)
        yield table
        if left_out:
            yield Text(f"Left out for want of room: {', '.join(left_out)}.", "dim")


def _natural_width(table: Table, console: Console, options: ConsoleOptions) -> int:
    return Measurement.get(console, options.update_width(_UNBOUNDED), table).maximum


def _models(models: Sequence[ModelNumbers], *, left_out: Sequence[str]) -> Table:
    rows = [_cells(one) for one in models]
    names = [name for name in rows[0] if name not in left_out]
    table = _table(*names, numbers_from=names.index("req/s"))
    for cells in rows:
        table.add_row(*(cells[name] for name in names))
    return table


def _cells(one: ModelNumbers) -> dict[str, RenderableType]:
    """Return a model's cells by the headings of their columns."""
    slow = "red" if one.p99_s is not None and one.p99_s > (one.sla_s or _DEFAULT_SLA_S) else ""
    return {
        "model": Text(one.model_name),
        "version": Text(one.model_version),
        "namespace": Text(one.namespace),
        "req/s": _number(one.requests_per_s),
        "failed": Text(_ratio(one.failed_ratio), _failed_style(one.failed_ratio)),
        "p50": _duration(one.p50_s),
        "p95": _duration(one.p95_s),
        "p99": Text(_duration(one.p99_s), slow),
        "SLA": _duration(one.sla_s),
        "in SLA": _ratio(one.within_sla_ratio),
        "in work": _number(one.in_flight),
        "waiting": _number(one.waiting),
    }


def _gpus(gpus: Sequence[GpuNumbers]) -> Table:
    table = _table("host", "GPU", "busy", "memory", "of", "°C", "W", numbers_from=2)
    for one in gpus:
        idle = "yellow" if one.busy_ratio is not None and one.busy_ratio < _LEAST_BUSY_RATIO else ""
        hot = "red" if one.temperature_celsius is not None and one.temperature_celsius > _HOTTEST_CELSIUS else ""
        table.add_row(
            Text(one.host),
            Text(f"{one.gpu}/{one.instance}" if one.instance else one.gpu),
            Text(_ratio(one.busy_ratio, decimals=0), idle),
            _bytes(one.memory_used_bytes),
            _bytes(one.memory_total_bytes),
            Text(_number(one.temperature_celsius, decimals=0), hot),
            _number(one.power_watts, decimals=0),
        )
    return table


def _pipelines(pipelines: Sequence[PipelineNumbers]) -> Table:
    table = _table("pipeline", "namespace", "last success", "expected every", "took", numbers_from=2)
    for one in pipelines:
        overdue = one.since_success_s is not None and one.since_success_s > (one.expected_interval_s or float("inf"))
        ago = ABSENT if one.since_success_s is None else f"{_duration(max(one.since_success_s, 0.0))} ago"
        table.add_row(
            Text(one.pipeline),
            Text(one.namespace),
            Text(ago, "red" if overdue else ""),
            _duration(one.expected_interval_s),
            _duration(one.duration_s),
        )
    return table


def _table(*columns: str, numbers_from: int = 99, whole: Sequence[str] = ()) -> Table:
    """Return an empty table; where there is no room, words go on below, and numbers and `whole` columns stay."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        is_number = place >= numbers_from
        table.add_column(
            column, justify="right" if is_number else "left", no_wrap=is_number or column in whole, overflow="fold"
        )
    return table


def _failed_style(ratio: float | None) -> str:
    if ratio is None or ratio <= _HALF_OF_IT:
        return ""
    return "red" if ratio > _MOST_FAILED_RATIO else "yellow"


def _number(value: float | None, decimals: int = 1) -> str:
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if decimals == 0 or value >= 100 or value == int(value) else f"{value:.{decimals}f}"


def _ratio(value: float | None, decimals: int = 2) -> str:
    return ABSENT if value is None else f"{100 * value:.{decimals}f} %"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ABSENT
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.1 else f"{1000 * seconds:.1f} ms"


def _bytes(value: float | None) -> str:
    return ABSENT if value is None else f"{value / 2**30:.1f} GiB"
