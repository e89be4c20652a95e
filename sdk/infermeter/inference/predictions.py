"""Finds confidence and class label in whatever a model returned, one per row, and records what is usable.

Values are foreign: nothing here trusts their type. What cannot be recorded is counted, never raised.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from math import inf, nan
from numbers import Real
from typing import Any, cast

from infermeter import guard, models, runtime
from infermeter.cells import ModelCell
from infermeter.errors import ConfigError
from infermeter.labels import label_value

Extractor = str | Callable[[Any], object]
"""A key or attribute name, or a function of the result; either may give one value or one per row."""

_BARE: tuple[type, ...] = (float, int, str, bytes, bool)

ABSENT = object()
"""Stands for a key or attribute that a result does not have."""
ROUNDING = 1e-6
"""How far a confidence may lie outside 0 to 1 before it is taken for something else than rounding."""


class Reading:
    """Where a result holds confidence and label.

    Args:
        confidence: Key, attribute or function; ``confidence`` by default.
        label: Key, attribute or function; ``label`` by default.

    Raises:
        ConfigError: One is neither a name nor a function.
    """

    __slots__ = ("confidence", "label", "plain")

    def __init__(self, confidence: Extractor | None = None, label: Extractor | None = None) -> None:
        self.confidence: Extractor = "confidence" if confidence is None else confidence
        self.label: Extractor = "label" if label is None else label
        for argument, extractor in (("confidence", self.confidence), ("label", self.label)):
            if not isinstance(extractor, str) and not callable(extractor):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigError(f"{argument} must be a name or a function of the result, got {extractor!r}")
        self.plain = confidence is None and label is None

    def observe(self, cell: ModelCell, result: object) -> None:
        """Record what the result, or each row of it, holds. Raises what an extractor or a property raises."""
        confidence, label = _extract(self.confidence, result), _extract(self.label, result)
        if confidence is ABSENT and label is ABSENT and isinstance(result, (list, tuple)):
            # Bare numbers and texts have neither; an embedding has thousands of them.
            if result and type(cast("Sequence[object]", result)[0]) in _BARE:
                return
            for row in cast("Sequence[object]", result):
                observe_values(cell, _extract(self.confidence, row), _extract(self.label, row))
            return
        observe_values(cell, confidence, label)


def observe_values(cell: ModelCell, confidence: object, label: object) -> None:
    """Record a confidence and a label, each one value or one per row."""
    if confidence is not ABSENT:
        for value in _rows(confidence, "confidence"):
            number = _confidence(value)
            if number is not None:
                cell.confidence(number)
    if label is not ABSENT:
        for value in _rows(label, "label"):
            text = _label(value)
            if text is not None and not cell.classes.add(text):
                guard.drop("label", "class_limit")


def record_prediction(
    model: str, *, label: object = None, confidence: object = None, version: str | None = None
) -> None:
    """Record predictions without a call around them, for example when their confidence becomes known later.

    Args:
        model: Model name as served, at most 128 characters; longer names are cut.
        label: Predicted class, or one per row (list, tuple, numpy array). Capped, then counted as ``other``.
        confidence: 0 to 1, or one per row.
        version: Model version; leave out to keep one series per model.

    Never raises. A value that is not a finite number from 0 to 1, or no label, is dropped and counted.
    """
    telemetry = runtime.live
    if telemetry is None:
        return
    with guard.guard("prediction"):
        cell = telemetry.slot(label_value(model), label_value(version)).cell
        observe_values(cell, ABSENT if confidence is None else confidence, ABSENT if label is None else label)


def register_model(
    model: str,
    *,
    version: str | None = None,
    sla_s: float | None = None,
    classes: tuple[object, ...] | list[object] | list[str] | None = None,
    latency_bounds_s: tuple[float, ...] | list[float] | None = None,
    framework: str | None = None,
) -> None:
    """Say what is known of a model, before or after ``configure()``; its series start at 0 and are never capped.

    Args:
        model: Model name as served, at most 128 characters; longer names are cut.
        version: Model version; leave out to keep one series per model.
        sla_s: Latency in seconds that 99 % of requests must stay within; becomes a bucket bound, so that compliance is
            exact. Belongs to the model, whatever the version.
        classes: Classes it can predict; each is exported from 0.
        latency_bounds_s: Bucket bounds in seconds, ascending; keep them equal in all replicas.
        framework: What runs it, for example ``sklearn``; shown by ``model_info``.

    Raises:
        ConfigError: The name is empty, SLA or bounds are not usable numbers, or the classes are one text.
    """
    models.declare(
        model,
        version,
        sla_s=sla_s,
        latency_bounds_s=latency_bounds_s,
        classes=classes or (),
        framework=framework,
    )


def _extract(extractor: Extractor, result: object) -> object:
    if not isinstance(extractor, str):
        return extractor(result)
    if isinstance(result, Mapping):
        return cast("Mapping[object, object]", result).get(extractor, ABSENT)
    return getattr(result, extractor, ABSENT)


def _rows(value: Any, where: str) -> Sequence[object]:
    """Return the values of all rows; a single value is one row."""
    if isinstance(value, (list, tuple)):
        return cast("Sequence[object]", value)
    if type(value).__module__.partition(".")[0] in ("pandas", "polars") and hasattr(value, "to_numpy"):
        value = value.to_numpy()
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray):
        return [value]
    array: Any = value  # numpy is loaded, or this is no array; it is never imported here
    if array.ndim == 0:
        return [array.item()]
    if array.ndim == 1:
        rows: list[object] = array.tolist()
        return rows
    guard.drop(where, "shape")
    return []


def plain_number(value: object) -> float:
    """Return a foreign number as a plain float; not a number (NaN) for what is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return nan
    try:
        return float(value)
    except OverflowError:
        return inf


def plain_ratio(value: object) -> float:
    """Return a foreign number as a plain float, moved to 0 or 1 where it is beyond them by rounding only."""
    number = plain_number(value)
    if -ROUNDING <= number <= 1.0 + ROUNDING:
        return min(max(number, 0.0), 1.0)
    return number


def _confidence(value: object) -> float | None:
    """Return a usable confidence, or None after counting why it is not one."""
    if type(value) is float and 0.0 <= value <= 1.0:
        return value
    if value is None:
        return _refuse("none")
    if isinstance(value, (bool, str)) or not isinstance(value, Real):
        return _refuse("bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "type")
    number = plain_ratio(value)
    if 0.0 <= number <= 1.0:
        return number
    return _refuse("out_of_range" if number - number == 0.0 else "not_finite")


def _refuse(reason: str) -> float | None:
    guard.drop("confidence", reason)
    return None


def _label(value: Any) -> str | None:
    if isinstance(value, (str, bool, int, float)):
        return label_value(value)
    if isinstance(value, bytes):
        return label_value(value.decode("utf-8", "replace"))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return label_value(value.item())
    guard.drop("label", "none" if value is None else "type")
    return None
