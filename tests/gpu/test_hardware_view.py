"""The second view: ``hw.*`` with the units of OpenTelemetry's conventions, only where somebody asked for it."""

from __future__ import annotations

import pytest
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml
from tests.waiting import until

import infermeter
from infermeter.gpu.hardware import hardware_families
from infermeter.gpu.owner import Snapshot
from infermeter.gpu.reader import NvmlReader

MIB = 2**20


def shown(snapshot: Snapshot) -> dict[tuple[str, ...], float]:
    """Return values by name and by the labels that are not the device's."""
    own = ("hw.gpu.task", "hw.sensor_location", "error.type", "network.io.direction", "hw.state")
    return {
        (family.metric.name, *(point.labels[name] for name in own if name in point.labels)): point.value
        for family in hardware_families(snapshot)
        for point in family.points
    }


def read(reader: NvmlReader) -> Snapshot:
    found = tuple(reader.devices())
    return Snapshot(0.0, tuple(sample for gpu in found for sample in reader.sample(gpu)), found)


def test_values_have_the_units_of_the_conventions(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.h200(nvml, 0)

    values = shown(read(reader))

    assert values["hw.gpu.utilization", "general"] == 1.0
    assert values["hw.gpu.memory.usage",] == 98304 * MIB
    assert values["hw.gpu.memory.limit",] == 143771 * MIB
    assert values["hw.gpu.memory.utilization",] == pytest.approx(98304 / (143771 - 614))
    assert values["hw.power",] == 627.45
    assert values["hw.energy",] == 123456.789
    assert (values["hw.temperature", "gpu"], values["hw.temperature", "memory"]) == (53, 41)
    assert (values["hw.gpu.io", "transmit"], values["hw.gpu.io", "receive"]) == (1000, 2000)
    assert [values["hw.status", state] for state in ("ok", "degraded", "predicted_failure", "failed")] == [1, 0, 0, 0]


def test_what_a_device_does_not_tell_is_absent(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.consumer(nvml, 0)

    values = shown(read(reader))

    assert not {("hw.temperature", "memory"), ("hw.errors", "corrected"), ("hw.gpu.io", "transmit")} & values.keys()


@pytest.mark.parametrize(("field", "state"), [(144, "predicted_failure"), (145, "failed"), (230, "failed")])
def test_the_status_is_the_worst_that_is_known(nvml: FakeNvml, reader: NvmlReader, field: int, state: str) -> None:
    devices.h200(nvml, 0)
    nvml.set_field(0, field, 1)

    values = shown(read(reader))

    assert values["hw.status", state] == 1
    assert values["hw.status", "ok"] == 0


def test_an_instance_is_a_device_with_a_parent(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.h200_mig(nvml, 0)

    labels = [point.labels for family in hardware_families(read(reader)) for point in family.points]

    assert {(each["hw.id"], each["hw.parent"]) for each in labels} == {(f"{devices.uuid(0)}/2", devices.uuid(0))}


def test_it_is_published_on_request_only(nvml: FakeNvml, captured_metrics, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("INFERMETER_GPU_LOCK_DIR", str(tmp_path))
    devices.h200(nvml, 0)
    infermeter.observe_gpus(NvmlReader(), publisher="always", interval_s=0.05)
    until(lambda: captured_metrics.points("DCGM_FI_DEV_GPU_TEMP"), "the first reading")
    assert captured_metrics.points("hw.power") == []

    infermeter.observe_gpus(NvmlReader(), publisher="always", interval_s=0.05, hardware_view=True)

    until(lambda: captured_metrics.points("hw.power"), "the second view")
    assert captured_metrics.points("DCGM_FI_DEV_GPU_TEMP")
