"""Writes the committed pages anew, after a change that is meant: ``python -m tests.gpu.write_golden``."""

from __future__ import annotations

import ctypes
import os
import tempfile
from pathlib import Path

from tests.fake_nvml import devices
from tests.fake_nvml.control import FakeNvml, compile_library
from tests.gpu.test_text import GOLDEN, snapshot_of

from infermeter import clock
from infermeter.gpu.reader import NvmlReader
from infermeter.gpu.schema import PROFILES
from infermeter.gpu.text import TextRenderer


class _Clock:
    now_s = 1000.0

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp())
    fake, still = FakeNvml(folder / "state"), _Clock()
    os.environ["FAKE_NVML_STATE"] = str(fake.path)
    ctypes.CDLL(str(compile_library(folder)))
    clock.monotonic_s = lambda: still.now_s
    devices.mixed_node(fake)
    for profile in PROFILES.values():
        reader = NvmlReader()
        page = TextRenderer(profile, "node-1").render(snapshot_of(reader, still))
        reader.close()
        (GOLDEN / f"{profile.name}.txt").write_text(page, encoding="utf-8")
