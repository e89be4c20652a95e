"""The shipped Prometheus and Alertmanager configuration with this stack's addresses, intervals and rules in it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import yaml

from infermeter.assets import asset
from infermeter.cli.scaled_rules import scale_rules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infermeter.cli.stack.options import StackOptions

# How long the collector shows a process that has died: its default, and what covers several exports of the fleet.
_EXPIRATION_S, _LEAST_EXPIRATION_S = 180.0, 10.0
# In production it is 30 s and more; here somebody waits for the first value of each panel.
_RULE_INTERVAL_S = 5.0
EXPORTER_JOBS = {"infermeter-collector": "exporter", "infermeter-collector-pipelines": "pipelines"}
SELF_JOBS = {
    "infermeter-collector-self": "collector-self",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
}


def write_prometheus_config(options: StackOptions, ports: Mapping[str, int], target: Path, rules: list[Path]) -> None:
    """Write `deploy/prometheus/prometheus.yml` with the addresses of this stack.

    Args:
        options: Interval and profile.
        ports: Port by name.
        target: The file to write.
        rules: Folders whose rule files are loaded.
    """
    config: dict[str, Any] = yaml.safe_load(asset("deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    interval = f"{round(options.scrape_interval_s * 1000)}ms"
    timeout = f"{round(min(options.scrape_interval_s, 10.0) * 1000)}ms"
    config["global"] |= {
        "scrape_interval": interval,
        "scrape_timeout": timeout,
        "evaluation_interval": interval,
    }
    config["rule_files"] = [str(file) for file in rule_files(rules)]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [_address(ports["alertmanager"])]
    port_names = dict(SELF_JOBS)
    if options.profile == "scrape":
        port_names |= EXPORTER_JOBS
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] in port_names]
    for job in config["scrape_configs"]:
        job["static_configs"][0]["targets"] = [_address(ports[port_names[job["job_name"]]])]
    _write(target, config)


def write_collector_config(target: Path, *, speed: float) -> None:
    """Write the collector's last layer: a process that has died is forgotten sooner, as the windows of rules shrink.

    Args:
        target: The file to write.
        speed: How many times shorter the windows are.
    """
    expiration_s = max(_EXPIRATION_S / speed, _LEAST_EXPIRATION_S)
    _write(target, {"exporters": {"prometheus": {"metric_expiration": f"{expiration_s:g}s"}}})


def write_alertmanager_config(options: StackOptions, target: Path) -> None:
    """Write `deploy/alertmanager/alertmanager.yml`, with the webhook and the scaled waits of this stack."""
    config: dict[str, Any] = yaml.safe_load(asset("deploy/alertmanager/alertmanager.yml").read_text(encoding="utf-8"))
    if options.webhook_url is not None:
        for receiver in config["receivers"]:
            if receiver["name"] != "nobody":
                receiver["webhook_configs"] = [{"url": options.webhook_url, "send_resolved": True}]
    if options.speed != 1:
        for route in (config["route"], *config["route"]["routes"]):
            for key in ("group_wait", "group_interval"):
                if key in route:
                    route[key] = f"{max(round(_seconds(route[key]) / options.speed * 1000), 100)}ms"
    _write(target, config)


def rule_files(folders: list[Path]) -> list[Path]:
    """Return the rule files of some folders, in a stable order."""
    return [file for folder in folders for file in sorted(folder.glob("*.y*ml"))]


def rule_groups(folders: list[Path]) -> set[str]:
    """Return the names of the groups in some folders' rule files."""
    groups: set[str] = set()
    for file in rule_files(folders):
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        groups |= {group["name"] for group in content.get("groups", [])}
    return groups


def rule_folders(options: StackOptions, scratch: Path) -> list[Path]:
    """Return the folders whose rules this stack loads; ours are written below `scratch`, scaled and evaluated often."""
    shutil.rmtree(scratch, ignore_errors=True)  # rules that were renamed since must not stay loaded
    shipped = asset("deploy/prometheus") / "rules"
    scale_rules(shipped, scratch, speed=options.speed, most_interval_s=_RULE_INTERVAL_S)
    return [scratch, *options.extra_rule_dirs]


def _address(port: int) -> str:
    return f"127.0.0.1:{port}"


def _seconds(duration: str) -> float:
    """Read a duration of one unit, as our own file spells them."""
    return float(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


def _write(target: Path, config: Mapping[str, Any]) -> None:
    target.write_text(yaml.safe_dump(dict(config), sort_keys=False, width=110), encoding="utf-8")
