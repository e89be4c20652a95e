"""What the chart's accounts may do, asked of the API server with their own tokens: what they need, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.kubernetes.chart import Values, objects
from tests.kubernetes.cluster import Cluster

pytestmark = pytest.mark.kubernetes

READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
RESOURCES = (
    ("", "pods"), ("", "secrets"), ("", "configmaps"), ("", "nodes"), ("", "services"), ("", "endpoints"),
    ("", "namespaces"), ("", "serviceaccounts"), ("", "events"), ("apps", "deployments"), ("apps", "daemonsets"),
    ("rbac.authorization.k8s.io", "clusterroles"), ("rbac.authorization.k8s.io", "rolebindings"),
)  # fmt: skip
# The one rule: no wildcard, no subresource, no address that is no resource.
READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": sorted(READ)}
Allowed = set[tuple[str, str, str]]


def allowed(cluster: Cluster, account: str, namespace: str, asked_in: tuple[str, ...]) -> Allowed:
    """Return (namespace, verb, resource) of everything that an account may do, as the API server answers it."""
    token = cluster.token_of(namespace, account)
    questions: list[dict[str, Any]] = [
        {"namespace": where, "verb": verb, "group": group, "resource": resource}
        for where in asked_in
        for verb in (*READ, *WRITE)
        for group, resource in RESOURCES
    ]
    reviews = [
        {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
         "spec": {"resourceAttributes": question}}
        for question in questions
    ]  # fmt: skip
    kubeconfig = cluster.kubeconfig_of(f"{namespace}-{account}", token)
    answer = cluster.kubectl(
        "--kubeconfig", str(kubeconfig), "create", "--validate=false", "-f", "-",
        "-o", "jsonpath={.status.allowed}{\"\\n\"}",
        given={"apiVersion": "v1", "kind": "List", "items": reviews},
    )  # fmt: skip
    verdicts = answer.stdout.split()
    assert len(verdicts) == len(questions)
    return {
        (question["namespace"], question["verb"], question["resource"])
        for question, verdict in zip(questions, verdicts, strict=True)
        if verdict == "true"
    }


def rules(cluster: Cluster, account: str, namespace: str, asked_in: str) -> set[str]:
    """Return each rule that holds for an account in a namespace, as the API server answers it."""
    kubeconfig = cluster.kubeconfig_of(f"{namespace}-{account}", cluster.token_of(namespace, account))
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": asked_in},
    }  # fmt: skip
    answer = cluster.kubectl(
        "--kubeconfig", str(kubeconfig), "create", "--validate=false", "-f", "-", "-o", "json", given=review
    )
    status = json.loads(answer.stdout)["status"]
    assert not status["incomplete"]
    listed = [*status["resourceRules"], *status["nonResourceRules"]]
    return {json.dumps({key: sorted(values) for key, values in rule.items()}, sort_keys=True) for rule in listed}


def own_rules(cluster: Cluster, account: str, namespace: str, asked_in: str) -> list[Any]:
    """Return the rules that hold for an account and not for one that nothing was given to."""
    bare = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bare", "namespace": namespace}}
    cluster.apply(bare)
    everybodys = rules(cluster, "bare", namespace, asked_in)
    assert everybodys, "every account may ask what it may do"
    return [json.loads(rule) for rule in sorted(rules(cluster, account, namespace, asked_in) - everybodys)]


def accounts(cluster: Cluster, namespace: str, values: Values) -> set[str]:
    """Apply the accounts and permissions of a release; returns the accounts' names."""
    cluster.namespace(namespace)
    kinds = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    listed = [one for one in objects(values, namespace=namespace) if one["kind"] in kinds]
    cluster.apply(*listed)
    return {one["metadata"]["name"] for one in listed if one["kind"] == "ServiceAccount"}


def test_prometheus_may_read_pods_everywhere_and_nothing_else(cluster):
    accounts(cluster, "open", {})
    everywhere = ("open", "shop", "")
    may = allowed(cluster, "infermeter-prometheus", "open", everywhere)
    assert may == {(where, verb, "pods") for where in everywhere for verb in READ}
    assert own_rules(cluster, "infermeter-prometheus", "open", "open") == [READ_PODS]


def test_with_a_list_of_namespaces_it_may_read_the_pods_of_these_only(cluster):
    for name in ("shop", "payroll"):
        cluster.namespace(name)
    accounts(cluster, "narrow", {"modelServing": {"namespaces": ["shop"]}})
    may = allowed(cluster, "infermeter-prometheus", "narrow", ("narrow", "shop", "payroll", ""))
    assert may == {(where, verb, "pods") for where in ("narrow", "shop") for verb in READ}
    given = {where: own_rules(cluster, "infermeter-prometheus", "narrow", where) for where in ("shop", "payroll")}
    assert given == {"shop": [READ_PODS], "payroll": []}


@pytest.mark.parametrize("source", ["dcgm", "agent"])
def test_no_other_part_may_do_anything(cluster, source):
    names = accounts(cluster, f"others-{source}", {"gpu": {"source": source}})
    assert len(names) == 4
    for name in names - {"infermeter-prometheus"}:
        assert allowed(cluster, name, f"others-{source}", (f"others-{source}", "")) == set(), name
        assert own_rules(cluster, name, f"others-{source}", f"others-{source}") == [], name


def test_only_prometheus_gets_a_token_into_its_pod():
    values = {"example": {"ways": ["push", "scrape"]}}
    tokens = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["automountServiceAccountToken"]
        for one in objects(values)
        if "template" in one.get("spec", {})
    }
    assert [name for name, mounted in tokens.items() if mounted] == ["infermeter-prometheus"]
    assert len(tokens) == 6


def test_pods_see_no_secret_but_their_own():
    for mode, own in (("token", "infermeter-otlp-token"), ("mtls", "infermeter-otlp-tls")):
        listed = objects({"collector": {"auth": {"mode": mode}}})
        seen = {
            one["metadata"]["name"]: {
                volume["secret"]["secretName"]
                for volume in one["spec"]["template"]["spec"].get("volumes", [])
                if "secret" in volume
            }
            for one in listed
            if "template" in one.get("spec", {})
        }
        assert {name: secrets for name, secrets in seen.items() if secrets} == {
            "infermeter-collector": {own},
            "infermeter-alertmanager": {"infermeter-alertmanager"},
        }
