"""The driver's library NVML, through ``nvidia-ml-py``: the calls we make, typed, with errors told by code.

The only file that imports ``pynvml``. Knows single calls; which of them are made when, the reader knows.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import IntEnum
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

from infermeter.errors import MissingExtraError

LIBRARY = "libnvidia-ml.so.1"
_XID_EVENT = 0x8
_ALL_LINKS = 0xFFFFFFFF

Handle: TypeAlias = Any
"""A device, valid until the driver is released."""


class Code(IntEnum):
    """What a call of NVML may answer; the codes we tell apart."""

    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    DRIVER_NOT_LOADED = 9
    TIMEOUT = 10
    LIBRARY_NOT_FOUND = 12
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    LIB_RM_VERSION_MISMATCH = 18
    UNKNOWN = 999


class NvmlError(Exception):
    """A call failed.

    Args:
        function: Which one.
        code: What it answered.
    """

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function} answered {code}")
        self.function, self.code = function, code


class Memory(NamedTuple):
    """Framebuffer memory in bytes; what the driver reserves is not among the used, unless it does not tell it apart."""

    total: int
    free: int
    used: int
    reserved: int | None


class Nvml:
    """One session with the driver.

    Args:
        gpm_metrics: Ids that are asked for in one go on devices that know GPM.

    Raises:
        MissingExtraError: The extra ``gpu`` is not installed.
    """

    def __init__(self, gpm_metrics: Sequence[int]) -> None:
        try:
            self._lib: Any = import_module("pynvml")
        except ImportError:
            raise MissingExtraError("reading GPUs (observe_gpus, infermeter gpu)", "gpu") from None
        self.errors: dict[tuple[str, int], int] = {}
        self._open = False
        self._gpm_metrics = tuple(gpm_metrics)
        self._gpm_request: Any = None

    def _call(self, function: str, *arguments: Any) -> Any:
        """Call a function of pynvml; every failure is counted."""
        call = getattr(self._lib, function, None)
        if call is None:
            raise self._failed(function, Code.FUNCTION_NOT_FOUND)
        try:
            return call(*arguments)
        except self._lib.NVMLError as error:
            # Compared by value: pynvml's exceptions have an __eq__ that raises.
            raise self._failed(function, int(error.value)) from None

    def _failed(self, function: str, code: int) -> NvmlError:
        if code != Code.TIMEOUT:  # how a wait without an event ends
            self.errors[function, int(code)] = self.errors.get((function, int(code)), 0) + 1
        return NvmlError(function, code)

    # --- the session ---------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Initialise; paired with our own shutdown, as others in this process may use NVML too."""
        self._call("nvmlInit")
        self._open = True

    def close(self) -> None:
        """Shut our session down."""
        if not self._open:
            return
        self._open = False
        self._gpm_request = None
        with suppress(NvmlError):  # somebody else shut down more often than they initialised
            self._call("nvmlShutdown")

    def drain_inherited(self) -> None:
        """In a forked child, give up every reference that was inherited; an initialisation on top would do nothing."""
        # A lock of pynvml's that another thread of the parent held would stay locked here for ever.
        self._lib.libLoadLock = threading.Lock()
        self._open = False
        self._gpm_request = None
        with suppress(self._lib.NVMLError):
            for _ in range(1000):
                self._lib.nvmlShutdown()

    def driver_version(self) -> str:
        """Return the driver's version, such as ``590.48.01``."""
        return str(self._call("nvmlSystemGetDriverVersion"))

    # --- devices -------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """Return how many devices the driver knows, lost ones included."""
        return int(self._call("nvmlDeviceGetCount"))

    def handle(self, index: int) -> Handle:
        """Return the device with this index."""
        return self._call("nvmlDeviceGetHandleByIndex", index)

    def name(self, handle: Handle) -> str:
        """Return the model, such as ``NVIDIA H200``."""
        return str(self._call("nvmlDeviceGetName", handle))

    def uuid(self, handle: Handle) -> str:
        """Return ``GPU-…`` of a device, ``MIG-…`` of an instance."""
        return str(self._call("nvmlDeviceGetUUID", handle))

    def minor(self, handle: Handle) -> int:
        """Return the number of the device file."""
        return int(self._call("nvmlDeviceGetMinorNumber", handle))

    def pci_bus_id(self, handle: Handle) -> str:
        """Return the place on the PCI bus, with a domain of 8 digits."""
        bus_id: Any = self._call("nvmlDeviceGetPciInfo", handle).busId
        return bus_id.decode() if isinstance(bus_id, bytes) else str(bus_id)

    def mig_instances(self, handle: Handle) -> list[Handle]:
        """Return the instances of a partitioned device; empty if it is whole."""
        if not int(self._call("nvmlDeviceGetMigMode", handle)[0]):
            return []
        found: list[Handle] = []
        for number in range(int(self._call("nvmlDeviceGetMaxMigDeviceCount", handle))):
            with suppress(NvmlError):  # places that hold no instance; what else may be wrong, the next call tells
                found.append(self._call("nvmlDeviceGetMigDeviceHandleByIndex", handle, number))
        return found

    def mig_id(self, instance: Handle) -> int:
        """Return the id of a GPU instance."""
        return int(self._call("nvmlDeviceGetGpuInstanceId", instance))

    def mig_size(self, instance: Handle) -> tuple[int, int]:
        """Return slices and memory in bytes of a GPU instance."""
        attributes = self._call("nvmlDeviceGetAttributes", instance)
        return int(attributes.gpuInstanceSliceCount), int(attributes.memorySizeMB) * 2**20

    # --- values --------------------------------------------------------------------------------------------------

    def utilization(self, handle: Handle) -> tuple[int, int]:
        """Return per cent of time with a kernel, and with memory traffic."""
        rates = self._call("nvmlDeviceGetUtilizationRates", handle)
        return int(rates.gpu), int(rates.memory)

    def encoder(self, handle: Handle) -> int:
        """Return the encoder's utilisation in per cent."""
        return int(self._call("nvmlDeviceGetEncoderUtilization", handle)[0])

    def decoder(self, handle: Handle) -> int:
        """Return the decoder's utilisation in per cent."""
        return int(self._call("nvmlDeviceGetDecoderUtilization", handle)[0])

    def memory(self, handle: Handle) -> Memory:
        """Return the framebuffer's memory, with what is reserved told apart (driver 510 and newer)."""
        info = self._call("nvmlDeviceGetMemoryInfo", handle, self._lib.nvmlMemory_v2)
        return Memory(int(info.total), int(info.free), int(info.used), int(info.reserved))

    def memory_with_reserved(self, handle: Handle) -> Memory:
        """Return the same on older drivers, where the reserved is among the used."""
        info = self._call("nvmlDeviceGetMemoryInfo", handle)
        return Memory(int(info.total), int(info.free), int(info.used), None)

    def temperature(self, handle: Handle) -> int:
        """Return the core's temperature in degrees Celsius."""
        return int(self._call("nvmlDeviceGetTemperatureV", handle, self._lib.NVML_TEMPERATURE_GPU))

    def temperature_of_old_driver(self, handle: Handle) -> int:
        """Return the same from drivers before 570."""
        return int(self._call("nvmlDeviceGetTemperature", handle, self._lib.NVML_TEMPERATURE_GPU))

    def temperature_margin(self, handle: Handle) -> int:
        """Return degrees until the GPU slows down."""
        return int(self._call("nvmlDeviceGetMarginTemperature", handle))

    def sm_clock_mhz(self, handle: Handle) -> int:
        """Return the clock of the multiprocessors."""
        return int(self._call("nvmlDeviceGetClockInfo", handle, self._lib.NVML_CLOCK_SM))

    def memory_clock_mhz(self, handle: Handle) -> int:
        """Return the clock of the memory."""
        return int(self._call("nvmlDeviceGetClockInfo", handle, self._lib.NVML_CLOCK_MEM))

    def clocks_event_reasons(self, handle: Handle) -> int:
        """Return why clocks are what they are, as a bit mask."""
        return int(self._call("nvmlDeviceGetCurrentClocksEventReasons", handle))

    def power_mw(self, handle: Handle) -> int:
        """Return the power draw in milliwatts."""
        return int(self._call("nvmlDeviceGetPowerUsage", handle))

    def power_limit_mw(self, handle: Handle) -> int:
        """Return the power limit in milliwatts."""
        return int(self._call("nvmlDeviceGetPowerManagementLimit", handle))

    def vgpu_licensed(self, handle: Handle) -> int:
        """Return 1 if a vGPU feature is licensed, else 0."""
        found = self._call("nvmlDeviceGetGridLicensableFeatures", handle)
        features = found.gridLicensableFeatures[: int(found.licensableFeaturesCount)]
        return int(any(feature.featureEnabled for feature in features))

    def fields(self, handle: Handle, ids: Iterable[int]) -> dict[int, float | None]:
        """Return field values by id, fetched in one go; None for those that the device does not have."""
        wanted = [(number, _ALL_LINKS if number in (138, 139) else 0) for number in ids]
        values: dict[int, float | None] = {}
        for entry in self._call("nvmlDeviceGetFieldValues", handle, wanted):
            number = int(entry.fieldId)
            values[number] = None if entry.nvmlReturn else _decoded(entry)
        return values

    # --- activity, sampled by GPM (Hopper and newer) --------------------------------------------------------------

    def has_gpm(self, handle: Handle) -> bool:
        """Return whether the device samples its activity."""
        return bool(self._call("nvmlGpmQueryDeviceSupport", handle).isSupportedDevice)

    def gpm_buffer(self) -> Any:
        """Return memory for one sample; lives until ``free_gpm_buffer``."""
        return self._call("nvmlGpmSampleAlloc")

    def free_gpm_buffer(self, buffer: Any) -> None:
        """Give the memory back."""
        self._call("nvmlGpmSampleFree", buffer)

    def gpm_sample(self, handle: Handle, buffer: Any, mig_id: int | None) -> None:
        """Take a sample of a device, or of an instance of it."""
        if mig_id is None:
            self._call("nvmlGpmSampleGet", handle, buffer)
        else:
            self._call("nvmlGpmMigSampleGet", handle, mig_id, buffer)

    def gpm_between(self, before: Any, after: Any) -> dict[int, float]:
        """Return the means between two samples by metric id, without those that the device does not have."""
        if self._gpm_request is None:  # 19 kB, made once
            self._gpm_request = self._lib.c_nvmlGpmMetricsGet_t()
            self._gpm_request.version = self._lib.NVML_GPM_METRICS_GET_VERSION
            self._gpm_request.numMetrics = len(self._gpm_metrics)
            for place, number in enumerate(self._gpm_metrics):
                self._gpm_request.metrics[place].metricId = number
        request = self._gpm_request
        request.sample1, request.sample2 = before, after
        self._call("nvmlGpmMetricsGet", request)
        answers = [request.metrics[place] for place in range(len(self._gpm_metrics))]
        return {int(a.metricId): float(a.value) for a in answers if not a.nvmlReturn and a.value == a.value}

    # --- events and processes ------------------------------------------------------------------------------------

    def new_event_set(self) -> Any:
        """Return an empty set of events to wait for."""
        return self._call("nvmlEventSetCreate")

    def free_event_set(self, events: Any) -> None:
        """Give the set back."""
        self._call("nvmlEventSetFree", events)

    def register_xids(self, handle: Handle, events: Any) -> bool:
        """Wait for a device's XID errors from now on; False if it does not report any."""
        kinds = int(self._call("nvmlDeviceGetSupportedEventTypes", handle)) & _XID_EVENT
        if kinds:
            self._call("nvmlDeviceRegisterEvents", handle, kinds, events)
        return bool(kinds)

    def wait_for_xid(self, events: Any, timeout_ms: int) -> tuple[Handle, int] | None:
        """Wait for the next XID error; returns device and code, None when time is up."""
        try:
            event = self._call("nvmlEventSetWait", events, timeout_ms)
        except NvmlError as error:
            if error.code == Code.TIMEOUT:
                return None
            raise
        return event.device, int(event.eventData)

    def processes(self, handle: Handle) -> list[tuple[int, int]]:
        """Return id and GPU instance of each process that computes here; the ids are the host's."""
        found = self._call("nvmlDeviceGetComputeRunningProcesses", handle)
        return [(int(process.pid), int(process.gpuInstanceId)) for process in found]


def library_is_there() -> bool:
    """Return whether the driver's library can be loaded; does not initialise it."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def _decoded(entry: Any) -> float:
    if int(entry.fieldId) == 82:  # memory temperature, whose type some drivers mislabel
        return int(entry.value.uiVal)
    names = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal")
    kind = int(entry.valueType)
    value: float = getattr(entry.value, names[kind] if kind < len(names) else "ullVal")
    return value
