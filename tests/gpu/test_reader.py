"""What the reader makes of NVML's answers, device by device, and what it asks for."""

from __future__ import annotations

import ctypes

import pytest
from tests.conftest import FakeClock
from tests.fake_nvml import devices, layout
from tests.fake_nvml.control import FakeNvml

from infermeter.gpu.reader import NvmlReader
from infermeter.gpu.sample import GpuSample

MIB = 2**20


def read(reader: NvmlReader) -> list[GpuSample]:
    """Read twice, half a second apart: activity is known from the second time on."""
    for gpu in reader.devices():
        reader.sample(gpu)
    return [sample for gpu in reader.devices() for sample in reader.sample(gpu)]


@pytest.fixture(autouse=True)
def _half_seconds(fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    started = fake_clock.monotonic_s

    def ticking() -> float:
        fake_clock.advance(0.5)
        return started()

    monkeypatch.setattr("infermeter.clock.monotonic_s", ticking)


def test_the_library_and_the_test_agree_on_the_shared_memory(nvml: FakeNvml, library) -> None:
    assert ctypes.CDLL(str(library)).fake_state_size() == ctypes.sizeof(layout.State)


def test_an_h200_tells_everything(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.h200(nvml, 0)

    (sample,) = read(reader)

    gpu = sample.gpu
    assert (gpu.uuid, gpu.number, gpu.model, gpu.minor) == (devices.uuid(0), 0, "NVIDIA H200", 0)
    assert (gpu.pci_bus_id, gpu.driver_version, gpu.mig_id) == ("00000000:18:00.0", "590.48.01", "")
    assert sample.utilization_ratio == 1.0
    assert sample.memory_copy_ratio == 0.07
    assert sample.temperature_celsius == 53
    assert sample.memory_temperature_celsius == 41
    assert sample.temperature_margin_celsius == 35
    assert sample.power_watts == 627.45
    assert sample.power_limit_watts == 700
    assert sample.sm_clock_hertz == 1980e6
    assert sample.memory_used_bytes == 98304 * MIB
    assert sample.memory_reserved_bytes == 614 * MIB
    assert sample.memory_free_bytes == (143771 - 614 - 98304) * MIB
    assert sample.energy_joules == 123456.789
    assert sample.throttled_power_seconds == 1.5
    assert sample.graphics_active_ratio == 0.975
    assert sample.pcie_received_bytes_per_second == 250 * MIB
    assert sample.retired_pages_corrected is None is not sample.remap_pending


def test_an_idle_gpu_is_zero_not_absent(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.h200(nvml, 0, busy=False)

    (sample,) = read(reader)

    assert sample.utilization_ratio == sample.graphics_active_ratio == sample.memory_used_bytes == 0


def test_what_a_gpu_does_not_support_is_none(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.consumer(nvml, 0)
    devices.t4(nvml, 1)

    consumer, t4 = read(reader)

    for field in ("memory_temperature_celsius", "ecc_corrected_volatile", "remap_pending", "graphics_active_ratio"):
        assert getattr(consumer, field) is None, field
    assert consumer.power_watts == 26.0
    assert (consumer.utilization_ratio, t4.utilization_ratio, t4.encoder_ratio) == (0.03, 0.35, 0), (
        "no MIG, so all told"
    )
    assert t4.retired_pages_corrected == 1
    assert t4.power_watts == 39.12, "no mean power on Turing: the plain getter answers"
    assert t4.remapped_correctable_rows is None


def test_what_was_not_supported_is_not_asked_again(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.consumer(nvml, 0)
    device = nvml.device(0)
    device.codec_ret = 3
    read(reader)
    nvml.forget_calls()

    read(reader)

    asked = nvml.called()
    assert not {"nvmlDeviceGetEncoderUtilization", "nvmlDeviceGetDecoderUtilization"} & set(asked)


@pytest.mark.parametrize("count", [1, 8])
def test_a_cycle_asks_each_gpu_at_most_10_times(nvml: FakeNvml, reader: NvmlReader, count: int) -> None:
    for index in range(count):
        devices.h200(nvml, index)
    read(reader)
    nvml.forget_calls()

    for gpu in reader.devices():
        reader.sample(gpu)

    assert sum(nvml.called().values()) <= 10 * count, nvml.called()
    assert "nvmlDeviceGetComputeRunningProcesses_v3" not in nvml.called()
    assert "nvmlDeviceGetPcieThroughput" not in nvml.called()


def test_an_old_driver_counts_what_it_reserves_among_the_used(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.h200(nvml, 0)
    nvml.state.memory_v1_only = 1

    (sample,) = read(reader)

    assert sample.memory_used_bytes == (98304 + 614) * MIB
    assert sample.memory_reserved_bytes is None


def test_an_old_driver_tells_temperatures_through_the_older_call(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.h200(nvml, 0)
    nvml.rule("nvmlDeviceGetTemperatureV", ret=13)

    assert [sample.temperature_celsius for sample in read(reader)] == [53]


def test_absurd_temperatures_are_blanks(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.h200(nvml, 0)
    nvml.device(0).temp = 255
    nvml.set_field(0, 82, 4_294_967_295)

    (sample,) = read(reader)

    assert sample.temperature_celsius is None
    assert sample.memory_temperature_celsius is None


def test_nvlink_is_a_rate_over_the_last_cycle(nvml: FakeNvml, reader: NvmlReader, fake_clock: FakeClock) -> None:
    devices.h200(nvml, 0)
    (gpu,) = reader.devices()
    (first,) = reader.sample(gpu)
    before_s = fake_clock.now_s
    nvml.set_field(0, 138, 3000)
    nvml.set_field(0, 139, 1000)

    (second,) = reader.sample(gpu)

    assert first.nvlink_bytes_per_second == 0
    elapsed_s = 4000 * 1024 / second.nvlink_bytes_per_second
    assert 0 < elapsed_s <= fake_clock.now_s - before_s + 5


def test_a_partitioned_gpu_shows_its_instances_only(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.a100_mig(nvml, 0)

    large, small = read(reader)

    assert [(s.gpu.uuid, s.gpu.mig_id, s.gpu.mig_profile) for s in (large, small)] == [
        (devices.uuid(0), "2", "3g.20gb"),
        (devices.uuid(0), "9", "1g.5gb"),
    ]
    assert (large.memory_used_bytes, small.memory_used_bytes) == (4096 * MIB, 512 * MIB)
    assert large.utilization_ratio is None
    assert large.encoder_ratio is None
    assert large.temperature_celsius == small.temperature_celsius == 38, "of the device, on each instance"
    assert large.power_watts == 92.0
    assert reader.devices()[0].mig_uuids == ("MIG-00000000-2", "MIG-00000000-9")


def test_an_instance_on_hopper_has_activity_of_its_own(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.h200_mig(nvml, 0)

    (instance,) = read(reader)

    assert instance.gpu.mig_profile == "3g.71gb"
    assert instance.graphics_active_ratio == 0.5
    assert instance.remap_pending is None
    assert instance.fp64_active_ratio is None


def test_instances_are_read_where_their_parent_may_not_be_asked(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.a100_mig(nvml, 0)
    nvml.rule("nvmlDeviceGetMemoryInfo_v2", ret=4, times=1)  # the first call is about the whole device

    assert [sample.memory_used_bytes for sample in read(reader)] == [4096 * MIB, 512 * MIB]


def test_a_value_that_is_not_a_number_is_absent(nvml: FakeNvml, reader: NvmlReader) -> None:
    devices.h200(nvml, 0)
    nvml.device(0).gpm[2] = float("nan")

    (sample,) = read(reader)

    assert sample.sm_active_ratio is None
    assert sample.graphics_active_ratio == 0.975
