"""The dates of a place: told in their order, laid over each other where they fit, and telling nothing of labels or of copies."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from gallery_scenes import DATES, write_bands
from hyla.frame import Frame, MapFrame
from hyla.review.scenes import same_grid
from hyla.schema import Schema
from hyla.store import Project, Twin
from hyla.types import Item, Kind, Labels, Record, Verdict
from review_kit import Room, code, waiting
from store_kit import lot_of, start

UTM = MapFrame((10, 0, 500000, 0, -10, 4650000), "EPSG:32633")
SIZE, SMALL = (100, 200), (50, 60)


@pytest.fixture
def served(gallery: Any) -> Iterator[tuple[Room, list[str]]]:
    """Give a room with a place at three dates and a photo, and the ids of the dates."""
    with Project.open(gallery("series 1 24\nphoto 1 3\nraster 1\n")) as project:
        yield Room(project), [one.item.id for one in project.records() if one.item.kind == "scene"]


def scene(
    name: str, index: int = 0, frame: Frame = UTM, size: tuple[int, ...] = SIZE, labels: Labels | None = None, **meta: Any
) -> Record:
    """Return a record of one date of the place `p`."""
    one = waiting(name, Labels.of([1], [[5, 5, 50, 50]]) if labels is None else labels)
    return replace(one, item=Item(name, f"{size[1]}.tif", "p", index, "scene", meta), frame=frame, size=size)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Room]:
    """Give a room whose records come from `scene`."""
    for height, width in (SIZE, SMALL):
        write_bands(tmp_path / f"{width}.tif", np.ones((4, height, width), np.uint16), 10)
    schema = {"kinds": ["box"], "classes": {"a": {}, "b": {}}, "attributes": {"date": {"type": "text", "scope": "image"}}}
    with Project.create(tmp_path / "out") as project:
        yield Room(project, start(project, schema=Schema.from_config({"name": "s", **schema}), source=str(tmp_path)))


def tile(room: Room, item: str, query: str = "") -> Any:
    answer = room.person("eve", "viewer").http.get(f"/media/{item}/tile/2/0/0.jpg{query}")
    assert answer.status_code == 200, answer.text
    return np.asarray(Pillow.open(io.BytesIO(answer.content)))


def test_an_item_tells_the_dates_of_its_place(served: tuple[Room, list[str]]) -> None:
    room, ids = served
    ann = room.person("ann")
    for here, item in enumerate(ids):
        assert ann.item(item)["scenes"] == [
            {
                "index": i,
                "name": f"source.files/series-0000-{i}.tif",
                "date": date,
                "sensor": "sentinel2",
                "here": i == here,
                "same": True,
            }
            for i, date in enumerate(DATES)
        ]
    others = [one.item.id for one in room.project.records() if one.item.id not in ids]
    assert [ann.item(item)["scenes"] for item in others] == [[], []]


def test_the_tiles_of_another_date_come_in_the_same_bands(served: tuple[Room, list[str]]) -> None:
    room, (_, june, july) = served
    query = "?bands=4,3,1&stretch=1-99"
    assert (tile(room, july, f"{query}&scene=1") == tile(room, june, query)).all()
    assert (tile(room, july, query) != tile(room, june, query)).any()
    assert (tile(room, july, f"{query}&scene=2") == tile(room, july, query)).all()
    told = room.person("eve", "viewer").get(f"/tiles/{july}?scene=1").json()
    assert told["bands"] == ["red", "green", "blue", "nir"]
    assert june not in told["url"]
    assert told["url"].endswith("?scene=1")


def test_odd_addresses_are_refused(served: tuple[Room, list[str]]) -> None:
    room, (may, *_) = served
    eve = room.person("eve", "viewer")
    (photo,) = (one.item.id for one in room.project.records() if one.item.meta["made"] == "photo")
    (raster,) = (one.item.id for one in room.project.records() if one.item.meta["made"] == "raster")
    assert code(eve.http.get(f"/media/{may}/tile/0/0/0.jpg?scene=9")) == (404, "scene")
    assert code(eve.http.get(f"/media/{raster}/tile/0/0/0.jpg?scene=1")) == (404, "scene")
    assert code(eve.http.get(f"/media/{may}/tile/0/0/0.jpg?scene=-1")) == (422, "invalid")
    assert code(eve.get(f"/tiles/{may}?scene=9")) == (404, "scene")
    assert code(eve.get(f"/tiles/{photo}?scene=0")) == (404, "map")
    assert code(eve.get("/tiles/none?scene=0")) == (404, "item")
    assert code(eve.get(f"/tiles/{may}")) == (422, "invalid")
    eve.http.cookies.clear()
    assert code(eve.get(f"/tiles/{may}?scene=1")) == (401, "session")
    assert code(eve.http.get(f"/media/{may}/tile/0/0/0.jpg?scene=1")) == (401, "session")


def test_a_place_is_found_by_longitude_and_latitude(served: tuple[Room, list[str]]) -> None:
    room, (may, *_) = served
    eve = room.person("eve", "viewer")
    place = eve.get(f"/place/{may}?x=345.5&y=234.25").json()
    back = eve.get(f"/pixel/{may}?lon={place['lon']!r}&lat={place['lat']!r}").json()
    assert (back["x"], back["y"]) == pytest.approx((345.5, 234.25), abs=1e-4)
    (photo,) = (one.item.id for one in room.project.records() if one.item.meta["made"] == "photo")
    assert code(eve.get(f"/pixel/{photo}?lon=15&lat=42")) == (404, "map")
    assert code(eve.get("/pixel/none?lon=15&lat=42")) == (404, "item")
    for query in ("lon=181&lat=0", "lon=0&lat=91", "lon=nan&lat=0", "lat=1"):
        assert code(eve.get(f"/pixel/{may}?{query}")) == (422, "invalid")


def test_blind_the_dates_are_told_and_no_label_of_any(served: tuple[Room, list[str]]) -> None:
    room, ids = served
    ann = room.person("ann")
    (taken,) = ann.take(1, mode="blind")
    shown = ann.item(taken)
    assert (shown["mode"], shown["labels"], shown["flags"], shown["context"]) == ("blind", [], [], {})
    assert [one["date"] for one in shown["scenes"]] == list(DATES)
    text = ann.get(f"/items/{taken}?tab={ann.tab}").text
    assert not any(other in text for other in ids if other != taken)
    assert "ndvi" not in text


def test_dates_that_only_the_pictures_tell_are_not_told_blind(place: Room) -> None:
    dated = [Labels.of([1], [[5, 5, 50, 50]], context={"date": date}) for date in DATES]
    place.store(*(scene(f"s{i}", i, labels=one) for i, one in enumerate(dated)))
    assert [one["date"] for one in place.person("ann").item("s1")["scenes"]] == list(DATES)
    ben = place.person("ben")
    assert ben.take_one("s1", "blind").status_code == 200
    assert [one["date"] for one in ben.item("s1")["scenes"]] == ["", "", ""]


def test_what_lies_elsewhere_is_told_and_not_laid_over(place: Room) -> None:
    shifted = MapFrame((10, 0, 500005, 0, -10, 4650000), "EPSG:32633")
    place.store(
        scene("s0", 0, frame=shifted, date="2024-01-01"),
        scene("s1", 1, size=SMALL, date="2024-01-02"),
        scene("s2", 2, date="2024-01-03"),
        scene("s3", 3, frame=Frame(), date="2024-01-04"),
        scene("s4", 4, date="2024-01-05", sensor="landsat8"),
    )
    shown = place.person("ann").item("s2")["scenes"]
    assert [(one["index"], one["same"], one["here"]) for one in shown] == [
        (0, False, False),
        (1, False, False),
        (2, True, True),
        (3, False, False),
        (4, True, False),
    ]
    assert [one["sensor"] for one in shown] == ["", "", "", "", "landsat8"]


def test_a_planted_copy_stands_where_its_original_does(place: Room) -> None:
    names = ["s0-0123456789ab", "s1-0123456789ab", "s2-0123456789ab"]
    place.store(*(scene(name, i, date=DATES[i]) for i, name in enumerate(names)))
    lot = place.project.freeze(lot_of(names, 3), {})
    (twin,) = place.project.plant(lot, [Twin(names[1], Labels.of([1], [[9, 9, 20, 20]]))])
    ann = place.person("ann")
    copy, original, before = (ann.get(f"/items/{name}?tab=t") for name in (twin, names[1], names[0]))
    assert copy.json()["scenes"] == original.json()["scenes"]
    assert len(before.json()["scenes"]) == 3
    assert twin not in original.text + before.text
    assert names[1] not in copy.text + before.text


def test_grids_are_the_same_up_to_rounding() -> None:
    near = MapFrame((10, 0, 500000 + 1e-6, 0, -10, 4650000), "EPSG:32633")
    other = MapFrame((10, 0, 500000, 0, -10, 4650000), "EPSG:32632")
    assert same_grid(UTM, SIZE, near, SIZE)
    assert not same_grid(UTM, SIZE, other, SIZE)
    assert not same_grid(UTM, SIZE, UTM, (100, 201))
    assert not same_grid(UTM, SIZE, Frame(), SIZE)
    assert not same_grid(Frame(), SIZE, Frame(), SIZE)


def test_a_single_point_is_kept_to_the_last_digit(served: tuple[Room, list[str]]) -> None:
    room, (may, *_) = served
    ann = room.person("ann")
    assert ann.take_one(may).status_code == 200
    x, y = 345.123456789012, 234.987654321098
    point = {"class": "sample", "kind": "keypoints", "box": [x, y, x, y], "shape": [[x, y, 2]]}
    ann.done(may, "edit", changes={"add": [point]})
    stored = room.project.record(may, "best")
    assert stored is not None
    assert stored.labels.kind[-1] == Kind.KEYPOINTS
    assert stored.labels.shape[-1].tolist() == [[x, y, 2]]
    assert stored.labels.box[-1].tolist() == [x, y, x, y]
    assert stored.verdict == Verdict.ACCEPT
    two = {**point, "shape": [[x, y, 2], [x + 1, y, 2]]}
    outside = {**point, "box": [-5, -5, -5, -5], "shape": [[-5, -5, 2]]}
    assert ann.decide({"item": may, "action": "edit", "changes": {"add": [outside]}}).status_code == 422
    assert ann.decide({"item": may, "action": "edit", "changes": {"add": [two]}}).status_code == 200, "a class that names none"
