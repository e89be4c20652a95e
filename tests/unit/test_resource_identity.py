"""Who reports: a service name, one instance id per process, the host; arguments before the environment."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from opentelemetry.sdk.resources import Resource
from tests.host_safety.scripts import environment

from infermeter.export.resource import build_resource, promoted_labels, resource_of_child


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-env")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=env-pod,team=env,service.instance.id=env-id")

    named = build_resource("mine", {"team": "ours"}).attributes
    from_environment = build_resource(None, {}).attributes

    assert (named["service.name"], named["team"], named["k8s.pod.name"]) == ("mine", "ours", "env-pod")
    assert (from_environment["service.name"], from_environment["team"]) == ("from-env", "env")
    assert from_environment["service.instance.id"] == "env-id"


def test_every_process_has_a_host_and_an_instance_id_of_its_own() -> None:
    first, second = build_resource(None, {}).attributes, build_resource(None, {}).attributes

    assert first["host.name"] == socket.gethostname()
    assert first["service.instance.id"] != second["service.instance.id"]
    assert str(first["service.name"]).startswith("unknown_service")


def test_an_instance_id_that_was_asked_for_stays() -> None:
    attributes = build_resource(None, {"service.instance.id": "mine", "host.name": "elsewhere"}).attributes

    assert (attributes["service.instance.id"], attributes["host.name"]) == ("mine", "elsewhere")


def test_a_child_is_another_instance_of_the_same_service() -> None:
    parent = build_resource("mine", {"service.instance.id": "mine", "process.pid": "1"})
    child = resource_of_child(parent)

    assert child.attributes["service.instance.id"] != "mine"
    different = {"service.instance.id", "process.pid"}
    assert {k: v for k, v in child.attributes.items() if k not in different} == {
        k: v for k, v in parent.attributes.items() if k not in different
    }


def test_workers_that_share_an_id_through_the_environment_do_not_collide() -> None:
    program = """
import multiprocessing
from infermeter.export.resource import build_resource
def worker(queue): queue.put(build_resource(None, {}).attributes["service.instance.id"])
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=worker, args=(queue,)) for _ in range(2)]
    for process in workers: process.start()
    print(len({queue.get() for _ in workers}))
    for process in workers: process.join()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment(OTEL_RESOURCE_ATTRIBUTES="service.instance.id=shared"),
    )

    assert ended.stdout == "2\n"


@pytest.mark.parametrize(
    ("attributes", "labels"),
    [
        ({}, {}),
        ({"k8s.namespace.name": "ml", "deployment.environment.name": "prod"}, {"namespace": "ml"}),
        ({"deployment.environment.name": "prod"}, {"namespace": "prod"}),
        ({"k8s.pod.name": "p", "host.name": "h"}, {"pod": "p", "host_name": "h"}),
        ({"k8s.namespace.name": "", "deployment.environment.name": "prod"}, {"namespace": "prod"}),
    ],
)
def test_the_labels_that_the_collector_would_add(attributes: dict[str, str], labels: dict[str, str]) -> None:
    assert promoted_labels(Resource(attributes)) == labels
