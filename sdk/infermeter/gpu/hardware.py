"""The second view: the same values under ``hw.*``, the names of OpenTelemetry's conventions for hardware.

The conventions are in development, so this is opt-in. Units are theirs: ratios 0 to 1, bytes, watts, joules, Cel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from infermeter import clock
from infermeter.catalog import Kind, Metric
from infermeter.families import Family, Point
from infermeter.gpu.owner import Snapshot
from infermeter.gpu.sample import Gpu, GpuSample

_COMMON = ("hw.id", "hw.name", "hw.model", "hw.vendor", "hw.type", "hw.driver_version", "hw.pci.bus_id")


class _Source(NamedTuple):
    field: str
    metric: Metric
    labels: dict[str, str]


def _metric(name: str, kind: Kind, unit: str, text: str, *labels: str) -> Metric:
    return Metric(name, kind, unit, text, (*_COMMON, *labels), of_host=True)


_UTILIZATION = _metric("hw.gpu.utilization", "gauge", "1", "Share of time the GPU worked", "hw.gpu.task")
_TEMPERATURE = _metric("hw.temperature", "gauge", "Cel", "Temperature", "hw.sensor_location")
_ERRORS = _metric("hw.errors", "counter", "{error}", "Memory errors since the driver was loaded", "error.type")
_IO = _metric("hw.gpu.io", "counter", "By", "Bytes over the PCIe bus", "network.io.direction")
_MEMORY_RATIO = _metric("hw.gpu.memory.utilization", "gauge", "1", "Share of the usable memory in use")
_STATUS = _metric("hw.status", "gauge", "1", "1 for the state the GPU is in, else 0", "hw.state")

_SOURCES = (
    _Source("utilization_ratio", _UTILIZATION, {"hw.gpu.task": "general"}),
    _Source("encoder_ratio", _UTILIZATION, {"hw.gpu.task": "encoder"}),
    _Source("decoder_ratio", _UTILIZATION, {"hw.gpu.task": "decoder"}),
    _Source("memory_used_bytes", _metric("hw.gpu.memory.usage", "gauge", "By", "Memory in use"), {}),
    _Source("memory_total_bytes", _metric("hw.gpu.memory.limit", "gauge", "By", "Size of the memory"), {}),
    _Source("power_watts", _metric("hw.power", "gauge", "W", "Power draw"), {}),
    _Source("energy_joules", _metric("hw.energy", "counter", "J", "Energy since the driver was loaded"), {}),
    _Source("temperature_celsius", _TEMPERATURE, {"hw.sensor_location": "gpu"}),
    _Source("memory_temperature_celsius", _TEMPERATURE, {"hw.sensor_location": "memory"}),
    _Source("ecc_corrected_volatile", _ERRORS, {"error.type": "corrected"}),
    _Source("ecc_uncorrected_volatile", _ERRORS, {"error.type": "uncorrected"}),
    _Source("pcie_sent_bytes", _IO, {"network.io.direction": "transmit"}),
    _Source("pcie_received_bytes", _IO, {"network.io.direction": "receive"}),
)
_START_NS = clock.unix_ns()
_STATES = ("ok", "degraded", "predicted_failure", "failed")


def hardware_families(snapshot: Snapshot) -> Iterable[Family]:
    """Return all families that have a value."""
    families: dict[str, Family] = {}

    def add(metric: Metric, gpu: Gpu, labels: dict[str, str], value: float) -> None:
        family = families.setdefault(metric.name, Family(metric, []))
        family.points.append(Point({**_labels(gpu), **labels}, _START_NS, value))

    for sample in snapshot.samples:
        for source in _SOURCES:
            value = getattr(sample, source.field)
            if value is not None:
                add(source.metric, sample.gpu, source.labels, value)
        usable = (sample.memory_total_bytes or 0) - (sample.memory_reserved_bytes or 0)
        if sample.memory_used_bytes is not None and usable > 0:
            add(_MEMORY_RATIO, sample.gpu, {}, sample.memory_used_bytes / usable)
        for state in _STATES:
            add(_STATUS, sample.gpu, {"hw.state": state}, float(state == _state(sample)))
    for gpu in snapshot.lost:
        for state in _STATES:
            add(_STATUS, gpu, {"hw.state": state}, float(state == "failed"))
    return families.values()


def _state(sample: GpuSample) -> str:
    """Return the worst that is known."""
    if sample.remap_failed or sample.recovery_action:
        return "failed"
    if sample.remap_pending:
        return "predicted_failure"
    return "degraded" if sample.retired_pages_pending else "ok"


def _labels(gpu: Gpu) -> dict[str, str]:
    """Return the attributes of the conventions; an instance is a device of its own with its device as parent."""
    labels = {
        "hw.id": gpu.uuid,
        "hw.name": f"nvidia{gpu.minor}",
        "hw.model": gpu.model,
        "hw.vendor": "NVIDIA",
        "hw.type": "gpu",
        "hw.driver_version": gpu.driver_version,
        "hw.pci.bus_id": gpu.pci_bus_id,
    }
    if gpu.mig_id:
        labels |= {"hw.id": f"{gpu.uuid}/{gpu.mig_id}", "hw.parent": gpu.uuid}
    return labels
