"""The dashboard shows what is stored, each figure with how many decisions are behind it; and people are let in from there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import median

from playwright.sync_api import Page, expect

from hyla.average_precision import wilson
from page_kit import another, decisions, holds, on_screen, press, project, saved, start
from screens import go, open_grid
from served import Served

MODES = {"One by one": "single", "Grid": "grid", "Blind": "blind"}


def table(page: Page, name: str) -> list[list[str]]:
    """Return the rows of a table as words."""
    rows = page.get_by_role("region", name=name).locator("tbody tr").all()
    return [[" ".join(cell.split()) for cell in row.locator("th, td").all_inner_texts()] for row in rows]


def time(text: str) -> float:
    """Return the seconds of "0.35 s", "12 s" or "2 min 5 s"."""
    words = text.split()
    return sum(float(n) * {"s": 1, "min": 60}[unit] for n, unit in zip(words[::2], words[1::2], strict=True))


def test_the_numbers_are_those_of_the_store(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("photo 24 9")
    page = visit(here)
    shown = start(page)
    for key in ("Enter", "Enter", "x", "Enter", "Space"):
        if key in ("x", "Space"):
            while sum(one["open"] for one in shown["labels"]) != 1:
                press(page, "f")
                shown = another(page, shown["id"])
        press(page, key)
        shown = another(page, shown["id"])
    open_grid(page, "car")
    press(page, "x", "Enter", "Enter")
    saved(page)
    press(page, "z")
    expect(page.locator(".toasts")).to_contain_text("Undone")
    saved(page)
    press(page, "Enter", "Enter")
    saved(page)
    go(page, "dashboard")
    page.get_by_role("heading", name="Pace").wait_for()

    with project(here.project) as found:
        counts = found.counts()
    progress = page.get_by_role("region", name="Progress")
    said = dict(zip(progress.locator("dt").all_inner_texts(), map(int, progress.locator("dd").all_inner_texts()), strict=True))
    sent = counts.items - counts.accepted - counts.rejected - counts.quarantined
    assert said == {
        "Accepted by the machine": counts.accepted,
        "Finished by people": sent - counts.waiting,
        "Waiting": counts.waiting,
        "Rejected by the machine": counts.rejected,
        "Could not be read": counts.quarantined,
    }
    assert said["Finished by people"] >= 3
    expect(progress).to_contain_text(f"{counts.items - counts.waiting} of {counts.items} items finished")

    everything = decisions(here.project)
    back = {one.undoes for one in everything}
    assert len(back) > 1
    made = [one for one in everything if one.seq not in back and one.action != "undo"]  # what was taken back counts nowhere
    times = defaultdict(list)
    for one in made:
        if one.active_ms:
            times[one.who, one.before["lane"].capitalize(), one.mode].append(one.active_ms / 1000)
    pace = {(who, lane, MODES[mode]): (middle, hourly, n) for who, lane, mode, middle, _, hourly, n in table(page, "Pace")}
    assert pace.keys() == times.keys()
    for key, (middle, hourly, n) in pace.items():
        assert int(n) == len(times[key])
        assert abs(time(middle) - median(times[key])) <= max(0.051, 0.06 * median(times[key]))
        assert abs(int(hourly.replace(",", "")) - 3600 * len(times[key]) / sum(times[key])) <= 1

    shares = {words[0].split(" The ")[0].split(" A ")[0]: words[1:] for words in table(page, "Agreement")}
    assert shares["Second opinion"][0] == shares["Blind"][0] == "Not yet"
    assert shares["Second opinion"][-1] == shares["Blind"][-1] == "0"
    single = [one for one in made if one.mode == "single" and one.before["lane"] == "review" != one.after["lane"]]
    single = [one for one in single if one.after["outcome"] == "accept" or one.after["lane"] == "repair"]
    n, hits = len(single), sum(one.after["outcome"] == "accept" for one in single)
    assert (n, hits) == (4, 3), "one was wrong, and who was unsure gave no answer"
    low, high = (f"{100 * share:.1f} %" for share in wilson(hits, n))
    assert shares["Untouched, one by one"] == [f"{100 * hits / n:.1f} %", f"{low} – {high}", str(n)]

    hours = page.get_by_role("region", name="Decisions per hour")
    hours.locator("summary").click()
    assert sum(int(text) for text in hours.locator("td.number").all_inner_texts()) == len(made)
    expect(page.get_by_role("region", name="Time saved")).to_contain_text("Not yet")
    holds(here.project)


def test_an_admin_lets_a_person_in(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("photo 12 9")
    page = visit(here, screen="dashboard")
    people = page.get_by_role("region", name="People")
    for name, role in (("kim", "viewer"), ("<b>lee</b>", "reviewer")):
        people.get_by_label("Name").fill(name)
        people.get_by_label("Role").select_option(role)
        people.get_by_role("button", name="Invite").click()
        link = people.get_by_label("Link for")
        expect(people.get_by_text(f"Link for {name}")).to_be_visible()
        here.links[name] = link.input_value()
        expect(people.locator("li").filter(has_text=name)).to_contain_text(role)

    kim = visit(here, "kim")
    expect(kim.locator("header .person")).to_have_text("kim viewer")
    expect(kim.get_by_text("You may look at the numbers, not decide.")).to_be_visible()
    expect(kim.get_by_role("button", name="Start reviewing")).to_have_count(0)
    go(kim, "dashboard")
    expect(kim.get_by_role("heading", name="Progress")).to_be_visible()
    expect(kim.get_by_role("heading", name="People")).to_have_count(0)
    with project(here.project) as found:
        item = next(found.records()).item.id
    go(kim, f"item/{item}")
    on_screen(kim, ready=False)
    expect(kim.get_by_text("You may look here, and not decide.")).to_be_visible()
    press(kim, "a", "Enter", "x")
    expect(kim.locator("header .saved")).to_have_text("Saved")
    assert decisions(here.project) == []

    lee = visit(here, "<b>lee</b>")
    expect(lee.locator("header .person")).to_have_text("<b>lee</b> reviewer")
    shown = start(lee)
    press(lee, "Enter")
    another(lee, shown["id"])
    saved(lee)
    assert [(one.who, one.item_id) for one in decisions(here.project)] == [("<b>lee</b>", shown["id"])]

    twice = visit(here, "kim", expect=("401", "403"))  # the link was used
    expect(twice.get_by_role("heading", name="This link did not let you in")).to_be_visible()
    expect(twice.get_by_role("alert")).not_to_be_empty()
    holds(here.project)
