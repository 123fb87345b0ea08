"""Volumes: what is painted by hand is what is stored, and what is shown is where it is in the patient."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from gallery_scenes import SPACING, VOLUME, affine, phantom
from page_kit import choose, decisions, holds, labels, press, read_back, saved, settle, state
from screens import open_volume
from served import Served
from volume_kit import AXES, PLACE, Volume, mask_of

WINDOWS = ((40, 400), (-600, 1500), (400, 1800), (40, 80), (30, 150))  # of the keys 1 to 5: centre, width
RADIUS = 6.0  # pixels, of the brush as it is at first


@pytest.fixture
def volume(serve: Callable[..., Served], visit: Callable[..., Page]) -> Volume:
    here = serve("volume 1")
    return Volume(here, visit(here))


def stroke(*points: tuple[float, float]) -> Any:
    """Return how far each pixel's centre is from the line through points, in pixels."""
    y, x = np.mgrid[: VOLUME[1], : VOLUME[2]] + 0.5
    away = np.full(x.shape, np.inf)
    for (x0, y0), (x1, y1) in pairwise(points):
        long = (x1 - x0) ** 2 + (y1 - y0) ** 2
        share = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / long, 0, 1)
        away = np.minimum(away, np.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0)))
    return away


def painted(mask: Any, away: Any, radius: float = RADIUS) -> bool:
    """Tell whether a mask is what lies within a radius, but for what lies within a third of a pixel of its rim."""
    return bool(mask[away < radius - 1 / 3].all() and not mask[away > radius + 1 / 3].any())


def test_a_stroke_is_stored_as_painted_and_exported(volume: Volume, tmp_path: Path) -> None:
    page, before = volume.page, phantom()[1]["heart"]
    line = ((20, 30), (44, 30), (50, 90))
    volume.go(10)
    press(page, "r")
    volume.drag(*line)
    press(page, "e")
    rubbed = ((20, 30), (30, 30))
    volume.drag(*rubbed)
    volume.accept_all()

    after = volume.stored("heart")
    others = np.arange(VOLUME[0]) != 10
    assert (after[others] == before[others]).all(), "a stroke stays on its slice"
    assert not before[10].any() or before[10].sum() < after[10].sum()
    kept, gone = stroke(*line), stroke(*rubbed)
    sure = (np.abs(kept - RADIUS) > 1 / 3) & (np.abs(gone - RADIUS) > 1 / 3) & ~before[10]
    assert (after[10][sure] == ((kept < RADIUS) & (gone > RADIUS))[sure]).all()
    _, y, x = np.nonzero(after)
    found = next(one for one in labels(volume.here.project, volume.item) if one["class"] == "heart")
    assert found["box"] == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    (made,) = decisions(volume.here.project, volume.item)
    assert made.action == "edit"
    assert state(volume.here.project, volume.item)["outcome"] == "accept"

    for name in ("jsonl", "parquet"):
        out = read_back(volume.here.project, name, tmp_path / name)[volume.item]
        assert [one["class"] for one in out] == ["liver", "heart", "spine"]
        assert (mask_of(out[1]) == after).all()
        assert (mask_of(out[0]) == phantom()[1]["liver"]).all()
    holds(volume.here.project)


def test_a_new_structure_by_fill_copy_and_interpolation(volume: Volume) -> None:
    page = volume.page
    press(page, "n")
    expect(page.get_by_role("combobox", name="Search a class")).to_be_focused()
    page.keyboard.type("blob")
    page.keyboard.press("Enter")
    ring = ((60, 50), (90, 50), (90, 80), (60, 80), (60, 50))
    volume.go(5)
    volume.drag(*ring)
    outline = volume.plane("blob", 5)
    assert painted(outline, stroke(*ring))
    assert not outline[65, 75]
    page.mouse.move(*volume.spot("axial", 75, 65))
    press(page, "f")
    whole = volume.plane("blob", 5)
    assert whole[65, 75]
    inside = np.zeros(VOLUME[1:], bool)
    inside[50:80, 60:90] = True
    assert (whole == (outline | inside)).all(), "the hole, and nothing else"
    page.mouse.move(*volume.spot("axial", 110, 20))
    press(page, "f")
    expect(page.locator(".toasts")).to_contain_text("Nothing closes this region in")
    assert (volume.plane("blob", 5) == whole).all()

    volume.go(6)
    press(page, "c")
    assert (volume.plane("blob", 6) == whole).all()
    volume.go(10)
    press(page, "c")
    expect(page.locator(".toasts")).to_contain_text("blob is not on the previous slice")
    small = ((72, 65), (78, 65))
    volume.drag(*small)
    press(page, "i")
    between = [volume.plane("blob", z) for z in (6, 7, 8, 9, 10)]
    areas = [plane.sum() for plane in between]
    assert areas == sorted(areas, reverse=True)
    assert len(set(areas)) == 5, "each smaller than the one before"
    assert all((inner <= outer).all() for outer, inner in pairwise(between))
    assert painted(between[-1], stroke(*small))

    # One gesture after the other is taken back, the last first.
    for text, z, area in (("Interpolate", 8, 0), ("Paint", 10, 0), ("Copy", 6, 0), ("Fill", 5, outline.sum()), ("Paint", 5, 0)):
        press(page, "z")
        expect(page.locator(".toasts")).to_contain_text(f"Undone: {text} blob")
        settle(page)
        assert volume.plane("blob", z).sum() == area, text
    for text in ("Paint", "Fill", "Copy", "Paint", "Interpolate"):
        press(page, "Shift+Z")
        expect(page.locator(".toasts")).to_contain_text(f"Redone: {text} blob")
    assert decisions(volume.here.project) == []
    volume.accept_all()
    found = volume.stored("blob")
    assert (found[5:7] == whole).all()
    assert (found[6:11] == np.array(between)).all()
    assert not found[:5].any()
    assert not found[11:].any()
    assert (volume.stored("heart") == phantom()[1]["heart"]).all()
    holds(volume.here.project)


def test_windows_and_slices(volume: Volume) -> None:
    page = volume.page
    hu, masks = phantom()
    volume.go(20)
    free = ~np.any([mask[20] for mask in masks.values()], axis=0)
    for digit, (center, width) in enumerate(WINDOWS, 1):
        press(page, str(digit))
        settle(page)
        expected = np.clip((hu[20] - (center - 0.5)) / (width - 1) + 0.5, 0, 1) * 255
        assert np.abs(volume.pixels("axial") - expected)[free].max() <= 1, (center, width)
    stored = page.evaluate("() => window.__hyla.scene.slices.window")
    press(page, "7")
    assert page.evaluate("() => [window.__hyla.scene.window.center, window.__hyla.scene.window.width]") == stored
    expect(page.get_by_role("button", name="As stored")).to_have_attribute("aria-pressed", "true")
    press(page, "6")
    settle(page)
    greys = volume.pixels("axial")[free]
    assert (greys == 255).mean() < 0.05
    assert greys.max() > 200

    page.mouse.move(*volume.spot("axial", 64, 60))
    page.mouse.wheel(0, 100)
    page.wait_for_function("() => window.__hyla.scene.at.z === 21")
    for key, z in ((".", 22), (",", 21), ("PageDown", 31), ("Shift+Period", 39), (".", 39), ("PageUp", 29), ("Shift+Comma", 19)):
        page.keyboard.press(key)
        assert volume.at["z"] == z
        expect(page.locator(".status")).to_contain_text(f"slice {z + 1} of 40")
    strip = page.get_by_role("slider", name="axial slice")
    box = strip.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 7.5 / 40, box["y"] + 10)
    assert volume.at["z"] == 7


def test_the_cross_links_the_planes(volume: Volume) -> None:
    page, (hu, masks) = volume.page, phantom()
    press(page, "1")
    volume.go(12)
    page.mouse.click(*volume.spot("axial", 38.5, 71.5))
    assert volume.at == {"x": 38, "y": 71, "z": 12}
    settle(page)
    grey = lambda plane: np.clip((plane - 39.5) / 399 + 0.5, 0, 1) * 255  # noqa: E731
    for axis, cut in (("coronal", np.s_[:, 71, :]), ("sagittal", np.s_[:, :, 38])):
        free = ~np.any([mask[cut] for mask in masks.values()], axis=0)
        assert np.abs(volume.pixels(axis) - grey(hu[cut]))[free].max() <= 1

    page.mouse.click(*volume.spot("coronal", 5, 5))  # it becomes the large one
    expect(page.get_by_role("application", name="Coronal view of the volume")).to_be_focused()
    page.mouse.click(*volume.spot("coronal", 90.5, 30.5))
    assert volume.at == {"x": 90, "y": 71, "z": 30}
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    assert volume.at == {"x": 91, "y": 71, "z": 20}, "down is to the feet"
    press(page, "v")
    expect(page.get_by_role("application", name="Sagittal view of the volume")).to_be_focused()


@pytest.mark.parametrize("made", ["volume", "oblique"])
def test_where_the_pointer_is_in_the_patient(made: str, serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(f"{made} 1")
    volume = Volume(here, visit(here), made)
    page, (hu, masks), matrix = volume.page, phantom(), np.array(affine(made == "oblique"))
    for x, y, z in ((38, 60, 12), (76, 45, 30), (100, 70, 3), (20, 105, 25)):
        volume.go(z)
        page.mouse.move(*volume.spot("axial", x + 0.5, y + 0.5))
        point = matrix[:3] @ (x, y, z, 1)
        said = " ".join(f"{'LRPAHF'[2 * i + (mm < 0)]} {abs(mm):.1f}" for i, mm in enumerate(point))
        names = [name for name, mask in masks.items() if mask[z, y, x]]
        parts = [f"x {x} y {y} z {z}", f"{said} mm", f"{hu[z, y, x]} HU", *names]
        expect(page.locator(".readout")).to_have_text(" · ".join(parts))

    # Letters: where each edge of each view lies, of a direction that is more than a quarter of the way.
    towards = matrix[:3, :3] / SPACING
    for axis, (u, v) in zip(AXES, ((0, 1), (0, 2), (1, 2)), strict=True):
        view = page.locator(".view").nth(AXES.index(axis))
        a, b, c, d, *_ = page.evaluate(PLACE, AXES.index(axis))
        right, down = (towards[:, [u, v]] @ np.linalg.inv([[a, c], [b, d]]) @ step for step in ((1, 0), (0, 1)))
        for name, way in (("right", right), ("left", -right), ("bottom", down), ("top", -down)):
            way = way / np.linalg.norm(way)
            order = sorted((i for i in range(3) if abs(way[i]) > 0.25), key=lambda i: -abs(way[i]))
            assert view.locator(f".{name}").text_content() == "".join("LRPAHF"[2 * i + int(way[i] < 0)] for i in order)
        if axis != "sagittal":
            assert right[0] > 0.9 * np.linalg.norm(right), "the patient's left is on the right"
        if axis != "axial":
            assert down[2] < -0.9 * np.linalg.norm(down), "the head is up"


def test_wrong_then_mended_in_the_repair_lane(volume: Volume) -> None:
    page, there = volume.page, volume.here.project
    expect(page.get_by_role("heading", name="Is this a heart?")).to_be_visible()
    press(page, "x")
    expect(page.get_by_role("heading", name="Nothing more waits here")).to_be_visible()
    saved(page)
    assert (state(there, volume.item)["lane"], state(there, volume.item)["open"]) == ("repair", "1")

    press(page, "Shift+Q")
    choose(page, "Repair")
    page.get_by_role("button", name="Start repairing").click()
    open_volume(page, volume.item)
    volume.go(30)
    press(page, "r")
    line = ((100, 20), (110, 20))
    volume.drag(*line)
    press(page, "a")
    expect(page.get_by_role("heading", name="Nothing more waits here")).to_be_visible()
    saved(page)
    found = state(there, volume.item)
    assert (found["lane"], found["outcome"]) == ("", "accept")
    after, before = volume.stored("heart"), phantom()[1]["heart"]
    assert painted(after[30] & ~before[30], stroke(*line))
    assert (after | before == after).all()

    press(page, "z")
    expect(page.locator(".toasts")).to_contain_text("Undone")
    saved(page)
    assert (volume.stored("heart") == before).all()
    assert state(there, volume.item)["lane"] == "repair"
    holds(there)
