"""What a stack tells whoever watches it: a protocol, and the watcher that does not care."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class Reporter(Protocol):
    """Hears what happens while binaries are found or built and parts are started."""

    def say(self, text: str) -> None:
        """Hear one sentence for the user."""

    def build_started(self, title: str, expectation: str, log: Path) -> None:
        """Hear that a build begins and how long it usually takes."""

    def build_advanced(self, done_ratio: float, doing: str) -> None:
        """Hear how far a build is, 0 to 1; an estimate."""

    def build_ended(self, elapsed_s: float, *, succeeded: bool) -> None:
        """Hear that a build is over."""

    def part_ready(self, title: str, elapsed_s: float) -> None:
        """Hear that a part answers."""


class SilentReporter:
    """A reporter for callers without a terminal."""

    def say(self, text: str) -> None:
        """Ignore it."""

    def build_started(self, title: str, expectation: str, log: Path) -> None:
        """Ignore it."""

    def build_advanced(self, done_ratio: float, doing: str) -> None:
        """Ignore it."""

    def build_ended(self, elapsed_s: float, *, succeeded: bool) -> None:
        """Ignore it."""

    def part_ready(self, title: str, elapsed_s: float) -> None:
        """Ignore it."""
