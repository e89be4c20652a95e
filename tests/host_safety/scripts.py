"""Runs a program in an interpreter of its own, as a service would run, and says how it ended.

Programs see the receiver's address as OTEL_EXPORTER_OTLP_ENDPOINT. Knows nothing of what they test.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import infermeter

PREAMBLE = """
import gc, os, signal, sys, threading, time
import infermeter
fraud = infermeter.instrument_inference("fraud", version="3")
"""
TIMEOUT_S = 180


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "INFERMETER_"))}
    sources = str(Path(infermeter.__file__).parents[1])
    return {**inherited, "PYTHONPATH": sources, "PYTHONUNBUFFERED": "1", **variables}


def run(
    program: str, *, endpoint: str = "", preamble: str = PREAMBLE, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a hang fails the test."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", preamble + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **variables),
        check=False,
    )


@contextmanager
def started(
    program: str, *, endpoint: str = "", preamble: str = PREAMBLE, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Start a program and wait until it prints ``ready``; it is gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", preamble + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **variables),
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if line != "ready\n":
            process.kill()
            raise AssertionError(f"the program printed {line!r} instead of ready: {process.communicate()[1]}")
        yield process
    finally:
        process.kill()
        process.communicate()
