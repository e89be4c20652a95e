"""One server behind the console: asks it with limits of time and size, and says in our words why it did not answer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

import anyio
import httpx

from infermeter.addresses import is_loopback
from infermeter.cli.unanswered import reason
from infermeter.cli.web.errors import RefusedError
from infermeter.version import __version__

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 30.0
MOST_ANSWER_BYTES = 32 << 20
_MOST_CONNECTIONS = 20
_SUCCESS_OR_ITS_OWN_ERROR = "application/json"


@dataclass(frozen=True)
class Answer:
    """What an upstream said; JSON, always."""

    status: int
    body: bytes


class Upstream:
    """A Prometheus or an Alertmanager; never followed anywhere else.

    Args:
        title: What people call it.
        url: Its base address, a path prefix and `user:password@` allowed.
        token_variable: Environment variable whose value is sent as bearer token.
        answer_timeout_s: How long one answer may take altogether.
        most_bytes: How long an answer may be.

    Raises:
        ValueError: The address is none; the message names it.
    """

    def __init__(
        self,
        title: str,
        url: str,
        *,
        token_variable: str,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        most_bytes: int = MOST_ANSWER_BYTES,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is no address of {title}: give one like http://127.0.0.1:9090")
        self.title = title
        self.shown_url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
        self._token_variable = token_variable
        self._base = httpx.URL(url.rstrip("/"))
        self._answer_timeout_s = answer_timeout_s
        self._most_bytes = most_bytes
        token = os.environ.get(token_variable)
        self._client = httpx.AsyncClient(
            verify=parts.scheme == "https",  # reading the certificates of all authorities takes a while
            timeout=httpx.Timeout(answer_timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS),
            follow_redirects=False,  # a redirect would lead us where nobody told us to go
            trust_env=not is_loopback(parts.hostname),  # no proxy between us and this machine
            headers={
                "User-Agent": f"infermeter-console/{__version__}",
                "Accept": "application/json",
                **({"Authorization": f"Bearer {token}"} if token else {}),
            },
        )

    async def ask(self, method: str, path: str, query: bytes = b"", body: bytes | None = None) -> Answer:
        """Pass a question on; nothing of the browser's headers goes along.

        Raises:
            RefusedError: There was no usable answer.
        """
        url = self._base.copy_with(raw_path=self._base.path.rstrip("/").encode() + path.encode() + _question(query))
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        try:
            # httpx' own limits are per chunk; a server that trickles would pass them.
            with anyio.fail_after(self._answer_timeout_s):
                async with self._client.stream(method, url, content=body, headers=headers) as response:
                    self._refuse_what_is_no_answer(response)
                    return Answer(response.status_code, await self._read(response))
        except (TimeoutError, httpx.TimeoutException):
            raise self._away(HTTPStatus.GATEWAY_TIMEOUT, "timeout", "does not answer in time") from None
        except httpx.HTTPError as error:
            raise self._away(HTTPStatus.BAD_GATEWAY, "unavailable", f"does not answer ({_why(error)})") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _refuse_what_is_no_answer(self, response: httpx.Response) -> None:
        status = response.status_code
        if response.is_redirect:
            raise self._away(
                HTTPStatus.BAD_GATEWAY, "redirect", "answers with a redirect, which is not followed; give its final URL"
            )
        if not response.headers.get("Content-Type", "").startswith(_SUCCESS_OR_ITS_OWN_ERROR):
            if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                remedy = f"refuses us ({status}): put a token into {self._token_variable}"
                raise self._away(HTTPStatus.BAD_GATEWAY, "unauthorized", remedy)
            # Also what a login page or a proxy in between says: its HTML must not run under our origin.
            raise self._away(HTTPStatus.BAD_GATEWAY, "unavailable", f"answers {status} and no JSON")

    async def _read(self, response: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_bytes():  # decompressed: what counts is what the browser would get
            content += chunk
            if len(content) > self._most_bytes:
                raise self._away(
                    HTTPStatus.UNPROCESSABLE_ENTITY,  # as Prometheus says that it cannot: it is not away
                    "too_large",
                    f"answers with more than {self._most_bytes >> 20} MiB; ask for fewer series or a shorter time",
                )
        return bytes(content)

    def _away(self, status: HTTPStatus, kind: str, what: str) -> RefusedError:
        return RefusedError(status, kind, f"{self.title} at {self.shown_url} {what}.")


def _why(error: httpx.HTTPError) -> str:
    return reason(error) or ("no connection" if isinstance(error, httpx.ConnectError) else "it hung up")


def _question(query: bytes) -> bytes:
    return b"?" + query if query else b""
