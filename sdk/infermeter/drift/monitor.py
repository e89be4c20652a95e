"""``monitor_drift``: what a model is asked, counted into the bins of its reference. Nothing here raises once it runs.

Which values are far from the reference is computed from the counts of all processes, by the recording rules.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, cast

from infermeter import guard, runtime
from infermeter.cells import CountsCell
from infermeter.drift import room
from infermeter.drift.layout import WHERE, Layout
from infermeter.drift.reference import DriftReference, fitting
from infermeter.drift.rows import columns_of, is_frame, number_of_rows, row_of, taken
from infermeter.drift.units import SeenUnits
from infermeter.errors import ConfigError
from infermeter.labels import label_value

if TYPE_CHECKING:
    from infermeter.drift.batches import BatchCounter

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_UNIT_WINDOW_S = 3600.0
DEFAULT_MAX_UNITS = 100_000

_MATRIX_KINDS = "fiub"
_FEW_VALUES = 128
"""Up to here values are counted sooner one by one than as a matrix, whose count takes 25 us to begin with."""
_SMALL_FRAME = 1024
"""Up to here values are counted sooner by rows than by columns, each of which takes a frame 10 to 30 us."""


class DriftMonitor:
    """Counts the inputs of one model version. Made by ``monitor_drift``."""

    __slots__ = ("_batches", "_cell", "_epoch", "_key", "_layout", "_random", "_sample_ratio", "_units")

    def __init__(self, key: room.Key, layout: Layout, sample_ratio: float, units: SeenUnits) -> None:
        self._key, self._layout, self._sample_ratio, self._units = key, layout, sample_ratio, units
        self._random = Random().random  # noqa: S311  not the module's: the host's own sequence must not change
        self._epoch: object = None
        self._cell: CountsCell | None = None
        self._batches: BatchCounter | None = None

    def observe(self, row: Any, *, unit: Hashable | None = None) -> None:
        """Count the values of one row of inputs.

        Args:
            row: Values by name (mapping, pandas row, dataclass, pydantic model) or in the order of the reference
                (list, tuple, array). What a mapping lacks is ``missing``, like None and NaN. A row of another width is
                dropped, and so are values that are infinite or of another type: ``infermeter_dropped_total`` says
                where="drift" and why. Several rows in one array or frame are counted as by ``observe_batch``.
            unit: Whoever sent it, such as a user: counted once within the window, so that repetitions are no drift.
                Only a keyed hash of it is held. Each process counts a unit for itself.
        """
        cell = self._cell if self._epoch is runtime.epoch else self._look_up()
        if cell is None:
            return
        try:
            if (unit is not None or self._sample_ratio < 1.0) and not self._wanted(unit):
                return
            kind = cast("type[object]", type(row))
            if kind is list or kind is tuple:
                self._layout.count_values(cell.shards.mine(), row)
            elif kind is dict:
                self._layout.count_mapping(cell.shards.mine(), row)
            else:
                self._count_foreign(cell, row)
        except Exception as error:  # noqa: BLE001  the guard of the hot path, without the price of a context manager
            guard.swallow(WHERE, error)

    def observe_batch(self, rows: Any, *, units: Sequence[Hashable] | None = None) -> None:
        """Count the values of many rows of inputs at once.

        Args:
            rows: An array with one column per feature of the reference; a frame of pandas or polars, an Arrow table, a
                structured array or columns by name; or a list of rows as ``observe`` takes them. Bad values are dropped
                and counted as there.
            units: Whoever sent each row, as for ``observe``; as many as rows.
        """
        cell = self._cell if self._epoch is runtime.epoch else self._look_up()
        if cell is None:
            return
        try:
            if units is not None or self._sample_ratio < 1.0:
                places = self._wanted_of(number_of_rows(rows), units)
                if places is None:
                    return
                rows = taken(rows, places)
            self._count_batch(cell, rows)
        except Exception as error:  # noqa: BLE001  as above
            guard.swallow(WHERE, error)

    def inputs(self, where: str | Callable[..., Any], /, *, batch: bool = False) -> Callable[[F], F]:
        """Make a decorator that counts what a function or coroutine function is called with, before it runs.

        Works on handlers of web frameworks, whose signature stays, in any order with ``instrument_inference``::

            @app.post("/predict")
            @monitor.inputs("transaction.features")
            async def predict(transaction: Transaction) -> Answer: ...

        Args:
            where: The argument that holds the features, by name; after dots an attribute or a key of it. Or a function
                that takes the call's arguments and returns the features.
            batch: It holds many rows.

        Raises:
            ConfigError: At decoration: the function has no such argument, or is a generator or class.
        """

        def decorate(func: F) -> F:
            find = _finder(where, func)
            observe = self.observe_batch if batch else self.observe

            def count(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                if runtime.live is None:
                    return
                try:
                    features = find(args, kwargs)
                except Exception as error:  # noqa: BLE001  as above; the function itself decides about its arguments
                    guard.swallow(WHERE, error)
                    return
                observe(features)

            return _counting(func, count)

        return decorate

    def _look_up(self) -> CountsCell | None:
        """Find the cell in the live configuration; the slow path after each change of it."""
        epoch, telemetry = runtime.epoch, runtime.live
        self._cell = None
        if telemetry is not None:
            with guard.guard(WHERE):
                self._cell = telemetry.room(room.DriftRoom).cell(self._key)
        self._epoch = epoch
        return self._cell

    def _wanted(self, unit: Hashable | None) -> bool:
        if self._sample_ratio < 1.0 and self._random() >= self._sample_ratio:
            return False
        return unit is None or self._units.first(unit)

    def _wanted_of(self, rows: int, units: Sequence[Hashable] | None) -> list[int] | None:
        if units is not None and len(units) != rows:
            guard.drop(WHERE, "units", rows)
            return None
        return [place for place in range(rows) if self._wanted(None if units is None else units[place])]

    def _count_foreign(self, cell: CountsCell, row: Any) -> None:
        dimensions = getattr(row, "ndim", 1)
        if is_frame(row) or (dimensions == 2 and hasattr(row, "shape")):
            self._count_batch(cell, row)
        elif dimensions > 1:
            guard.drop(WHERE, "shape")
        elif (
            dimensions == 1
            and hasattr(row, "shape")
            and row.shape[0] != len(self._layout.inputs)
            and not hasattr(row, "to_dict")
        ):
            guard.drop(WHERE, "width")  # before a long array becomes a list
        else:
            self._count_row(cell, row)

    def _count_row(self, cell: CountsCell, row: Any) -> None:
        values = row_of(row)
        if values is None:
            guard.drop(WHERE, "shape" if getattr(row, "ndim", None) == 0 else "row_type")
        elif isinstance(values, Mapping):
            self._layout.count_mapping(cell.shards.mine(), values)
        else:
            self._layout.count_values(cell.shards.mine(), values)

    def _count_batch(self, cell: CountsCell, rows: Any) -> None:
        if isinstance(rows, (list, tuple)):
            self._count_list(cell, cast("Sequence[Any]", rows))
            return
        # The form that models are called with most is not asked what else it may be.
        if type(rows).__name__ != "ndarray" or rows.dtype.names is not None:
            matrix = self._as_matrix(rows) if is_frame(rows) else None
            columns = columns_of(rows) if matrix is None else None
            if columns is not None:
                self._numpy().count_columns(cell.shards.mine(), columns, number_of_rows(columns))
                return
            rows = matrix if matrix is not None else rows.to_numpy() if hasattr(rows, "to_numpy") else rows
            if hasattr(rows, "toarray"):  # a sparse matrix
                rows = rows.toarray()
        self._count_array(cell, rows)

    def _count_list(self, cell: CountsCell, rows: Sequence[Any]) -> None:
        shard = cell.shards.mine()
        for row in rows:
            form = cast("type[object]", type(row))
            if form is list or form is tuple:
                self._layout.count_values(shard, row)
            elif form is dict:
                self._layout.count_mapping(shard, row)
            else:
                self._count_row(cell, row)

    def _count_array(self, cell: CountsCell, array: Any) -> None:
        if getattr(array, "ndim", None) != 2:
            guard.drop(WHERE, "shape" if hasattr(array, "ndim") else "row_type")
            return
        kind = getattr(array.dtype, "kind", "")
        many = not 0 < array.size <= _FEW_VALUES
        if many and kind in _MATRIX_KINDS and kind and not hasattr(array, "mask"):
            self._numpy().count_matrix(cell.shards.mine(), array)
            return
        shard = cell.shards.mine()
        for row in array.tolist():
            self._layout.count_values(shard, row)

    def _as_matrix(self, frame: Any) -> Any | None:
        """Return a small frame as an array, if its columns are the features in their order and no value changes."""
        layout = self._layout
        if not hasattr(frame, "to_numpy") or not 0 < len(frame) * len(layout.names) <= _SMALL_FRAME:
            return None
        named: Any = frame.columns
        if tuple(named.tolist() if hasattr(named, "tolist") else named) != layout.names:
            return None
        array: Any = frame.to_numpy()
        # Numbers of several types become floats: the same number, but perhaps not the same category.
        return array if array.dtype.kind == "O" or (layout.is_numeric and array.dtype.kind in "fiu") else None

    def _numpy(self) -> BatchCounter:
        if self._batches is None:
            from infermeter.drift.batches import BatchCounter

            self._batches = BatchCounter(self._layout)
        return self._batches


def monitor_drift(
    model: str,
    reference: DriftReference | str | os.PathLike[str],
    *,
    version: str | None = None,
    features: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    sample_ratio: float = 1.0,
    unit_window_s: float = DEFAULT_UNIT_WINDOW_S,
    max_units: int = DEFAULT_MAX_UNITS,
) -> DriftMonitor:
    """Compare what a model version is asked, and what it answers, with its reference; before or after ``configure()``.

    Classes and confidence are compared as well where the reference has them; they come from ``record_prediction`` or
    ``instrument_inference``. The scores and alerts are in ``rules/drift.rules.yml``.

    Args:
        model: Model name as served, at most 128 characters; longer names are cut.
        reference: A reference, or the file it was saved to.
        version: Model version; a new reference needs a new one.
        features: What the model takes, in order, to be checked against the reference.
        ignore: Names that rows may have besides, such as an id; others are counted as ``unknown_feature``.
        sample_ratio: Share of the rows that are counted, above 0 to 1.
        unit_window_s: Seconds within which a ``unit`` is counted once.
        max_units: Units remembered within a window, about 100 bytes each; more of them shorten it.

    Raises:
        ConfigError: The file is damaged, of a newer format, or does not fit ``features``; the model version has another
            reference already; or an argument is out of range.
    """
    loaded = reference if isinstance(reference, DriftReference) else DriftReference.load(reference)
    fitting(loaded, features)
    name, label = label_value(model), label_value(version)
    if not name:
        raise ConfigError("model must be a name of at least one character, got an empty one")
    if not _is_number(sample_ratio) or not 0 < sample_ratio <= 1:
        raise ConfigError(f"sample_ratio must be above 0 and at most 1, got {sample_ratio!r}")
    if not _is_number(unit_window_s) or not 0 < unit_window_s < float("inf"):
        raise ConfigError(f"unit_window_s must be a number of seconds above 0, got {unit_window_s!r}")
    if not isinstance(max_units, int) or isinstance(max_units, bool) or max_units < 1:  # pyright: ignore[reportUnnecessaryIsInstance]  # users without a checker
        raise ConfigError(f"max_units must be a whole number of at least 1, got {max_units!r}")
    layout = Layout(loaded, ignore)
    room.declare((name, label), layout, loaded)
    monitor = DriftMonitor((name, label), layout, float(sample_ratio), SeenUnits(float(unit_window_s), max_units))
    room.attach((name, label), monitor)
    return monitor


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _finder(where: str | Callable[..., Any], func: Any) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    """Return a function that finds the features among the arguments of a call."""
    if not isinstance(where, str):
        return lambda args, kwargs: where(*args, **kwargs)
    import inspect  # at decoration: it would add to the package's import time

    argument, *path = where.split(".")
    parameters = inspect.signature(func).parameters
    if argument not in parameters:
        raise ConfigError(
            f"inputs({where!r}): {getattr(func, '__qualname__', func)!r} has no argument {argument!r}, "
            f"it has {', '.join(parameters) or 'none'}"
        )
    place = list(parameters).index(argument)
    by_keyword_only = parameters[argument].kind is inspect.Parameter.KEYWORD_ONLY
    default = parameters[argument].default

    def find(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value: Any = args[place] if len(args) > place and not by_keyword_only else kwargs.get(argument, default)
        for step in path:
            value = _step(value, step)
        return value

    return find


def _step(value: Any, name: str) -> Any:
    found: Any = cast("Mapping[str, object]", value)[name] if isinstance(value, Mapping) else getattr(value, name)
    return found


def _counting(func: F, count: Callable[[tuple[Any, ...], dict[str, Any]], None]) -> F:
    import inspect

    if isinstance(func, type) or inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise ConfigError(f"inputs() wraps functions and coroutine functions, got {func!r}; call observe() in it")
    target: Any = func
    if inspect.iscoroutinefunction(func):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            count(args, kwargs)
            return await target(*args, **kwargs)

        return cast("F", functools.update_wrapper(call_async, target))

    def call(*args: Any, **kwargs: Any) -> Any:
        count(args, kwargs)
        return target(*args, **kwargs)

    return cast("F", functools.update_wrapper(call, target))
