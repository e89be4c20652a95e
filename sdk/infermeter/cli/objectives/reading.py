"""Reads a file of objectives and says, per line, what is wrong in it and what is allowed.

Collects everything that is wrong before it gives up: whoever edits the file wants one round, not ten.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from infermeter.catalog import LATENCY
from infermeter.cli.objectives.objective import (
    AVAILABILITY_PERCENT,
    LATENCY_PERCENT,
    WINDOW_DAYS,
    WINDOWS_DAYS,
    Objective,
    Objectives,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_TOP = ("defaults", "objectives")
_PROMISES = ("availability", "latency", "window")
_OF_MODEL = ("model", "namespace", *_PROMISES, "sla", "latency_bounds")
_PERCENT = re.compile(r"([-+]?[0-9.]+)\s*%?")
_DURATION = re.compile(r"([0-9.]+)\s*(ms|s)?")
_WINDOW = re.compile(r"([0-9]+)\s*d")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong.

    Args:
        file: As the user named it.
        line: From 1.
        message: What is wrong and what is allowed, in one sentence.
    """

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class ObjectivesError(Exception):
    """A file of objectives cannot be used.

    Attributes:
        problems: What is wrong, in the order of the file.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


def read_objectives(path: Path) -> Objectives:
    """Read a file of objectives.

    Raises:
        ObjectivesError: It is no YAML, or says something that it may not say.
    """
    try:
        node: Any = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        line = mark.line + 1 if mark else 1
        raise ObjectivesError([Problem(str(path), line, f"is not YAML: {said}")]) from None
    except yaml.reader.ReaderError as error:
        raise ObjectivesError([Problem(str(path), 1, f"is not YAML: {error.reason}")]) from None
    except UnicodeDecodeError:
        raise ObjectivesError([Problem(str(path), 1, "is not UTF-8")]) from None
    reader = _Reader(str(path))
    found = reader.objectives(node)
    if reader.problems:
        raise ObjectivesError(reader.problems)
    return found


class _Reader:
    """Turns nodes into objectives; a value that is wrong becomes a problem and None."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[Problem] = []

    def objectives(self, node: Any) -> Objectives:
        top = self._fields(node, "the file", _TOP)
        said = self._fields(top.get("defaults"), "defaults", _PROMISES)
        defaults = Objective(
            availability_percent=self._percent(said.get("availability"), "availability") or AVAILABILITY_PERCENT,
            latency_percent=self._percent(said.get("latency"), "latency") or LATENCY_PERCENT,
            window_days=self._window(said.get("window")) or WINDOW_DAYS,
        )
        listed = top.get("objectives")
        if _is_empty(listed):
            return Objectives(defaults)
        if not isinstance(listed, yaml.SequenceNode):
            self._wrong(listed, "objectives must be a list: one entry per model, each beginning with `- model: NAME`")
            return Objectives(defaults)
        models: dict[tuple[str | None, str | None], Objective] = {}
        lines: dict[tuple[str | None, str | None], int] = {}
        for entry in listed.value:
            objective = self._objective(entry)
            if objective is None:
                continue
            key = (objective.namespace, objective.model)
            if key in models:
                where = f" in namespace {key[0]}" if key[0] else ""
                self._wrong(
                    entry,
                    f"a second objective for model {key[1]}{where}; the first is in line {lines[key]}: "
                    "join them into one, or give one of them another namespace",
                )
                continue
            models[key], lines[key] = objective, _line(entry)
        return Objectives(defaults, tuple(models.values()))

    def _objective(self, node: Any) -> Objective | None:
        fields = self._fields(node, "an objective", _OF_MODEL)
        if not fields:
            return None
        model = self._name(fields.get("model"), "model")
        if "model" not in fields:
            self._wrong(node, "an objective needs a model: the name that the service records (label model_name)")
        if not fields.keys() & {"availability", "latency", "sla"}:
            self._wrong(node, f"says nothing about {model or 'the model'}: give availability, latency or sla")
        objective = Objective(
            model=model,
            namespace=self._name(fields.get("namespace"), "namespace"),
            availability_percent=self._percent(fields.get("availability"), "availability"),
            latency_percent=self._percent(fields.get("latency"), "latency"),
            sla_s=self._sla(fields.get("sla"), self._bounds(fields.get("latency_bounds"))),
            window_days=self._window(fields.get("window")),
        )
        return objective if model else None

    def _percent(self, node: Any, what: str) -> float | None:
        text = self._text(node, what)
        if text is None:
            return None
        match = _PERCENT.fullmatch(text)
        value = _number(match[1]) if match else math.nan
        if 50 <= value < 100:
            return value
        allowed = "a percentage from 50 to below 100, such as 99.5"
        if value == 100:
            hint = "; 100 % leaves no budget, so the first failure would break it"
        elif 0.5 <= value < 1:
            hint = f"; did you mean {round(value * 100, 10):g}?"
        else:
            hint = ""
        self._wrong(node, f"{what} is {text}, and must be {allowed}{hint}")
        return None

    def _sla(self, node: Any, bounds: tuple[float, ...]) -> float | None:
        value = self._seconds(node, "sla")
        if value is None or value in bounds:
            return value
        shown = ", ".join(f"{bound:g}" for bound in bounds)
        self._wrong(
            node,
            f"sla is {value:g} s, which is no latency bucket, so compliance could not be counted; use one of {shown}, "
            "or list the model's own bounds under latency_bounds",
        )
        return None

    def _bounds(self, node: Any) -> tuple[float, ...]:
        if _is_empty(node):
            return LATENCY.bounds
        if not isinstance(node, yaml.SequenceNode):
            self._wrong(node, "latency_bounds must be a list of seconds, as the service declares them")
            return LATENCY.bounds
        found = [self._seconds(item, "a latency bound") for item in node.value]
        return tuple(sorted(bound for bound in found if bound is not None))

    def _seconds(self, node: Any, what: str) -> float | None:
        text = self._text(node, what)
        if text is None:
            return None
        match = _DURATION.fullmatch(text)
        value = _number(match[1]) * (0.001 if match[2] == "ms" else 1) if match else math.nan
        if 0 < value < math.inf:
            return round(value, 9)
        self._wrong(node, f"{what} is {text}, and must be a time above 0: seconds such as 0.25, or 250ms")
        return None

    def _window(self, node: Any) -> int | None:
        text = self._text(node, "window")
        if text is None:
            return None
        match = _WINDOW.fullmatch(text)
        if match and int(match[1]) in WINDOWS_DAYS:
            return int(match[1])
        self._wrong(node, f"window is {text}, and must be one of {', '.join(f'{days}d' for days in WINDOWS_DAYS)}")
        return None

    def _name(self, node: Any, what: str) -> str | None:
        text = self._text(node, what)
        if text == "":
            self._wrong(node, f"{what} is empty: give its name, or leave the line out")
        return text or None

    def _text(self, node: Any, what: str) -> str | None:
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode):
            self._wrong(node, f"{what} must be one value")
            return None
        return str(node.value).strip()

    def _fields(self, node: Any, what: str, allowed: Collection[str]) -> dict[str, Any]:
        if _is_empty(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, f"{what} must be a mapping with {', '.join(allowed)}")
            return {}
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in allowed:
                near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
                meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(allowed)}"
                self._wrong(key, f"{what}: nothing is called {name}; {meant}")
            elif name in found:
                self._wrong(key, f"{what}: {name} is there twice; leave one")
            else:
                found[name] = value
        return found

    def _wrong(self, node: Any, message: str) -> None:
        self.problems.append(Problem(self._file, _line(node), message))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _is_empty(node: Any) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null")
