"""What `infermeter gpu list` shows: devices, what each tells, and why it does not tell the rest."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from infermeter.gpu.sample import GpuLostError
from infermeter.gpu.schema import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from infermeter.gpu.sample import Gpu, GpuReader, GpuSample

_BETWEEN_READINGS_S = 0.2  # activity and rates take two
_WHY = {3: "not supported by this device", 4: "this user may not ask for it", 13: "this driver does not know the call"}


@dataclass(frozen=True)
class Listed:
    """One device.

    Attributes:
        gpu: Which.
        samples: What it tells, by instance; empty if it is lost.
        unsupported: Name of each value it does not tell, and why.
    """

    gpu: Gpu
    samples: Sequence[GpuSample]
    unsupported: Mapping[str, str]

    def as_json(self) -> dict[str, object]:
        """Return everything as plain values."""
        gpu = self.gpu
        return {
            "gpu": gpu.number,
            "uuid": gpu.uuid,
            "model": gpu.model,
            "pci_bus_id": gpu.pci_bus_id,
            "driver_version": gpu.driver_version or None,
            "state": "ok" if self.samples else "lost",
            "parts": [
                {
                    "mig_id": sample.gpu.mig_id or None,
                    "mig_profile": sample.gpu.mig_profile or None,
                    "values": {
                        row.old.name: row.old.shown(value)
                        for row in ROWS
                        if (value := getattr(sample, row.field)) is not None
                    },
                }
                for sample in self.samples
            ],
            "unsupported": dict(self.unsupported),
        }


def look(reader: GpuReader) -> list[Listed]:
    """Read all devices twice, as some values are about the time between.

    Raises:
        GpuUnavailableError: None can be read.
    """
    failed: dict[str, dict[str, int]] = {}
    gpus = reader.devices()
    for gpu in gpus:
        before = dict(reader.errors())
        _read(reader, gpu)
        failed[gpu.uuid] = {
            function: code for (function, code), n in reader.errors().items() if n > before.get((function, code), 0)
        }
    time.sleep(_BETWEEN_READINGS_S)
    found = [(gpu, _read(reader, gpu)) for gpu in gpus]
    return [Listed(gpu, samples, _missing(samples, failed[gpu.uuid])) for gpu, samples in found]


def show(console: Console, devices: Sequence[Listed]) -> None:
    """Print one row per device or instance, and below what is not told and why."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("gpu", "model", "use", "memory", "temperature", "power", "tells", "uuid"):
        table.add_column(title, no_wrap=title not in ("model", "uuid"), overflow="fold")  # numbers are never cut
    for device in devices:
        number, model = str(device.gpu.number), escape(device.gpu.model)
        if not device.samples:
            table.add_row(number, model, "[red]lost[/]", "-", "-", "-", "-", device.gpu.uuid)
        for sample in device.samples:
            told = sum(getattr(sample, row.field) is not None for row in ROWS)
            table.add_row(
                number,
                f"{model} {sample.gpu.mig_profile} #{sample.gpu.mig_id}" if sample.gpu.mig_id else model,
                _shown(sample.utilization_ratio, 100, " %"),
                _shown(sample.memory_used_bytes, 2.0**-30, " GiB"),
                _shown(sample.temperature_celsius, 1, " °C"),
                _shown(sample.power_watts, 1, " W"),
                f"{told} of {len(ROWS)}",
                device.gpu.uuid,
            )
    console.print(table)
    for text in _explained(devices):
        console.print(escape(text), soft_wrap=True, highlight=False)


def _read(reader: GpuReader, gpu: Gpu) -> Sequence[GpuSample]:
    try:
        return reader.sample(gpu)
    except GpuLostError:
        return ()


def _missing(samples: Sequence[GpuSample], failed: Mapping[str, int]) -> dict[str, str]:
    """Return what no part of the device tells."""
    missing: dict[str, str] = {}
    samples_activity = any(sample.graphics_active_ratio is not None for sample in samples)
    for row in ROWS if samples else ():
        if any(getattr(sample, row.field) is not None for sample in samples):
            continue
        code = next((code for function, code in failed.items() if function in row.nvml), None)
        if code is not None:
            why = _WHY.get(code, f"the driver answers with code {code}")
        elif row.nvml.startswith("GPM") and not samples_activity:
            why = "needs a GPU that samples its activity (GPM, Hopper and newer)"
        elif samples[0].gpu.mig_id and "Utilization" in row.nvml:
            why = "not told for a device that is partitioned (MIG)"
        else:
            why = _WHY[3]
        missing[row.old.name] = why
    return missing


def _explained(devices: Sequence[Listed]) -> list[str]:
    """Return one line per reason and set of names, with the devices that share it."""
    sharing: dict[tuple[str, str], list[str]] = {}
    for device in devices:
        by_reason: dict[str, list[str]] = {}
        for name, why in device.unsupported.items():
            by_reason.setdefault(why, []).append(name.removeprefix("DCGM_FI_"))
        for why, names in by_reason.items():
            sharing.setdefault((why, ", ".join(names)), []).append(str(device.gpu.number))
    return [f"no series from GPU {', '.join(gpus)}, {why}: {names}" for (why, names), gpus in sharing.items()]


def _shown(value: float | None, factor: float, unit: str) -> str:
    return "-" if value is None else f"{value * factor:.0f}{unit}"
