"""How the doctor and `top` ask, and what they say when nobody answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from infermeter.cli.diagnosis.backend import Backend, NoAnswerError


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens, and nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_the_systems_own_reason_is_told(nobody: str) -> None:
    with pytest.raises(NoAnswerError, match=r"does not answer \(nobody listens there\)"):
        Backend(nobody).query("up")


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(NoAnswerError, match=r"its name cannot be resolved"):
        Backend("http://prometheus.invalid:9090").query("up")


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(
    nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(NoAnswerError, match="nobody listens there"):
        Backend(nobody).query("up")
