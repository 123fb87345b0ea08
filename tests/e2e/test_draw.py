"""From nothing: every geometry is drawn by hand on an empty picture, and what is exported is what was drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from hyla.geometry import decode
from hyla.types import Rle
from page_kit import click, drag, holds, ids, labels, near, on_screen, pixel, press, read_back, saved, seen, settle, spot
from served import Served

BOX = [50, 40, 150, 120]
CORNERS = ((220, 40), (300, 40), (300, 90))  # of a rotated box: two ends of a side, and the side across
RING = [(350, 40), (420, 50), (440, 110), (380, 130)]
LINE = [(470, 40), (520, 90), (560, 60), (600, 120)]
POINTS = {"head": (100, 200), "left_hand": (60, 260), "left_foot": (80, 340), "right_foot": (120, 340)}
STROKE = ((250, 260), (330, 260))
RADIUS = 10


@pytest.fixture
def blank(serve: Callable[..., Served], visit: Callable[..., Page]) -> tuple[Served, Page, str]:
    """Serve a project with an empty picture, open it there, and give the page and the id of the item."""
    here = serve("empty 1")
    item = next(iter(ids(here.project).values()))
    page = visit(here, screen=f"item/{item}")
    on_screen(page)
    return here, page, item


def name(page: Page, text: str) -> None:
    """Answer the question for the class of what was just drawn, by its name."""
    search = page.get_by_role("combobox", name="Search a class")
    expect(search).to_be_focused()
    page.keyboard.type(text)
    classes = page.get_by_role("listbox", name="Classes")
    expect(classes.get_by_role("option", selected=True)).to_have_text(text)
    page.keyboard.press("Enter")
    expect(search).to_have_count(0)


def done(page: Page) -> None:
    """Accept the item as shown, and wait until it is stored."""
    press(page, "Enter")
    page.get_by_role("heading", name="Nothing more waits here").wait_for()
    saved(page)


def draw_all(page: Page) -> None:
    press(page, "b")
    drag(page, (BOX[0], BOX[1]), (BOX[2], BOX[3]))
    name(page, "car")

    press(page, "t")
    click(page, *CORNERS)
    name(page, "ship")

    press(page, "p")
    click(page, *RING, RING[0])  # the first point closes it
    name(page, "roof")

    press(page, "l")
    click(page, *LINE[:-1])
    page.mouse.dblclick(*spot(page, *LINE[-1]))
    name(page, "lane")

    press(page, "k")
    click(page, POINTS["head"])
    page.keyboard.down("Shift")
    click(page, POINTS["left_hand"])  # hidden
    page.keyboard.up("Shift")
    press(page, "n")  # the right hand is absent
    click(page, POINTS["left_foot"], POINTS["right_foot"])  # only a person has several, so nobody is asked

    press(page, "r")
    drag(page, *STROKE)
    name(page, "blob")

    press(page, "Escape", "Escape")
    page.get_by_role("button", name="Tag of the image").click()
    name(page, "indoor")

    page.get_by_role("button", name="Cuboid").click()
    name(page, "truck")
    from_above = page.get_by_role("region", name="Cuboid").locator("svg").first
    before = seen(page)["labels"][-1]["shape"]
    grip = from_above.get_by_role("button", name="Move the middle").locator(".dot").bounding_box()
    assert grip is not None
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 15, y, steps=3)
    page.mouse.up()
    after = seen(page)["labels"][-1]["shape"]
    assert [i for i in range(10) if abs(before[i] - after[i]) > 1e-6] == [0], "it went to the right, and nowhere else"
    assert after[0] > before[0]


def test_one_of_each_geometry_is_exported_as_drawn(blank: tuple[Served, Page, str], tmp_path: Path) -> None:
    here, page, item = blank
    draw_all(page)
    cuboid = seen(page)["labels"][-1]
    done(page)
    found = read_back(here.project, "jsonl", tmp_path / "jsonl")[item]
    by_kind = check(found)
    assert [one["kind"] for one in found] == [
        *("box", "rotated_box", "polygon", "polyline", "keypoints", "mask", "tag", "cuboid"),
    ]
    assert near(by_kind["polyline"]["shape"], LINE, 1)
    assert by_kind["polyline"]["class"] == "lane"
    assert by_kind["tag"]["class"] == "indoor"
    assert by_kind["cuboid"]["class"] == "truck"
    assert near(by_kind["cuboid"]["shape"], cuboid["shape"], 0.001)
    assert near(by_kind["cuboid"]["box"], cuboid["box"], 1)
    check(read_back(here.project, "coco", tmp_path / "coco")[item])
    holds(here.project)


def check(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Assert that the labels are those that were drawn, as far as every format carries them; return them by kind."""
    by_kind = {one["kind"]: one for one in found}
    assert {kind: by_kind[kind]["class"] for kind in ("box", "rotated_box", "polygon", "keypoints", "mask")} == {
        "box": "car",
        "rotated_box": "ship",
        "polygon": "roof",
        "keypoints": "person",
        "mask": "blob",
    }
    assert near(by_kind["box"]["box"], BOX, 1)
    x, y, width, height, angle = by_kind["rotated_box"]["shape"]
    assert near([x, y, width, height], [260, 65, 80, 50], 1)
    assert abs(angle) < 0.02
    assert near(by_kind["polygon"]["shape"], [RING], 1)
    points = by_kind["keypoints"]["shape"]
    assert [p[2] for p in points] == [2, 1, 0, 2, 2]
    assert near([p[:2] for p in points if p[2]], list(POINTS.values()), 1)
    assert near(by_kind["mask"]["box"], [240, 250, 340, 270], 1)
    rle = by_kind["mask"]["shape"]
    mask = decode(Rle(tuple(rle["size"]), rle["counts"].encode()))
    assert abs(mask.sum() - (80 * 20 + 3.1416 * RADIUS**2)) < 0.05 * mask.sum()
    assert mask[260, 290] == 1
    assert mask[248, 290] == 0
    return by_kind


def test_snapping_drawing_inside_and_escape(blank: tuple[Served, Page, str]) -> None:
    here, page, item = blank
    by = 4 * pixel(page)  # 4 CSS pixels away: near enough
    press(page, "b")
    drag(page, (100, 100), (300, 250))
    name(page, "car")
    first = seen(page)["labels"][0]["box"]

    drag(page, (first[2] + by, first[3] - by), (400, 350))  # begins at the corner
    assert seen(page)["labels"][1]["box"][:2] == first[2:]
    press(page, "s")
    drag(page, (first[2] + by, first[1] - by), (420, 50))  # not any more
    assert seen(page)["labels"][2]["box"][0] != first[2]
    assert near(seen(page)["labels"][2]["box"], [first[2] + by, 50, 420, first[1] - by], 1)
    press(page, "s")

    drag(page, (150, 140), (200, 180))  # inside another shape
    inner = seen(page)["labels"][3]
    assert near(inner["box"], [150, 140, 200, 180], 1)
    assert len(seen(page)["labels"]) == 4

    press(page, "p")
    click(page, (500, 300), (560, 300), (560, 360))
    assert seen(page)["drawing"]
    press(page, "Escape")
    assert not seen(page)["drawing"]
    assert seen(page)["tool"] == "polygon"
    press(page, "Escape")
    assert seen(page)["tool"] == "select"
    assert len(seen(page)["labels"]) == 4
    settle(page)
    click(page, (175, 160))
    assert seen(page)["selected"] == 3, "the smaller one in front"
    click(page, (250, 240))
    assert seen(page)["selected"] == 0

    press(page, "b")
    at = spot(page, 500, 300)
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] + 50, at[1] + 50)
    assert seen(page)["drawing"]
    press(page, "Escape")
    page.mouse.up()
    press(page, "Escape")
    assert len(seen(page)["labels"]) == 4, "a box given up half-way is none"
    before = [one["box"] for one in seen(page)["labels"]]
    done(page)
    assert [one["box"] for one in labels(here.project, item)] == before
    holds(here.project)


def test_a_box_without_a_mouse(blank: tuple[Served, Page, str]) -> None:
    here, page, item = blank
    press(page, "b")
    press(page, "Enter")  # a box in the middle
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Control+ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    press(page, "Enter")
    name(page, "truck")
    middle = [320, 240]
    made = seen(page)["labels"][0]["box"]
    wide, high = made[2] - made[0], made[3] - made[1]
    step = max(1, round(pixel(page)))
    left = (made[0] + made[2]) / 2 - middle[0]
    assert -2 * step <= left < 0
    assert (made[1] + made[3]) / 2 - middle[1] == pytest.approx(9 * step, abs=1)
    press(page, "Escape")
    done(page)
    (stored,) = labels(here.project, item)
    assert stored["class"] == "truck"
    assert stored["box"] == made
    assert wide > 50
    assert high > 50
    holds(here.project)
