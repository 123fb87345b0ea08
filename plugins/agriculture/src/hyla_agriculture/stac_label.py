"""STAC 1.1 items with the label extension 1.0.1, in and out: a catalogue of labels beside that of the scenes.

Written is a collection with one item for each scene: `<id>/<id>.json`, which says where and when, which classes there are, how
many labels of each, and whether a machine (`automated`), a person (`manual`) or both made them; and its asset `labels.geojson`.
Links are relative, so that the folder can be moved. The link `source` names the scene by its path in the source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely

from hyla.errors import FormatError
from hyla.formats import Loss, inside, proved, writing
from hyla.frame import MapFrame
from hyla.hooks import Format, hookimpl
from hyla.pictures import Pictures
from hyla.schema import Schema
from hyla.types import Record
from hyla_agriculture.geojson import GeoJson
from hyla_agriculture.reprojection import DEGREES, reproject

VERSION = "1.1.0"
LABEL = "https://stac-extensions.github.io/label/v1.0.1/schema.json"
COLLECTION = "collection.json"
SIDE = 16  # parts that a side of a scene is cut into, so that its outline in degrees follows the ground
WORLD = [-180.0, -90.0, 180.0, 90.0]
MOST_BYTES = 64 << 20  # of a JSON file that is read


class StacLabel(Format):
    """Write and read a STAC collection of label items.

    Args:
        title: of the collection.
        description: what the labels are and are good for; the extension wants one.
        license: SPDX identifier of the labels, or `other`.
        unknown: for reading: `error` or `skip`.
        pictures: what the machine said, to tell what a person changed.
    """

    name = "stac"

    def __init__(
        self,
        title: str = "Labels",
        description: str = "Labels proposed by a machine and reviewed with Hyla",
        license: str = "other",
        unknown: str = "error",
        pictures: Pictures | None = None,
    ) -> None:
        self.title, self.description, self.license = title, description, license
        self.unknown = "skip" if proved(unknown) else "error"
        self.pictures = pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write an item for each scene as the records come, then the collection; return what is lost."""
        loss: Counter[str] = Counter()
        boxes: list[list[float]] = []
        dates: list[str] = []
        names: list[str] = []
        geojson = GeoJson(unknown=self.unknown, pictures=self.pictures)
        for one in records:
            if not isinstance(one.frame, MapFrame) or not one.frame.crs or not any(one.size):
                loss.update(_lost(one))
                continue
            loss.update(geojson.export([one], schema, out / one.item.id))
            item = self._item(one, schema)
            boxes += [item["bbox"]] if "bbox" in item else []
            dates += [item["properties"]["datetime"]] if item["properties"]["datetime"] else []
            names.append(one.item.id)
            _write(out / one.item.id / f"{one.item.id}.json", item)
        _write(out / COLLECTION, self._collection(boxes, dates, names))
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of the items of a collection, or of one item; raise FormatError for links that lead out of it."""
        return self._read(path, schema)

    def _read(self, path: Path, schema: Schema) -> Iterator[Record]:
        file = path / COLLECTION if path.is_dir() else path
        top = _load(file)
        geojson = GeoJson(unknown=self.unknown, pictures=self.pictures)
        items = [file] if top.get("type") == "Feature" else [_linked(file, one) for one in _links(top, "item", file)]
        for item in items:
            assets = _load(item).get("assets")
            asset = assets.get("labels") if isinstance(assets, dict) else None
            if not isinstance(asset, dict):
                raise FormatError(f"{item} has no asset `labels`", "the label extension of STAC requires one")
            yield from geojson.read(_linked(item, asset), schema) or ()

    def _item(self, one: Record, schema: Schema) -> dict[str, Any]:
        assert isinstance(one.frame, MapFrame)
        outline = _outline(one.frame, one.size)
        meta = one.item.meta
        counts = Counter(schema.names[c] for c in one.labels.class_id.tolist())
        properties = {
            **_when(meta.get("date")),
            **({"platform": str(meta["platform"])} if meta.get("platform") else {}),
            "label:type": "vector",
            "label:properties": ["class"],
            "label:classes": [{"name": "class", "classes": [c.name for c in schema.classes if not c.abstract]}],
            "label:description": self.description,
            "label:tasks": ["classification", "segmentation"],
            "label:methods": self._methods(one),
            "label:overviews": [
                {"property_key": "class", "counts": [{"name": n, "count": k} for n, k in sorted(counts.items())]}
            ],
        }
        return {
            "type": "Feature",
            "stac_version": VERSION,
            "stac_extensions": [LABEL],
            "id": one.item.id,
            "geometry": None if outline is None else shapely.geometry.mapping(outline),
            **({} if outline is None else {"bbox": [round(v, 7) for v in shapely.bounds(outline).tolist()]}),
            "properties": properties,
            "links": [
                {"rel": "root", "href": f"../{COLLECTION}", "type": "application/json"},
                {"rel": "parent", "href": f"../{COLLECTION}", "type": "application/json"},
                {"rel": "collection", "href": f"../{COLLECTION}", "type": "application/json"},
                {"rel": "source", "href": one.item.uri, "title": "the scene, relative to the source that was labelled"},
            ],
            "assets": {
                "labels": {"href": "./labels.geojson", "type": "application/geo+json", "title": "labels", "roles": ["data"]}
            },
            "collection": "labels",
        }

    def _methods(self, one: Record) -> list[str]:
        """Return who made the labels: a machine, a person, or a person from what a machine proposed."""
        if not one.source.startswith(("human:", "truth:")):
            return ["automated"]
        proposed = self.pictures.proposed(one.item) if self.pictures and one.source.startswith("human:") else None
        return ["automated", "manual"] if proposed is not None and len(proposed.labels) else ["manual"]

    def _collection(self, boxes: list[list[float]], dates: list[str], names: list[str]) -> dict[str, Any]:
        low, high = (np.array(boxes).min(axis=0), np.array(boxes).max(axis=0)) if boxes else (np.array(WORLD), np.array(WORLD))
        return {
            "type": "Collection",
            "stac_version": VERSION,
            "stac_extensions": [],
            "id": "labels",
            "title": self.title,
            "description": self.description,
            "license": self.license,
            "extent": {
                "spatial": {"bbox": [[*low[:2].tolist(), *high[2:].tolist()]]},
                "temporal": {"interval": [[min(dates, default=None), max(dates, default=None)]]},
            },
            "links": [
                {"rel": "root", "href": f"./{COLLECTION}", "type": "application/json"},
                *({"rel": "item", "href": f"./{name}/{name}.json", "type": "application/geo+json"} for name in names),
            ],
        }


def _lost(one: Record) -> Mapping[str, int]:
    """Return what is lost of a record that lies on no map: all of it."""
    loss = Loss()
    loss.take(one, ())
    return loss


def _outline(frame: MapFrame, size: tuple[int, ...]) -> Any:
    """Return where a scene lies in degrees, or None where it has no place there."""
    height, width = size[:2]
    square = shapely.segmentize(shapely.box(0, 0, width, height, ccw=False), max(height, width) / SIDE)
    (found,) = reproject(np.array([shapely.transform(square, frame.to_world)], dtype=object), frame.crs, DEGREES)
    return None if found is None else shapely.orient_polygons(shapely.transform(found, lambda p: np.round(p, 7)))


def _when(date: Any) -> dict[str, Any]:
    """Return the time of a scene as STAC has it, which knows no scene without one: then from the first day to the last."""
    try:
        day = datetime.fromisoformat(str(date))
    except ValueError:
        return {"datetime": None, "start_datetime": "0001-01-01T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z"}
    moment = day if day.tzinfo else day.replace(tzinfo=UTC)
    return {"datetime": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _write(path: Path, value: Mapping[str, Any]) -> None:
    with writing(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise FormatError(f"{path} is larger than {MOST_BYTES >> 20} MB")
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise FormatError(f"{path} can't be read: {error.strerror}", f"name a folder that holds {COLLECTION}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path} is no JSON object: {error}") from error


def _links(top: Mapping[str, Any], rel: str, file: Path) -> list[Mapping[str, Any]]:
    links = top.get("links")
    if top.get("type") not in ("Collection", "Catalog") or not isinstance(links, list):
        raise FormatError(f"{file} is no STAC collection, catalogue or item")
    return [one for one in links if isinstance(one, dict) and one.get("rel") == rel]


def _linked(file: Path, link: Mapping[str, Any]) -> Path:
    """Return the file that a link of `file` names, which must lie beside or below it."""
    href = str(link.get("href", "")).removeprefix("./")
    return file.parent / inside(href, str(file))
