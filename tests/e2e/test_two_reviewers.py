"""Two people on one project, each in a browser profile of their own: they do not collide, and do not sway each other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Response, expect

from page_kit import (
    GONE,
    another,
    choose,
    click,
    decisions,
    drag,
    free_port,
    holds,
    ids,
    kill,
    labels,
    near,
    on_screen,
    press,
    saved,
    seen,
    settle,
    start,
    state,
    waiting,
)
from served import Served

PHOTOS = "photo 24 9"
CAR, ROOF = 0, 2


def bodies(heard: list[Response]) -> dict[str, str]:
    """Return address -> text of all that was answered, apart from pictures and the page itself."""
    told = [one for one in heard if one.status != 204 and "json" in one.headers.get("content-type", "")]
    found: dict[str, str] = {}
    for one in told:
        found[one.url] = found.get(one.url, "") + one.text()
    return found


def test_leases_do_not_collide(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(PHOTOS, "ben")
    before = waiting(here.project)
    pages = {name: visit(here, name, expect=("409",)) for name in ("ann", "ben")}
    shown = {name: start(page)["id"] for name, page in pages.items()}
    done: dict[str, list[str]] = {"ann": [], "ben": []}
    for _ in range(8):
        for name, page in pages.items():
            done[name].append(shown[name])
            press(page, "Enter")
            shown[name] = another(page, shown[name])["id"]
    for page in pages.values():
        saved(page)
    assert len({*done["ann"], *done["ben"]}) == 16
    made = decisions(here.project)
    assert sorted((one.who, one.item_id) for one in made) == sorted((who, item) for who, some in done.items() for item in some)
    assert waiting(here.project) == before - 16

    ben = pages["ben"]
    ben.goto(f"{here.address}#/item/{shown['ann']}")
    expect(ben.get_by_role("heading", name="This item is taken")).to_be_visible()
    expect(ben.get_by_role("alert")).to_contain_text("ann works on this item just now")
    press(ben, "a")
    settle(ben)
    assert state(here.project, shown["ann"])["decision"] == 0
    holds(here.project)


def corner(page: Page, row: int, dx: float, dy: float) -> list[float]:
    """Drag the far corner of a box that is selected; return the box that follows."""
    box = list(seen(page)["labels"][row]["box"])
    drag(page, (box[2], box[3]), (box[2] + dx, box[3] + dy))
    return [box[0], box[1], box[2] + dx, box[3] + dy]


@pytest.mark.parametrize("mine", [True, False])
def test_a_stale_edit_shows_the_difference(mine: bool, serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(PHOTOS, "ben", port=free_port())
    page = visit(here, expect=("409", *GONE))
    item = start(page)["id"]
    assert seen(page)["selected"] == CAR
    box = corner(page, CAR, -20, -30)

    kill(here)  # a restart forgets who works on what
    again = serve(here.project, "ben", port=here.port)
    ben = visit(again, "ben", screen=f"item/{item}")
    on_screen(ben)
    press(ben, "2")  # a truck
    ring = seen(ben)["labels"][ROOF]["shape"][0]
    click(ben, (ring[0][0] + 0.2 * (ring[1][0] - ring[0][0]), ring[0][1] + 12))
    drag(ben, tuple(ring[1]), (ring[1][0] - 15, ring[1][1] + 22))
    press(ben, "Enter")
    saved(ben)
    another(ben, item)

    press(page, "Enter")
    if seen(page)["id"] != item:  # the page went on at once, and was told later
        press(page, "d")
    clash = page.get_by_role("alert", name="Changed meanwhile")
    expect(clash).to_contain_text("ben changed this item")
    expect(clash).to_contain_text("roof")
    expect(clash).to_contain_text("truck")
    assert [one.who for one in decisions(here.project, item)] == ["ben"]
    theirs = labels(here.project, item)
    clash.get_by_role("button", name="Apply mine on top" if mine else "Take theirs").click()
    expect(clash).to_have_count(0)
    on_screen(page)
    assert near(seen(page)["labels"][ROOF]["shape"], theirs[ROOF]["shape"], 0)
    if mine:
        assert near(seen(page)["labels"][CAR]["box"], box, 1)
        press(page, "Enter")
        another(page, item)
        saved(page)
        now = labels(here.project, item)
        assert near(now[CAR]["box"], box, 1)
        assert now[CAR]["class"] == "car"
        assert now[1:] == theirs[1:], "what ben did to the others stays"
        assert [one.who for one in decisions(here.project, item)] == ["ben", "ann"]
    else:
        assert seen(page)["labels"][CAR]["class"] == "truck"
        press(page, "f")
        another(page, item)
        saved(page)
        assert [one.who for one in decisions(here.project, item)] == ["ben"]
        assert labels(here.project, item) == theirs
    holds(here.project)


def test_second_opinion_and_adjudication(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(PHOTOS, "ben", "cleo:adjudicator")
    there = here.project
    page = visit(here)
    choose(page, "Review", "Second reader")
    first = start(page)["id"]
    heard: list[Response] = []
    ben = visit(here, "ben", heard=heard)
    box = near_box = seen(page)["labels"][CAR]["box"]
    click(page, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    corner(page, CAR, -17, -23)
    near_box = seen(page)["labels"][CAR]["box"]
    press(page, "m")
    page.keyboard.type("seen by ann")
    page.keyboard.press("Enter")
    press(page, "Enter")
    second = another(page, first)["id"]
    press(page, "Enter")
    another(page, second)
    saved(page)
    assert [state(there, item)["lane"] for item in (first, second)] == ["second", "second"]

    choose(ben, "Second opinion")
    shown = start(ben)
    assert shown["id"] == first
    assert shown["mode"] == "second"
    assert near(shown["labels"][CAR]["box"], box, 0), "what the machine said, not what ann made of it"
    while seen(ben)["selected"] != CAR:
        press(ben, "Tab")
    press(ben, "Delete", "Enter")
    assert another(ben, first)["id"] == second
    press(ben, "Enter")
    ben.get_by_role("heading", name="Nothing more waits here").wait_for()
    saved(ben)
    told = "\n".join(bodies(heard).values())
    assert str(box[2]) in told, "the machine's box is there, so that the search would find ann's"
    for word in (str(near_box[2]), str(near_box[3]), "seen by ann"):
        assert word not in told, f"ben was told {word!r}"
    assert state(there, second)["lane"] == "", "they agree"
    assert labels(there, second) == labels(there, second, "model")
    found = state(there, first)
    assert (found["lane"], decisions(there, first)[-1].action) == ("adjudicate", "opinion")

    cleo = visit(here, "cleo")
    choose(cleo, "Decide between two")
    assert start(cleo)["mode"] == "adjudicate"
    answers = cleo.get_by_role("radiogroup", name="Answer that is shown")
    expect(answers).to_contain_text("ann")
    expect(answers).to_contain_text("ben")
    n = len(labels(there, first, "model"))
    assert len(seen(cleo)["labels"]) == n
    assert near(seen(cleo)["labels"][CAR]["box"], near_box, 0)
    press(cleo, "2")
    settle(cleo)
    assert len(seen(cleo)["labels"]) == n - 1
    press(cleo, "Enter")
    cleo.get_by_role("heading", name="Nothing more waits here").wait_for()
    saved(cleo)
    found = state(there, first)
    assert (found["lane"], found["outcome"], decisions(there, first)[-1].who) == ("", "accept", "cleo")
    assert len(labels(there, first)) == n - 1
    holds(there)


def test_blind_means_that_nothing_is_told(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(PHOTOS, "ben")
    there = here.project
    heard: list[Response] = []
    page = visit(here, "ben", heard=heard)
    page.get_by_text("Blind", exact=True).click()
    own = []
    shown = start(page)
    for n in range(3):
        assert (shown["mode"], shown["labels"]) == ("blind", [])
        expect(page.get_by_role("heading", name="Draw what you see")).to_be_visible()
        press(page, "b")
        drag(page, (100 + 10 * n, 100), (200, 180))
        if n == 0:
            page.get_by_role("combobox", name="Search a class").wait_for()
            page.keyboard.type("car")
            page.keyboard.press("Enter")
        press(page, "Enter")
        own.append(shown["id"])
        shown = another(page, shown["id"])
    saved(page)

    told = bodies(heard)
    # Of the items: those answered, and those that came ahead.
    about = [url for url in told if "/items/" in url or "/leases" in url or "/decisions" in url]
    fetched = {item for item in ids(there).values() if any(f"/items/{item}" in url for url in about)}
    assert {*own} < fetched
    schema = next(text for url, text in told.items() if url.endswith("/session"))
    names = {one["name"] for one in json.loads(schema)["data_schema"]["classes"]}
    assert {"car", "roof"} < names
    clean = "".join(told[url] for url in about)
    made = "".join(told.values())
    for name in names:
        told_so = re.search(f"{re.escape(json.dumps(name, ensure_ascii=False))}(?!:)", clean)  # as a value, not as a key
        assert told_so is None, f"a blind reviewer was told {name!r}"
    for word in ("low_score", "score below", "margin", "must_see", '"score"'):
        assert word not in clean, f"a blind reviewer was told {word!r}"
    for item in fetched:
        for row in labels(there, item, "model"):
            for number in numbers(row):
                assert number not in made, f"a blind reviewer was told {number} of {row['class']}"

    by_name = {item: name for name, item in ids(there).items()}
    for item in own:
        (one,) = decisions(there, item)
        assert (one.action, one.mode, one.who) == ("edit", "blind", "ben")
        (label,) = labels(there, item)
        assert (label["class"], label["kind"]) == ("car", "box")
        assert by_name[item].startswith("photo")
    assert near(labels(there, own[1])[0]["box"], [110, 100, 200, 180], 1)

    # The same search on what somebody is told who is not blind finds all that.
    heard_by_ann: list[Response] = []
    ann = visit(here, "ann", heard=heard_by_ann)
    item = start(ann)["id"]
    told = bodies(heard_by_ann)
    clean = "".join(text for url, text in told.items() if f"/items/{item}" in url)
    assert '"car"' in clean
    assert "margin" in clean
    assert any(number in clean for row in labels(there, item, "model") for number in numbers(row))
    holds(there)


def numbers(row: dict[str, Any]) -> list[str]:
    """Return numbers that only a suggestion has, as they travel: coordinates with their decimals, and run lengths."""
    shape = row.get("shape")
    if isinstance(shape, dict):
        return [json.dumps(shape["counts"])[1:-1]]
    return [text for text in map(str, row["box"]) if len(text.partition(".")[2]) > 6]
