"""GeoJSON (RFC 7946), in and out: longitude and latitude of WGS 84, outlines counter-clockwise, cut at the antimeridian.

What brings a record back to its item stands in a foreign member `hyla` (RFC 7946, 6.1) after the features. In a sequence (RFC
8142) each feature is a line of its own, and the member stands in an empty collection before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import shapely

from hyla.errors import ConfigError, FormatError
from hyla.formats import writing
from hyla.types import Floats, Objects
from hyla_agriculture.mapformat import MapFormat
from hyla_agriculture.placing import Own, Rows
from hyla_agriculture.reprojection import DEGREES, crs_of
from hyla_agriculture.vectors import Features

if TYPE_CHECKING:
    from hyla.pictures import Pictures

MARK = b"\x1e"  # begins each text of a sequence
DIGITS = 15  # decimals of a degree that a float can tell apart


class GeoJson(MapFormat):
    """Write and read GeoJSON; see `MapFormat` for the other settings.

    Args:
        file: name of the file in the folder that is written; of a sequence, an `s` is added to `.geojson`.
        unknown: `error` or `skip`.
        class_column: property that holds the class in a file of another maker.
        date_column: property that holds the date in a file of another maker.
        decimals: of a degree; 7 are about a centimetre on the ground, which is how exactly labels come back.
        sequence: write a sequence of features in place of a collection.
        pictures: the items that features of another maker lie on.
    """

    name = "geojson"
    patterns = ("labels.geojsons", "*.geojson", "*.geojsons", "*.geojsonl", "*.json")

    def __init__(
        self,
        file: str = "labels.geojson",
        unknown: str = "error",
        class_column: str = "class",
        date_column: str = "date",
        decimals: int = 7,
        sequence: bool = False,
        pictures: Pictures | None = None,
    ) -> None:
        if not 0 <= decimals <= DIGITS:
            raise ConfigError(f"export.geojson.decimals must be 0 to {DIGITS}, got {decimals}")
        name = f"{file}s" if sequence and file.endswith(".geojson") else file
        super().__init__(name, DEGREES, unknown, class_column, date_column, pictures)
        self.decimals, self.sequence = decimals, sequence

    def write(self, features: Features, path: Path) -> None:
        """Write feature by feature; see `MapFormat.write`."""
        json = msgspec.json.Encoder()
        said = json.encode({**features.about(DEGREES), "items": features.items})
        extent = Extent()
        between = b""
        with writing(path) as file:
            if self.sequence:
                file.write(MARK + b'{"type":"FeatureCollection","features":[],"hyla":' + said + b"}\n")
            else:
                file.write(b'{"type":"FeatureCollection","features":[')
            for table, shapes in features.tables(DEGREES, wrap=True):
                shapes = self.rounded(shapes)
                extent.add(shapes)
                for row, drawn in zip(table.to_pylist(), shapely.to_geojson(shapes).tolist(), strict=True):
                    text = json.encode({"type": "Feature", "properties": row, "geometry": msgspec.Raw(drawn.encode())})
                    file.write(MARK + text + b"\n" if self.sequence else between + b"\n" + text)
                    between = b","
            if not self.sequence:
                box = extent.box()
                file.write(b"\n]" + (b',"bbox":' + json.encode(box) if box else b"") + b',"hyla":' + said + b"}\n")

    def rounded(self, shapes: Objects) -> Objects:
        """Return valid geometries whose coordinates have `decimals`; one too small for that keeps all it has."""
        out: Objects = shapely.transform(shapes, lambda points: np.round(points, self.decimals))
        area = shapely.get_dimensions(shapes) == 2
        broken = np.flatnonzero(area & (~shapely.is_valid(out) | (shapely.area(out) == 0)))
        for at in broken.tolist():
            small = shapely.set_precision(shapes[at], 10.0**-self.decimals)
            kept = not small.is_empty and small.geom_type.endswith("Polygon") and small.area > 0
            out[at] = shapely.orient_polygons(small) if kept else shapes[at]
        return out

    def open(self, path: Path) -> Own | Sequence[Rows]:
        """Return what a GeoJSON file holds; see `MapFormat.open`."""
        try:
            said, crs, features = _decoded(path.read_bytes(), path)
            geometries = [None if one.geometry == NOTHING else bytes(one.geometry) for one in features]
            shapes: Objects = shapely.from_geojson(np.array(geometries, dtype=object))
        except OSError as error:
            raise FormatError(f"{path} can't be read: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, shapely.errors.GEOSException) as error:
            hint = "it must be a FeatureCollection, or a sequence of Features"
            raise FormatError(f"{path} is no GeoJSON file: {error}", hint) from error
        rows = [one.properties or {} for one in features]
        if said is None:
            return [Rows(rows, shapes, crs)]
        try:
            items, item = said["items"], said["columns"]["own"]["item"]
            at_item: dict[str, list[int]] = {}
            for number, row in enumerate(rows):
                at_item.setdefault(str(row.get(item) or ""), []).append(number)
        except (KeyError, TypeError) as error:
            raise FormatError(f"{path} is damaged: its member `hyla` lacks {error}") from error

        def fetch(ids: Sequence[str]) -> Iterator[Rows]:
            found = [number for one in ids for number in at_item.get(one, ())]
            yield Rows([rows[number] for number in found], shapes[found], DEGREES)

        return Own(said, items, fetch, {one: len(numbers) for one, numbers in at_item.items()})


class Extent:
    """Find the box around geometries in degrees, which crosses the antimeridian where it is narrower so (RFC 7946, 5.2)."""

    def __init__(self) -> None:
        self._plain = np.array([np.inf, np.inf, -np.inf, -np.inf])
        self._round = self._plain.copy()  # with longitudes from 0 to 360

    def add(self, shapes: Objects) -> None:
        """Take geometries, none of which crosses the antimeridian but in parts, into account."""
        boxes = shapely.bounds(shapely.get_parts(shapes)).reshape(-1, 4)
        if len(boxes):
            turned = boxes.copy()
            turned[boxes[:, 2] <= 0] += (360, 0, 360, 0)
            turned[(boxes[:, 0] < 0) & (boxes[:, 2] > 0)] = (0, *self._round[1:2], 360, *self._round[3:])
            self._plain, self._round = _around(self._plain, boxes), _around(self._round, turned)

    def box(self) -> list[float]:
        """Return west, south, east and north; nothing if there was no geometry."""
        if not np.isfinite(self._plain).all():
            return []
        west, south, east, north = self._plain.tolist()
        if self._round[2] - self._round[0] < east - west:
            west, east = (float(np.round(side if side <= 180 else side - 360, DIGITS)) for side in self._round[[0, 2]])
        return [west, south, east, north]


def _around(box: Floats, boxes: Floats) -> Floats:
    whole = np.concatenate([box[None], boxes])
    return np.concatenate([whole[:, :2].min(axis=0), whole[:, 2:].max(axis=0)])


NOTHING = msgspec.Raw(b"null")


class _Feature(msgspec.Struct):
    type: str
    geometry: msgspec.Raw = NOTHING
    properties: dict[str, Any] | None = None


class _Text(msgspec.Struct):
    type: str
    features: list[_Feature] = []
    geometry: msgspec.Raw = NOTHING
    properties: dict[str, Any] | None = None
    hyla: dict[str, Any] | None = None
    crs: dict[str, Any] | None = None


def _decoded(data: bytes, path: Path) -> tuple[dict[str, Any] | None, str, list[_Feature]]:
    """Return the member `hyla`, the CRS and the features of a file, a collection or a sequence."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    decoder = msgspec.json.Decoder(_Text)
    if MARK in data[:64]:
        texts = [decoder.decode(text) for text in data.split(MARK) if text.strip()]
    else:
        try:
            texts = [decoder.decode(data)]
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # more than one text: a line for each
            texts = [decoder.decode(line) for line in data.splitlines() if line.strip()]
    if not texts:
        raise FormatError(f"{path} is empty", "it must be a FeatureCollection, or a sequence of Features")
    features: list[_Feature] = []
    said, crs = None, DEGREES
    for text in texts:
        if text.type == "FeatureCollection":
            features += text.features
        elif text.type == "Feature":
            features.append(_Feature(text.type, text.geometry, text.properties))
        else:
            raise FormatError(f"{path} holds a {text.type!r}, which has no properties", "wrap it in a Feature")
        said = text.hyla if text.hyla is not None else said
        crs = _crs(text.crs, path) if text.crs is not None else crs
    return said, crs, features


def _crs(member: dict[str, Any], path: Path) -> str:
    """Return the CRS that GeoJSON of 2008 names."""
    name = (member.get("properties") or {}).get("name")
    if not isinstance(name, str):
        raise FormatError(f"{path} names its CRS in a way that is not known: {member}", "write it in WGS 84, as RFC 7946 says")
    return DEGREES if name.endswith(("CRS84", "EPSG::4326")) else crs_of(name).to_wkt()
