"""What the console answers: the page, the files it draws, and what Prometheus and Alertmanager say."""

from __future__ import annotations

import gzip
import http.server
import json
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.console.running_console import Console, StandIn, answer, console
from tests.waiting import until

from infermeter.assets import asset
from infermeter.version import __version__

EXPRESSION = 'sum by (model_name) (rate(x{a="b c",d=~"é+"}[5m])) > 0.5'


class TestPassingOn:
    @pytest.mark.parametrize(
        ("target", "passed_on"),
        [
            ("/prometheus/api/v1/query?query=up", "/api/v1/query?query=up"),
            ("/prometheus/api/v1/query_range?query=up&step=1", "/api/v1/query_range?query=up&step=1"),
            ("/prometheus/api/v1/labels", "/api/v1/labels"),
            ("/prometheus/api/v1/label/model_name/values?match[]=up", "/api/v1/label/model_name/values?match[]=up"),
            ("/prometheus/api/v1/series?match[]=up", "/api/v1/series?match[]=up"),
            ("/prometheus/api/v1/metadata", "/api/v1/metadata"),
            ("/prometheus/api/v1/rules?type=alert", "/api/v1/rules?type=alert"),
            ("/prometheus/api/v1/alerts", "/api/v1/alerts"),
            ("/prometheus/api/v1/status/buildinfo", "/api/v1/status/buildinfo"),
            ("/alertmanager/api/v2/alerts?active=true", "/api/v2/alerts?active=true"),
            ("/alertmanager/api/v2/silences", "/api/v2/silences"),
            ("/alertmanager/api/v2/status", "/api/v2/status"),
        ],
    )  # fmt: skip
    def test_what_may_be_read_arrives_unchanged(
        self, open_console: Console, upstream: StandIn, target: str, passed_on: str
    ):
        reply = open_console.ask(target)

        assert (reply.status, reply.json) == (200, {"status": "success", "data": []})
        assert reply.headers["cache-control"] == "no-store"
        assert [(one.method, one.target) for one in upstream.asked] == [("GET", passed_on)]

    def test_an_expression_keeps_its_characters_in_the_address(self, open_console: Console, upstream: StandIn):
        open_console.ask(f"/prometheus/api/v1/query?query={quote(EXPRESSION)}")

        assert upstream.asked[0].target == f"/api/v1/query?query={quote(EXPRESSION)}"

    def test_a_question_may_come_as_a_form(self, open_console: Console, upstream: StandIn):
        form = f"query={quote(EXPRESSION)}&start=1&end=2&step=1".encode()

        assert open_console.post("/prometheus/api/v1/query_range", form).status == 200

        asked = upstream.asked[0]
        assert (asked.method, asked.target, asked.body) == ("POST", "/api/v1/query_range", form)
        assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"

    @pytest.mark.parametrize("status", [400, 404, 422, 503])
    def test_an_error_of_prometheus_is_passed_through(self, open_console: Console, upstream: StandIn, status: int):
        said = {"status": "error", "errorType": "bad_data", "error": "parse error"}
        upstream.handle = lambda handler: answer(handler, status, json.dumps(said))

        reply = open_console.ask("/prometheus/api/v1/query?query=sum(")

        assert (reply.status, reply.json) == (status, said)

    def test_a_path_prefix_and_credentials_of_the_upstream_are_kept(self, upstream: StandIn):
        url = upstream.url.replace("http://", "http://reader:secret@") + "/team/prom/"
        with console(url) as one:
            one.ask("/prometheus/api/v1/query?query=up")
            shown = one.ask("/api/config")

        assert upstream.asked[0].target == "/team/prom/api/v1/query?query=up"
        assert upstream.asked[0].headers["Authorization"].startswith("Basic ")
        assert b"secret" not in shown.body
        assert shown.json["prometheus"] == f"{upstream.url}/team/prom"

    def test_a_token_for_prometheus_comes_from_the_environment(
        self, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("INFERMETER_PROMETHEUS_TOKEN", "for-prometheus")
        with console(upstream.url) as one:
            one.ask("/prometheus/api/v1/query?query=up")
            one.ask("/alertmanager/api/v2/alerts")

        assert [one.headers.get("Authorization") for one in upstream.asked] == ["Bearer for-prometheus", None]

    def test_an_upstream_that_wants_a_token_is_said_with_the_remedy(self, open_console: Console, upstream: StandIn):
        upstream.handle = lambda handler: answer(handler, 401, "Unauthorized", "text/plain")

        reply = open_console.ask("/prometheus/api/v1/query?query=up")

        assert (reply.status, reply.json["errorType"]) == (502, "unauthorized")
        assert "INFERMETER_PROMETHEUS_TOKEN" in reply.json["error"]

    def test_a_question_ends_when_the_browser_has_gone(self, open_console: Console, upstream: StandIn):
        ended = threading.Event()

        def handle(handler: http.server.BaseHTTPRequestHandler) -> None:
            if handler.connection.recv(1) == b"":
                ended.set()

        upstream.handle = handle
        with open_console.connect() as connection:
            connection.sendall(b"GET /prometheus/api/v1/query?query=slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(lambda: upstream.asked, "the question to arrive")

        assert ended.wait(5)
        upstream.handle = None
        assert open_console.ask("/prometheus/api/v1/query?query=up").status == 200

    def test_an_upstream_that_is_away_is_said_and_the_rest_goes_on(self):
        with console("http://127.0.0.1:9") as one:
            reply = one.ask("/prometheus/api/v1/query?query=up")
            config = one.ask("/api/config")

        assert (reply.status, reply.json["status"], reply.json["errorType"]) == (502, "error", "unavailable")
        assert reply.json["error"] == "Prometheus at http://127.0.0.1:9 does not answer (nobody listens there)."
        assert (config.status, config.json["scrape_interval_s"]) == (200, 15.0)


class TestFilesOfOurs:
    def test_the_configuration_says_where_everything_is(self, upstream: StandIn):
        with console(upstream.url, grafana_url="https://grafana.example", scrape_interval_s=1.0) as one:
            assert one.ask("/api/config").json == {
                "version": __version__, "prometheus": upstream.url, "alertmanager": upstream.url,
                "grafana": "https://grafana.example", "scrape_interval_s": 1.0,
            }  # fmt: skip

    def test_the_scrape_interval_is_the_one_of_prometheus(self, open_console: Console, upstream: StandIn):
        said = {"status": "success", "data": {"yaml": "global:\n  scrape_interval: 1m30s\n"}}
        upstream.handle = lambda handler: answer(handler, 200, json.dumps(said))

        assert open_console.ask("/api/config").json["scrape_interval_s"] == 90.0

    def test_every_shipped_dashboard_is_listed_and_served_as_it_lies_there(self, open_console: Console):
        listed = open_console.ask("/api/dashboards").json
        files = {path.name: path for path in asset("deploy/grafana/dashboards").glob("*.json")}

        assert {one["file"] for one in listed} == set(files)
        assert listed[0]["file"] == "overview.json"
        for one in listed:
            got = open_console.ask(f"/api/dashboards/{one['uid']}")
            assert got.body == files[one["file"]].read_bytes()
            assert got.json["title"] == one["title"]

    def test_an_address_copied_from_grafana_leads_to_the_same_place(self, open_console: Console):
        copied = "/d/infermeter-model/model-in-depth?orgId=1&from=now-6h&to=now&var-model=a%26b&var-model=c&d=x"
        reply = open_console.ask(copied)
        assert reply.status == 307
        kept = "orgId=1&from=now-6h&to=now&var-model=a%26b&var-model=c"
        assert reply.headers["location"] == f"/?d=infermeter-model&{kept}"
        foreign = open_console.ask("/d/%0d%0aSet-Cookie:a?x=%0d%0aSet-Cookie:a")
        assert foreign.headers["location"] == "/?d=%0D%0ASet-Cookie%3Aa&x=%0D%0ASet-Cookie%3Aa"
        assert "set-cookie" not in foreign.headers

    def test_every_runbook_is_served_as_markdown(self, open_console: Console):
        for path in asset("deploy/runbooks").glob("*.md"):
            got = open_console.ask(f"/api/runbooks/{path.stem}")
            assert (got.status, got.body) == (200, path.read_bytes())
            assert got.headers["content-type"] == "text/markdown; charset=utf-8"

    def test_without_a_page_the_way_to_build_it_is_told(self, open_console: Console):
        reply = open_console.ask("/")

        assert reply.status == 503
        assert b"make console" in reply.body


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A small page as Vite leaves it, and a link that leads out of it."""
    (tmp_path / "page/assets").mkdir(parents=True)
    (tmp_path / "page/index.html").write_text("<!doctype html><title>page</title>")
    (tmp_path / "page/assets/main-1a2b.js").write_text("let a = 1\n" * 1000)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "page/assets/link").symlink_to(tmp_path / "secret")
    return tmp_path / "page"


class TestThePage:
    def test_its_entry_is_always_fresh_and_its_assets_are_kept(self, upstream: StandIn, page: Path):
        with console(upstream.url, page=page) as one:
            index = one.ask("/")
            script = one.ask("/assets/main-1a2b.js")

        assert (index.status, index.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert index.headers["cache-control"] == "no-cache"
        assert script.headers["content-type"].startswith(("text/javascript", "application/javascript"))
        assert "immutable" in script.headers["cache-control"]

    def test_it_is_compressed_for_who_can_read_that(self, upstream: StandIn, page: Path):
        with console(upstream.url, page=page) as one:
            script = one.ask("/assets/main-1a2b.js", Accept_Encoding="gzip")

        assert script.headers["content-encoding"] == "gzip"
        assert gzip.decompress(script.body) == (page / "assets/main-1a2b.js").read_bytes()
        assert len(script.body) < 200

    def test_a_link_out_of_it_is_not_followed(self, upstream: StandIn, page: Path):
        with console(upstream.url, page=page) as one:
            assert one.ask("/assets/link").status == 404


class TestToken:
    TOKEN = "correct-horse-battery"

    def test_without_it_nothing_is_told_but_that_it_is_needed(self, upstream: StandIn, page: Path):
        with console(upstream.url, page=page, token=self.TOKEN) as one:
            for target in ("/", "/api/config", "/prometheus/api/v1/query?query=up", "/assets/main-1a2b.js", "/?token=",
                           "/?token=wrong", "/nothing"):  # fmt: skip
                reply = one.ask(target)
                assert reply.status == 401
                assert "Authorization: Bearer" in reply.json["error"]
            assert one.ask("/api/config", Authorization="Bearer wrong").status == 401
            assert one.ask("/api/config", Authorization=self.TOKEN[:-1]).status == 401
            assert one.ask("/api/config", Cookie="infermeter_console=wrong").status == 401
            assert one.ask("/api/health").status == 200
        assert upstream.asked == []

    def test_scripts_show_it_in_a_header(self, upstream: StandIn):
        with console(upstream.url, token=self.TOKEN) as one:
            assert one.ask("/api/config", Authorization=f"Bearer {self.TOKEN}").status == 200

    def test_browsers_show_it_once_and_keep_it_out_of_the_address(self, upstream: StandIn, page: Path):
        with console(upstream.url, page=page, token=self.TOKEN) as one:
            welcome = one.ask(f"/?from=now-1h&token={self.TOKEN}")
            cookie = welcome.headers["set-cookie"]
            assert (welcome.status, welcome.headers["location"]) == (303, "/?from=now-1h")
            assert "HttpOnly" in cookie
            assert "SameSite=strict" in cookie
            assert one.ask("/", Cookie=cookie.partition(";")[0]).status == 200
