"""What callers hand over as a row or as many rows, told apart by what it can do and never by importing its library.

Knows arrays, frames, records and objects with fields; knows nothing of bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

Row = Mapping[Any, Any] | Sequence[Any]


def is_frame(value: Any) -> bool:
    """Say whether a value is a frame of pandas or polars, or a table of Arrow."""
    return hasattr(value, "__getitem__") and (hasattr(value, "columns") or hasattr(value, "column_names"))


def row_of(value: Any) -> Row | None:
    """Return one row as values by name or in order; None for what is no row."""
    named = _mapping(value)
    if named is not None:
        return named
    if value is None or isinstance(value, (str, bytes, bytearray, type)):
        return None
    if getattr(value, "ndim", None) == 1 and hasattr(value, "tolist"):
        if hasattr(value, "to_dict") and type(getattr(value, "index", None)).__name__ != "RangeIndex":
            return {str(name): one for name, one in value.to_dict().items()}  # a row of a pandas frame knows the names
        return cast("Row", value.tolist())
    names = getattr(getattr(value, "dtype", None), "names", None)
    if names is not None and getattr(value, "ndim", None) == 0:
        return dict(zip(names, value.tolist(), strict=True))  # a record of a structured array
    if isinstance(value, Sequence):
        return cast("Row", value)
    if hasattr(value, "__dataclass_fields__") or hasattr(value, "__pydantic_fields__"):
        return cast("Row", vars(value))
    return None


def columns_of(value: Any) -> dict[str, Any] | None:
    """Return many rows as columns by name, where they have names; else None."""
    named = _mapping(value)
    if named is not None:
        return {str(name): column for name, column in named.items()}
    if is_frame(value):
        index = getattr(value, "columns", None)
        if type(index).__name__ == "RangeIndex":
            return None  # a frame made from an array: the numbers are places, not names
        names: Any = getattr(value, "column_names", index)
        return {str(name): value[name] for name in names}
    dtype_names = getattr(getattr(value, "dtype", None), "names", None)
    if dtype_names is not None and getattr(value, "ndim", 0) == 1:
        return {name: value[name] for name in dtype_names}
    return None


def taken(rows: Any, places: Sequence[int]) -> Any:
    """Return some of many rows, in whatever form they are."""
    named = _mapping(rows)
    if named is not None:
        return {name: taken(column, places) for name, column in named.items()}
    if hasattr(rows, "iloc"):  # pandas
        return rows.iloc[list(places)]
    if hasattr(rows, "take") and hasattr(rows, "column_names"):  # Arrow
        return rows.take(list(places))
    if hasattr(rows, "ndim") or is_frame(rows) or hasattr(rows, "to_numpy"):
        return rows[list(places)]
    return [rows[place] for place in places]


def number_of_rows(rows: Any) -> int:
    """Return how many rows there are. Raises whatever ``len`` raises."""
    named = _mapping(rows)
    if named is not None:
        return len(next(iter(named.values()))) if named else 0
    return len(rows)


def _mapping(value: Any) -> Mapping[Any, Any] | None:
    return cast("Mapping[object, Any]", value) if isinstance(value, Mapping) else None
