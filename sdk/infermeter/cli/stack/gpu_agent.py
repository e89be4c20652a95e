"""The GPU agent as a part of the stack, with simulated devices: for machines without a GPU."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

from infermeter.cli.stack import readiness
from infermeter.cli.stack.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infermeter.cli.stack.options import StackOptions
    from infermeter.cli.stack.places import Places

GPU_AGENT = "gpu-agent"
_DEVICES = "busy,idle,mig"  # none that would raise an alert
_INTERVAL_S = 1.0


def gpu_agent_part(options: StackOptions, urls: Mapping[str, str], places: Places, base_env: Mapping[str, str]) -> Part:
    """Return the part.

    Args:
        options: What is chosen.
        urls: URL of each listener by name.
        places: The stack's files.
        base_env: The environment, without settings of ours.
    """
    url = urls[GPU_AGENT]
    env = {
        **base_env,
        "OTEL_EXPORTER_OTLP_ENDPOINT": urls["otlp-http"],
        "OTEL_METRIC_EXPORT_INTERVAL": f"{_INTERVAL_S * 1000:.0f}",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=local",
        "PYTHONUNBUFFERED": "1",
    }
    if options.bearer_token is not None:
        env["OTEL_EXPORTER_OTLP_HEADERS"] = f"Authorization={quote(f'Bearer {options.bearer_token}')}"
    return Part(
        name=GPU_AGENT,
        title="GPUs (simulated)",
        argv=(sys.executable, "-m", "infermeter.cli", "gpu", "agent", "--demo", "--demo-devices", _DEVICES,
              "--interval", f"{_INTERVAL_S:g}", "--port", url.rpartition(":")[2]),
        env=env,
        cwd=places.data_dir,
        ready=readiness.answers(f"{url}/healthz"),
        health_url=f"{url}/healthz",
        urls={"metrics": f"{url}/metrics"},
    )  # fmt: skip
