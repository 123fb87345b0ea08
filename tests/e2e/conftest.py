"""A real browser on a real server: `hyla review` in a process of its own, Chromium driven with mouse and keys."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect, sync_playwright

from served import Served, served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--force-device-scale-factor=1", "--font-render-hinting=none"),
]
Serve = Callable[..., Served]
Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a Chromium that stays open for all tests."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed, and CI must run these tests")
        pytest.skip("no chromium on this machine: the tests of the page need one")
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def serve(gallery: Callable[..., Path]) -> Iterator[Serve]:
    """Give a function that serves a project of gallery items: `serve("photo 60 9", "ben:adjudicator")`; ann is the admin.

    The first word says what is in the project, or is the folder of one; the others are people to let in.
    """
    with ExitStack() as stack:

        def start(what: str | Path, *people: str, port: int | None = None) -> Served:
            folder = what if isinstance(what, Path) else gallery(what)
            words = ["--test-hooks", *(word for name in people for word in ("--reviewer", name))]
            words += [] if port is None else ["--port", str(port)]
            here = stack.enter_context(served(folder, *words, people=1 + len(people)))
            here.project = folder
            return here

        yield start


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Give a function that opens the page for a person: `visit(served, "ben", "queue")`, in a browser profile of their own.

    At the end, nothing may have been written to the console of any page: no error, no breach of the content security policy.
    Words that a test expects there are given as `expect`. Every answer of the server is added to `heard`, if given.
    """
    said: list[str] = []
    expected: list[str] = []
    with ExitStack() as stack:

        def open_(
            here: Served,
            name: str = "ann",
            screen: str = "queue",
            expect: tuple[str, ...] = (),
            heard: list[Response] | None = None,
            **how: Any,
        ) -> Page:
            expected.extend(expect)
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 720}, **how})
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.on("console", lambda message: said.append(_line(message)) if message.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: said.append(str(error)))
            if heard is not None:
                page.on("response", lambda response: heard.append(response))
            page.goto(here.links[name])
            page.wait_for_selector("main")
            if screen != "queue":
                page.goto(f"{here.address}#/{screen}")
            return page

        yield open_
    assert [line for line in said if not any(word in line for word in expected)] == []


def _line(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text}"
