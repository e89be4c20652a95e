"""What the doctor says of the GPUs of a machine: read through the fake driver, published or not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.fake_nvml import devices
from tests.fake_nvml.control import GPU_IS_LOST, FakeNvml

from infermeter.cli.diagnosis.backend import Backend, NoAnswerError
from infermeter.cli.diagnosis.finding import Finding
from infermeter.cli.diagnosis.hardware import check_gpus
from infermeter.cli.exit_codes import ExitCode

_LIBRARY_NOT_FOUND, _MISMATCH = 12, 18


class Publishing(Backend):
    """A Prometheus that knows the GPUs with these ids, or does not answer at all."""

    def __init__(self, *uuids: str, away: bool = False) -> None:
        self.uuids, self.away = uuids, away

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        if self.away:
            raise NoAnswerError("does not answer")
        return [({"UUID": uuid}, 1.0) for uuid in self.uuids if uuid in expression]


@pytest.fixture
def driver(tmp_path: Path) -> tuple[Path]:
    """The trace that a loaded driver leaves."""
    (tmp_path / "nvidiactl").touch()
    return (tmp_path / "nvidiactl",)


def broken(finding: Finding, *words: str) -> None:
    assert (finding.verdict, finding.exit_code) == ("failed", ExitCode.DOCTOR_GPU)
    assert finding.remedy
    for word in words:
        assert word in f"{finding.found} {finding.remedy}"


def test_gpus_that_are_read_and_published_are_well(nvml: FakeNvml, driver) -> None:
    devices.h200(nvml, 0)
    devices.h200(nvml, 1)

    finding = check_gpus(Publishing(devices.uuid(0), devices.uuid(1)), traces=driver)

    assert (finding.verdict, finding.found) == ("ok", "2 can be read (NVIDIA H200) and 2 published.")


def test_gpus_that_nobody_publishes_are_a_warning(nvml: FakeNvml, driver) -> None:
    devices.h200(nvml, 0)

    finding = check_gpus(Publishing("GPU-of-another-machine"), traces=driver)

    assert finding.verdict == "warning"
    assert "nobody publishes" in finding.found
    assert "observe_gpus" in finding.remedy


@pytest.mark.parametrize("prometheus", [None, Publishing(away=True)])
def test_without_prometheus_it_is_about_reading_alone(nvml: FakeNvml, driver, prometheus: Backend | None) -> None:
    devices.h200(nvml, 0)

    assert check_gpus(prometheus, traces=driver).found == "1 can be read (NVIDIA H200)."


def test_a_lost_gpu_is_named_and_the_others_do_not_hide_it(nvml: FakeNvml, driver) -> None:
    devices.h200(nvml, 0)
    devices.h200(nvml, 1)
    nvml.rule("*", device=1, ret=GPU_IS_LOST, skip=20)

    broken(check_gpus(None, traces=driver), devices.uuid(1), "dmesg")


def test_a_driver_that_was_upgraded_under_a_running_one_is_named(nvml: FakeNvml, driver) -> None:
    nvml.rule("nvmlInitWithFlags", ret=_MISMATCH)

    broken(check_gpus(None, traces=driver), "version_mismatch", "reboot")


def test_a_container_without_the_library_is_named_where_there_is_a_driver(nvml: FakeNvml, driver) -> None:
    nvml.rule("nvmlInitWithFlags", ret=_LIBRARY_NOT_FOUND)

    broken(check_gpus(None, traces=driver), "no_library", "NVIDIA runtime")


def test_a_missing_extra_is_named_where_there_is_a_driver(monkeypatch: pytest.MonkeyPatch, driver) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)

    broken(check_gpus(None, traces=driver), 'pip install "infermeter[gpu]"')
    assert check_gpus(None, traces=()).verdict == "ok"


def test_a_machine_without_gpus_is_well(nvml: FakeNvml) -> None:
    nvml.rule("nvmlInitWithFlags", ret=_LIBRARY_NOT_FOUND)

    assert check_gpus(None, traces=()).found == "No NVIDIA GPU on this machine; nothing to read."
