"""What the exit status of every `infermeter` command means: the one table, for people and scripts."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit statuses; a script may rely on them."""

    OK = 0
    FAILED = 1  # something nobody foresaw; a traceback or message says what
    USAGE = 2  # a wrong option or argument (click's own choice)
    NOT_RUNNING = 3  # status: nothing of ours runs
    DEGRADED = 4  # status: a part has crashed or does not answer
    START_FAILED = 5  # up: a part crashed or was not ready in time; everything was stopped again
    PORT_TAKEN = 6  # up: a port that was asked for explicitly belongs to somebody else
    BINARY_MISSING = 7  # up: a binary is not there and could not be built
    BUSY = 8  # another infermeter command works on the same data directory
    INTERRUPTED = 130  # Ctrl-C; everything that had been started was stopped
