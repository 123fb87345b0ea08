"""One item, one tab: leases, and the endpoints that hand them out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from hyla.review.leases import SECONDS, Leases, Place, Unit, apart
from review_kit import Room, code, waiting

AT = ("review", "low_score")
A, B, C, Z, CLIP = ("item", "a"), ("item", "b"), ("item", "c"), ("item", "z"), ("clip", "a")


class Clock:
    time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(clock: Clock) -> Leases:
    made = Leases(clock)
    assert made.take("ann", "t1", {A: AT, B: AT}, "single") == [A, B]
    return made


def holder(leases: Leases, unit: Unit) -> tuple[str, str, str] | None:
    hold = leases.holder(unit)
    return (hold.person, hold.tab, hold.mode) if hold else None


def test_an_item_is_one_tabs(leases: Leases) -> None:
    assert leases.take("ben", "t1", {B: AT, C: AT}, "single") == [C]
    assert leases.take("ann", "t2", {A: AT}, "single") == []  # another tab of the same person
    assert holder(leases, A) == ("ann", "t1", "single")
    assert {unit: hold.person for unit, hold in leases.held().items()} == {A: "ann", B: "ann", C: "ben"}


def test_a_clip_is_not_the_item_of_the_same_name(leases: Leases) -> None:
    assert leases.take("ben", "t", {CLIP: AT}, "single") == [CLIP]
    assert apart(leases.held()) == (["a", "b"], ["a"])


def test_taking_again_changes_the_mode(leases: Leases) -> None:
    assert leases.take("ann", "t1", {A: AT}, "grid") == [A]
    assert holder(leases, A) == ("ann", "t1", "grid")


def test_a_lease_ends(leases: Leases, clock: Clock) -> None:
    clock.time = SECONDS - 0.1
    assert leases.holder(A) is not None
    clock.time = SECONDS
    assert leases.holder(A) is None
    assert leases.held() == {}
    assert leases.take("ben", "t", {A: AT}, "single") == [A]


def test_renewing_keeps_what_is_kept_and_names_what_is_lost(leases: Leases, clock: Clock) -> None:
    clock.time = SECONDS + 1
    leases.take("ben", "t", {A: AT}, "single")
    assert leases.renew("ann", "t1", [A, B, C]) == [A, C]  # nobody took b: it comes back, in its mode
    assert holder(leases, B) == ("ann", "t1", "single")
    clock.time += SECONDS - 1
    assert leases.holder(B) is not None


def test_only_the_holder_gives_back(leases: Leases) -> None:
    leases.release("ann", "t2", [A])
    leases.release("ben", "t1", [A])
    assert leases.holder(A) is not None
    leases.release("ann", "t1", [A, C])
    assert leases.holder(A) is None


def test_blind_is_of_the_person_and_not_of_the_tab(leases: Leases, clock: Clock) -> None:
    leases.take("ann", "t1", {Z: AT}, "blind")
    assert leases.blind("ann") == {Z}
    assert leases.blind("ben") == set()
    clock.time = SECONDS
    assert leases.blind("ann") == set()


def test_what_ended_long_ago_is_forgotten(leases: Leases, clock: Clock) -> None:
    clock.time = 8 * SECONDS
    assert leases.held() == {}
    assert leases.renew("ann", "t1", [A]) == [A]


def test_many_at_once_never_share(clock: Clock) -> None:
    leases = Leases(clock)
    units: dict[Unit, Place] = {("item", f"i{n}"): AT for n in range(200)}
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda n: leases.take(f"p{n}", "t", units, "single"), range(16)))
    assert sorted(unit for one in got for unit in one) == sorted(units)


# Over HTTP.


def test_two_people_and_two_tabs_get_different_items(room: Room) -> None:
    room.store(*(waiting(f"i{n}") for n in range(6)))
    ann, ben = room.person("ann"), room.person("ben")
    assert ann.take(2) == ["i0", "i1"]
    assert ben.take(2) == ["i2", "i3"]
    assert ann.in_tab("tab-2").take(1) == ["i4"]
    assert ann.take(5) == ["i5"]  # what it holds is not handed out to it again
    assert ann.take(5) == []


def test_a_head_says_what_can_be_fetched_ahead(room: Room) -> None:
    room.store(waiting("i0"), waiting("f0", group="clip", index=3, kind="video_frame"))
    ann = room.person("ann")
    answer = ann.post("/leases", {"tab": ann.tab})
    first, second = answer.json()["items"]
    assert answer.json()["seconds"] == SECONDS
    image = first.pop("image")
    assert first == {
        "id": "i0",
        "name": "i0.jpg",
        "group": "",
        "index": 0,
        "view": "image",
        "size": [100, 200],
        "lane": "review",
        "reason": "low_score",
    }
    assert image.startswith("/media/i0/image.jpg")
    assert (second["view"], second["group"], second["index"]) == ("video", "clip", 3)


def test_taking_by_reason_and_from_a_place_on(room: Room) -> None:
    other = room.person("ann")
    room.store(*(waiting(f"i{n}") for n in range(4)))
    assert other.take(2, after="i1") == ["i2", "i3"]
    assert other.take(2, reason="something_else") == []
    assert code(other.post("/leases", {"tab": other.tab, "after": "nowhere"})) == (409, "store")


def test_one_item_by_name(room: Room) -> None:
    room.store(waiting("i0"))
    ann, ben = room.person("ann"), room.person("ben")
    assert ann.take_one("i0").status_code == 200
    refused = ben.take_one("i0")
    assert code(refused) == (409, "taken")
    assert "ann" in refused.json()["error"]["message"]
    refused = ann.in_tab("tab-2").take_one("i0")
    assert code(refused) == (409, "taken")
    assert "another tab" in refused.json()["error"]["message"]
    assert code(ben.take_one("nowhere")) == (404, "item")


def test_renew_and_release(room: Room) -> None:
    room.store(waiting("i0"), waiting("i1"))
    ann, ben = room.person("ann"), room.person("ben")
    ann.take(2)
    room.time = SECONDS + 1
    ben.take(1)
    answer = ann.post("/leases/renew", {"tab": ann.tab, "items": ["i0", "i1"]})
    assert answer.json() == {"seconds": SECONDS, "lost": ["i0"]}
    assert ann.post("/leases/release", {"tab": ann.tab, "items": ["i0", "i1"]}).status_code == 204
    assert ben.take(2) == ["i1"]


def test_who_may_take_what(room: Room) -> None:
    room.store(waiting("i0"))
    viewer, ann = room.person("vic", "viewer"), room.person("ann")
    for path, body in [
        ("/leases", {"tab": "t"}),
        ("/items/i0/lease", {"tab": "t"}),
        ("/leases/renew", {"tab": "t", "items": []}),
        ("/leases/release", {"tab": "t", "items": []}),
        ("/grid", {"tab": "t", "class": "lorry"}),
    ]:
        assert code(viewer.post(path, body)) == (403, "role")
    assert code(ann.post("/leases", {"tab": "t", "lane": "adjudicate"})) == (403, "role")
    assert room.person("ada", "adjudicator").take(lane="adjudicate") == []


@pytest.mark.parametrize(
    "body",
    [
        {"tab": "t", "lane": "repair", "mode": "blind"},
        {"tab": "t", "mode": "grid"},
        {"tab": "t", "n": 0},
        {"tab": "t", "n": 21},
        {"tab": "t t"},
        {"tab": "t", "lane": "nowhere"},
        {"tab": "t", "who": "ben"},
        {},
    ],
)
def test_what_makes_no_sense_is_refused(room: Room, body: dict[str, object]) -> None:
    assert room.person("ann").post("/leases", body).status_code == 422
