"""The parts table: for each process of a stack its command, environment, readiness and addresses. Starts nothing.

The example is one entry by convention: `uvicorn fraud_api.app:app` in the examples folder, ready when GET /health
answers 200, and `python -m fraud_api.traffic --url URL`, which sends requests until SIGTERM.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import quote

from infermeter.assets import asset
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack import readiness
from infermeter.cli.stack.binaries import COLLECTOR
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.fleet import fleet_part
from infermeter.cli.stack.gpu_agent import gpu_agent_part
from infermeter.cli.stack.part import Part
from infermeter.cli.stack.rendered_config import (
    EXPORTER_JOBS,
    SELF_JOBS,
    rule_folders,
    rule_groups,
    write_alertmanager_config,
    write_collector_config,
    write_prometheus_config,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infermeter.cli.stack.options import StackOptions
    from infermeter.cli.stack.places import Places

BINARIES = (COLLECTOR, "prometheus", "alertmanager")
# Settings of the shell must not bend the parts: an OTEL_EXPORTER_OTLP_METRICS_ENDPOINT would win over ours.
_OURS_ALONE = ("OTEL_", "INFERMETER_", "PROMETHEUS_MULTIPROC_DIR")
# A rate needs two exports and two scrapes before the first chart shows.
_EXAMPLE_EXPORT_INTERVAL_MS = 1000
_OTLP_LAYERS = ["prometheus_otlp", "pipelines", "pipelines_otlp"]
_EXAMPLE_NEEDS = ("fastapi", "uvicorn", "sklearn")
_CONSOLE_NEEDS = ("starlette", "uvicorn", "httpx")


def parts_of(
    options: StackOptions, ports: Mapping[str, int], binaries: Mapping[str, Path], places: Places
) -> list[Part]:
    """Write the configuration of a stack and return its parts in starting order.

    Args:
        options: What is chosen.
        ports: Port by name, for all of `options.needed_ports`.
        binaries: Path of each of `BINARIES`.
        places: The stack's files.
    """
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    base_env = environment()
    parts = [
        _collector(options, ports, urls, binaries[COLLECTOR], places, base_env),
        _alertmanager(options, urls, binaries["alertmanager"], places, base_env),
        _prometheus(options, ports, urls, binaries["prometheus"], places, base_env),
    ]
    if options.console:
        parts.append(_console(options, urls, places, base_env))
    if options.fleet:
        parts.append(fleet_part(options, urls["otlp-http"], places, base_env))
    if options.gpus:
        parts.append(gpu_agent_part(options, urls, places, base_env))
    if options.example:
        parts.append(_example(options, urls, base_env))
        if options.traffic:
            parts.append(_traffic(urls, base_env))
    return parts


def environment() -> dict[str, str]:
    """Return the environment of every part, before settings of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS_ALONE)}


def _collector(
    options: StackOptions,
    ports: Mapping[str, int],
    urls: Mapping[str, str],
    binary: Path,
    places: Places,
    base_env: Mapping[str, str],
) -> Part:
    profile = ["prometheus", "pipelines"] if options.profile == "scrape" else _OTLP_LAYERS
    layers = ["base", *profile, "local"]
    env = {
        **base_env,
        "INFERMETER_COLLECTOR_OTLP_HTTP_PORT": str(ports["otlp-http"]),
        "INFERMETER_COLLECTOR_OTLP_GRPC_PORT": str(ports["otlp-grpc"]),
        "INFERMETER_COLLECTOR_SELF_PORT": str(ports["collector-self"]),
        "INFERMETER_COLLECTOR_HEALTH_PORT": str(ports["health"]),
        "INFERMETER_PROMETHEUS_URL": urls["prometheus"],
        "GOMEMLIMIT": "400MiB",
    }
    addresses = {"OTLP over HTTP": urls["otlp-http"], "OTLP over gRPC": urls["otlp-grpc"]}
    probes = [readiness.answers(urls["health"]), readiness.answers(f"{urls['collector-self']}/metrics")]
    if options.profile == "scrape":
        env["INFERMETER_COLLECTOR_EXPORTER_PORT"] = str(ports["exporter"])
        env["INFERMETER_COLLECTOR_PIPELINES_PORT"] = str(ports["pipelines"])
        addresses["exported metrics"] = f"{urls['exporter']}/metrics"
        addresses["exported metrics of pipelines"] = f"{urls['pipelines']}/metrics"
        probes += [readiness.answers(addresses["exported metrics"])]
        probes += [readiness.answers(addresses["exported metrics of pipelines"])]
    if options.bearer_token is not None:
        layers.append("auth")
        token_file = places.config / "otlp.token"
        token_file.touch(mode=0o600)
        token_file.write_text(options.bearer_token + "\n", encoding="utf-8")
        env["INFERMETER_OTLP_TOKEN_FILE"] = str(token_file)
    folder = asset("collector/config")
    files = [folder / f"{layer}.yaml" for layer in layers]
    if options.profile == "scrape":
        files.append(places.config / "collector.yaml")
        write_collector_config(files[-1], speed=options.speed)
    return Part(
        name="collector",
        title="Collector",
        argv=(
            str(binary),
            *(word for file in files for word in ("--config", str(file))),
        ),
        env=env,
        cwd=places.data_dir,
        ready=readiness.all_of(*probes),
        health_url=urls["health"],
        urls=addresses,
    )


def _alertmanager(
    options: StackOptions, urls: Mapping[str, str], binary: Path, places: Places, base_env: Mapping[str, str]
) -> Part:
    config = places.config / "alertmanager.yml"
    write_alertmanager_config(options, config)
    url = urls["alertmanager"]
    return Part(
        name="alertmanager",
        title="Alertmanager",
        argv=(
            str(binary),
            f"--config.file={config}",
            f"--storage.path={places.data('alertmanager')}",
            f"--web.listen-address={url.removeprefix('http://')}",
            f"--web.external-url={url}",
            "--cluster.listen-address=",  # one of them; no gossip port
        ),
        env=base_env,
        cwd=places.data_dir,
        ready=readiness.answers(f"{url}/-/ready"),
        health_url=f"{url}/-/healthy",
        urls={"alerts": url},
    )


def _prometheus(
    options: StackOptions,
    ports: Mapping[str, int],
    urls: Mapping[str, str],
    binary: Path,
    places: Places,
    base_env: Mapping[str, str],
) -> Part:
    config = places.config / "prometheus.yml"
    rules = rule_folders(options, places.config / "scaled_rules")
    write_prometheus_config(options, ports, config, rules)
    url = urls["prometheus"]
    jobs = [*SELF_JOBS, *(EXPORTER_JOBS if options.profile == "scrape" else ())]
    return Part(
        name="prometheus",
        title="Prometheus",
        argv=(
            str(binary),
            f"--config.file={config}",
            f"--storage.tsdb.path={places.data('prometheus')}",
            "--storage.tsdb.retention.time=7d",
            "--storage.tsdb.retention.size=1GB",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--scrape.discovery-reload-interval=250ms",  # 5 s by default, most of a start
            # An alert that fires before Alertmanager is discovered is lost until it is sent again: 1 min by default.
            "--rules.alert.resend-delay=2s",
            f"--web.external-url={url}",  # else links in alerts carry a host name nobody can resolve
            *(["--web.enable-otlp-receiver"] if options.profile == "otlp" else []),
        ),
        env=base_env,
        cwd=places.data_dir,
        ready=readiness.all_of(
            readiness.answers(f"{url}/-/ready"),
            readiness.rules_loaded(url, rule_groups(rules)),
            readiness.alertmanager_known(url),
            readiness.scrapes_healthy(url, jobs),
        ),
        health_url=f"{url}/-/healthy",
        urls={"queries (API)": url},
    )


def _console(options: StackOptions, urls: Mapping[str, str], places: Places, base_env: Mapping[str, str]) -> Part:
    missing = [name for name in _CONSOLE_NEEDS if find_spec(name) is None]
    if missing:
        raise _missing_extra("console", missing)
    url = urls["console"]
    return Part(
        name="console",
        title="Console",
        argv=(sys.executable, "-m", "infermeter.cli", "console", "--no-open",
              "--data-dir", str(places.data_dir),
              "--port", url.rpartition(":")[2],
              "--prometheus", urls["prometheus"],
              "--alertmanager", urls["alertmanager"],
              "--scrape-interval", str(max(options.scrape_interval_s, _EXAMPLE_EXPORT_INTERVAL_MS / 1000))),
        env={**base_env, "PYTHONUNBUFFERED": "1"},
        cwd=places.data_dir,
        ready=readiness.answers(f"{url}/api/health"),
        health_url=f"{url}/api/health",
        urls={"dashboards": url},
    )  # fmt: skip


def _missing_extra(part: str, missing: list[str]) -> StackError:
    return StackError(
        f'The {part} needs {", ".join(missing)}: pip install "infermeter[stack]", or leave it out with --no-{part}.',
        exit_code=ExitCode.START_FAILED,
    )


def _example(options: StackOptions, urls: Mapping[str, str], base_env: Mapping[str, str]) -> Part:
    missing = [name for name in _EXAMPLE_NEEDS if find_spec(name) is None]
    if missing:
        raise _missing_extra("example", missing)
    url = urls["example"]
    env = {
        **base_env,
        "OTEL_EXPORTER_OTLP_ENDPOINT": urls["otlp-http"],
        "OTEL_SERVICE_NAME": "fraud-api",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=local",
        "OTEL_METRIC_EXPORT_INTERVAL": str(_EXAMPLE_EXPORT_INTERVAL_MS),
        "PYTHONUNBUFFERED": "1",
    }
    if options.bearer_token is not None:
        env["OTEL_EXPORTER_OTLP_HEADERS"] = f"Authorization={quote(f'Bearer {options.bearer_token}')}"
    return Part(
        name="example",
        title="Example",
        argv=(sys.executable, "-m", "uvicorn", "fraud_api.app:app", "--host", "127.0.0.1",
              "--port", url.rpartition(":")[2], "--no-access-log"),
        env=env,
        cwd=asset("examples"),
        ready=readiness.answers(f"{url}/health"),
        health_url=f"{url}/health",
        urls={"predictions": url, "its API": f"{url}/docs"},
    )  # fmt: skip


def _traffic(urls: Mapping[str, str], base_env: Mapping[str, str]) -> Part:
    return Part(
        name="traffic",
        title="Traffic",
        argv=(sys.executable, "-m", "fraud_api.traffic", "--url", urls["example"]),
        env={**base_env, "PYTHONUNBUFFERED": "1"},
        cwd=asset("examples"),
        ready=lambda: None,
        after=("example",),
    )
