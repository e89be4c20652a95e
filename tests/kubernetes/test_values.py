"""Which values the chart takes, which it refuses and how; that each is explained and known to the schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from tests.kubernetes.chart import CHART, Values, objects, run_helm

pytestmark = pytest.mark.kubernetes

# A wrong value, and what the refusal has to name: the value's place, and what is allowed or was found.
REFUSED: dict[str, tuple[Values, tuple[str, ...]]] = {
    "an unknown switch": ({"colector": {"enabled": False}}, ("colector",)),
    "an unknown switch inside": ({"collector": {"replicas": 3}}, ("collector", "replicas")),
    "a kind that there is not": ({"collector": {"kind": "DaemonSet"}}, ("collector/kind", "'StatefulSet'")),
    "an unknown authentication": ({"collector": {"auth": {"mode": "basic"}}}, ("collector/auth/mode", "'mtls'")),
    "a limit with a unit": ({"collector": {"memoryLimitMiB": "1Gi"}}, ("collector/memoryLimitMiB", "integer")),
    "a limit too small": ({"collector": {"memoryLimitMiB": 8}}, ("collector/memoryLimitMiB", "64")),
    "an unknown source of GPUs": ({"gpu": {"source": "rocm"}}, ("gpu/source", "'dcgm'")),
    "a yes in quotes": ({"gpu": {"dcgm": {"privileged": "yes"}}}, ("gpu/dcgm/privileged", "boolean")),
    "an image without a version": (
        {"prometheus": {"image": {"tag": "latest"}}}, ("prometheus/image/tag", "not"),
    ),
    "a retention without a unit": ({"prometheus": {"retention": "35"}}, ("prometheus/retention", "35")),
    "an unknown way of the example": ({"example": {"ways": ["pull"]}}, ("example/ways/0", "'scrape'")),
    "an address with a path": ({"kubeStateMetrics": {"address": "http://x:80/"}}, ("kubeStateMetrics/address",)),
    "runbooks that are no address": ({"runbooks": "wiki"}, ("runbooks", "wiki")),
    "a namespace in capitals": ({"modelServing": {"namespaces": ["Shop"]}}, ("modelServing/namespaces/0", "Shop")),
    "senders that are labels instead of a selector": (
        {"collector": {"networkPolicy": {"senders": [{"kubernetes.io/metadata.name": "shop"}]}}},
        ("networkPolicy/senders/0", "kubernetes/io/metadata/name"),
    ),
    "senders whose selector selects everybody": (
        {"collector": {"networkPolicy": {"senders": [{"matchLabels": {}}]}}}, ("networkPolicy/senders/0/matchLabels",),
    ),
    "senders of no value": (
        {"collector": {"networkPolicy": {"senders": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}}},
        ("senders/0/matchExpressions/0", "values"),
    ),
    "an address block that is none": (
        {"collector": {"networkPolicy": {"scrapers": [{"ipBlock": {"cidr": "10.0.0.0/99"}}]}}}, ("ipBlock/cidr",),
    ),
    "an image with two versions": (
        {"collector": {"image": {"repository": "registry.example.org/ml/infermeter-collector:0.159.0"}}},
        ("collector/image/repository",),
    ),
    "an address with a quote": ({"kubeStateMetrics": {"address": 'a"b:80'}}, ("kubeStateMetrics/address",)),
    "a scraper that is nobody": ({"collector": {"networkPolicy": {"scrapers": [{}]}}}, ("networkPolicy/scrapers/0",)),
    "a switch taken away": ({"collector": {"networkPolicy": None}}, ("collector", "networkPolicy")),
    "a toleration of everything and of a value": (
        {"gpu": {"tolerations": [{"key": "gpu", "operator": "Exists", "value": "x"}]}}, ("gpu/tolerations/0/value",),
    ),
    "a toleration that is over at once": (
        {"gpu": {"tolerations": [{"key": "gpu", "effect": "NoSchedule", "tolerationSeconds": 3}]}},
        ("gpu/tolerations/0/effect", "NoExecute"),
    ),
    "a label with a space": ({"collector": {"nodeSelector": {"a b": "x"}}}, ("collector/nodeSelector", "a b")),
    "a label that is the chart's own": (
        {"prometheus": {"operatorLabels": {"app.kubernetes.io/part-of": "x"}}},
        ("prometheus/operatorLabels", "part-of"),
    ),
    "runbooks that would end a text": ({"runbooks": 'https://wiki.example/a="b"'}, ("runbooks", "wiki/example")),
    "a Secret that is the chart's own": (
        {"alertmanager": {"configSecret": "infermeter-alertmanager"}}, ("alertmanager/configSecret", "another name"),
    ),
    "rules in a ConfigMap that is the chart's own": (
        {"rules": {"create": False, "configMap": "infermeter-prometheus-rules"}}, ("rules/configMap", "another name"),
    ),
    "an example that pushes to nobody": (
        {"example": {"ways": ["push"]}, "collector": {"enabled": False}}, ("example/ways", "collector/enabled"),
    ),
}  # fmt: skip

TAKEN: dict[str, Values] = {
    "an image by digest": {"prometheus": {"image": {"tag": f"v3.14.0@sha256:{'0a' * 32}"}}},
    "processors as a number": {"collector": {"cpuRequest": 0.5}, "prometheus": {"cpuRequest": 2}},
    "every kind of peer": {"collector": {"networkPolicy": {"scrapers": [
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
        {"ipBlock": {"cidr": "2001:DB8::/32"}},
        {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["ml"]}]}},
    ]}}},
    "every kind of toleration": {"gpu": {"tolerations": [
        {"operator": "Exists"}, {"key": "gpu", "value": "x"},
        {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3},
    ]}},
    "a registry with a port": {"collector": {"image": {"repository": "localhost:5000/ml/infermeter_collector"}}},
    "no default for what need not be": {
        "collector": {"nodeSelector": None, "tolerations": None, "auth": {"secretName": None},
                      "networkPolicy": {"senders": None}},
        "gpu": {"tolerations": None, "nodeSelector": None, "runtimeClassName": None}, "imagePullSecrets": None,
        "prometheus": {"storageClassName": None, "operatorLabels": None}, "rules": {"configMap": None},
        "alertmanager": {"configSecret": None, "addresses": None}, "example": {"ways": None},
        "modelServing": {"namespaces": None, "node": None}, "dashboards": {"labels": None, "annotations": None},
    },
    "Alertmanagers elsewhere": {"alertmanager": {"mode": "none", "addresses": ["alerts.ops:9093", "[fd00::1]:9093"]}},
}  # fmt: skip


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_wrong_value_is_refused_by_its_name(wrong):
    values, named = REFUSED[wrong]
    refused = run_helm("template", "infermeter", CHART, values=values)
    assert refused.returncode != 0
    message = refused.stderr.replace(".", "/")
    assert [word for word in named if word not in message] == [], refused.stderr


@pytest.mark.parametrize("right", TAKEN)
def test_a_right_value_is_taken(right):
    assert objects(TAKEN[right]) != objects()


def test_a_chart_that_this_one_is_part_of_may_switch_it_and_have_values_for_all_its_parts():
    assert objects({"enabled": True, "global": {"registry": "registry.example.org"}}) == objects()


def test_every_value_is_explained_and_known_to_the_schema():
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    unknown = _unknown(yaml.safe_load(text), schema, schema)
    assert unknown == []


def _unknown(values: Any, schema: Any, root: Any, path: str = "") -> list[str]:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].split("/")[-1]]
    if not isinstance(values, dict) or "properties" not in schema or "patternProperties" in schema:
        return []
    assert schema["additionalProperties"] is False, path
    missing = sorted(schema["properties"].keys() - values.keys() - {"global", "enabled"})
    found = [f"{path}/{name} has no default" for name in missing]
    for name, value in values.items():
        found += _unknown(value, schema["properties"][name], root, f"{path}/{name}")
    return found
