"""With mutual TLS the real collector takes OTLP from senders with a certificate, and from nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.kubernetes.chart import find, objects
from tests.kubernetes.ports import free_ports
from tests.waiting import until

from infermeter.assets import asset
from infermeter.cli.stack import processes
from infermeter.cli.stack.binaries import COLLECTOR, find_or_build
from infermeter.cli.stack.loopback import get
from infermeter.cli.stack.reporting import SilentReporter

pytestmark = pytest.mark.kubernetes

SENDER = """
import infermeter
infermeter.configure()
with infermeter.instrument_inference("fraud", version="1"):
    pass
print(infermeter.force_flush(timeout_s=10))
"""
PORTS = ("OTLP_HTTP", "OTLP_GRPC", "EXPORTER", "SELF", "HEALTH")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of the collector and of a sender, as the chart mounts them."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    for who in ("collector", "sender"):
        (folder / who).mkdir()
        issued = authority.issue_cert("127.0.0.1", "localhost")
        authority.cert_pem.write_to_path(folder / who / "ca.crt")
        issued.private_key_pem.write_to_path(folder / who / "tls.key")
        issued.cert_chain_pems[0].write_to_path(folder / who / "tls.crt")
    return folder


@pytest.fixture(scope="module")
def ports(folder: Path) -> Iterator[dict[str, int]]:
    """A collector that runs with the layers of the chart."""
    binary = find_or_build([COLLECTOR], SilentReporter())[COLLECTOR]
    chosen = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    config = asset("collector/config")
    argv = [str(binary), *(f"--config={config / layer}.yaml" for layer in ("base", "prometheus", "mtls"))]
    env = {**os.environ, "INFERMETER_OTLP_TLS_FOLDER": str(folder / "collector")}
    env["INFERMETER_COLLECTOR_HOST"] = own_host("127.0.0.1")
    env |= {f"INFERMETER_COLLECTOR_{name}_PORT": str(port) for name, port in chosen.items()}
    child = processes.spawn(argv, env=env, cwd=folder, log=folder / "collector.log")
    try:
        until(lambda: get(f"http://127.0.0.1:{chosen['HEALTH']}/")[0] == 200, f"the collector, {folder}/collector.log")
        yield chosen
    finally:
        processes.stop([processes.identify_child(child.pid)], grace_s=8)
        child.wait(timeout=8)


def own_host(address: str) -> str:
    """Return where the chart has the collector listen in a pod with this address."""
    deployment = find(objects(), "Deployment", "infermeter-collector")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (spelled,) = [one["value"] for one in container["env"] if one["name"] == "INFERMETER_COLLECTOR_HOST"]
    return str(spelled).replace("$(POD_IP)", address)


def test_the_collector_listens_on_addresses_of_both_families():
    assert own_host("10.0.0.7") == "[10.0.0.7]", "which the collector below takes"
    assert own_host("fd00::7") == "[fd00::7]"


def send(ports: dict[str, int], folder: Path, **certificates: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "INFERMETER_"))}
    env |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://127.0.0.1:{ports['OTLP_HTTP']}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(folder / "sender/ca.crt"),
        "REQUESTS_CA_BUNDLE": str(folder / "sender/tls.crt"),  # of everything else; not for this
        **certificates,
    }
    return subprocess.run(
        [sys.executable, "-c", SENDER], env=env, capture_output=True, text=True, check=False, timeout=60
    ).stdout.strip()


def test_a_sender_with_a_certificate_is_heard(ports, folder):
    names = {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "tls.crt", "OTEL_EXPORTER_OTLP_CLIENT_KEY": "tls.key"}
    assert send(ports, folder, **{name: str(folder / "sender" / file) for name, file in names.items()}) == "True"
    page = get(f"http://127.0.0.1:{ports['EXPORTER']}/metrics")[1].decode()
    assert "model_inference_requests_total" in page


def test_a_sender_without_one_is_not(ports, folder):
    assert send(ports, folder) == "False"
