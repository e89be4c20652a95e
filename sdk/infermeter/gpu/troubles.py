"""What a failed call of NVML means: nothing to tell, a lost GPU, or no GPU at all, and what helps.

Failures are told apart by the library's code alone.
"""

from __future__ import annotations

from typing import Literal, overload

from infermeter.gpu.nvml import Code, NvmlError
from infermeter.gpu.sample import GpuUnavailableError

UNSUPPORTED = frozenset({Code.NOT_SUPPORTED, Code.FUNCTION_NOT_FOUND, Code.NO_PERMISSION, 25})
"""Never asked again: the device, the driver or this user has no such value (25: in a version it does not know)."""
LOST = frozenset({Code.GPU_IS_LOST, Code.RESET_REQUIRED})
"""The GPU fell off the bus, or stays away until it is reset."""

_WITHOUT_GPU_S = 60.0

_UNAVAILABLE: dict[int, tuple[str, str, bool, float]] = {
    Code.LIBRARY_NOT_FOUND: (
        "no_library",
        "there is no NVIDIA driver library here; install the driver, or run the container with the NVIDIA runtime",
        True,
        _WITHOUT_GPU_S,
    ),
    Code.DRIVER_NOT_LOADED: (
        "no_driver",
        "the NVIDIA driver is not loaded; load it with modprobe nvidia, or give the container its devices",
        True,
        _WITHOUT_GPU_S,
    ),
    Code.LIB_RM_VERSION_MISMATCH: (
        "version_mismatch",
        "the NVIDIA driver was upgraded but the old one is still loaded; reload it or reboot the node",
        False,
        _WITHOUT_GPU_S,
    ),
    Code.NO_PERMISSION: (
        "no_permission",
        "this user may not use the NVIDIA driver; give it access to /dev/nvidiactl",
        False,
        _WITHOUT_GPU_S,
    ),
    Code.UNKNOWN: (
        "unknown",
        "the NVIDIA driver answers with an unknown error; a container that lost its devices must be started anew",
        False,
        0.0,
    ),
    Code.GPU_IS_LOST: ("lost", "every GPU fell off the bus; reset them or reboot the node", False, 0.0),
    Code.UNINITIALIZED: (
        "uninitialized",
        "the NVIDIA driver was reloaded or shut down; it is opened again",
        False,
        0.0,
    ),
}


@overload
def unavailable(error: NvmlError, *, opening: Literal[True]) -> GpuUnavailableError: ...
@overload
def unavailable(error: NvmlError, *, opening: bool = ...) -> GpuUnavailableError | None: ...
def unavailable(error: NvmlError, *, opening: bool = False) -> GpuUnavailableError | None:
    """Return what a failure says about all GPUs; None if it is about one value only.

    Args:
        error: The failed call.
        opening: Whether the driver was being opened, when every failure is about all of them.
    """
    known = _UNAVAILABLE.get(error.code)
    if known is not None and (opening or error.code in (Code.UNINITIALIZED, Code.DRIVER_NOT_LOADED)):
        kind, remedy, expected, retry_s = known
        return GpuUnavailableError(kind, f"GPUs are not read: {remedy}", expected=expected, retry_s=retry_s)
    if not opening:
        return None
    return GpuUnavailableError(
        f"code_{error.code}", f"GPUs are not read: {error.function} of the NVIDIA driver fails with code {error.code}"
    )
