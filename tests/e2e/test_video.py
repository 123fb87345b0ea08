"""Clips: tracks split, merged, moved, drawn, ended and answered by hand; what is stored of each frame is what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from hyla import Kind
from page_kit import Spot, choose, decisions, hyla, near, press, project, saved, settle, state
from screens import COLOURS, clip_items, open_video
from served import Served

SWITCH = 30
KINDS = (
    "() => { const { clip } = window.__hyla; return clip.entries.map((one) => [one.label.kind, one.label.shape?.length ?? 0]) }"
)


class Clip:
    """A clip in the browser: its hands, and its truth."""

    def __init__(self, here: Served, page: Page, items: list[str]) -> None:
        self.here, self.page, self.items = here, page, items

    @property
    def frame(self) -> int:
        return int(self.page.evaluate("window.__hyla.clip.frame"))

    def seek(self, frame: int) -> None:
        """Click on a frame in the ruler of the timeline."""
        box = self.page.locator(".ruler").bounding_box()
        assert box is not None
        self.page.mouse.click(box["x"] + box["width"] * (frame + 0.5) / len(self.items), box["y"] + 5)
        self.page.wait_for_function(
            "(n) => { const { clip, ring } = window.__hyla;"
            " return clip.frame === n && ring.peek(n) && clip.detail?.id === clip.here.item }",
            arg=frame,
        )
        settle(self.page)

    def burnt_in(self) -> int:
        """Return the number of the frame that is painted, from its bits along the top."""
        squares = [[16 * bit + 8, 8] for bit in range(12)]
        return sum((red > 128) << bit for bit, (red, *_) in enumerate(self.page.evaluate(COLOURS, squares)))

    def select(self, track: int) -> None:
        self.page.get_by_role("listbox", name="Tracks").get_by_role("option", name=f"Track {track},").click()
        self.page.wait_for_function("(id) => window.__hyla.clip.track?.id === id", arg=track)

    def drag(self, *points: Spot) -> None:
        """Drag over image points."""
        spots = [self.page.evaluate("([x, y]) => window.__hyla.viewer().pixelOf(x, y)", list(one)) for one in points]
        self.page.mouse.move(*spots[0])
        self.page.mouse.down()
        for at in spots[1:]:
            self.page.mouse.move((spots[0][0] + at[0]) / 2, (spots[0][1] + at[1]) / 2)
            self.page.mouse.move(*at)
        self.page.mouse.up()
        settle(self.page)

    @contextmanager
    def one_request(self, n: int, action: str) -> Iterator[None]:
        """Assert that what happens makes `n` decisions of one sort, and that they are sent at once."""
        before = len(decisions(self.here.project))
        sent: list[str] = []
        self.page.on("request", lambda one: sent.append(one.url) if one.method == "POST" and "decisions" in one.url else None)
        with self.page.expect_response("**/api/v1/decisions"):
            yield
        saved(self.page)
        made = decisions(self.here.project)[before:]
        assert [one.action for one in made] == [action] * n
        assert len(sent) == 1, "all or nothing"

    def turn(self, key: str, said: str) -> None:
        press(self.page, key)
        expect(self.page.locator(".toasts")).to_contain_text(said)
        saved(self.page)

    def boxes(self, track: int) -> dict[int, Any]:
        """Return frame -> box of a track, as stored."""
        found = {}
        with project(self.here.project) as opened:
            for frame, item in enumerate(self.items):
                record = opened.record(item)
                assert record is not None
                for row in np.flatnonzero(record.labels.track == track):
                    assert frame not in found, "a track stands twice in a frame"
                    found[frame] = record.labels.box[row]
        return found

    def classes(self, track: int) -> set[str]:
        with project(self.here.project) as opened:
            names = opened.schema().names
            records = [opened.record(item) for item in self.items]
            return {names[c] for one in records if one for c in one.labels.class_id[one.labels.track == track]}

    def holds(self) -> None:
        with project(self.here.project) as opened:
            assert opened.verify().ok


@pytest.fixture
def clip(serve: Callable[..., Served], visit: Callable[..., Page]) -> Clip:
    """Open a clip of 60 frames at the one where a track begins whose object had another before."""
    here = serve("clip 1 60")
    items = clip_items(here)
    page = visit(here)
    open_video(page, items[SWITCH])
    return Clip(here, page, items)


def same(a: dict[int, Any], b: dict[int, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def linear(boxes: dict[int, Any], first: int, last: int) -> bool:
    """Tell whether the boxes between two frames lie on lines; the frames of the gallery are equally long."""
    share = lambda n: (n - first) / (last - first)  # noqa: E731
    return all(
        np.allclose(boxes[n], boxes[first] + (boxes[last] - boxes[first]) * share(n), atol=0.02) for n in range(first, last)
    )


def test_merge_split_and_undo(clip: Clip) -> None:
    page = clip.page
    first, second = clip.boxes(2), clip.boxes(4)
    assert (list(first), list(second)) == (list(range(SWITCH)), list(range(SWITCH, 60)))
    expect(page.get_by_role("heading", name="Is track 4 the same car all the way?")).to_be_visible()
    expect(page.get_by_text("Frames 30 to 59")).to_be_visible()

    press(page, "m")
    expect(page.get_by_role("heading", name="Merge track 4 with track 2?")).to_be_visible()
    with clip.one_request(30, "edit"):
        press(page, "Enter")
    assert same(clip.boxes(2), first | second)
    assert clip.boxes(4) == {}

    clip.seek(SWITCH)
    clip.select(2)
    with clip.one_request(30, "edit"):
        press(page, "s")
    assert same(clip.boxes(2), first)
    assert same(clip.boxes(5), second), "the new track has a number that was never used"

    clip.turn("z", "Undone: Split track 2")
    assert same(clip.boxes(2), first | second)
    clip.turn("z", "Undone: Merge tracks 2 and 4")
    assert same(clip.boxes(2), first)
    assert same(clip.boxes(4), second)
    assert state(clip.here.project, clip.items[SWITCH])["lane"] == "review"
    clip.turn("Shift+Z", "Redone: Merge tracks 2 and 4")
    assert same(clip.boxes(2), first | second)
    clip.holds()


def test_keyframes_are_moved_and_interpolated(clip: Clip) -> None:
    page = clip.page
    before = clip.boxes(1)
    for frame, by in ((10, (25, 40)), (20, (-15, 10))):
        clip.seek(frame)
        clip.select(1)
        settle(page)
        x0, y0, x1, y1 = before[frame]
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        with clip.one_request(1, "edit"):
            clip.drag(middle, (middle[0] + by[0], middle[1] + by[1]))
        moved = clip.boxes(1)
        assert near(list(moved[frame]), list(before[frame] + [*by, *by]), 1)
    clip.seek(15)
    with clip.one_request(9, "edit"):
        press(page, "i")
    after = clip.boxes(1)
    assert same(
        {n: box for n, box in after.items() if not 10 <= n <= 20}, {n: box for n, box in before.items() if not 10 <= n <= 20}
    )
    assert same({n: after[n] for n in (10, 20)}, {n: moved[n] for n in (10, 20)})
    assert linear(after, 10, 20)

    # Now that they lie on lines, a keyframe between takes its neighbours along.
    clip.seek(16)
    x0, y0, x1, y1 = after[16]
    with clip.one_request(9, "edit"):
        clip.drag((x0, y0), (x0 + 10, y0 + 10))
    pulled = clip.boxes(1)
    assert near(list(pulled[16]), [x0 + 10, y0 + 10, x1, y1], 1)
    assert linear(pulled, 10, 16)
    assert linear(pulled, 16, 20)
    assert same({n: pulled[n] for n in (10, 20)}, {n: after[n] for n in (10, 20)})
    clip.turn("z", "Undone: Move track 1")
    assert same(clip.boxes(1), after)
    clip.holds()


def test_a_track_is_drawn_with_two_keyframes(clip: Clip) -> None:
    page = clip.page
    press(page, "Escape")
    first, last = [500, 300, 560, 340], [300, 290, 380, 350]
    for frame, box in ((5, first), (15, last)):
        clip.seek(frame)
        press(page, "b")
        with clip.one_request(1, "edit"):
            clip.drag((box[0], box[1]), (box[2], box[3]))
    assert list(clip.boxes(5)) == [5, 15]
    clip.seek(9)
    expect(page.get_by_text("Track 5 is not in this frame.")).to_be_visible()
    with clip.one_request(9, "edit"):
        press(page, "i")
    boxes = clip.boxes(5)
    assert list(boxes) == list(range(5, 16))
    assert near(list(boxes[5]), first, 1)
    assert near(list(boxes[15]), last, 1)
    assert linear(boxes, 5, 15)
    assert clip.classes(5) == {"car"}

    with clip.one_request(11, "edit"):
        press(page, "2")
    assert clip.classes(5) == {"truck"}
    clip.holds()


def test_outside_from_here_and_gone_in_one_frame(clip: Clip) -> None:
    page = clip.page
    before = clip.boxes(3)
    clip.seek(40)
    clip.select(3)
    with clip.one_request(20, "reject"):
        press(page, "o")
    assert same(clip.boxes(3), {n: box for n, box in before.items() if n < 40})
    clip.seek(12)
    with clip.one_request(1, "reject"):
        press(page, "Delete")
    assert same(clip.boxes(3), {n: box for n, box in before.items() if n < 40 and n != 12})
    clip.turn("z", "Undone: Remove a box of track 3")
    clip.turn("z", "Undone: End track 3")
    assert same(clip.boxes(3), before)

    clip.select(1)
    with clip.one_request(60, "reject"):
        press(page, "Shift+Delete")
    assert clip.boxes(1) == {}
    clip.holds()


def test_a_track_is_answered_in_one(clip: Clip) -> None:
    page = clip.page
    clip.select(1)
    with clip.one_request(60, "repair"):
        press(page, "x")
    assert {state(clip.here.project, item)["lane"] for item in clip.items if item != clip.items[SWITCH]} == {"repair"}

    press(page, "Shift+Q")
    choose(page, "Repair")
    page.get_by_role("button", name="Start repairing").click()
    expect(page.get_by_role("heading", name="Mend track 1, car, then accept it.")).to_be_visible()
    with clip.one_request(59, "accept"):  # the other frame still waits for review
        press(page, "a")
    expect(page.get_by_role("heading", name="This clip is done.")).to_be_visible()
    found = [state(clip.here.project, item) for item in clip.items if item != clip.items[SWITCH]]
    assert {(one["lane"], one["outcome"], one["mend"]) for one in found} == {("", "accept", "")}

    press(page, "Shift+Q")
    choose(page, "Review")
    page.get_by_role("button", name="Start reviewing").click()
    expect(page.get_by_role("heading", name="Is track 4 the same car all the way?")).to_be_visible()
    with clip.one_request(1, "accept"):
        press(page, "a")
    clip.holds()


def test_the_frame_shown_is_the_frame_meant(clip: Clip) -> None:
    rng = np.random.default_rng(30)
    for frame in rng.integers(0, 60, 30).tolist():
        clip.seek(frame)
        assert clip.burnt_in() == frame
        expect(clip.page.locator(".where b")).to_have_text(str(frame))
    for key, frame in (("Home", 0), (".", 1), ("Shift+Period", 11), (",", 10), ("End", 59), ("Shift+Comma", 49)):
        clip.page.keyboard.press(key)
        clip.page.wait_for_function("(n) => window.__hyla.clip.frame === n && window.__hyla.ring.peek(n)", arg=frame)
        settle(clip.page)
        assert clip.burnt_in() == frame


def test_lines_of_a_real_clip_keep_their_shape(serve: Callable[..., Served], visit: Callable[..., Page], tmp_path: Path) -> None:
    from hyla_driving import sample

    hyla("run", "preset=driving", "model=embedded", f"source={sample.write(tmp_path, frames=16)}", f"out={tmp_path / 'out'}")
    here = serve(tmp_path / "out")
    with project(here.project) as found:
        records = sorted((one for one in found.records() if one.item.group), key=lambda one: one.item.index)
    at = 8
    assert (records[at].labels.kind == Kind.POLYLINE).any()
    both = set(records[at].labels.track) & set(records[at - 1].labels.track) - {-1}
    items = [one.item.id for one in records]
    page = visit(here)
    open_video(page, items[at])
    clip = Clip(here, page, items)
    # Whatever is drawn at any moment, no line may be drawn as a box.
    page.evaluate(
        "() => { const most = window.__most = {}; const look = () => { const { clip } = window.__hyla;"
        " const n = clip.entries.filter((one) => one.label.kind === 'box').length;"
        " most[clip.frame] = Math.max(most[clip.frame] ?? 0, n); requestAnimationFrame(look) }; look() }"
    )
    press(page, "Enter")
    page.wait_for_function("(n) => window.__hyla.clip.frame === n", arg=at + 1)
    saved(page)
    clip.seek(at)
    shown(page, records[at])
    clip.select(int(min(both)))
    with page.expect_response("**/api/v1/decisions"):
        press(page, "s")
    saved(page)
    shown(page, records[at])
    clip.seek(at + 2)
    shown(page, records[at + 2])
    for frame, most in page.evaluate("window.__most").items():
        assert most <= (records[int(frame)].labels.kind == Kind.BOX).sum()


def shown(page: Page, record: Any) -> None:
    """Assert that the labels on the screen are those of a record, each of its own kind."""
    pairs = zip(record.labels.kind, record.labels.shape, strict=True)
    kinds = [[Kind(kind).word, 0 if shape is None else len(shape)] for kind, shape in pairs]
    assert sorted(page.evaluate(KINDS)) == sorted(kinds)
