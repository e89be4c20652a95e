"""What is wrong with a rule beyond its expression: texts, severity, and what makes an alert page for nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import promql_parser as ast

from infermeter.check.dashboard_files import items_of
from infermeter.check.durations import seconds_of
from infermeter.check.expression_lints import mistakes
from infermeter.check.finding import Mistake
from infermeter.check.promql import bare, nodes, operator, parse, result_labels, selectors
from infermeter.check.shape_lints import is_ratio, result_unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infermeter.check.finding import Finding
    from infermeter.check.known_series import KnownSeries
    from infermeter.check.rule_files import Rule, RuleDocument

_LABEL_IN_TEXT = re.compile(r"\$labels\.(\w+)")
_LONE_BRACE = re.compile(r"(?<!\{)\{\s*(?:\.|\$)(?:[Ll]abels|[Vv]alue)")
_COMPARISONS = frozenset({">", "<", ">=", "<=", "==", "!="})
_DECIDES = _COMPARISONS | {"unless"}
_REPLICA_LABELS = frozenset({"instance", "host_name", "le"})
_BUSY_FROM = 70.0  # percent
_LOOKBACK_S = 300.0  # Prometheus's default
_UNIT_IN_NAME = re.compile(r"_(seconds|bytes|ratio|percent|hertz)(?=:|$)")
_UNIT_OF_SUFFIX = {"seconds": "s", "bytes": "bytes", "ratio": "ratio", "percent": "percent", "hertz": "hertz"}
_WORDS = {"s": "seconds", "percent": "a percentage", "mebibytes": "MiB", "megahertz": "MHz"}
_NOT_FOR_PEOPLE = frozenset({"none"})  # severity of a heartbeat


def rule_findings(rule: Rule, known: KnownSeries) -> list[Finding]:
    """Return what is wrong with a rule, at its lines."""
    found = [mistake.at(rule.file, rule.expr_line) for mistake in mistakes(rule.expr, known)]
    found += [mistake.at(rule.file, rule.line) for query in rule.template_queries for mistake in mistakes(query, known)]
    about_rule = _alert(rule, known) if rule.is_alert else _recording(rule)
    return [*found, *(mistake.at(rule.file, rule.line) for mistake in about_rule)]


def group_findings(document: RuleDocument, file: str) -> list[Finding]:
    """Return what is wrong with the groups of a document."""
    found: list[Finding] = []
    for group in items_of(document.content, "groups"):
        interval_s = seconds_of(str(group.get("interval", "")))
        if interval_s is not None and interval_s > _LOOKBACK_S:
            mistake = Mistake(
                "group-interval",
                f"group {group.get('name')} is evaluated every {interval_s:g} s, and a series is gone after 300 s",
                "5m at most: what it records has gaps, and its alerts resolve in between",
            )
            inside = [rule.line for rule in document.rules if rule.group == group.get("name")]
            found.append(mistake.at(file, inside[0] - 1 if inside else document.line))
    return found


def _recording(rule: Rule) -> Iterator[Mistake]:
    if ":" not in rule.name:
        yield Mistake(
            "record-name",
            f"{rule.name} looks like something that a service exports",
            "name it level:metric:operation, like model:requests:rate5m",
        )
    try:
        unit = result_unit(parse(rule.expr))
    except ValueError:
        return
    said = _UNIT_IN_NAME.search(rule.name)
    if unit and said and unit != _UNIT_OF_SUFFIX[said.group(1)]:
        yield Mistake(
            "recorded-unit",
            f"is called {said.group(1)} and is {_WORDS[unit]}",
            "convert the value, or say the real unit in the name",
        )


def _alert(rule: Rule, known: KnownSeries) -> Iterator[Mistake]:
    yield from _texts(rule)
    try:
        tree = parse(rule.expr)
    except ValueError:
        return
    yield from _labels(rule, result_labels(tree, known.labels), tree)
    is_heartbeat = rule.labels.get("severity") in _NOT_FOR_PEOPLE
    if not (is_heartbeat or _decides(tree)):
        yield Mistake(
            "alert-comparison",
            "compares nothing, so it fires as soon as its series exists",
            "compare with a limit, or use absent()",
        )
    over_windows = any("burn_rate" in selector.name for selector in selectors(tree))  # two windows are their own `for`
    if not (is_heartbeat or over_windows) and str(rule.spec.get("for", "")) in {"", "0", "0s", "0m"}:
        yield Mistake("alert-for", "has no `for`, so a single evaluation pages", "wait at least two evaluations")
    yield from _pages_for_nothing(tree)


def _texts(rule: Rule) -> Iterator[Mistake]:
    if "severity" not in rule.labels:
        yield Mistake(
            "alert-severity", "has no label severity, so it is routed nowhere", "say critical, warning or info"
        )
    for name in ("summary", "description"):
        if not rule.texts.get(name):
            yield Mistake("alert-text", f"has no {name}", "say what is wrong in words for a person at night")
    if not rule.texts.get("runbook_url"):
        yield Mistake("alert-runbook", "has no runbook_url", "name the page that says what to do")
    if any("$value" in text or ".Value" in text for text in rule.labels.values()):
        yield Mistake(
            "alert-value-label",
            "has its value in a label, so each evaluation is a new alert and `for` starts anew",
            "put the value in the description",
        )
    for text in (*rule.texts.values(), *rule.labels.values()):
        if _LONE_BRACE.search(text):
            yield Mistake("alert-template", "has a template with one brace, which is printed as it is", "use {{ … }}")


def _labels(rule: Rule, available: frozenset[str] | None, tree: Any) -> Iterator[Mistake]:
    if available is None:
        return
    used = {label for text in rule.texts.values() for label in _LABEL_IN_TEXT.findall(text)}
    lost = used - available - rule.labels.keys() - {"alertname"}
    if lost:
        yield Mistake(
            "alert-label-lost",
            f"its texts use {', '.join(sorted(lost))}, which the expression removes, so they are empty there",
            f"there are {', '.join(sorted(available)) or 'no labels'}",
        )
    about_models = any(selector.name.startswith(("model_", "model:")) for selector in selectors(tree))
    per_replica = available & _REPLICA_LABELS
    if about_models and per_replica:
        yield Mistake(
            "alert-per-replica",
            f"keeps {', '.join(sorted(per_replica))}, so one problem of a model pages once per replica",
            "sum by (namespace, model_name, model_version)",
        )


def _pages_for_nothing(tree: Any) -> Iterator[Mistake]:
    has_condition = any(isinstance(n, ast.BinaryExpr) and operator(n) in {"and", "unless"} for n in nodes(tree))
    for node in nodes(tree):
        if not (isinstance(node, ast.BinaryExpr) and operator(node) in _COMPARISONS):
            continue
        limit = bare(node.rhs).val if isinstance(bare(node.rhs), ast.NumberLiteral) else None
        names = {selector.name for selector in selectors(node.lhs)}
        if operator(node) in {">", ">="} and limit is not None:
            if is_ratio(node.lhs) and not has_condition:
                yield Mistake(
                    "alert-traffic-floor",
                    "judges a ratio at any traffic, so that one failed request at night pages",
                    "ask for a number of events besides: and increase(…) >= 3",
                )
            if names & {"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"} and _as_percent(limit) >= _BUSY_FROM:
                yield Mistake("alert-healthy", "pages when a GPU is well used", "alert on waiting requests or latency")
        if names == {"DCGM_FI_DEV_XID_ERRORS"}:
            yield Mistake(
                "alert-sticky",
                "this gauge keeps the last error code for ever, and so does the alert",
                "alert on its change: changes(DCGM_FI_DEV_XID_ERRORS[10m]) > 0",
            )


def _as_percent(limit: float) -> float:
    return limit * 100 if limit <= 1 else limit


def _decides(tree: Any) -> bool:
    return any(
        (isinstance(node, ast.BinaryExpr) and operator(node) in _DECIDES)
        or (isinstance(node, ast.Call) and node.func.name in {"absent", "absent_over_time"})
        for node in nodes(tree)
    )
