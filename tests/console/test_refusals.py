"""What the console refuses; whatever is refused has not reached Prometheus or Alertmanager."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from tests.console.running_console import Console, StandIn, answer, console
from tests.waiting import until

from infermeter.cli.web import app, impatience

QUERY = "/prometheus/api/v1/query?query=up"


@pytest.mark.parametrize(
    "path",
    [
        "/prometheus/api/v1/admin/tsdb/delete_series?match[]=up",
        "/prometheus/api/v1/admin/tsdb/snapshot",
        "/prometheus/api/v1/admin/tsdb/clean_tombstones",
        "/prometheus/api/v1/write",
        "/prometheus/api/v1/read",
        "/prometheus/api/v1/otlp/v1/metrics",
        "/prometheus/api/v1/status/config",
        "/prometheus/api/v1/status/flags",
        "/prometheus/api/v1/targets",
        "/prometheus/api/v1/query/",
        "/prometheus/api/v1/QUERY",
        "/prometheus/api/v1/query_exemplars",
        "/prometheus/-/reload",
        "/prometheus/-/quit",
        "/prometheus/federate",
        "/prometheus/metrics",
        "/prometheus/debug/pprof/heap",
        "/prometheus",
        "/alertmanager/api/v2/silence/1",
        "/alertmanager/api/v2/receivers",
        "/alertmanager/api/v2/alerts/groups",
        "/alertmanager/-/reload",
        "/alertmanager/metrics",
    ],
)
def test_what_is_not_on_the_list_of_reads_does_not_exist(open_console: Console, upstream: StandIn, path: str):
    assert open_console.ask(path).status == 404
    assert open_console.post(path, b"").status in (404, 405)
    assert upstream.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/prometheus/api/v1/../../-/reload",
        "/prometheus/api/v1/query/../admin/tsdb/snapshot",
        "/prometheus/api/v1/%2e%2e/%2e%2e/-/reload",
        "/prometheus/api/v1/..%2f..%2f-%2freload",
        "/prometheus/api/v1/%252e%252e/admin",
        "/prometheus/api/v1/label/..%2f..%2fadmin%2ftsdb/values",
        "/prometheus/api/v1/label/../values",
        "/prometheus/api/v1/label/a%00b/values",
        "/prometheus/api/v1/label/a/values/../../../admin/tsdb/snapshot",
        "/prometheus/api/v1/quer%79?query=up",
        "/prometheus//api/v1/query?query=up",
        "/prometheus/api/v1/query;/../../-/reload",
        "/prometheus\\api\\v1\\query",
        "/alertmanager/api/v2/alerts/../silences",
        "/../../etc/passwd",
        "/assets/../../pyproject.toml",
        "/assets/%2e%2e/%2e%2e/pyproject.toml",
        "/assets/..%2f..%2fpyproject.toml",
        "/assets/....//....//pyproject.toml",
        "//etc/passwd",
        "/api/dashboards/..%2f..%2f..%2fpyproject",
        "/api/dashboards/overview.json",
        "/api/runbooks/..%2fREADME",
        "/api/runbooks/%2e%2e%2f%2e%2e%2fprometheus%2fprometheus",
        "/api/runbooks/HighInferenceLatency.md",
        "/api/runbooks/HighInferenceLatency%00",
    ],
)
def test_no_path_leads_out_of_what_is_served(open_console: Console, upstream: StandIn, path: str):
    assert open_console.ask(path).status == 404
    assert upstream.asked == []


@pytest.mark.parametrize("path", [QUERY, "/alertmanager/api/v2/silences", "/", "/api/config", "/assets/any.js"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_methods_that_could_write_are_refused_everywhere(
    open_console: Console, upstream: StandIn, method: str, path: str
):
    assert open_console.ask(path, method).status in (400, 405)
    assert upstream.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/alertmanager/api/v2/silences",
        "/alertmanager/api/v2/alerts",
        "/prometheus/api/v1/series",
        "/prometheus/api/v1/rules",
        "/",
        "/api/config",
    ],
)
def test_a_post_is_refused_where_it_is_no_way_to_read(open_console: Console, upstream: StandIn, path: str):
    assert open_console.post(path, b"a=b").status == 405
    assert upstream.asked == []


def test_a_body_that_is_no_form_is_refused(open_console: Console, upstream: StandIn):
    assert open_console.post("/prometheus/api/v1/query", b"{}", Content_Type="application/json").status == 415
    assert upstream.asked == []


class TestForeignNames:
    """DNS rebinding: a name of somebody else's that leads to this machine."""

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:9470",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example#localhost",
            "localhost@evil.example",
            "localhost evil.example",
            "localhost:9470:80",
            "",
            "[::1",
        ],
    )
    def test_a_foreign_host_gets_nothing(self, open_console: Console, upstream: StandIn, host: str):
        for target in ("/", QUERY, "/api/config", "/api/health"):
            reply = open_console.ask(target, Host=host)
            assert reply.status in (400, 421)
            assert b"dashboards" not in reply.body
        assert upstream.asked == []

    def test_a_request_without_a_host_or_with_two_gets_nothing(self, open_console: Console, upstream: StandIn):
        for head in (b"GET /api/config HTTP/1.0\r\n\r\n", b"GET /api/config HTTP/1.1\r\n\r\n",
                     b"GET /api/config HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"):  # fmt: skip
            with open_console.connect() as connection:
                connection.sendall(head)
                assert connection.recv(100).split()[1] in (b"400", b"421")
        assert upstream.asked == []

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9470", "[::1]:9470", "192.0.2.7:80"])
    def test_our_names_and_addresses_are_served_at_any_port(self, open_console: Console, host: str):
        assert open_console.ask("/api/health", Host=host).status == 200

    def test_a_name_that_was_allowed_is_served(self, upstream: StandIn):
        with console(upstream.url, hosts=frozenset({"metrics.example"})) as one:
            assert one.ask("/api/health", Host="metrics.example").status == 200
            assert one.ask("/api/health", Host="localhost").status == 421


class TestOtherSites:
    """A page of another site whose browser can reach us."""

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_their_pages_cannot_ask(self, open_console: Console, upstream: StandIn, site: str):
        for target in (QUERY, "/api/config", "/alertmanager/api/v2/alerts"):
            assert open_console.ask(target, Sec_Fetch_Site=site).status == 403
        assert open_console.post("/prometheus/api/v1/query", b"query=up", Sec_Fetch_Site=site).status == 403
        assert upstream.asked == []

    def test_they_may_link_to_the_page(self, open_console: Console):
        assert open_console.ask("/", Sec_Fetch_Site="cross-site").status == 503  # there is no page in this test

    def test_no_answer_may_be_read_framed_or_sniffed_by_them(self, open_console: Console):
        for target in ("/", QUERY, "/api/config", "/nothing", "/prometheus/-/quit"):
            headers = open_console.ask(target, Origin="http://evil.example").headers
            assert "access-control-allow-origin" not in headers
            assert "script-src 'self';" in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert headers["referrer-policy"] == "no-referrer"
            assert "server" not in headers


class TestOtherServers:
    """Server-side request forgery: nothing in a request chooses whom we ask."""

    @pytest.mark.parametrize(
        "target",
        [
            "http://192.0.2.1/latest/meta-data",
            "http://127.0.0.1:1/prometheus/api/v1/query",
            "/prometheus/http://192.0.2.1/",
            "/prometheus/api/v1/query@192.0.2.1/",
            "/prometheus/@192.0.2.1/api/v1/query",
            "//192.0.2.1/prometheus/api/v1/query",
        ],
    )
    def test_an_address_in_the_path_is_refused(self, open_console: Console, upstream: StandIn, target: str):
        assert open_console.ask(target).status in (400, 404)
        assert upstream.asked == []

    def test_an_address_in_parameters_or_headers_changes_nothing(self, open_console: Console, upstream: StandIn):
        reply = open_console.ask(
            f"{QUERY}&url=http://192.0.2.1/&target=x", X_Forwarded_Host="192.0.2.1", X_Forwarded_For="192.0.2.1",
            X_Original_URL="/-/reload", Forwarded="host=192.0.2.1",
        )  # fmt: skip
        assert reply.status == 200
        assert [one.target.partition("?")[0] for one in upstream.asked] == ["/api/v1/query"]
        assert not {"X-Forwarded-Host", "X-Original-Url", "Forwarded"} & {
            name.title() for name in upstream.asked[0].headers
        }

    def test_a_redirect_of_the_upstream_is_not_followed(self, open_console: Console, upstream: StandIn):
        elsewhere = f"{upstream.url}/secret"
        upstream.handle = lambda handler: answer(handler, 302, "{}", Location=elsewhere)

        reply = open_console.ask(QUERY)

        assert (reply.status, reply.json["errorType"]) == (502, "redirect")
        assert [one.target for one in upstream.asked] == ["/api/v1/query?query=up"]

    def test_nothing_of_the_browser_is_passed_on(self, open_console: Console, upstream: StandIn):
        open_console.ask(QUERY, Cookie="session=1", Authorization="Basic Zm9v", User_Agent="their-browser")

        sent = upstream.asked[0].headers
        assert not {"Cookie", "Authorization"} & set(sent)
        assert "their-browser" not in sent.values()

    def test_html_of_the_upstream_does_not_come_under_our_origin(self, open_console: Console, upstream: StandIn):
        upstream.handle = lambda handler: answer(handler, 200, "<script>alert(1)</script>", "text/html")

        reply = open_console.ask(QUERY)

        assert (reply.status, reply.headers["content-type"]) == (502, "application/json")
        assert b"script" not in reply.body


class TestTooMuch:
    def test_a_long_form_is_refused_before_it_is_read(self, open_console: Console, upstream: StandIn):
        with open_console.connect() as connection:
            connection.sendall(form_head(b"Content-Length: 999999999"))
            assert connection.recv(100).split()[1] == b"413"
        assert upstream.asked == []

    def test_a_long_form_without_a_stated_length_is_refused(self, open_console: Console, upstream: StandIn):
        with open_console.connect() as connection:
            connection.sendall(form_head(b"Transfer-Encoding: chunked"))
            chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
            for _ in range(5):
                connection.sendall(chunk)
            assert connection.recv(100).split()[1] == b"413"
        assert upstream.asked == []

    @pytest.mark.parametrize("length", [9_000, 200_000])
    def test_a_long_address_is_refused(self, open_console: Console, upstream: StandIn, length: int):
        with open_console.connect() as connection:
            connection.sendall(
                b"GET /prometheus/api/v1/query?query=" + b"a" * length + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
            )
            assert connection.recv(100).split()[1] in (b"400", b"414")
        assert upstream.asked == []

    def test_endless_headers_are_refused(self, open_console: Console):
        with open_console.connect() as connection:
            connection.sendall(
                b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 3_000
            )
            assert connection.recv(100).split()[1] == b"400"

    def test_a_huge_answer_is_cut_off_and_said(self, open_console: Console, upstream: StandIn):
        upstream.handle = lambda handler: answer(handler, 200, b"[" + b"1," * (1 << 20) + b"1]")

        reply = open_console.ask(QUERY)

        assert (reply.status, reply.json["errorType"]) == (422, "too_large")
        assert "more than 1 MiB" in reply.json["error"]


class TestTooSlow:
    def test_half_a_request_head_is_hung_up_on(self, open_console: Console, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(impatience, "HEAD_TIMEOUT_S", 0.3)
        with open_console.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: local")
            assert is_closed(connection, while_sending=b"a")

    def test_saying_nothing_is_hung_up_on(self, open_console: Console, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(impatience, "HEAD_TIMEOUT_S", 0.3)
        with open_console.connect() as connection:
            assert is_closed(connection)

    def test_half_of_a_second_request_is_hung_up_on(self, open_console: Console, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(impatience, "HEAD_TIMEOUT_S", 0.3)
        with open_console.connect() as connection:
            connection.sendall(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(4096).split()[1] == b"200"
            connection.sendall(b"GET /api/hea")
            assert is_closed(connection, while_sending=b"l")

    def test_a_trickling_form_is_refused(
        self, open_console: Console, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(app, "BODY_TIMEOUT_S", 0.3)
        with open_console.connect() as connection:
            connection.sendall(form_head(b"Content-Length: 1000") + b"query=")
            assert connection.recv(100).split()[1] == b"408"
        assert upstream.asked == []

    def test_an_answer_that_nobody_reads_is_given_up(self, upstream: StandIn, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(impatience, "READING_TIMEOUT_S", 0.3)
        upstream.handle = lambda handler: answer(handler, 200, b"[" + b"1," * (10 << 20) + b"1]")
        with console(upstream.url, most_bytes=64 << 20) as one, socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", one.port))
            connection.sendall(f"GET {QUERY} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            until(lambda: upstream.asked, "the upstream to be asked")
            until(lambda: _is_reset(connection), "the connection to be given up")
            assert one.ask("/api/health").status == 200

    @pytest.mark.parametrize("slow", ["silent", "trickling"])
    def test_a_slow_upstream_is_given_up_and_named(self, upstream: StandIn, slow: str):
        released = []
        upstream.handle = _silent(released) if slow == "silent" else _trickling(released)
        try:
            with console(upstream.url, answer_timeout_s=0.4) as one:
                reply = one.ask(QUERY)
        finally:
            released.append(True)

        assert (reply.status, reply.json["errorType"]) == (504, "timeout")
        assert "Prometheus at" in reply.json["error"]


def form_head(length: bytes) -> bytes:
    """The head of a question that comes as a form."""
    lines = [b"POST /prometheus/api/v1/query HTTP/1.1", b"Host: localhost", length,
             b"Content-Type: application/x-www-form-urlencoded"]  # fmt: skip
    return b"\r\n".join([*lines, b"", b""])


def is_closed(connection: socket.socket, while_sending: bytes = b"") -> bool:
    """Whether the server hangs up, even while something trickles."""
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        if while_sending:
            with suppress(OSError):
                connection.send(while_sending)
        if select.select([connection], [], [], 0.05)[0] and _has_ended(connection):
            return True
    return False


def _has_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(4096) == b""
    except ConnectionError:
        return True


def _is_reset(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def _silent(released: list[bool]) -> Callable[..., None]:
    def handle(_handler: object) -> None:
        until(lambda: released, "the test to end")

    return handle


def _trickling(released: list[bool]) -> Callable[..., None]:
    def handle(handler: object) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not released:
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    return handle
