"""Who may ask at all: checked before anything else, for every request, and what every answer carries.

Against pages of other sites: the Host header (a name that was rebound to this machine is not ours) and Sec-Fetch-Site.
Against everybody on the network: the token. Knows nothing of what is behind it.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse

from infermeter.cli.web.errors import refusal

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "infermeter_console"
TOKEN_PARAMETER = "token"  # noqa: S105 -- its name
OPEN_PATH = "/api/health"
REQUEST_TIMEOUT_S = 60.0
MOST_TARGET_BYTES = 8 << 10
_FOR_PAGES_OF_OURS_ONLY = ("/api/", "/prometheus/", "/alertmanager/")

SECURITY_HEADERS = {
    # Nothing but our own files: no inline script, no style element, no frame. Tooltips have style attributes.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""What every answer carries."""


class Gate:
    """Refuses what must not come in, bounds the time of what does, and adds the security headers.

    Args:
        app: What is behind.
        hosts: Names under which we may be asked, lower case; addresses may always: a rebound name is not one.
        token: What everybody has to show, or None on a machine of one's own.
        timeout_s: How long one request may take, answer included.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], token: str | None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._token = token
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        answer = self._refuse(scope, headers) or self._authenticate(scope, headers)
        if answer is not None:
            await answer(scope, receive, send_with_headers)
            return
        with anyio.move_on_after(self._timeout_s) as limit:
            await self._app(scope, receive, send_with_headers)
        if limit.cancelled_caught and not started:
            late = refusal(
                HTTPStatus.GATEWAY_TIMEOUT, "timeout", f"This took longer than {self._timeout_s:g} s.", _CLOSE
            )
            await late(scope, receive, send_with_headers)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        path: str = scope["path"]
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_TARGET_BYTES:
            return refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "too_large", "This address is too long.", _CLOSE)
        if not path.startswith("/"):
            return refusal(
                HTTPStatus.BAD_REQUEST, "bad_request", "This server is no proxy for other addresses.", _CLOSE
            )
        if not self._is_ours(headers.getlist("host")):
            why = "This name is not one of this server's; start it with --allowed-host NAME if it should be."
            return refusal(HTTPStatus.MISDIRECTED_REQUEST, "foreign_host", why, _CLOSE)
        site = headers.get("sec-fetch-site", "none")  # not sent by scripts; browsers forge it for nobody
        if site not in ("same-origin", "none") and path.startswith(_FOR_PAGES_OF_OURS_ONLY):
            return refusal(HTTPStatus.FORBIDDEN, "cross_site", "Pages of other sites may not ask this.", _CLOSE)
        return None

    def _is_ours(self, hosts: list[str]) -> bool:
        if len(hosts) != 1:
            return False
        # The port does not matter: it is another one behind an SSH tunnel, and rebinding is about the name.
        match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", hosts[0].lower(), re.ASCII)
        if match is None:
            return False
        name = match.group(1).strip("[]")
        return name in self._hosts or _is_address(name)

    def _authenticate(self, scope: Scope, headers: Headers) -> Response | None:
        """Return what to say instead of an answer, or None for whoever has shown the token."""
        if self._token is None or scope["path"] == OPEN_PATH:
            return None
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        if self._is_token(bearer) or self._is_token(cookie):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["method"] == "GET" and any(self._is_token(value) for name, value in query if name == TOKEN_PARAMETER):
            # Into a cookie and out of the address, where it would end in histories and screenshots.
            rest = urlencode([(name, value) for name, value in query if name != TOKEN_PARAMETER])
            welcome = RedirectResponse(
                f"/?{rest}" if rest else "/", HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"}
            )
            welcome.set_cookie(COOKIE, self._token, httponly=True, samesite="strict", secure=scope["scheme"] == "https")
            return welcome
        why = "This console needs its token: open /?token=TOKEN once, or send the header Authorization: Bearer TOKEN."
        return refusal(HTTPStatus.UNAUTHORIZED, "unauthorized", why, {"WWW-Authenticate": "Bearer", **_CLOSE})

    def _is_token(self, shown: str) -> bool:
        return self._token is not None and hmac.compare_digest(shown.encode(), self._token.encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


_CLOSE = {"Connection": "close"}
