"""The exporting thread: at its interval, at once when asked, spread over a fleet, once more at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.conftest import Errors
from tests.waiting import until

from infermeter.ticker import MIN_GAP_S, Ticker


class Exports:
    """Counts exports and closings, and does in each what a test wants."""

    def __init__(self) -> None:
        self.done: list[float] = []
        self.closed = 0
        self.do: Callable[[], bool] = lambda: True

    def export(self) -> bool:
        result = self.do()
        self.done.append(time.perf_counter())
        return result

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def exports() -> Exports:
    return Exports()


@pytest.fixture
def make(exports: Exports) -> Iterator[Callable[..., Ticker]]:
    made: list[Ticker] = []

    def make(interval_s: float = 3600.0, **arguments: Callable[[], float]) -> Ticker:
        made.append(Ticker(exports.export, exports.close, interval_s, **arguments))
        return made[-1]

    yield make
    exports.do = lambda: True
    for ticker in made:
        ticker.flush(2, last=True)


def test_no_thread_exists_before_it_is_needed(make: Callable[..., Ticker]) -> None:
    before = threading.active_count()
    ticker = make()

    assert not ticker.running
    assert threading.active_count() == before


def test_the_first_export_follows_at_once_then_the_interval(make: Callable[..., Ticker], exports: Exports) -> None:
    make(interval_s=0.05).start()

    until(lambda: len(exports.done) >= 4, "four exports")


def test_starting_twice_starts_one_thread(make: Callable[..., Ticker]) -> None:
    ticker = make()
    before = threading.active_count()
    ticker.start()
    ticker.start()

    assert threading.active_count() == before + 1


def test_flush_says_whether_its_own_export_arrived(
    make: Callable[..., Ticker], exports: Exports, swallowed: Errors
) -> None:
    ticker = make()

    assert ticker.flush(5) is True
    exports.do = lambda: False
    assert ticker.flush(5) is False
    exports.do = lambda: 1 / 0 > 0
    assert ticker.flush(5) is False
    assert [where for where, _ in swallowed] == ["export"]
    exports.do = lambda: True
    assert ticker.flush(5) is True


def test_flush_covers_what_was_recorded_while_another_export_ran(make: Callable[..., Ticker], exports: Exports) -> None:
    release, started = threading.Event(), threading.Event()

    def slow() -> bool:
        started.set()
        return release.wait(10)

    exports.do = slow
    ticker = make()
    ticker.start()
    started.wait(10)
    answers: list[bool] = []
    flushing = threading.Thread(target=lambda: answers.append(ticker.flush(10)))
    flushing.start()
    until(lambda: ticker._requests, "the wish to be queued")
    release.set()
    flushing.join()

    assert answers == [True]
    assert len(exports.done) == 2


def test_waiting_ends_with_its_bound(make: Callable[..., Ticker], exports: Exports) -> None:
    release = threading.Event()
    exports.do = lambda: release.wait(60)
    ticker = make()
    started_s = time.perf_counter()

    assert ticker.flush(0.1) is False
    assert ticker.flush(0) is False
    assert ticker.flush(-1) is False
    assert time.perf_counter() - started_s < 20
    release.set()


def test_the_last_export_closes_and_nothing_follows(make: Callable[..., Ticker], exports: Exports) -> None:
    ticker = make(interval_s=0.01)
    ticker.start()

    assert ticker.flush(5, last=True) is True
    count = len(exports.done)
    assert exports.closed == 1
    assert ticker.flush(5) is True
    assert ticker.flush(5, last=True) is False
    ticker.start()
    ticker.soon()
    assert (len(exports.done), exports.closed) == (count, 1)


def test_a_burst_of_wishes_costs_one_export(make: Callable[..., Ticker], exports: Exports) -> None:
    ticker = make()
    ticker.start()
    until(lambda: exports.done, "the first export")
    for _ in range(100):
        ticker.soon()
    until(lambda: len(exports.done) == 2, "the export that was asked for")

    assert exports.done[1] - exports.done[0] >= MIN_GAP_S * 0.9
    assert ticker.flush(5)
    assert len(exports.done) == 3


def test_an_export_longer_than_the_interval_causes_no_burst(make: Callable[..., Ticker], exports: Exports) -> None:
    slow = threading.Event()

    def first_is_slow() -> bool:
        if not exports.done:
            slow.wait(0.5)
        return True

    exports.do = first_is_slow
    make(interval_s=0.1).start()
    until(lambda: len(exports.done) >= 4, "four exports")

    # A busy machine may delay an export, so two may come closer together than the interval; none comes before its time.
    since_first = [at - exports.done[0] for at in exports.done[:4]]
    assert all(since > intervals * 0.1 - 0.01 for intervals, since in enumerate(since_first)), since_first


def test_a_parked_ticker_exports_only_when_asked(make: Callable[..., Ticker], exports: Exports) -> None:
    ticker = make(interval_s=0.02)
    ticker.park()
    ticker.start()

    assert ticker.flush(5)
    count = len(exports.done)
    with pytest.raises(AssertionError):
        until(lambda: len(exports.done) > count, "an export that must not come", timeout_s=0.2)
    ticker.unpark()
    until(lambda: len(exports.done) > count, "exports again")


def test_the_other_sides_wish_delays_the_interval_not_a_flush(make: Callable[..., Ticker], exports: Exports) -> None:
    not_before = [time.perf_counter() + 3600]
    ticker = make(interval_s=0.02, not_before_s=lambda: not_before[0])
    ticker.start()

    with pytest.raises(AssertionError):
        until(lambda: exports.done, "an export that must not come", timeout_s=0.2)
    assert ticker.flush(5)
    assert len(exports.done) == 1


def test_asking_from_within_an_export_does_not_wait_for_itself(make: Callable[..., Ticker], exports: Exports) -> None:
    ticker = make()
    exports.do = lambda: ticker.flush(60)
    started_s = time.perf_counter()

    assert ticker.flush(40) is False
    assert time.perf_counter() - started_s < 20


def test_ending_it_from_within_an_export_ends_it_after_that_export(
    make: Callable[..., Ticker], exports: Exports
) -> None:
    ticker = make(interval_s=0.01)
    exports.do = lambda: ticker.flush(60, last=True)
    before = threading.active_count()
    ticker.start()

    until(lambda: exports.closed, "the closing")
    until(lambda: threading.active_count() == before, "the thread to end")
    assert ticker.flush(5) is True


def test_a_fleet_that_starts_together_does_not_export_together(exports: Exports) -> None:
    interval_s = 0.5
    fleet: list[Exports] = [Exports() for _ in range(30)]
    tickers = [Ticker(member.export, member.close, interval_s) for member in fleet]
    for ticker in tickers:
        ticker.start()
    until(lambda: all(len(member.done) >= 2 for member in fleet), "two exports each")

    seconds = sorted(member.done[1] - member.done[0] for member in fleet)
    assert seconds[-1] - seconds[0] > interval_s / 3
    for ticker in tickers:
        ticker.flush(2, last=True)
