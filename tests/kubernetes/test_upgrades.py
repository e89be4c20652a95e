"""What a release can become, and what an upgrade refuses before it breaks something."""

from __future__ import annotations

from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest
from tests.kubernetes.chart import CHART, Values, run_helm
from tests.kubernetes.cluster import Cluster

pytestmark = pytest.mark.kubernetes

NAMESPACE = "upgrades"
VALUES: Values = {
    "collector": {"auth": {"mode": "none"}}, "dashboards": {"enabled": False},
    "prometheus": {"storage": "1024Gi"}, "alertmanager": {"storage": "1024Mi"},  # kept as 1Ti and 1Gi
}  # fmt: skip


@pytest.fixture(scope="module")
def installed(whole_cluster: Cluster) -> Iterator[Cluster]:
    """A release of its first revision, in a cluster whose controllers do what a deletion asks for."""
    whole_cluster.kubectl("create", "namespace", NAMESPACE)
    answer = helm(whole_cluster, "install", VALUES)
    assert answer.returncode == 0, answer.stderr
    yield whole_cluster
    run_helm("uninstall", "infermeter", "-n", NAMESPACE, env=whole_cluster.environment)
    whole_cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def helm(cluster: Cluster, command: str, values: Values) -> CompletedProcess[str]:
    return run_helm(command, "infermeter", CHART, "-n", NAMESPACE, values=values, env=cluster.environment)


def rules_mounted(cluster: Cluster) -> dict[str, str]:
    spec = cluster.get("statefulset", "infermeter-prometheus", "-n", NAMESPACE)["spec"]["template"]["spec"]
    (name,) = [one["configMap"]["name"] for one in spec["volumes"] if one["name"] == "rules"]
    data: dict[str, str] = cluster.get("configmap", name, "-n", NAMESPACE)["data"]
    return data


def test_rules_of_the_team_take_the_place_of_the_shipped_ones_and_stay_when_these_come_back(installed):
    own = {"own.rules.yml": "groups: []\n"}
    metadata = {"name": "infermeter-own-rules", "namespace": NAMESPACE}
    installed.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": own})
    shipped = rules_mounted(installed)
    upgraded = helm(installed, "upgrade", {**VALUES, "rules": {"create": False}})
    assert upgraded.returncode == 0, upgraded.stderr
    assert rules_mounted(installed) == own
    back = run_helm("rollback", "infermeter", "1", "-n", NAMESPACE, env=installed.environment)
    assert back.returncode == 0, back.stderr
    assert rules_mounted(installed) == shipped
    assert installed.get("configmap", "infermeter-own-rules", "-n", NAMESPACE)["data"] == own


@pytest.mark.parametrize("part", ["prometheus", "alertmanager"])
def test_another_size_of_a_volume_is_refused_with_what_to_do(installed, part):
    refused = helm(installed, "upgrade", {**VALUES, part: {"storage": "70Gi"}})
    assert refused.returncode != 0
    assert f"{part}.storage" in refused.stderr
    assert f"kubectl --namespace {NAMESPACE} delete statefulset infermeter-{part} --cascade=orphan" in refused.stderr
    history = run_helm("history", "infermeter", "-n", NAMESPACE, env=installed.environment)
    assert "failed" not in history.stdout


def test_after_what_it_says_is_done_size_and_class_change(installed):
    for part in ("prometheus", "alertmanager"):
        installed.kubectl("delete", "statefulset", f"infermeter-{part}", "--cascade=orphan", "-n", NAMESPACE)
    changed = {"prometheus": {"storageClassName": "fast", "storage": "70Gi"}}
    upgraded = helm(installed, "upgrade", {**VALUES, **changed})
    assert upgraded.returncode == 0, upgraded.stderr
    claim = installed.get("statefulset", "infermeter-prometheus", "-n", NAMESPACE)["spec"]["volumeClaimTemplates"][0]
    assert claim["spec"]["storageClassName"] == "fast"
