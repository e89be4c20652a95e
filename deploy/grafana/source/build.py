"""Writes the committed dashboards from their sources: python -m deploy.grafana.source.build [--check]."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deploy.grafana.source.gpu_fleet import GPU_PAGE
from deploy.grafana.source.model import MODEL_PAGE
from deploy.grafana.source.overview import OVERVIEW
from deploy.grafana.source.panels import dashboard_json
from deploy.grafana.source.telemetry_health import TELEMETRY_PAGE

TARGET = Path(__file__).resolve().parents[1] / "dashboards"
DASHBOARDS = {
    "overview.json": OVERVIEW,
    "model.json": MODEL_PAGE,
    "gpu-fleet.json": GPU_PAGE,
    "telemetry-health.json": TELEMETRY_PAGE,
}


def rendered() -> dict[str, str]:
    """Return the text of each dashboard file, by file name."""
    return {
        name: json.dumps(dashboard_json(dashboard), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, dashboard in DASHBOARDS.items()
    }


def outdated(folder: Path = TARGET) -> list[str]:
    """Return the names of files in a folder that differ from their source, have none, or are missing."""
    wanted = rendered()
    present = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def main(arguments: list[str]) -> int:
    """Write the dashboards, or with ``--check`` only say which are out of date; returns the exit status."""
    if arguments == ["--check"]:
        for name in outdated():
            sys.stderr.write(f"{name} differs from its source: run python -m deploy.grafana.source.build\n")
        return 1 if outdated() else 0
    if arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    TARGET.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (TARGET / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
