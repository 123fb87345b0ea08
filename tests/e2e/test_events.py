"""Events of a clip: watched in a loop, confirmed and denied in all of their frames at once, by as many people as they want."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from hydra.core.singleton import Singleton
from playwright.sync_api import Page, expect

import events_kit
from conftest import forget_plugins
from page_kit import decisions, holds, press, project, saved, settle, state
from served import Served

FRAMES = 80
LOITERING, HANDOVER, INTRUSION = events_kit.EVENTS
NOW = "window.__hyla?.clip"


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a project of one clip with three events, its plugin installed."""
    site = events_kit.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    kept = Singleton.get_state()
    forget_plugins()
    yield events_kit.make_project(tmp_path / "yard", FRAMES)
    Singleton.set_state(kept)
    forget_plugins()


class Yard:
    """The clip in a browser, and what is stored of it."""

    def __init__(self, here: Served, page: Page) -> None:
        self.here, self.page = here, page
        with project(here.project) as found:
            self.items = [one.item.id for one in sorted(found.records(), key=lambda one: one.item.index)]

    def start(self) -> None:
        """Begin what the queue offers, and wait for the first event."""
        self.page.get_by_role("button", name="Start re").click()
        self.asked(LOITERING)

    def asked(self, track: int) -> None:
        self.page.wait_for_function(
            f"(id) => {NOW}?.question.about === 'event' && {NOW}.question.event.track === id && {NOW}.editing.pending === 0",
            arg=track,
        )

    def kept(self) -> None:
        """Wait until the server has all that was done."""
        self.page.wait_for_function(f"() => {NOW}.editing.pending === 0")
        saved(self.page)

    def shown(self, name: str) -> str:
        """Return what the list says of an event."""
        return self.page.get_by_role("listbox", name="Events").get_by_role("option", name=name).inner_text()

    def seek(self, frame: int) -> None:
        self.page.evaluate(f"(n) => {NOW}.seek(n)", frame)
        settle(self.page)

    def pause(self) -> None:
        if self.page.evaluate(f"{NOW}.playing"):
            press(self.page, "Space")

    def frames(self, track: int, source: str = "best") -> list[int]:
        """Return the frames whose labels that hold have a track."""
        with project(self.here.project) as opened:
            records = [opened.record(item, source) for item in self.items]
            return [i for i, one in enumerate(records) if one and (one.labels.track == track).any()]

    def lanes(self, frames: list[int]) -> set[str]:
        return {state(self.here.project, self.items[i])["lane"] for i in frames}

    def made(self, before: int) -> list[tuple[str, str]]:
        return [(one.action, one.who) for one in decisions(self.here.project)[before:]]


@pytest.fixture
def clip(yard: Path, serve: Callable[..., Served], visit: Callable[..., Page]) -> Yard:
    found = Yard(here := serve(yard, "ben", "kim:adjudicator"), visit(here))
    found.start()
    return found


def test_one_key_answers_an_event_in_all_of_its_frames(clip: Yard) -> None:
    page = clip.page
    loitering, handover = clip.frames(LOITERING), clip.frames(HANDOVER)
    assert len(loitering) > 10
    expect(page.get_by_role("heading", name="Did this happen: loitering?")).to_be_visible()
    expect(page.get_by_text("1 of 3")).to_be_visible()
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" and "decisions" in one.url else None)
    press(page, "y")
    clip.asked(HANDOVER)
    saved(page)
    assert clip.made(0) == [("accept", "ann")] * len(loitering)
    assert len(sent) == 1, "all or nothing"
    expect(page.get_by_text("2 of 3")).to_be_visible()
    assert "confirmed by ann" in clip.shown("loitering")
    alone = [i for i in loitering if i not in handover]
    assert clip.lanes(alone) == {""}

    before = len(decisions(clip.here.project))
    press(page, "n")
    clip.asked(INTRUSION)
    saved(page)
    assert clip.made(before) == [("reject", "ann")] * len(handover)
    assert clip.frames(HANDOVER) == []
    assert "denied by ann" in clip.shown("handover")

    press(page, "z")  # one key takes the whole of it back, and asks again
    clip.asked(HANDOVER)
    saved(page)
    assert clip.frames(HANDOVER) == handover
    assert "candidate" in clip.shown("handover")
    press(page, "Enter")
    clip.asked(INTRUSION)
    press(page, "x")
    page.wait_for_function(f"() => {NOW}.events.left.length === 0")
    saved(page)
    assert clip.frames(INTRUSION) == []
    assert "needs a second person" in clip.shown("handover")
    holds(clip.here.project)


def test_a_loop_around_the_event_in_which_who_takes_part_is_lit(clip: Yard) -> None:
    page = clip.page
    first, last = page.evaluate(f"{NOW}.events.loop")
    start = clip.frames(LOITERING)[0]
    assert (first, last) == (max(0, start - 5 * events_kit.FPS), min(FRAMES - 1, start + 5 * events_kit.FPS))
    page.wait_for_function(f"(n) => {NOW}.frame > n + 3 && {NOW}.playing", arg=first)
    clip.seek(last)
    page.wait_for_function(f"(n) => {NOW}.playing && {NOW}.frame < n", arg=first + 20)
    clip.pause()
    assert page.evaluate(f"{NOW}.events.cast.map((one) => one.mark.track)") == [2]
    press(page, "v")
    clip.asked(HANDOVER)
    clip.pause()
    lit = page.locator(".viewer-spotlight canvas")
    assert page.evaluate(f"{NOW}.events.cast.map((one) => one.mark.track)") == [1, 2]
    dark = """(one) => {
      const copy = new OffscreenCanvas(one.width, one.height).getContext("2d", { willReadFrequently: true });
      copy.drawImage(one, 0, 0);
      return copy.getImageData(one.width / 2, one.height - 20, 1, 1).data[3];
    }"""
    assert lit.evaluate(dark) > 100, "what has no part in it is dimmed"
    before = page.evaluate(f"{NOW}.events.loop")
    press(page, "]")
    wider = page.evaluate(f"{NOW}.events.loop")
    assert wider[0] <= before[0]
    assert wider[1] > before[1]
    press(page, "[")
    assert page.evaluate(f"{NOW}.events.loop") == before
    press(page, "Escape")
    clip.pause()
    settle(page)
    assert lit.evaluate(dark) == 0


def test_the_second_person_answers_unswayed(clip: Yard, visit: Callable[..., Page]) -> None:
    handover = clip.frames(HANDOVER)
    for track in (LOITERING, HANDOVER, INTRUSION):
        clip.asked(track)
        press(clip.page, "y")
    clip.page.wait_for_function(f"() => {NOW}.events.left.length === 0")
    saved(clip.page)
    # The doubted track stands in a frame of the handover; once it is answered, all of them wait for somebody else.
    clip.page.wait_for_function(f"() => {NOW}.question.about === 'track'")
    press(clip.page, "y")
    saved(clip.page)
    assert clip.lanes(handover) == {"second"}
    clip.page.keyboard.press("Shift+Q")

    heard: list[Any] = []
    ben = Yard(clip.here, visit(clip.here, "ben", heard=heard))
    ben.start()
    page = ben.page
    expect(page.get_by_role("heading", name="Your own opinion: is this loitering?")).to_be_visible()
    told = [one.text() for one in heard if "/clips/" in one.url]
    assert told, "the clip was asked for"
    assert '"said":["ann"]' not in "".join(told).partition('"track":102')[0], "the first answer does not travel"
    before = len(decisions(clip.here.project))
    press(page, "y")
    ben.asked(HANDOVER)
    assert ben.made(before) == [], "events of the same frames are sent together"
    assert "you say yes, not sent" in ben.shown("loitering")
    press(page, "z")
    ben.asked(LOITERING)
    press(page, "y")
    ben.asked(HANDOVER)
    press(page, "y")
    page.wait_for_function(f"() => {NOW}.events.left.length === 0 && {NOW}.editing.pending === 0")
    saved(page)
    assert ben.made(before) == [("opinion", "ben")] * len(handover)
    assert ben.lanes(handover) == {""}
    page.get_by_role("listbox", name="Events").get_by_text("confirmed by ann and ben").wait_for()
    with project(clip.here.project) as opened:
        counts = opened.confirmations([clip.items[i] for i in handover])
        assert all(max(one) == 2 for one in counts.values())

    press(page, "z")  # and back, in one
    page.wait_for_function(f"() => {NOW}.events.left.length > 0")
    saved(page)
    assert ben.lanes(handover) == {"second"}
    holds(clip.here.project)


def test_an_adjudicator_chooses_once_for_all_frames(clip: Yard, visit: Callable[..., Page]) -> None:
    handover, loitering = clip.frames(HANDOVER), clip.frames(LOITERING)
    for track, key in ((LOITERING, "y"), (HANDOVER, "y"), (INTRUSION, "y")):
        clip.asked(track)
        press(clip.page, key)
    clip.page.wait_for_function(f"() => {NOW}.question.about === 'track'")
    press(clip.page, "y")
    clip.kept()
    clip.page.keyboard.press("Shift+Q")
    ben = Yard(clip.here, visit(clip.here, "ben"))
    ben.start()
    press(ben.page, "y")
    ben.asked(HANDOVER)
    press(ben.page, "n")
    ben.page.wait_for_function(f"() => {NOW}.events.left.length === 0")
    ben.kept()
    assert ben.lanes(handover) == {"adjudicate"}
    ben.page.keyboard.press("Shift+Q")

    kim = Yard(clip.here, visit(clip.here, "kim", f"video/{clip.items[handover[0]]}"))
    kim.asked(HANDOVER)
    expect(kim.page.get_by_role("heading", name="Two people differ: is this handover?")).to_be_visible()
    before = len(decisions(clip.here.project))
    press(kim.page, "y")
    kim.page.wait_for_function(f"() => {NOW}.events.left.length === 0")
    kim.kept()
    assert kim.made(before) == [("adjudicate", "kim")] * len(handover)
    assert kim.lanes(handover) == {""}
    assert kim.frames(HANDOVER) == handover
    assert kim.frames(LOITERING) == loitering
    holds(clip.here.project)


def test_start_and_end_are_moved_and_an_event_is_added_and_removed(clip: Yard) -> None:
    page = clip.page
    clip.pause()
    before = clip.frames(INTRUSION)
    page.get_by_role("listbox", name="Events").get_by_role("option", name="intrusion").click()
    clip.asked(INTRUSION)
    clip.pause()
    clip.seek(before[0] - 6)
    press(page, "Shift+S")
    clip.kept()
    clip.seek(before[-1] - 4)
    press(page, "Shift+E")
    clip.kept()
    moved = clip.frames(INTRUSION)
    assert moved == list(range(before[0] - 6, before[-1] - 3))
    with project(clip.here.project) as opened:
        for frame in moved:
            record = opened.record(clip.items[frame])
            assert record is not None
            (row,) = np.flatnonzero(record.labels.track == INTRUSION)
            times = [record.labels.attributes[name][row] for name in ("start", "end")]
            assert times == [moved[0] / events_kit.FPS, moved[-1] / events_kit.FPS]
    page.keyboard.press("z")
    expect(page.locator(".toasts")).to_contain_text("Undone: End of intrusion")
    clip.kept()
    assert clip.frames(INTRUSION) == list(range(before[0] - 6, before[-1] + 1))

    page.get_by_role("listbox", name="Tracks").get_by_role("option", name="Track 1,").click()
    clip.seek(4)
    press(page, "q")
    form = page.get_by_role("form", name="New event")
    form.get_by_label("Event").select_option("loitering")
    expect(form.get_by_label("Tracks")).to_have_value("1")
    form.get_by_label("Tracks").fill("1, 2")
    form.get_by_role("button", name="Add at frame 4").click()
    clip.kept()
    page.wait_for_function(f"() => {NOW}.events.selected?.first === 4")
    added = page.evaluate(f"{NOW}.events.selected.track")
    assert added > INTRUSION
    clip.seek(9)
    press(page, "Shift+E")
    clip.kept()
    assert clip.frames(added) == list(range(4, 10))
    assert page.evaluate(f"{NOW}.events.selected.participants") == [1, 2]
    press(page, "Delete")
    clip.kept()
    assert clip.frames(added) == []
    holds(clip.here.project)


def test_a_walk_through_a_track_splits_it_where_it_changes(clip: Yard) -> None:
    page = clip.page
    clip.pause()
    before = clip.frames(3)
    page.get_by_role("listbox", name="Tracks").get_by_role("option", name="Track 3,").click()
    press(page, "r")
    sheet = page.get_by_role("listbox", name="Crops of track 3")
    expect(sheet).to_be_focused()
    page.wait_for_function("() => [...document.querySelectorAll('.walk img')].every((one) => one.naturalWidth)")
    doubted = sheet.get_by_role("option", selected=True)
    expect(doubted).to_contain_text("identity switch")
    expect(sheet.locator(".doubt")).to_have_count(2)  # and where it was away
    switch = page.evaluate(f"{NOW}.frame")
    assert switch == -(-(FRAMES - 1) // 2)
    press(page, "ArrowRight")
    assert page.evaluate(f"{NOW}.frame") > switch
    press(page, "Shift+J")
    assert page.evaluate(f"{NOW}.frame") == switch
    press(page, "n")
    expect(sheet).to_have_count(0)
    clip.kept()
    assert clip.frames(3) == [i for i in before if i < switch]
    assert clip.frames(5) == [i for i in before if i >= switch], "numbered as tracks are, not as events"

    page.get_by_role("listbox", name="Tracks").get_by_role("option", name="Track 5,").click()
    press(page, "m")
    page.get_by_role("textbox", name="Number of the other track").fill("1")
    expect(page.get_by_text("Both have a box in")).to_be_visible()
    page.get_by_role("textbox", name="Number of the other track").fill("3")
    expect(page.get_by_text("Both have a box in")).to_have_count(0)
    page.keyboard.press("Enter")
    clip.kept()
    assert clip.frames(3) == before
    assert clip.frames(5) == []

    press(page, "r")
    expect(page.get_by_role("listbox", name="Crops of track 3")).to_be_focused()
    press(page, "Escape")
    expect(page.get_by_role("listbox", name="Crops of track 3")).to_have_count(0)
    holds(clip.here.project)


def participants(clip: Yard, event: int) -> list[Any]:
    """Return who takes part in an event, frame by frame."""
    with project(clip.here.project) as opened:
        records = [opened.record(clip.items[i]) for i in clip.frames(event)]
    found = [(one.labels, one.labels.track == event) for one in records if one]
    return [labels.attributes["participants"][here].item() for labels, here in found]


def test_a_split_gives_the_new_number_to_the_events_of_who_goes_on(clip: Yard) -> None:
    page = clip.page
    clip.pause()
    handover = clip.frames(HANDOVER)
    assert set(participants(clip, HANDOVER)) == {"1,2"}
    page.get_by_role("listbox", name="Tracks").get_by_role("option", name="Track 2,").click()
    clip.seek(handover[3])
    press(page, "s")
    clip.kept()
    assert participants(clip, HANDOVER) == ["1,2"] * 3 + ["1,5"] * (len(handover) - 3)
    assert [participants(clip, LOITERING)[i] for i in (0, -1)] == ["2", "5"]
    assert clip.lanes(handover) == {"review"}, "nobody said yet that it happened"
    page.get_by_role("listbox", name="Events").get_by_role("option", name="handover").click()
    clip.asked(HANDOVER)
    clip.pause()
    expect(page.get_by_text("tracks 1, 2, 5")).to_be_visible()
    page.get_by_role("listbox", name="Tracks").get_by_role("option", name="Track 5,").click()
    press(page, "m")
    page.get_by_role("textbox", name="Number of the other track").fill("2")
    page.keyboard.press("Enter")
    clip.kept()
    assert set(participants(clip, HANDOVER)) == {"1,2"}
    holds(clip.here.project)


def test_what_somebody_else_confirmed_is_denied_only_once_that_was_asked(clip: Yard, visit: Callable[..., Page]) -> None:
    intrusion = clip.frames(INTRUSION)
    clip.page.get_by_role("listbox", name="Events").get_by_role("option", name="intrusion").click()
    clip.asked(INTRUSION)
    press(clip.page, "y")
    clip.asked(LOITERING)
    clip.kept()
    clip.page.keyboard.press("Shift+Q")

    ben = Yard(clip.here, visit(clip.here, "ben"))
    ben.start()
    page = ben.page
    option = page.get_by_role("listbox", name="Events").get_by_role("option", name="intrusion")
    deny, remove = (page.get_by_role("heading", name=f"{word} this intrusion all the same?") for word in ("Deny", "Remove"))
    option.click()
    for key, question, way in (("n", deny, "n"), ("Delete", remove, "Escape"), ("x", deny, "n")):
        press(page, key)
        expect(question).to_be_visible()
        press(page, way)
        expect(question).to_have_count(0)
    press(page, "n")
    expect(page.get_by_text("It is confirmed by ann.")).to_be_visible()
    option.click()  # what is selected anew is not asked about
    expect(deny).to_have_count(0)
    assert ben.frames(INTRUSION) == intrusion
    before = len(decisions(clip.here.project))
    press(page, "n")
    for key in ("a", "Enter", "Shift+Enter", "u", "Delete"):  # which mean "right" elsewhere, or do not answer this
        press(page, key)
        expect(deny).to_be_visible()
    expect(page.locator(".toasts")).to_contain_text("Press Y to deny it, N to keep it.")
    ben.kept()
    assert ben.made(before) == []
    press(page, "y")
    expect(deny).to_have_count(0)
    ben.kept()
    assert ben.frames(INTRUSION) == []
    assert ben.made(before) == [("reject", "ben")] * len(intrusion)
    press(page, "z")
    ben.kept()
    assert ben.frames(INTRUSION) == intrusion
    holds(clip.here.project)


def test_digits_give_an_event_the_classes_of_events(clip: Yard) -> None:
    page = clip.page
    clip.pause()
    chips = page.get_by_role("region", name="Class of the event").get_by_role("button")
    assert [one.split()[-1] for one in chips.all_inner_texts()] == ["loitering", "intrusion", "handover", "person"]
    expect(chips.nth(3)).to_be_disabled()
    press(page, "4")
    expect(page.locator(".toasts")).to_contain_text("The class person is not for events.")
    clip.kept()
    assert decisions(clip.here.project) == []
    press(page, "2")
    clip.kept()
    page.wait_for_function(f"() => {NOW}.events.all.find((one) => one.track === {LOITERING}).class === 'intrusion'")
    press(page, "Escape")
    expect(page.get_by_role("region", name="Class to draw").get_by_role("button").first).to_contain_text("person")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(scheme: str, yard: Path, serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    page = visit(here := serve(yard), color_scheme=scheme, reduced_motion="reduce")
    clip = Yard(here, page)
    clip.start()
    assert not page.evaluate(f"{NOW}.playing"), "nothing moves unasked where the person wants that"
    press(page, "q")
    page.get_by_role("form", name="New event").wait_for()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("listbox", name="Tracks").get_by_role("option", name="Track 3,").click()
    press(page, "r")
    page.get_by_role("listbox", name="Crops of track 3").wait_for()
    assert serious(page) == []


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']} {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] in ("serious", "critical")]
