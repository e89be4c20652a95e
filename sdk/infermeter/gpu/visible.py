"""Which GPUs the CUDA runtime shows to this process, by UUID, from the variables that it reads.

NVML itself ignores them. Knows no driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infermeter import guard
from infermeter.gpu.sample import Gpu

_VARIABLE, _ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"


def visible_uuids(devices: Sequence[Gpu], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the devices that this process can use; of an instance (MIG), its device.

    Entries are numbers, UUIDs or beginnings of them, as CUDA takes them; a negative number hides what follows. What
    matches no device is said once and left out.
    """
    text = environ.get(_VARIABLE)
    if text is None:
        return tuple(gpu.uuid for gpu in devices)
    found: dict[str, None] = {}
    for entry in (part.strip() for part in text.split(",")):
        if not entry or entry.startswith("-"):
            break
        uuid = _by_number(int(entry), devices, environ) if entry.isdecimal() else _by_name(entry, devices)
        if uuid is None:
            guard.log_once(
                "gpu",
                f"visible {entry}",
                "infermeter: %s names %r, which is no GPU of this machine; it is left out",
                _VARIABLE,
                entry,
            )
        elif uuid:
            found[uuid] = None
    return tuple(found)


def _by_number(number: int, devices: Sequence[Gpu], environ: Mapping[str, str]) -> str | None:
    """Return the device that CUDA gives this number; empty if that cannot be known.

    CUDA counts the fastest first unless told to count by the PCI bus, as NVML does; among equal GPUs it is the same.
    """
    if number >= len(devices):
        return None
    by_bus = environ.get(_ORDER) == "PCI_BUS_ID" or len({gpu.model for gpu in devices}) == 1
    if by_bus:
        return devices[number].uuid
    guard.log_once(
        "gpu",
        "order",
        "infermeter: %s counts GPUs of different models, fastest first; set %s=PCI_BUS_ID or give UUIDs, so that "
        "models can be joined to their GPUs",
        _VARIABLE,
        _ORDER,
    )
    return ""


def _by_name(entry: str, devices: Sequence[Gpu]) -> str | None:
    for gpu in devices:
        if gpu.uuid.startswith(entry) or any(uuid.startswith(entry) for uuid in gpu.mig_uuids):
            return gpu.uuid
    # Older drivers named instances after their device: MIG-GPU-<uuid>/<instance>/<part>.
    return next((gpu.uuid for gpu in devices if entry.startswith(f"MIG-{gpu.uuid}/")), None)
