"""A snapshot as the text that dcgm-exporter serves: same names, types, help, order of labels, and number formats.

Labels of a device are put into text once. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infermeter.catalog import Metric
from infermeter.gpu.gauges import Gauges, Pods, labels_of, with_driver
from infermeter.gpu.owner import Snapshot
from infermeter.gpu.sample import Gpu
from infermeter.gpu.schema import XID_TIME, XID_TOTAL, Column, Profile

_EXTRA_KINDS = {XID_TOTAL.name: "counter"}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class TextRenderer:
    """Renders one profile on one host; remembers the labels of each device."""

    def __init__(self, profile: Profile, host: str) -> None:
        self._profile, self._host = profile, host
        self._gauges = Gauges(profile, host)
        self._texts: dict[tuple[Gpu, tuple[tuple[str, str], ...]], str] = {}

    def render(self, snapshot: Snapshot, pods: Pods | None = None) -> str:
        """Return the whole page; empty while nothing is known."""
        lines: list[str] = []
        labels = [self._text(sample.gpu, pods) for sample in snapshot.samples]
        for field, column in self._profile.columns:
            rows = [
                f"{column.name}{{{text}}} {_number(column, value)}"
                for sample, text in zip(snapshot.samples, labels, strict=True)
                if (value := getattr(sample, field)) is not None
            ]
            lines += _family(column.name, column.kind, column.help, rows)
        lines += self._rest(snapshot, pods)
        return "\n".join(lines) + "\n" if lines else ""

    def _text(self, gpu: Gpu, pods: Pods | None) -> str:
        pod = (pods or {}).get((gpu.uuid, gpu.mig_id), {})
        key = (gpu, tuple(pod.items()))
        text = self._texts.get(key)
        if text is None:
            if len(self._texts) > 1000:  # pods come and go
                self._texts.clear()
            labels = {**with_driver(labels_of(gpu, self._profile, self._host), gpu, self._profile), **pod}
            text = self._texts[key] = _labels(labels)
        return text

    def _rest(self, snapshot: Snapshot, pods: Pods | None) -> Iterable[str]:
        """Render what is not a value of a sample: errors that the driver reported, and lost GPUs."""
        for family in self._gauges.errors_and_losses(snapshot, pods):
            name = family.metric.name
            form = "{:.3f}" if name == XID_TIME.name else "{:.0f}"
            rows = [f"{name}{{{_labels(point.labels)}}} {form.format(point.value)}" for point in family.points]
            yield from _family(name, _EXTRA_KINDS.get(name, "gauge"), family.metric.help, rows)


def number_family(metric: Metric, value: float) -> str:
    """Return a metric that is one number without labels, as lines of the page."""
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n{metric.name} {value:g}\n"


def _family(name: str, kind: str, text: str, rows: list[str]) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *rows] if rows else []


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())


def _number(column: Column, value: float) -> str:
    shown = column.shown(value)
    return f"{shown:f}" if column.form == "real" else str(shown)
