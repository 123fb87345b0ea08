"""Clicks: the model answers with what was clicked on, to who holds the item alone, and nothing is stored."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from gallery_scenes import VOLUME, phantom
from hyla.ensemble import Ensemble
from hyla.errors import ConfigError
from hyla.geometry import decode, encode
from hyla.hooks import Model, hookimpl
from hyla.plugins import Pipeline
from hyla.review import refiner
from hyla.store import Project
from hyla.types import Rle
from review_kit import Person, Room, code

ON_LIVER = {"x": 38.5, "y": 60.5, "z": 12, "inside": True}
ON_AIR = {"x": 2.5, "y": 2.5, "z": 12, "inside": True}
DEPTH, HEIGHT, WIDTH = VOLUME


@pytest.fixture
def rooms(gallery):
    with Project.open(gallery("volume 1\nphoto 8 9\n")) as project:
        yield Room(project)


@pytest.fixture
def ids(rooms: Room) -> dict[str, str]:
    return {r.item.uri: r.item.id for r in rooms.project.records()}


@pytest.fixture
def volume(ids: dict[str, str]) -> str:
    return ids["volume-0000"]


def shape_of(mask: Any) -> dict[str, Any]:
    rle = encode(mask)
    return {"size": list(rle.size), "counts": rle.counts.decode()}


def mask_of(shape: dict[str, Any]) -> Any:
    return decode(Rle(tuple(shape["size"]), shape["counts"].encode()))


def ask(who: Person, item: str, *clicks: dict[str, Any], **more: Any) -> Any:
    return who.post(f"/items/{item}/refine", {"tab": who.tab, "class": "liver", "clicks": list(clicks), **more})


@pytest.fixture
def ann(rooms: Room, volume: str) -> Person:
    person = rooms.person("ann")
    assert person.take_one(volume).status_code == 200
    return person


def test_a_click_answers_with_what_is_under_it_and_stores_nothing(rooms: Room, ann: Person, volume: str) -> None:
    before = (rooms.project.state(volume), rooms.project.counts())
    answer = ask(ann, volume, ON_LIVER)
    assert answer.status_code == 200, answer.text
    assert np.array_equal(mask_of(answer.json()["mask"]), phantom()[1]["liver"])
    assert ask(ann, volume, ON_LIVER).json() == answer.json()
    assert ask(ann, volume, ON_AIR).json() == {"mask": None}
    assert (rooms.project.state(volume), rooms.project.counts()) == before
    assert list(rooms.project.decisions()) == []


def test_the_mask_that_is_there_and_clicks_outside_count(ann: Person, volume: str) -> None:
    masks = phantom()[1]
    given = shape_of(masks["heart"])
    away = {"x": 76.5, "y": 45.5, "z": 30, "inside": False}
    found = mask_of(ask(ann, volume, ON_LIVER, away, mask=given).json()["mask"])
    expected = masks["heart"] | masks["liver"]
    expected[30, 41:49, 72:80] = False
    assert np.array_equal(found, expected)
    nothing = shape_of(np.zeros(VOLUME, bool))
    assert np.array_equal(mask_of(ask(ann, volume, ON_LIVER, mask=nothing).json()["mask"]), masks["liver"])


def test_a_picture_is_asked_as_a_volume_of_one_slice(rooms: Room, ids: dict[str, str], ann: Person) -> None:
    record = rooms.project.record(ids["photo-0000"])
    (row,) = (i for i, shape in enumerate(record.labels.shape) if isinstance(shape, Rle))
    drawn = decode(record.labels.shape[row])
    y, x = (int(axis[0]) for axis in np.nonzero(drawn))
    ann.take_one(record.item.id)
    answer = ask(ann, record.item.id, {"x": x + 0.5, "y": y + 0.5, "z": 0, "inside": True}, **{"class": "blob"})
    assert np.array_equal(mask_of(answer.json()["mask"]), drawn)
    low = {"x": 5, "y": 5, "z": 1, "inside": True}
    assert code(ask(ann, record.item.id, low, **{"class": "blob"})) == (422, "clicks")


def test_only_who_holds_the_item_may_ask(rooms: Room, ann: Person, volume: str) -> None:
    ben = rooms.person("ben")
    assert code(ask(ben, volume, ON_LIVER)) == (409, "taken")
    assert code(ask(ann.in_tab("tab-2"), volume, ON_LIVER)) == (409, "taken")
    rooms.time += 601
    assert code(ask(ann, volume, ON_LIVER)) == (409, "lease")
    assert code(ask(rooms.person("vera", "viewer"), volume, ON_LIVER)) == (403, "role")
    assert code(ask(ann, "none", ON_LIVER)) == (404, "item")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"clicks": []}, (422, "invalid")),
        ({"clicks": [ON_LIVER] * 65}, (422, "invalid")),
        ({"clicks": [{**ON_LIVER, "x": -1}]}, (422, "clicks")),
        ({"clicks": [{**ON_LIVER, "y": HEIGHT + 0.1}]}, (422, "clicks")),
        ({"clicks": [{**ON_LIVER, "z": DEPTH}]}, (422, "clicks")),
        ({"clicks": [{**ON_LIVER, "z": -1}]}, (422, "clicks")),
        ({"clicks": [{**ON_LIVER, "x": 1e400}]}, (422, "invalid")),
        ({"class": "dragon"}, (422, "labels")),
        ({"class": "car"}, (422, "labels")),
        ({"class": "vehicle"}, (422, "labels")),
        ({"mask": {"size": [DEPTH, HEIGHT, WIDTH + 1], "counts": "0"}}, (422, "labels")),
        ({"mask": {"size": [*VOLUME], "counts": "0"}}, (422, "labels")),
        ({"mask": {"size": [*VOLUME], "counts": "\ud800é"}}, (422, "labels")),
        ({"mask": {"size": [*VOLUME], "counts": ""}}, (422, "labels")),
    ],
)
def test_what_can_not_be_is_refused(ann: Person, volume: str, how: dict[str, Any], expected: tuple[int, str]) -> None:
    body = {"clicks": [ON_LIVER], "class": "liver", **how}
    answer = ann.post(f"/items/{volume}/refine", {"tab": ann.tab, **body})
    assert code(answer) == expected


def test_64_clicks_are_taken(ann: Person, volume: str) -> None:
    assert ask(ann, volume, *[ON_LIVER] * 64).status_code == 200


def test_blind_the_model_gets_the_picture_and_what_was_sent_alone(rooms: Room, volume: str, monkeypatch) -> None:
    ann = rooms.person("ann")
    assert ann.take(1, mode="blind") == [volume]
    given: list[Any] = []
    real = Pipeline.refine
    monkeypatch.setattr(Pipeline, "refine", lambda self, *args: (given.append(args), real(self, *args))[1])
    answer = ask(ann, volume, ON_LIVER)
    assert np.array_equal(mask_of(answer.json()["mask"]), phantom()[1]["liver"])
    ((image, class_id, clicks, mask),) = given
    assert rooms.desk.schema.names[class_id] == "liver"
    assert [tuple(click) for click in clicks] == [(38.5, 60.5, 12, True)]
    assert mask is None
    assert np.array_equal(image.pixels, phantom()[0])
    assert image.item == rooms.project.record(volume).item
    for word in (b"score", b"heart", b"spine", b"0.4"):
        assert word not in answer.content


def test_one_click_of_a_person_at_a_time(rooms: Room, ann: Person, volume: str, monkeypatch) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(self: Pipeline, *args: Any) -> None:
        began.set()
        assert go_on.wait(20)

    monkeypatch.setattr(Pipeline, "refine", slow)
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(ask(ann, volume, ON_LIVER)))
    first.start()
    assert began.wait(20)
    assert code(ask(ann, volume, ON_LIVER)) == (429, "busy")
    go_on.set()
    first.join()
    assert answers[0].json() == {"mask": None}
    assert ask(ann, volume, ON_LIVER).status_code == 200


def test_a_model_that_fails_says_so_without_a_path(rooms: Room, ann: Person, volume: str, monkeypatch) -> None:
    import hyla_gallery.stages

    @hookimpl
    def fail(self: Any, image: Any, class_id: int, clicks: Any, mask: Any) -> None:
        raise OSError("/home/ann/secret.pt is gone")

    with monkeypatch.context() as patch:
        patch.setattr(hyla_gallery.stages.Oracle, "refine", fail)
        answer = ask(ann, volume, ON_LIVER)
    assert code(answer) == (422, "model")
    assert "secret" not in answer.text
    rooms.open()
    ann.http = rooms.person("ann").http
    ann.take_one(volume)
    assert ask(ann, volume, ON_LIVER).status_code == 200


@pytest.mark.parametrize("wrong", [np.ones((2, 3), bool), "no mask"])
def test_what_is_no_mask_of_the_picture_is_not_passed_on(ann: Person, volume: str, monkeypatch, wrong: Any) -> None:
    import hyla_gallery.stages

    @hookimpl
    def answer(self: Any, image: Any, class_id: int, clicks: Any, mask: Any) -> Any:
        return wrong if isinstance(wrong, str) else encode(wrong)

    monkeypatch.setattr(hyla_gallery.stages.Oracle, "refine", answer)
    assert code(ask(ann, volume, ON_LIVER)) == (422, "model")


def test_a_model_that_can_not_be_built_is_refused_and_tried_again(rooms: Room, ann: Person, volume: str, monkeypatch) -> None:
    real = refiner.plugins.build

    def absent(node: Any, where: str, **given: Any) -> Any:
        if where != "model":
            return real(node, where, **given)
        raise ConfigError("model needs weights 'x.pt': no such file in /home/ann", "give weights")

    monkeypatch.setattr(refiner.plugins, "build", absent)
    answer = ask(ann, volume, ON_LIVER)
    assert code(answer) == (409, "model")
    assert "/home" not in answer.text
    assert answer.json()["error"]["hint"]
    monkeypatch.setattr(refiner.plugins, "build", real)
    assert ask(ann, volume, ON_LIVER).status_code == 200


class Still(Model):
    """Never outlines anything."""

    @hookimpl
    def predict(self, images):
        return None


class Keen(Still):
    def __init__(self, answer):
        self.answer = answer

    @hookimpl
    def refine(self, image, class_id, clicks, mask):
        return self.answer


def test_whether_it_is_offered_is_seen_without_building(rooms: Room, gallery, monkeypatch) -> None:
    monkeypatch.setattr(refiner.plugins, "build", lambda *_, **__: pytest.fail("the model was built"))
    assert "refine" in rooms.person("ann").get("/session").json()["features"]
    oracle = {"_target_": "hyla_gallery.stages.Oracle"}
    blank = {"_target_": "hyla.blank.Blank"}
    ensemble = {"_target_": "hyla.ensemble.Ensemble"}
    for node, offered in [
        (oracle, True),
        (blank, False),
        (None, False),
        ({"_target_": "nothing.Here"}, False),
        ({**ensemble, "members": {"a": blank, "b": oracle}}, True),
        ({**ensemble, "members": {"a": blank, "b": None}}, False),
    ]:
        monkeypatch.setattr(Project, "settings", lambda self, node=node: {"model": node})
        desk = refiner.Refiner(rooms.project)
        assert desk.offered is offered, node


def test_a_project_whose_model_takes_no_clicks_says_so(rooms: Room, volume: str, monkeypatch) -> None:
    settings = {**rooms.project.settings(), "model": {"_target_": "hyla.blank.Blank"}}
    monkeypatch.setattr(Project, "settings", lambda _: settings)
    ann = rooms.person("ann")
    ann.take_one(volume)
    assert "refine" not in ann.get("/session").json()["features"]
    assert code(ask(ann, volume, ON_LIVER)) == (404, "refine")


def test_an_ensemble_passes_clicks_on_to_the_first_member_that_answers() -> None:
    one, two = encode(np.ones((2, 3), bool)), encode(np.eye(2, 3, dtype=bool))
    members = {"still": Still(), "none": Keen(None), "one": Keen(one), "two": Keen(two)}
    assert Ensemble(members).refine(None, 0, [], None) == one
    assert Ensemble({"still": Still()}).refine(None, 0, [], None) is None
