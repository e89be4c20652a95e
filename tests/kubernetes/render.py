"""Writes deploy/kubernetes/manifests from the chart: python -m tests.kubernetes.render."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from tests.kubernetes.chart import CHART, NAMESPACE, RELEASE, Values, rendered

MANIFESTS = CHART.parent / "manifests"
# Rules and dashboards come from `infermeter rules export`, with a team's own numbers in them.
VALUES: Values = {"rules": {"create": False}, "dashboards": {"enabled": False}}
_NOTE = "# Rendered from ../chart by `make kubernetes`. What is edited here is overwritten.\n"
_SOURCE = re.compile(r"^# Source: infermeter/templates/(.*)\.yaml$")


def manifests() -> dict[str, str]:
    """Return the text of each file by its name."""
    by_template: dict[str, list[str]] = {}
    for document in re.sub(r"^ +$", "", rendered(VALUES), flags=re.MULTILINE).split("---\n"):
        lines = document.splitlines()
        match = _SOURCE.match(lines[0]) if lines else None
        if match and yaml.safe_load(document):
            by_template.setdefault(match.group(1), []).append("\n".join(lines[1:]).strip() + "\n")
    files = {f"{name}.yaml": _NOTE + "---\n".join(parts) for name, parts in sorted(by_template.items())}
    resources = "".join(f"  - {name}\n" for name in files)
    files["kustomization.yaml"] = (
        f"{_NOTE}# kubectl apply --server-side -k deploy/kubernetes/overlay (what comes before: ../README.md)\n"
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"namespace: {NAMESPACE}\nresources:\n{resources}"
    )
    return files


def write(folder: Path = MANIFESTS) -> None:
    """Write the files, and remove those that no template makes any more."""
    folder.mkdir(exist_ok=True)
    files = manifests()
    for stale in {file.name for file in folder.iterdir()} - files.keys():
        (folder / stale).unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
    print(f"{RELEASE}: wrote {MANIFESTS}")
