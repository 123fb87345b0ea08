"""The server dies while somebody decides: every key press becomes one event, none is lost and none counts twice."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Dialog, Page, Request, Route, expect

from page_kit import GONE, another, decisions, free_port, holds, kill, on_screen, press, saved, start
from served import Served

PHOTOS = "photo 60 9"
Serve = Callable[..., Served]
Visit = Callable[..., Page]


def restart(serve: Serve, here: Served) -> Served:
    """Start the server again, where it was."""
    return serve(here.project, port=here.port)


def accept(page: Page, done: list[str], n: int) -> None:
    """Accept the item in hand and those that follow, and note which."""
    shown = on_screen(page)
    for _ in range(n):
        done.append(shown["id"])
        press(page, "Enter")
        shown = another(page, shown["id"])


def banner(page: Page, text: str) -> None:
    expect(page.get_by_role("alert").filter(has_text="Not connected")).to_contain_text(text)


def sent(page: Page) -> list[str]:
    """Return a list to which the key of every decision is added that the page sends."""
    keys: list[str] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).path.endswith("/decisions"):
            keys.append(request.headers["idempotency-key"])

    page.on("request", note)
    return keys


def proved(here: Served, done: list[str]) -> None:
    """Assert that each press became one event, in the order of the presses."""
    made = decisions(here.project)
    assert [one.item_id for one in made] == done
    assert {one.after["outcome"] for one in made} == {"accept"}
    assert len({one.key for one in made}) == len(done)
    holds(here.project)


def test_killed_before_it_took_the_decision(serve: Serve, visit: Visit) -> None:
    here = serve(PHOTOS, port=free_port())
    page = visit(here, expect=GONE)
    keys = sent(page)
    done: list[str] = []
    start(page)
    accept(page, done, 1)
    saved(page)
    page.wait_for_load_state("networkidle")
    here.process.send_signal(signal.SIGSTOP)  # it hears nothing any more, and then it is gone
    accept(page, done, 1)
    expect(page.locator("header .saved")).to_have_text("Saving 1")
    kill(here)
    banner(page, "1 decision waits and will be sent")
    accept(page, done, 2)
    banner(page, "3 decisions wait and will be sent")
    assert len(decisions(here.project)) == 1
    restart(serve, here)
    expect(page.get_by_text("Not connected")).to_have_count(0)
    saved(page)
    proved(here, done)
    assert keys.count(keys[1]) > 1, "sent again, with the same key"
    assert len(set(keys)) == 4


def test_killed_after_it_took_the_decision_and_before_it_said_so(serve: Serve, visit: Visit) -> None:
    here = serve(PHOTOS, port=free_port())
    page = visit(here, expect=GONE)
    keys = sent(page)
    done: list[str] = []
    start(page)
    accept(page, done, 1)
    saved(page)

    def lose(route: Route) -> None:
        assert route.fetch().status == 200
        kill(here)
        route.abort("connectionreset")

    page.route("**/api/v1/decisions", lose, times=1)
    accept(page, done, 1)
    banner(page, "1 decision waits and will be sent")
    assert [one.item_id for one in decisions(here.project)] == done, "it has it, and the page does not know"
    restart(serve, here)
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_text("Not connected")).to_have_count(0)
    saved(page)
    assert keys.count(keys[1]) > 1
    accept(page, done, 1)
    saved(page)
    proved(here, done)


def test_a_reload_without_a_server_keeps_what_was_not_sent(serve: Serve, visit: Visit) -> None:
    here = serve(PHOTOS, port=free_port())
    page = visit(here, expect=GONE)
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    done: list[str] = []
    start(page)
    accept(page, done, 1)
    saved(page)
    kill(here)
    accept(page, done, 2)
    banner(page, "2 decisions wait and will be sent")
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        page.reload()
    assert asked == ["beforeunload"], "the page asks before it goes with decisions unsent"
    restart(serve, here)
    page.goto(here.address)
    expect(page.locator(".toasts")).to_contain_text(re.compile("2 (decisions|requests) from before are sent now"))
    saved(page)
    proved(here, done)
    start(page)
    accept(page, done, 1)
    saved(page)
    proved(here, done)


def test_twenty_decisions_and_two_kills(serve: Serve, visit: Visit) -> None:
    here = serve(PHOTOS, port=free_port())
    page = visit(here, expect=GONE)
    done: list[str] = []
    start(page)
    accept(page, done, 6)
    for _ in range(2):
        kill(here)
        accept(page, done, 4)
        banner(page, "will be sent")
        here = restart(serve, here)
        accept(page, done, 3)
        saved(page)
    assert len(done) == 20
    proved(here, done)
