"""A snapshot as families of metrics under the names of a profile: what leaves through the SDK.

Reads only what the owner thread left; calls no driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infermeter import clock
from infermeter.catalog import Metric
from infermeter.families import Family, Point
from infermeter.gpu.owner import Snapshot
from infermeter.gpu.sample import Gpu
from infermeter.gpu.schema import LOST, MIG_LABELS, XID_TIME, XID_TOTAL, Profile, metrics_of
from infermeter.gpu.xids import CRITICAL, message_of

Pods = Mapping[tuple[str, str], Mapping[str, str]]
"""Labels of the pod that holds a GPU, by UUID and instance."""


def labels_of(gpu: Gpu, profile: Profile, host: str) -> dict[str, str]:
    """Return the labels that every series of a device or instance carries, in the exporter's order."""
    labels = {
        "gpu": str(gpu.number),
        "UUID": gpu.uuid,
        "pci_bus_id": gpu.pci_bus_id,
        "device": f"nvidia{gpu.minor}",
        "modelName": gpu.model,
    }
    if gpu.mig_id:
        labels |= dict(zip(MIG_LABELS, (gpu.mig_profile, gpu.mig_id), strict=True))
    labels[profile.host_label] = host
    return labels


def with_driver(labels: Mapping[str, str], gpu: Gpu, profile: Profile) -> dict[str, str]:
    """Return labels with the driver's version, where it is known."""
    return {**labels, profile.driver_label: gpu.driver_version} if gpu.driver_version else dict(labels)


class Gauges:
    """Families of one profile, on one host."""

    def __init__(self, profile: Profile, host: str) -> None:
        self._profile, self._host = profile, host
        self._metrics: dict[str, Metric] = {metric.name: metric for metric in metrics_of(profile)}

    def families(self, snapshot: Snapshot, pods: Pods | None = None) -> Iterable[Family]:
        """Return all families that have a value."""
        now_ns = clock.unix_ns()
        labelled = [(sample, self._labels(sample.gpu, pods)) for sample in snapshot.samples]
        for field, column in self._profile.columns:
            points = [
                Point(labels, now_ns, column.shown(value))
                for sample, labels in labelled
                if (value := getattr(sample, field)) is not None
            ]
            if points:
                yield Family(self._metrics[column.name], points)
        yield from self.errors_and_losses(snapshot, pods)

    def errors_and_losses(self, snapshot: Snapshot, pods: Pods | None = None) -> Iterable[Family]:
        """Return what is no value of a sample: errors that the driver reported, and which GPUs are lost."""
        now_ns = clock.unix_ns()
        seen = [*(sample.gpu for sample in snapshot.samples), *snapshot.lost]
        yield from self._errors(snapshot, [(gpu, self._labels(gpu, pods)) for gpu in seen], now_ns)
        read = {sample.gpu.uuid: sample.gpu for sample in snapshot.samples}
        lost = {gpu.uuid: gpu for gpu in snapshot.lost}
        states = [
            Point(labels_of(gpu._replace(mig_id=""), self._profile, self._host), now_ns, float(uuid in lost))
            for uuid, gpu in {**read, **lost}.items()
        ]
        if states:
            yield Family(self._metrics[LOST.name], states)

    def _labels(self, gpu: Gpu, pods: Pods | None) -> dict[str, str]:
        labels = with_driver(labels_of(gpu, self._profile, self._host), gpu, self._profile)
        return {**labels, **(pods or {}).get((gpu.uuid, gpu.mig_id), {})}

    def _errors(self, snapshot: Snapshot, labelled: list[tuple[Gpu, dict[str, str]]], now_ns: int) -> Iterable[Family]:
        """Return what the driver reported; the codes that one alerts on from 0, so that the first of them is a rise."""
        last: list[Point] = []
        totals: list[Point] = []
        times: list[Point] = []
        for gpu, labels in labelled:
            uuid = gpu.uuid
            code = snapshot.last_xids.get(uuid)
            if code is not None:
                last.append(Point({**labels, "err_code": str(code), "err_msg": message_of(code)}, now_ns, code))
            base = labels_of(gpu, self._profile, self._host)
            for number in sorted({*CRITICAL, *(code for owner, code in snapshot.xids if owner == uuid)}):
                seen = snapshot.xids.get((uuid, number))
                totals.append(Point({**base, "xid": str(number)}, now_ns, seen.times if seen else 0))
                if seen:
                    times.append(Point({**base, "xid": str(number)}, now_ns, seen.unix_s))
        for name, points in ((self._profile.xid.name, last), (XID_TOTAL.name, totals), (XID_TIME.name, times)):
            if points:
                yield Family(self._metrics[name], points)
