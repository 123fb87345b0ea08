"""`hyla review` in a process of its own, and a person who talks to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from random import SystemRandom
from typing import Any


class Served:
    """A running `hyla review`, and a person who uses it."""

    def __init__(self, process: subprocess.Popen[str], links: dict[str, str]) -> None:
        self.process, self.links = process, links
        self.project = Path()
        self.port = int(next(iter(links.values())).split(":")[2].split("/")[0])
        self.cookie = self.csrf = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        own = {"Origin": f"http://127.0.0.1:{self.port}", "X-Hyla-CSRF": self.csrf, "Cookie": self.cookie}
        own |= {"Content-Type": "application/json"} if body is not None else {}
        text = None if body is None else json.dumps(body)
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, text, {**own, **{k.replace("_", "-"): v for k, v in headers.items()}})
            answer = connection.getresponse()
            data = answer.read()
            found = {k.lower(): v for k, v in answer.getheaders()}
        return answer.status, json.loads(data) if found.get("content-type") == "application/json" else data, found

    def login(self, name: str) -> int:
        token = self.links[name].partition("#token=")[2]
        status, _, headers = self.ask("POST", "/api/v1/session", {"token": token}, X_Hyla_CSRF="login")
        if status == 204:
            self.cookie = headers["set-cookie"].partition(";")[0]
            self.csrf = self.ask("GET", "/api/v1/session")[1]["csrf"]
        return status


@contextmanager
def served(project: Path, *words: str, people: int = 1) -> Iterator[Served]:
    port = [] if "--port" in words else ["--port", str(free_port())]
    command = [sys.executable, "-m", "hyla.cli", "review", str(project), "--no-browser", "--as", "ann", *port, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(people)]
        if not all(": http" in line for line in lines):
            raise AssertionError(process.communicate()[1])
        yield Served(process, dict(line.strip().split(": ", 1) for line in lines))
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    """Return a port that a server killed on it will find free again: none that the system gives to clients."""
    while True:
        number = SystemRandom().randrange(18_000, 28_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", number)):
            return number
