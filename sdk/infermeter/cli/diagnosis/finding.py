"""What was found at one hop: a verdict, what was seen, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infermeter.cli.exit_codes import ExitCode

Verdict = Literal["ok", "warning", "failed", "not checked"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        hop: What was looked at, in one or two words.
        verdict: `failed` breaks the telemetry, `warning` makes it worse, `not checked` says what it waits for.
        found: What was seen, in one sentence.
        remedy: What helps; empty where all is well.
        exit_code: The class of the failure, for scripts; OK unless the verdict is `failed`.
    """

    hop: str
    verdict: Verdict
    found: str
    remedy: str = ""
    exit_code: ExitCode = ExitCode.OK


def ok(hop: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding(hop, "ok", found)


def warning(hop: str, found: str, remedy: str) -> Finding:
    """Return something that should be put right and breaks nothing."""
    return Finding(hop, "warning", found, remedy)


def failed(hop: str, found: str, remedy: str, exit_code: ExitCode) -> Finding:
    """Return what breaks the telemetry."""
    return Finding(hop, "failed", found, remedy, exit_code)


def not_checked(hop: str, found: str) -> Finding:
    """Return what could not be looked at."""
    return Finding(hop, "not checked", found)
