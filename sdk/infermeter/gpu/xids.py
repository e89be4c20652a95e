"""XID errors of the NVIDIA driver: which ones mean that a GPU must be looked after, and what they say.

Classes after NVIDIA's catalogue of October 2025; the wording is ours.
"""

from __future__ import annotations

CRITICAL = (48, 62, 64, 74, 79, 95, 119, 120)
"""Exported from 0 for every GPU, so that an alert on a rise sees the first one."""

_MESSAGES = {
    8: "GPU stopped processing",
    13: "Graphics engine exception",
    31: "GPU memory page fault",
    32: "Invalid or corrupted push buffer",
    38: "Driver firmware error",
    43: "GPU stopped processing",
    45: "Preemptive cleanup, due to previous errors",
    46: "GPU stopped processing",
    48: "Double-bit ECC error",
    54: "Auxiliary power is not connected",
    61: "Internal micro-controller breakpoint",
    62: "Internal micro-controller halt",
    63: "ECC page retirement or row remapping recorded",
    64: "ECC page retirement or row remapping failed",
    69: "Graphics engine class error",
    74: "NVLink error",
    78: "vGPU start error",
    79: "GPU has fallen off the bus",
    92: "High single-bit ECC error rate",
    94: "Contained ECC error",
    95: "Uncontained ECC error",
    109: "Context switch timeout",
    110: "Security fault",
    119: "GSP RPC timeout",
    120: "GSP error",
    136: "Link training failed",
    140: "Unrecovered ECC error",
    143: "GPU initialization error",
    154: "GPU recovery action changed",
    156: "Resource retirement event",
    158: "GPU fatal timeout",
}


def message_of(code: int) -> str:
    """Return a few words for a code."""
    return _MESSAGES.get(code, "Unknown Error")
