"""The one exception of this room: what went wrong, what to do about it, and the exit status that says so."""

from __future__ import annotations

from infermeter.cli.exit_codes import ExitCode


class StackError(Exception):
    """A failure a person can act on.

    Attributes:
        exit_code: The status a command ends with.
        log_tail: The last lines of the log that explains it, or empty.
    """

    def __init__(self, message: str, *, exit_code: ExitCode = ExitCode.FAILED, log_tail: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.log_tail = log_tail
