"""What `nvidia-smi` says of this machine, to compare with; a machine without a GPU fails, it does not pass."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from datetime import datetime, timezone

import pytest

from infermeter.gpu.reader import NvmlReader

Row = dict[str, str]
_COLUMNS = (
    "index", "uuid", "name", "pci.bus_id", "driver_version", "memory.total", "memory.used", "temperature.gpu",
    "temperature.memory", "power.limit", "clocks.max.sm", "clocks.sm", "utilization.gpu", "fan.speed",
    "ecc.errors.uncorrected.volatile.total", "mig.mode.current", "clocks_event_reasons.active",
)  # fmt: skip


def nvidia_smi() -> list[Row]:
    """Return one row per GPU; what is not supported reads `[N/A]`."""
    command = ["nvidia-smi", f"--query-gpu={','.join(_COLUMNS)}", "--format=csv,noheader,nounits"]
    if shutil.which(command[0]) is None:
        raise AssertionError("there is no nvidia-smi; these tests need a machine with an NVIDIA GPU and its driver")
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [
        dict(zip(_COLUMNS, (cell.strip() for cell in row), strict=True)) for row in csv.reader(io.StringIO(said)) if row
    ]


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Head the record of a run with what it ran on."""
    if "hardware" not in (config.option.markexpr or "") or config.option.markexpr.startswith("not"):
        return []
    there = shutil.which("nvidia-smi") is not None
    return [f"date: {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"] + [
        f"GPU {row['index']}: {row['name']}, driver {row['driver_version']}" for row in (nvidia_smi() if there else [])
    ]


@pytest.fixture
def rows() -> list[Row]:
    return nvidia_smi()


@pytest.fixture
def reader():
    reader = NvmlReader()
    yield reader
    reader.close()
