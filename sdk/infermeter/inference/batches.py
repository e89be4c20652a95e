"""``batcher``: tells of hand-written batchers, in asyncio or threads, how full batches go out, how long, and why.

Knows when inputs arrive and a batch leaves. Knows nothing of what is in them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sized
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, TypeVar, cast

from infermeter import catalog, clock, guard, runtime
from infermeter.inference.load import LoadRoom, set_batch_limit
from infermeter.labels import label_value

F = TypeVar("F", bound=Callable[..., Any])
Reason = Literal["full", "timeout", "flush"]

_open: ContextVar[tuple[Batch, ...]] = ContextVar("infermeter_batches", default=())


class Batch:
    """One batch while it is being collected; says nothing before its block ends."""

    __slots__ = ("_oldest_s", "_reason", "owner", "size")

    def __init__(self, owner: Batcher) -> None:
        self.owner = owner
        self._oldest_s: float | None = None
        self._reason: Reason | None = None
        self.size = 0

    def add(self, inputs: int = 1, *, waited_s: float = 0.0) -> None:
        """Count inputs as taken into the batch.

        Args:
            inputs: How many.
            waited_s: Seconds they had already waited, in a queue for example.
        """
        with guard.guard("batch"):
            arrived_s = clock.monotonic_s() - waited_s
            self._oldest_s = arrived_s if self._oldest_s is None else min(self._oldest_s, arrived_s)
            self.size += inputs

    def flush(self) -> None:
        """Say that the batch goes out because somebody asked for it, neither full nor late."""
        self._reason = "flush"

    def end(self) -> None:
        """Record the batch; called where its block ends."""
        if self._oldest_s is not None:
            waited_s = clock.monotonic_s() - self._oldest_s
            self.owner.dispatched(self.size, oldest_wait_s=waited_s, reason=self._reason)


class Batcher:
    """Records the batches of one model version: by a call, in a ``with`` block, or around the function that runs them.

    The block is the collecting of one batch, and ends when the batch goes to the model::

        with infermeter.batcher("llm", limit=32) as batch:
            while batch.size < 32 and (request := await next_request(timeout_s=0.01)):
                batch.add(waited_s=request.age_s)
    """

    __slots__ = ("_key", "_limit")

    def __init__(self, key: tuple[str, str], limit: int | None) -> None:
        self._key, self._limit = key, limit

    def dispatched(self, size: int, *, oldest_wait_s: float | None = None, reason: Reason | None = None) -> None:
        """Record a batch that goes to the model now.

        Args:
            size: Inputs in it, 1 or more.
            oldest_wait_s: Seconds that its first input has waited, 0 or more.
            reason: ``full``, ``timeout`` or ``flush``. Default: full from the limit on, else timeout.

        Never raises. A batch without a usable size is dropped as a whole and counted.
        """
        telemetry = runtime.live
        if telemetry is None:
            return
        with guard.guard("batch"):
            if isinstance(size, bool) or not 1 <= size < float("inf"):
                guard.drop("batch", "out_of_range")
                return
            chosen = reason or ("full" if self._limit is not None and size >= self._limit else "timeout")
            if chosen not in catalog.DISPATCH_REASONS:
                guard.drop("batch", "reason")
                return
            room = telemetry.room(LoadRoom)
            room.sizes.cell(self._key).observe(size)
            room.batches.cell((*self._key, chosen)).add()
            if oldest_wait_s is not None and 0.0 <= oldest_wait_s < float("inf"):
                room.waits.cell(self._key).observe(oldest_wait_s)
            elif oldest_wait_s is not None:
                guard.drop("batch", "wait")

    def __call__(self, func: F, /) -> F:
        """Wrap the function, or coroutine function, that runs a batch: its first argument is the batch."""
        import inspect  # at decoration: it would add to the package's import time

        position = 1 if next(iter(inspect.signature(func).parameters), "") in ("self", "cls") else 0

        def note(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            with guard.guard("batch"):
                batch = args[position] if len(args) > position else next(iter(kwargs.values()), None)
                if not isinstance(batch, Sized):
                    guard.drop("batch", "type")
                elif len(batch):
                    self.dispatched(len(batch))

        if inspect.iscoroutinefunction(func):

            async def call_async(*args: Any, **kwargs: Any) -> Any:
                note(args, kwargs)
                return await func(*args, **kwargs)

            return cast("F", functools.update_wrapper(call_async, func))

        def call(*args: Any, **kwargs: Any) -> Any:
            note(args, kwargs)
            return func(*args, **kwargs)

        return cast("F", functools.update_wrapper(call, func))

    def __enter__(self) -> Batch:
        """Begin to collect a batch; blocks of one batcher may overlap in threads and tasks."""
        batch = Batch(self)
        _open.set((*_open.get(), batch))
        return batch

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Record the batch, unless it is empty or an exception kept it from its model."""
        batches = _open.get()
        batch = next((b for b in reversed(batches) if b.owner is self), None)
        if batch is not None:
            _open.set(tuple(b for b in batches if b is not batch))
            if error is None:
                batch.end()


def batcher(model: str, *, version: str | None = None, limit: int | None = None) -> Batcher:
    """Measure a hand-written batcher: size, oldest wait, and why each batch was dispatched.

    Args:
        model: Model name as served, at most 128 characters; longer names are cut.
        version: Model version; leave out to keep one series per model.
        limit: Inputs one batch may hold at most; shown as ``model_inference_batch_limit``.

    Returns:
        A context manager around the collecting of a batch, a decorator for the function that runs one, and
        ``dispatched()`` for everything else.

    Raises:
        ConfigError: The limit is not a whole number of at least 1.
    """
    if limit is not None:
        set_batch_limit(model, limit, version=version)
    return Batcher((label_value(model), label_value(version)), limit)
