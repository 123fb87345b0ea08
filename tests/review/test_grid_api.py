"""The grid over HTTP: the surest labels of one class, each item leased with them."""

from __future__ import annotations

from hyla.types import Flag, Labels, Record, Severity
from review_kit import LORRY, WALKER, Person, Room, code, waiting


def scored(name: str, *scores: float, class_id: int = LORRY, reason: str = "look") -> Record:
    boxes = [[10 * i, 5, 10 * i + 8, 40] for i in range(len(scores))]
    labels = Labels.of([class_id] * len(scores), boxes, score=scores)
    return waiting(name, labels, (Flag("all", reason, Severity.REVIEW),))


def test_a_page_is_surest_first(room: Room) -> None:
    room.store(scored("a", 0.3, 0.9), scored("b", 0.6), scored("w", 0.99, class_id=WALKER))
    ann = room.person("ann")
    grid = ann.post("/grid", {"tab": ann.tab, "class": "lorry"}).json()
    assert [(c["item"], c["row"], c["score"]) for c in grid["cells"]] == [("a", 1, 0.9), ("b", 0, 0.6), ("a", 0, 0.3)]
    assert (grid["class"], grid["waiting"], grid["seconds"]) == ("lorry", 3, 600)
    first = grid["cells"][0]
    assert (first["annotation"], first["name"], first["reason"]) == (1, "a.jpg", "look")
    assert first["crop"].startswith("/media/a/crop/1/1.jpg")
    x0, y0, x1, y1 = first["box"]
    assert 0 <= x0 < x1 <= 1
    assert 0 <= y0 < y1 <= 1


def test_a_page_is_bounded_and_by_reason(room: Room) -> None:
    room.store(scored("a", 0.9, 0.8, 0.7), scored("b", 0.6, reason="dark"))
    ann = room.person("ann")
    assert len(ann.post("/grid", {"tab": ann.tab, "class": "lorry", "n": 2}).json()["cells"]) == 2
    cells = ann.post("/grid", {"tab": ann.tab, "class": "lorry", "reason": "dark"}).json()["cells"]
    assert [c["item"] for c in cells] == ["b"]
    assert ann.post("/grid", {"tab": ann.tab, "class": "lorry", "n": 97}).status_code == 422
    assert ann.post("/grid", {"tab": ann.tab, "class": "ufo"}).status_code == 400


def test_a_page_is_one_tabs_and_comes_back(room: Room) -> None:
    room.store(*(scored(f"i{n}", 0.9 - n / 100) for n in range(6)))
    ann, ben = room.person("ann"), room.person("ben")
    body = {"tab": ann.tab, "class": "lorry", "n": 3}

    def page(who: Person, tab: str) -> list[str]:
        return [c["item"] for c in who.post("/grid", {**body, "tab": tab}).json()["cells"]]

    assert page(ann, ann.tab) == ["i0", "i1", "i2"]
    assert page(ben, ben.tab) == ["i3", "i4", "i5"]
    assert page(ann, ann.tab) == ["i0", "i1", "i2"]  # as long as nothing was decided
    assert page(ann, "tab-2") == []
    assert room.mode("i0", ann) == "grid"


def test_what_is_looked_at_as_a_whole_stays_out(room: Room) -> None:
    room.store(*(scored(f"i{n}", 0.9) for n in range(4)))
    ann = room.person("ann")
    ann.take(1)
    ann.take(1, mode="blind")
    room.person("ben").take(1)
    cells = ann.post("/grid", {"tab": ann.tab, "class": "lorry"}).json()["cells"]
    assert [c["item"] for c in cells] == ["i3"]
    assert room.mode("i0", ann) == "single"
    assert room.mode("i1", ann) == "blind"


def test_a_page_is_decided_in_one_request(room: Room) -> None:
    room.store(scored("a", 0.9, 0.8), scored("b", 0.7))
    ann = room.person("ann")
    cells = ann.post("/grid", {"tab": ann.tab, "class": "lorry"}).json()["cells"]
    wrong = ("a", 1)
    decisions = [
        {
            "item": c["item"],
            "annotation": c["annotation"],
            "action": "repair" if (c["item"], c["row"]) == wrong else "accept",
            "rows": [c["row"]],
            "active_ms": 400,
        }
        for c in cells
    ]
    answer = ann.decide(*decisions, mode="grid")
    assert answer.status_code == 200
    assert room.project.state("a")["lane"] == "repair"
    assert room.project.state("a")["open"] == "1"
    assert room.project.state("b")["outcome"] == "accept"
    assert {one.mode for one in room.project.decisions()} == {"grid"}
    assert room.desk.leases.held() == {}
    assert ann.undo(*(one["seq"] for one in answer.json()["made"])).status_code == 200
    assert len(ann.post("/grid", {"tab": ann.tab, "class": "lorry"}).json()["cells"]) == 3


def test_going_from_the_grid_to_one_item_and_back(room: Room) -> None:
    room.store(scored("a", 0.9), scored("b", 0.8))
    ann = room.person("ann")
    ann.post("/grid", {"tab": ann.tab, "class": "lorry"})
    assert code(ann.decide({"item": "a", "action": "accept"})) == (403, "mode")
    assert ann.take_one("a").status_code == 200
    assert ann.done("a")["state"]["outcome"] == "accept"


def test_labels_that_need_no_answer_are_not_shown(room: Room) -> None:
    labels = Labels.of([LORRY, LORRY], [[0, 0, 9, 9], [9, 9, 19, 19]], score=[0.4, 0.9])
    room.store(waiting("a", labels, (Flag("low", "low", Severity.REVIEW, (0,)),)))
    ann = room.person("ann")
    cells = ann.post("/grid", {"tab": ann.tab, "class": "lorry"}).json()["cells"]
    assert [(c["item"], c["row"]) for c in cells] == [("a", 0)]
