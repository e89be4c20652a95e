"""Writes METRICS.md, the metric reference, from the catalogue; a test compares the two.

Run it after a change of the catalogue: ``python sdk/write_metrics_md.py``.
"""

from __future__ import annotations

from pathlib import Path

from infermeter.catalog import CATALOG, LATENCY, OUTCOMES, STATUSES, Metric
from infermeter.gpu.schema import LOST, MIG_LABELS, PROFILES, XID_TIME, XID_TOTAL, metrics_of

GPU_LABELS = metrics_of(PROFILES["dcgm-4.8"])[0].labels

TARGET = Path(__file__).with_name("METRICS.md")


def render() -> str:
    """Return the whole page as Markdown."""
    about_models = [metric for metric in CATALOG if not metric.internal]
    about_itself = [metric for metric in CATALOG if metric.internal]
    return "\n".join(
        [
            "# Metrics",
            "",
            "Written by `sdk/write_metrics_md.py` from the catalogue (`sdk/infermeter/catalog.py`) and, for",
            "GPUs, `sdk/infermeter/gpu/schema.py`; edit those, not this page.",
            "",
            "Names are spelled as Prometheus shows them. Besides the labels below, each series carries `job`",
            "(`service.name`), `instance` (`service.instance.id`) and, where known, `namespace`, `pod`, `host_name`.",
            "",
            f"`status` is one of {_listed(STATUSES)}; `outcome` one of {_listed(OUTCOMES)}.",
            f"`{LATENCY.name}` holds the calls that an SLO judges, so not those that were `cancelled` or",
            "`rejected`: its count is that of the other three statuses.",
            "",
            "## About models",
            "",
            *_table(about_models),
            "",
            "## About GPUs",
            "",
            "Published by `infermeter.observe_gpus()` or `infermeter gpu agent` under the names of dcgm-exporter, by",
            "default those of profile `dcgm-4.8`; what a GPU does not support has no series. Through OpenTelemetry all",
            "are gauges without a unit, because a suffix would change the name; `rate()` works on those that only",
            "grow. Labels:",
            f"{_listed(GPU_LABELS)}, of MIG instances also {_listed(MIG_LABELS)}.",
            "",
            *_gpu_table(),
            "",
            "## About the SDK itself",
            "",
            *_table(about_itself),
            "",
        ]
    )


def _table(metrics: list[Metric]) -> list[str]:
    rows = ["| series | kind | unit | labels | meaning |", "| --- | --- | --- | --- | --- |"]
    for metric in metrics:
        text = metric.help
        if metric.bounds:
            text += f"; bounds {', '.join(f'{bound:g}' for bound in metric.bounds)}"
        unit = f"`{metric.unit}`" if metric.unit else "none"
        labels = _listed(metric.labels) if metric.labels else "none"
        rows.append(f"| `{metric.name}` | {metric.kind} | {unit} | {labels} | {text} |")
    return rows


def _gpu_table() -> list[str]:
    """Return one row per value, with its name in the profiles."""
    old, _, new = PROFILES.values()
    rows = ["| dcgm-4.8 and 4.8.3 | dcgm-4.9 | only grows | meaning |", "| --- | --- | --- | --- |"]
    for (_, column), (_, later) in zip(old.columns, new.columns, strict=True):
        name = "the same" if later.name == column.name else f"`{later.name}`"
        rows.append(f"| `{column.name}` | {name} | {'yes' if column.kind == 'counter' else ''} | {column.help} |")
    rows.append(f"| `{old.xid.name}` | `{new.xid.name}` | | {old.xid.help} |")
    others = (XID_TOTAL, XID_TIME, LOST)
    rows += [f"| `{m.name}` | the same | {'yes' if m is XID_TOTAL else ''} | {m.help} |" for m in others]
    return rows


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
