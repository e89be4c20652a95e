"""How the overview looks on a terminal; colour comes from the thresholds of the alerts only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from infermeter.cli.overview.numbers import Alert, GpuNumbers, ModelNumbers, Overview, PipelineNumbers

ABSENT = "-"
_MOST_FAILED_RATIO, _HALF_OF_IT = 0.01, 0.005
_DEFAULT_SLA_S = 0.5
_LEAST_BUSY_RATIO = 0.3
_HOTTEST_CELSIUS = 85.0
_SEVERITIES = {"critical": "red", "warning": "yellow"}


def draw(overview: Overview) -> RenderableType:
    """Return the whole page."""
    parts: list[RenderableType] = [_headline(overview)]
    if overview.alerts:
        parts += ["", _alerts(overview.alerts)]
    if overview.models:
        parts += ["", _models(overview.models)]
    else:
        parts += ["", "No model has reported yet. A service that calls infermeter.configure() shows up within seconds;",
                  "`infermeter up` starts an example."]  # fmt: skip
    if overview.gpus:
        parts += ["", _gpus(overview.gpus)]
    if overview.pipelines:
        parts += ["", _pipelines(overview.pipelines)]
    return Group(*parts)


def _headline(overview: Overview) -> Text:
    firing = sum(alert.state == "firing" for alert in overview.alerts)
    line = Text()
    line.append(f"{_number(overview.requests_per_s)} requests/s", "bold")
    line.append("   failed ").append(_ratio(overview.failed_ratio), _failed_style(overview.failed_ratio))
    line.append(f"   model versions {_number(overview.active_versions)}")
    line.append(f"   GPUs busy {_ratio(overview.gpu_busy_ratio)}")
    line.append("   alerts ").append(str(firing), "red" if firing else "green")
    return line


def _alerts(alerts: Sequence[Alert]) -> Table:
    table = _table("alert", "state", "since", "about")
    for alert in alerts:
        style = _SEVERITIES.get(alert.severity, "") if alert.state == "firing" else "dim"
        about = alert.summary or ", ".join(alert.labels.values())
        table.add_row(Text(alert.name, style), Text(alert.state, style), f"{alert.since[:10]} {alert.since[11:19]}Z",
                      Text(about))  # fmt: skip
    return table


def _models(models: Sequence[ModelNumbers]) -> Table:
    table = _table(
        "model", "version", "namespace", "req/s", "failed", "p50", "p95", "p99", "SLA", "in SLA", "in work", "waiting",
        numbers_from=3,
    )  # fmt: skip
    for one in models:
        sla_s = one.sla_s or _DEFAULT_SLA_S
        slow = "red" if one.p99_s is not None and one.p99_s > sla_s else ""
        table.add_row(
            Text(one.model_name),
            Text(one.model_version),
            Text(one.namespace),
            _number(one.requests_per_s),
            Text(_ratio(one.failed_ratio), _failed_style(one.failed_ratio)),
            _duration(one.p50_s),
            _duration(one.p95_s),
            Text(_duration(one.p99_s), slow),
            _duration(one.sla_s),
            _ratio(one.within_sla_ratio),
            _number(one.in_flight),
            _number(one.waiting),
        )
    return table


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


def _table(*columns: str, numbers_from: int = 99) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place >= numbers_from else "left", no_wrap=True)
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
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def _bytes(value: float | None) -> str:
    return ABSENT if value is None else f"{value / 2**30:.1f} GiB"
