"""A real API server takes what the chart makes: every object of every combination, no unknown field, no warning."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.kubernetes.chart import CHART, Values, documents, objects, run_helm, title
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.combinations import combinations

pytestmark = pytest.mark.kubernetes

STRICT = ("--server-side", "--validate=strict", "--force-conflicts", "-f", "-")
INSTALLED: dict[str, Values] = {
    "defaults": {},
    "own-agent": {"gpu": {"source": "agent"}, "collector": {"kind": "StatefulSet"}, "example": {"ways": ["push"]}},
    "mtls": {"collector": {"auth": {"mode": "mtls"}}, "example": {"ways": ["push", "scrape"]}},
    "operator": {"prometheus": {"mode": "operator"}, "alertmanager": {"mode": "operator"}},
    "only-collector": {
        "collector": {"auth": {"mode": "none"}}, "gpu": {"source": "none"}, "prometheus": {"mode": "none"},
        "alertmanager": {"mode": "none"}, "dashboards": {"enabled": False},
    },
}  # fmt: skip


def secret(namespace: str, name: str, *keys: str) -> dict[str, object]:
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
        "stringData": dict.fromkeys(keys, "x"),
    }  # fmt: skip


@pytest.fixture
def namespaces(cluster: Cluster) -> Cluster:
    """The namespaces that the combinations name."""
    for name in ("monitoring", "shop"):
        cluster.namespace(name)
    return cluster


def distinct_documents() -> list[str]:
    """Return each object of all combinations once, rendered by as many processes as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        texts = workers.map(documents, combinations())
    return list(dict.fromkeys(document for text in texts for document in text))


def test_every_object_of_every_combination_is_accepted_without_a_warning(namespaces):
    documents = distinct_documents()
    assert len(documents) > 100
    applied = namespaces.kubectl("apply", "--dry-run=server", *STRICT, given="\n---\n".join(documents))
    assert applied.stderr == ""
    assert len(applied.stdout.splitlines()) == len(documents)


def test_a_field_that_kubernetes_does_not_know_is_refused(namespaces):
    daemon_set = next(one for one in objects() if one["kind"] == "DaemonSet")
    daemon_set["spec"]["template"]["spec"]["nodeSelektor"] = {}
    refused = namespaces.kubectl("apply", "--dry-run=server", *STRICT, given=daemon_set, may_fail=True)
    assert refused.returncode != 0
    assert "nodeSelektor" in refused.stderr


@pytest.mark.parametrize("name", INSTALLED)
def test_helm_installs_it_and_takes_all_of_it_away_again(cluster, name):
    cluster.namespace(name)
    cluster.apply(
        secret(name, f"{name}-infermeter-otlp-token", "token"),
        secret(name, f"{name}-infermeter-otlp-tls", "tls.crt", "tls.key", "ca.crt"),
        secret(name, "infermeter-example-tls", "tls.crt", "tls.key", "ca.crt"),
    )
    values = INSTALLED[name]
    installed = run_helm("install", name, CHART, "--namespace", name, values=values, env=cluster.environment)
    assert installed.returncode == 0, installed.stderr
    assert installed.stderr == ""
    expected = {title(one) for one in objects(values, release=name, namespace=name)}
    kinds = ",".join(sorted({one["kind"] for one in objects(values, release=name, namespace=name)}))
    selector = f"app.kubernetes.io/instance={name}"
    assert {title(one) for one in cluster.items(kinds, "-A", "-l", selector)} == expected
    removed = run_helm("uninstall", name, "--namespace", name, env=cluster.environment)
    assert removed.returncode == 0, removed.stderr
    assert cluster.items(kinds, "-A", "-l", selector) == []


def test_two_releases_live_in_one_namespace_and_go_one_by_one(cluster):
    cluster.namespace("two")
    values = {"collector": {"auth": {"mode": "none"}}}

    def present(release: str) -> int:
        selector = f"app.kubernetes.io/instance={release}"
        return len(cluster.items("all,configmap,clusterrole,networkpolicy", "-A", "-l", selector))

    for release in ("blue", "green"):
        installed = run_helm("install", release, CHART, "-n", "two", values=values, env=cluster.environment)
        assert installed.returncode == 0, installed.stderr
    both = present("green")
    assert present("blue") == both > 10
    for gone, left in (("blue", both), ("green", 0)):
        removed = run_helm("uninstall", gone, "-n", "two", env=cluster.environment)
        assert removed.returncode == 0, removed.stderr
        assert (present("blue"), present("green")) == (0, left)


def test_the_parts_without_hardware_satisfy_the_most_restricted_pod_security(cluster):
    cluster.namespace("restricted", **{"pod-security.kubernetes.io/enforce": "restricted",
                                       "pod-security.kubernetes.io/warn": "restricted"})  # fmt: skip
    values = {"gpu": {"source": "none"}, "example": {"ways": ["push", "scrape"]}}
    listed = objects(values, namespace="restricted")
    pods = [
        {
            "apiVersion": "v1", "kind": "Pod", "spec": one["spec"]["template"]["spec"],
            "metadata": {"namespace": "restricted", "name": one["metadata"]["name"],
                         "labels": one["spec"]["template"]["metadata"]["labels"]},
        }
        for one in listed
        if "template" in one.get("spec", {})
    ]  # fmt: skip
    assert len(pods) == 5
    for pod in pods:  # no controller makes the volumes of claims here
        pod["spec"]["volumes"] = [*pod["spec"].get("volumes", []), {"name": "data", "emptyDir": {}}]
    accounts = [one for one in listed if one["kind"] == "ServiceAccount"]
    cluster.apply(*accounts)
    everything = {"apiVersion": "v1", "kind": "List", "items": pods}
    applied = cluster.kubectl("apply", "--dry-run=server", *STRICT, given=everything)
    assert applied.stderr == ""


class TestPreflight:
    """What is missing is said before anything is installed."""

    def refused(self, cluster: Cluster, namespace: str, values: Values, **labels: str) -> str:
        cluster.namespace(namespace, **labels)
        answer = run_helm(
            "install", "infermeter", CHART, "--namespace", namespace, values=values, env=cluster.environment
        )
        assert answer.returncode != 0
        assert cluster.items("all", "-n", namespace) == [], "half of it was installed"
        return answer.stderr

    def test_a_missing_secret(self, cluster):
        message = self.refused(cluster, "no-secret", {})
        assert "needs the Secret infermeter-otlp-token with the key token" in message
        assert "namespace no-secret" in message

    def test_a_secret_without_the_key(self, cluster):
        cluster.namespace("no-key")
        cluster.apply(secret("no-key", "tls", "tls.crt", "tls.key"))
        values = {"collector": {"auth": {"mode": "mtls", "secretName": "tls"}}}
        assert "Secret tls in namespace no-key lacks the key ca.crt" in self.refused(cluster, "no-key", values)

    def test_rules_of_the_team_that_are_not_there(self, cluster):
        values = {"collector": {"auth": {"mode": "none"}}, "rules": {"create": False}}
        assert "no ConfigMap infermeter-own-rules" in self.refused(cluster, "no-rules", values)

    def test_a_namespace_in_which_exporters_of_gpus_may_not_run(self, cluster):
        values: Values = {"collector": {"auth": {"mode": "none"}}}
        message = self.refused(cluster, "walled", values, **{"pod-security.kubernetes.io/enforce": "baseline"})
        assert "namespace walled enforces the pod security standard baseline" in message
        assert "gpu.source is dcgm" in message
        modest: Values = {"source": "agent", "agent": {"pods": False}}
        restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
        assert "standard restricted" in self.refused(cluster, "locked", {**values, "gpu": modest}, **restricted)
        for allowed in ({"source": "none"}, modest):
            answer = run_helm(
                "install", "infermeter", CHART, "-n", "walled", "--dry-run=server", values={**values, "gpu": allowed},
                env=cluster.environment,
            )  # fmt: skip
            assert answer.returncode == 0, answer.stderr

    def test_a_namespace_that_is_not_there(self, cluster):
        values = {"collector": {"auth": {"mode": "none"}}, "modelServing": {"namespaces": ["shopp"]}}
        assert "no such Namespace" in self.refused(cluster, "no-namespace", values)

    def test_missing_resources_of_the_operator(self, whole_cluster):
        values = {"collector": {"auth": {"mode": "none"}}, "prometheus": {"mode": "operator"}}
        message = self.refused(whole_cluster, "no-crd", values)
        assert "no CRD servicemonitors.monitoring.coreos.com" in message
