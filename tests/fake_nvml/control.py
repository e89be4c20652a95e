"""Drives the fake library from a test: devices, errors per function and device, delays, call counts.

Values change while other processes read them: both ends hold the same memory.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import subprocess
from pathlib import Path

from tests.fake_nvml import layout

NOT_SUPPORTED, NO_PERMISSION, GPU_IS_LOST, UNKNOWN = 3, 4, 15, 999
UNSIGNED, DOUBLE = 1, 0
SOURCE = Path(__file__).with_name("fake_nvml.c")
LIBRARY = "libnvidia-ml.so.1"


def compile_library(folder: Path) -> Path:
    """Compile the library into a folder and return its path; fails loudly where there is no C compiler."""
    target = folder / LIBRARY
    command = ["cc", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}"]
    subprocess.run([*command, "-o", str(target), str(SOURCE)], check=True, capture_output=True, text=True)
    return target


class FakeNvml:
    """The test's end of the shared memory.

    Args:
        path: The file that both ends map; its path goes into ``FAKE_NVML_STATE``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("w+b") as file:
            file.truncate(ctypes.sizeof(layout.State))
            self._memory = mmap.mmap(file.fileno(), 0)
        self.state = layout.State.from_buffer(self._memory)
        self.reset()

    def reset(self) -> None:
        """Go back to a driver without devices, rules and counts; a call that hangs returns."""
        ctypes.memset(ctypes.addressof(self.state), 0, ctypes.sizeof(self.state))
        self.state.magic, self.state.abi = layout.MAGIC, layout.ABI
        self.state.driver = b"590.48.01"

    def device(self, index: int) -> layout.Device:
        """Return a device, to be changed in place."""
        return self.state.device[index]

    def set_field(self, index: int, field: int, value: float | None, *, ret: int = 0) -> None:
        """Set what a field id of a device answers; None for not supported."""
        entry = self.device(index).fields[field]
        if value is None or ret:
            entry.ret = ret or NOT_SUPPORTED
            return
        entry.ret, entry.type = 0, 3 if isinstance(value, int) else DOUBLE
        packed = struct.pack("<Q", value) if isinstance(value, int) else struct.pack("<d", value)
        entry.bits = struct.unpack("<Q", packed)[0]

    def rule(
        self, function: str, *, device: int = -1, ret: int = 0, delay_s: float = 0.0, skip: int = 0, times: int = 0
    ) -> None:
        """Let a function (or ``*``) fail or be slow: after ``skip`` calls, for ``times`` calls or for ever (0)."""
        number = self.state.rules
        self.state.rule[number] = layout.Rule(function.encode(), device, ret, round(delay_s * 1e6), skip, times, 0)
        self.state.rules = number + 1

    def clear_rules(self) -> None:
        """Let everything succeed again; a call that hangs returns at once."""
        self.state.rules = 0

    def xid(self, index: int, code: int) -> None:
        """Report an error of a device to everybody who waits for events."""
        number = self.state.events
        self.state.event[number % layout.EVENTS] = layout.Event(index, 0xFFFFFFFF, code)
        self.state.events = number + 1

    def calls(self, function: str | None = None, device: int | None = None) -> int:
        """Return how often a function (or any) was called for a device (or any)."""
        total = 0
        for entry in self.state.function:
            if entry.name and (function is None or entry.name.decode() == function):
                total += sum(entry.calls) if device is None else entry.calls[device]
        return total

    def called(self) -> dict[str, int]:
        """Return all call counts by function."""
        return {entry.name.decode(): sum(entry.calls) for entry in self.state.function if sum(entry.calls)}

    def forget_calls(self) -> None:
        """Count from zero."""
        for entry in self.state.function:
            ctypes.memset(ctypes.addressof(entry.calls), 0, ctypes.sizeof(entry.calls))
