"""The shared memory of the fake library, field by field as in ``fake_nvml.c``."""

from __future__ import annotations

import ctypes
from ctypes import c_char, c_double, c_int32, c_uint32, c_uint64

MAGIC, ABI = 0x4E564D4C, 1
DEVICES, INSTANCES, FIELDS, GPMS, PROCESSES, RULES, FUNCTIONS, EVENTS = 64, 8, 320, 80, 16, 32, 64, 32


class Field(ctypes.Structure):
    _fields_ = (("ret", c_uint32), ("type", c_uint32), ("bits", c_uint64))


class Instance(ctypes.Structure):
    _fields_ = (
        ("id", c_uint32),
        ("slices", c_uint32),
        ("total", c_uint64),
        ("reserved", c_uint64),
        ("used", c_uint64),
        ("gpm", c_double * GPMS),
        ("uuid", c_char * 96),
    )


class Process(ctypes.Structure):
    _fields_ = (("pid", c_uint32), ("instance", c_uint32), ("used", c_uint64))


class Device(ctypes.Structure):
    _fields_ = (
        ("name", c_char * 96),
        ("uuid", c_char * 96),
        ("bus", c_char * 32),
        *(
            (name, c_uint32)
            for name in ("minor", "lost", "util_ret", "util_gpu", "util_mem", "codec_ret", "enc", "dec")
        ),
        *((name, c_uint32) for name in ("temp_ret", "temp", "clock_ret")),
        ("clocks", c_uint32 * 4),
        *((name, c_uint32) for name in ("power_ret", "power_mw", "limit_ret", "limit_mw", "margin_ret")),
        ("margin", c_int32),
        *((name, c_uint32) for name in ("mig", "instances", "gpm_supported", "processes", "links", "reserved_")),
        *((name, c_uint64) for name in ("total", "reserved", "used", "reasons")),
        ("fields", Field * FIELDS),
        ("gpm", c_double * GPMS),
        ("instance", Instance * INSTANCES),
        ("process", Process * PROCESSES),
    )


class Rule(ctypes.Structure):
    _fields_ = (
        ("function", c_char * 64),
        ("device", c_int32),
        ("ret", c_uint32),
        ("delay_us", c_uint32),
        ("skip", c_uint32),
        ("times", c_uint32),
        ("hits", c_uint32),
    )


class Function(ctypes.Structure):
    _fields_ = (("name", c_char * 64), ("calls", c_uint32 * (DEVICES + 1)))


class Event(ctypes.Structure):
    _fields_ = (("device", c_uint32), ("instance", c_uint32), ("code", c_uint64))


class State(ctypes.Structure):
    _fields_ = (
        *((name, c_uint32) for name in ("magic", "abi", "devices", "init_ret", "strict_fork", "memory_v1_only")),
        *((name, c_uint32) for name in ("no_event_support", "reserved_")),
        ("driver", c_char * 80),
        ("rules", c_uint32),
        ("events", c_uint32),
        ("rule", Rule * RULES),
        ("function", Function * FUNCTIONS),
        ("event", Event * EVENTS),
        ("device", Device * DEVICES),
    )
