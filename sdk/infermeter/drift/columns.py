"""Columns of data as numpy arrays: what kind they are, their quantile bins, counts of many rows at once.

The only file of the room that imports numpy; frames are foreign and known by what they can do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from numbers import Real
from typing import Any

from infermeter.catalog import CONFIDENCE_FEATURE
from infermeter.drift.features import (
    CategoricalFeature,
    ConfidenceFeature,
    Feature,
    NumericFeature,
    category_of,
    is_missing,
)
from infermeter.errors import ConfigError, MissingExtraError
from infermeter.labels import label_value

try:
    import numpy  # noqa: ICN001  the usual name is given below
except ModuleNotFoundError as error:
    raise MissingExtraError("Building a drift reference", "drift") from error

np: Any = numpy  # whose annotations say less than they cost

_NUMBERS = ("float", "int", "uint", "decimal")
"""How frames call the types of columns that hold numbers, in lower case."""


def length_of(name: str, column: Any) -> int:
    """Return the number of values of a column.

    Raises:
        ConfigError: It has none, or is no column.
    """
    try:
        length = len(column)
    except TypeError:
        raise ConfigError(f"column {name} must hold values, got {type(column).__name__}") from None
    if length == 0:
        raise ConfigError(f"column {name} is empty; a reference needs values")
    return length


def feature_of(name: str, column: Any, *, bins: int, top_k: int, categorical: bool) -> Feature:
    """Return a column as a feature with the counts of its values.

    Raises:
        ConfigError: It has more than one dimension, holds nothing but missing values, or a confidence is not 0 to 1.
    """
    if name == CONFIDENCE_FEATURE:
        return _confidence(column)
    numbers = None if categorical else as_numbers(column)
    if numbers is None:
        return _categorical(name, as_objects(name, column), top_k)
    return _numeric(name, numbers, bins)


def as_numbers(column: Any) -> Any | None:
    """Return a column as an array of floats with NaN for what is missing; None if it holds anything but numbers."""
    array: Any = column
    if hasattr(array, "to_pylist"):  # Arrow
        array = array.to_numpy(zero_copy_only=False) if hasattr(array, "offset") else array.to_numpy()
    elif hasattr(array, "to_numpy"):
        kind = str(getattr(array, "dtype", "")).lower()
        if kind.startswith(_NUMBERS):
            if hasattr(array, "isna"):  # pandas, whose nullable types must be told what stands for NA
                return array.to_numpy(dtype="float64", na_value=np.nan)
            return array.cast(float).to_numpy()  # polars
        if kind != "object":
            return None
        array = array.to_numpy()
    if isinstance(array, np.ma.MaskedArray):
        array = unmasked(array)
    if isinstance(array, np.ndarray):
        if array.dtype.kind in "fiu":
            return array.astype(float, copy=False)
        if array.dtype.kind != "O":
            return None
    values: list[Any] = list(array)
    if all(is_missing(value) or (type(value) is not bool and isinstance(value, Real)) for value in values):
        return np.array([np.nan if is_missing(value) else float(value) for value in values], dtype=float)
    return None


def unmasked(array: Any) -> Any:
    """Return a masked array as a plain one with NaN or None where it is masked."""
    return array.astype(float).filled(np.nan) if array.dtype.kind in "fiu" else array.astype(object).filled(None)


def as_objects(name: str, column: Any) -> list[Any]:
    """Return the values of a column one by one.

    Raises:
        ConfigError: It has more than one dimension.
    """
    array: Any = column
    if getattr(array, "ndim", 1) != 1:
        raise ConfigError(f"column {name} must have one dimension, has {array.ndim}")
    if hasattr(array, "to_pylist"):
        return list(array.to_pylist())
    if isinstance(array, np.ma.MaskedArray):
        array = unmasked(array)
    return list(array.tolist() if isinstance(array, np.ndarray) else array)


def _numeric(name: str, numbers: Any, bins: int) -> Feature:
    if numbers.ndim != 1:
        raise ConfigError(f"column {name} must have one dimension, has {numbers.ndim}")
    finite = numbers[np.isfinite(numbers)]
    if finite.size == 0:
        raise ConfigError(f"column {name} holds no number; leave it out or hand it over as categorical")
    edges = np.unique(np.quantile(finite, np.arange(1, bins) / bins))
    if edges.size == 1 and finite.min() == finite.max():
        # A constant: below, at and above it are told apart, else a value above it would look like the constant.
        edges = np.array([edges[0], np.nextafter(edges[0], np.inf)])
    places: Any = np.searchsorted(edges, finite, side="right")
    counts = np.bincount(places, minlength=edges.size + 1)
    missing = int(np.isnan(numbers).sum())
    return NumericFeature(name, edges.tolist(), [*counts.tolist(), missing])


def _categorical(name: str, values: Sequence[Any], top_k: int) -> Feature:
    texts: Counter[str] = Counter()
    missing = 0
    for value in values:
        if is_missing(value):
            missing += 1
            continue
        text = category_of(value)
        if text is None:
            raise ConfigError(f"column {name} holds a {type(value).__name__}, which is neither a number nor a category")
        texts[label_value(text)] += 1
    if not texts:
        raise ConfigError(f"column {name} holds nothing but missing values; leave it out")
    kept = sorted(texts, key=lambda text: (-texts[text], text))[:top_k]
    # These two are bins of every feature; a category of that name is counted with them.
    kept = [text for text in kept if text not in ("other", "missing")]
    other = sum(texts.values()) - sum(texts[text] for text in kept)
    return CategoricalFeature(name, kept, [*(texts[text] for text in kept), other, missing])


def _confidence(column: Any) -> Feature:
    numbers = as_numbers(column)
    if numbers is None or numbers.ndim != 1:
        raise ConfigError("confidence must be a column of numbers")
    numbers = numbers[~np.isnan(numbers)]
    if numbers.size == 0 or numbers.min() < 0 or numbers.max() > 1:
        raise ConfigError("confidence must be numbers from 0 to 1")
    edges = np.array(ConfidenceFeature.edges)
    places: Any = np.searchsorted(edges, numbers, side="left")
    counts = np.bincount(places, minlength=edges.size + 1)
    return ConfidenceFeature(counts.tolist())
