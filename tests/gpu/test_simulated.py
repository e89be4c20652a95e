"""Simulated devices: they say what they are, behave like real ones, and do what the control file says."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tests.conftest import FakeClock
from tests.waiting import until

from infermeter.gpu.sample import Gpu, GpuLostError, GpuSample
from infermeter.gpu.schema import ROWS
from infermeter.gpu.simulated import BEHAVIOURS, DEFAULT_DEVICES, SimulatedReader, steer, uuid_of


def read(reader: SimulatedReader) -> dict[int, list[GpuSample]]:
    """Return the samples of each device by number, none for a lost one."""
    return {gpu.number: _samples(reader, gpu) for gpu in reader.devices()}


def _samples(reader: SimulatedReader, gpu: Gpu) -> list[GpuSample]:
    try:
        return list(reader.sample(gpu))
    except GpuLostError:
        return []


def test_every_device_says_in_its_model_that_it_is_simulated() -> None:
    devices = SimulatedReader().devices()

    assert len(devices) == len(DEFAULT_DEVICES)
    assert all("simulated" in gpu.model for gpu in devices)
    assert len({gpu.uuid for gpu in devices} | {gpu.pci_bus_id for gpu in devices}) == 2 * len(devices)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_values_are_what_a_real_device_could_tell(behaviour: str, fake_clock: FakeClock) -> None:
    reader = SimulatedReader([behaviour])

    for _ in range(200):
        fake_clock.advance(1.0)
        for sample in read(reader)[0]:
            told = {row.field: getattr(sample, row.field) for row in ROWS}
            ratios = {field: value for field, value in told.items() if field.endswith("_ratio") and value is not None}
            assert all(0 <= value <= 1 for value in ratios.values()), ratios
            assert all(value is None or value >= 0 for value in told.values())
            parts = (sample.memory_free_bytes, sample.memory_used_bytes, sample.memory_reserved_bytes or 0)
            assert sum(parts) == pytest.approx(sample.memory_total_bytes)
            assert sample.power_watts < sample.power_limit_watts


def test_each_behaviour_shows_in_the_values_that_alerts_look_at() -> None:
    devices = ("busy", "idle", "starved", "hot", "mig", "lost")
    busy, idle, starved, hot, mig, lost = read(SimulatedReader(devices)).values()

    assert busy[0].utilization_ratio > 0.7
    assert idle[0].utilization_ratio == idle[0].memory_used_bytes == 0
    assert starved[0].utilization_ratio < 0.3
    assert starved[0].memory_used_bytes == busy[0].memory_used_bytes
    assert hot[0].temperature_margin_celsius <= 5
    assert int(hot[0].clocks_event_reasons) & 0x40
    assert lost == []
    assert [(sample.gpu.mig_id, sample.utilization_ratio) for sample in mig] == [("1", None), ("2", None)]
    assert all(sample.graphics_active_ratio > 0 for sample in mig)


def test_energy_is_the_sum_of_the_power_over_time(fake_clock: FakeClock) -> None:
    reader = SimulatedReader(["idle"])
    read(reader)
    fake_clock.advance(100.0)

    (sample,) = read(reader)[0]

    assert sample.energy_joules == pytest.approx(100.0 * sample.power_watts)


def test_the_control_file_changes_a_device_and_its_end_changes_it_back(tmp_path: Path) -> None:
    control = tmp_path / "demo" / "gpus.json"
    reader = SimulatedReader(["busy", "busy"], control=control, first=4)
    assert [bool(samples) for samples in read(reader).values()] == [True, True]

    steer(control, {4: "lost", 5: "starved"})
    lost, starved = read(reader).values()

    assert lost == []
    assert starved[0].utilization_ratio < 0.3
    steer(control, {})
    assert all(samples[0].utilization_ratio > 0.7 for samples in read(reader).values())


def test_a_device_may_be_named_by_its_uuid(tmp_path: Path) -> None:
    (tmp_path / "gpus.json").write_text(f'{{"{uuid_of(0)}": "lost"}}', encoding="utf-8")

    assert read(SimulatedReader(["busy"], control=tmp_path / "gpus.json"))[0] == []


@pytest.mark.parametrize("content", ["{", "[1]", '{"0": "melted"}'])
def test_a_control_file_that_makes_no_sense_is_said_once_and_changes_nothing(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    control = tmp_path / "gpus.json"
    reader = SimulatedReader(["busy"], control=control)
    control.write_text(content, encoding="utf-8")

    with caplog.at_level(logging.WARNING, "infermeter"):
        readings = [read(reader)[0][0].utilization_ratio > 0.7 for _ in range(3)]

    assert readings == [True] * 3
    (record,) = caplog.records
    assert str(control) in record.getMessage()


def test_a_lost_device_leaves_its_error_once_and_the_others_go_on(tmp_path: Path, own, caplog) -> None:
    control = tmp_path / "gpus.json"
    owner = own(SimulatedReader(["busy", "busy"], control=control), 0.02)
    until(lambda: owner.snapshot and len(owner.snapshot.samples) == 2, "both devices")

    steer(control, {1: "lost"})

    until(lambda: owner.snapshot.xids, "the error")
    until(lambda: [gpu.number for gpu in owner.snapshot.lost] == [1], "the loss")
    assert [sample.gpu.number for sample in owner.snapshot.samples] == [0]
    assert {key: seen.times for key, seen in owner.snapshot.xids.items()} == {(uuid_of(1), 79): 1}


def test_the_only_device_of_a_process_tells_its_error_too(tmp_path: Path, own) -> None:
    owner = own(SimulatedReader(["lost"], first=3), 0.02)

    until(lambda: owner.snapshot and owner.snapshot.xids, "the error")
    assert owner.snapshot.lost[0].uuid == uuid_of(3)
