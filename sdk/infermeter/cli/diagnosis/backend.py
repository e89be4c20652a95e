"""Questions to Prometheus and Alertmanager; says when nobody answers, and what the clock over there shows."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from infermeter.addresses import is_loopback
from infermeter.cli.unanswered import reason

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
        host = urlsplit(self.url).hostname or ""
        try:
            with requests.Session() as session:
                session.trust_env = not is_loopback(host)  # no proxy between us and this machine
                return session.get(self.url + path, params=parameters, timeout=_TIMEOUT_S)
        except requests.Timeout:
            raise NoAnswerError(f"does not answer within {_TIMEOUT_S:g} s") from None
        except requests.RequestException as error:
            raise NoAnswerError(f"does not answer ({reason(error) or type(error).__name__})") from None
