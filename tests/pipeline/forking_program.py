"""A program that forks in the middle of its work: each process scores transactions and logs how its calls ended.

    python forking_program.py LOG_FOLDER

Run by test_exactness_forks.py. One file per process, written before the process leaves; 20,000 calls in all.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
from collections import Counter
from pathlib import Path

import infermeter
from fraud_api import models

LOGS = Path(sys.argv[1])
CALLS_OF_PARENT, CALLS_OF_CHILD = 4_000, 2_000
ROWS = models.sample_transactions()

infermeter.configure()


@infermeter.instrument_inference
def predict(model_name: str, model_version: str, features: list[float]) -> models.Prediction:
    """Score one transaction."""
    return models.VERSIONS[model_version].predict(features)


def work(calls: int, log_name: str) -> None:
    """Make calls, one in fifty of them broken, and log how each ended as the caller sees it."""
    ended: Counter[str] = Counter()
    for number in range(calls):
        row = ROWS[number % len(ROWS)]
        version = "1" if number % 3 else "2"
        try:
            predict(models.NAME, version, row[:-1] if number % 50 == 7 else row)
            ended[f"{models.NAME} {version} success"] += 1
        except ValueError:
            ended[f"{models.NAME} {version} error"] += 1
    (LOGS / f"{log_name}.json").write_text(json.dumps(ended), encoding="utf-8")


def forked(calls: int, log_name: str, *, leaves_at_once: bool) -> int:
    """Work in a child of os.fork and return its process id."""
    child = os.fork()
    if child:
        return child
    work(calls, log_name)
    if leaves_at_once:  # past atexit, as os._exit does: the program has to say when
        infermeter.shutdown()
        os._exit(0)
    sys.exit(0)


def main() -> None:
    """Work, fork while a thread is working, work on, and wait for all."""
    work(CALLS_OF_PARENT // 2, "parent-before")
    second_thread = threading.Thread(target=work, args=(CALLS_OF_PARENT // 4, "parent-thread"))
    second_thread.start()
    children = [forked(CALLS_OF_CHILD, f"bare-fork-{n}", leaves_at_once=n % 2 == 0) for n in range(2)]
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        processes = [
            context.Process(target=work, args=(CALLS_OF_CHILD, f"{method}-{n}"), daemon=n == 0) for n in range(2)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0, f"{method} ended with {process.exitcode}"
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.starmap(work, [(CALLS_OF_CHILD, f"pool-{n}") for n in range(2)], chunksize=1)
        pool.close()
        pool.join()
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "a forked child failed"
    work(CALLS_OF_PARENT // 4, "parent-after")
    second_thread.join()


if __name__ == "__main__":
    main()
