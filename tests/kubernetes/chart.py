"""The chart as helm renders it: values in, objects out. Knows no cluster."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tests.kubernetes.tools import tool

from infermeter.assets import asset

CHART = asset("deploy/kubernetes/chart")
NAMESPACE = "monitoring"
RELEASE = "infermeter"

Values = dict[str, Any]
Object = dict[str, Any]


def run_helm(*arguments: str | Path, values: Values | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run helm and return what it said; values go to it as a file."""
    command = [str(tool("helm")), *map(str, arguments)]
    if values is not None:
        command += ["--values", "-"]
    ran = subprocess.run(
        command, input=yaml.safe_dump(values) if values is not None else None,
        capture_output=True, text=True, check=False, timeout=120, **options,
    )  # fmt: skip
    # What lies elsewhere in the checkout is there as a link, which helm reports each time.
    ran.stderr = "".join(line for line in ran.stderr.splitlines(keepends=True) if "found symbolic link" not in line)
    return ran


def rendered(values: Values | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
    """Return the chart's manifests as text; fails where helm does."""
    return _rendered(json.dumps(values or {}, sort_keys=True), release, namespace)


@cache
def _rendered(values: str, release: str, namespace: str) -> str:
    ran = run_helm("template", release, CHART, "--namespace", namespace, values=json.loads(values))
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def objects(values: Values | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE) -> list[Object]:
    """Return the chart's manifests."""
    text = rendered(values, release=release, namespace=namespace)
    return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]


def documents(values: Values | None = None) -> list[str]:
    """Return the text of each of the chart's manifests."""
    parts = rendered(values).removeprefix("---\n").split("\n---\n")
    return [part for part in parts if any(line and not line.startswith("#") for line in part.splitlines())]


def find(listed: list[Object], kind: str, name: str) -> Object:
    """Return the one object of that kind and name."""
    (found,) = [one for one in listed if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def title(one: Object) -> str:
    """Return what an object is called in messages."""
    return f"{one['kind']} {one['metadata'].get('namespace', '')}/{one['metadata']['name']}"
