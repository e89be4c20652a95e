"""Every series that rules and dashboards may read, with its labels: exported, recorded, foreign and announced ones."""

from __future__ import annotations

import difflib
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from infermeter.catalog import CATALOG
from infermeter.check.foreign_series import FOREIGN, TARGET_LABELS
from infermeter.check.promql import parse, result_labels

if TYPE_CHECKING:
    from collections.abc import Iterable

# Names of the design that a panel already waits for, and what will bring them. A line goes when that is there.
ANNOUNCED: dict[str, tuple[frozenset[str], str]] = {}


class KnownSeries:
    """The series that exist, and what they are.

    Args:
        recordings: Name and expression of each recording rule; a name may come several times.
        foreign: Further names that somebody else exports, as shell patterns (``node_*``). Their labels are unknown.
    """

    def __init__(self, recordings: Iterable[tuple[str, str]] = (), *, foreign: Iterable[str] = ()) -> None:
        self._foreign = tuple(foreign)
        self._raw = _raw_series()
        self._expressions: dict[str, list[str]] = {}
        for name, expression in recordings:
            self._expressions.setdefault(name, []).append(expression)
        self._recorded: dict[str, frozenset[str] | None] = {}
        for name in self._expressions:
            self._labels_of_recorded(name)

    @property
    def exported(self) -> dict[str, frozenset[str]]:
        """The labels of each series of the catalogue, by the name that Prometheus shows."""
        return _exported()

    @property
    def recorded(self) -> dict[str, frozenset[str] | None]:
        """The labels of each recorded series; None where it reads a series whose labels nobody knows."""
        return dict(self._recorded)

    def __contains__(self, name: object) -> bool:
        return name in self._raw or name in self._expressions or self._is_foreign(str(name))

    def labels(self, name: str) -> frozenset[str] | None:
        """Return the labels a series can have; None if nobody knows them."""
        if name in self._expressions and name not in FOREIGN:
            return self._labels_of_recorded(name)
        return self._raw.get(name)

    def is_counter(self, name: str) -> bool:
        """Say whether a raw series only grows, so that rate() of it means something."""
        if name in FOREIGN:
            return FOREIGN[name][1]
        kinds = {metric.name: metric.kind for metric in CATALOG}
        family, _, part = name.rpartition("_")
        return (
            kinds.get(name) == "counter"
            or (part in {"bucket", "count", "sum"} and kinds.get(family) == "histogram")
            # Of what others export only the name is known.
            or (name not in self._raw and part in {"total", "bucket", "count", "sum"} and self._is_foreign(name))
        )

    def is_gauge(self, name: str) -> bool:
        """Say whether rate() of a series is surely a mistake; not of foreign ones that nobody has described."""
        return name in self and not self.is_counter(name) and (name in self._raw or name in self._expressions)

    def nearest(self, name: str) -> str | None:
        """Return the known name that a mistyped one was most likely meant to be."""
        found = difflib.get_close_matches(name, [*self._raw, *self._expressions], n=1, cutoff=0.7)
        return found[0] if found else None

    def any_name_like(self, pattern: str) -> bool:
        """Say whether a regular expression, anchored as in PromQL, matches the name of a known series."""
        try:
            wanted = re.compile(pattern)
        except re.error:
            return True  # Prometheus reads another dialect; promtool judges it
        return any(wanted.fullmatch(name) for name in (*self._raw, *self._expressions))

    def _is_foreign(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._foreign)

    def _labels_of_recorded(self, name: str) -> frozenset[str] | None:
        if name not in self._recorded:
            self._recorded[name] = frozenset()  # a rule that reads itself adds nothing
            self._recorded[name] = self._union(self._expressions[name])
        return self._recorded[name]

    def _union(self, expressions: list[str]) -> frozenset[str] | None:
        labels: frozenset[str] = frozenset()
        for expression in expressions:
            try:
                tree = parse(expression)
            except ValueError:
                return None
            found = result_labels(tree, self.labels)
            if found is None:
                return None
            labels |= found
        return labels


def _exported() -> dict[str, frozenset[str]]:
    labels: dict[str, frozenset[str]] = {}
    for metric in CATALOG:
        own = frozenset(metric.labels) | TARGET_LABELS
        if metric.kind == "histogram":
            labels |= {f"{metric.name}_{part}": own for part in ("count", "sum")}
            labels[f"{metric.name}_bucket"] = own | {"le"}
        else:
            labels[metric.name] = own
    return labels


def _raw_series() -> dict[str, frozenset[str]]:
    """Return what is not recorded. A name that both we and others export can have the labels of either."""
    raw = _exported()
    others = {name: labels for name, (labels, _) in FOREIGN.items()}
    others |= {name: labels for name, (labels, _) in ANNOUNCED.items()}
    for name, labels in others.items():
        raw[name] = raw.get(name, frozenset()) | labels
    return raw
