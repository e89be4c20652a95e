"""Rule files with a team's values in them. Edits text and keeps comments, so that people recognise what they load."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from infermeter.check.rule_files import read_rules
from infermeter.cli.rollout.thresholds import with_values
from infermeter.cli.rollout.values import PLACEHOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from infermeter.check.rule_files import Rule
    from infermeter.cli.rollout.values import Override, Values


def rules_text(file: Path, values: Values) -> str:
    """Return the text of a shipped rule file with other values.

    Raises:
        ThresholdPlaceError: The table of thresholds does not fit the file.
    """
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for document in read_rules(file):
        for rule in reversed(document.rules):  # from the end, so that the lines above keep their numbers
            start = rule.line - 1
            end = _end_of(lines, start)
            lines[start:end] = _edited("".join(lines[start:end]), rule, values).splitlines(keepends=True)
    text = "".join(lines)
    if values.runbooks != PLACEHOLDER:
        text = text.replace(PLACEHOLDER, values.runbooks)
    return text


def manifest(name: str, rules: str, values: Values) -> dict[str, Any]:
    """Return a rule file as a PrometheusRule of the Prometheus operator."""
    metadata: dict[str, Any] = {"name": name}
    if values.namespace:
        metadata["namespace"] = values.namespace
    metadata["labels"] = {"app.kubernetes.io/part-of": "infermeter", **values.manifest_labels}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": yaml.safe_load(rules),
    }


def _end_of(lines: list[str], start: int) -> int:
    """Return the line after a rule: the next one that is not further inside."""
    depth = _indentation(lines[start])
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or _indentation(lines[end]) > depth):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    return end


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _edited(text: str, rule: Rule, values: Values) -> str:
    text = with_values(rule.name, text, values.thresholds)
    if not rule.is_alert:
        return text
    override = values.alerts.get(rule.name)
    if override is not None:
        text = _overridden(text, override)
    if values.labels:
        more = "".join(f"{{indent}}{key}: {json.dumps(value)}\n" for key, value in sorted(values.labels.items()))
        text = re.sub(
            r"^( +)severity: .*\n", lambda line: line[0] + more.replace("{indent}", line[1]), text, flags=re.MULTILINE
        )
    return text


def _overridden(text: str, override: Override) -> str:
    if override.disabled:
        return ""
    if override.for_ is not None:
        if not re.search(r"^ +for: ", text, re.MULTILINE):
            text = re.sub(r"^( +)labels:", r"\g<1>for: 0s\n\g<0>", text, count=1, flags=re.MULTILINE)
        text = re.sub(r"^( +)for: .*$", rf"\g<1>for: {override.for_}", text, flags=re.MULTILINE)
    if override.severity is not None:
        text = re.sub(r"^( +)severity: .*$", rf"\g<1>severity: {override.severity}", text, flags=re.MULTILINE)
    return text
