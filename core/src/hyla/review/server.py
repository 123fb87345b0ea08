"""Serve the review page of a project to the browsers of this machine."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from hyla.errors import ConfigError
from hyla.review.app import make
from hyla.review.desk import Desk
from hyla.review.leases import Leases
from hyla.review.media import Media
from hyla.review.people import link_of
from hyla.store import Project
from hyla.store.lock import ReviewLock

HOST = "127.0.0.1"
PORT = 8484  # the first to try
TRIES = 20


@dataclass(frozen=True)
class Invitation:
    """Name someone to let in: `ann`, or `ben:adjudicator`."""

    name: str
    role: str = "reviewer"

    @classmethod
    def of(cls, text: str) -> Invitation:
        """Return what `NAME` or `NAME:ROLE` says."""
        name, _, role = text.partition(":")
        return cls(name, role or "reviewer")


def serve(
    folder: Path,
    who: str,
    others: Sequence[Invitation] = (),
    port: int | None = None,
    browser: bool = True,
    test_hooks: bool = False,
) -> None:
    """Serve the project in `folder` until interrupted; print an address for each person.

    Args:
        folder: of the project.
        who: uses the page here, as an admin.
        others: to be let in.
        port: to listen on; the first free one from 8484 if not given.
        browser: open one at the address of `who`.
        test_hooks: let the page show its insides to a test.

    Raises:
        StoreError: if there is no project, or another server reviews it.
        ConfigError: if the port is taken.
    """
    with Project.open(folder) as project, ReviewLock(folder), closing(_listen(port)) as listening:
        project.schema()  # nothing was run yet: say so before the browser opens
        number = listening.getsockname()[1]
        features = ("test-hooks",) if test_hooks else ()
        desk = Desk(project, Leases(), Media(project), number, features)
        app = make(desk)
        links = {name: link_of(desk, project.invite(name, role)) for name, role in [(who, "admin"), *_pairs(others)]}
        for name, link in links.items():
            print(f"{name}: {link}", flush=True)  # noqa: T201 - the answer of the verb, before it ends
        print("each address works once; Ctrl+C ends the review, and every decision is kept", flush=True)  # noqa: T201
        if browser:
            webbrowser.open(links[who])
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, date_header=False, timeout_graceful_shutdown=3
        )
        uvicorn.Server(config).run(sockets=[listening])


def _pairs(others: Sequence[Invitation]) -> list[tuple[str, str]]:
    return [(one.name, one.role) for one in others]


def _listen(port: int | None) -> socket.socket:
    """Return a socket that listens on `port`, or on the first free one."""
    for number in [port] if port is not None else [*range(PORT, PORT + TRIES), 0]:
        # Named as TCP, asyncio sends each answer at once; else its last part waits 40 ms for the client's acknowledgement.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, number))
            listening.listen(128)  # so that the address that is printed works at once
        except (OSError, OverflowError) as error:
            listening.close()
            if port is not None:
                reason = getattr(error, "strerror", None) or error
                raise ConfigError(f"port {port} can't be used: {reason}", "give another: --port N") from error
        else:
            return listening
    raise ConfigError("no port is free", "give one: --port N")
