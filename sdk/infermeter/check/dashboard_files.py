"""Grafana dashboards as records with line numbers: panels, queries, variables. Judges nothing but the format."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Variables that Grafana always has, with what stands in for them; the longer of two that begin alike comes first.
_BUILT_IN = {
    "__rate_interval_ms": "300000",
    "__rate_interval": "5m",
    "__range_ms": "3600000",
    "__range_s": "3600",
    "__range": "1h",
    "__interval_ms": "60000",
    "__interval": "1m",
    "__from": "0",
    "__to": "0",
    "__auto": "5m",
}
_ALL = ".*"
_ON_TIME_RANGE = 2  # a variable's "refresh"
# Not $1, which belongs to label_replace().
_VARIABLE = re.compile(r"\$\{([a-zA-Z_]\w*)(?::\w+)?\}|\$([a-zA-Z_]\w*)|\[\[(\w+)(?::\w+)?\]\]")
_LABEL_VALUES = re.compile(r"\s*label_values\(\s*(?:(.*)\s*,\s*)?(\w+)\s*\)\s*", re.DOTALL)


class NotADashboardError(Exception):
    """A file is no dashboard.

    Attributes:
        line: Where that shows, from 1.
    """

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class PanelQuery:
    """One query of a panel.

    Args:
        dashboard: Name of the file.
        panel: Title of the panel.
        unit: Grafana's name of the panel's unit, or empty.
        ref: The query's letter.
        raw: As it is written.
        instant: One value is asked for instead of a course over time.
        line: Where it is written, from 1.
        expr: Ready for Prometheus, variables replaced.
    """

    dashboard: str
    panel: str
    unit: str
    ref: str
    raw: str
    instant: bool
    line: int
    expr: str


@dataclass(frozen=True)
class Variable:
    """A choice at the top of the page."""

    name: str
    kind: str
    includes_all: bool
    all_value: str
    query: str
    chosen: str  # what is selected when the page opens, where that is one value
    follows_time: bool  # its values are asked for anew when the time range changes
    line: int

    @property
    def labels_asked(self) -> tuple[str, str] | None:
        """The series and the label of `label_values(series, label)`."""
        match = _LABEL_VALUES.fullmatch(self.query)
        return (match.group(1), match.group(2)) if match and match.group(1) else None


@dataclass(frozen=True)
class Dashboard:
    """A dashboard with its lines."""

    file: str
    content: dict[str, Any]
    text: str

    def panels(self) -> list[dict[str, Any]]:
        """Return the panels that show something, also those inside of folded rows."""
        return [panel for panel in _panels(self.content) if panel.get("type") != "row"]

    def variables(self) -> list[Variable]:
        """Return the variables in order."""
        return [self._variable(one) for one in items_of(part_of(self.content, "templating"), "list")]

    def queries(self, values: Mapping[str, str] | None = None) -> list[PanelQuery]:
        """Return every PromQL query of every panel.

        Args:
            values: What variables stand for, by name without ``$``; All of every variable if left out.
        """
        lines = _Lines(self.text, "expr")
        chosen = {**self._values(), **(values or {})}
        found: list[PanelQuery] = []
        for panel in self.panels():
            for target in items_of(panel, "targets"):
                raw = target.get("expr")
                if not isinstance(raw, str) or not raw or not _is_prometheus(target, panel):
                    continue
                found.append(
                    PanelQuery(
                        dashboard=self.file,
                        panel=str(panel.get("title") or ""),
                        unit=unit_of(panel),
                        ref=str(target.get("refId") or ""),
                        raw=raw,
                        instant=bool(target.get("instant")),
                        line=lines.next(raw),
                        expr=substituted(raw, chosen),
                    )
                )
        return found

    def line_of(self, key: str, value: Any) -> int:
        """Return the line where a key has this value for the first time; 1 if it is nowhere."""
        return _Lines(self.text, key).next(value)

    def _values(self) -> dict[str, str]:
        return {v.name: v.chosen if v.chosen and not v.includes_all else _ALL for v in self.variables()}

    def _variable(self, one: dict[str, Any]) -> Variable:
        name = str(one.get("name"))
        query = part_of(one, "query").get("query") or one.get("query")  # Grafana has written both
        current = part_of(one, "current").get("value")
        return Variable(
            name,
            str(one.get("type")),
            bool(one.get("includeAll")),
            str(one.get("allValue") or ""),
            query if isinstance(query, str) else "",
            current if isinstance(current, str) else "",
            one.get("refresh") == _ON_TIME_RANGE,
            self.line_of("name", name),
        )


def read_dashboard(path: Path, shown_as: str | None = None) -> Dashboard | None:
    """Read a dashboard; None if the file is JSON about something else.

    Args:
        path: The file.
        shown_as: What findings call the file; its name if left out.

    Raises:
        NotADashboardError: It is not JSON, or of a schema that is not known.
    """
    text = path.read_text(encoding="utf-8")
    try:
        content: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise NotADashboardError(f"is not JSON: {error.msg}", error.lineno) from None
    wrapped = part_of({"": content}, "")
    content = part_of(wrapped, "dashboard") or wrapped  # Grafana's API wraps it
    if {"elements", "layout"} <= (part_of(content, "spec") or content).keys():
        raise NotADashboardError("is a dashboard of Grafana's second schema, which is not read yet")
    if "panels" not in content:
        return None
    return Dashboard(shown_as or path.name, content, text)


def substituted(expression: str, values: Mapping[str, str]) -> str:
    """Replace the variables of a query; an unknown one becomes the pattern for everything."""

    def value(match: re.Match[str]) -> str:
        name = next(group for group in match.groups() if group)
        return values.get(name) or _BUILT_IN.get(name) or _ALL

    return _VARIABLE.sub(value, expression)


def variables_in(expression: str) -> set[str]:
    """Return the names of the variables that a query uses, without those that Grafana always has."""
    named = {next(group for group in match if group) for match in _VARIABLE.findall(expression)}
    return named - _BUILT_IN.keys()


def part_of(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the object under a key; an empty one where there is none."""
    part = parent.get(key)
    return cast("dict[str, Any]", part) if isinstance(part, dict) else {}


def items_of(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the objects of the list under a key."""
    items = parent.get(key)
    listed = cast("list[object]", items) if isinstance(items, list) else []
    return [cast("dict[str, Any]", item) for item in listed if isinstance(item, dict)]


def unit_of(panel: dict[str, Any]) -> str:
    """Return Grafana's name of a panel's unit, or an empty text."""
    return str(part_of(part_of(panel, "fieldConfig"), "defaults").get("unit") or "")


def _panels(parent: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in items_of(parent, "panels"):
        yield panel
        yield from _panels(panel)


def _is_prometheus(target: dict[str, Any], panel: dict[str, Any]) -> bool:
    source = part_of(target, "datasource") or part_of(panel, "datasource")
    return bool(source.get("type", "prometheus") == "prometheus")


class _Lines:
    """Finds the lines of values in a JSON text, in the order of the text."""

    def __init__(self, text: str, key: str) -> None:
        self._found: dict[str, list[int]] = {}
        for match in re.finditer(rf'"{key}"\s*:\s*("(?:\\.|[^"\\])*"|-?\d+)', text):
            line = text.count("\n", 0, match.start()) + 1
            self._found.setdefault(str(json.loads(match.group(1))), []).append(line)

    def next(self, value: Any) -> int:
        """Return the line of the next occurrence; 1 when there is none."""
        lines = self._found.get(str(value), [1])
        return lines.pop(0) if len(lines) > 1 else lines[0]
