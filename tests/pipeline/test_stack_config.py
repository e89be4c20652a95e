"""The Prometheus and Alertmanager configuration: accepted by their own tools, and saying what they must."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infermeter.assets import asset
from infermeter.cli.stack.options import DEFAULT_PORTS, StackOptions
from infermeter.cli.stack.rendered_config import write_alertmanager_config, write_prometheus_config

pytestmark = pytest.mark.pipeline

PROMETHEUS_CONFIG = asset("deploy/prometheus/prometheus.yml")
ALERTMANAGER_CONFIG = asset("deploy/alertmanager/alertmanager.yml")


def load(file: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return config


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def receiver_of(amtool: Path, **labels: str) -> str:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    routed = run(amtool, "config", "routes", "test", f"--config.file={ALERTMANAGER_CONFIG}", *pairs)
    assert routed.returncode == 0, routed.stderr
    return routed.stdout.strip()


class TestPrometheus:
    def test_promtool_accepts_the_shipped_configuration_and_its_rules(self, binaries: dict[str, Path]) -> None:
        checked = run(binaries["promtool"], "check", "config", PROMETHEUS_CONFIG)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert "rules found" in checked.stdout

    @pytest.mark.parametrize("profile", ["scrape", "otlp"])
    def test_promtool_accepts_what_up_writes(self, binaries: dict[str, Path], profile: Any, tmp_path: Path) -> None:
        options = StackOptions(data_dir=tmp_path, profile=profile)
        ports = {name: DEFAULT_PORTS[name] for name in options.needed_ports}
        target = tmp_path / "prometheus.yml"
        write_prometheus_config(options, ports, target, [asset("deploy/prometheus/rules")])
        checked = run(binaries["promtool"], "check", "config", target)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        jobs = [job["job_name"] for job in load(target)["scrape_configs"]]
        assert ("infermeter-collector" in jobs) is (profile == "scrape")

    def test_production_scrapes_every_15_seconds(self) -> None:
        assert load(PROMETHEUS_CONFIG)["global"]["scrape_interval"] == "15s"

    def test_only_the_services_own_labels_are_honoured(self) -> None:
        jobs = load(PROMETHEUS_CONFIG)["scrape_configs"]
        assert {job["job_name"] for job in jobs if job.get("honor_labels")} == {
            "infermeter-collector",
            "infermeter-collector-pipelines",
        }

    def test_every_job_is_guarded_against_too_many_samples(self) -> None:
        assert all(job.get("sample_limit", 0) > 0 for job in load(PROMETHEUS_CONFIG)["scrape_configs"])


class TestAlertmanager:
    def test_amtool_accepts_the_shipped_configuration(self, binaries: dict[str, Path]) -> None:
        checked = run(binaries["amtool"], "check-config", ALERTMANAGER_CONFIG)
        assert checked.returncode == 0, checked.stdout + checked.stderr

    def test_amtool_accepts_what_up_writes(self, binaries: dict[str, Path], tmp_path: Path) -> None:
        target = tmp_path / "alertmanager.yml"
        write_alertmanager_config(
            StackOptions(data_dir=tmp_path, webhook_url="http://127.0.0.1:1/hook", speed=60), target
        )
        checked = run(binaries["amtool"], "check-config", target)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        told = {receiver["name"] for receiver in load(target)["receivers"] if receiver.get("webhook_configs")}
        assert told == {"critical", "warning", "unsorted"}
        assert load(target)["route"]["group_wait"] == "500ms"

    @pytest.mark.parametrize("severity", ["critical", "warning"])
    def test_an_alert_goes_to_the_receiver_of_its_severity(self, binaries: dict[str, Path], severity: str) -> None:
        assert receiver_of(binaries["amtool"], severity=severity, alertname="A", model_name="fraud") == severity

    def test_an_alert_without_severity_is_not_lost(self, binaries: dict[str, Path]) -> None:
        assert receiver_of(binaries["amtool"], alertname="A") == "unsorted"
