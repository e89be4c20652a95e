"""A team's values file: thresholds, severities, durations, labels; read with the line of whatever is wrong in it."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from infermeter.check.durations import seconds_of
from infermeter.cli.rollout.thresholds import number, thresholds

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

PLACEHOLDER = "https://infermeter.example/deploy/runbooks"
SEVERITIES = ("critical", "warning", "info", "none")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN = ("alertname", "severity")
_ALERT_KEYS = ("for", "severity", "disabled")
_KEYS = ("runbooks", "thresholds", "alerts", "labels", "kubernetes")


class ValuesError(Exception):
    """A values file says something that it may not say; the text names file, line and what is allowed."""


@dataclass(frozen=True)
class Override:
    """What differs for one alert."""

    for_: str | None = None
    severity: str | None = None
    disabled: bool = False


@dataclass(frozen=True)
class Values:
    """What a team wants different.

    Args:
        runbooks: Address below which the runbooks can be read; no slash at its end.
        thresholds: Numbers by name; only those that differ need to be there.
        alerts: What differs, by name of the alert.
        labels: Further labels of every alert.
        namespace: Kubernetes namespace of the manifests, or empty.
        manifest_labels: Labels of the manifests, which the Prometheus operator selects by.
    """

    runbooks: str = PLACEHOLDER
    thresholds: dict[str, float] = field(default_factory=dict[str, float])
    alerts: dict[str, Override] = field(default_factory=dict[str, Override])
    labels: dict[str, str] = field(default_factory=dict[str, str])
    namespace: str = ""
    manifest_labels: dict[str, str] = field(default_factory=dict[str, str])


def read_values(path: Path, alerts: Collection[str]) -> Values:
    """Read a values file.

    Args:
        path: The file.
        alerts: Names of the alerts that exist.

    Raises:
        ValuesError: It is not YAML, has an unknown key, or a value that is not allowed.
    """
    try:
        node: Any = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ValuesError(f"{path}:{mark.line + 1 if mark else 1}: is not YAML: {error.problem}") from None
    except UnicodeDecodeError:
        raise ValuesError(f"{path}:1: is not UTF-8") from None
    if node is None:
        return Values()
    reader = _Reader(path)
    top = reader.fields(node, "the file", _KEYS)
    kubernetes = reader.fields(top.get("kubernetes"), "kubernetes", ("namespace", "labels"))
    return Values(
        runbooks=reader.address(top["runbooks"]) if "runbooks" in top else PLACEHOLDER,
        thresholds={
            name: reader.threshold(name, value)
            for name, value in reader.fields(top.get("thresholds"), "thresholds", thresholds()).items()
        },
        alerts={
            name: reader.override(name, value)
            for name, value in reader.fields(top.get("alerts"), "alerts", alerts).items()
        },
        labels=reader.alert_labels(top.get("labels")),
        namespace=reader.text(kubernetes["namespace"], "namespace") if "namespace" in kubernetes else "",
        manifest_labels=reader.texts(kubernetes.get("labels"), "kubernetes.labels"),
    )


def example_values(alerts: dict[str, dict[str, str]]) -> str:
    """Return a values file that changes nothing and shows everything that can be changed.

    Args:
        alerts: For each alert its keys (for, severity) and what they are.
    """
    lines = [
        "# Values for `infermeter rules export DIR --values values.yaml`. All are optional; these are the defaults.",
        "",
        "# Where your team reads the runbooks; the alert's name and .md are added.",
        f"runbooks: {PLACEHOLDER}",
        "",
        "thresholds:",
    ]
    for threshold in thresholds().values():
        lines += [f"  # {threshold.meaning} ({threshold.allowed})", f"  {threshold.name}: {number(threshold.default)}"]
    lines += ["", "# For each alert: for, severity (critical, warning, info, none), disabled.", "alerts:"]
    for name, settings in alerts.items():
        lines.append(f"  {name}: {{{', '.join(f'{key}: {value}' for key, value in settings.items())}}}")
    lines += [
        "",
        "# Further labels of every alert, for routing.",
        "labels: {}",
        "",
        "# Of the manifests; the Prometheus operator selects rules by labels.",
        "kubernetes:",
        '  namespace: ""',
        "  labels: {}",
    ]
    return "\n".join(lines) + "\n"


class _Reader:
    """Turns nodes into values, and what is wrong into one line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fields(self, node: Any, what: str, allowed: Collection[str]) -> dict[str, Any]:
        """Return the nodes of a mapping by key."""
        if _is_empty(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"{what} must be a mapping")
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in allowed:
                near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
                meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(allowed)}"
                self._fail(key, f"{what}: nothing is called {name}; {meant}")
            if name in found:
                self._fail(key, f"{what}: {name} is there twice")
            found[name] = value
        return found

    def text(self, node: Any, what: str) -> str:
        """Return a text."""
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, f"{what} must be a text")
        return str(node.value)

    def texts(self, node: Any, what: str) -> dict[str, str]:
        """Return texts by name, whatever their names are."""
        if _is_empty(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"{what} must be a mapping of texts")
        return {str(key.value): self.text(value, f"{what}.{key.value}") for key, value in node.value}

    def alert_labels(self, node: Any) -> dict[str, str]:
        """Return labels that Prometheus accepts and that no alert has yet."""
        labels = self.texts(node, "labels")
        for name in labels:
            if not _LABEL.fullmatch(name) or name in _TAKEN:
                allowed = f"letters, digits and _, and not {' or '.join(_TAKEN)}"
                self._fail(node, f"labels: {name!r} is no name for a label: {allowed}")
        return labels

    def address(self, node: Any) -> str:
        """Return an address without a slash at its end."""
        address = self.text(node, "runbooks")
        if not address.startswith(("https://", "http://")):
            self._fail(node, f"runbooks must be an address that starts with https:// or http://, got {address!r}")
        return address.rstrip("/")

    def threshold(self, name: str, node: Any) -> float:
        """Return a number that the threshold allows."""
        threshold, text = thresholds()[name], self.text(node, name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not threshold.allows(value):
            self._fail(node, f"{name} must be a number {threshold.allowed}, got {text!r}; {threshold.meaning}")
        return value

    def override(self, name: str, node: Any) -> Override:
        """Return what differs for an alert."""
        parts = self.fields(node, name, _ALERT_KEYS)
        for_ = self.text(parts["for"], f"{name}.for") if "for" in parts else None
        if for_ is not None and seconds_of(for_) is None:
            self._fail(parts["for"], f"{name}.for must be a duration like 5m or 1h30m, got {for_!r}")
        severity = self.text(parts["severity"], f"{name}.severity") if "severity" in parts else None
        if severity is not None and severity not in SEVERITIES:
            self._fail(parts["severity"], f"{name}.severity must be {' or '.join(SEVERITIES)}, got {severity!r}")
        disabled = self.text(parts["disabled"], f"{name}.disabled") if "disabled" in parts else "false"
        if disabled not in {"true", "false"}:
            self._fail(parts["disabled"], f"{name}.disabled must be true or false, got {disabled!r}")
        return Override(for_, severity, disabled == "true")

    def _fail(self, node: Any, message: str) -> NoReturn:
        raise ValuesError(f"{self._path}:{node.start_mark.line + 1}: {message}")


def _is_empty(node: Any) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.value in {"", "null", "~"})
