"""The review page is never sent what the project hides; what a person clicks on is outlined on the bare picture."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from hyla.pictures import Pictures
from hyla.review.media import Media
from hyla.store import Project
from hyla.types import Image, Item, Kind, Labels
from redact_kit import hide, install
from review_kit import Person, Room, code

EVERYTHING = "photo 2 9\nclip 1 3\nvolume 1\nraster 1\npart 1\nhuge 1\n"


@pytest.fixture
def room(gallery: Callable[[str], Path], gallery_home: Path) -> Iterator[Room]:
    """Return a room with items of every kind, whose labels hide what lies under them."""
    install(gallery_home / "site", "hyla_gallery")
    with Project.open(hide(gallery(EVERYTHING))) as project:
        yield Room(project)


@pytest.fixture
def ann(room: Room) -> Person:
    return room.person("ann", "admin")


def items(room: Room, kind: str) -> list[str]:
    return [one.item.id for one in room.project.records() if one.item.meta["made"] == kind]


def seen(person: Person, path: str) -> np.ndarray:
    answer = person.http.get(path)
    assert answer.status_code == 200, answer.text
    return np.asarray(Pillow.open(io.BytesIO(answer.content)))


def largest(labels: Labels) -> int:
    """Return the row of the largest label that is no tag."""
    areas = labels.width * labels.height * (labels.kind != Kind.TAG)
    return int(np.argmax(areas))


def inside(labels: Labels) -> tuple[slice, slice]:
    """Return a few pixels in the middle of the largest label."""
    x0, y0, x1, y1 = labels.box[largest(labels)]
    x, y = int(x0 + x1) // 2, int(y0 + y1) // 2
    return slice(y - 2, y + 3), slice(x - 2, x + 3)


@pytest.mark.parametrize("kind", ["photo", "clip"])
def test_a_whole_picture_and_its_crops_are_redacted(room: Room, ann: Person, kind: str) -> None:
    for item in items(room, kind):
        record = room.project.record(item)
        assert record is not None
        place = inside(record.labels)
        bare = room.desk.media.original(item).pixels
        assert bare[place].max() > 30
        assert seen(ann, f"/media/{item}/image.jpg?max=full")[place].max() < 30
        number = room.project.machine_annotation(item)
        crop = seen(ann, f"/media/{item}/crop/{number}/{largest(record.labels)}.jpg")
        middle = crop[crop.shape[0] // 2 - 2 : crop.shape[0] // 2 + 3, crop.shape[1] // 2 - 2 : crop.shape[1] // 2 + 3]
        assert middle.max() < 30


@pytest.mark.parametrize("kind", ["raster", "part", "huge"])
def test_tiles_and_small_views_are_redacted(room: Room, ann: Person, kind: str) -> None:
    """The whole is black if the redactor makes it so: then no tile may come from the file itself."""
    for item in items(room, kind):
        record = room.project.record(item)
        assert record is not None
        height, width = record.size
        whole = Labels.of([0], [[0, 0, width, height]])
        room.project.decide(item, "edit", who="ben", key=f"k-{item}", labels=whole_of(room, whole))
        levels = ann.item(item)["media"]["tiles"]["levels"]
        for z in range(levels):
            assert seen(ann, f"/media/{item}/tile/{z}/0/0.jpg").max() == 0
        assert seen(ann, f"/media/{item}/image.jpg?max=1024").max() == 0


def whole_of(room: Room, labels: Labels) -> Labels:
    """Return the same labels of a class that may be a box."""
    return Labels.of([room.desk.schema.class_id("car")] * len(labels), labels.box)


def test_slices_are_redacted(room: Room, ann: Person) -> None:
    (item,) = items(room, "volume")
    record = room.project.record(item)
    assert record is not None
    depth, height, width = record.size
    z, at = depth // 2, inside(record.labels)
    number = room.project.machine_annotation(item)
    content = np.frombuffer(ann.http.get(f"/media/{item}/slices/axial/{z}-{z}").content, "<i2").reshape(height, width)
    assert not content[at].any()
    assert room.desk.media.original(item).pixels[z][at].any()
    assert ann.http.get(f"/media/{item}/crop/{number}/0.jpg").status_code == 200


def test_a_label_that_somebody_adds_hides_at_once_and_browsers_ask_again(room: Room, ann: Person) -> None:
    item = items(room, "photo")[0]
    path = f"/media/{item}/image.jpg?max=full"
    first = ann.http.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    etag = {"if-none-match": first.headers["etag"]}
    assert ann.http.get(path, headers=etag).status_code == 304
    record = room.project.record(item)
    assert record is not None
    free = np.ones(record.size, dtype=bool)
    for x0, y0, x1, y1 in record.labels.box[record.labels.kind != Kind.TAG].astype(int):
        free[y0:y1, x0:x1] = False
    ys, xs = np.nonzero(free[10:-40, 10:-40])
    x, y = int(xs[len(xs) // 2]) + 10, int(ys[len(ys) // 2]) + 10
    more = Labels.concat([record.labels, whole_of(room, Labels.of([0], [[x - 8, y - 8, x + 24, y + 24]]))])
    ann.room.project.decide(item, "edit", who="ben", key="k", labels=more)
    again = ann.http.get(path, headers=etag)
    assert again.status_code == 200
    pixels = np.asarray(Pillow.open(io.BytesIO(again.content)))
    assert pixels[y : y + 12, x : x + 12].max() < 30
    number = room.project.machine_annotation(item)
    assert ann.http.get(f"/media/{item}/crop/{number}/0.jpg").headers["cache-control"] == "private, no-cache"


def test_a_picture_that_can_not_be_redacted_is_not_shown(room: Room) -> None:
    photo, other = items(room, "photo")
    (volume,), (huge,), (raster,) = (items(room, kind) for kind in ("volume", "huge", "raster"))
    hide(room.project.path, fail="0")  # of every item but one: their names have a 0
    room.open()
    ann = room.person("ann", "admin")
    number = room.project.machine_annotation(photo)
    for path in (
        f"/media/{photo}/image.jpg",
        f"/media/{photo}/crop/{number}/0.jpg",
        f"/media/{huge}/tile/0/0/0.jpg",
        f"/media/{huge}/image.jpg?max=1024",
        f"/media/{raster}/tile/0/0/0.jpg",
        f"/media/{volume}/slices/axial/0-0",
    ):
        answer = ann.http.get(path)
        assert code(answer) == (410, "redact"), path
        assert "secret" not in answer.text
    shown = ann.item(volume)["media"]
    assert shown["slices"] is None  # and the page says that it can't be shown, as of what is gone
    assert ann.item(photo)["media"]["image"]
    assert other


def test_what_was_deleted_a_moment_ago_is_not_shown_bare(room: Room, ann: Person) -> None:
    item = items(room, "photo")[0]
    number = room.project.machine_annotation(item)
    paths = [f"/media/{item}/image.jpg?max=full", f"/media/{item}/crop/{number}/0.jpg", f"/media/{item}/image.jpg?max=1024"]
    assert [ann.http.get(path).status_code for path in paths[:2]] == [200, 200]
    room.desk.media._looked = float("inf")  # nobody looks whether something was deleted
    with Project.open(room.project.path) as project:
        project.remove({item: None}, [], "ann", "past")
    assert [code(ann.http.get(path)) for path in (paths[0], paths[2])] == [(410, "redact")] * 2
    assert code(ann.http.get(paths[1])) == (409, "store")  # nor does anybody know who may see which crop


def test_no_picture_of_a_name_is_shown_which_no_label_hides(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Image(np.full((8, 8, 3), 200, np.uint8), Item("ref", "ref.png"))
    monkeypatch.setattr(Pictures, "reference", lambda *_: asked)
    assert room.desk.media.reference("product", "x", 64) == b""
    with Project.open(room.project.path) as project:
        monkeypatch.setattr(Media, "redacts", False)
        assert Media(project).reference("product", "x", 64)


def test_the_model_outlines_on_the_bare_picture(room: Room, ann: Person) -> None:
    with Project.open(room.project.path) as project:
        pictures = Pictures(project.source(), project.settings()["loader"], project.schema())
        for kind in ("photo", "volume"):
            item = items(room, kind)[0]
            record = project.record(item)
            assert record is not None
            assert ann.item(item)["media"]  # looked at first, so that what is shown lies in the caches
            bare = room.desk.media.original(item).pixels
            assert np.array_equal(bare, pictures.load(record.item).pixels)
            assert bare[(..., *inside(record.labels))].any() if kind == "volume" else bare[inside(record.labels)].any()
