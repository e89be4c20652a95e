"""The GPUs of this machine: can they be read, and does Prometheus hear of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from infermeter.cli.diagnosis.backend import Backend, NoAnswerError
from infermeter.cli.diagnosis.finding import Finding, failed, ok, warning
from infermeter.cli.exit_codes import ExitCode
from infermeter.errors import MissingExtraError
from infermeter.gpu.reader import NvmlReader
from infermeter.gpu.sample import Gpu, GpuLostError, GpuReader, GpuUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOP = "GPU"
# What the driver's kernel module leaves where it is loaded, also inside containers that were given a GPU.
_TRACES = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))


def check_gpus(prometheus: Backend | None, *, traces: Sequence[Path] = _TRACES) -> Finding:
    """Read every GPU once, as the SDK and the agent do.

    Args:
        prometheus: Is asked whether somebody publishes them; None where it does not answer.
        traces: Files that show that there is an NVIDIA driver.
    """
    has_driver = any(path.exists() for path in traces)
    try:
        reader = NvmlReader()
    except MissingExtraError as error:
        if not has_driver:
            return _none()
        return _failed("There is an NVIDIA driver, and nothing here can read it.", f"{error}.")
    with closing(reader):
        try:
            gpus = reader.devices()
        except GpuUnavailableError as error:
            if error.expected and not has_driver:
                return _none()
            what, _, remedy = str(error).partition(": ")
            return _failed(f"{what} (NVML: {error.kind}).", f"{remedy[:1].upper()}{remedy[1:]}.")
        lost = [gpu for gpu in gpus if not _answers(reader, gpu)]
    if lost:
        names = ", ".join(f"{gpu.number} ({gpu.uuid})" for gpu in lost)
        return _failed(
            f"GPU {names} of {len(gpus)} does not answer any more.",
            "Look for its XID in the kernel's log (dmesg), then reset the GPU or reboot the node.",
        )
    if not gpus:
        return ok(_HOP, "The NVIDIA driver is here and knows no GPU.")
    return _judge_publishing(gpus, prometheus)


def _judge_publishing(gpus: Sequence[Gpu], prometheus: Backend | None) -> Finding:
    models = ", ".join(sorted({gpu.model for gpu in gpus}))
    readable = f"{len(gpus)} can be read ({models})"
    if prometheus is None:
        return ok(_HOP, f"{readable}.")
    uuids = "|".join(sorted({gpu.uuid for gpu in gpus}))
    try:
        seen = prometheus.query(f'count by (UUID) (DCGM_FI_DEV_FB_FREE{{UUID=~"{uuids}"}})')
    except NoAnswerError:
        return ok(_HOP, f"{readable}.")
    if not seen:
        return warning(
            _HOP,
            f"{readable}, and nobody publishes them: Prometheus has no DCGM_FI_DEV_FB_FREE with their UUID.",
            "Call infermeter.observe_gpus() in a service, or run `infermeter gpu agent` or dcgm-exporter here.",
        )
    return ok(_HOP, f"{readable} and {len(seen)} published.")


def _answers(reader: GpuReader, gpu: Gpu) -> bool:
    try:
        reader.sample(gpu)
    except (GpuLostError, GpuUnavailableError):
        return False
    return True


def _none() -> Finding:
    return ok(_HOP, "No NVIDIA GPU on this machine; nothing to read.")


def _failed(found: str, remedy: str) -> Finding:
    return failed(_HOP, found, remedy, ExitCode.DOCTOR_GPU)
