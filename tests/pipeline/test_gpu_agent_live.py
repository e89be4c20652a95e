"""The GPU agent in a real stack: its simulated devices reach Prometheus under dcgm-exporter's names."""

from __future__ import annotations

import pytest
from tests.pipeline.conftest import StartStack
from tests.pipeline.live_stack import LiveStack, eventually

from infermeter.cli.stack.loopback import get
from infermeter.gpu.schema import PROFILES, metrics_of
from infermeter.gpu.simulated import SIMULATED

pytestmark = pytest.mark.pipeline

# What the public dashboard 12239 for dcgm-exporter asks for, panel by panel, with its variables filled in.
_CHOSEN = '{{instance=~"{instance}", gpu=~"0|1|2"}}'
PUBLIC_PANELS = {
    "GPU Temperature": "DCGM_FI_DEV_GPU_TEMP$",
    "GPU Avg. Temp": "avg(DCGM_FI_DEV_GPU_TEMP$)",
    "GPU Power Usage": "DCGM_FI_DEV_POWER_USAGE$",
    "GPU Power Total": "sum(DCGM_FI_DEV_POWER_USAGE$)",
    "GPU SM Clocks": "DCGM_FI_DEV_SM_CLOCK$ * 1000000",
    "GPU Utilization": "DCGM_FI_DEV_GPU_UTIL$",
    "GPU Framebuffer Mem Used": "DCGM_FI_DEV_FB_USED$",
    "Tensor Core Utilization": "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE$",
}
LABELS = {"gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION"}
IDENTITY = {"__name__", "job", "instance", "host_name", "namespace"}


def test_gpu_panels_are_filled_with_devices_that_say_they_are_simulated(start_stack: StartStack) -> None:
    live = start_stack(gpus=True, speed=30.0)
    eventually("simulated GPUs", lambda: live.query("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"))

    _names_arrive_as_they_are(live)
    _public_panels_find_series(live)
    models = {labels["modelName"] for labels, _ in live.query('{__name__=~"DCGM_.*"}')}
    assert all(SIMULATED in model for model in models)
    eventually("what our panels show", lambda: live.query("gpu:utilization_ratio:avg5m"), timeout_s=90)


def _names_arrive_as_they_are(live: LiveStack) -> None:
    """Compare what Prometheus has with what the agent serves: names with their case, no suffix, all labels."""
    known = {metric.name for metric in metrics_of(PROFILES["dcgm-4.8"])}
    rows = live.query('{__name__=~"(?i:dcgm).*|gpu_l.*"}')
    names = {labels["__name__"] for labels, _ in rows}
    status, page = get(f"{live.stack.url('gpu-agent')}/metrics")
    assert status == 200
    served = {line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE")}
    assert names == {name for name in served if not name.startswith("infermeter_")}  # which the agent says of itself
    assert names <= known
    assert all(
        set(labels) - IDENTITY - {"GPU_I_ID", "GPU_I_PROFILE"} == LABELS
        for labels, _ in rows
        if labels["__name__"].startswith("DCGM_FI")
    )


def _public_panels_find_series(live: LiveStack) -> None:
    # label_values(DCGM_FI_DEV_GPU_TEMP, instance) and (…, gpu) fill the dashboard's variables.
    instances = {labels["instance"] for labels, _ in live.query("DCGM_FI_DEV_GPU_TEMP")}
    chosen = _CHOSEN.format(instance="|".join(instances))
    empty = [panel for panel, expr in PUBLIC_PANELS.items() if not live.query(expr.replace("$", chosen))]
    assert empty == []
