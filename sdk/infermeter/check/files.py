"""Checks files of all kinds: finds them, reads them, and collects what is wrong with each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import yaml

from infermeter.check.dashboard_files import NotADashboardError, read_dashboard
from infermeter.check.dashboard_lints import dashboard_findings
from infermeter.check.expression_lints import mistakes
from infermeter.check.finding import Finding
from infermeter.check.known_series import KnownSeries
from infermeter.check.rule_files import NotRulesError, read_rules
from infermeter.check.rule_lints import group_findings, rule_findings
from infermeter.check.rule_tests import is_rule_test, test_findings
from infermeter.check.runbook_files import queries_in
from infermeter.check.shipped import shipped_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from infermeter.check.rule_files import RuleDocument

SUFFIXES = (".yml", ".yaml", ".json", ".md")

# promtool reads the document as we write it, so that its lines are not the user's.
_PROMTOOL_PLACE = re.compile(r"\b(?:line \d+|\d+:\d+): ")
_PROMTOOL_METRIC = re.compile(r"Metric: (\S+)")
_PROMTOOL_FIX = "correct it; promtool check rules says the same"
_PROMTOOL_GROUP = re.compile(r'group "([^"]*)", rule (\d+), (.*)')


class Checked(NamedTuple):
    """The outcome of a check.

    Attributes:
        files: How many files had something to check.
        findings: What is wrong, by file and line.
    """

    files: int
    findings: list[Finding]


def found_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files to check: those named, and what lies below named folders."""
    found: list[Path] = []
    for path in paths:
        below = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES) if path.is_dir() else [path]
        found += below
    return list(dict.fromkeys(found))


def check_files(
    paths: Iterable[Path],
    *,
    promtool: Callable[[str], str] | None = None,
    promtool_test: Callable[[Path], str] | None = None,
    foreign: Iterable[str] = (),
    ignored: Collection[str] = (),
) -> Checked:
    """Check rule files, PrometheusRule manifests, dashboards and runbooks.

    Args:
        paths: Files and folders.
        promtool: Takes the text of a rule file and returns what promtool dislikes about it, or an empty text.
        promtool_test: Takes a file of tests (``*.test.yml``) and returns what comes out otherwise; without it, tests
            are left out.
        foreign: Names, as shell patterns, of series that something else exports.
        ignored: Names of lints to leave out.
    """
    found = found_files(paths)
    unreadable = {file: finding for file in found if file.suffix in SUFFIXES and (finding := _unreadable(file))}
    found = [file for file in found if file not in unreadable]
    files = [file for file in found if not is_rule_test(file)]
    tests = [file for file in found if is_rule_test(file)] if promtool_test is not None else []
    documents, findings = _rules_of(files)
    findings += unreadable.values()
    own = [
        (rule.name, rule.expr) for read in documents.values() for one in read for rule in one.rules if not rule.is_alert
    ]
    shipped = [(rule.name, rule.expr) for rule in shipped_rules() if not rule.is_alert]
    known = KnownSeries([*shipped, *own], foreign=foreign)
    checked = len(findings)
    for file, read in documents.items():
        checked += bool(read)
        for document in read:
            findings += [found for rule in document.rules for found in rule_findings(rule, known)]
            findings += group_findings(document, str(file))
            if promtool is not None:
                findings += _promtool_findings(str(file), document, promtool)
    for file in files:
        others = _dashboard(file, known) if file.suffix == ".json" else _page(file, known)
        if others is not None:
            checked += 1
            findings += others
    for file in tests:
        checked += 1
        findings += test_findings(file, promtool_test(file) if promtool_test is not None else "")
    return Checked(checked, sorted({one for one in findings if one.lint not in ignored}))


def _rules_of(files: list[Path]) -> tuple[dict[Path, list[RuleDocument]], list[Finding]]:
    documents: dict[Path, list[RuleDocument]] = {}
    findings: list[Finding] = []
    for file in files:
        if file.suffix not in {".yml", ".yaml"}:
            continue
        try:
            documents[file] = read_rules(file, str(file))
        except NotRulesError as error:
            findings.append(Finding(str(file), error.line, "format", str(error), "see promtool's description of rules"))
    return documents, findings


def _unreadable(file: Path) -> Finding | None:
    """Return what keeps a file from being read as text."""
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return Finding(str(file), 1, "format", "is not UTF-8", "save it as UTF-8")
    except OSError as error:
        return Finding(str(file), 1, "format", f"cannot be read: {error.strerror}", "let whoever checks read it")
    return None


def _dashboard(file: Path, known: KnownSeries) -> list[Finding] | None:
    try:
        dashboard = read_dashboard(file, str(file))
    except NotADashboardError as error:
        return [Finding(str(file), error.line, "format", str(error), "export the dashboard from Grafana again")]
    return None if dashboard is None else dashboard_findings(dashboard, known)


def _page(file: Path, known: KnownSeries) -> list[Finding] | None:
    if file.suffix != ".md":
        return None
    queries = queries_in(file)
    found = [mistake.at(str(file), line) for line, query in queries for mistake in mistakes(query, known)]
    return found if queries else None


def _promtool_findings(file: str, document: RuleDocument, promtool: Callable[[str], str]) -> list[Finding]:
    said = promtool(yaml.safe_dump(document.content, sort_keys=False, allow_unicode=True, width=10_000))
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    about_rules = [(line, rule) for line in lines if (rule := _PROMTOOL_GROUP.search(line))]
    if not about_rules and lines:
        reason = _PROMTOOL_PLACE.sub("", " ".join(lines))
        return [Finding(file, _line_of_duplicate(reason, document), "promtool", reason, _PROMTOOL_FIX)]
    found: list[Finding] = []
    for _, rule in about_rules:
        inside = [one for one in document.rules if one.group == rule.group(1)]
        number = int(rule.group(2)) - 1
        at = inside[number].line if 0 <= number < len(inside) else document.line
        found.append(Finding(file, at, "promtool", rule.group(3), _PROMTOOL_FIX))
    return found


def _line_of_duplicate(reason: str, document: RuleDocument) -> int:
    metric = _PROMTOOL_METRIC.search(reason)
    lines = [rule.line for rule in document.rules if metric and rule.name == metric.group(1)]
    return lines[-1] if lines else document.line
