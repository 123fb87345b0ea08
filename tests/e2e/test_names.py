"""Crops by what they are called: found, named, merged into another name and taken back, by keys alone and by mouse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from packs_kit import BERRY, COLA, LIME, TWIN
from page_kit import decisions, holds, on_screen, press, project, saved
from screens import PICTURES
from served import Served

SHOWS = "(one) => one.complete && one.naturalWidth > 0"
REFERENCE = "() => document.querySelector('aside img')?.naturalWidth > 0"


@pytest.fixture
def shop(packs: Callable[[int], Path], serve: Callable[..., Served]) -> Served:
    return serve(packs(20), "ben")


def called(here: Served, name: str) -> int:
    """Count the labels that hold and are called so."""
    with project(here.project) as found:
        return sum(record.labels.attributes["product"].tolist().count(name) for record in found.records())


def groups(page: Page) -> dict[str, int]:
    """Return what the queue lists, and how many wait."""
    lines = page.get_by_role("region", name="Crops by predicted product").get_by_role("listitem").all()
    read = [(one.locator(".text").inner_text(), one.locator(".number").first.inner_text()) for one in lines]
    return {name: int(number.split()[0].replace(",", "")) for name, number in read}


def title(page: Page, name: str) -> None:
    """Wait for the page of a name, with all its crops."""
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"not {name}", ignore_case=True)
    page.wait_for_function(PICTURES)


def choose(page: Page, name: str) -> None:
    """Click on a name in the queue."""
    region = page.get_by_role("region", name="Crops by predicted product")
    region.get_by_role("button").filter(has=page.locator(".text").get_by_text(name, exact=True)).click()


def picker(page: Page) -> Locator:
    found = page.get_by_role("dialog")
    expect(found.get_by_role("combobox", name="Find a product, or type a new one")).to_be_focused()
    return found


def crops(page: Page) -> list[str]:
    return [
        str(one) for one in page.evaluate("() => [...document.querySelectorAll('.cell img')].map((i) => i.getAttribute('src'))")
    ]


def accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []


def test_what_waits_is_found_by_name_with_its_reference(shop: Served, visit: Callable[..., Page]) -> None:
    page = visit(shop)
    region = page.get_by_role("region", name="Crops by predicted product")
    expect(region.get_by_role("status")).to_have_text("6 groups wait")
    found = groups(page)
    assert {name: n for name, n in found.items() if name != "drink"} == {
        name: called(shop, name) for name in found if name != "drink"
    }
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert page.get_by_role("region", name="Grid", exact=True).count() == 0
    page.wait_for_function("() => [...document.querySelectorAll('li img')].filter((one) => one.naturalWidth).length === 4")
    region.get_by_role("combobox", name="Order").select_option("by name")
    expect(region.locator(".text").first).to_have_text("drink")
    region.get_by_role("searchbox").fill("COLA")
    expect(region.get_by_role("status")).to_have_text("2 groups wait that fit")
    assert list(groups(page)) == [TWIN, COLA]
    accessible(page)
    region.get_by_role("searchbox").fill("330")
    expect(region.get_by_role("status")).to_have_text("1 group waits that fit")
    region.get_by_role("searchbox").press("Enter")
    title(page, COLA)
    page.wait_for_function(REFERENCE)
    aside = page.get_by_role("complementary", name="Compare")
    expect(aside.get_by_role("img", name=f"What {COLA} looks like")).to_be_visible()
    third = page.locator("[data-at='2'] img").get_attribute("src")
    page.locator("[data-at='2']").hover()
    expect(aside.get_by_role("img", name="The crop, larger")).to_have_attribute("src", f"{third}&size=512")
    accessible(page)


def test_by_keys_alone_crops_are_named_and_a_page_confirmed(shop: Served, visit: Callable[..., Page]) -> None:
    page = visit(shop)
    page.wait_for_selector("section[aria-label^='Crops by'] li")
    press(page, "g")
    title(page, LIME)  # the most wait there
    limes, before = called(shop, LIME), crops(page)
    press(page, "n")
    found = picker(page)
    expect(found.get_by_role("heading")).to_have_text("What is it?")
    page.keyboard.type("berr")
    expect(found.get_by_role("option").first).to_contain_text(BERRY)
    accessible(page)
    press(page, "Enter")
    expect(page.locator(".cell")).to_have_count(47)
    press(page, "ArrowRight", "x", "ArrowRight", "Space", "n")
    found = picker(page)
    expect(found.get_by_role("heading")).to_have_text("What are these 2?")
    page.keyboard.type("Oat  milk")
    offered = found.get_by_role("listbox").get_by_role("option")
    expect(offered).to_have_count(1)
    expect(offered).to_contain_text("New product: Oat milk")
    press(page, "Enter")
    expect(page.locator(".cell")).to_have_count(45)
    expect(page.get_by_role("list", name="Names given before").get_by_role("listitem")).to_have_text(["1 Berry", "2 Oat milk"])
    press(page, "2")
    expect(page.locator(".cell")).to_have_count(44)
    saved(page)
    assert (called(shop, LIME), called(shop, "Oat milk")) == (limes - 4, 3)
    made = decisions(shop.project)
    assert {(one.action, one.mode, one.who) for one in made} == {("edit", "grid", "ann")}
    assert sum(len(one.rows) for one in made) == 4

    press(page, "z")
    expect(page.locator(".toasts")).to_contain_text("Undone: Named 1 × Oat milk")
    page.wait_for_function(PICTURES)
    assert called(shop, "Oat milk") == 2
    press(page, "Enter")
    page.wait_for_function(
        "(url) => document.querySelector('.hasty')?.innerText || !document.querySelector('img[src=\"' + url + '\"]')",
        arg=before[10],
    )
    if page.locator(".hasty").inner_text():
        press(page, "Enter")
    title(page, LIME)
    saved(page)
    counts = Counter(one.action for one in decisions(shop.project))
    assert counts["accept"] > 0
    holds(shop.project)


def test_a_new_name_has_its_crop_as_a_reference(shop: Served, visit: Callable[..., Page]) -> None:
    page = visit(shop)
    region = page.get_by_role("region", name="Crops by predicted product")
    region.get_by_role("button", name="no product known").click()
    title(page, "drink")
    press(page, "n")
    picker(page)
    page.keyboard.type("Oat milk")
    page.get_by_role("dialog").get_by_role("combobox", name="Class").select_option("snack")
    page.get_by_role("option", name="New product: Oat milk").click()
    saved(page)
    press(page, "n")
    found = picker(page)
    page.keyboard.type("oat")
    option = found.get_by_role("option", name="Oat milk snack")
    expect(option.get_by_role("presentation")).to_have_js_property("complete", True)
    assert option.locator("img").evaluate(SHOWS)
    page.keyboard.press("Escape")
    with project(shop.project) as opened:
        assert [(one.name, one.class_name) for one in opened.names_known("oat")] == [("Oat milk", "snack")]
    holds(shop.project)


def test_two_names_become_one_and_two_again(shop: Served, visit: Callable[..., Page]) -> None:
    colas, twins = called(shop, COLA), called(shop, TWIN)
    page = visit(shop)
    choose(page, TWIN)
    title(page, TWIN)
    assert page.get_by_role("complementary", name="Compare").count() == 0  # the loader has none
    press(page, "m")
    found = picker(page)
    page.keyboard.type("cola")
    expect(found.get_by_role("option").first).to_contain_text(COLA)
    press(page, "Enter")
    asked = page.get_by_role("dialog", name=f"Is “{TWIN}” the same as “{COLA}”?")
    expect(asked).to_contain_text(f"{twins} labels on pictures that wait: they go on waiting, under the new name.")
    accessible(page)
    press(page, "Enter")
    expect(page.locator(".toasts")).to_contain_text(f"{twins} labels of {TWIN} are called {COLA} now.")
    title(page, COLA)
    saved(page)
    assert (called(shop, COLA), called(shop, TWIN)) == (colas + twins, 0)
    expect(page.get_by_text(f"{colas + twins} wait")).to_be_visible()  # nobody has looked at them
    press(page, "z")
    expect(page.locator(".toasts")).to_contain_text(f"Undone: Renamed {twins} × {TWIN} to {COLA}")
    saved(page)
    assert (called(shop, COLA), called(shop, TWIN)) == (colas, twins)
    holds(shop.project)


def test_after_the_last_crop_the_next_name_comes_with_enter(shop: Served, visit: Callable[..., Page]) -> None:
    page = visit(shop)
    choose(page, TWIN)
    title(page, TWIN)
    ended = page.get_by_role("heading", name=f"No more {TWIN} here")
    for _ in range(3):
        press(page, "Enter")
        page.wait_for_timeout(200)
        if ended.is_visible():
            break
    expect(ended).to_be_visible()
    expect(page.get_by_role("button", name=f"Next: {LIME}")).to_be_visible()
    press(page, "Enter")
    title(page, LIME)
    saved(page)
    assert sum(len(one.rows) for one in decisions(shop.project)) == called(shop, TWIN)


def test_the_other_order_begins_with_the_surest(shop: Served, visit: Callable[..., Page]) -> None:
    page = visit(shop)
    choose(page, LIME)
    title(page, LIME)
    doubtful = crops(page)
    page.get_by_role("button", name="Order: most doubtful first").click()
    expect(page.get_by_role("button", name="Order: surest first")).to_be_visible()
    page.wait_for_function("(url) => document.querySelector('.cell img')?.getAttribute('src') !== url", arg=doubtful[0])
    page.wait_for_function(PICTURES)
    surest = crops(page)
    assert surest[0] not in doubtful[:20]
    press(page, "s")
    page.wait_for_function("(url) => document.querySelector('.cell img')?.getAttribute('src') === url", arg=doubtful[0])


def test_two_people_at_one_name_get_different_items(shop: Served, visit: Callable[..., Page]) -> None:
    page = visit(shop)
    choose(page, TWIN)
    title(page, TWIN)
    other = visit(shop, "ben")
    choose(other, TWIN)
    expect(other.get_by_role("heading", name=f"No more {TWIN} here")).to_be_visible()
    expect(other.get_by_text("on pictures that are open elsewhere")).to_be_visible()


def test_who_answers_blind_is_told_no_name(shop: Served, visit: Callable[..., Page]) -> None:
    page = visit(shop, "ben", expect=("403",))
    page.get_by_role("switch", name="Blind").check()
    press(page, "Enter")
    on_screen(page)
    beside = page.context.new_page()
    beside.goto(shop.address)
    region = beside.get_by_role("region", name="Crops by predicted product")
    expect(region).to_contain_text("Names are not shown while you answer blind")
    assert region.get_by_role("listitem").count() == 0
    press(page, "Shift+q")
    expect(page.get_by_role("region", name="Crops by predicted product").get_by_role("listitem")).to_have_count(6)
