"""The table of GPU metrics: from a value in SI units to name, unit and type in each generation of dcgm-exporter.

Profiles: ``dcgm-4.8`` is what dashboards and rules know; ``dcgm-4.8.3`` spells the host's label in lower case;
``dcgm-4.9`` has new names and base units. Help texts of the first two are the exporter's, they are part of its format.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from infermeter.catalog import Metric
from infermeter.errors import ConfigError

Kind = Literal["gauge", "counter"]
Form = Literal["whole", "floor", "real"]
"""How the exporter prints a value: as an integer, rounded or cut off, or with six decimals."""


class Column(NamedTuple):
    """A metric in one profile: the value in SI units times ``factor`` is what it shows."""

    name: str
    kind: Kind
    help: str
    factor: float = 1.0
    form: Form = "whole"

    def shown(self, value: float) -> int | float:
        """Return the number as the exporter would print it."""
        scaled = value * self.factor
        if self.form == "real":
            return scaled
        # Half of the smallest step, so that 0.29 * 100 is 29 and a byte less than a MiB is none.
        return math.floor(scaled + 2**-21) if self.form == "floor" else round(scaled)


class Row(NamedTuple):
    """One value and its metric in each profile."""

    field: str
    """Of ``GpuSample``."""
    nvml: str
    """Where NVML tells it; FV are ids of ``nvmlDeviceGetFieldValues``, GPM those of ``nvmlGpmMetricsGet``."""
    old: Column
    later: Column
    new: Column


class Profile(NamedTuple):
    """One generation: its spelling of labels, and which column of each row it shows."""

    name: str
    host_label: str
    driver_label: str
    columns: tuple[tuple[str, Column], ...]
    """Field of the sample and what it is shown as, in the exporter's order."""
    xid: Column


_MEGA, _MIB, _PERCENT, _MILLI, _NANO = 1e-6, 2.0**-20, 100.0, 1e3, 1e9


def _row(
    field: str,
    nvml: str,
    name: str,
    text: str,
    kind: Kind = "gauge",
    factor: float = 1.0,
    form: Form = "whole",
    *,
    later_kind: Kind | None = None,
    new: str = "",
    new_text: str = "",
    new_factor: float | None = None,
    new_form: Form | None = None,
) -> Row:
    old = Column(f"DCGM_FI_{name}", kind, text, factor, form)
    later = old._replace(kind=later_kind or kind)
    newest = Column(
        f"DCGM_FI_{new or name}",
        "counter" if new.endswith("_TOTAL") else later.kind,
        new_text or text,
        factor if new_factor is None else new_factor,
        new_form or form,
    )
    return Row(field, nvml, old, later, newest)


def _clock(field: str, nvml: str, name: str, text: str, new: str) -> Row:
    text, unit = f"{text} frequency (in MHz).", f"{text} frequency (in Hz)."
    return _row(field, nvml, name, text, factor=_MEGA, new=new, new_text=unit, new_factor=1.0)


def _percent(field: str, nvml: str, name: str, what: str, new: str) -> Row:
    old, ratio = f"{what} utilization (in %).", f"{what} utilization (0 to 1)."
    return _row(field, nvml, name, old, factor=_PERCENT, new=new, new_text=ratio, new_factor=1.0, new_form="real")


def _memory(field: str, name: str, state: str) -> Row:
    nvml, text = "nvmlDeviceGetMemoryInfo_v2", f"Framebuffer memory {state} (in MiB)."
    new_text = f"Framebuffer memory {state} (in bytes)."
    return _row(
        field, nvml, name, text, factor=_MIB, form="floor", new=f"{name}_BYTES", new_text=new_text, new_factor=1.0
    )


def _active(field: str, gpm: int, name: str, text: str, new: str = "") -> Row:
    return _row(field, f"GPM {gpm}", f"PROF_{name}", text, form="real", new=f"PROF_{new}" if new else "")


def _throttled(field: str, fv: int, name: str, why: str, new: str) -> Row:
    return _row(
        field,
        f"FV {fv}",
        f"DEV_{name}_VIOLATION",
        f"Throttling duration due to {why} (in ns).",
        "counter",
        _NANO,
        new=f"DEV_GPU_{new}_THROTTLE_SECONDS_TOTAL",
        new_text=f"Throttling duration due to {why} (in s).",
        new_factor=1.0,
        new_form="real",
    )


_PCIE = (
    "The rate of data {} over the PCIe bus - including both protocol headers and data payloads - in bytes per second."
)

DEFAULT_ROWS: tuple[Row, ...] = (
    _clock("sm_clock_hertz", "nvmlDeviceGetClockInfo", "DEV_SM_CLOCK", "SM clock", "DEV_SM_CLOCK_HERTZ"),
    _clock("memory_clock_hertz", "nvmlDeviceGetClockInfo", "DEV_MEM_CLOCK", "Memory clock", "DEV_MEMORY_CLOCK_HERTZ"),
    _row("memory_temperature_celsius", "FV 82", "DEV_MEMORY_TEMP", "Memory temperature (in C).",
         new="DEV_MEMORY_TEMP_CELSIUS"),
    _row("temperature_celsius", "nvmlDeviceGetTemperatureV", "DEV_GPU_TEMP", "GPU temperature (in C).",
         new="DEV_GPU_TEMP_CELSIUS"),
    _row("power_watts", "FV 185, else nvmlDeviceGetPowerUsage", "DEV_POWER_USAGE", "Power draw (in W).", form="real",
         new="DEV_BOARD_POWER_WATTS"),
    _row("energy_joules", "FV 83", "DEV_TOTAL_ENERGY_CONSUMPTION", "Total energy consumption since boot (in mJ).",
         "counter", _MILLI, new="DEV_GPU_ENERGY_JOULES_TOTAL", new_text="Total energy consumption since boot (in J).",
         new_factor=1.0, new_form="floor"),
    _row("pcie_replays", "FV 94", "DEV_PCIE_REPLAY_COUNTER", "Total number of PCIe retries.", "counter",
         new="DEV_PCIE_REPLAY_TOTAL"),
    _percent("utilization_ratio", "nvmlDeviceGetUtilizationRates", "DEV_GPU_UTIL", "GPU", "DEV_GPU_UTIL_RATIO"),
    _percent("memory_copy_ratio", "nvmlDeviceGetUtilizationRates", "DEV_MEM_COPY_UTIL", "Memory",
             "DEV_MEMORY_UTIL_RATIO"),
    _percent("encoder_ratio", "nvmlDeviceGetEncoderUtilization", "DEV_ENC_UTIL", "Encoder", "DEV_ENC_UTIL_RATIO"),
    _percent("decoder_ratio", "nvmlDeviceGetDecoderUtilization", "DEV_DEC_UTIL", "Decoder", "DEV_DEC_UTIL_RATIO"),
    _memory("memory_free_bytes", "DEV_FB_FREE", "free"),
    _memory("memory_used_bytes", "DEV_FB_USED", "used"),
    _memory("memory_reserved_bytes", "DEV_FB_RESERVED", "reserved"),
    _row("nvlink_bytes_per_second", "FV 138 and 139", "DEV_NVLINK_BANDWIDTH_TOTAL",
         "Total number of NVLink bandwidth counters for all lanes.", "counter", 1 / 1_024_000, "floor",
         later_kind="gauge", new="DEV_NVLINK_THROUGHPUT_BYTES_PER_SECOND",
         new_text="NVLink data rate of all lanes (in bytes per second).", new_factor=1.0),
    _row("vgpu_licensed", "nvmlDeviceGetGridLicensableFeatures", "DEV_VGPU_LICENSE_STATUS", "vGPU License status"),
    _row("remapped_uncorrectable_rows", "FV 143", "DEV_UNCORRECTABLE_REMAPPED_ROWS",
         "Number of remapped rows for uncorrectable errors", "counter", new="DEV_ROW_REMAP_UNCORRECTABLE_TOTAL"),
    _row("remapped_correctable_rows", "FV 142", "DEV_CORRECTABLE_REMAPPED_ROWS",
         "Number of remapped rows for correctable errors", "counter", new="DEV_ROW_REMAP_CORRECTABLE_TOTAL"),
    _row("remap_failed", "FV 145", "DEV_ROW_REMAP_FAILURE", "Whether remapping of rows has failed",
         new="DEV_ROW_REMAP_FAILED"),
    _active("graphics_active_ratio", 1, "GR_ENGINE_ACTIVE", "Ratio of time the graphics engine is active.",
            "GR_ENGINE_UTIL_RATIO"),
    _active("tensor_active_ratio", 5, "PIPE_TENSOR_ACTIVE", "Ratio of cycles the tensor (HMMA) pipe is active.",
            "TENSOR_UTIL_RATIO"),
    _active("dram_active_ratio", 10, "DRAM_ACTIVE",
            "Ratio of cycles the device memory interface is active sending or receiving data.", "DRAM_UTIL_RATIO"),
    _row("pcie_sent_bytes_per_second", "GPM 20", "PROF_PCIE_TX_BYTES", _PCIE.format("transmitted")),
    _row("pcie_received_bytes_per_second", "GPM 21", "PROF_PCIE_RX_BYTES", _PCIE.format("received")),
)  # fmt: skip
"""What the exporter shows by default; its other two rows are the XID (``Profile.xid``) and the driver's label."""

HEALTH_ROWS: tuple[Row, ...] = (
    _row("memory_total_bytes", "nvmlDeviceGetMemoryInfo_v2", "DEV_FB_TOTAL", "Framebuffer memory in total (in MiB).",
         factor=_MIB, form="floor", new="DEV_FB_CAPACITY_BYTES", new_text="Framebuffer memory in total (in bytes).",
         new_factor=1.0),
    _row("power_limit_watts", "nvmlDeviceGetPowerManagementLimit", "DEV_POWER_MGMT_LIMIT", "Power limit (in W).",
         form="real"),
    _row("temperature_margin_celsius", "nvmlDeviceGetMarginTemperature", "DEV_GPU_TEMP_LIMIT",
         "Degrees until the GPU slows down (in C)."),
    _active("sm_active_ratio", 2, "SM_ACTIVE", "Ratio of cycles an SM has at least 1 warp assigned."),
    _active("sm_occupancy_ratio", 3, "SM_OCCUPANCY", "Ratio of number of warps resident on an SM."),
    _active("fp64_active_ratio", 11, "PIPE_FP64_ACTIVE", "Ratio of cycles the fp64 pipe is active."),
    _active("fp32_active_ratio", 12, "PIPE_FP32_ACTIVE", "Ratio of cycles the fp32 pipe is active."),
    _active("fp16_active_ratio", 13, "PIPE_FP16_ACTIVE", "Ratio of cycles the fp16 pipe is active."),
    _row("ecc_corrected_volatile", "FV 3", "DEV_ECC_SBE_VOL_TOTAL", "Single-bit errors since the driver was loaded.",
         "counter"),
    _row("ecc_uncorrected_volatile", "FV 4", "DEV_ECC_DBE_VOL_TOTAL", "Double-bit errors since the driver was loaded.",
         "counter"),
    _row("ecc_corrected_aggregate", "FV 5", "DEV_ECC_SBE_AGG_TOTAL", "Single-bit errors in the life of the GPU.",
         "counter"),
    _row("ecc_uncorrected_aggregate", "FV 6", "DEV_ECC_DBE_AGG_TOTAL", "Double-bit errors in the life of the GPU.",
         "counter"),
    _row("retired_pages_corrected", "FV 29", "DEV_RETIRED_SBE", "Pages retired after single-bit errors.", "counter"),
    _row("retired_pages_uncorrected", "FV 30", "DEV_RETIRED_DBE", "Pages retired after double-bit errors.", "counter"),
    _row("retired_pages_pending", "FV 31", "DEV_RETIRED_PENDING", "Whether pages wait to be retired."),
    _row("remap_pending", "FV 144", "DEV_ROW_REMAP_PENDING", "Whether remapping of rows waits for a reset."),
    _row("clocks_event_reasons", "nvmlDeviceGetCurrentClocksEventReasons", "DEV_CLOCKS_EVENT_REASONS",
         "Why clocks are what they are, as a bit mask."),
    _throttled("throttled_power_seconds", 74, "POWER", "power constraints", "POWER"),
    _throttled("throttled_thermal_seconds", 75, "THERMAL", "thermal constraints", "THERMAL"),
    _throttled("throttled_sync_boost_seconds", 76, "SYNC_BOOST", "sync-boost constraints", "SYNC_BOOST"),
    _throttled("throttled_board_limit_seconds", 77, "BOARD_LIMIT", "board limits", "LIMIT"),
    _throttled("throttled_low_utilization_seconds", 78, "LOW_UTIL", "low utilization", "LOW_UTIL"),
    _throttled("throttled_reliability_seconds", 79, "RELIABILITY", "reliability constraints", "RELIABILITY"),
    _row("recovery_action", "FV 230", "DEV_GPU_RECOVERY_ACTION",
         "What the driver asks for: 0 nothing, 1 a reset, 2 a reboot."),
    _row("nvlink_crc_flit_errors", "FV 38", "DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", "NVLink flow-control CRC errors.",
         "counter"),
    _row("nvlink_crc_data_errors", "FV 45", "DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", "NVLink data CRC errors.",
         "counter"),
    _row("nvlink_replay_errors", "FV 52", "DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", "NVLink retries.", "counter"),
    _row("nvlink_recovery_errors", "FV 59", "DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", "NVLink recoveries.",
         "counter"),
)  # fmt: skip
"""What the exporter has as options or not at all: whether a GPU is well. More series than expected disturb nobody."""

ROWS = (*DEFAULT_ROWS, *HEALTH_ROWS)

_XID = Column("DCGM_FI_DEV_XID_ERRORS", "gauge", "Value of the last XID error encountered.")


def _profile(name: str, host_label: str, generation: Literal["old", "later", "new"]) -> Profile:
    columns = tuple((row.field, getattr(row, generation)) for row in ROWS)
    driver = "DCGM_FI_SYSTEM_DRIVER_VERSION" if generation == "new" else "DCGM_FI_DRIVER_VERSION"
    xid = _XID._replace(name="DCGM_FI_DEV_XID_ERROR") if generation == "new" else _XID
    return Profile(name, host_label, driver, columns, xid)


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        _profile("dcgm-4.8", "Hostname", "old"),
        _profile("dcgm-4.8.3", "hostname", "later"),
        _profile("dcgm-4.9", "hostname", "new"),
    )
}
DEFAULT_PROFILE = "dcgm-4.8"

_BASE_LABELS = ("gpu", "UUID", "pci_bus_id", "device", "modelName")
MIG_LABELS = ("GPU_I_PROFILE", "GPU_I_ID")
POD_LABELS = ("container", "namespace", "pod")

XID_TOTAL = Metric(
    "DCGM_EXP_XID_ERRORS_TOTAL",
    "gauge",
    "",
    "XID errors since the publisher started, by code",
    (*_BASE_LABELS, "Hostname", "xid"),
    of_host=True,
)
XID_TIME = Metric(
    "gpu_last_xid_timestamp_seconds",
    "gauge",
    "s",
    "When the GPU last reported this XID error, in seconds since 1970",
    (*_BASE_LABELS, "Hostname", "xid"),
    of_host=True,
)
LOST = Metric(
    "gpu_lost",
    "gauge",
    "",
    "1 for a GPU that was there and does not answer any more, else 0",
    (*_BASE_LABELS, "Hostname"),
    of_host=True,
)

COUNTERS = frozenset(
    [XID_TOTAL.name]
    + [column.name for profile in PROFILES.values() for _, column in profile.columns if column.kind == "counter"]
)
"""Names that only grow, so that a rate of them means something; on the way through OpenTelemetry they are gauges."""


def profile_of(name: str) -> Profile:
    """Return a profile by its name.

    Raises:
        ConfigError: There is none of this name; names those that there are.
    """
    if name not in PROFILES:
        raise ConfigError(f"INFERMETER_GPU_PROFILE / profile must be one of {', '.join(PROFILES)}, got {name!r}")
    return PROFILES[name]


def metrics_of(profile: Profile) -> tuple[Metric, ...]:
    """Return catalogue entries for all names of a profile.

    All are gauges without a unit: on the way to Prometheus a counter or a unit would add a suffix to the name.
    """
    labels = (*_BASE_LABELS, profile.host_label, profile.driver_label)
    columns = [column for _, column in profile.columns]
    own = [Metric(column.name, "gauge", "", column.help, labels, of_host=True) for column in columns]
    xid = Metric(profile.xid.name, "gauge", "", profile.xid.help, (*labels, "err_code", "err_msg"), of_host=True)
    return (*own, xid, XID_TOTAL, XID_TIME, LOST)
