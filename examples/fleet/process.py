"""A pod as a process: its identity, its GPUs, its start and its end. Knows nothing of what it serves."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol

import infermeter

from .gpus import INTERVAL_S, reader_of
from .pods import NAMESPACE, Pod


class Service(Protocol):
    """What a pod does."""

    async def serve(self) -> None:
        """Do it until cancelled."""


def run(pod: Pod, service: Service, gpus: Path) -> None:
    """Configure infermeter as a pod of a cluster would, serve until SIGTERM, and deliver what is left.

    Args:
        pod: Who it is.
        service: What it does.
        gpus: The file that says what simulated GPUs do.
    """
    os.environ["NODE_NAME"] = pod.node  # from the downward API, in a cluster
    infermeter.configure(
        service_name=pod.service,
        resource_attributes={"k8s.namespace.name": NAMESPACE, "k8s.pod.name": pod.name, "host.name": pod.node},
    )
    if pod.gpus:
        infermeter.observe_gpus(reader_of(pod, gpus), publisher="always", interval_s=INTERVAL_S)
    asyncio.run(_until_stopped(service.serve()))
    infermeter.shutdown()


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return
