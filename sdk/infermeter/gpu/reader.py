"""Reads all NVIDIA GPUs of the machine: the session with the driver, its devices, and the errors it reports.

The driver is opened lazily, again after trouble, and anew in a forked child. For one thread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from infermeter import clock
from infermeter.gpu.device import GPM, SLOW_S, Device
from infermeter.gpu.nvml import Code, Nvml, NvmlError
from infermeter.gpu.sample import Gpu, GpuLostError, GpuProcess, GpuSample, Xid
from infermeter.gpu.troubles import unavailable


class NvmlReader:
    """The real ``GpuReader``.

    Raises:
        MissingExtraError: The extra ``gpu`` is not installed.
    """

    def __init__(self) -> None:
        self._nvml = Nvml(tuple(GPM))
        self._devices: dict[str, Device] = {}
        self._lost: dict[str, Gpu] = {}
        self._events: Any = None
        self._is_open = self._is_child = False
        self._looked_s = -math.inf

    def devices(self) -> Sequence[Gpu]:
        """Return all devices, opening the driver if need be; lost ones are looked for once a minute."""
        if not self._is_open:
            self._open()
        elif self._lost and clock.monotonic_s() - self._looked_s >= SLOW_S:
            self._enumerate()
        known = {uuid: device.gpu for uuid, device in self._devices.items()}
        return sorted({**self._lost, **known}.values(), key=lambda gpu: gpu.number)

    def sample(self, gpu: Gpu) -> Sequence[GpuSample]:
        """Return what a device tells now."""
        device = self._devices.get(gpu.uuid)
        if device is None:
            raise GpuLostError(f"{gpu.uuid} has been lost")
        try:
            return device.read()
        except GpuLostError:
            self._lost[gpu.uuid] = gpu
            self._looked_s = clock.monotonic_s()
            del self._devices[gpu.uuid]
            raise

    def processes(self, gpu: Gpu) -> Sequence[GpuProcess]:
        """Return which processes hold a device; milliseconds on some drivers, so not for every cycle."""
        device = self._devices.get(gpu.uuid)
        try:
            found = [] if device is None else self._nvml.processes(device.handle)
        except NvmlError:
            return []
        is_whole = device is None or not device.instances
        return [GpuProcess(gpu.uuid, pid, "" if is_whole else str(part)) for pid, part in found]

    def wait(self, timeout_s: float) -> Sequence[Xid] | None:
        """Wait for XID errors; None where no device reports any."""
        if not self._is_open or self._events is None:
            return None
        try:
            found = self._nvml.wait_for_xid(self._events, max(int(timeout_s * 1000), 1))
            if found is None:
                return []
            return [Xid(self._nvml.uuid(found[0]), found[1])]
        except NvmlError:
            self._events = None  # whatever is wrong, the next reading will tell; until then nothing is waited for
            return None

    def errors(self) -> Mapping[tuple[str, int], int]:
        """Return failed calls by function and code."""
        return dict(self._nvml.errors)

    def close(self) -> None:
        """Release the driver."""
        if not self._is_open:
            return
        self._is_open = False
        with suppress(NvmlError):  # the driver may be gone, and its memory with it
            if self._events is not None:
                self._nvml.free_event_set(self._events)
            for device in self._devices.values():
                device.close()
        self._events = None
        self._devices = {}
        self._nvml.close()

    def reset_in_child(self) -> None:
        """Note that nothing inherited may be used; the next reading opens the driver anew."""
        self._is_child, self._is_open = True, False
        self._events, self._devices = None, {}

    def _open(self) -> None:
        if self._is_child:
            self._is_child = False
            self._nvml.drain_inherited()
        try:
            self._nvml.open()
        except NvmlError as error:
            raise unavailable(error, opening=True) from error
        self._is_open = True
        self._enumerate()

    def _enumerate(self) -> None:
        nvml = self._nvml
        self._looked_s = clock.monotonic_s()
        try:
            driver_version, count = nvml.driver_version(), nvml.count()
            refusals = [error for index in range(count) if (error := self._take_in(index, driver_version))]
            if refusals and not self._devices and not self._lost:
                raise refusals[0]
        except NvmlError as error:
            self.close()
            raise unavailable(error, opening=True) from error
        self._register_events()

    def _take_in(self, index: int, driver_version: str) -> NvmlError | None:
        """Add a device; one that cannot be had is left out, and the others are not the worse for it."""
        try:
            device = Device(self._nvml, index, driver_version)
        except NvmlError as error:
            return error
        except GpuLostError:
            return NvmlError("nvmlDeviceGetHandleByIndex", Code.GPU_IS_LOST)
        if device.gpu.uuid in self._devices:
            device.close()
        else:
            self._devices[device.gpu.uuid] = device
            self._lost.pop(device.gpu.uuid, None)
        return None

    def _register_events(self) -> None:
        """Wait for the errors of all devices that report any; without that there are still all values."""
        nvml, registered = self._nvml, False
        try:
            events = nvml.new_event_set() if self._events is None else self._events
        except NvmlError:
            return
        for device in self._devices.values():
            with suppress(NvmlError):
                registered |= nvml.register_xids(device.handle, events)
        self._events = events if registered else None
