"""``instrument_inference`` in all its forms: around a function, around a block, or bound to record finished calls.

Decorators run at import, before ``configure()``: the live configuration is looked up at each call, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeVar, overload

from infermeter import guard, models, requests_seen, runtime
from infermeter.cells import STATUS_SLOTS, ModelCell, StatusIndex
from infermeter.errors import ConfigError
from infermeter.inference.callables import wrap
from infermeter.inference.calls import InferenceCall, Lookup
from infermeter.inference.predictions import Extractor, Reading, plain_number, plain_ratio
from infermeter.labels import label_value

F = TypeVar("F", bound=Callable[..., Any])

_REMEMBERED_PAIRS = 4096
"""Argument pairs whose cells a bare decorator remembers; past it, it starts over."""


_entered: ContextVar[tuple[InferenceCall, ...]] = ContextVar("infermeter_entered", default=())
"""Open blocks, innermost last. Blocks of one shared instrument may overlap in tasks; each context sees its own."""


class InferenceInstrument:
    """Measures calls of one model version: as a decorator, in a ``with`` block, or by ``record``."""

    __slots__ = ("_cell", "_epoch", "_model", "_open", "_reading", "_version")

    def __init__(self, model: str, version: str, reading: Reading) -> None:
        self._model, self._version, self._reading = model, version, reading
        self._epoch: object = None
        self._cell: ModelCell | None = None
        self._open: dict[InferenceCall, None] = {}

    def __call__(self, func: F, /) -> F:
        """Wrap a function, coroutine function, generator or async generator function; kind and signature stay."""

        def lookup(_args: tuple[object, ...], _kwargs: dict[str, object]) -> ModelCell | None:
            return self._cell if self._epoch is runtime.epoch else self._look_up()

        return wrap(func, lookup, self._reading)

    def __enter__(self) -> InferenceCall:
        """Begin to measure a block."""
        call = InferenceCall(self._cell if self._epoch is runtime.epoch else self._look_up())
        self._open[call] = None
        _entered.set((*(other for other in _entered.get() if not other.ended), call))
        call.start()
        return call

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End the measurement; an exception passes."""
        call = next((call for call in reversed(_entered.get()) if call in self._open), None)
        if call is not None:
            self._open.pop(call, None)
        elif self._open:
            # Left in another context than it was entered in, as the halves of a web framework's dependency are.
            call, _ = self._open.popitem()
        if call is not None:
            call.end(error)

    async def __aenter__(self) -> InferenceCall:
        """Begin to measure an async block."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """End the measurement; an exception passes."""
        self.__exit__(kind, error, tb)

    def record(self, latency_s: float, *, confidence: float | None = None, status: str = "success") -> None:
        """Record a call that something else has timed.

        Args:
            latency_s: Seconds from start to end, 0 or more.
            confidence: 0 to 1.
            status: success, error, cancelled, timeout or rejected.

        Never raises. A call whose numbers are not usable is dropped as a whole and counted.
        """
        cell = self._cell if self._epoch is runtime.epoch else self._look_up()
        if cell is None:
            return
        try:
            if requests_seen.watching:
                requests_seen.mark()
            slot = STATUS_SLOTS[status]
            # Plain floats only: a sum would become what is added to it, an array or a number of another precision.
            plain = type(latency_s) is float and (confidence is None or type(confidence) is float)
            if not (plain and cell.record(latency_s, confidence, slot)):
                _record_foreign(cell, latency_s, confidence, slot)
        except Exception as error:  # noqa: BLE001  the guard of the hot path, without the price of a context manager
            guard.swallow("inference", error)

    def _look_up(self) -> ModelCell | None:
        """Find the cell in the live configuration; the slow path after each change of it."""
        epoch, telemetry = runtime.epoch, runtime.live
        self._cell = None
        if telemetry is not None:
            with guard.guard("inference"):
                self._cell = telemetry.slot(self._model, self._version).cell
        self._epoch = epoch
        return self._cell


def _record_foreign(cell: ModelCell, latency_s: object, confidence: object, slot: StatusIndex) -> None:
    """Record a call whose numbers are not plain or not in range, if they are usable after all."""
    seconds = plain_number(latency_s)
    sure = None if confidence is None else plain_ratio(confidence)
    if not cell.record(seconds, sure, slot):
        numbers = (seconds,) if sure is None else (seconds, sure)
        guard.drop("inference", "type" if any(number != number for number in numbers) else "out_of_range")


@overload
def instrument_inference(model: F, /) -> F: ...
@overload
def instrument_inference(
    model: str,
    /,
    *,
    version: str | None = None,
    sla_s: float | None = None,
    latency_bounds_s: Sequence[float] | None = None,
    classes: Sequence[object] | None = None,
    framework: str | None = None,
    confidence: Extractor | None = None,
    label: Extractor | None = None,
) -> InferenceInstrument: ...
@overload
def instrument_inference(
    *, confidence: Extractor | None = None, label: Extractor | None = None
) -> Callable[[F], F]: ...


def instrument_inference(
    model: str | Callable[..., Any] | None = None,
    /,
    *,
    version: str | None = None,
    sla_s: float | None = None,
    latency_bounds_s: Sequence[float] | None = None,
    classes: Sequence[object] | None = None,
    framework: str | None = None,
    confidence: Extractor | None = None,
    label: Extractor | None = None,
) -> Any:
    """Measure calls of a model: latency, how they end, how many run, confidence and class of what they return.

    Three forms: ``@instrument_inference("fraud", version="3")`` on a function, coroutine function, generator or async
    generator function; ``with instrument_inference("fraud", version="3") as call:`` around a block; and bare,
    ``@instrument_inference``, on a function whose arguments ``model_name`` and ``model_version`` say which model runs.

    Args:
        model: Model name as served, at most 128 characters; longer names are cut.
        version: Model version; leave out to keep one series per model.
        sla_s: Latency in seconds that 99 % of requests must stay within; becomes a bucket bound.
        latency_bounds_s: Bucket bounds in seconds, ascending; keep them equal in all replicas.
        classes: Classes the model can predict; each is exported from 0.
        framework: What runs the model, for example ``sklearn``; shown by ``model_info``.
        confidence: Where results hold the confidence: key, attribute, or a function of the result. Default
            ``confidence``.
        label: Where results hold the predicted class. Default ``label``.

    Raises:
        ConfigError: At decoration: a value is not usable, or a bare decorator's function takes no ``model_name``.
    """
    reading = Reading(confidence, label)
    about_a_model = (version, sla_s, latency_bounds_s, classes, framework)
    if isinstance(model, str):
        name, number = label_value(model), label_value(version)
        if sla_s is not None or latency_bounds_s is not None or classes or framework is not None:
            models.declare(
                model,
                version,
                sla_s=sla_s,
                latency_bounds_s=latency_bounds_s,
                classes=classes or (),
                framework=framework,
            )
        elif not name:
            raise ConfigError("instrument_inference needs a model name of at least one character, got an empty one")
        return InferenceInstrument(name, number, reading)
    if any(value is not None for value in about_a_model):
        raise ConfigError('instrument_inference needs the model they belong to: instrument_inference("name", ...)')
    if model is not None:
        return _by_arguments(model, reading)

    def decorate(func: F) -> F:
        return _by_arguments(func, reading)

    return decorate


def _by_arguments(func: F, reading: Reading) -> F:
    """Wrap a function whose own arguments name the model."""
    return wrap(func, _arguments_lookup(func), reading)


def _arguments_lookup(func: Callable[..., Any]) -> Lookup:
    import inspect

    target: Any = getattr(func, "__func__", func)  # of static and class methods
    if not callable(target) or isinstance(target, type):
        raise ConfigError(f"instrument_inference takes a model name or a function, got {func!r}")
    parameters = inspect.signature(target).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if "model_name" not in parameters and not takes_any:
        raise ConfigError(
            f"@instrument_inference without a name needs a function with the argument model_name, "
            f'{getattr(target, "__qualname__", target)!r} has none; write @instrument_inference("name")'
        )
    name_of = _argument(parameters, "model_name")
    version_of = _argument(parameters, "model_version")
    cells: dict[object, ModelCell] = {}
    epoch: object = None

    def lookup(args: tuple[object, ...], kwargs: dict[str, object]) -> ModelCell | None:
        nonlocal epoch, cells
        telemetry = runtime.live
        if telemetry is None:
            return None
        try:
            if epoch is not runtime.epoch or len(cells) > _REMEMBERED_PAIRS:
                cells, epoch = {}, runtime.epoch
            pair = (name_of(args, kwargs), version_of(args, kwargs))
            try:
                return cells[pair]
            except (KeyError, TypeError):  # new, or not hashable
                name, version = label_value(pair[0]) or "unknown", label_value(pair[1])
                cell = telemetry.slot(name, version).cell
                if type(pair[0]) is str and type(pair[1]) is str and name != "other":
                    cells[pair] = cell
                return cell
        except Exception as error:  # noqa: BLE001  the guard of the hot path, without the price of a context manager
            guard.swallow("inference", error)
            return None

    return lookup


def _argument(parameters: Any, name: str) -> Callable[[tuple[object, ...], dict[str, object]], object]:
    """Return a function that finds one argument of a call by position, by keyword, or in its default."""
    if name not in parameters:
        return lambda _args, kwargs: kwargs.get(name)
    position = list(parameters).index(name)
    parameter = parameters[name]
    default = None if parameter.default is parameter.empty else parameter.default
    if parameter.kind is parameter.KEYWORD_ONLY:
        return lambda _args, kwargs: kwargs.get(name, default)
    return lambda args, kwargs: args[position] if len(args) > position else kwargs.get(name, default)
