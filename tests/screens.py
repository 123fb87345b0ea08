"""Every screen of the review page, one after the other, each when it stands still: for what must hold on all of them."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Page, expect

from page_kit import ids, on_screen, settle
from served import Served

PROJECT = "photo 12 9\nclip 1 60\nvolume 1\nraster 1\nseries 1 24\nbroken 1"
LOST = ("ERR_INTERNET_DISCONNECTED", "401", "404", "410")  # what the browser itself says on the console on this way
PICTURES = """() => {
  const all = [...document.querySelectorAll(".cell img")];
  return all.length && all.every((one) => one.naturalWidth);
}"""
# What is painted of the picture at image points, as red, green, blue and how opaque; null where a point is out of sight. A copy
# of the canvas is read, so that the page's own stays as quick as it is.
COLOURS = """(points) => {
  const { viewer } = window.__hyla;
  const pixelOf = (at) => (typeof viewer === "function" ? viewer() : viewer).pixelOf(...at);
  const from = [...document.querySelectorAll(".viewer-base canvas")].at(-1);
  if (!from?.width) return points.map(() => [0, 0, 0, 0]);
  const { left, top, width } = from.getBoundingClientRect();
  const context = new OffscreenCanvas(from.width, from.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(from, 0, 0);
  return points.map((point) => {
    const at = pixelOf(point);
    const [x, y] = [at[0] - left, at[1] - top].map((n) => Math.floor((n * from.width) / width));
    const inside = x >= 0 && y >= 0 && x < from.width && y < from.height;
    return inside ? [...context.getImageData(x, y, 1, 1).data] : null;
  });
}"""
TILES = f"""() => {{
  const [height, width] = window.__hyla.bench.item.size.slice(-2);
  const shares = [0.03, 0.25, 0.5, 0.75, 0.97];
  const points = shares.flatMap((u) => shares.map((v) => [u * width, v * height]));
  return ({COLOURS})(points).every((colour) => !colour || colour[3] === 255);
}}"""


def open_item(page: Page, item: str) -> None:
    """Show an item, a part of a map or a photo, and wait until it can be decided on."""
    go(page, f"item/{item}")
    on_screen(page)


def open_grid(page: Page, name: str) -> None:
    """Show the crops of a class, and wait for all pictures."""
    go(page, f"grid/{name}")
    page.wait_for_function(PICTURES)


def open_volume(page: Page, item: str) -> None:
    """Show a volume, and wait until all of its slices are there."""
    go(page, f"volume/{item}")
    page.wait_for_function(
        "(id) => { const b = window.__hyla?.bench; return b?.scene && b.item.id === id && b.scene.cache.progress === 1 }",
        arg=item,
    )
    expect(page.locator(".readout")).to_be_attached()


def open_video(page: Page, item: str) -> None:
    """Show a clip at the frame of an item, and wait for its picture and its labels in full."""
    go(page, f"video/{item}")
    page.wait_for_function(
        "(id) => { const { clip, ring } = window.__hyla ?? {};"
        " return clip?.here.item === id && clip.detail?.id === id && ring.peek(clip.frame) }",
        arg=item,
    )


def open_map(page: Page, item: str) -> None:
    """Show a raster, and wait for its tiles."""
    open_item(page, item)
    page.wait_for_function(TILES)


def go(page: Page, where: str) -> None:
    """Write a place of the page into the address, as a bookmark does."""
    page.evaluate("(where) => { delete window.__hyla; location.hash = '#/' + where }", where)


def walk(page: Page, here: Served) -> Iterator[str]:
    """Bring the page, which is open at the queue, to each screen in turn, and give its name while it is there."""
    first = lambda made: next(iter(ids(here.project, made).values()))  # noqa: E731
    doubted = next(id for uri, id in ids(here.project, "photo").items() if uri == "photo-0002")
    page.wait_for_selector(".lanes")
    yield "queue"
    open_item(page, doubted)
    yield "item"
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    yield "help"
    page.keyboard.press("Escape")
    go(page, f"item/{first('broken')}")
    page.get_by_role("heading", name="The picture is gone").wait_for()
    yield "gone"
    open_map(page, first("raster"))
    yield "map"
    open_map(page, list(ids(here.project, "series").values())[2])
    page.keyboard.press("u")
    page.wait_for_function(TILES)
    yield "dates"
    open_grid(page, "car")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    yield "grid"
    open_video(page, clip_items(here)[30])
    yield "video"
    open_volume(page, first("volume"))
    yield "volume"
    go(page, "dashboard")
    page.get_by_role("heading", name="Agreement").wait_for()
    page.get_by_role("heading", name="People").wait_for()
    yield "dashboard"
    go(page, "item/none")
    page.get_by_role("heading", name="This item cannot be shown").wait_for()
    yield "absent"
    go(page, "queue")
    page.wait_for_selector(".lanes")
    page.context.set_offline(True)
    back(page)
    page.wait_for_selector(".banner")
    yield "lost"
    page.context.set_offline(False)
    back(page)
    expect(page.locator(".banner")).to_have_count(0)
    page.context.clear_cookies()
    back(page)
    page.wait_for_selector(".banner.bad")
    yield "locked"
    page.goto("about:blank")
    page.goto(here.address)
    page.get_by_role("heading", name="Open the link to begin").wait_for()
    yield "login"


def back(page: Page) -> None:
    """Let the page ask what waits at once, as it does when one comes back to it, and not only after some seconds."""
    page.evaluate("() => void document.dispatchEvent(new Event('visibilitychange'))")


def clip_items(here: Served, number: int = 0) -> list[str]:
    """Return the items of a clip of the gallery, frame by frame."""
    from page_kit import project

    with project(here.project) as found:
        items = [one.item for one in found.records() if one.item.group == f"clip-{number:04d}"]
    return [one.id for one in sorted(items, key=lambda one: one.index)]


def rest(page: Page) -> None:
    """Wait until nothing moves any more: fonts are there, animations are over, and the page has drawn."""
    page.evaluate("() => document.fonts.ready.then(() => undefined)")
    page.wait_for_function("() => document.getAnimations().every((one) => one.playState === 'finished')")
    settle(page)
