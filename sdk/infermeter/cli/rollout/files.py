"""Every file of an export by its path. The same version and values always give the same files; writes nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infermeter.assets import asset
from infermeter.check.shipped import rule_files
from infermeter.cli.rollout.dashboard_texts import dashboard_text
from infermeter.cli.rollout.rule_texts import manifest, rules_text
from infermeter.cli.rollout.values import PLACEHOLDER
from infermeter.cli.yaml_blocks import yaml_text
from infermeter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection

    from infermeter.cli.rollout.values import Values

PARTS = ("prometheus", "kubernetes", "grafana", "runbooks")

_OBJECTIVES = "objectives.rules.yml"
_PROVISIONING = {
    "apiVersion": 1,
    "providers": [
        {
            "name": "infermeter",
            "folder": "infermeter",
            "type": "file",
            "disableDeletion": True,
            "allowUiUpdates": False,
            "options": {"path": "/var/lib/grafana/dashboards/infermeter"},
        }
    ],
}
_HOW = {
    "prometheus": "prometheus/rules/*.yml: name them under rule_files in prometheus.yml, then reload Prometheus.",
    "kubernetes": (
        "kubernetes/*.yaml: kubectl apply -f kubernetes/ gives the Prometheus operator the same rules and Grafana's\n"
        "sidecar the same dashboards. The operator picks rules by label: values.yaml sets kubernetes.labels."
    ),
    "grafana": (
        "grafana/provisioning/dashboards/infermeter.yaml goes to /etc/grafana/provisioning/dashboards/,\n"
        "grafana/dashboards to /var/lib/grafana/dashboards/infermeter. Choose the Prometheus at the top of a dashboard."
    ),
    "runbooks": "runbooks/*.md: put them where your team reads pages, and that address into values.yaml (runbooks).",
}


def exported_files(values: Values, parts: Collection[str] = PARTS, objectives: str | None = None) -> dict[str, str]:
    """Return the text of each file by its path below the target.

    Args:
        values: What the team wants different.
        parts: Some of PARTS.
        objectives: The rules that record the team's objectives, in place of the shipped defaults.
    """
    files = {"README.md": _readme(parts)}
    rules = {f"{file.name.split('.')[0]}.rules.yml": rules_text(file, values) for file in rule_files()}
    if objectives is not None:
        rules[_OBJECTIVES] = objectives
    dashboards = {
        file.name: dashboard_text(file, values) for file in sorted(asset("deploy/grafana/dashboards").glob("*.json"))
    }
    if "prometheus" in parts:
        files |= {f"prometheus/rules/{name}": text for name, text in rules.items()}
    if "kubernetes" in parts:
        for name, text in rules.items():
            stem = f"infermeter-{name.removesuffix('.rules.yml')}".replace("_", "-")
            files[f"kubernetes/{stem}.prometheusrule.yaml"] = yaml_text(manifest(stem, text, values))
        for name, text in dashboards.items():
            stem = f"infermeter-{name.removesuffix('.json')}"
            files[f"kubernetes/{stem}.configmap.yaml"] = yaml_text(_config_map(stem, name, text, values))
    if "grafana" in parts:
        files |= {f"grafana/dashboards/{name}": text for name, text in dashboards.items()}
        files["grafana/provisioning/dashboards/infermeter.yaml"] = yaml_text(_PROVISIONING)
    if "runbooks" in parts:
        for page in sorted(asset("deploy/runbooks").glob("*.md")):
            if page.stem != "README":
                text = page.read_text(encoding="utf-8")
                files[f"runbooks/{page.name}"] = text.replace(PLACEHOLDER, values.runbooks)
        files["runbooks/README.md"] = _index(files)
    return dict(sorted(files.items()))


def _config_map(name: str, file: str, text: str, values: Values) -> dict[str, object]:
    metadata: dict[str, object] = {"name": name}
    if values.namespace:
        metadata["namespace"] = values.namespace
    # Grafana's sidecar (as in the usual charts) loads every ConfigMap with this label.
    metadata["labels"] = {"app.kubernetes.io/part-of": "infermeter", "grafana_dashboard": "1"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {file: text}}


def _readme(parts: Collection[str]) -> str:
    how = "\n".join(f"- {_HOW[part]}".replace("\n", "\n  ") for part in PARTS if part in parts)
    return (
        "# Rules, dashboards and runbooks of infermeter\n\n"
        f"Written by `infermeter rules export`, version {__version__}. Change values.yaml and export again; what is\n"
        f"edited here is overwritten.\n\n{how}\n"
    )


def _index(files: dict[str, str]) -> str:
    lines = ["# Runbooks", "", "One page per alert, named after it.", ""]
    for path, text in sorted(files.items()):
        if path.startswith("runbooks/"):
            first = re.search(r"^(?:Critical|Warning|Info|None)\..*$", text, re.MULTILINE)
            name = path.removeprefix("runbooks/").removesuffix(".md")
            lines.append(f"- [{name}]({name}.md): {first.group() if first else ''}".rstrip(": "))
    return "\n".join(lines) + "\n"
