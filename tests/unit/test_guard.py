"""The guard stops our failures, and only those: counted each time, logged once, never in the host's way."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from tests.conftest import Errors

from infermeter import guard


def test_an_error_is_stopped_counted_and_shown_to_the_seam(swallowed: Errors) -> None:
    error = ValueError("ours")
    for _ in range(3):
        with guard.guard("place"):
            raise error

    assert swallowed == [("place", error)] * 3
    assert guard.drops()["place", "ValueError"].total() == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_is_not_an_error_passes(error: type[BaseException]) -> None:
    with pytest.raises(error), guard.guard("place"):
        raise error

    assert guard.drops() == {}


def test_each_kind_is_logged_once_with_what_happened(caplog: pytest.LogCaptureFixture, swallowed: Errors) -> None:
    for error in (ValueError("first"), ValueError("second"), KeyError("third")):
        with guard.guard("place"):
            raise error

    assert [record.name for record in caplog.records] == ["infermeter"] * 2
    assert "place" in caplog.text
    assert "first" in caplog.text
    assert "second" not in caplog.text


def test_a_kind_may_be_logged_again_when_its_place_was_well(caplog: pytest.LogCaptureFixture) -> None:
    guard.log_once("here", "kind", "said")
    guard.log_once("there", "kind", "said")
    guard.log_again("here")
    guard.log_once("here", "kind", "again")
    guard.log_once("there", "kind", "again")

    assert [record.getMessage() for record in caplog.records] == ["said", "said", "again"]


def test_a_log_handler_that_fails_or_comes_back_does_no_harm(swallowed: Errors) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record)
            with guard.guard("in the handler"):
                raise KeyError
            raise RuntimeError("handler")

    lines: list[logging.LogRecord] = []
    handler = Handler()
    logging.getLogger("infermeter").addHandler(handler)
    try:
        with guard.guard("place"):
            raise ValueError
    finally:
        logging.getLogger("infermeter").removeHandler(handler)

    assert len(lines) == 1
    assert [where for where, _ in swallowed] == ["place", "in the handler"]


def test_threads_count_without_losing() -> None:
    def drop() -> None:
        for _ in range(2000):
            guard.drop("place", "reason")

    threads = [threading.Thread(target=drop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert guard.drops()["place", "reason"].total() == 8000
