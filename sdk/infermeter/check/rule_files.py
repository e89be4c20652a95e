"""Rule files as records with line numbers: plain ones and PrometheusRule manifests. Judges nothing but the format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# {{ with printf "metric{label=%q}" $labels.label | query }}
_TEMPLATE_QUERY = re.compile(r'(?:printf|query)\s+"((?:\\.|[^"\\])*)"[^}]*?\|\s*query')


class NotRulesError(Exception):
    """A file is no rule file.

    Attributes:
        line: Where that shows, from 1.
    """

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Rule:
    """One rule as it is written in a file."""

    file: str
    group: str
    name: str
    expr: str
    is_alert: bool
    spec: dict[str, Any]
    line: int = 1  # of the rule
    expr_line: int = 1

    @property
    def place(self) -> str:
        """Where a reader finds it."""
        return f"{self.file}: {self.name}"

    @property
    def texts(self) -> dict[str, str]:
        """The alert's annotations."""
        return self._texts("annotations")

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the rule adds."""
        return self._texts("labels")

    @property
    def template_queries(self) -> list[str]:
        """PromQL that the annotations run, with placeholders filled in."""
        found = [query for text in self.texts.values() for query in _TEMPLATE_QUERY.findall(text)]
        return [query.replace("%q", '"x"') for query in found]

    def _texts(self, key: str) -> dict[str, str]:
        found = self.spec.get(key)
        texts = cast("dict[object, object]", found) if isinstance(found, dict) else {}
        return {str(name): str(text) for name, text in texts.items()}


@dataclass(frozen=True)
class RuleDocument:
    """One YAML document with rules.

    Args:
        content: The rule file as promtool reads it, without a manifest around it.
        line: Where the groups begin.
        is_manifest: It is a PrometheusRule of the Prometheus operator.
        rules: Its rules in order.
    """

    content: dict[str, Any]
    line: int
    is_manifest: bool
    rules: tuple[Rule, ...]


def read_rules(path: Path, shown_as: str | None = None) -> list[RuleDocument]:
    """Read the rules of a file.

    Args:
        path: The file.
        shown_as: What rules call the file; its name if left out.

    Raises:
        NotRulesError: It is no YAML, or not of the shape of rules. A YAML file about something else has no documents.
    """
    loader: Any = yaml.SafeLoader(path.read_text(encoding="utf-8"))
    documents: list[RuleDocument] = []
    try:
        while loader.check_node():
            node = loader.get_node()
            document = _document(loader, node, shown_as or path.name)
            if document is not None:
                documents.append(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise NotRulesError(f"is not YAML: {message}", mark.line + 1 if mark else 1) from None
    finally:
        loader.dispose()
    return documents


def _document(loader: Any, node: Any, file: str) -> RuleDocument | None:
    top = _fields(node)
    is_manifest = "kind" in top and top["kind"].value == "PrometheusRule"
    if is_manifest:
        top = _fields(top.get("spec"))
    groups = top.get("groups")
    if groups is None:
        return None
    rules = tuple(_rules(loader, groups, file))
    content = {"groups": loader.construct_object(groups, deep=True)}
    return RuleDocument(content, _line(groups), is_manifest, rules)


def _rules(loader: Any, groups: Any, file: str) -> Iterator[Rule]:
    for group in _items(groups, "groups"):
        fields = _fields(group)
        name = str(fields["name"].value) if "name" in fields else ""
        for node in _items(fields.get("rules"), f"the rules of group {name!r}"):
            parts = _fields(node)
            spec: Any = loader.construct_object(node, deep=True)
            called = parts.get("alert") or parts.get("record")
            if called is None or "expr" not in parts:
                raise NotRulesError("a rule needs an expr, and a name under alert or record", _line(node))
            yield Rule(
                file,
                name,
                str(called.value),
                str(spec["expr"]),
                "alert" in parts,
                spec,
                _line(node),
                _line(parts["expr"]),
            )


def _fields(node: Any) -> dict[str, Any]:
    return {str(key.value): value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _items(node: Any, what: str) -> list[Any]:
    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
        return []
    if not isinstance(node, yaml.SequenceNode):
        raise NotRulesError(f"{what} must be a list", _line(node))
    items: list[Any] = node.value
    return items


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
