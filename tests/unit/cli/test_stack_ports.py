"""Ports: defaults where free, others where taken, errors where somebody insisted."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack import ports
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.options import DEFAULT_PORTS, StackOptions
from infermeter.cli.stack.ports import choose_ports, is_free, owner_of


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_any_ports_are_free_and_different() -> None:
    chosen = choose_ports(StackOptions(data_dir=Path(), port_policy="any", gpus=True))
    assert set(chosen) == set(DEFAULT_PORTS)
    assert len(set(chosen.values())) == len(chosen)
    assert all(is_free(port) for port in chosen.values())


def test_a_default_port_that_is_taken_is_replaced(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "DEFAULT_PORTS", {**DEFAULT_PORTS, "prometheus": taken})
    chosen = choose_ports(StackOptions(data_dir=Path()))
    assert chosen["prometheus"] != taken
    assert is_free(chosen["prometheus"])


@pytest.mark.parametrize("policy", ["prefer", "any", "strict"])
def test_a_port_that_was_asked_for_and_is_taken_is_an_error(taken: int, policy: ports.PortPolicy) -> None:
    with pytest.raises(StackError, match=rf"port {taken} \(otlp-http\) is taken by .*\(pid {os.getpid()}\)") as error:
        choose_ports(StackOptions(data_dir=Path(), ports={"otlp-http": taken}, port_policy=policy))
    assert error.value.exit_code is ExitCode.PORT_TAKEN


@pytest.fixture
def free_defaults(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Defaults that nobody else on this machine has, as the real ones may be taken."""
    defaults = choose_ports(StackOptions(data_dir=Path(), port_policy="any"))
    monkeypatch.setattr(ports, "DEFAULT_PORTS", defaults)
    return defaults


def test_strict_insists_on_the_defaults(taken: int, free_defaults: dict[str, int]) -> None:
    free_defaults["health"] = taken
    with pytest.raises(StackError, match="--ports health=NUMBER"):
        choose_ports(StackOptions(data_dir=Path(), port_policy="strict"))


def test_one_port_for_two_listeners_is_an_error() -> None:
    with pytest.raises(StackError, match="asked for twice"):
        choose_ports(StackOptions(data_dir=Path(), ports={"health": 18131, "prometheus": 18131}))


def test_a_chosen_port_is_never_one_that_was_asked_for(free_defaults: dict[str, int]) -> None:
    # A default that somebody asked for under another name has to give way.
    chosen = choose_ports(StackOptions(data_dir=Path(), ports={"example": free_defaults["prometheus"]}))
    assert chosen["prometheus"] != free_defaults["prometheus"]


def test_a_port_held_on_all_addresses_is_not_free() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert f"(pid {os.getpid()})" in owner_of(port)


def test_a_port_just_closed_is_free(taken: int) -> None:
    with socket.create_connection(("127.0.0.1", taken)):
        pass
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first goes through TIME_WAIT
        client.close()
    assert is_free(port)


def test_only_listeners_that_are_started_need_a_port() -> None:
    options = StackOptions(data_dir=Path(), example=False, profile="otlp", port_policy="any")
    assert set(DEFAULT_PORTS) - set(choose_ports(options)) == {"example", "exporter", "pipelines", "gpu-agent"}
