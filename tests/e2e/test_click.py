"""Clicks on a volume: what the model outlines is one step, what is saved is what is seen, and blind answers may use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Response, Route, expect

from gallery_scenes import VOLUME, phantom
from gallery_stages import RUBBED
from page_kit import choose, decisions, holds, ids, labels, press, settle
from served import Served
from volume_kit import Volume, mask_of


@pytest.fixture
def volume(serve: Callable[..., Served], visit: Callable[..., Page]) -> Volume:
    here = serve("volume 1")
    return Volume(here, visit(here))


def click(volume: Volume, x: int, y: int, **how: Any) -> None:
    """Click on a voxel of the axial slice that is shown, and wait for the answer."""
    with volume.page.expect_response("**/refine"):
        volume.page.mouse.click(*volume.spot("axial", x + 0.5, y + 0.5), **how)
    answered(volume.page)


def answered(page: Page) -> None:
    page.wait_for_function("() => !window.__hyla.bench.clicks.running")
    settle(page)


def select(volume: Volume, name: str) -> None:
    volume.page.locator("button.row", has_text=name).click()


def test_clicks_outline_a_structure_and_are_taken_back(volume: Volume) -> None:
    page, masks = volume.page, phantom()[1]
    heart = masks["heart"]
    select(volume, "heart")
    page.get_by_role("button", name="Click").click()
    expect(page.get_by_role("status").filter(has_text="Click on what belongs")).to_be_visible()
    volume.go(12)
    click(volume, 38, 60)
    both = heart | masks["liver"]
    assert (volume.plane("heart", 12) == both[12]).all()
    assert (volume.plane("heart", 30) == both[30]).all(), "of all slices, not of this one"
    expect(page.locator(".view .click.inside")).to_have_count(1)

    click(volume, 38, 60, button="right")
    cut = both.copy()
    cut[12, 60 - RUBBED : 60 + RUBBED, 38 - RUBBED : 38 + RUBBED] = False
    assert (volume.plane("heart", 12) == cut[12]).all()
    expect(page.locator(".view").first.locator(".click")).to_have_count(2)
    expect(page.locator(".view").first.locator(".click:not(.inside)")).to_have_count(1)

    # An answer is one step, and its click goes with it.
    press(page, "z")
    expect(page.locator(".toasts")).to_contain_text("Undone")
    settle(page)
    assert (volume.plane("heart", 12) == both[12]).all()
    expect(page.locator(".view").first.locator(".click")).to_have_count(1)
    press(page, "z")
    settle(page)
    assert (volume.plane("heart", 12) == heart[12]).all()
    expect(page.locator(".view .click")).to_have_count(0)
    press(page, "Shift+Z", "Shift+Z")
    settle(page)
    assert (volume.plane("heart", 12) == cut[12]).all()
    expect(page.locator(".view").first.locator(".click")).to_have_count(2)

    # Nothing is stored before the person saves, and then what is seen.
    assert decisions(volume.here.project) == []
    press(page, "Escape")
    expect(page.locator(".view .click")).to_have_count(0)
    expect(page.get_by_role("button", name="Click")).to_have_attribute("aria-pressed", "true")
    press(page, "Escape")
    expect(page.get_by_role("button", name="Click")).to_have_attribute("aria-pressed", "false")
    volume.accept_all()
    assert (volume.stored("heart") == cut).all()
    assert (volume.stored("liver") == masks["liver"]).all()
    (made,) = decisions(volume.here.project)
    assert (made.action, made.mode, made.who) == ("edit", "single", "ann")
    found = next(one for one in labels(volume.here.project, volume.item) if one["class"] == "heart")
    _, y, x = np.nonzero(cut)
    assert found["box"] == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    holds(volume.here.project)


def test_a_new_structure_by_keys_alone(volume: Volume) -> None:
    page = volume.page
    press(page, "s", "n")
    page.keyboard.type("blob")
    page.keyboard.press("Enter")
    volume.go(30)
    while (at := volume.at) != {"x": 76, "y": 45, "z": 30}:
        dx, dy = 76 - at["x"], 45 - at["y"]
        step, name = ("Right" if dx > 0 else "Left", dx) if dx else ("Down" if dy > 0 else "Up", dy)
        page.keyboard.press(f"{'Shift+' if abs(name) >= 10 else ''}Arrow{step}")
    with page.expect_response("**/refine") as asked:
        press(page, "o")
    answered(page)
    sent = json.loads(asked.value.request.post_data or "")
    assert (sent["class"], sent["mask"]) == ("blob", None)
    assert sent["clicks"] == [{"x": 76.5, "y": 45.5, "z": 30, "inside": True}]
    with page.expect_response("**/refine"):
        press(page, "Shift+O")
    answered(page)
    expected = phantom()[1]["heart"].copy()
    expected[30, 45 - RUBBED : 45 + RUBBED, 76 - RUBBED : 76 + RUBBED] = False
    volume.accept_all()
    assert (volume.stored("blob") == expected).all()
    holds(volume.here.project)


def test_where_nothing_is_and_where_the_model_fails(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("volume 1")
    volume = Volume(here, visit(here, expect=("409",)))
    page = volume.page
    select(volume, "heart")
    press(page, "s")
    before = volume.plane("heart", 30)
    press(page, "n")
    page.keyboard.type("blob")
    page.keyboard.press("Enter")
    click(volume, 3, 3)
    expect(page.locator(".toasts")).to_contain_text("The model finds no blob there.")
    expect(page.locator(".view .click")).to_have_count(0)
    # It says so while it works, and Escape does not wait for it.
    held: list[Route] = []
    page.route("**/refine", lambda route: held.append(route))
    page.mouse.click(*volume.spot("axial", 38.5, 60.5))
    expect(page.get_by_role("status").filter(has_text="The model outlines it")).to_be_visible()
    expect(page.locator(".view .click")).to_have_count(1)
    press(page, "Escape")
    expect(page.get_by_role("status").filter(has_text="The model outlines it")).to_have_count(0)
    with page.expect_response("**/refine"):
        held[0].continue_()
    settle(page)
    assert not volume.plane("blob", 12).any()
    page.unroute("**/refine")

    # What the server refuses is said, and the click does not stay.
    failure = json.dumps({"error": {"code": "model", "message": "the model can't outline this", "hint": "draw it by hand"}})
    page.route("**/refine", lambda route: route.fulfill(status=409, body=failure, content_type="application/json"))
    click(volume, 38, 60)
    expect(page.locator(".toasts .error")).to_contain_text("The model can't outline this. Draw it by hand.")
    expect(page.locator(".view .click")).to_have_count(0)
    assert (volume.plane("heart", 30) == before).all()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_tool_is_accessible(scheme: str, serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("volume 1")
    volume = Volume(here, visit(here, color_scheme=scheme))
    page = volume.page
    press(page, "s")
    volume.go(12)
    click(volume, 38, 60)
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    page.keyboard.press("?")
    for text in ("Click to outline a structure", "Click at the cross: it belongs", "Click at the cross: it does not belong"):
        expect(page.get_by_role("dialog")).to_contain_text(text)


def test_blind_one_clicks_on_what_one_sees(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("volume 1")
    heard: list[Response] = []
    page = visit(here, heard=heard)
    item = next(iter(ids(here.project, "volume").values()))
    page.get_by_label("Blind").check()
    choose(page, "Review")
    page.get_by_role("button", name="Start re").click()
    page.wait_for_function("() => window.__hyla?.bench?.scene.cache.progress === 1")
    volume = Volume(here, page)
    assert page.evaluate("() => window.__hyla.bench.item.mode") == "blind"
    press(page, "s", "n")
    page.keyboard.type("liver")
    page.keyboard.press("Enter")
    volume.go(12)
    click(volume, 38, 60)
    volume.accept_all()
    liver = phantom()[1]["liver"]
    assert [one["class"] for one in labels(here.project, item)] == ["liver"]
    assert (volume.stored("liver") == liver).all()
    (made,) = decisions(here.project)
    assert (made.action, made.mode) == ("edit", "blind")
    (answer,) = (one for one in heard if one.url.endswith("/refine"))
    assert mask_of({"shape": answer.json()["mask"]}).shape == VOLUME
