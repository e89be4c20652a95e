"""Why a server did not answer, found beneath whatever an HTTP client makes of it."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from infermeter.cli.unanswered import reason


def raised(error: BaseException, cause: BaseException | None) -> BaseException:
    error.__cause__ = cause
    return error


def tls(why: str) -> ssl.SSLError:
    error = ssl.SSLError(1, why)
    error.reason = why
    return error


@pytest.mark.parametrize(
    ("beneath", "expected"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name cannot be resolved"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "nobody listens there"),
        (OSError(errno.EHOSTUNREACH, "Connect call failed"), os.strerror(errno.EHOSTUNREACH)),
        (ssl.SSLCertVerificationError(1, "self-signed"), "its certificate is not trusted here"),
        (tls("WRONG_VERSION_NUMBER"), "it does not speak TLS there"),
        (tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "TLS failed: TLSV13_ALERT_CERTIFICATE_REQUIRED"),
        (ValueError("none of the system's"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_is_what_the_system_said(beneath: BaseException, expected: str | None) -> None:
    assert reason(raised(RuntimeError("outer"), raised(RuntimeError("inner"), beneath))) == expected


def test_it_is_found_among_the_attempts_at_each_address_of_a_name() -> None:
    attempts = OSError("All connection attempts failed")
    attempts.exceptions = (  # type: ignore[attr-defined]  # as in a group, which Python 3.10 does not have
        OSError("no number"), ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"),
    )  # fmt: skip
    assert reason(raised(RuntimeError("outer"), attempts)) == "nobody listens there"


def test_errors_that_name_each_other_as_their_cause_come_to_an_end() -> None:
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first
    assert reason(first) is None
