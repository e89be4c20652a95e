"""One NVIDIA GPU through NVML: which calls are made when, and what a failed one means.

At most 10 calls per GPU and cycle. What a device once said it does not support is not asked again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from infermeter import clock
from infermeter.gpu.nvml import Code, Handle, Memory, Nvml, NvmlError
from infermeter.gpu.sample import Gpu, GpuLostError, GpuSample
from infermeter.gpu.troubles import LOST, UNSUPPORTED, unavailable

SLOW_S = 60.0
"""Seconds between readings of what hardly changes, and between looks for a lost device."""
_GPM_MIN_S, _GPM_MAX_S = 0.1, 600.0  # NVML asks for 100 ms between two samples

_FIELDS: dict[int, tuple[str, float]] = {
    3: ("ecc_corrected_volatile", 1),
    4: ("ecc_uncorrected_volatile", 1),
    5: ("ecc_corrected_aggregate", 1),
    6: ("ecc_uncorrected_aggregate", 1),
    29: ("retired_pages_corrected", 1),
    30: ("retired_pages_uncorrected", 1),
    31: ("retired_pages_pending", 1),
    38: ("nvlink_crc_flit_errors", 1),
    45: ("nvlink_crc_data_errors", 1),
    52: ("nvlink_replay_errors", 1),
    59: ("nvlink_recovery_errors", 1),
    74: ("throttled_power_seconds", 1e9),
    75: ("throttled_thermal_seconds", 1e9),
    76: ("throttled_sync_boost_seconds", 1e9),
    77: ("throttled_board_limit_seconds", 1e9),
    78: ("throttled_low_utilization_seconds", 1e9),
    79: ("throttled_reliability_seconds", 1e9),
    82: ("memory_temperature_celsius", 1),
    83: ("energy_joules", 1e3),
    94: ("pcie_replays", 1),
    142: ("remapped_correctable_rows", 1),
    143: ("remapped_uncorrectable_rows", 1),
    144: ("remap_pending", 1),
    145: ("remap_failed", 1),
    185: ("power_watts", 1e3),
    197: ("pcie_sent_bytes", 1),
    198: ("pcie_received_bytes", 1),
    230: ("recovery_action", 1),
}
"""Field id to value and what divides it into SI units."""
_NVLINK = (138, 139)  # KiB sent and received on all links
_MAX_CELSIUS = 200  # what is hotter is a blank

GPM: dict[int, tuple[str, float]] = {
    1: ("graphics_active_ratio", 0.01),
    2: ("sm_active_ratio", 0.01),
    3: ("sm_occupancy_ratio", 0.01),
    5: ("tensor_active_ratio", 0.01),
    10: ("dram_active_ratio", 0.01),
    11: ("fp64_active_ratio", 0.01),
    12: ("fp32_active_ratio", 0.01),
    13: ("fp16_active_ratio", 0.01),
    20: ("pcie_sent_bytes_per_second", 2**20),
    21: ("pcie_received_bytes_per_second", 2**20),
}
"""GPM id to value and what multiplies it into SI units."""

Values = dict[str, float]


class _Activity:
    """Two buffers that take turns: what a device or instance did since the last cycle."""

    def __init__(self, nvml: Nvml, mig_id: int | None) -> None:
        self._nvml, self._mig_id = nvml, mig_id
        self._buffers = [nvml.gpm_buffer(), nvml.gpm_buffer()]
        self._at_s = [-math.inf, -math.inf]
        self._next = 0

    def read(self, handle: Handle) -> Values:
        """Sample now; empty until there are two samples, neither too close nor too far apart."""
        now, before = self._next, 1 - self._next
        self._nvml.gpm_sample(handle, self._buffers[now], self._mig_id)
        self._at_s[now] = clock.monotonic_s()
        self._next = before
        if not _GPM_MIN_S <= self._at_s[now] - self._at_s[before] <= _GPM_MAX_S:
            return {}
        means = self._nvml.gpm_between(self._buffers[before], self._buffers[now])
        return {field: means[number] * factor for number, (field, factor) in GPM.items() if number in means}

    def close(self) -> None:
        for buffer in self._buffers:
            self._nvml.free_gpm_buffer(buffer)


class _Instance:
    """One instance of a partitioned device."""

    def __init__(self, nvml: Nvml, handle: Handle, parent: Gpu, total_bytes: int, *, has_gpm: bool) -> None:
        self.handle, self.uuid = handle, nvml.uuid(handle)
        identity = nvml.mig_id(handle)
        slices, memory_bytes = nvml.mig_size(handle)
        self.gpu = parent._replace(
            mig_id=str(identity), mig_profile=f"{slices}g.{_gigabytes(memory_bytes, total_bytes)}gb"
        )
        self.activity = _Activity(nvml, identity) if has_gpm else None


class Device:
    """One device while the driver is open, and what it has turned out not to support."""

    def __init__(self, nvml: Nvml, index: int, driver_version: str) -> None:
        self._nvml = nvml
        self.handle = nvml.handle(index)
        self._unsupported: set[object] = set()
        self._fields = [*_FIELDS, *_NVLINK]
        self._slow: Values = {}
        self._slow_s = -math.inf
        self._cycle = 0
        self._answered, self._failure = False, ""
        self._links: tuple[float, float] | None = None
        self._codecs: Values = {}
        self.instances: list[_Instance] = []
        self.activity: _Activity | None = None
        handle = self.handle
        self.gpu = Gpu(
            nvml.uuid(handle), index, nvml.name(handle), nvml.pci_bus_id(handle), nvml.minor(handle), driver_version
        )
        has_gpm = bool(self._ask(nvml.has_gpm))
        parts: list[Handle] = self._ask(nvml.mig_instances) or []
        if parts:
            total = _total_bytes(nvml, handle)
            self.instances = [_Instance(nvml, part, self.gpu, total, has_gpm=has_gpm) for part in parts]
            self.gpu = self.gpu._replace(mig_uuids=tuple(part.uuid for part in self.instances))
        elif has_gpm:
            self.activity = _Activity(nvml, None)

    def _ask(self, function: Callable[[Handle], Any], handle: Handle | None = None) -> Any:
        """Call a getter unless the device has said it does not have it; None where it does not tell."""
        if function.__name__ in self._unsupported:
            return None
        try:
            answer = function(self.handle if handle is None else handle)
        except NvmlError as error:
            if error.code in UNSUPPORTED:
                self._unsupported.add(function.__name__)
                return None
            if error.code in LOST:
                raise GpuLostError(str(error)) from error
            if error.code == Code.INVALID_ARGUMENT:
                return self._refused(function)
            trouble = unavailable(error)
            if trouble is not None:
                raise trouble from error
            self._failure = str(error)
            return None  # a passing failure costs one value of one cycle
        self._answered = True
        return answer

    def _refused(self, function: Callable[[Handle], Any]) -> None:
        """Tell an argument that the driver does not know from a handle that is no longer valid."""
        try:
            self._nvml.uuid(self.handle)
        except NvmlError as error:
            raise unavailable(NvmlError(error.function, Code.UNINITIALIZED), opening=True) from error
        self._unsupported.add(function.__name__)

    def _memory(self, handle: Handle) -> Memory | None:
        memory: Memory | None = self._ask(self._nvml.memory, handle)
        if memory is None and "memory" in self._unsupported:
            memory = self._ask(self._nvml.memory_with_reserved, handle)
        return memory

    def read(self) -> list[GpuSample]:
        """Read everything that is due in this cycle."""
        self._answered, self._failure = False, ""
        samples = self._samples()
        if self._failure and not self._answered:  # as in a container that lost its devices
            raise GpuLostError(f"every call fails, the last one as {self._failure}")
        return samples

    def _samples(self) -> list[GpuSample]:
        nvml, values = self._nvml, dict[str, float]()
        if not self.instances:
            rates = self._ask(nvml.utilization)
            if rates is not None:
                values["utilization_ratio"], values["memory_copy_ratio"] = rates[0] / 100, rates[1] / 100
            values |= self._codec_ratios()
        celsius = self._ask(nvml.temperature)
        if celsius is None and "temperature" in self._unsupported:
            celsius = self._ask(nvml.temperature_of_old_driver)
        if celsius is not None and celsius <= _MAX_CELSIUS:
            values["temperature_celsius"] = celsius
        for field, function in (("sm_clock_hertz", nvml.sm_clock_mhz), ("memory_clock_hertz", nvml.memory_clock_mhz)):
            mhz = self._ask(function)
            if mhz is not None:
                values[field] = mhz * 1e6
        reasons = self._ask(nvml.clocks_event_reasons)
        if reasons is not None:
            values["clocks_event_reasons"] = reasons
        values |= self._field_values()
        if "power_watts" not in values:
            milliwatts = self._ask(nvml.power_mw)
            if milliwatts is not None:
                values["power_watts"] = milliwatts / 1e3
        values |= self._hardly_changing()
        self._cycle += 1
        if not self.instances:
            activity = self._activity(self.activity, self.handle)
            return [GpuSample(self.gpu, **_of_memory(self._memory(self.handle)), **values, **activity)]
        return [
            GpuSample(
                part.gpu,
                **_of_memory(self._memory(part.handle)),
                **values,
                **self._activity(part.activity, self.handle),
            )
            for part in self.instances
        ]

    def _codec_ratios(self) -> Values:
        """Ask for the encoder in one cycle and the decoder in the next: one call less, each value two cycles old."""
        nvml = self._nvml
        turns = (("encoder_ratio", nvml.encoder), ("decoder_ratio", nvml.decoder))
        for field, function in turns if self._cycle == 0 else (turns[self._cycle % 2],):
            percent = self._ask(function)
            self._codecs.pop(field, None)
            if percent is not None:
                self._codecs[field] = percent / 100
        return self._codecs

    def _field_values(self) -> Values:
        nvml = self._nvml

        def fields(handle: Handle) -> dict[int, float | None]:
            return nvml.fields(handle, self._fields)

        found: dict[int, float | None] = self._ask(fields) or {}
        self._fields = [number for number in self._fields if found.get(number, 0) is not None]
        values: Values = {}
        for number, (field, divisor) in _FIELDS.items():
            value = found.get(number)
            if value is not None and not (number == 82 and value > _MAX_CELSIUS):
                values[field] = value / divisor
        sent, received = (found.get(number) for number in _NVLINK)
        if sent is not None and received is not None:
            links, self._links = self._links, (clock.monotonic_s(), (sent + received) * 1024)
            elapsed_s = self._links[0] - links[0] if links else 0.0
            grown = self._links[1] - links[1] if links else 0.0
            values["nvlink_bytes_per_second"] = grown / elapsed_s if elapsed_s > 0 and grown >= 0 else 0.0
        return values

    def _hardly_changing(self) -> Values:
        nvml = self._nvml
        if clock.monotonic_s() - self._slow_s >= SLOW_S:
            self._slow_s = clock.monotonic_s()
            margin, limit = self._ask(nvml.temperature_margin), self._ask(nvml.power_limit_mw)
            licensed = self._ask(nvml.vgpu_licensed)
            told = {
                "temperature_margin_celsius": margin,
                "power_limit_watts": None if limit is None else limit / 1e3,
                "vgpu_licensed": licensed,
            }
            self._slow = {field: value for field, value in told.items() if value is not None}
        return self._slow

    def _activity(self, activity: _Activity | None, handle: Handle) -> Values:
        return {} if activity is None else self._ask(activity.read, handle) or {}

    def close(self) -> None:
        """Give memory of the driver back."""
        for activity in (self.activity, *(part.activity for part in self.instances)):
            if activity is not None:
                activity.close()


def _total_bytes(nvml: Nvml, handle: Handle) -> int:
    """Return the memory of a whole device; 0 where only its instances may be asked."""
    try:
        return nvml.memory(handle).total
    except NvmlError:
        return 0


def _of_memory(memory: Memory | None) -> Values:
    if memory is None:
        return {}
    values: Values = {
        "memory_free_bytes": memory.free,
        "memory_used_bytes": memory.used,
        "memory_total_bytes": memory.total,
    }
    if memory.reserved is not None:
        values["memory_reserved_bytes"] = memory.reserved
    return values


def _gigabytes(instance_bytes: int, total_bytes: int) -> int:
    """Return the size that an instance is called by: its share in eighths of the device's whole gigabytes."""
    if total_bytes <= 0:
        return round(instance_bytes / 1e9)
    eighths = math.ceil(8 * instance_bytes / total_bytes)
    return math.floor(math.ceil(total_bytes / 2**30) * eighths / 8 + 0.5)  # halves upwards
