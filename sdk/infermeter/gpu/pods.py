"""A reader that also tells which pods hold each GPU. For the agent only: it needs the processes of the host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from infermeter import clock
from infermeter.gpu.attribution import PodFinder, PodOfProcess
from infermeter.gpu.sample import Gpu, GpuProcess, GpuReader, GpuSample, Xid

LOOK_S = 60.0
"""Seconds between two lists of processes, which take the driver milliseconds."""


class PodNamingReader:
    """Reads what another reader reads, and looks for the pods once a minute.

    Args:
        reader: The one that reads.
        finder: Finds the pods of processes.
    """

    def __init__(self, reader: GpuReader, finder: PodFinder) -> None:
        self._reader, self._finder = reader, finder
        self._looked_s: dict[str, float] = {}
        self.pods: Mapping[tuple[str, str], Mapping[str, str]] = {}
        """Labels by UUID and instance; replaced, never changed. Of a GPU that several pods share, all names."""

    def devices(self) -> Sequence[Gpu]:
        """Return what the reader returns."""
        return self._reader.devices()

    def sample(self, gpu: Gpu) -> Sequence[GpuSample]:
        """Return what the reader returns; the pods of this GPU are known then."""
        samples = self._reader.sample(gpu)
        now_s = clock.monotonic_s()
        if now_s - self._looked_s.get(gpu.uuid, -LOOK_S) >= LOOK_S:
            self._looked_s[gpu.uuid] = now_s
            self._look(gpu)
        return samples

    def _look(self, gpu: Gpu) -> None:
        holders: dict[tuple[str, str], set[PodOfProcess]] = {}
        for process in self._reader.processes(gpu):
            pod = self._finder.pod_of(process.pid)
            if pod is not None:
                holders.setdefault((process.uuid, process.mig_id), set()).add(pod)
        others = {key: labels for key, labels in self.pods.items() if key[0] != gpu.uuid}
        self.pods = {**others, **{key: _labels(pods) for key, pods in holders.items()}}

    def processes(self, gpu: Gpu) -> Sequence[GpuProcess]:
        """Return what the reader returns."""
        return self._reader.processes(gpu)

    def wait(self, timeout_s: float) -> Sequence[Xid] | None:
        """Wait as the reader does."""
        return self._reader.wait(timeout_s)

    def errors(self) -> Mapping[tuple[str, int], int]:
        """Return what the reader returns."""
        return self._reader.errors()

    def close(self) -> None:
        """Close the reader."""
        self._reader.close()

    def reset_in_child(self) -> None:
        """Tell the reader."""
        self._reader.reset_in_child()


def _labels(pods: set[PodOfProcess]) -> dict[str, str]:
    """Return the exporter's labels; a pod whose name is not known goes by its uid, so that the GPU is not nobody's."""
    ordered = sorted(pods)
    return {
        "container": _listed(pod.container for pod in ordered),
        "namespace": _listed(pod.namespace for pod in ordered),
        "pod": _listed(pod.name or pod.uid for pod in ordered),
        "pod_uid": _listed(pod.uid for pod in ordered),
    }


def _listed(words: Iterable[str]) -> str:
    return ",".join(dict.fromkeys(word for word in words if word))
