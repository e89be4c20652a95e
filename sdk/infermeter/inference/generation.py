"""``generation``: an answer that comes token by token, from its start to its last token or to where it broke off.

A generation is one inference and counts as one; on top of that come its tokens and their times. Knows nothing of what
the tokens say.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from numbers import Integral, Real
from types import TracebackType
from typing import Any, TypeVar, cast

from infermeter import catalog, clock, guard, runtime
from infermeter.cells import ModelCell, SumCell
from infermeter.errors import ConfigError
from infermeter.families import Family
from infermeter.inference.calls import InferenceCall
from infermeter.labels import label_value
from infermeter.tables import Counters, Histograms

F = TypeVar("F", bound=Callable[..., Any])


class GenerationRoom:
    """What one configuration has counted about generations."""

    def __init__(self, telemetry: runtime.Telemetry) -> None:
        limit = telemetry.settings.series_limit
        self.first = Histograms(catalog.FIRST_TOKEN, limit, telemetry.on_new, telemetry.recorder)
        self.per_token = Histograms(catalog.PER_TOKEN, limit, telemetry.on_new, telemetry.recorder)
        self.tokens = Counters(catalog.TOKENS, limit, telemetry.on_new)

    def families(self) -> Iterable[Family]:
        """Return everything as it stands now."""
        return [self.first.family(), self.per_token.family(), self.tokens.family()]

    def reset_in_child(self) -> None:
        """Start from zero; what is under way belongs to the parent."""
        for table in (self.first, self.per_token, self.tokens):
            table.reset_in_child()


class Generation:
    """One generation: a ``with`` block around it, told of each token. Nothing here raises.

    As a decorator it measures each call of a generator or async generator function, one token per item.
    """

    __slots__ = (
        "_call",
        "_first_s",
        "_first_tokens",
        "_in",
        "_key",
        "_last_s",
        "_later",
        "_out",
        "_room",
        "_started_s",
        "_tokens",
    )

    def __init__(self, key: tuple[str, str], tokens: Callable[[Any], int] | None = None) -> None:
        self._key, self._tokens = key, tokens
        self._call = InferenceCall(None)
        self._room: GenerationRoom | None = None
        self._in: SumCell | None = None
        self._out: SumCell | None = None
        self._started_s = 0.0
        self._first_s: float | None = None
        self._last_s = 0.0
        self._first_tokens = self._later = 0

    def __enter__(self) -> Generation:
        """Begin to measure; one object measures one generation at a time."""
        self._first_s = None
        self._first_tokens = self._later = 0
        cell: ModelCell | None = None
        telemetry = runtime.live
        self._room = self._in = self._out = None
        if telemetry is not None:
            with guard.guard("generation"):
                cell = telemetry.slot(*self._key).cell
                self._room = telemetry.room(GenerationRoom)
                self._in = self._room.tokens.cell((*self._key, "input"))
                self._out = self._room.tokens.cell((*self._key, "output"))
        self._call = InferenceCall(cell)
        self._call.start()
        self._started_s = clock.monotonic_s()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End the measurement; an exception passes.

        A client that left makes it ``cancelled``, any other exception an ``error``.
        """
        self._call.end(error)
        if self._room is not None and self._first_s is not None and self._later:
            with guard.guard("generation"):
                self._room.per_token.cell(self._key).observe((self._last_s - self._first_s) / self._later)
        self._room = self._in = self._out = None

    def __call__(self, func: F, /) -> F:
        """Wrap a generator or async generator function; its kind and signature stay."""
        import inspect  # at decoration: it would add to the package's import time

        key, tokens = self._key, self._tokens
        if inspect.isasyncgenfunction(func):
            wrapper = _async_generator(func, key, tokens)
        elif inspect.isgeneratorfunction(func):
            wrapper = _generator(func, key, tokens)
        else:
            raise ConfigError(f"generation wraps generator and async generator functions, got {func!r}")
        return cast("F", functools.update_wrapper(wrapper, func))

    def count_item(self, item: object) -> None:
        """Count what one item of a wrapped generator holds; called by the wrapper."""
        with guard.guard("generation"):
            self.token(1 if self._tokens is None else self._tokens(item))

    def input_tokens(self, count: int) -> None:
        """Count the tokens of the prompt.

        Args:
            count: 0 or more; anything else is dropped and counted.
        """
        if self._in is not None:
            self._count(self._in, count)

    def first_token(self) -> None:
        """Say that the first token is there; ``token`` says so by itself."""
        if self._room is None or self._first_s is not None:
            return
        now_s = self._first_s = self._last_s = clock.monotonic_s()
        with guard.guard("generation"):
            self._room.first.cell(self._key).observe(now_s - self._started_s)

    def token(self, count: int = 1) -> None:
        """Count tokens as they come out.

        Args:
            count: Tokens that came together, 1 unless they come in chunks; 0 or more.
        """
        if self._out is None or not self._count(self._out, count) or not count:
            return
        if self._first_s is None or not self._first_tokens:
            self.first_token()
            self._first_tokens = count
            return
        self._last_s = clock.monotonic_s()
        self._later += count

    def predicted(self, label: object = None, *, confidence: object = None) -> None:
        """Record what the model predicted, as in a block of ``instrument_inference``."""
        self._call.predicted(label, confidence=confidence)

    def failed(self, error: str | type[BaseException] | BaseException) -> None:
        """Count the generation as an error although no exception leaves the block; the class of it is recorded."""
        self._call.failed(error)

    def cancelled(self) -> None:
        """Count the generation as cancelled although no exception leaves the block."""
        self._call.cancelled()

    @staticmethod
    def _count(cell: SumCell, count: object) -> bool:
        if isinstance(count, bool) or not isinstance(count, Real):
            guard.drop("tokens", "type")
            return False
        if not isinstance(count, Integral) or count < 0:
            guard.drop("tokens", "out_of_range")
            return False
        cell.add(int(count))
        return True


def _generator(
    func: Callable[..., Generator[Any, Any, Any]], key: tuple[str, str], tokens: Callable[[Any], int] | None
) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner = func(*args, **kwargs)
        with Generation(key, tokens) as measured:
            # ``yield from`` with a look at each item (PEP 380).
            step: Callable[[], Any] = functools.partial(next, inner)
            while True:
                try:
                    item = step()
                except StopIteration as stop:
                    return stop.value
                measured.count_item(item)
                try:
                    sent = yield item
                except GeneratorExit:
                    inner.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001  handed to the inner generator, which decides
                    step = functools.partial(inner.throw, thrown)
                else:
                    step = functools.partial(inner.send, sent)

    return call


def _async_generator(
    func: Callable[..., AsyncGenerator[Any, Any]], key: tuple[str, str], tokens: Callable[[Any], int] | None
) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = func(*args, **kwargs)
        with Generation(key, tokens) as measured:
            step = inner.__anext__()
            try:
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        break
                    measured.count_item(item)
                    try:
                        sent = yield item
                    except GeneratorExit:
                        raise
                    except BaseException as thrown:  # noqa: BLE001  as above
                        step = inner.athrow(thrown)
                    else:
                        step = inner.asend(sent)
            except BaseException:
                await inner.aclose()
                raise

    return call


def generation(model: str, *, version: str | None = None, tokens: Callable[[Any], int] | None = None) -> Generation:
    """Measure an answer that comes token by token: time to the first token, time per token, tokens, and how it ended.

    A generation counts as one inference (latency to the last token, status, in flight): nothing else needs to measure
    it. Use it in a ``with`` block, where each generation has an object of its own::

        with infermeter.generation("llm", version="1") as answer:
            answer.input_tokens(len(prompt))
            for token in model.stream(prompt):
                answer.token()
                yield token

    or as a decorator of a generator or async generator function, one token per item.

    Args:
        model: Model name as served, at most 128 characters; longer names are cut.
        version: Model version; leave out to keep one series per model.
        tokens: For the decorator: how many tokens an item holds, default 1.

    Raises:
        ConfigError: At decoration: the function is no generator function.
    """
    return Generation((label_value(model), label_value(version)), tokens)
