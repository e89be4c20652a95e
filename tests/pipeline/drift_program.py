"""One process of a service whose inputs are monitored: counts its share of the rows, forks once, and leaves well.

    python drift_program.py FOLDER FIRST_SLICE

Run by test_drift_live.py, which wrote the references and the rows. Each process takes a quarter of the rows of each
model: the one named by FIRST_SLICE, and its fork the next one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

import infermeter

FOLDER, FIRST = Path(sys.argv[1]), int(sys.argv[2])
QUARTERS = 4

infermeter.configure()
monitors = {
    file.stem: infermeter.monitor_drift(file.stem, FOLDER / "reference.json", version="1")
    for file in sorted(FOLDER.glob("*.npy"))
}


def work(quarter: int) -> None:
    """Count a quarter of the rows of every model, half of them one by one."""
    for name, monitor in monitors.items():
        rows = np.load(FOLDER / f"{name}.npy")[quarter::QUARTERS]
        for row in rows[: len(rows) // 2].tolist():
            monitor.observe(row)
        monitor.observe_batch(rows[len(rows) // 2 :])


def main() -> None:
    """Count two quarters, the second one in a fork that was made in the middle of the first."""
    child = os.fork()
    work(FIRST if child else FIRST + 1)
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the fork failed"
        return
    infermeter.shutdown()  # os._exit skips what would do it
    os._exit(0)


if __name__ == "__main__":
    main()
