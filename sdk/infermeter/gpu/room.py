"""``observe_gpus``: the GPUs of this machine, published by one of its processes, and which models run on them.

The room only hands over what the owner thread left; no export ever waits for a driver.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from infermeter import catalog, clock, runtime
from infermeter.errors import ConfigError
from infermeter.families import Family, Point, single
from infermeter.gpu.election import Election, default_folder
from infermeter.gpu.gauges import Gauges, Pods
from infermeter.gpu.hardware import hardware_families
from infermeter.gpu.owner import DEFAULT_INTERVAL_S, MIN_INTERVAL_S, Owner, Snapshot
from infermeter.gpu.publishing import EXPORTER_URL, PUBLISHERS, STATES, Publishing
from infermeter.gpu.sample import GpuReader
from infermeter.gpu.schema import DEFAULT_PROFILE, Profile, profile_of
from infermeter.gpu.visible import visible_uuids

_CLOSE_S = 2.0


class Request(NamedTuple):
    """How GPUs are to be observed."""

    reader: GpuReader
    publisher: str
    profile: Profile
    interval_s: float
    hardware_view: bool
    folder: Path
    exporter_url: str
    pods: Callable[[], Pods] | None = None
    """Which pods hold the GPUs; known to the agent of a host only."""


_request: Request | None = None


class GpuRoom:
    """GPUs in one configuration."""

    def __init__(self, telemetry: runtime.Telemetry) -> None:
        self._telemetry = telemetry
        self._start_ns = clock.unix_ns()
        self._close_owner: Callable[[], None] = _nothing
        self.follow()
        telemetry.at_close.append(self.close)

    def follow(self) -> None:
        """Observe as was asked last; what was observed before is closed."""
        self._close_owner()
        request = _request
        if request is None:
            raise ConfigError("nobody asked for GPUs; call infermeter.observe_gpus()")
        self._request = request
        self.publishing = publishing = Publishing(request.publisher, Election(request.folder), request.exporter_url)
        self._gauges = Gauges(request.profile, host_name())
        ticker = self._telemetry.ticker
        self.owner = owner = Owner(
            request.reader,
            request.interval_s,
            choose=publishing.choose,
            wanted=lambda: not ticker.parked,
            on_release=publishing.release,
            on_first=ticker.soon,
        )

        def close() -> None:
            owner.close(_CLOSE_S)
            publishing.release()  # also if the driver hangs: somebody else may have better luck

        self._close_owner = close

    def families(self) -> Iterable[Family]:
        """Return everything as it stands now; starts to read, so the first time there is nothing yet."""
        if not self._telemetry.ticker.parked:
            self.owner.start()
        snapshot = self.owner.snapshot
        if snapshot is None:
            return
        yield from self._about_itself(snapshot)
        believed = self.owner.believed()
        if believed is None:
            return
        pods = self._request.pods
        yield from self._gauges.families(believed, pods() if pods is not None else None)
        if self._request.hardware_view:
            yield from hardware_families(believed)
        yield self._models(believed)

    def _about_itself(self, snapshot: Snapshot) -> Iterable[Family]:
        yield single(catalog.GPU_UP, float(not snapshot.problem))
        yield single(catalog.GPU_SNAPSHOT_AGE, self.owner.age_s(snapshot))
        yield single(catalog.GPU_READ_DURATION, snapshot.cycle_s)
        failed = [
            Point({"function": function, "code": str(code)}, self._start_ns, times)
            for (function, code), times in snapshot.errors.items()
        ]
        yield Family(catalog.GPU_ERRORS, failed)
        now_ns, state = clock.unix_ns(), self.publishing.state
        yield Family(catalog.GPU_PUBLISHER, [Point({"state": s}, now_ns, float(s == state)) for s in STATES])

    def _models(self, snapshot: Snapshot) -> Family:
        """Return which models can use which GPUs: every model of this process, every GPU it is shown."""
        now_ns, uuids = clock.unix_ns(), visible_uuids(snapshot.devices, os.environ)
        return Family(
            catalog.MODEL_GPU,
            [
                Point({"model_name": model, "model_version": version, "UUID": uuid}, now_ns, 1)
                for model, version in self._telemetry.registry.names()
                for uuid in uuids
            ],
        )

    def close(self) -> None:
        """Stop reading and release the driver."""
        self._close_owner()

    def reset_in_child(self) -> None:
        """Leave thread, driver and locks to the parent; the child's own begin with its first export."""
        self._start_ns = clock.unix_ns()
        self.publishing.reset_in_child()
        self.owner.reset_in_child()


def observe_gpus(
    reader: GpuReader | None = None,
    *,
    publisher: str | None = None,
    profile: str | None = None,
    interval_s: float | None = None,
    hardware_view: bool | None = None,
) -> bool:
    """Publish the GPUs of this machine under the names of dcgm-exporter, once, however many processes call this.

    Call it in every service that uses GPUs, before or after ``configure()``: one process per GPU publishes it, another
    takes over when that one dies, and all leave it to a dcgm-exporter or ``infermeter gpu agent`` on the machine.
    A dcgm-exporter is looked for on port 9400, or where INFERMETER_GPU_EXPORTER_URL says; locks lie in shared memory,
    or where INFERMETER_GPU_LOCK_DIR says. Each process also reports which of its models can use which GPUs
    (``model_gpu_info``).

    Args:
        reader: Where samples come from; None for NVIDIA's driver. Tests use ``infermeter.testing.FakeGpuReader``.
        publisher: INFERMETER_GPU_PUBLISHER. ``auto`` (default) as above; ``always`` without asking who else does;
            ``off`` reports only which models use which GPUs.
        profile: INFERMETER_GPU_PROFILE. Whose names: ``dcgm-4.8`` (default), ``dcgm-4.8.3`` or ``dcgm-4.9``.
        interval_s: INFERMETER_GPU_INTERVAL_S. Seconds between readings, at least 5 and by default 15; a reader of your
            own may be asked more often.
        hardware_view: INFERMETER_GPU_HARDWARE_VIEW. Also publish under ``hw.*``, the names of OpenTelemetry's
            conventions, which are not stable yet. Default false.

    Returns:
        Whether there is a driver at the moment. If not, it is looked for from time to time.

    Raises:
        ConfigError: A value is not allowed.
        MissingExtraError: ``reader`` is None and the extra ``gpu`` is not installed.
    """
    environ = os.environ
    who = publisher or environ.get("INFERMETER_GPU_PUBLISHER", "").strip() or "auto"
    if who not in PUBLISHERS:
        raise ConfigError(f"INFERMETER_GPU_PUBLISHER / publisher must be one of {', '.join(PUBLISHERS)}, got {who!r}")
    chosen = profile_of(profile or environ.get("INFERMETER_GPU_PROFILE", "").strip() or DEFAULT_PROFILE)
    seconds = checked_interval_s(interval_s, environ, least_s=MIN_INTERVAL_S if reader is None else 0.0)
    view = _flag(environ.get("INFERMETER_GPU_HARDWARE_VIEW", "")) if hardware_view is None else hardware_view
    folder = Path(environ.get("INFERMETER_GPU_LOCK_DIR", "").strip() or default_folder())
    exporter_url = environ.get("INFERMETER_GPU_EXPORTER_URL", "").strip() or EXPORTER_URL
    found = True
    if reader is None:
        from infermeter.gpu.nvml import library_is_there
        from infermeter.gpu.reader import NvmlReader

        reader = NvmlReader()
        found = library_is_there()
    observe(Request(reader, who, chosen, seconds, view, folder, exporter_url))
    return found


def observe(request: Request) -> None:
    """Observe GPUs in the live configuration and in each later one; takes the place of what was asked before."""
    global _request
    _request = request
    runtime.open_always(GpuRoom)
    if runtime.live is not None:
        runtime.live.room(GpuRoom).follow()


def _nothing() -> None:
    """Close nothing: the first time, nothing is open."""


def host_name() -> str:
    """Return what the label ``Hostname`` says: the node's name in Kubernetes, else the machine's."""
    return os.environ.get("NODE_NAME", "").strip() or socket.gethostname()


def checked_interval_s(given: float | None, environ: Mapping[str, str], *, least_s: float) -> float:
    """Return the seconds between readings: argument, else environment, else 15.

    Raises:
        ConfigError: It is no finite number, or too small.
    """
    value: object = given if given is not None else environ.get("INFERMETER_GPU_INTERVAL_S", "").strip() or None
    if value is None:
        return DEFAULT_INTERVAL_S
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # a text or a number
    except (TypeError, ValueError):
        seconds = math.nan
    if not (max(least_s, 1e-3) <= seconds < math.inf):
        raise ConfigError(
            f"INFERMETER_GPU_INTERVAL_S / interval_s must be a number of seconds, at least {least_s:g}, got {value!r}"
        )
    return seconds


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word in ("", "false", "0", "no", "off"):
        return False
    if word in ("true", "1", "yes", "on"):
        return True
    raise ConfigError(f"INFERMETER_GPU_HARDWARE_VIEW / hardware_view must be true or false, got {text!r}")


def forget() -> None:
    """Forget what was asked for; for tests."""
    global _request
    _request = None
