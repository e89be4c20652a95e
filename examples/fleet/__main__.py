"""Trains the models, starts one process per pod, starts again what dies, until SIGTERM or Ctrl-C.

    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python -m fleet --control control.json

Pods are forked, so that the models are trained and held in memory once. Fault of its own: dead-service (the pods of
`assistant` are killed, and stay away for as long).
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import signal
import sys
import time
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import models
from .assistant import Assistant
from .classifier import Classifier
from .control import POLL_S, Control
from .digits import Digits
from .gpus import Gpus
from .pipeline import Pipeline
from .pods import PODS, Pod
from .process import Service, run
from .training import Training

_DEAD_SERVICE = "assistant"
_RESTART_PAUSE_S = 1.0
_GRACE_S = 5.0


class Fleet:
    """The processes.

    Args:
        control: The file that says what goes wrong.
    """

    def __init__(self, control: Path) -> None:
        self._control = Control(control)
        self._gpu_file = control.with_name("gpus.json")
        self._gpus = Gpus(self._control, self._gpu_file)
        self._models = models.train()
        self._processes: dict[str, ForkProcess] = {}
        self._started_s: dict[str, float] = {}

    def keep(self) -> None:
        """Start what is missing, and kill what is to be dead."""
        self._gpus.follow()
        for pod in PODS:
            process = self._processes.get(pod.name)
            if pod.service == _DEAD_SERVICE and self._control.has("dead-service"):
                if process is not None and process.is_alive():
                    process.kill()
            elif (process is None or not process.is_alive()) and self._may_start(pod):
                self._start(pod)

    def stop(self) -> None:
        """End all, after what they have counted has left."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.join(_GRACE_S)
            process.kill()

    def _may_start(self, pod: Pod) -> bool:
        started_s = self._started_s.get(pod.name)
        return started_s is None or time.monotonic() - started_s >= _RESTART_PAUSE_S

    def _start(self, pod: Pod) -> None:
        self._started_s[pod.name] = time.monotonic()
        process = multiprocessing.get_context("fork").Process(target=self._be, args=(pod,), name=pod.name)
        process.start()
        self._processes[pod.name] = process

    def _be(self, pod: Pod) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        run(pod, self._service(pod), self._gpu_file)

    def _service(self, pod: Pod) -> Service:
        if pod.model == "digits":
            return Digits(pod, self._models[pod.model], self._control)
        if pod.model in self._models:
            return Classifier(pod, self._models[pod.model], self._control)
        if pod.model:
            return Assistant(pod, self._control)
        return Training() if pod.gpus else Pipeline(pod, self._control)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m fleet", description="Run the fleet of the demonstration until SIGTERM or Ctrl-C."
    )
    parser.add_argument("--control", required=True, type=Path, help="file that says what the fleet gets wrong")
    parser.add_argument("--ready", type=Path, help="file to write once all processes have been started")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(processName)s %(levelname)s %(message)s")

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    fleet = Fleet(options.control)
    try:
        fleet.keep()
        if options.ready is not None:
            options.ready.write_text(json.dumps({"pods": [pod.name for pod in PODS]}), encoding="utf-8")
        print(f"{len(PODS)} pods run", flush=True)
        while True:
            time.sleep(POLL_S)
            fleet.keep()
    finally:
        fleet.stop()


if __name__ == "__main__":
    main()
