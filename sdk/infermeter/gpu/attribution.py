"""Which pod a process belongs to: from its control group, and the names that kubelet gives to log files.

For the agent of a host, which sees the processes of all pods. Knows no driver.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

# kubelet's two spellings: pod<uid> under cgroupfs, pod<uid with underscores>.slice under systemd.
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
_CONTAINER = re.compile(r"([0-9a-f]{64})(?:\.scope)?$", re.MULTILINE)
_MOST_KEPT = 4096
_BIRTH = 19  # of the fields of /proc/<pid>/stat that follow the command's name


class PodOfProcess(NamedTuple):
    """Where a process runs; texts are empty where that is not known."""

    uid: str
    namespace: str = ""
    name: str = ""
    container: str = ""


class PodFinder:
    """Finds the pods of processes, and remembers also which have none.

    Args:
        proc: Where the host's processes are shown.
        logs: Where kubelet keeps logs: ``pods/<namespace>_<pod>_<uid>`` and ``containers/<pod>_<namespace>_<container>-
            <id>.log``. Without them pods have no names.
    """

    def __init__(self, proc: Path = Path("/proc"), logs: Path = Path("/var/log")) -> None:
        self._proc, self._logs = proc, logs
        self._known: dict[tuple[int, str], PodOfProcess | None] = {}

    def pod_of(self, pid: int) -> PodOfProcess | None:
        """Return the pod of a process; None if it belongs to none or is gone."""
        try:
            stat = (self._proc / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
            born = stat.rpartition(")")[2].split()[_BIRTH]  # a number comes again; with the start of its process not
        except (OSError, IndexError):
            return None
        key = (pid, born)
        if key not in self._known:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[key] = self._look(pid)
        return self._known[key]

    def _look(self, pid: int) -> PodOfProcess | None:
        try:
            groups = (self._proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        pod, container = _POD.search(groups), _CONTAINER.search(groups)
        if pod is None:
            return None
        uid = pod.group(1).replace("_", "-")
        namespace, name = self._name_of(uid)
        return PodOfProcess(uid, namespace, name, self._container_of(container.group(1)) if container else "")

    def _name_of(self, uid: str) -> tuple[str, str]:
        for folder in _names(self._logs / "pods", f"*_*_{uid}"):
            namespace, name, _ = folder.split("_", 2)
            return namespace, name
        return "", ""

    def _container_of(self, container_id: str) -> str:
        for file in _names(self._logs / "containers", f"*_*_*-{container_id}.log"):
            return file.split("_", 2)[2].removesuffix(f"-{container_id}.log")
        return ""


def _names(folder: Path, pattern: str) -> list[str]:
    try:
        return sorted(path.name for path in folder.glob(pattern))
    except OSError:
        return []
