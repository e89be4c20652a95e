"""One upstream and one console in front of it for all tests; each test finds an upstream that remembers nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.console.running_console import Console, StandIn, console, stand_in


@pytest.fixture(scope="session")
def shared_upstream() -> Iterator[StandIn]:
    with stand_in() as one:
        yield one


@pytest.fixture(scope="session")
def shared_console(shared_upstream: StandIn) -> Iterator[Console]:
    with console(shared_upstream.url) as one:
        yield one


@pytest.fixture
def upstream(shared_upstream: StandIn) -> Iterator[StandIn]:
    """A stand-in for both Prometheus and Alertmanager."""
    yield shared_upstream
    shared_upstream.asked.clear()
    shared_upstream.handle = None


@pytest.fixture
def open_console(shared_console: Console, upstream: StandIn) -> Console:
    """A console without a token and without a page."""
    return shared_console
