"""Only our own page, from this machine: every way a foreign page or program is known to try."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from hyla.review.guard import HEADERS, Guard

PORT = 8484
OWN = f"http://127.0.0.1:{PORT}"
HOSTS = [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}"]
JSON = {"content-type": "application/json", "origin": OWN}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(f"{scope['method']} {len(body)}")(scope, receive, send)


@pytest.fixture
def client() -> TestClient:
    return TestClient(Guard(echo, HOSTS, max_body=1000), base_url=OWN)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("host", HOSTS)
def test_our_own_addresses_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).text == "GET 0"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:80",
        "localhost",
        "evil.example",
        f"evil.example:{PORT}",
        f"127.0.0.1.evil.example:{PORT}",  # DNS rebinding
        f"localhost.evil.example:{PORT}",
        f"127.0.0.1:{PORT}.evil.example",
        f"127.0.0.1:{PORT}@evil.example",
        f"evil.example#127.0.0.1:{PORT}",
        f"127.0.0.1:{PORT}, evil.example",
        f"LOCALHOST:{PORT}x",
        f"0.0.0.0:{PORT}",
        "",
    ],
)
def test_another_host_is_refused(client: TestClient, host: str) -> None:
    assert code(client.get("/", headers={"host": host})) == (400, "host")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "https://127.0.0.1:8484",
        f"{OWN}.evil.example",  # an anchor forgotten, as in CVE-2026-40110
        f"http://evil.example/{OWN}",
        "http://127.0.0.1:8485",
        "http://127.0.0.1",
        "",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_another_origin_is_refused(client: TestClient, origin: str, method: str) -> None:
    assert code(client.request(method, "/api/v1/x", headers={**JSON, "origin": origin}, content=b"")) == (403, "origin")


def test_our_page_at_another_of_our_names_is_another_origin(client: TestClient) -> None:
    assert code(client.post("/api/v1/x", headers={**JSON, "host": HOSTS[1]})) == (403, "origin")
    assert client.post("/api/v1/x", headers={**JSON, "host": HOSTS[1], "origin": f"http://{HOSTS[1]}"}).text == "POST 0"


def test_a_change_without_an_origin_is_refused(client: TestClient) -> None:
    assert code(client.post("/api/v1/x", headers={"content-type": "application/json"})) == (403, "origin")
    assert code(client.delete("/api/v1/x")) == (403, "origin")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
@pytest.mark.parametrize("mode", ["cors", "no-cors", "navigate"])  # no-cors is no excuse: CVE-2026-40864
@pytest.mark.parametrize("path", ["/api/v1/items/x", "/media/x/image.jpg"])
def test_a_fetch_from_another_site_is_refused(client: TestClient, site: str, mode: str, path: str) -> None:
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode}
    assert code(client.get(path, headers=headers)) == (403, "origin")
    assert code(client.post(path, headers={**JSON, **headers})) == (403, "origin")


def test_the_page_itself_may_be_opened_from_anywhere(client: TestClient) -> None:
    assert client.get("/", headers={"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonp"]
)
def test_what_a_form_can_send_is_refused(client: TestClient, kind: str) -> None:
    assert code(client.post("/api/v1/x", headers={**JSON, "content-type": kind}, content=b"{}")) == (415, "type")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(client: TestClient, method: str) -> None:
    answer = client.request(method, "/api/v1/x", headers=JSON)
    assert code(answer) == (405, "method")
    assert "access-control-allow-origin" not in answer.headers


def test_a_large_body_is_refused_before_it_is_read(client: TestClient) -> None:
    assert client.post("/api/v1/x", headers=JSON, content=b"x" * 1000).text == "POST 1000"
    assert code(client.post("/api/v1/x", headers=JSON, content=b"x" * 1001)) == (413, "size")
    assert code(client.post("/api/v1/x", headers={**JSON, "content-length": "-1"}, content=b"")) == (413, "size")


def test_a_body_of_unsaid_length_is_stopped_where_the_limit_is(client: TestClient) -> None:
    sent = []

    def parts():
        for n in range(100):
            sent.append(n)
            yield b"x" * 100

    assert code(client.post("/api/v1/x", headers=JSON, content=parts())) == (413, "size")


@pytest.mark.parametrize(
    "request_", [("GET", "/", {}), ("GET", "/", {"host": "evil"}), ("POST", "/api/v1/x", {}), ("PUT", "/", {})]
)
def test_every_answer_carries_the_strict_headers(client: TestClient, request_: tuple[str, str, dict[str, str]]) -> None:
    method, path, headers = request_
    answer = client.request(method, path, headers=headers)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_no_web_socket_is_opened(client: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/v1/events"):
        pass
