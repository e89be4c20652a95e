"""The numbers of the rules that may be changed, and where in the rules' text each stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from infermeter.assets import asset


@dataclass(frozen=True)
class Threshold:
    """A number that a team may want different.

    Args:
        name: Its key in a values file.
        meaning: In words.
        default: What the shipped rules say.
        above: Smallest value, itself not allowed.
        below: Largest value, itself not allowed; None where there is none.
        places: Templates of the texts that hold it, by rule.
        panels: Alerts whose panels show it.
    """

    name: str
    meaning: str
    default: float
    above: float
    below: float | None
    places: dict[str, list[str]]
    panels: list[str] = field(default_factory=list[str])

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        return f"above {self.above:g}" + (f" and below {self.below:g}" if self.below is not None else "")

    def allows(self, value: float) -> bool:
        """Say whether a value is allowed."""
        return value > self.above and (self.below is None or value < self.below)


class ThresholdPlaceError(Exception):
    """A rule does not hold a number where the table of thresholds says it does."""


@cache
def thresholds() -> dict[str, Threshold]:
    """Return every threshold by name, in the order of the table."""
    table: dict[str, dict[str, Any]] = yaml.safe_load(
        asset("deploy/prometheus/thresholds.yaml").read_text(encoding="utf-8")
    )
    return {
        name: Threshold(
            name,
            row["meaning"],
            float(row["default"]),
            float(row["above"]),
            float(row["below"]) if "below" in row else None,
            row["in"],
            row.get("panels", []),
        )
        for name, row in table.items()
    }


def with_values(rule: str, text: str, values: dict[str, float]) -> str:
    """Return the text of a rule with other numbers.

    Args:
        rule: Name of the rule.
        text: Its YAML as it stands in the file.
        values: The new numbers by name of the threshold.

    Raises:
        ThresholdPlaceError: A place is not there, so that the number would silently stay what it was.
    """
    for name, value in values.items():
        threshold = thresholds()[name]
        for place in threshold.places.get(rule, []):
            was = re.escape(_filled(place, threshold.default))
            # "> 0.01" is not the beginning of "> 0.015".
            new = _filled(place, value).replace("\\", r"\\")
            text, count = re.subn(rf"{was}(?!\.?\d)", new, text)
            if count == 0:
                raise ThresholdPlaceError(f"{rule} does not say {_filled(place, threshold.default)!r} ({name})")
    return text


def number(value: float) -> str:
    """Write a number as PromQL and YAML read it back."""
    return repr(round(value, 12)).removesuffix(".0")


def _filled(place: str, value: float) -> str:
    texts = {"{value}": number(value), "{complement}": number(1 - value), "{percent}": f"{number(100 * value)}%"}
    for placeholder, text in texts.items():
        place = place.replace(placeholder, text)
    return place
