"""The layered configuration of the collector: each layering passes the real binary and keeps its promises merged."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infermeter.assets import asset

pytestmark = pytest.mark.pipeline

CONFIG = asset("collector/config")
LAYERINGS = [
    ("base", "prometheus"),
    ("base", "prometheus", "local"),
    ("base", "prometheus", "auth"),
    ("base", "prometheus", "local", "auth"),
    ("base", "prometheus", "pipelines"),
    ("base", "prometheus", "pipelines", "local"),
    ("base", "prometheus", "pipelines", "auth"),
    ("base", "prometheus", "pipelines", "mtls"),
    ("base", "prometheus_otlp"),
    ("base", "prometheus_otlp", "pipelines", "pipelines_otlp", "local"),
    ("base", "prometheus_otlp", "local", "auth"),
]


def run_collector(binary: Path, command: str, layers: tuple[str, ...], token: Path) -> subprocess.CompletedProcess[str]:
    arguments = [word for layer in layers for word in ("--config", str(CONFIG / f"{layer}.yaml"))]
    token.write_text("secret\n", encoding="utf-8")
    env = {
        **os.environ,
        "INFERMETER_OTLP_TOKEN_FILE": str(token),
        "INFERMETER_OTLP_TLS_FOLDER": str(token.parent),
    }
    return subprocess.run([binary, command, *arguments], env=env, capture_output=True, text=True, check=False)


@pytest.fixture(params=LAYERINGS, ids="+".join)
def layers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    chosen: tuple[str, ...] = request.param
    return chosen


@pytest.fixture
def merged(binaries: dict[str, Path], layers: tuple[str, ...], tmp_path: Path) -> dict[str, Any]:
    """The configuration as the collector itself merges it."""
    printed = run_collector(binaries["infermeter-collector"], "print-config", layers, tmp_path / "token")
    assert printed.returncode == 0, printed.stderr
    config: dict[str, Any] = yaml.safe_load(printed.stdout)
    return config


def test_the_collector_accepts_the_layering(binaries: dict[str, Path], layers: tuple[str, ...], tmp_path: Path) -> None:
    checked = run_collector(binaries["infermeter-collector"], "validate", layers, tmp_path / "token")
    assert checked.returncode == 0, checked.stderr


def test_the_memory_limiter_is_first_in_every_pipeline(merged: dict[str, Any]) -> None:
    pipelines = merged["service"]["pipelines"]
    assert pipelines
    assert {name: pipeline["processors"][0] for name, pipeline in pipelines.items()} == dict.fromkeys(
        pipelines, "memory_limiter"
    )


def test_exactly_one_exporter_writes_each_series(merged: dict[str, Any]) -> None:
    pipelines = merged["service"]["pipelines"]
    assert {name: len(pipeline["exporters"]) for name, pipeline in pipelines.items()} == dict.fromkeys(pipelines, 1)


def test_what_batch_jobs_send_goes_through_their_own_pipeline_only(merged: dict[str, Any]) -> None:
    pipelines = merged["service"]["pipelines"]
    if len(pipelines) == 1:
        return
    assert "filter/without_pipelines" in pipelines["metrics"]["processors"]
    own = pipelines["metrics/pipelines"]["processors"]
    assert own.index("filter/only_pipelines") < own.index("transform/pipelines") < own.index("delta_to_cumulative")
    # A list is replaced on merge: nothing of the base may be lost.
    base = yaml.safe_load((CONFIG / "base.yaml").read_text(encoding="utf-8"))["service"]["pipelines"]["metrics"]
    assert [p for p in pipelines["metrics"]["processors"] if p != "filter/without_pipelines"] == base["processors"]


def test_everything_listens_on_loopback_by_default(merged: dict[str, Any]) -> None:
    protocols = merged["receivers"]["otlp"]["protocols"]
    endpoints = [protocol["endpoint"] for protocol in protocols.values()]
    endpoints.append(merged["extensions"]["health_check"]["endpoint"])
    endpoints.append(merged["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]["host"])
    endpoints += [exporter["endpoint"] for name, exporter in merged["exporters"].items() if name.startswith("prom")]
    assert [endpoint.split(":")[0] for endpoint in endpoints] == ["127.0.0.1"] * len(endpoints)


def test_a_token_is_demanded_on_every_protocol_exactly_when_auth_is_layered(
    merged: dict[str, Any], layers: tuple[str, ...]
) -> None:
    protocols = merged["receivers"]["otlp"]["protocols"].values()
    demands = [bool(protocol.get("auth")) for protocol in protocols]
    assert demands == ["auth" in layers] * 2
    assert ("bearertokenauth/otlp" in merged["service"]["extensions"]) is ("auth" in layers)


def test_a_certificate_is_demanded_on_every_protocol_exactly_when_mtls_is_layered(
    merged: dict[str, Any], layers: tuple[str, ...]
) -> None:
    protocols = merged["receivers"]["otlp"]["protocols"].values()
    demands = [bool((protocol.get("tls") or {}).get("client_ca_file")) for protocol in protocols]
    assert demands == ["mtls" in layers] * 2


def test_no_layer_uses_the_suffix_switch_that_is_silently_ignored() -> None:
    for file in CONFIG.glob("*.yaml"):
        assert not re.search(r"^\s*add_metric_suffixes:", file.read_text(encoding="utf-8"), re.MULTILINE), file


def test_every_layer_is_part_of_a_tested_layering() -> None:
    assert {file.stem for file in CONFIG.glob("*.yaml")} == {layer for layering in LAYERINGS for layer in layering}
