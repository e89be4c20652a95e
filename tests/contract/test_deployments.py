"""Manifests for Kubernetes and compose: valid, about files and ports that exist, finding the targets they should."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.contract.promtool import run_promtool
from tests.pipeline.test_collector_config import LAYERINGS

from infermeter.assets import asset
from infermeter.cli.stack.recipes import ALERTMANAGER_VERSION, COLLECTOR_VERSION, PROMETHEUS_VERSION
from infermeter.version import __version__

KUBERNETES = asset("deploy/kubernetes")
COMPOSE = asset("deploy/compose")
COLLECTOR = asset("collector")
MANIFESTS = KUBERNETES / "manifests"
# The versions that `infermeter up` builds; what is not built here is pinned in the files.
VERSIONS = {
    "infermeter-collector": COLLECTOR_VERSION,
    "prom/prometheus": f"v{PROMETHEUS_VERSION}",
    "prom/alertmanager": f"v{ALERTMANAGER_VERSION}",
}
COLLECTOR_PORTS = {
    "OTLP_GRPC": 4317, "OTLP_HTTP": 4318, "SELF": 8888, "EXPORTER": 9464, "PIPELINES": 9465, "HEALTH": 13133,
}  # fmt: skip


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def manifests() -> dict[str, dict[str, Any]]:
    """Return what helm makes of the chart; tests/kubernetes compares the two."""
    files = [file for file in sorted(MANIFESTS.glob("*.yaml")) if file.name != "kustomization.yaml"]
    listed = [one for file in files for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    return {f"{one['kind']} {one['metadata']['name']}": one for one in listed}


def cluster_config() -> Any:
    return yaml.safe_load(manifests()["ConfigMap infermeter-prometheus"]["data"]["prometheus.yml"])


CONFIGS = {"kubernetes": cluster_config, "compose": lambda: read(COMPOSE / "prometheus.yml")}
"""Prometheus' configurations by the folder that they are in."""
every_config = pytest.mark.parametrize("folder", CONFIGS)


def containers() -> dict[str, dict[str, Any]]:
    pods = [one["spec"]["template"]["spec"] for one in manifests().values() if "template" in one.get("spec", {})]
    return {container["name"]: container for pod in pods for container in pod["containers"]}


def services() -> dict[str, Any]:
    found: dict[str, Any] = read(COMPOSE / "compose.yaml")["services"]
    return found


def layers(arguments: list[str]) -> tuple[str, ...]:
    return tuple(Path(argument).stem for argument in arguments)


@pytest.mark.parametrize("name", manifests())
def test_the_manifest_is_what_kubernetes_accepts_without_a_field_it_does_not_know(name):
    kubernetes_validate.validate(manifests()[name], "1.31", strict=True)


def test_a_mistyped_field_of_a_manifest_is_noticed():
    manifest = manifests()["DaemonSet infermeter-dcgm-exporter"]
    manifest["spec"]["template"]["spec"]["nodeSelektor"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.31", strict=True)


def test_kustomize_names_the_files_that_are_there():
    kustomization = read(MANIFESTS / "kustomization.yaml")
    assert set(kustomization["resources"]) == {file.name for file in MANIFESTS.iterdir()} - {"kustomization.yaml"}


def test_what_a_pod_mounts_is_made_by_the_manifests_or_by_a_command_of_the_readme():
    readme = (KUBERNETES / "README.md").read_text(encoding="utf-8")
    made = set(manifests())
    for name in [name for name, one in manifests().items() if "template" in one.get("spec", {})]:
        for volume in _volumes(name):
            if "secret" in volume:
                secret = volume["secret"]["secretName"]
                assert f"Secret {secret}" in made or f"create secret generic {secret} " in readme
            if "configMap" in volume:
                config = volume["configMap"]["name"]
                assert f"ConfigMap {config}" in made or f"create configmap {config} " in readme


def test_the_routing_of_alerts_is_the_one_that_is_tested():
    secret = manifests()["Secret infermeter-alertmanager"]["stringData"]["alertmanager.yaml"]
    shipped = asset("deploy/alertmanager/alertmanager.yml").read_text(encoding="utf-8")
    assert secret.rstrip() == shipped.rstrip(), "run: make kubernetes"


def test_the_chart_has_no_copies_of_its_own():
    links = {link.name: link.resolve() for link in (KUBERNETES / "chart/files").iterdir()}
    assert links == {
        "rules": asset("deploy/prometheus/rules"),
        "dashboards": asset("deploy/grafana/dashboards"),
        "alertmanager.yml": asset("deploy/alertmanager/alertmanager.yml"),
    }


def _volumes(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = manifests()[name]["spec"]["template"]["spec"]["volumes"]
    return found


def test_the_exporter_of_gpus_is_as_it_was_asked_for():
    exporter = containers()["dcgm-exporter"]
    assert exporter["image"].startswith("nvidia/dcgm-exporter:")
    assert exporter["ports"] == [{"name": "metrics", "containerPort": 9400}]
    # privileged is a switch of the chart; the default is the one capability that the counters need.
    assert exporter["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SYS_ADMIN"]}
    paths = [volume["hostPath"]["path"] for volume in _volumes("DaemonSet infermeter-dcgm-exporter")]
    assert "/var/lib/kubelet/device-plugins" in paths
    assert [mount["mountPath"] for mount in exporter["volumeMounts"]] == paths


def test_versions_are_those_that_everything_else_is_tested_with():
    images = [container["image"] for container in containers().values()]
    images += [service["image"] for service in services().values()]
    assert all(":" in image and not image.endswith(":latest") for image in images)
    pinned = dict(image.split(":") for image in images)
    assert {name: pinned[name] for name in VERSIONS} == VERSIONS
    assert f"builder@v{COLLECTOR_VERSION}" in (COLLECTOR / "Dockerfile").read_text(encoding="utf-8")
    grafana = int(pinned["grafana/grafana"].split(".")[0])
    assert grafana == 11, "the dashboards are written for it"


def test_images_of_our_own_are_built_from_a_recipe_that_is_there_and_have_its_version():
    values = read(KUBERNETES / "chart/values.yaml")
    recipes = {
        "infermeter-collector": (values["collector"]["image"], COLLECTOR / "Dockerfile", COLLECTOR_VERSION),
        "infermeter-agent": (values["gpu"]["agent"]["image"], KUBERNETES / "images/agent.Dockerfile", __version__),
        "infermeter-example": (values["example"]["image"], KUBERNETES / "images/example.Dockerfile", __version__),
    }
    page = (KUBERNETES / "images/README.md").read_text(encoding="utf-8")
    for name, (image, recipe, version) in recipes.items():
        assert (image["repository"], image["tag"]) == (name, version)
        assert f"/{name}:{version} " in page
        text = recipe.read_text(encoding="utf-8")
        assert re.findall(r"^FROM (\S+)", text, re.MULTILINE)[-1].endswith(":nonroot"), "no shell, no rights"
        context = COLLECTOR if recipe.parent == COLLECTOR else COLLECTOR.parent
        sources = [word for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for word in line.split()]
        assert [source for source in sources if not (context / source).exists()] == []
    assert read(KUBERNETES / "chart/Chart.yaml")["appVersion"] == __version__


def test_layerings_are_those_that_the_collector_itself_has_checked():
    command = re.search(r"^CMD (.*)$", (COLLECTOR / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert command
    used = [json.loads(command.group(1)), containers()["collector"]["args"], services()["collector"]["command"]]
    assert [layers(arguments) for arguments in used if layers(arguments) not in LAYERINGS] == []
    for arguments in used:
        assert all(argument.startswith("--config=/etc/infermeter-collector/") for argument in arguments)


def test_the_collector_is_reached_from_outside_only_with_a_token():
    assert "auth" in layers(containers()["collector"]["args"])
    assert all(port.startswith("127.0.0.1:") for service in services().values() for port in service.get("ports", []))


def test_ports_are_those_of_the_collectors_configuration():
    config = "".join(file.read_text(encoding="utf-8") for file in sorted((COLLECTOR / "config").glob("*.yaml")))
    for name, port in COLLECTOR_PORTS.items():
        assert f"INFERMETER_COLLECTOR_{name}_PORT:-{port}}}" in config
    assert {port["containerPort"] for port in containers()["collector"]["ports"]} == set(COLLECTOR_PORTS.values())
    exposed = {port["port"] for port in manifests()["Service infermeter-collector"]["spec"]["ports"]}
    assert exposed == set(COLLECTOR_PORTS.values()) - {COLLECTOR_PORTS["HEALTH"]}


def test_every_file_that_compose_mounts_is_there():
    mounted = [volume.split(":")[0] for service in services().values() for volume in service.get("volumes", [])]
    missing = [path for path in mounted if path.startswith(".") and not (COMPOSE / path).exists()]
    assert missing == []
    assert (COMPOSE / services()["collector"]["build"] / "Dockerfile").is_file()


def test_grafana_finds_the_dashboards_and_a_prometheus():
    provisioning = COMPOSE / "grafana/provisioning"
    path = read(provisioning / "dashboards/infermeter.yaml")["providers"][0]["options"]["path"]
    assert f"../grafana/dashboards:{path}:ro" in services()["grafana"]["volumes"]
    source = read(provisioning / "datasources/prometheus.yaml")["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    interval = read(COMPOSE / "prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval, "$__rate_interval is a multiple of it"


@every_config
def test_promtool_accepts_the_configuration(folder, tmp_path):
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(CONFIGS[folder]()), encoding="utf-8")
    checked = run_promtool("check", "config", "--syntax-only", file)
    assert checked.returncode == 0, checked.stderr


@every_config
def test_scraping_is_as_it_was_asked_for_and_guarded_like_the_local_one(folder):
    config, local = CONFIGS[folder](), read(asset("deploy/prometheus/prometheus.yml"))
    assert config["global"] == local["global"]
    assert config["global"]["scrape_interval"] == "15s"
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    for job in local["scrape_configs"]:
        addresses = ("static_configs",)
        ours = {key: value for key, value in jobs[job["job_name"]].items() if key not in addresses}
        assert ours == {key: value for key, value in job.items() if key not in addresses}
    assert "nvidia-gpu" in jobs
    assert jobs["nvidia-gpu"]["honor_labels"], "else pod is the exporter's own"
    assert all("sample_limit" in job for job in jobs.values())


def test_on_one_machine_the_gpu_exporter_is_the_static_target_that_was_asked_for():
    jobs = {job["job_name"]: job for job in read(COMPOSE / "prometheus.yml")["scrape_configs"]}
    assert jobs["nvidia-gpu"]["static_configs"] == [{"targets": ["dcgm-exporter:9400"]}]
    assert "dcgm-exporter" in services()


def found_targets(job_name: str, pods: list[dict[str, str]], tmp_path: Path) -> list[dict[str, str]]:
    """Return the labels of what a job scrapes, by promtool, where pods are as Kubernetes would tell of them."""
    jobs = {job["job_name"]: job for job in cluster_config()["scrape_configs"]}
    job = jobs[job_name]
    (discovery,) = job.pop("kubernetes_sd_configs")
    assert discovery["role"] == "pod"
    told = [{f"__meta_kubernetes_{name}": value for name, value in pod.items() if name != "address"} for pod in pods]
    job["static_configs"] = [
        {"targets": [pod["address"]], "labels": labels} for pod, labels in zip(pods, told, strict=True)
    ]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump({"scrape_configs": [job]}), encoding="utf-8")
    answer = run_promtool("check", "service-discovery", "--timeout=1s", file, job_name)
    assert answer.returncode == 0, answer.stderr
    found = [target["labels"] for target in json.loads(answer.stdout) if target["labels"]]
    unique = {json.dumps(labels, sort_keys=True): labels for labels in found}
    return list(unique.values())  # Prometheus scrapes equal targets once


POD = {
    "address": "10.0.0.7:8000", "namespace": "shop", "pod_name": "fraud-0", "pod_phase": "Running",
    "pod_label_app": "model-serving", "pod_container_port_number": "8000", "pod_ready": "true",
    "pod_ip": "10.0.0.7", "pod_node_name": "node-1", "pod_container_init": "false",
}  # fmt: skip


def test_pods_that_serve_models_are_scraped_at_their_path_under_their_names(tmp_path):
    pods = [
        {**POD, "pod_annotation_prometheus_io_path": "/internal/metrics"},
        {**POD, "address": "10.0.0.8:8000", "pod_name": "shop-0", "pod_label_app": "web"},
        {**POD, "address": "10.0.0.9:8000", "pod_name": "fraud-old", "pod_phase": "Succeeded"},
        {**POD, "address": "10.0.0.10:8000", "pod_name": "fraud-new", "pod_ready": "false"},
        {**POD, "address": "10.0.0.11:8000", "pod_name": "pushing", "pod_annotation_prometheus_io_scrape": "false"},
        {**POD, "address": "10.0.0.12:8000", "pod_name": "first", "pod_container_init": "true"},
    ]
    (target,) = found_targets("model-serving", pods, tmp_path)
    assert (target["__address__"], target["__metrics_path__"]) == ("10.0.0.7:8000", "/internal/metrics")
    assert (target["namespace"], target["pod"], target["node"]) == ("shop", "fraud-0", "node-1")


def test_a_pod_with_two_ports_is_scraped_once_where_the_annotation_says(tmp_path):
    annotated = {**POD, "pod_annotation_prometheus_io_port": "9464"}
    pods = [annotated, {**annotated, "address": "10.0.0.7:9464", "pod_container_port_number": "9464"}]
    (target,) = found_targets("model-serving", pods, tmp_path)
    assert (target["__address__"], target["__metrics_path__"]) == ("10.0.0.7:9464", "/metrics")


def test_an_address_of_the_newer_kind_keeps_its_brackets(tmp_path):
    newer = {**POD, "address": "[fd00::7]:8000", "pod_ip": "fd00::7", "pod_annotation_prometheus_io_port": "9464"}
    (target,) = found_targets("model-serving", [newer], tmp_path)
    assert target["__address__"] == "[fd00::7]:9464"


def test_every_node_with_gpus_is_a_target_of_its_own(tmp_path):
    exporter = {
        "pod_label_app": "dcgm-exporter",
        "pod_label_app_kubernetes_io_instance": "infermeter",
        "pod_container_port_name": "metrics",
    }
    pods = [{**exporter, "address": f"10.0.0.{number}:9400", "pod_node_name": f"gpu-{number}"} for number in (1, 2)]
    found = found_targets("nvidia-gpu", [*pods, POD], tmp_path)
    assert {(target["__address__"], target["host_name"]) for target in found} == {
        ("10.0.0.1:9400", "gpu-1"),
        ("10.0.0.2:9400", "gpu-2"),
    }
