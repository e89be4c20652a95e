"""A reader of GPUs that do not exist, for demonstrations on machines without one. Their model says so.

What each device does may be changed while it runs, through a small file that the reader looks at. Knows no metrics.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from infermeter import clock, guard
from infermeter.gpu.sample import SIMULATED, Gpu, GpuLostError, GpuProcess, GpuSample, Xid

Behaviour = Literal["busy", "idle", "starved", "hot", "mig", "lost"]
"""What a device does: ``starved`` has its model loaded and too little work, ``hot`` is slowed down by heat, ``mig`` is
cut into two instances, ``lost`` fell off the bus."""

BEHAVIOURS: tuple[Behaviour, ...] = get_args(Behaviour)
DEFAULT_DEVICES: tuple[Behaviour, ...] = ("busy", "idle", "hot", "mig", "lost")
MODEL = f"NVIDIA H200 {SIMULATED}"

_GIB = 2.0**30
_TOTAL_BYTES, _RESERVED_BYTES = 141 * _GIB, 0.6 * _GIB
_POWER_LIMIT_W = 700.0
_SLOWDOWN_CELSIUS = 90.0
_FELL_OFF_THE_BUS = 79  # the XID that a driver reports then
_IDLE, _POWER_CAP, _SOFTWARE_THERMAL, _HARDWARE_THERMAL = 0x1, 0x4, 0x20, 0x40  # why clocks are what they are


class _Load(NamedTuple):
    utilization_ratio: float
    used_ratio: float
    temperature_celsius: float
    power_watts: float
    sm_clock_hertz: float
    reasons: int


_LOADS: dict[str, _Load] = {
    "busy": _Load(0.86, 0.71, 63.0, 540.0, 1.98e9, _POWER_CAP),
    "idle": _Load(0.0, 0.0, 31.0, 78.0, 3.45e8, _IDLE),
    "starved": _Load(0.12, 0.71, 41.0, 165.0, 1.98e9, 0),
    "hot": _Load(0.93, 0.71, 88.0, 655.0, 1.2e9, _SOFTWARE_THERMAL | _HARDWARE_THERMAL),
    "mig": _Load(0.55, 0.40, 52.0, 350.0, 1.98e9, 0),
}


def steer(control: Path, behaviours: Mapping[int, Behaviour]) -> None:
    """Tell running devices, by number, what to do from their next reading on; those not named do as at first.

    Args:
        control: The file that the readers look at; replaced in one go, so none reads half of it.
        behaviours: What each is to do; empty for all as at first.

    Raises:
        OSError: The file cannot be written.
    """
    control.parent.mkdir(parents=True, exist_ok=True)
    draft = control.with_name(f"{control.name}.{os.getpid()}")
    draft.write_text(json.dumps({str(number): behaviour for number, behaviour in behaviours.items()}), encoding="utf-8")
    draft.replace(control)


class SimulatedReader:
    """A ``GpuReader`` of made-up devices, which lose themselves, heat up or starve when told to.

    Args:
        devices: What each does at first.
        control: A file of JSON that says otherwise while it is there, by number or UUID: ``{"0": "lost"}``, as
            ``steer`` writes it. Looked at in each cycle; one that makes no sense is said once and changes nothing.
        first: Number of the first device, so that several processes simulate different ones.
    """

    def __init__(
        self, devices: Sequence[Behaviour] = DEFAULT_DEVICES, *, control: Path | None = None, first: int = 0
    ) -> None:
        self._behaviours = tuple(devices)
        self._control, self._first = control, first
        self._told: dict[str, str] = {}
        self._read_s: dict[int, float] = {}
        self._energy_joules: dict[int, float] = {}
        self._throttled_seconds: dict[int, float] = {}
        self._lost: set[int] = set()
        self._unreported: list[Xid] = []

    def devices(self) -> Sequence[Gpu]:
        """Return all devices, lost ones included."""
        self._told = self._read_control()
        return [_device(self._first + i, self._now(self._first + i)) for i in range(len(self._behaviours))]

    def sample(self, gpu: Gpu) -> Sequence[GpuSample]:
        """Return values that move a little, as those of a real device do."""
        number, behaviour = gpu.number, self._now(gpu.number)
        if behaviour == "lost":
            if number not in self._lost:
                self._lost.add(number)
                self._unreported.append(Xid(gpu.uuid, _FELL_OFF_THE_BUS))
            self._read_s.pop(number, None)
            raise GpuLostError("simulated: it fell off the bus")
        self._lost.discard(number)
        load, now_s = _LOADS[behaviour], clock.monotonic_s()
        wave = math.sin(now_s / 17.0 + 2.1 * number) * 0.04 if load.utilization_ratio else 0.0
        utilization = load.utilization_ratio + wave
        power_watts = load.power_watts * (1.0 + wave / 2)
        elapsed_s = now_s - self._read_s.get(number, now_s)
        self._read_s[number] = now_s
        self._energy_joules[number] = self._energy_joules.get(number, 0.0) + power_watts * elapsed_s
        slowed_s = elapsed_s if load.reasons & _HARDWARE_THERMAL else 0.0
        self._throttled_seconds[number] = self._throttled_seconds.get(number, 0.0) + slowed_s
        temperature = round(load.temperature_celsius + 20 * wave)
        whole = GpuSample(
            gpu,
            sm_clock_hertz=load.sm_clock_hertz,
            memory_clock_hertz=3.201e9,
            memory_temperature_celsius=temperature + 8,
            temperature_celsius=temperature,
            temperature_margin_celsius=_SLOWDOWN_CELSIUS - temperature,
            power_watts=power_watts,
            power_limit_watts=_POWER_LIMIT_W,
            energy_joules=self._energy_joules[number],
            throttled_power_seconds=0,
            throttled_thermal_seconds=self._throttled_seconds[number],
            pcie_replays=0,
            remapped_uncorrectable_rows=0,
            remapped_correctable_rows=0,
            remap_failed=0,
            remap_pending=0,
            ecc_corrected_volatile=0,
            ecc_uncorrected_volatile=0,
            recovery_action=0,
            clocks_event_reasons=load.reasons,
        )
        if behaviour == "mig":  # what is told of the device, each instance repeats
            return [_instance(whole, i, load.used_ratio, utilization) for i in (1, 2)]
        used = load.used_ratio * (_TOTAL_BYTES - _RESERVED_BYTES)
        return [
            whole._replace(
                utilization_ratio=utilization,
                memory_copy_ratio=0.4 * utilization,
                encoder_ratio=0,
                decoder_ratio=0,
                memory_used_bytes=used,
                memory_free_bytes=_TOTAL_BYTES - _RESERVED_BYTES - used,
                memory_reserved_bytes=_RESERVED_BYTES,
                memory_total_bytes=_TOTAL_BYTES,
                graphics_active_ratio=utilization,
                sm_active_ratio=0.7 * utilization,
                tensor_active_ratio=0.5 * utilization,
                dram_active_ratio=0.3 * utilization,
            )
        ]

    def processes(self, gpu: Gpu) -> Sequence[GpuProcess]:  # noqa: ARG002  a device without processes
        """Return nothing: nobody runs on it."""
        return ()

    def wait(self, timeout_s: float) -> Sequence[Xid] | None:  # noqa: ARG002  what there is, is there at once
        """Return the errors of devices that were lost since the last call, else None."""
        found, self._unreported = self._unreported, []
        return found or None

    def errors(self) -> Mapping[tuple[str, int], int]:
        """Return nothing: no driver is called."""
        return {}

    def close(self) -> None:
        """Release nothing."""

    def reset_in_child(self) -> None:
        """Keep everything: nothing here is the parent's."""

    def _now(self, number: int) -> str:
        told = self._told.get(str(number), self._told.get(uuid_of(number)))
        return told or self._behaviours[number - self._first]

    def _read_control(self) -> dict[str, str]:
        if self._control is None:
            return {}
        try:
            content: object = json.loads(self._control.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            guard.log_once("gpu", "control", "infermeter: %s is left aside (%s)", self._control, error)
            return self._told
        if not isinstance(content, dict):
            guard.log_once("gpu", "control", "infermeter: %s is left aside (no JSON object)", self._control)
            return self._told
        told = {str(key): str(value) for key, value in cast("dict[object, object]", content).items()}
        unknown = sorted(set(told.values()) - set(BEHAVIOURS))
        if unknown:
            text = "infermeter: %s asks for %s; a device can be %s"
            guard.log_once("gpu", "control", text, self._control, ", ".join(unknown), ", ".join(BEHAVIOURS))
        return {key: value for key, value in told.items() if value in BEHAVIOURS}


def uuid_of(number: int) -> str:
    """Return the UUID of a simulated device."""
    return f"GPU-51500000-0000-4000-8000-{number:012x}"


def _device(number: int, behaviour: str) -> Gpu:
    instances = [f"MIG-51500000-0000-5000-8000-{number:08x}{i:04x}" for i in (1, 2)] if behaviour == "mig" else []
    bus_id = f"00000000:{0x18 + number:02X}:00.0"
    return Gpu(uuid_of(number), number, MODEL, bus_id, number, "0.0-simulated", mig_uuids=tuple(instances))


def _instance(whole: GpuSample, index: int, used_ratio: float, utilization: float) -> GpuSample:
    """Return one of two halves; utilisation is not told under MIG, activity is."""
    total = _TOTAL_BYTES / 2
    return whole._replace(
        gpu=whole.gpu._replace(mig_profile="3g.71gb", mig_id=str(index), mig_uuids=()),
        memory_used_bytes=used_ratio * total,
        memory_free_bytes=(1.0 - used_ratio) * total,
        memory_total_bytes=total,
        graphics_active_ratio=utilization * (1.2 if index == 1 else 0.8),
    )
