"""The server as a person starts it: addresses, the login, the lock, and what is kept when it is killed."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any

import pytest

from hyla.review.server import _listen
from hyla.store import Project
from hyla.types import Flag, Verdict
from served import Served, served
from store_kit import fill, start


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server at which ann is logged in, for requests that change nothing."""
    with served(make(tmp_path_factory.mktemp("standing"))) as here:
        here.login("ann")
        yield here


def make(folder: Path) -> Path:
    (folder / "street").mkdir()
    with Project.create(folder / "out") as made:
        start(made, source=str(folder / "street"), settings={"loader": {"_target_": "hyla.images.Folder"}})
        fill(made, 3, flags=(Flag("r", "why"),), verdict=Verdict.REVIEW)
        made.finish_run(1, "done", {})
    return folder / "out"


def decision(served: Served, item: str = "item00000") -> dict[str, Any]:
    found = served.ask("GET", f"/api/v1/items/{item}?tab=t1")[1]
    one = {"item": item, "action": "accept", "annotation": found["state"]["annotation"], "active_ms": 800}
    return {"decisions": [one], "tab": "t1"}


def test_the_address_logs_in_once_and_the_cookie_is_strict(project: Path) -> None:
    with served(project) as here:
        assert here.links["ann"].startswith(f"http://127.0.0.1:{here.port}/#token=")
        token = here.links["ann"].partition("#token=")[2]
        assert here.ask("GET", "/api/v1/queue")[0] == 401
        status, _, headers = here.ask("POST", "/api/v1/session", {"token": token}, X_Hyla_CSRF="login")
        cookie = headers["set-cookie"]
        assert status == 204
        assert cookie.startswith(f"hyla-{here.port}=")
        assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
        assert here.ask("POST", "/api/v1/session", {"token": token}, X_Hyla_CSRF="login")[0] == 401  # used
        assert token not in str(headers)
        assert here.ask("GET", "/api/v1/session", Cookie=cookie.partition(";")[0])[1]["role"] == "admin"


def test_a_cookie_of_another_port_or_a_made_up_one_is_nobody(project: Path) -> None:
    with served(project) as here:
        here.login("ann")
        name, _, value = here.cookie.partition("=")
        assert here.ask("GET", "/api/v1/queue", Cookie=f"hyla-{here.port + 1}={value}")[0] == 401
        assert here.ask("GET", "/api/v1/queue", Cookie=f"{name}={value[:-1]}x")[0] == 401
        assert here.ask("GET", "/api/v1/queue", Cookie=f"{name}=../../etc/passwd")[0] == 401
        assert here.ask("GET", "/api/v1/queue")[0] == 200


def test_a_change_needs_the_csrf_header_of_this_session(project: Path) -> None:
    with served(project, "--reviewer", "ben", people=2) as here:
        here.login("ben")
        other = here.csrf
        here.login("ann")
        body = decision(here)
        for wrong in ("", "login", other, "x" * 64):
            status, found, _ = here.ask("POST", "/api/v1/decisions", body, X_Hyla_CSRF=wrong, Idempotency_Key="k")
            assert (status, found["error"]["code"]) == (403, "csrf")
        assert here.ask("POST", "/api/v1/decisions", body, Idempotency_Key="k")[0] == 200


def test_roles_are_kept_apart_and_the_name_comes_from_the_session(project: Path) -> None:
    with served(project, "--reviewer", "eve:viewer", "--reviewer", "ben", people=3) as here:
        assert here.login("eve") == 204
        status, found, _ = here.ask("POST", "/api/v1/decisions", decision(here), Idempotency_Key="k")
        assert (status, found["error"]["code"]) == (403, "role")
        assert here.ask("POST", "/api/v1/people", {"name": "eve", "role": "admin"})[0] == 403
        assert here.login("ben") == 204
        body = {**decision(here), "who": "ann"}
        assert here.ask("POST", "/api/v1/decisions", body, Idempotency_Key="k")[0] == 422
        assert here.ask("POST", "/api/v1/decisions", decision(here), Idempotency_Key="k")[0] == 200
        assert here.login("ann") == 204
        link = here.ask("POST", "/api/v1/people", {"name": "kim", "role": "adjudicator"})[1]["link"]
        assert link.startswith("http://127.0.0.1:")
        assert here.ask("POST", "/api/v1/people", {"name": "ann", "role": "viewer"})[0] == 422
        assert {p["name"]: p["role"] for p in here.ask("GET", "/api/v1/people")[1]} == {
            "ann": "admin",
            "ben": "reviewer",
            "eve": "viewer",
            "kim": "adjudicator",
        }
    with Project.open(project) as kept:
        assert [d.who for d in kept.decisions()] == ["ben"]


def test_logging_out_ends_the_session(project: Path) -> None:
    with served(project) as here:
        here.login("ann")
        assert here.ask("DELETE", "/api/v1/session")[0] == 204
        assert here.ask("GET", "/api/v1/queue")[0] == 401


def test_an_acknowledged_decision_survives_a_kill_and_is_one_event_when_sent_again(project: Path) -> None:
    with served(project) as here:
        here.login("ann")
        body, cookie, port = decision(here), here.cookie, here.port
        first = here.ask("POST", "/api/v1/decisions", body, Idempotency_Key="once")[1]
        here.process.send_signal(signal.SIGKILL)
        here.process.wait()
    with served(project, "--port", str(port)) as again:
        again.cookie = cookie  # the page is still open, and its session holds
        again.csrf = again.ask("GET", "/api/v1/session")[1]["csrf"]
        status, second, _ = again.ask("POST", "/api/v1/decisions", body, Idempotency_Key="once")
        assert (status, second) == (200, first)
    with Project.open(project) as kept:
        assert [d.key for d in kept.decisions()] == ["once/0"]
        assert kept.verify().ok


def test_ten_kills_at_any_moment_lose_no_acknowledged_decision(project: Path) -> None:
    acknowledged: list[str] = []
    port, cookie, rng = 0, "", Random(3)
    for n in range(10):
        with served(project, *(["--port", str(port)] if port else [])) as here:
            if port:
                here.cookie = cookie
                here.csrf = here.ask("GET", "/api/v1/session")[1]["csrf"]
            else:
                here.login("ann")
            port, cookie = here.port, here.cookie
            killer = Timer(rng.uniform(0.05, 0.5), here.process.kill)
            killer.start()
            with suppress(OSError, HTTPException):  # until the server is gone
                while True:
                    key = f"k{len(acknowledged)}-{n}"
                    if here.ask("POST", "/api/v1/decisions", decision(here, f"item0000{n % 3}"), Idempotency_Key=key)[0] == 200:
                        acknowledged.append(f"{key}/0")
            killer.join()
    with Project.open(project) as kept:
        stored = [d.key for d in kept.decisions()]
        assert [key for key in stored if key in set(acknowledged)] == acknowledged
        assert len(acknowledged) > 10
        assert len(stored) <= len(acknowledged) + 10  # one may be on the disk whose answer never came
        assert kept.verify().ok


def test_one_server_at_a_time_reviews_a_project(project: Path) -> None:
    words = [sys.executable, "-m", "hyla.cli", "review", str(project), "--no-browser"]
    with served(project):
        second = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 1
    assert "is being reviewed by another" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--reviewer", "ben:boss"], "unknown role 'boss'"),
        (["--reviewer", ":admin"], "does not say whose labels"),
        (["--port", "70000"], "port 70000"),
    ],
)
def test_a_wrong_word_is_named_before_anything_starts(project: Path, words: list[str], says: str) -> None:
    refused(project, words, says)


def test_a_port_that_is_taken_is_named(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        refused(project, ["--port", str(number)], f"port {number} can't be used")


def refused(project: Path, words: list[str], says: str) -> None:
    command = [sys.executable, "-m", "hyla.cli", "review", str(project), "--no-browser", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_server_sends_each_answer_at_once() -> None:
    with closing(_listen(None)) as listening:
        assert listening.proto == socket.IPPROTO_TCP  # where it is not, asyncio leaves Nagle's algorithm on


def test_raw_requests_without_a_host_or_with_two_are_refused(standing: Served) -> None:
    own = f"Host: 127.0.0.1:{standing.port}\r\n"
    for head in ("", own + own, own + f"Host: evil.example:{standing.port}\r\n"):
        with socket.create_connection(("127.0.0.1", standing.port), timeout=20) as raw:
            raw.sendall(f"GET /api/v1/queue HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
            assert b" 400 " in raw.makefile("rb").readline()


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/../app.py",
            "/..%2fapp.py",
            "/%2e%2e/app.py",
            "/..%5capp.py",
            "/assets/../../app.py",
            "/assets/%2e%2e%2f%2e%2e%2fapp.py",
        ),
        *("//etc/passwd", "/assets//etc/passwd", "/%00", "/index.html%00.jpg", "/api/v1/items/..%2f..%2fproject.db"),
        *("/media/..%2f..%2fproject.db/image.jpg", "/media/%00/image.jpg", "/project.db", "/api/v1/../../project.db"),
    ],
)
def test_no_path_leads_out_of_the_page(standing: Served, path: str) -> None:
    status, body, _ = standing.ask("GET", path)
    assert status in (400, 404, 422)
    assert not any(word in str(body) for word in ("root:", "FastAPI", "SQLite"))
