"""What each failure of a driver does: one test per row of the matrix, on the owner thread and the real reader.

A GPU that is lost takes nothing else with it; trouble with the driver is said once, and ends when it ends.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import pynvml
import pytest
from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml
from tests.waiting import until

from infermeter.errors import MissingExtraError
from infermeter.gpu import owner as owner_module
from infermeter.gpu import reader as reader_module
from infermeter.gpu import troubles
from infermeter.gpu.owner import Owner
from infermeter.gpu.reader import NvmlReader
from infermeter.gpu.sample import GpuUnavailableError

UNINITIALIZED, INVALID_ARGUMENT, NO_PERMISSION, NOT_LOADED, NO_LIBRARY, NO_FUNCTION = 1, 2, 4, 9, 12, 13
LOST, RESET_REQUIRED, MISMATCH, UNKNOWN = 15, 16, 18, 999


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits between two attempts, which are up to a minute."""
    shorter = {code: (*rest[:3], 0.05) for code, rest in troubles._UNAVAILABLE.items()}
    monkeypatch.setattr(troubles, "_UNAVAILABLE", shorter)
    monkeypatch.setattr(owner_module, "_MAX_BACK_OFF_S", 0.05)
    monkeypatch.setattr(reader_module, "SLOW_S", 0.05)  # how often a lost device is looked for


def numbers(owner: Owner) -> list[int]:
    """Return the devices that are shown now."""
    snapshot = owner.believed()
    return [sample.gpu.number for sample in snapshot.samples] if snapshot else []


def lost(owner: Owner) -> list[int]:
    snapshot = owner.believed()
    return [gpu.number for gpu in snapshot.lost] if snapshot else []


def problem(owner: Owner) -> str:
    return owner.snapshot.problem if owner.snapshot else ""


Own = Callable[..., Owner]


@pytest.mark.parametrize(
    ("code", "kind", "level", "remedy"),
    [
        (NO_LIBRARY, "no_library", logging.INFO, "install the driver"),
        (NOT_LOADED, "no_driver", logging.INFO, "modprobe nvidia"),
        (MISMATCH, "version_mismatch", logging.WARNING, "reboot the node"),
        (NO_PERMISSION, "no_permission", logging.WARNING, "/dev/nvidiactl"),
        (UNKNOWN, "unknown", logging.WARNING, "container"),
        (777, "code_777", logging.WARNING, "code 777"),
    ],
)
def test_a_driver_that_cannot_be_opened_is_said_once_with_the_remedy_and_picked_up_when_it_comes(
    nvml: FakeNvml, own: Own, caplog: pytest.LogCaptureFixture, code: int, kind: str, level: int, remedy: str
) -> None:
    devices.h200(nvml, 0)
    nvml.state.init_ret = code
    with caplog.at_level(logging.INFO, "infermeter"):
        owner = own(NvmlReader(), 0.02)
        until(lambda: problem(owner) == kind and nvml.calls("nvmlInitWithFlags") >= 3, "several attempts")

        nvml.state.init_ret = 0

        until(lambda: numbers(owner) == [0], "the late driver")
    (record,) = caplog.records
    assert record.levelno == level
    assert remedy in record.getMessage()


def test_without_the_extra_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)

    with pytest.raises(MissingExtraError, match=r'pip install "infermeter\[gpu\]"'):
        NvmlReader()


def test_a_container_that_lost_its_devices_is_told_to_start_anew(nvml: FakeNvml, own: Own, caplog) -> None:
    devices.eight_h200(nvml)
    owner = own(NvmlReader(), 0.02)
    until(lambda: len(numbers(owner)) == 8, "all GPUs")

    nvml.rule("*", ret=UNKNOWN)  # what every call answers after systemd took the devices away

    until(lambda: problem(owner) == "unknown", "the trouble")
    assert numbers(owner) == []
    assert sum("started anew" in record.getMessage() for record in caplog.records) == 1


def test_one_gpu_that_fails_at_every_call_counts_as_lost_and_the_others_are_shown(nvml: FakeNvml, own: Own) -> None:
    devices.eight_h200(nvml)
    owner = own(NvmlReader(), 0.02)
    until(lambda: len(numbers(owner)) == 8, "all GPUs")

    nvml.rule("*", device=3, ret=UNKNOWN)

    until(lambda: lost(owner) == [3], "the loss")
    assert numbers(owner) == [0, 1, 2, 4, 5, 6, 7]


def test_instances_are_shown_where_the_whole_device_is_forbidden(nvml: FakeNvml, own: Own) -> None:
    devices.a100_mig(nvml, 0)
    nvml.rule("nvmlDeviceGetMemoryInfo_v2", ret=NO_PERMISSION, times=1)

    owner = own(NvmlReader(), 0.02)

    until(lambda: numbers(owner) == [0, 0], "both instances")


@pytest.mark.parametrize("code", [LOST, RESET_REQUIRED])
def test_one_lost_gpu_is_gone_at_once_and_the_others_are_unchanged(
    nvml: FakeNvml, own: Own, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    devices.eight_h200(nvml)
    owner = own(NvmlReader(), 0.02)
    until(lambda: len(numbers(owner)) == 8, "all GPUs")
    before = {s.gpu.number: s.temperature_celsius for s in owner.snapshot.samples}

    nvml.device(3).lost = code

    until(lambda: lost(owner) == [3], "the loss")
    after = {s.gpu.number: s.temperature_celsius for s in owner.snapshot.samples}
    assert after == {number: celsius for number, celsius in before.items() if number != 3}
    assert problem(owner) == ""
    (record,) = caplog.records
    assert devices.uuid(3) in record.getMessage()


def test_a_lost_gpu_that_was_reset_is_back_and_said_again_when_lost_again(nvml: FakeNvml, own: Own, caplog) -> None:
    devices.eight_h200(nvml)
    owner = own(NvmlReader(), 0.02)
    for times in (1, 2):
        until(lambda: len(numbers(owner)) == 8, "all GPUs")
        nvml.device(3).lost = LOST
        until(lambda: lost(owner) == [3], "the loss")
        nvml.device(3).lost = 0
        until(lambda: lost(owner) == [], "the return")
        assert len(caplog.records) == times


def test_a_gpu_that_is_lost_before_the_first_reading_leaves_the_others(nvml: FakeNvml, own: Own) -> None:
    devices.eight_h200(nvml)
    nvml.device(3).lost = LOST

    owner = own(NvmlReader(), 0.02)

    until(lambda: numbers(owner) == [0, 1, 2, 4, 5, 6, 7], "the others")


@pytest.mark.parametrize("code", [UNINITIALIZED, NOT_LOADED])
def test_a_driver_that_is_reloaded_is_opened_anew_with_its_events(nvml: FakeNvml, own: Own, code: int) -> None:
    devices.eight_h200(nvml)
    owner = own(NvmlReader(), 0.02)
    until(lambda: len(numbers(owner)) == 8, "all GPUs")
    nvml.rule("*", ret=code)
    until(lambda: problem(owner) != "", "the trouble")
    assert numbers(owner) == []
    nvml.forget_calls()

    nvml.clear_rules()

    until(lambda: len(numbers(owner)) == 8, "all GPUs again")
    assert nvml.calls("nvmlEventSetCreate") >= 1
    nvml.xid(2, 79)
    until(lambda: (devices.uuid(2), 79) in owner.snapshot.xids, "an error through the new events")


def test_all_gpus_lost_at_once_is_trouble_of_the_driver(nvml: FakeNvml, own: Own) -> None:
    devices.eight_h200(nvml)
    owner = own(NvmlReader(), 0.02)
    until(lambda: len(numbers(owner)) == 8, "all GPUs")

    for index in range(8):
        nvml.device(index).lost = LOST
    until(lambda: problem(owner) != "", "the trouble")
    assert numbers(owner) == []
    for index in range(8):
        nvml.device(index).lost = 0

    until(lambda: len(numbers(owner)) == 8, "all GPUs again")


def test_a_function_that_the_driver_does_not_have_is_asked_once(nvml: FakeNvml, own: Own) -> None:
    devices.h200(nvml, 0)
    nvml.rule("nvmlDeviceGetClockInfo", ret=NO_FUNCTION)

    owner = own(NvmlReader(), 0.02)

    until(lambda: nvml.calls("nvmlDeviceGetFieldValues") > 3, "several readings")
    (sample,) = owner.snapshot.samples
    assert sample.sm_clock_hertz is None
    assert sample.temperature_celsius == 53
    assert nvml.calls("nvmlDeviceGetClockInfo") <= 2  # one each for both clocks


def test_a_gpu_that_may_not_be_opened_is_left_out(nvml: FakeNvml, own: Own) -> None:
    devices.eight_h200(nvml)
    nvml.rule("nvmlDeviceGetHandleByIndex_v2", device=5, ret=NO_PERMISSION)

    owner = own(NvmlReader(), 0.02)

    until(lambda: numbers(owner) == [0, 1, 2, 3, 4, 6, 7], "the others")


def test_a_passing_failure_costs_one_value_of_one_reading(nvml: FakeNvml, own: Own) -> None:
    devices.h200(nvml, 0)
    nvml.rule("nvmlDeviceGetTemperatureV", ret=UNKNOWN, skip=2, times=1)
    reader = NvmlReader()

    seen = [sample.temperature_celsius for gpu in [*reader.devices()] * 5 for sample in reader.sample(gpu)]

    reader.close()
    assert seen == [53, 53, None, 53, 53]


def test_a_call_that_hangs_ages_the_snapshot_until_nobody_believes_it_and_comes_back(nvml: FakeNvml, own: Own) -> None:
    devices.h200(nvml, 0)
    owner = own(NvmlReader(), 0.1)
    until(lambda: numbers(owner) == [0], "the first reading")

    nvml.rule("nvmlDeviceGetClockInfo", delay_s=60.0)

    until(lambda: owner.age_s(owner.snapshot) > 0.15, "the snapshot to age")
    assert numbers(owner) == [0], "within three intervals the last reading stands"
    until(lambda: owner.believed() is None, "the end of that")
    assert owner.age_s(owner.snapshot) > 0.3
    nvml.clear_rules()
    until(lambda: numbers(owner) == [0], "the GPU again")


def test_somebody_else_gets_the_driver_while_it_is_released(nvml: FakeNvml, own: Own) -> None:
    devices.h200(nvml, 0)
    owner = own(NvmlReader(), 0.02)
    until(lambda: numbers(owner) == [0], "the first reading")

    owner.release(0.5)

    until(lambda: nvml.calls("nvmlShutdown") == nvml.calls("nvmlInitWithFlags"), "the release")
    assert problem(owner) == "released"
    until(lambda: numbers(owner) == [0], "the GPU again")


def test_a_driver_that_is_slow_for_long_is_asked_less_often(nvml: FakeNvml, own: Own, caplog) -> None:
    devices.h200(nvml, 0)
    nvml.rule("nvmlDeviceGetClockInfo", delay_s=0.15)

    owner = own(NvmlReader(), 0.02)

    until(lambda: owner.interval_s > 0.02, "the longer interval")
    assert "less often" in caplog.text


# --- another user of the driver in this process ---------------------------------------------------------------------


def test_another_user_who_shuts_down_what_he_started_disturbs_nobody(nvml: FakeNvml, own: Own) -> None:
    devices.h200(nvml, 0)
    owner = own(NvmlReader(), 0.02)
    until(lambda: numbers(owner) == [0], "the first reading")

    pynvml.nvmlInit()
    pynvml.nvmlShutdown()

    nvml.forget_calls()
    until(lambda: nvml.calls("nvmlDeviceGetFieldValues") > 2, "further readings")
    assert numbers(owner) == [0]
    assert nvml.calls("nvmlInitWithFlags") == 0


def test_another_user_who_shuts_down_too_often_costs_one_reading(nvml: FakeNvml, own: Own) -> None:
    devices.h200(nvml, 0)
    owner = own(NvmlReader(), 0.02)
    until(lambda: numbers(owner) == [0], "the first reading")

    pynvml.nvmlShutdown()

    until(lambda: nvml.calls("nvmlInitWithFlags") >= 2 and numbers(owner) == [0], "the GPU again")


def test_our_end_leaves_the_driver_open_for_who_else_uses_it(nvml: FakeNvml) -> None:
    devices.h200(nvml, 0)
    pynvml.nvmlInit()
    reader = NvmlReader()
    reader.devices()

    reader.close()

    assert pynvml.nvmlDeviceGetCount() == 1
    pynvml.nvmlShutdown()


def test_a_reader_whose_handles_went_stale_opens_anew(nvml: FakeNvml) -> None:
    devices.h200(nvml, 0)
    reader = NvmlReader()
    (gpu,) = reader.devices()
    pynvml.nvmlShutdown()
    pynvml.nvmlInit()  # a new generation: our handles are worth nothing, and no call says so but by its argument

    with pytest.raises(GpuUnavailableError):
        reader.sample(gpu)

    reader.close()
    assert [s.temperature_celsius for g in reader.devices() for s in reader.sample(g)] == [53]
    reader.close()
