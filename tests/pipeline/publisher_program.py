"""One of several services on a host: publishes the GPUs of a fake driver through the SDK, or stands by.

    python publisher_program.py INTERVAL_S

Run by test_gpu_election_live.py. Each line on standard input makes it fork a child that does nothing; it ends with the
input.
"""

from __future__ import annotations

import os
import sys

import infermeter
from infermeter.gpu.reader import NvmlReader

infermeter.configure()
infermeter.instrument_inference("fraud", version="3").record(0.1)  # who never did when it forks is a server's master
infermeter.observe_gpus(NvmlReader(), interval_s=float(sys.argv[1]))
print("ready", flush=True)
for _ in sys.stdin:
    if os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
    print("forked", flush=True)
