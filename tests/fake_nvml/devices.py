"""Devices of the fake, with the values that were captured from real ones (driver 590.48.01 and others)."""

from __future__ import annotations

from tests.fake_nvml.control import NOT_SUPPORTED, FakeNvml

MIB = 2**20


def uuid(index: int) -> str:
    """Return the id that a fake device has."""
    return f"GPU-{index:08x}-1111-2222-3333-{index:012x}"


def _base(fake: FakeNvml, index: int, name: str, total_mib: int, reserved_mib: int) -> None:
    device = fake.device(index)
    device.name, device.uuid = name.encode(), uuid(index).encode()
    device.bus = f"00000000:{0x18 + index:02X}:00.0".encode()
    device.minor, device.lost, device.mig, device.instances = index, 0, 0, 0
    device.total, device.reserved, device.used = total_mib * MIB, reserved_mib * MIB, 0
    device.util_ret = device.codec_ret = device.temp_ret = device.clock_ret = device.power_ret = 0
    device.limit_ret = device.margin_ret = device.gpm_supported = device.processes = 0
    device.reasons = 1
    for field in range(320):
        fake.set_field(index, field, None)
    for number in range(80):
        device.gpm[number] = -1.0
    fake.state.devices = max(fake.state.devices, index + 1)


def h200(fake: FakeNvml, index: int, *, busy: bool = True) -> None:
    """Add an H200: 630 W under load, warmer memory than most, everything supported but retired pages."""
    _base(fake, index, "NVIDIA H200", 143771, 614)
    device = fake.device(index)
    device.util_gpu, device.util_mem, device.enc, device.dec = (100, 7, 0, 0) if busy else (0, 0, 0, 0)
    device.temp, device.margin = (53, 35) if busy else (29, 59)
    device.clocks[1], device.clocks[2] = (1980, 3201) if busy else (345, 3201)
    device.power_mw, device.limit_mw = (627450 if busy else 77700), 700000
    device.used = (98304 if busy else 0) * MIB
    device.reasons = 4 if busy else 1
    whole = {3: 0, 4: 0, 5: 0, 6: 0, 74: 1_500_000_000, 75: 0, 76: 0, 77: 0, 78: 0, 79: 0, 82: 41 if busy else 32,
             83: 123_456_789 + index, 94: 0, 138: 0, 139: 0, 142: 0, 143: 0, 144: 0, 145: 0, 185: device.power_mw,
             186: device.power_mw, 197: 1000, 198: 2000, 230: 0, 269: 0, 270: 0, 271: 0}  # fmt: skip
    for field, value in whole.items():
        fake.set_field(index, field, value)
    device.gpm_supported = 1
    activity = {1: 97.5, 2: 64.25, 3: 31.0, 5: 41.5, 10: 22.0, 11: 0.0, 12: 6.5, 13: 1.0, 20: 12.5, 21: 250.0}
    for number, value in activity.items():
        device.gpm[number] = value if busy else 0.0


def a100_mig(fake: FakeNvml, index: int) -> None:
    """Add an A100 that is cut into a 3g.20gb and a 1g.5gb instance; no utilisation, no rows, no GPM."""
    _base(fake, index, "NVIDIA A100-SXM4-40GB", 40960, 500)
    device = fake.device(index)
    device.temp, device.margin_ret, device.power_mw, device.limit_mw = 38, NOT_SUPPORTED, 92000, 400000
    device.clocks[1], device.clocks[2] = 1410, 1215
    for field, value in {3: 0, 4: 0, 5: 0, 6: 0, 74: 0, 75: 0, 82: 36, 83: 55_000_000, 94: 0, 186: 92000}.items():
        fake.set_field(index, field, value)
    device.mig, device.instances = 1, 2
    for number, (identity, slices, total, used) in enumerate(((2, 3, 19968, 4096), (9, 1, 4864, 512))):
        instance = device.instance[number]
        instance.id, instance.slices, instance.uuid = identity, slices, f"MIG-{index:08x}-{identity}".encode()
        instance.total, instance.reserved, instance.used = total * MIB, 0, used * MIB
        for entry in range(80):
            instance.gpm[entry] = -1.0


def h200_mig(fake: FakeNvml, index: int) -> None:
    """Add an H200 with one 3g.71gb instance, whose activity GPM tells."""
    h200(fake, index, busy=False)
    device = fake.device(index)
    device.mig, device.instances = 1, 1
    instance = device.instance[0]
    instance.id, instance.slices, instance.uuid = 2, 3, f"MIG-{index:08x}-2".encode()
    instance.total, instance.reserved, instance.used = 71424 * MIB, 0, 1024 * MIB
    for number in range(80):
        instance.gpm[number] = -1.0
    for number, value in {1: 50.0, 2: 40.0, 5: 10.0, 10: 5.0}.items():
        instance.gpm[number] = value
    for field in (142, 143, 144, 145):
        fake.set_field(index, field, None)


def t4(fake: FakeNvml, index: int) -> None:
    """Add a T4: Turing, so no mean power, no remapped rows, no GPM; retired pages instead."""
    _base(fake, index, "Tesla T4", 15360, 440)
    device = fake.device(index)
    device.util_gpu, device.util_mem, device.temp, device.margin_ret = 35, 12, 48, NOT_SUPPORTED
    device.clocks[1], device.clocks[2], device.power_mw, device.limit_mw = 1590, 5000, 39120, 70000
    device.used, device.reasons, device.mig = 7000 * MIB, 0, 2
    fields = {3: 0, 4: 0, 5: 0, 6: 0, 29: 1, 30: 0, 31: 0, 74: 0, 75: 0, 83: 9_000_000, 94: 2, 186: 39120}
    for field, value in fields.items():
        fake.set_field(index, field, value)


def consumer(fake: FakeNvml, index: int) -> None:
    """Add a GeForce: no memory temperature, no ECC, no rows, no thermal margin."""
    _base(fake, index, "NVIDIA GeForce RTX 4080 SUPER", 16376, 434)
    device = fake.device(index)
    device.util_gpu, device.util_mem, device.temp, device.margin_ret = 3, 1, 41, NOT_SUPPORTED
    device.clocks[1], device.clocks[2], device.power_mw, device.limit_mw = 2505, 11501, 26000, 320000
    device.mig = 2
    for field, value in {74: 0, 75: 0, 83: 77_000, 94: 0, 185: 26000, 186: 29000}.items():
        fake.set_field(index, field, value)


def eight_h200(fake: FakeNvml) -> None:
    """Fill a node: eight H200 of which every other one is busy."""
    for index in range(8):
        h200(fake, index, busy=index % 2 == 0)


def mixed_node(fake: FakeNvml) -> None:
    """Fill a node with one of each: H200 busy and idle, partitioned ones, a T4, a GeForce."""
    for index in range(4):
        h200(fake, index, busy=index % 2 == 0)
    h200_mig(fake, 4)
    a100_mig(fake, 5)
    t4(fake, 6)
    consumer(fake, 7)
