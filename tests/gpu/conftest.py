"""The fake driver library in this process, and what reads it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pynvml
import pytest
from tests.fake_nvml.control import FakeNvml, compile_library
from tests.gpu.agents import agent_process, serve

from infermeter.gpu.owner import Owner
from infermeter.gpu.reader import NvmlReader
from infermeter.gpu.sample import GpuReader

__all__ = ["agent_process", "serve"]  # fixtures of a file of their own

_STATE = "FAKE_NVML_STATE"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake ``libnvidia-ml.so.1``, compiled now."""
    return compile_library(tmp_path_factory.mktemp("fake_nvml"))


@pytest.fixture(scope="session")
def _loaded(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeNvml]:
    """The library in this process; it maps its state once, so all tests share the file."""
    fake = FakeNvml(tmp_path_factory.mktemp("fake_state") / "state")
    before = os.environ.get(_STATE)
    os.environ[_STATE] = str(fake.path)
    ctypes.CDLL(str(library))  # before pynvml asks for the name, which then finds this one
    yield fake
    if before is None:
        del os.environ[_STATE]


@pytest.fixture
def nvml(_loaded: FakeNvml) -> Iterator[FakeNvml]:
    """The driver of a machine without devices; a test adds some."""
    _loaded.reset()
    yield _loaded
    _loaded.reset()
    with suppress(pynvml.NVMLError):
        while True:
            pynvml.nvmlShutdown()


@pytest.fixture
def fake_environment(nvml: FakeNvml, library: Path) -> dict[str, str]:
    """What a process of its own needs to find the fake."""
    return {**os.environ, _STATE: str(nvml.path), "LD_LIBRARY_PATH": str(library.parent)}


@pytest.fixture
def reader(nvml: FakeNvml) -> Iterator[NvmlReader]:
    """The real reader, on the fake."""
    reader = NvmlReader()
    yield reader
    reader.close()


@pytest.fixture
def own() -> Iterator[Callable[..., Owner]]:
    """Start an owner thread; it has ended, and released the driver, before the test is over."""
    owners: list[Owner] = []

    def start(reader: GpuReader, interval_s: float = 0.05, **options: object) -> Owner:
        owner = Owner(reader, interval_s, **options)
        owners.append(owner)
        owner.start()
        return owner

    yield start
    for owner in owners:
        owner.close(timeout_s=10.0)
