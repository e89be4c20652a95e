"""Questions to Prometheus and Alertmanager; says when nobody answers, and what the clock over there shows."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests

_TIMEOUT_S = 5.0


class NoAnswerError(Exception):
    """There was no usable answer; the message says why, in words that follow "Prometheus …"."""


class Backend:
    """The HTTP interface of one server.

    Args:
        url: Its base address.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def get(self, path: str, **parameters: str) -> Any:
        """Return the decoded answer to a GET.

        Raises:
            NoAnswerError: Nobody answered, or not with JSON.
        """
        answer = self._ask(path, parameters)
        try:
            return answer.json()
        except ValueError:
            raise NoAnswerError(f"answers {answer.status_code} and no JSON at {path}") from None

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and values of an instant query.

        Raises:
            NoAnswerError: There was no answer, or the expression was refused.
        """
        answer: Any = self.get("/api/v1/query", query=expression)
        try:
            result: list[dict[str, Any]] = answer["data"]["result"]
        except (KeyError, TypeError):
            raise NoAnswerError("does not answer a query as Prometheus would") from None
        return [(sample["metric"], float(sample["value"][1])) for sample in result]

    def clock_ahead_s(self) -> float | None:
        """Return by how many seconds the server's clock is ahead of ours, give or take one; None if it does not say."""
        date = self._ask("/-/healthy", {}).headers.get("Date")
        return None if date is None else parsedate_to_datetime(date).timestamp() - time.time()

    def _ask(self, path: str, parameters: dict[str, str]) -> requests.Response:
        try:
            with requests.Session() as session:
                session.trust_env = not _is_loopback(self.url)  # no proxy between us and this machine
                return session.get(self.url + path, params=parameters, timeout=_TIMEOUT_S)
        except requests.Timeout:
            raise NoAnswerError(f"does not answer within {_TIMEOUT_S:g} s") from None
        except requests.RequestException as error:
            raise NoAnswerError(f"does not answer ({_why(error)})") from None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(error: requests.RequestException) -> str:
    """Return the system's own reason, which the HTTP client wraps several times."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "its name cannot be resolved"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted here"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS there"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
