"""Writes METRICS.md, the metric reference, from the catalogue; a test compares the two.

Run it after a change of the catalogue: ``python sdk/write_metrics_md.py``.
"""

from __future__ import annotations

from pathlib import Path

from infermeter.catalog import CATALOG, OUTCOMES, STATUSES, Metric

TARGET = Path(__file__).with_name("METRICS.md")


def render() -> str:
    """Return the whole page as Markdown."""
    about_models = [metric for metric in CATALOG if not metric.internal]
    about_itself = [metric for metric in CATALOG if metric.internal]
    return "\n".join(
        [
            "# Metrics",
            "",
            "Written by `sdk/write_metrics_md.py` from `sdk/infermeter/catalog.py`; edit the catalogue, not this page.",
            "",
            "Names are spelled as Prometheus shows them. Besides the labels below, each series carries `job`",
            "(`service.name`), `instance` (`service.instance.id`) and, where known, `namespace`, `pod`, `host_name`.",
            "",
            f"`status` is one of {_listed(STATUSES)}; `outcome` one of {_listed(OUTCOMES)}.",
            "",
            "## About models",
            "",
            *_table(about_models),
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


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
