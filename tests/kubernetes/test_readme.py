"""Every command of the page for platform engineers works as it stands there, in the order of the page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.kubernetes.chart import find, objects
from tests.kubernetes.cluster import Cluster, control_plane, controllers
from tests.kubernetes.nodes import add_nodes, add_volumes

from infermeter.assets import asset

pytestmark = pytest.mark.kubernetes

README = asset("deploy/kubernetes/README.md").read_text(encoding="utf-8")
# It goes on until Ctrl-C, and a simulated node has nothing to forward to.
FORWARD = "kubectl --namespace monitoring port-forward service/infermeter-prometheus 9090"


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def fresh_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of its own: the page makes cluster-wide objects."""
    with control_plane(tmp_path_factory.mktemp("readme")) as running, controllers(running):
        add_nodes(running)
        add_volumes(running, 8)
        yield running


def test_each_command_works(fresh_cluster, tmp_path):
    shutil.copytree(asset("deploy/kubernetes/chart"), tmp_path / "deploy/kubernetes/chart")
    for folder in ("manifests", "overlay"):
        shutil.copytree(asset(f"deploy/kubernetes/{folder}"), tmp_path / f"deploy/kubernetes/{folder}")
    env = dict(fresh_cluster.environment)
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    ran = 0
    for command in commands():
        if command == FORWARD:
            continue
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=200
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert "Warning" not in done.stderr, f"{command}\n{done.stderr}"
        ran += 1
    assert ran == len(commands()) - 1 >= 15


def test_the_port_that_is_forwarded_is_one_of_the_service():
    assert FORWARD in commands()
    service = find(objects(), "Service", "infermeter-prometheus")
    assert [port["port"] for port in service["spec"]["ports"]] == [9090]


def test_the_environment_shown_is_the_examples_own():
    shown = yaml.safe_load(next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)))
    example = find(objects({"example": {"ways": ["push"]}}), "Deployment", "infermeter-example-push")
    (container,) = example["spec"]["template"]["spec"]["containers"]
    assert shown == [one for one in container["env"] if one["name"] != "OTEL_SERVICE_NAME"]


def test_the_annotations_shown_are_the_examples_own():
    shown = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[1])
    example = find(objects({"example": {"ways": ["scrape"]}}), "Deployment", "infermeter-example-scrape")
    pod = example["spec"]["template"]["metadata"]
    assert pod["annotations"] == shown["annotations"]
    assert pod["labels"]["app"] == "model-serving"


def test_every_file_the_page_links_to_is_there():
    folder = asset("deploy/kubernetes/README.md").parent
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert [link for link in links if not (folder / link).exists()] == []
