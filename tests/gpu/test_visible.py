"""Which GPUs a process can use, as CUDA's variables say."""

from __future__ import annotations

import logging

import pytest

from infermeter.gpu.sample import Gpu
from infermeter.gpu.visible import visible_uuids

MIG = "MIG-77777777-1111-2222-3333-444444444444"


def gpu(number: int, model: str = "NVIDIA H200", **more) -> Gpu:
    return Gpu(f"GPU-{number}{number}{number}-aa", number, model, f"00000000:{number:02X}:00.0", number, **more)


ALIKE = (gpu(0), gpu(1), gpu(2, mig_uuids=(MIG,)))
ALL = tuple(device.uuid for device in ALIKE)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (None, ALL),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("2,0", (ALL[2], ALL[0])),
        (" 1 , 0", (ALL[1], ALL[0])),
        ("0,-1,1", (ALL[0],)),
        ("GPU-111", (ALL[1],)),
        (ALL[2], (ALL[2],)),
        (MIG, (ALL[2],)),
        ("MIG-7777", (ALL[2],)),
        (f"MIG-{ALL[0]}/1/0", (ALL[0],)),
        ("1,1", (ALL[1],)),
    ],
)
def test_entries_are_read_as_cuda_reads_them(variable: str | None, expected: tuple[str, ...]) -> None:
    environ = {} if variable is None else {"CUDA_VISIBLE_DEVICES": variable}

    assert visible_uuids(ALIKE, environ) == expected


@pytest.mark.parametrize("unknown", ["GPU-999", "7", "MIG-999"])
def test_what_is_no_gpu_of_this_machine_is_said_once_and_the_others_are_served(
    unknown: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "infermeter"):
        found = [visible_uuids(ALIKE, {"CUDA_VISIBLE_DEVICES": f"{unknown},0"}) for _ in range(3)]

    assert found == [(ALL[0],)] * 3
    (record,) = caplog.records
    assert unknown in record.getMessage()


def test_numbers_among_different_models_are_known_only_in_the_order_of_the_bus(caplog) -> None:
    mixed = (gpu(0, "Tesla T4"), gpu(1))

    assert visible_uuids(mixed, {"CUDA_VISIBLE_DEVICES": "0"}) == ()
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in caplog.text
    assert visible_uuids(mixed, {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == (mixed[0].uuid,)
