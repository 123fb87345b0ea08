"""STAC label items: valid by pystac's own schemas, true of the labels, and read back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
from jsonschema import Draft7Validator
from rasterio.warp import transform_bounds

from hyla.errors import FormatError
from hyla.frame import Frame, MapFrame
from hyla.pictures import Pictures
from hyla.types import Item, Kind, Labels, Record, item_id
from hyla_agriculture.sample import preset_schema
from hyla_agriculture.stac_label import LABEL, StacLabel

SCHEMA = preset_schema()
FRAME = MapFrame((10.0, 0.0, 402000.0, 0.0, -10.0, 5702000.0), "EPSG:32633")
# What the label extension 1.0.1 asks of the properties of an item of vector labels.
EXTENSION = {
    "type": "object",
    "required": ["label:properties", "label:description", "label:type", "label:classes"],
    "properties": {
        "label:properties": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "label:description": {"type": "string", "minLength": 1},
        "label:type": {"const": "vector"},
        "label:tasks": {"type": "array", "items": {"enum": ["regression", "classification", "detection", "segmentation"]}},
        "label:methods": {"type": "array", "minItems": 1, "items": {"enum": ["automated", "manual"]}},
        "label:classes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "classes"],
                "properties": {"name": {"const": "class"}, "classes": {"type": "array", "items": {"type": "string"}}},
            },
        },
        "label:overviews": {
            "type": "array",
            "items": {
                "required": ["property_key", "counts"],
                "properties": {
                    "counts": {
                        "items": {
                            "required": ["name", "count"],
                            "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
                        }
                    }
                },
            },
        },
    },
    "patternProperties": {"^(?!label:)": {}},
    "additionalProperties": False,
}


def labels() -> Labels:
    ring = np.array([[10, 10], [60, 10], [60, 70], [10, 70.0]])
    names = ("healthy", "suspected_drought", "healthy")
    return Labels.of(
        [SCHEMA.class_id(name) for name in names],
        kind=Kind.POLYGON,
        shape=[(ring,), (ring + 80,), (ring + np.array([100, 0]), ring[::-1] / 4 + np.array([130, 30]))],
        score=[1, 0.75, 0.5],
        attributes={"field": ["a", "b", None], "ndvi": [0.8, 0.3, None]},
    )


def record(date: str = "2024-06-01", source: str = "model:zones", frame: Any = FRAME, place: str = "ash") -> Record:
    uri = f"{place}_{date}.tif"
    item = Item(item_id(uri), uri, place, kind="scene", meta={"date": date, "platform": "sentinel-2a"} if date else {})
    return Record(item, labels(), size=(256, 300), frame=frame, source=source)


def core(value: dict[str, Any]) -> pystac.STACObject:
    """Return a STAC object without its extensions, whose schemas would come from the network."""
    return pystac.read_dict({**value, "stac_extensions": []})


@pytest.fixture
def written(tmp_path: Path) -> Path:
    loss = StacLabel().export([record(), record("2024-06-16", "human:anna")], SCHEMA, tmp_path / "out")
    assert loss.get("polygon", 0) == 0
    return tmp_path / "out"


def test_items_and_collection_are_valid(written: Path) -> None:
    collection = json.loads((written / "collection.json").read_text())
    core(collection).validate()
    items = sorted(written.glob("*/*.json"))
    assert len(items) == 2
    for path, source in zip(items, ("automated", "manual"), strict=True):
        value = json.loads(path.read_text())
        core(value).validate()
        Draft7Validator(EXTENSION).validate(value["properties"])
        assert value["stac_extensions"] == [LABEL]
        assert value["properties"]["label:methods"] == [source]
        assert value["properties"]["label:overviews"][0]["counts"] == [
            {"name": "healthy", "count": 2},
            {"name": "suspected_drought", "count": 1},
        ]
    assert collection["extent"]["temporal"]["interval"] == [["2024-06-01T00:00:00Z", "2024-06-16T00:00:00Z"]]
    bounds = transform_bounds("EPSG:32633", "EPSG:4326", 402000, 5702000 - 2560, 402000 + 3000, 5702000)
    assert collection["extent"]["spatial"]["bbox"][0] == pytest.approx(bounds, abs=1e-6)


def test_pystac_walks_the_collection(written: Path) -> None:
    collection = pystac.Collection.from_file(str(written / "collection.json"))
    items = list(collection.get_items())
    assert [item.id for item in items] == [record().item.id, record("2024-06-16").item.id]
    href = items[0].assets["labels"].get_absolute_href()
    assert href is not None
    features = json.loads(Path(href).read_text())["features"]
    assert [one["properties"]["class"] for one in features] == ["healthy", "suspected_drought", "healthy"]
    (source,) = items[0].get_links("source")
    assert source.href == "ash_2024-06-01.tif"


def test_it_reads_back_also_after_it_was_moved(written: Path, tmp_path: Path) -> None:
    shutil.move(written, tmp_path / "elsewhere")
    back = list(StacLabel().read(tmp_path / "elsewhere", SCHEMA) or ())
    for one, wanted in zip(back, (record(), record("2024-06-16")), strict=True):
        assert (one.item, one.frame, one.size) == (wanted.item, FRAME, (256, 300))
        np.testing.assert_array_equal(one.labels.class_id, wanted.labels.class_id)
        np.testing.assert_allclose(one.labels.box, wanted.labels.box, atol=0.01)
        assert one.labels.attributes["field"].tolist() == ["a", "b", None]
    (single,) = StacLabel().read(tmp_path / "elsewhere" / back[0].item.id / f"{back[0].item.id}.json", SCHEMA) or ()
    assert single.item == back[0].item


class Known(Pictures):
    """Stand for the pictures of a project in which the machine said the same."""

    def __init__(self) -> None:
        pass

    def proposed(self, item: Item) -> Record | None:
        return record()


def test_what_a_person_made_of_the_machines_labels_is_both(tmp_path: Path) -> None:
    StacLabel(pictures=Known()).export([record(source="human:anna")], SCHEMA, tmp_path)
    value = json.loads(next(tmp_path.glob("*/*-*.json")).read_text())
    assert value["properties"]["label:methods"] == ["automated", "manual"]


def test_scenes_without_a_date_and_photos(tmp_path: Path) -> None:
    loss = StacLabel().export([record(""), record(frame=Frame(), place="photo")], SCHEMA, tmp_path)
    assert loss["polygon"] == 3
    (path,) = tmp_path.glob("*/*-*.json")
    core(json.loads(path.read_text())).validate()
    assert json.loads(path.read_text())["properties"]["datetime"] is None
    core(json.loads((tmp_path / "collection.json").read_text())).validate()


def test_an_empty_project_gives_an_empty_collection(tmp_path: Path) -> None:
    StacLabel().export([], SCHEMA, tmp_path)
    core(json.loads((tmp_path / "collection.json").read_text())).validate()
    assert list(StacLabel().read(tmp_path, SCHEMA) or ()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "is no JSON object"),
        ("{}", "is no STAC collection"),
        ('{"type": "Collection", "links": [{"rel": "item", "href": "../../etc/passwd"}]}', "no path inside"),
        ('{"type": "Collection", "links": [{"rel": "item", "href": "a/a.json"}]}', "can't be read"),
        ('{"type": "Feature", "assets": {}}', "no asset `labels`"),
        ('{"type": "Feature", "assets": {"labels": {"href": "/etc/passwd"}}}', "no path inside"),
    ],
)
def test_what_can_not_be_read_says_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "collection.json").write_text(text)
    with pytest.raises(FormatError, match=message):
        list(StacLabel().read(tmp_path, SCHEMA) or ())
