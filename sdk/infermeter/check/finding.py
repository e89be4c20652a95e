"""One thing that is wrong: where, which check found it, why it matters, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """What `infermeter check` reports.

    Args:
        file: As the user named it.
        line: From 1; the rule's or query's own line.
        lint: Name of the check, for suppressing and searching.
        reason: What is wrong, and what it does to the reader of the rule or panel.
        fix: What to do instead.
    """

    file: str
    line: int
    lint: str
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.lint}: {self.reason}; {self.fix}"

    def as_json(self) -> dict[str, str | int]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Mistake:
    """A finding that does not know its place yet."""

    lint: str
    reason: str
    fix: str

    def at(self, file: str, line: int) -> Finding:
        """Return the finding at a place."""
        return Finding(file, line, self.lint, self.reason, self.fix)

    def __str__(self) -> str:
        return f"{self.lint}: {self.reason}; {self.fix}"
