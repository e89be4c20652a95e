"""What is known about one GPU at one moment, in SI units, and the seam behind which it is read.

None means that the GPU or its driver does not tell: such a value has no series. Knows no names of metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

SIMULATED = "(simulated)"
"""What the model of a device says that does not exist."""


class Gpu(NamedTuple):
    """A device, or one instance of a device that is partitioned (MIG)."""

    uuid: str
    """``GPU-…``; of an instance, its parent's."""
    number: int
    """NVML's, in the order of the PCI bus; not stable across reboots."""
    model: str
    pci_bus_id: str
    """With a domain of 8 digits: ``00000000:18:00.0``."""
    minor: int
    """The number of the device file ``/dev/nvidia<N>``."""
    driver_version: str = ""
    mig_profile: str = ""
    """Of an instance, such as ``3g.71gb``."""
    mig_id: str = ""
    """NVML's id of the GPU instance."""
    mig_uuids: tuple[str, ...] = ()
    """Of a partitioned device, its instances by id ``MIG-…``."""


class GpuSample(NamedTuple):
    """Values of one GPU or instance, read in one go. Ratios are 0 to 1; counters count since the driver was loaded."""

    gpu: Gpu
    sm_clock_hertz: float | None = None
    memory_clock_hertz: float | None = None
    memory_temperature_celsius: float | None = None
    temperature_celsius: float | None = None
    temperature_margin_celsius: float | None = None
    """Degrees until the GPU slows down."""
    power_watts: float | None = None
    """Mean of the last second on most models."""
    power_limit_watts: float | None = None
    energy_joules: float | None = None
    pcie_replays: float | None = None
    utilization_ratio: float | None = None
    """Share of time in which at least one kernel ran."""
    memory_copy_ratio: float | None = None
    """Share of time in which memory was read or written; says nothing about how full it is."""
    encoder_ratio: float | None = None
    decoder_ratio: float | None = None
    memory_free_bytes: float | None = None
    memory_used_bytes: float | None = None
    """Without what the driver reserves."""
    memory_reserved_bytes: float | None = None
    memory_total_bytes: float | None = None
    nvlink_bytes_per_second: float | None = None
    vgpu_licensed: float | None = None
    remapped_uncorrectable_rows: float | None = None
    remapped_correctable_rows: float | None = None
    remap_failed: float | None = None
    remap_pending: float | None = None
    graphics_active_ratio: float | None = None
    tensor_active_ratio: float | None = None
    dram_active_ratio: float | None = None
    pcie_sent_bytes_per_second: float | None = None
    pcie_received_bytes_per_second: float | None = None
    sm_active_ratio: float | None = None
    sm_occupancy_ratio: float | None = None
    fp64_active_ratio: float | None = None
    fp32_active_ratio: float | None = None
    fp16_active_ratio: float | None = None
    ecc_corrected_volatile: float | None = None
    ecc_uncorrected_volatile: float | None = None
    ecc_corrected_aggregate: float | None = None
    ecc_uncorrected_aggregate: float | None = None
    retired_pages_corrected: float | None = None
    retired_pages_uncorrected: float | None = None
    retired_pages_pending: float | None = None
    throttled_power_seconds: float | None = None
    throttled_thermal_seconds: float | None = None
    throttled_sync_boost_seconds: float | None = None
    throttled_board_limit_seconds: float | None = None
    throttled_low_utilization_seconds: float | None = None
    throttled_reliability_seconds: float | None = None
    clocks_event_reasons: float | None = None
    """Bits: 1 idle, 2 application clocks, 4 power cap, 8 hardware slowdown, 64 hardware thermal, 128 power brake."""
    recovery_action: float | None = None
    """0 none, 1 reset the GPU, 2 reboot the node, 3 drain, 4 drain and reset."""
    nvlink_crc_flit_errors: float | None = None
    nvlink_crc_data_errors: float | None = None
    nvlink_replay_errors: float | None = None
    nvlink_recovery_errors: float | None = None
    pcie_sent_bytes: float | None = None
    pcie_received_bytes: float | None = None


class Xid(NamedTuple):
    """An error that the driver reported for a GPU."""

    uuid: str
    code: int


class GpuProcess(NamedTuple):
    """A process that holds memory of a GPU; its id is the host's."""

    uuid: str
    pid: int
    mig_id: str = ""


class GpuUnavailableError(Exception):
    """No GPU can be read at the moment.

    Args:
        kind: A word that stays the same while the cause does.
        message: One sentence with the remedy.
        expected: Whether this is how a machine without GPUs looks, so that nobody needs to be warned.
        retry_s: Seconds before it makes sense to try again; 0 leaves that to the caller.
    """

    def __init__(self, kind: str, message: str, *, expected: bool = False, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.kind, self.expected, self.retry_s = kind, expected, retry_s


class GpuLostError(Exception):
    """This GPU does not answer any more; the others do."""


class GpuReader(Protocol):
    """Where samples come from. Used by one thread only; whatever it raises costs one GPU or one cycle, never more."""

    def devices(self) -> Sequence[Gpu]:
        """Return the devices of this machine, lost ones included.

        Raises:
            GpuUnavailableError: None can be read.
        """
        ...

    def sample(self, gpu: Gpu) -> Sequence[GpuSample]:
        """Return the values of a device: one sample, or one per instance if it is partitioned.

        Raises:
            GpuLostError: The device does not answer.
            GpuUnavailableError: None answers any more.
        """
        ...

    def processes(self, gpu: Gpu) -> Sequence[GpuProcess]:
        """Return which processes hold memory of a device; empty where that is not told."""
        ...

    def wait(self, timeout_s: float) -> Sequence[Xid] | None:
        """Wait for errors that the driver reports, at most this long; None at once where it does not report any."""
        ...

    def errors(self) -> Mapping[tuple[str, int], int]:
        """Return how often each function has failed with each code of NVML so far."""
        ...

    def close(self) -> None:
        """Release the driver, so that others may reset the GPU. A later call opens it again."""
        ...

    def reset_in_child(self) -> None:
        """Note that this is a forked child, whose inherited handles are worth nothing. Must not call the driver."""
        ...
