"""Let in only our own page, from this machine: exact Host and Origin, bounded JSON bodies, strict headers on every answer.

A server on the loopback address is reachable by every page that the user's browser shows. A foreign page may send requests
(stopped by Origin, Sec-Fetch-Site, the content type and the CSRF header), or point a name of its own at 127.0.0.1 (stopped by
Host).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64 * 2**20  # bytes; the largest things a page sends are masks of a large volume, and a track changed in 100,000 frames
CHANGES = ("POST", "DELETE")
METHODS = ("GET", "HEAD", *CHANGES)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "worker-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class TooLarge(HTTPException):
    """Report a body that grew over the limit while it was read; FastAPI passes on no other exception from there."""


class Guard:
    """Wrap an application.

    Args:
        app: what answers requests that pass.
        hosts: values of the Host header that are ours, with their port.
        max_body: largest body in bytes.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], max_body: int = MAX_BODY) -> None:
        self.app, self.hosts, self.max_body = app, frozenset(h.encode() for h in hosts), max_body
        self.too_large = f"the request is larger than {max_body / 2**20:g} MiB"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no WebSocket is offered
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        reply = _Reply(send)
        if wrong := self._wrong(scope):
            await reply.refuse(*wrong)
            return
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.max_body:
                raise TooLarge(413, self.too_large)
            return message

        try:
            await self.app(scope, bounded, reply)
        except TooLarge:
            await reply.refuse(413, "size", self.too_large)

    def _wrong(self, scope: Scope) -> tuple[int, str, str] | None:
        """Return status, code and message of what is wrong with a request, before its body is read."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        method, own = scope["method"], headers.get(b"host", [])
        if len(own) != 1 or own[0] not in self.hosts:
            return 400, "host", "this server answers only to its own address on this machine"
        if method not in METHODS:
            return 405, "method", f"{method} is not offered"
        origin = headers.get(b"origin", [])
        if origin and origin != [b"http://" + own[0]]:
            return 403, "origin", "the request comes from another site"
        inner = scope["path"].startswith(("/api/", "/media/"))
        if inner and headers.get(b"sec-fetch-site", [b"same-origin"]) != [b"same-origin"]:
            return 403, "origin", "the request comes from another site"
        if method in CHANGES:
            if not origin:
                return 403, "origin", "a change must say which page it comes from"
            kind = headers.get(b"content-type", [b""])[0].partition(b";")[0].strip().lower()
            if method == "POST" and kind != b"application/json":
                return 415, "type", "send JSON: Content-Type: application/json"
            length = headers.get(b"content-length", [b"0"])[0]
            if not length.isdigit() or int(length) > self.max_body:
                return 413, "size", self.too_large
        return None


class _Reply:
    """Send messages on, with the headers that every answer must have."""

    def __init__(self, send: Send) -> None:
        self._send, self._started = send, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            given: Mapping[bytes, bytes] = dict(message.get("headers", []))
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            if b"cache-control" not in given:
                more.append((b"cache-control", b"no-store"))
            message["headers"] = [*message.get("headers", []), *more]
        await self._send(message)

    async def refuse(self, status: int, code: str, what: str) -> None:
        if self._started:  # too late for another answer: the connection breaks off
            raise RuntimeError(what)
        body: Any = json.dumps({"error": {"code": code, "message": what, "hint": ""}}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
