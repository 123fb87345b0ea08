"""A volume in a real browser: hands on its planes, and a look at its masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import Page, expect

from gallery_scenes import VOLUME
from hyla.geometry import decode
from hyla.types import Rle
from page_kit import ids, labels, press, saved, settle
from screens import open_volume
from served import Served

AXES = ("axial", "coronal", "sagittal")
# A pixel of a canvas is a voxel; CSS turns and stretches it.
PIXELS = """(at) => {
  const from = document.querySelectorAll(".view canvas")[at];
  const context = new OffscreenCanvas(from.width, from.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(from, 0, 0);
  const { data } = context.getImageData(0, 0, from.width, from.height);
  return { width: from.width, values: [...data].filter((_, i) => i % 4 === 0) };
}"""
PLACE = """(at) => {
  const canvas = document.querySelectorAll(".view canvas")[at];
  const { left, top } = canvas.parentElement.getBoundingClientRect();
  const { a, b, c, d, e, f } = new DOMMatrix(canvas.style.transform);
  return [a, b, c, d, e + left, f + top];
}"""
SLICE = """([name, z]) => {
  const { masks, work } = window.__hyla.bench;
  const one = work.entries().find((entry) => entry.label.class === name);
  return one ? [...masks.get(one.key).read("axial", z)] : null;
}"""


class Volume:
    """A volume in the browser: its hands, and its truth."""

    def __init__(self, here: Served, page: Page, made: str = "volume") -> None:
        self.here, self.page = here, page
        self.item = next(iter(ids(here.project, made).values()))
        if page.evaluate("() => window.__hyla?.bench?.item?.id") != self.item:
            open_volume(page, self.item)

    @property
    def at(self) -> dict[str, int]:
        """Return x, y, z of the cross."""
        return dict(self.page.evaluate("({ ...window.__hyla.scene.at })"))

    def spot(self, axis: str, u: float, v: float) -> tuple[float, float]:
        """Return where a point of a plane is on the page."""
        a, b, c, d, e, f = self.page.evaluate(PLACE, AXES.index(axis))
        return a * u + c * v + e, b * u + d * v + f

    def drag(self, *points: tuple[float, float]) -> None:
        """Drag over points of the axial plane."""
        self.page.mouse.move(*self.spot("axial", *points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.spot("axial", *point), steps=4)
        self.page.mouse.up()
        settle(self.page)

    def pixels(self, axis: str) -> Any:
        """Return the greys of a view, before it is turned."""
        found = self.page.evaluate(PIXELS, AXES.index(axis))
        return np.array(found["values"]).reshape(-1, found["width"])

    def go(self, z: int) -> None:
        """Go to an axial slice by the keys for one and for ten."""
        while (by := z - self.at["z"]) != 0:
            self.page.keyboard.press({1: ".", -1: ","}[int(np.sign(by))] if abs(by) < 10 else "PageDown" if by > 0 else "PageUp")

    def plane(self, name: str, z: int) -> Any:
        """Return an axial slice of a mask as the page has it."""
        found = self.page.evaluate(SLICE, [name, z])
        return np.array(found, bool).reshape(VOLUME[1:])

    def stored(self, name: str) -> Any:
        found = next(one for one in labels(self.here.project, self.item) if one["class"] == name)
        return mask_of(found)

    def accept_all(self) -> None:
        press(self.page, "Enter")
        expect(self.page.get_by_role("heading", name="Nothing more waits here")).to_be_visible()
        saved(self.page)


def mask_of(label: dict[str, Any]) -> Any:
    """Return the voxels of a label as it travels."""
    shape = label["shape"]
    return decode(Rle(shape["size"], shape["counts"].encode())).astype(bool)
