"""The agent of a host: one process that reads its GPUs, serves them as dcgm-exporter would, and pushes them by OTLP.

Knows what is served and whether it is healthy; knows no sockets.
"""

from __future__ import annotations

from pathlib import Path

from infermeter import catalog, runtime
from infermeter.gpu.attribution import PodFinder
from infermeter.gpu.election import AGENT, Election
from infermeter.gpu.pods import PodNamingReader
from infermeter.gpu.room import GpuRoom, Request, host_name, observe
from infermeter.gpu.sample import GpuReader
from infermeter.gpu.schema import Profile
from infermeter.gpu.text import TextRenderer, number_family


class AgentRunsError(Exception):
    """Another agent publishes the GPUs of this host."""


class Agent:
    """Reads in this process, whose configuration is live, and renders what was read.

    Args:
        reader: Where samples come from.
        profile: Whose names.
        interval_s: Seconds between readings.
        folder: Where the locks of this machine lie.
        pods: Names the pods that hold each GPU; needs the host's processes.
        exclusive: Makes every SDK on the host leave the GPUs to this process; not for simulated ones.

    Raises:
        AgentRunsError: Another agent holds the host's lock.
    """

    def __init__(
        self,
        reader: GpuReader,
        profile: Profile,
        interval_s: float,
        folder: Path,
        *,
        pods: PodFinder | None = None,
        exclusive: bool = True,
    ) -> None:
        self._election = Election(folder)
        if exclusive and not self._election.hold([AGENT]) and self._election.is_held_elsewhere(AGENT):
            raise AgentRunsError
        self._named = named = PodNamingReader(reader, pods) if pods is not None else None
        named_pods = (lambda: named.pods) if named is not None else None
        observe(Request(named or reader, "always", profile, interval_s, False, folder, "", named_pods))
        telemetry = runtime.live
        if telemetry is None:
            raise RuntimeError("configure() comes before the agent")
        telemetry.start()
        self._room = telemetry.room(GpuRoom)
        self._room.owner.start()
        self._renderer = TextRenderer(profile, host_name())

    def page(self) -> str:
        """Return what /metrics shows: every GPU that can be believed, and whether there is any."""
        owner = self._room.owner
        snapshot, believed = owner.snapshot, owner.believed()
        pods = self._named.pods if self._named is not None else None
        gpus = self._renderer.render(believed, pods) if believed is not None else ""
        is_up = snapshot is not None and not snapshot.problem
        page = gpus + number_family(catalog.GPU_UP, float(is_up))
        # Only once a reading has been missed: a page that comes just before the next one is as good as any other.
        if snapshot is not None and owner.age_s(snapshot) > 2 * owner.interval_s:
            page += number_family(catalog.GPU_SNAPSHOT_AGE, round(owner.age_s(snapshot), 1))
        return page

    def trouble(self) -> str:
        """Return why there is nothing to show; empty while all is well."""
        owner = self._room.owner
        snapshot = owner.snapshot
        if snapshot is None:
            return "nothing has been read yet"
        if owner.believed() is None:
            return f"the last reading is {owner.age_s(snapshot):.0f} s old; a call of the driver hangs"
        return f"no GPU can be read: {snapshot.problem}" if snapshot.problem else ""

    def release(self, seconds: float) -> None:
        """Let go of the driver for some time, so that somebody else may reset a GPU or change its partitions."""
        self._room.owner.release(seconds)

    def close(self) -> None:
        """Leave the GPUs to others."""
        self._room.close()
        self._election.release()
