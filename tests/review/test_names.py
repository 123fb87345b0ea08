"""Names over HTTP: what waits by name, pages of one name, references, renaming some crops and all of a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image as Pillow

from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.store.ranges import from_ranges
from hyla.types import Flag, Verdict
from packs_kit import BERRY, COLA, LIME, ORANGE, PACKS, TWIN
from review_kit import TWICE, Person, Room, code, waiting

PHOTOS = 6
REFERENCE = "/media/reference.jpg"


@pytest.fixture
def shop(packs) -> Iterator[Room]:
    with Project.open(packs(PHOTOS)) as project:
        yield Room(project)


def named(room: Room) -> Counter[tuple[str, str]]:
    """Count the labels that hold by class and name, as their packed form has it."""
    found: Counter[tuple[str, str]] = Counter()
    schema = room.project.schema()
    for record in room.project.records():
        names = record.labels.attributes["product"].tolist()
        found.update((schema.names[c], name or "") for c, name in zip(record.labels.class_id.tolist(), names, strict=True))
    return found


def listed(who: Person, **how: Any) -> list[tuple[str, str, int]]:
    answer = who.get("/names?" + "&".join(f"{key}={value}" for key, value in how.items()))
    assert answer.status_code == 200, answer.text
    return [(one["class"], one["name"], one["waiting"]) for one in answer.json()["names"]]


def page(who: Person, name: str, of: str = "drink", **how: Any) -> list[dict[str, Any]]:
    answer = who.post("/grid", {"tab": who.tab, "class": of, "name": name, "n": 96, **how})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["cells"])


def rename(who: Person, cells: list[dict[str, Any]], name: str, seen: bool = True, **more: Any) -> Any:
    """Call crops something else, as the page does: one edit of each item."""
    decisions = []
    for item in dict.fromkeys(one["item"] for one in cells):
        rows = [one["row"] for one in cells if one["item"] == item]
        annotation = next(one["annotation"] for one in cells if one["item"] == item)
        changes = {"rename": {str(row): {"name": name, **more} for row in rows}}
        given = {"item": item, "action": "edit", "annotation": annotation, "changes": changes, "done": False}
        decisions.append({**given, "rows": rows if seen else []})
    return who.post("/decisions", {"decisions": decisions, "tab": who.tab, "mode": "grid"}, str(uuid4()))


def merge(who: Person, name: str, to: str, n: int = 200) -> tuple[list[int], int]:
    """Call all of a name something else, part by part; return the numbers of the decisions, and the labels left out."""
    made, skipped, after = [], 0, 0
    while True:
        part = who.post("/names/take", {"tab": who.tab, "name": name, "after": after, "n": n}).json()
        cells = [{"item": o["item"], "annotation": o["annotation"], "row": row} for o in part["items"] for row in o["rows"]]
        if cells:
            answer = rename(who, cells, to, seen=False)
            assert answer.status_code == 200, answer.text
            made += [one["seq"] for one in answer.json()["made"]]
            who.post("/leases/release", {"tab": who.tab, "items": [o["item"] for o in part["items"]]})
        skipped, after = skipped + part["skipped"], part["next"]
        if not after:
            return made, skipped


def picture(who: Person, name: str, size: int = 64) -> Any:
    return who.http.get(REFERENCE, params={"name": name, "size": size})


def looks(content: bytes) -> np.ndarray:
    """Return the mean colour of the middle of a JPEG."""
    pixels = np.asarray(Pillow.open(BytesIO(content)).convert("RGB")).astype(float)
    height, width = pixels.shape[:2]
    return pixels[int(height * 0.72) : int(height * 0.82), int(width * 0.4) : int(width * 0.6)].mean(axis=(0, 1))


# What waits


def test_what_waits_is_listed_by_class_and_name(shop: Room) -> None:
    ann, there = shop.person("ann"), named(shop)
    found = listed(ann)
    assert {(of, name): n for of, name, n in found} == there
    assert [n for *_, n in found] == sorted(there.values(), reverse=True)
    assert [name for _, name, _ in listed(ann, order="name")] == ["", BERRY, TWIN, COLA, LIME, ORANGE]
    assert next(name for _, name, _ in listed(ann, order="doubt")) == LIME  # what it should not be called, with low scores
    assert listed(ann, words="COLA") == [one for one in found if "cola" in one[1].lower()]
    assert [name for _, name, _ in listed(ann, words="330 col")] == [COLA]
    assert [of for of, *_ in listed(ann, words="snack")] == ["snack"]
    assert listed(ann, words="tea") == []
    parts = [*listed(ann, limit=2), *listed(ann, limit=2, skip=2), *listed(ann, limit=2, skip=4)]
    assert parts == found
    assert ann.get("/names?limit=2").json()["total"] == len(found)
    assert {one["identity"] for one in ann.get("/session").json()["data_schema"]["attributes"] if one["name"] == "product"} == {
        True
    }


def test_what_was_answered_waits_no_longer(shop: Room) -> None:
    ann, there = shop.person("ann"), named(shop)
    cells = page(ann, ORANGE)
    assert len(cells) == there["drink", ORANGE]
    decisions = [
        {"item": one["item"], "annotation": one["annotation"], "action": action, "rows": [one["row"]]}
        for one, action in zip(cells[:3], ("accept", "repair", "unsure"), strict=True)
    ]
    assert ann.decide(*decisions, mode="grid").status_code == 200
    assert ("drink", ORANGE, len(cells) - 3) in listed(ann)
    assert len(page(ann, ORANGE)) == len(cells) - 3


def test_a_page_of_a_name_begins_with_the_most_doubtful_or_the_surest(shop: Room) -> None:
    ann, there = shop.person("ann"), named(shop)
    doubtful = page(ann, LIME, doubtful=True)
    assert len(doubtful) == there["drink", LIME]
    scores = [one["score"] for one in doubtful]
    assert scores == sorted(scores)
    assert [one["score"] for one in page(ann, LIME)] == scores[::-1]
    assert page(ann, LIME, "snack") == page(ann, "tea") == []
    assert len(page(ann, "")) == there["drink", ""]
    answer = ann.post("/grid", {"tab": ann.tab, "class": "drink", "name": LIME, "n": 5}).json()
    assert (len(answer["cells"]), answer["waiting"]) == (5, there["drink", LIME])


def test_names_are_for_who_may_review(shop: Room) -> None:
    vic = shop.person("vic", "viewer")
    for path in ("/names", "/names/known", f"/names/called?name={LIME}"):
        assert code(vic.get(path)) == (403, "role")
    assert code(vic.post("/names/take", {"tab": vic.tab, "name": LIME})) == (403, "role")
    assert picture(vic, LIME).status_code == 200
    vic.http.cookies.clear()
    assert picture(vic, LIME).status_code == 401


def test_who_answers_blind_is_told_no_name(shop: Room) -> None:
    ann, ben = shop.person("ann"), shop.person("ben")
    [item] = ann.take(1, mode="blind")
    other = ann.in_tab("tab-2")
    for path in ("/names", "/names/known?words=li", f"/names/called?name={LIME}"):
        assert code(other.get(path)) == (403, "blind")
    assert code(other.post("/grid", {"tab": other.tab, "class": "drink", "name": LIME})) == (403, "blind")
    assert code(other.post("/names/take", {"tab": other.tab, "name": LIME})) == (403, "blind")
    assert code(picture(other, LIME)) == (403, "blind")
    assert listed(ben)
    assert item not in {one["item"] for one in page(ben, LIME)}
    ann.post("/leases/release", {"tab": ann.tab, "items": [item]})
    assert listed(other)
    # Whoever saw crops of a picture does not answer it blind any more.
    seen = {one["item"] for one in page(ben, LIME)}
    ben.post("/leases/release", {"tab": ben.tab, "items": sorted(seen)})
    assert not seen & set(ben.take(20, mode="blind"))


# References


def test_a_reference_is_the_loaders(shop: Room) -> None:
    ann = shop.person("ann")
    answer = picture(ann, LIME)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert max(Pillow.open(BytesIO(answer.content)).size) == 64
    assert looks(answer.content) == pytest.approx([60, 180, 60], abs=12)
    assert max(Pillow.open(BytesIO(picture(ann, LIME, 512).content)).size) == 100  # no larger than it is
    again = ann.http.get(REFERENCE, params={"name": LIME, "size": 64}, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in (TWIN, "tea", "torn", "../../etc/passwd", "x" * 5000):
        assert (picture(ann, name).status_code, picture(ann, name).content) == (204, b"")
    assert picture(ann, "").status_code == 422
    assert ann.http.get(REFERENCE, params={"name": LIME, "size": 4096}).status_code == 422


def test_what_a_person_named_is_the_reference_until_the_loader_has_one(shop: Room) -> None:
    ann = shop.person("ann")
    white = page(ann, "")[0]
    assert rename(ann, [white], "Milk").status_code == 200
    answer = picture(ann, "Milk")
    assert answer.status_code == 200
    assert looks(answer.content).min() > 200  # the white pack
    assert [one["name"] for one in ann.get("/names/known?words=mil").json()["names"]] == ["Milk"]
    newer = page(ann, LIME)[0]
    assert rename(ann, [newer], "Milk").status_code == 200
    assert looks(picture(ann, "Milk").content) == pytest.approx([60, 180, 60], abs=30)
    merge(ann, "Milk", "Milk 1 l")
    assert picture(ann, "Milk").status_code == 204
    assert ann.get("/names/known?words=mil").json()["names"] == [{"name": "Milk 1 l", "title": "", "class": "drink"}]


def test_a_first_answer_is_no_reference_for_who_gives_the_second(packs, tmp_path: Path) -> None:
    with told(packs(2), tmp_path / "out", Verdict.REVIEW, TWICE) as room:
        ann, ben, cy = room.person("ann"), room.person("ben"), room.person("cy", "viewer")
        item = ann.take(1)[0]
        ann.done(item, "edit", changes={"rename": {"3": {"name": "Milk"}}}, rows=[3])
        assert room.project.state(item)["lane"] == "second"
        assert picture(ann, "Milk").status_code == picture(cy, "Milk").status_code == 200
        assert picture(ben, "Milk").status_code == 204
        assert merge(ann, "Milk", "Milk 1 l") == ([], 1)  # it waits for ben
        ben.take_one(item)
        ben.done(item)
        assert picture(ben, "Milk").status_code == 200  # who answered may know
        assert room.project.state(item)["lane"] == "adjudicate"
        assert picture(room.person("mo", "adjudicator"), "Milk").status_code == 200


# Renaming


def test_renaming_is_one_decision_of_each_item_and_answers_these_labels(shop: Room) -> None:
    ann, before = shop.person("ann"), named(shop)
    cells = page(ann, LIME, doubtful=True)
    two = [one for one in cells if one["item"] == cells[0]["item"]][:2]
    one = next(o for o in cells if o["item"] != two[0]["item"])
    answer = rename(ann, [*two, one], BERRY, **{"class": "snack"})
    assert answer.status_code == 200
    made = answer.json()["made"]
    assert len(made) == 2
    assert [(d.action, d.mode, sorted(d.rows)) for d in shop.project.decisions()] == [
        ("edit", "grid", sorted(o["row"] for o in two)),
        ("edit", "grid", [one["row"]]),
    ]
    after = before - Counter({("drink", LIME): 3}) + Counter({("snack", BERRY): 3})
    assert named(shop) == after
    state = shop.project.state(one["item"])
    assert state["lane"] == "review"
    assert from_ranges(state["open"]) == set(range(PACKS)) - {one["row"]}
    record = shop.project.record(one["item"], "best")
    assert record is not None
    assert record.labels.score[one["row"]] == 1
    assert record.labels.attributes["shelf"][one["row"]] == one["row"] // 4 + 1
    assert {(o["item"], o["row"]) for o in page(ann, LIME)} == {(o["item"], o["row"]) for o in cells} - {
        (o["item"], o["row"]) for o in [*two, one]
    }
    assert ("snack", BERRY, before["snack", BERRY]) in listed(ann)  # what was answered does not wait
    assert shop.project.verify().ok
    assert ann.undo(*(o["seq"] for o in made)).status_code == 200
    assert named(shop) == before
    assert len(page(ann, LIME)) == len(cells)
    assert shop.project.verify().ok


def test_the_last_label_that_is_renamed_finishes_the_item(shop: Room) -> None:
    ann = shop.person("ann")
    item = ann.take(1)[0]
    shown = ann.item(item)
    cells = [{"item": item, "annotation": shown["state"]["annotation"], "row": row} for row in range(PACKS)]
    ann.post("/leases/release", {"tab": ann.tab, "items": [item]})
    assert rename(ann, cells[1:], "Milk").status_code == 200
    assert shop.project.state(item)["lane"] == "review"
    now = {**cells[0], "annotation": shop.project.state(item)["annotation"]}
    assert rename(ann, [now], "").status_code == 200
    state = shop.project.state(item)
    assert (state["lane"], state["outcome"]) == ("", "accept")
    record = shop.project.record(item, "best")
    assert record is not None
    assert record.labels.attributes["product"].tolist() == [None, *["Milk"] * (PACKS - 1)]


def test_a_title_is_that_of_the_name_and_goes_with_it(packs, tmp_path: Path) -> None:
    with told(packs(2), tmp_path / "out", Verdict.REVIEW, titled=True) as room:
        ann = room.person("ann")
        (lime,) = ann.get("/names?words=fresh lim").json()["names"]
        assert (lime["name"], lime["title"]) == (LIME, f"Fresh {LIME}")
        assert ann.get("/names/known?words=fresh ber").json()["names"] == [
            {"name": BERRY, "title": f"Fresh {BERRY}", "class": "snack"}
        ]
        cells = page(ann, LIME)
        assert {(one["called"], one["title"]) for one in cells} == {(LIME, f"Fresh {LIME}")}
        assert rename(ann, cells[:1], "Milk").status_code == 200
        assert ann.get("/names/known?words=milk").json()["names"] == [{"name": "Milk", "title": "", "class": "drink"}]
        same = next(one for one in page(ann, LIME) if one["item"] != cells[0]["item"])
        assert rename(ann, [same], LIME).status_code == 200
        record = room.project.record(same["item"], "best")
        assert record is not None
        assert record.labels.attributes["name"][same["row"]] == f"Fresh {LIME}"
        assert room.project.verify().ok


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rename": {"99": {"name": "x"}}}, "row 99"),
        ({"rename": {"0": {"name": "x"}}, "drop": [0]}, "both changed and dropped"),
        ({"rename": {"0": {"name": "x", "class": "label"}}}, "a label has no product"),
        ({"rename": {"0": {"name": "x", "class": "ufo"}}}, "no class 'ufo'"),
        ({"rename": {"0": {"name": "x", "class": "pack"}}}, "does not allow"),
        ({"rename": {"0": {"name": " x "}}}, "name"),
        ({"rename": {"0": {"name": "x" * 301}}}, "name"),
    ],
)
def test_what_can_not_be_called_so_is_refused(shop: Room, changes: dict[str, Any], words: str) -> None:
    ann = shop.person("ann")
    [item] = ann.take(1)
    answer = ann.decide({"item": item, "action": "edit", "changes": changes})
    assert answer.status_code == 422
    assert words in answer.json()["error"]["message"]


def test_where_nothing_has_a_name_nothing_is_renamed(room: Room) -> None:
    room.store(waiting("a"))
    ann = room.person("ann")
    ann.take(1)
    answer = ann.decide({"item": "a", "action": "edit", "changes": {"rename": {"0": {"name": "x"}}}})
    assert code(answer) == (422, "labels")
    assert ann.get("/names").json() == {"names": [], "total": 0}
    assert ann.get("/names/known").json() == {"names": []}
    assert picture(ann, "x").status_code == 204
    assert ann.post("/names/take", {"tab": ann.tab, "name": "x"}).json()["items"] == []


# All of a name


def test_all_of_a_name_is_called_something_else_and_goes_on_waiting(shop: Room) -> None:
    ann, before = shop.person("ann"), named(shop)
    scores = sorted(one["score"] for one in [*page(ann, COLA), *page(ann, TWIN)])
    n = before["drink", TWIN]
    assert ann.get(f"/names/called?name={TWIN}").json() == {"waiting": n, "decided": 0, "unseen": 0}
    made, skipped = merge(ann, TWIN, COLA, n=2)
    assert skipped == 0
    after = before - Counter({("drink", TWIN): n}) + Counter({("drink", COLA): n})
    assert named(shop) == after
    assert {(of, name): waits for of, name, waits in listed(ann)} == after
    assert sorted(one["score"] for one in page(ann, COLA)) == scores
    assert [one["name"] for one in ann.get("/names/known?words=cola").json()["names"]] == [COLA]
    assert {one.mode for one in shop.project.decisions()} == {"grid"}
    assert shop.project.verify().ok
    assert ann.undo(*made).status_code == 200
    assert named(shop) == before
    assert shop.project.verify().ok


def test_what_people_decided_stays_decided_under_the_new_name(shop: Room) -> None:
    ann = shop.person("ann")
    item = next(one["item"] for one in page(ann, TWIN))
    ann.post("/leases/release", {"tab": ann.tab, "items": [one["item"] for one in page(ann, TWIN)]})
    ann.take_one(item)
    ann.done(item)
    n = sum(name == TWIN for name in _names(shop, item))
    assert ann.get(f"/names/called?name={TWIN}").json()["decided"] == n
    merge(ann, TWIN, COLA)
    state = shop.project.state(item)
    assert (state["lane"], state["outcome"]) == ("", "accept")
    assert TWIN not in _names(shop, item)
    assert named(shop)["drink", TWIN] == 0


def test_what_others_hold_or_wait_for_is_left_out_and_counted(shop: Room) -> None:
    ann, ben = shop.person("ann"), shop.person("ben")
    with_twin = list(dict.fromkeys(one["item"] for one in page(ann, TWIN)))
    ann.post("/leases/release", {"tab": ann.tab, "items": with_twin})
    taken, doubted, wrong = with_twin[:3]
    ben.take_one(taken)
    ben.take_one(doubted)
    ben.done(doubted, "unsure")
    ann.take_one(wrong)
    row = next(i for i, name in enumerate(_names(shop, wrong)) if name == TWIN)
    ann.done(wrong, "repair", rows=[row])
    ann.post("/leases/release", {"tab": ann.tab, "items": [wrong]})
    expected = sum(_names(shop, item).count(TWIN) for item in (taken, doubted, wrong))
    _, skipped = merge(ann, TWIN, COLA)
    assert skipped == expected == named(shop)["drink", TWIN]
    # Said straight away, it is refused: somebody called that label wrong, and nobody looked at it again.
    cell = {"item": wrong, "annotation": shop.project.state(wrong)["annotation"], "row": row}
    assert code(rename(ann, [cell], COLA, seen=False)) == (422, "labels")
    assert rename(ann, [cell], COLA).status_code == 200


def test_what_nobody_looked_at_keeps_its_name(packs, tmp_path: Path) -> None:
    with told(packs(2), tmp_path / "out", Verdict.ACCEPT) as room:
        ann, before = room.person("ann"), named(room)
        n = before["drink", TWIN]
        assert ann.get(f"/names/called?name={TWIN}").json() == {"waiting": 0, "decided": 0, "unseen": n}
        assert merge(ann, TWIN, COLA) == ([], n)
        assert named(room) == before
        assert list(room.project.decisions()) == []


@contextmanager
def told(source: Path, folder: Path, verdict: Verdict, *flags: Flag, titled: bool = False) -> Iterator[Room]:
    """Give a room with the labels of another project, which have this verdict and these flags here, and titles if asked."""
    with Project.open(source) as first, Project.create(folder) as project:
        about = {name: first.runs()[0][name] for name in ("versions", "provenance")}
        schema = first.schema().to_dict()
        if titled:
            schema["attributes"]["name"] = {"type": "text"}
        project.start_run(settings=first.settings(), schema=Schema.from_config(schema), source=first.source(), **about)
        made = [replace(one, flags=flags, verdict=verdict) for one in first.records()]
        for one in made if titled else ():
            names = one.labels.attributes["product"].tolist()
            one.labels.attributes["name"] = np.array([name and f"Fresh {name}" for name in names], dtype=object)
        project.write([Stored(one, i, 0.0) for i, one in enumerate(made)])
        yield Room(project)


def _names(room: Room, item: str) -> list[str | None]:
    record = room.project.record(item, "best")
    assert record is not None
    return list(record.labels.attributes["product"].tolist())
