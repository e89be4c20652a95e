"""The shipped rule files, their tests and runbooks, read into plain records. Judges nothing."""

from __future__ import annotations

from functools import cache

from infermeter.assets import asset
from infermeter.check.rule_files import Rule
from infermeter.check.shipped import rule_files, shipped_rules

__all__ = ["RULE_TESTS", "RUNBOOKS", "Rule", "alerts", "recordings", "rule_files", "rules"]

RULE_TESTS = asset("deploy/prometheus/rule_tests")
RUNBOOKS = asset("deploy/runbooks")


@cache
def rules() -> tuple[Rule, ...]:
    """Return every rule of every shipped file, in order."""
    return tuple(shipped_rules())


def alerts() -> list[Rule]:
    """Return the alerts."""
    return [rule for rule in rules() if rule.is_alert]


def recordings() -> list[Rule]:
    """Return the recording rules."""
    return [rule for rule in rules() if not rule.is_alert]
