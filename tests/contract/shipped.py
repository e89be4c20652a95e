"""The series that our own files may read, and the mistakes in an expression against them."""

from __future__ import annotations

from tests.contract.rule_files import recordings

from infermeter.check.expression_lints import mistakes
from infermeter.check.known_series import KnownSeries

KNOWN = KnownSeries((rule.name, rule.expr) for rule in recordings())


def findings(expression: str) -> list[str]:
    """Return what is wrong with an expression, one sentence each."""
    return [str(mistake) for mistake in mistakes(expression, KNOWN)]
