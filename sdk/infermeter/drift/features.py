"""A feature as bins: which bins there are, what the reference holds in each, and which bin a value belongs to.

Knows single values only; knows nothing of files, rows or metrics.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import inf
from typing import Any

from infermeter.catalog import BIN_NAMES, CONFIDENCE, CONFIDENCE_FEATURE, MISSING, OVERFLOW
from infermeter.labels import label_value

MAX_NUMERIC_BINS = len(BIN_NAMES)

NOT_FINITE, TYPE = -1, -2
"""What ``index`` returns for a value that belongs to no bin: infinite, or of a type that the feature cannot have."""

REASONS = {NOT_FINITE: "not_finite", TYPE: "type"}
"""How such a value is called in ``infermeter_dropped_total``."""


class NumericFeature:
    """A number in bins: bin ``00`` below the first edge, the next one from it, and so on; then ``missing``.

    Args:
        name: As the model calls it.
        edges: Inner edges, ascending; a value equal to an edge lies above it.
        counts: Values of the reference per bin, ``missing`` last; one more than bins between edges.
    """

    kind = "numeric"
    __slots__ = ("bins", "counts", "edges", "index", "missing", "name")

    def __init__(self, name: str, edges: Sequence[float], counts: Sequence[int]) -> None:
        self.name, self.edges, self.counts = name, tuple(edges), tuple(counts)
        self.bins = (*BIN_NAMES[: len(self.edges) + 1], MISSING)
        self.missing = len(self.bins) - 1
        inner, missing = self.edges, self.missing

        def index(value: Any) -> int:
            """Return the bin of a value, or why it has none."""
            if type(value) is not float:
                if is_missing(value):
                    return missing
                if isinstance(value, (str, bytes, bytearray)) or getattr(value, "ndim", 0) != 0:
                    return TYPE  # float() would read a number out of a text, and of an array with one element
                try:
                    value = float(value)
                except OverflowError:
                    return NOT_FINITE
                except (TypeError, ValueError):
                    return TYPE
            if value != value:
                return missing
            if value in (inf, -inf):
                return NOT_FINITE
            return bisect_right(inner, value)

        self.index = index

    @property
    def ordered_bins(self) -> int:
        """How many of the first bins are ordered, so that a Kolmogorov-Smirnov distance means something."""
        return self.missing


class CategoricalFeature:
    """A text in one bin per category, then ``other`` and ``missing``.

    Args:
        name: As the model calls it.
        categories: Kept apart; as labels, so at most 128 characters.
        counts: Values of the reference per bin; two more than categories.
    """

    kind = "categorical"
    ordered_bins = 0
    __slots__ = ("bins", "categories", "counts", "index", "missing", "name")

    def __init__(self, name: str, categories: Sequence[str], counts: Sequence[int]) -> None:
        self.name, self.categories, self.counts = name, tuple(categories), tuple(counts)
        self.bins = (*self.categories, OVERFLOW, MISSING)
        self.missing = len(self.bins) - 1
        places = {category: i for i, category in enumerate(self.categories)}
        other, missing = len(self.categories), self.missing

        def index(value: Any) -> int:
            """Return the bin of a value, or why it has none."""
            if type(value) is str:
                place = places.get(value)
                if place is not None:
                    return place
            elif is_missing(value):
                return missing
            else:
                value = category_of(value)
                if value is None:
                    return TYPE
            return places.get(label_value(value), other)

        self.index = index


class ConfidenceFeature:
    """The reserved feature ``confidence``: the buckets of the confidence histogram, numbered upwards from ``00``.

    Args:
        counts: Values of the reference per bucket.
    """

    kind = "confidence"
    name = CONFIDENCE_FEATURE
    bins = BIN_NAMES
    ordered_bins = len(bins)
    edges = CONFIDENCE.bounds
    __slots__ = ("counts",)

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = tuple(counts)

    @staticmethod
    def index(value: float) -> int:
        """Return the bucket of a confidence from 0 to 1."""
        return bisect_left(CONFIDENCE.bounds, value)


Feature = NumericFeature | CategoricalFeature | ConfidenceFeature


def reference_ratios(feature: Feature) -> list[float]:
    """Return the share of each bin in the reference, (count + 0.5) / (samples + 0.5 * bins): above 0, summing to 1."""
    samples, bins = sum(feature.counts), len(feature.bins)
    return [(count + 0.5) / (samples + 0.5 * bins) for count in feature.counts]


def is_missing(value: Any) -> bool:
    """Say whether a value stands for one that is not there: None, NaN, pandas' NA and NaT, numpy's masked."""
    if value is None:
        return True
    if isinstance(value, (str, bytes, bool, int)):
        return False
    if isinstance(value, float):
        return value != value
    if type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return bool(value != value)
    return False


def category_of(value: Any) -> str | None:
    """Return a value that can be a category as text; None for what cannot be one (a list, an object)."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.ndarray) and value.ndim == 0:
            value = value.item()
        if isinstance(value, numpy.generic):
            value = value.item()
    if isinstance(value, (str, bool, int)):
        return str(value)
    if isinstance(value, float):
        # 1.0 and 1 are the same category: a frame turns whole numbers into floats as soon as one is missing.
        return str(int(value)) if value.is_integer() else repr(value)
    return None
