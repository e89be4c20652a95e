"""The chart without a cluster: linted, known to the schemas, equal to the plain manifests, apart from its sisters."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.kubernetes.chart import CHART, NAMESPACE, Values, documents, find, objects, run_helm, title
from tests.kubernetes.combinations import combinations
from tests.kubernetes.render import MANIFESTS, manifests
from tests.kubernetes.tools import KUBERNETES_VERSION, operator_crds, tool

from infermeter.cli.rollout.files import exported_files
from infermeter.cli.rollout.values import Values as ExportValues

pytestmark = pytest.mark.kubernetes


def test_helm_finds_nothing_to_say_about_the_chart():
    linted = run_helm("lint", "--strict", CHART, "--namespace", NAMESPACE)
    assert linted.returncode == 0, linted.stdout
    assert "0 chart(s) failed" in linted.stdout


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kubernetes' own schemas, and those of the operator's resources, as kubeconform looks for them."""
    folder = tmp_path_factory.mktemp("schemas")
    version = f"v{KUBERNETES_VERSION.rsplit('.', 1)[0]}.0-local-strict"
    packaged = files("kubernetes_validate").joinpath("kubernetes-json-schema").joinpath(version)
    definitions = json.loads(packaged.joinpath("_definitions.json").read_text(encoding="utf-8"))["$defs"]
    heads = {document: _head(document) for values in combinations() for document in documents(values)}
    for version, name in set(heads.values()):
        group = version.split("/")[0].split(".")[0] if "/" in version else ""
        suffix = "-".join(filter(None, [group, version.split("/")[-1]]))
        ending = ".".join(["io.k8s.api", group or "core", version.split("/")[-1], name])
        if ending in definitions:
            schema = {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "$ref": f"#/$defs/{ending}",
                "$defs": definitions,
            }
            (folder / f"{name.lower()}-{suffix}.json").write_text(json.dumps(schema), encoding="utf-8")
    for file in operator_crds():
        crd = yaml.load(file.read_text(encoding="utf-8"), Loader=_AnyScalar)["spec"]
        group = crd["group"].split(".")[0]
        for served in crd["versions"]:
            path = folder / f"{crd['names']['kind'].lower()}-{group}-{served['name']}.json"
            path.write_text(json.dumps(_closed(served["schema"]["openAPIV3Schema"])), encoding="utf-8")
    return folder


def _head(document: str) -> tuple[str, str]:
    version = re.search(r"^apiVersion: (.*)$", document, re.MULTILINE)
    kind = re.search(r"^kind: (.*)$", document, re.MULTILINE)
    assert version
    assert kind
    return version.group(1), kind.group(1)


class _AnyScalar(yaml.CSafeLoader):
    """Reads an unquoted = as a text, which YAML 1.1 has a type for and nobody a use."""


_AnyScalar.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


def _closed(schema: Any) -> Any:
    """Refuse properties that a schema does not name, as the API server does."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        named = schema["properties"].keys()
        if not named <= {"apiVersion", "kind", "metadata"}:
            closed["additionalProperties"] = False
    return closed


def test_kubeconform_knows_every_object_of_every_combination(schemas, tmp_path):
    texts = {text for values in combinations() for text in documents(values)}
    for number, text in enumerate(sorted(texts)):
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
    checked = subprocess.run(
        [str(tool("kubeconform")), "-strict", "-summary", "-n", "2", "-output", "json",
         "-schema-location", f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    told = json.loads(checked.stdout)
    wrong = [f"{one['kind']} {one['name']}: {one['msg']}" for one in told.get("resources", [])]
    assert wrong == []
    assert told["summary"]["valid"] >= 100


def test_kubeconform_notices_a_mistyped_field(schemas, tmp_path):
    for kind, mistyped in (("Deployment", "nodeSelektor"), ("PodMonitor", "podMetricEndpoints")):
        values = {"prometheus": {"mode": "operator"}}
        one = next(one for one in objects(values) if one["kind"] == kind)
        place = one["spec"]["template"]["spec"] if kind == "Deployment" else one["spec"]
        place[mistyped] = {}
        checked = subprocess.run(
            [str(tool("kubeconform")), "-strict", "-schema-location",
             f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", "-"],
            input=yaml.safe_dump(one), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert checked.returncode == 1
        assert mistyped in checked.stdout


def test_the_plain_manifests_are_the_rendered_chart():
    there = {file.name: file.read_text(encoding="utf-8") for file in MANIFESTS.iterdir()}
    assert there == manifests(), "run: make kubernetes"


def test_rules_and_dashboards_are_those_of_an_export():
    exported = exported_files(ExportValues(runbooks="https://git.example.org/ml"))
    values = {"runbooks": "https://git.example.org/ml"}
    served, operated = objects(values), objects({**values, "prometheus": {"mode": "operator"}})
    (rules,) = [one["data"] for one in served if one["metadata"]["name"] == "infermeter-prometheus-rules"]
    prefix = "prometheus/rules/"
    expected = {path.removeprefix(prefix): text for path, text in exported.items() if path.startswith(prefix)}
    assert {name: text.rstrip() for name, text in rules.items()} == {n: text.rstrip() for n, text in expected.items()}
    manifests_of_export = [yaml.safe_load(text) for path, text in exported.items() if path.startswith("kubernetes/")]
    for kind, part in (("PrometheusRule", "spec"), ("ConfigMap", "data")):
        of_chart = {one["metadata"]["name"]: one[part] for one in operated if one["kind"] == kind}
        of_export = {one["metadata"]["name"]: one[part] for one in manifests_of_export if one["kind"] == kind}
        if kind == "ConfigMap":
            of_chart, of_export = _parsed(of_chart), _parsed(of_export)
        assert of_chart == of_export


def _parsed(config_maps: dict[str, dict[str, str]]) -> dict[str, dict[str, Any]]:
    return {name: {file: json.loads(text) for file, text in data.items()} for name, data in config_maps.items()}


@pytest.mark.parametrize(
    ("first", "second", "values"),
    [
        (("blue", NAMESPACE), ("green", NAMESPACE), {}),
        (("blue", NAMESPACE), ("blue", "elsewhere"), {}),
        (("blue", NAMESPACE), ("blue-infermeter", NAMESPACE), {}),
        (("gpu", "monitoring"), ("infermeter", "monitoring-gpu"), {}),
        (("infermeter", "team-a"), ("infermeter", "team-b"), {"modelServing": {"namespaces": ["shop"]}}),
        (("recommendations-production-eu-1", NAMESPACE), ("recommendations-production-eu-2", NAMESPACE), {}),
    ],
)
def test_two_releases_share_no_name(first, second, values):
    of_first, of_second = (
        _identities(objects(values, release=release, namespace=namespace)) for release, namespace in (first, second)
    )
    assert of_first & of_second == set()


def _identities(listed: list[dict[str, Any]]) -> set[tuple[str, str | None, str]]:
    return {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in listed}


def test_names_that_yaml_takes_for_something_else_stay_names():
    values: Values = {
        "imagePullSecrets": ["1"], "gpu": {"runtimeClassName": "2"}, "prometheus": {"storageClassName": "3"},
        "collector": {"auth": {"secretName": "4"}}, "alertmanager": {"configSecret": "5"},
        "modelServing": {"namespaces": ["6"]}, "example": {"ways": ["push"]},
    }  # fmt: skip
    for one in objects(values, release="on", namespace="no"):
        assert one["metadata"].get("namespace") in {"no", "6"}, title(one)
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "on", title(one)
        _no_number_is_a_name(one, title(one))


def _no_number_is_a_name(value: Any, path: str) -> None:
    for name, inner in value.items() if isinstance(value, dict) else ():
        if name.endswith(("name", "Name", "namespace")):
            assert isinstance(inner, str), f"{path}.{name}"
        _no_number_is_a_name(inner, f"{path}.{name}")
    for number, inner in enumerate(value) if isinstance(value, list) else ():
        _no_number_is_a_name(inner, f"{path}[{number}]")


def test_large_numbers_stay_whole_numbers():
    million = {"memoryLimitMiB": 1_000_000, "memoryRequestMiB": 1_000_000}
    values = {
        "modelServing": {"sampleLimit": 3_000_000}, "collector": million, "prometheus": million,
        "gpu": {"memoryLimitMiB": 1_000_000},
    }  # fmt: skip
    listed = objects(values)
    config = find(listed, "ConfigMap", "infermeter-prometheus")["data"]["prometheus.yml"]
    assert "sample_limit: 3000000\n" in config
    for kind, name in (
        ("Deployment", "collector"), ("StatefulSet", "prometheus"), ("DaemonSet", "dcgm-exporter"),
    ):  # fmt: skip
        (container,) = find(listed, kind, f"infermeter-{name}")["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["memory"] == "1000000Mi"
    values["prometheus"] = {"mode": "operator"}
    monitor = find(objects(values), "PodMonitor", "infermeter-model-serving")
    assert monitor["spec"]["sampleLimit"] == 3_000_000


def test_no_container_asks_for_more_memory_than_it_may_have():
    values = {"collector": {"memoryLimitMiB": 128}, "prometheus": {"memoryLimitMiB": 1024}}
    for source in ("dcgm", "agent"):
        listed = objects({**values, "gpu": {"source": source, "memoryLimitMiB": 64}})
        asked = {
            one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["resources"]
            for one in listed
            if "template" in one.get("spec", {})
        }
        told = {name: (one["requests"]["memory"], one["limits"]["memory"]) for name, one in asked.items()}
        gpu = "infermeter-dcgm-exporter" if source == "dcgm" else "infermeter-gpu-agent"
        assert told == {
            "infermeter-collector": ("128Mi", "128Mi"), "infermeter-prometheus": ("1024Mi", "1024Mi"),
            "infermeter-alertmanager": ("64Mi", "256Mi"), gpu: ("64Mi", "64Mi"),
        }  # fmt: skip


def test_a_selector_of_gpu_nodes_takes_the_place_of_the_default():
    own = {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    for given, expected in (({}, {"nvidia.com/gpu.present": "true"}), (own, own)):
        exporter = find(objects({"gpu": {"nodeSelector": given}}), "DaemonSet", "infermeter-dcgm-exporter")
        assert exporter["spec"]["template"]["spec"]["nodeSelector"] == expected


def test_prometheus_tells_the_alertmanagers_that_are_there():
    for given, expected in (
        ({}, ["infermeter-alertmanager:9093"]), ({"mode": "none", "addresses": ["a:9093"]}, ["a:9093"]),
        ({"mode": "operator"}, None),
    ):  # fmt: skip
        text = find(objects({"alertmanager": given}), "ConfigMap", "infermeter-prometheus")["data"]["prometheus.yml"]
        config = yaml.safe_load(text)
        told = config["alerting"]["alertmanagers"][0]["static_configs"][0] if "alerting" in config else {}
        assert told.get("targets") == expected


def test_names_of_releases_that_are_long_or_hold_dots_become_names_of_services_and_stay_apart():
    releases = ["my.release", "my-release", *(f"{'a' * 51}{end}" for end in "xy")]  # helm allows 53 characters
    names = [{one["metadata"]["name"] for one in objects(release=r) if one["kind"] == "Service"} for r in releases]
    assert len(set().union(*names)) == sum(map(len, names))
    valid = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
    for name in set().union(*names):
        assert valid.fullmatch(name), name
        assert len(name) <= 52, "a StatefulSet of that name labels its pods with it and a checksum"


@pytest.mark.parametrize("release", ["blue", "green"])
def test_a_release_scrapes_its_own_exporters_of_gpus_only(release):
    listed = objects(release=release)
    config = find(listed, "ConfigMap", f"{release}-infermeter-prometheus")["data"]["prometheus.yml"]
    (job,) = [job for job in yaml.safe_load(config)["scrape_configs"] if job["job_name"] == "nvidia-gpu"]
    (selector,) = job["kubernetes_sd_configs"][0]["selectors"]
    assert selector["label"] == f"app=dcgm-exporter,app.kubernetes.io/instance={release}"
    exporter = find(listed, "DaemonSet", f"{release}-infermeter-dcgm-exporter")
    labels = exporter["spec"]["template"]["metadata"]["labels"]
    assert {f"{name}={labels[name]}" for name in ("app", "app.kubernetes.io/instance")} == set(
        selector["label"].split(",")
    )


@pytest.mark.parametrize(("job", "monitor"), [("model-serving", "model-serving"), ("nvidia-gpu", "gpu")])
def test_the_operator_is_told_what_prometheus_is(job, monitor):
    config = find(objects(), "ConfigMap", "infermeter-prometheus")["data"]["prometheus.yml"]
    (plain,) = [one for one in yaml.safe_load(config)["scrape_configs"] if one["job_name"] == job]
    spec = find(objects({"prometheus": {"mode": "operator"}}), "PodMonitor", f"infermeter-{monitor}")["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    spelled = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    told = [{spelled.get(name, name): value for name, value in one.items()} for one in endpoint["relabelings"]]
    cleared, *told = told  # the operator's own labels; test_operator_discovery.py has more
    assert cleared == {"action": "labeldrop", "regex": "namespace|node|service|pod|container|endpoint"}
    assert told == [*plain["relabel_configs"], {"target_label": "job", "replacement": job}]
    assert (endpoint["honorLabels"], spec["sampleLimit"]) == (plain["honor_labels"], plain["sample_limit"])
    assert spec["bodySizeLimit"] == plain["body_size_limit"]


def test_the_operators_jobs_of_the_collector_have_the_names_that_rules_know():
    config = find(objects(), "ConfigMap", "infermeter-prometheus")["data"]["prometheus.yml"]
    plain = {job["job_name"]: job.get("honor_labels", False) for job in yaml.safe_load(config)["scrape_configs"]}
    monitor = find(objects({"prometheus": {"mode": "operator"}}), "ServiceMonitor", "infermeter-collector")["spec"]
    assert [one["relabelings"][0]["action"] for one in monitor["endpoints"]] == ["labeldrop"] * 3
    told = {one["relabelings"][-1]["replacement"]: one.get("honorLabels", False) for one in monitor["endpoints"]}
    assert told == {name: honoured for name, honoured in plain.items() if name.startswith("infermeter-collector")}
    service = find(objects(), "Service", "infermeter-collector")
    assert {one["port"] for one in monitor["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
