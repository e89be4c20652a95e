"""A model on a GPU: which device it can use, what that device does, and what 1,000 predictions take in energy.

    OTEL_SERVICE_NAME=news-api OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python examples/gpus.py

What to see: 200 requests of model `news`; `model_gpu_info` joins it to a device by its UUID; that device under the
names of dcgm-exporter, such as `DCGM_FI_DEV_GPU_UTIL` and `DCGM_FI_DEV_POWER_USAGE`. The device is simulated, as its
`modelName` says; with `--real` it is the GPUs of this machine (pip install "infermeter[gpu]").
"""

from __future__ import annotations

import sys
import time

import infermeter
from infermeter.gpu.simulated import SimulatedReader

REQUESTS, SECONDS = 200, 2.0


@infermeter.instrument_inference("news", version="1", sla_s=0.1)
def rank(clicks: list[int]) -> list[int]:
    """Return which documents come first; a real model would ask the GPU."""
    time.sleep(SECONDS / REQUESTS)
    return sorted(range(len(clicks)), key=clicks.__getitem__, reverse=True)


def main() -> None:
    """Publish the GPUs, then answer; in a service both stand where it starts."""
    infermeter.configure()
    if "--real" in sys.argv:
        found = infermeter.observe_gpus()
        print("there is a driver" if found else "there is no driver; one that comes later is picked up")
    else:
        infermeter.observe_gpus(SimulatedReader(["busy"]), publisher="always", interval_s=0.5)
    for number in range(REQUESTS):
        rank([number % 7, number % 5, number % 3])
    print(f"{REQUESTS} rankings made")


if __name__ == "__main__":
    main()
