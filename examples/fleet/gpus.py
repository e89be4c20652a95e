"""Simulated GPUs behind infermeter's own seam (`GpuReader`): values as an H100 under such a load would show them.

Faults: gpu-lost (one of training-0's falls off the bus), hot-gpu (another one of its slows down in the heat),
starved-batching and host-bound (those of digits have little to do).
"""

from __future__ import annotations

import math
import random
import time
import zlib
from collections.abc import Mapping, Sequence

from infermeter.gpu.sample import Gpu, GpuLostError, GpuProcess, GpuSample, Xid

from .control import POLL_S, Control
from .pods import Pod

LOST_GPU, HOT_GPU = 1, 2
"""Numbers of the GPUs of training-0 that break."""
INTERVAL_S = 1.0
_BUSY = {"digits": 0.62, "assistant": 0.55, "": 0.93}
_IDLE = {"starved-batching": 0.13, "host-bound": 0.04}
_MEMORY_BYTES = 80 * 2**30
_FALLEN_OFF_THE_BUS = 79
_THERMAL_SLOWDOWN = 8 + 64


class SimulatedGpus:
    """The GPUs of one pod.

    Args:
        pod: Whose they are.
        control: What they get wrong.
    """

    def __init__(self, pod: Pod, control: Control) -> None:
        self._pod, self._control, self._chance = pod, control, random.Random(pod.name)
        self._gpus = [_gpu(pod, number) for number in pod.gpus]
        self._reported = False
        self._throttled_s = 0.0
        self._energy_joules = 0.0

    def devices(self) -> Sequence[Gpu]:
        """Return the devices."""
        return self._gpus

    def sample(self, gpu: Gpu) -> Sequence[GpuSample]:
        """Return values that wander a little around what the pod's work would cause."""
        if self._is_lost(gpu):
            raise GpuLostError(f"{gpu.uuid} has fallen off the bus")
        busy = self._busy(gpu)
        hot = gpu.number == HOT_GPU and not self._pod.model and self._control.has("hot-gpu")
        celsius = 96.0 if hot else 38.0 + 30.0 * busy
        watts = 90.0 + (250.0 if hot else 560.0) * busy
        self._throttled_s += INTERVAL_S if hot else 0.0
        self._energy_joules += watts * INTERVAL_S
        used = (0.55 + 0.02 * busy) * _MEMORY_BYTES
        return [
            GpuSample(
                gpu,
                sm_clock_hertz=(0.6 if hot else 1.755) * 1e9,
                memory_clock_hertz=2.619e9,
                temperature_celsius=celsius,
                memory_temperature_celsius=celsius + 6,
                temperature_margin_celsius=90.0 - celsius,
                power_watts=watts,
                power_limit_watts=700.0,
                energy_joules=self._energy_joules,
                utilization_ratio=busy,
                memory_copy_ratio=busy * 0.4,
                memory_used_bytes=used,
                memory_free_bytes=_MEMORY_BYTES - used,
                memory_total_bytes=_MEMORY_BYTES,
                memory_reserved_bytes=0.0,
                pcie_replays=0.0,
                ecc_corrected_volatile=0.0,
                ecc_uncorrected_volatile=0.0,
                ecc_corrected_aggregate=0.0,
                ecc_uncorrected_aggregate=0.0,
                remapped_correctable_rows=0.0,
                remapped_uncorrectable_rows=0.0,
                remap_failed=0.0,
                remap_pending=0.0,
                throttled_thermal_seconds=self._throttled_s,
                throttled_power_seconds=0.0,
                clocks_event_reasons=float(_THERMAL_SLOWDOWN if hot else 0),
                recovery_action=0.0,
            )
        ]

    def processes(self, gpu: Gpu) -> Sequence[GpuProcess]:
        """Return nobody: no process of this machine is really there."""
        del gpu
        return []

    def wait(self, timeout_s: float) -> Sequence[Xid] | None:
        """Wait for a GPU to be lost."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            lost = [gpu for gpu in self._gpus if self._is_lost(gpu)]
            if lost and not self._reported:
                self._reported = True
                return [Xid(gpu.uuid, _FALLEN_OFF_THE_BUS) for gpu in lost]
            self._reported = bool(lost)
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return []
            time.sleep(min(left_s, POLL_S))

    def errors(self) -> Mapping[tuple[str, int], int]:
        """Return no failed calls."""
        return {}

    def close(self) -> None:
        """Release nothing."""

    def reset_in_child(self) -> None:
        """Inherit everything: nothing is open."""

    def _is_lost(self, gpu: Gpu) -> bool:
        return gpu.number == LOST_GPU and not self._pod.model and self._control.has("gpu-lost")

    def _busy(self, gpu: Gpu) -> float:
        idle = next((ratio for fault, ratio in _IDLE.items() if self._control.has(fault)), None)
        level = idle if idle is not None and self._pod.model == "digits" else _BUSY[self._pod.model]
        wave = 0.05 * math.sin(time.time() / 40 + gpu.number)
        return min(max(level * (1 + wave + self._chance.gauss(0, 0.04)), 0.0), 1.0)


def _gpu(pod: Pod, number: int) -> Gpu:
    serial = zlib.crc32(f"{pod.node}/{number}".encode())
    return Gpu(
        uuid=f"GPU-{serial:08x}-0000-4000-8000-{serial:012x}",
        number=number,
        model="NVIDIA H100 80GB HBM3 (simulated)",
        pci_bus_id=f"00000000:{0x18 + number:02x}:00.0",
        minor=number,
        driver_version="570.00",
    )
