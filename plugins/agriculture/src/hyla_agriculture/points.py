"""Points from the field: what somebody saw at a place, in and out. They become single keypoints on the scenes they lie on.

Written is `points.csv`: longitude and latitude (WGS84), the class, the item, its date, the place in its pixels, the score, and
the source. Read are CSV files with columns of coordinates, and what GDAL reads as a layer of points (GeoPackage, GeoJSON...). A
point counts for every scene of the project that it lies on, unless it has a time: then for those of that time.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyla.errors import FormatError, did_you_mean
from hyla.formats import Loss, class_ids, find, proved, record, writing
from hyla.formats.listing import NAME, line
from hyla.formats.listing import read as listed
from hyla.frame import MapFrame
from hyla.hooks import Format, hookimpl
from hyla.pictures import Pictures
from hyla.schema import Schema
from hyla.types import Floats, Item, Record, item_id

FILE = "points.csv"
COLUMNS = ("longitude", "latitude", "class", "item", "date", "x", "y", "score", "source")
CLASSES = ("class", "label", "land_cover", "landcover", "lulc", "crop", "crop_type", "category", "name")
EASTS, NORTHS = ("longitude", "lon", "long", "lng", "x", "easting"), ("latitude", "lat", "y", "northing")
STARTS, ENDS = ("start_date", "start", "date", "datetime", "time"), ("end_date", "end")
MOST_BYTES = 512 << 20
VISIBLE = 2.0  # as COCO has it
CARRIED = ("score", "source", "frame", "meta")


@dataclass(frozen=True)
class _Point:
    """Hold a point of a file: map coordinates, the words that it came with, and when it was seen."""

    x: float
    y: float
    word: str
    start: str = ""
    end: str = ""


class Points(Format):
    """Write labels that are single points, and read points from the field.

    Args:
        column: that holds the class; by itself the first of class, label, land_cover, crop... that is there.
        classes: {word in the file: class of the schema, or null to leave it out}; by itself the names and codes of the schema.
        crs: of the coordinates of a CSV file.
        unknown: `error` to refuse words that mean no class, `skip` to leave them out.
        pictures: where the items of the project lie.
    """

    name = "points"

    def __init__(
        self,
        column: str = "",
        classes: Mapping[str, Any] | None = None,
        crs: str = "EPSG:4326",
        unknown: str = "error",
        pictures: Pictures | None = None,
    ) -> None:
        self.column, self.crs, self.skip = column, crs, proved(unknown)
        self.classes = {str(word): name for word, name in (classes or {}).items()}
        self.pictures = pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write the single points of `records` as they come, and return what is lost: everything else."""
        loss = Loss()
        with writing(out / NAME) as listing, writing(out / FILE) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
            table = csv.writer(text, lineterminator="\n")
            table.writerow(COLUMNS)
            for one in records:
                labels = loss.take(one, ("keypoints",), CARRIED)
                rows = [r for r in range(len(labels)) if len(labels.shape[r]) == 1 and isinstance(one.frame, MapFrame)]
                loss.count("keypoints", len(labels) - len(rows))
                listing.write(line(one, FILE))
                if not rows:
                    continue
                at = np.array([labels.shape[r][0][:2] for r in rows], dtype=np.float64)
                for r, (x, y), (lon, lat) in zip(rows, at.tolist(), _lon_lat(one.frame, at).tolist(), strict=True):
                    name = schema.names[int(labels.class_id[r])]
                    about = (
                        one.item.id,
                        one.item.meta.get("date", ""),
                        repr(x),
                        repr(y),
                        repr(float(labels.score[r])),
                        one.source,
                    )
                    table.writerow((f"{lon:.8f}", f"{lat:.8f}", name, *about))
            text.detach()
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield a record for each scene with the points on it, and one that fits no item for each point that lies on none.

        Raises:
            FormatError: while iterating, for a file that can't be read, or whose words mean no class.
        """
        if path.is_dir() and (path / NAME).is_file() and (path / FILE).is_file():
            return self._own(path, schema)
        return self._foreign(path, schema)

    def _own(self, path: Path, schema: Schema) -> Iterator[Record]:
        rows: dict[str, list[Any]] = defaultdict(list)
        names = class_ids(schema, "eppo")
        with (path / FILE).open(encoding="utf-8", newline="") as file:
            for n, row in enumerate(csv.DictReader(file), 2):
                where = f"{path / FILE} line {n}"
                try:
                    label = _row(row["class"], float(row["x"]), float(row["y"]), float(row["score"]))
                except (KeyError, TypeError, ValueError) as error:
                    raise FormatError(f"{where} is damaged: {error}") from error
                if row["class"] not in names:
                    if self.skip:
                        continue
                    raise FormatError(f"{where}: the schema has no class {row['class']!r}", did_you_mean(row["class"], names))
                rows[row["item"]].append(label)
        for where, one, frame in listed(path / NAME):
            found = record(one.item, rows.pop(one.id, []), schema, where, one.size)
            yield Record(one.item, found.labels, size=found.size, frame=frame)

    def _foreign(self, path: Path, schema: Schema) -> Iterator[Record]:
        file = find(path, "*.gpkg", "*.geojson", "*.csv", "*.shp", "*.fgb")
        crs, points = self._points(file)
        meant = self._meant(file, points, schema)
        scenes = [one for one in (self.pictures.known() if self.pictures else ()) if isinstance(one.frame, MapFrame)]
        if not scenes:
            raise FormatError(
                f"{file} can't be placed: there is no scene that lies on a map", "import it into a project of scenes"
            )
        at = np.array([[one.x, one.y] for one in points]).reshape(-1, 2)
        lie = np.zeros(len(points), dtype=bool)
        for scene in scenes:
            assert isinstance(scene.frame, MapFrame)
            there = scene.frame.to_pixels(_moved(at, crs, scene.frame.crs))
            on = (there >= 0).all(axis=1) & (there <= scene.size[::-1]).all(axis=1)
            lie |= on
            date = str(scene.item.meta.get("date", ""))
            rows = [
                _row(schema.names[c], *there[n].tolist())
                for n in np.flatnonzero(on).tolist()
                if (c := meant[points[n].word]) is not None and _then(points[n], date)
            ]
            if rows:
                yield record(scene.item, rows, schema, f"{file} on {scene.item.uri}", scene.size)
        for n in np.flatnonzero(~lie).tolist():
            name = f"{file.name} point {n + 1}"
            yield record(Item(item_id(name), name, kind="scene"), [], schema, str(file))

    def _points(self, file: Path) -> tuple[str, list[_Point]]:
        """Return the CRS and the points of a file."""
        if file.stat().st_size > MOST_BYTES:
            raise FormatError(f"{file} is larger than {MOST_BYTES >> 20} MB")
        if file.suffix.lower() == ".csv":
            return self.crs, self._from_csv(file)
        import pyogrio
        from pyogrio.errors import DataLayerError, DataSourceError

        try:
            found = pyogrio.read_dataframe(file, fid_as_index=False)
        except (DataSourceError, DataLayerError) as error:
            raise FormatError(f"{file} can't be read: {error}") from error
        if not hasattr(found, "geometry") or found.crs is None:
            raise FormatError(f"{file} does not say where its points lie", "give it a CRS, or a CSV file with crs=EPSG:...")
        kept = found[found.geometry.notna() & (found.geometry.geom_type == "Point")]
        if len(kept) < len(found) or not len(found):
            raise FormatError(f"{file}: {len(found) - len(kept)} of {len(found)} rows are no points", "leave them out")
        columns = [str(c) for c in kept.columns if c != kept.geometry.name]
        word, start, end = self._named(columns, file), _first(columns, STARTS), _first(columns, ENDS)
        return kept.crs.to_wkt(), [
            _Point(float(g.x), float(g.y), _text(row[word]), _text(row.get(start)), _text(row.get(end)))
            for g, row in zip(kept.geometry, kept.drop(columns=kept.geometry.name).to_dict("records"), strict=True)
        ]

    def _from_csv(self, file: Path) -> list[_Point]:
        found = []
        with file.open(encoding="utf-8-sig", newline="") as lines:
            table = csv.DictReader(lines)
            columns = list(table.fieldnames or ())
            east, north = _first(columns, EASTS), _first(columns, NORTHS)
            if not east or not north:
                raise FormatError(
                    f"{file} has no columns of coordinates", "name them longitude and latitude, or x and y", columns
                )
            word, start, end = self._named(columns, file), _first(columns, STARTS), _first(columns, ENDS)
            try:
                for row in table:
                    x, y = float(row[east]), float(row[north])
                    if not np.isfinite([x, y]).all():
                        raise ValueError("a coordinate is not finite")
                    found.append(_Point(x, y, _text(row[word]), _text(row.get(start)), _text(row.get(end))))
            except (TypeError, ValueError, csv.Error) as error:
                raise FormatError(f"{file} line {table.line_num} has no coordinates that can be read: {error}") from error
        return found

    def _named(self, columns: Sequence[str], file: Path) -> str:
        word = self.column if self.column in columns else "" if self.column else _first(columns, CLASSES)
        if not word:
            what = f"has no column {self.column!r}" if self.column else "has no column that is known to hold classes"
            raise FormatError(f"{file} {what}", "name it: column=...", columns)
        return word

    def _meant(self, file: Path, points: Sequence[_Point], schema: Schema) -> dict[str, int | None]:
        """Return class ids of the words in a file, None for those to leave out."""
        names = {**class_ids(schema, "worldcover"), **class_ids(schema, "eppo")}
        folded = {name.casefold().replace(" ", "_"): c for name, c in names.items()}
        meant: dict[str, int | None] = {}
        for word in sorted({one.word for one in points}):
            name = self.classes.get(word, word)
            c = None if name is None else names.get(str(name), folded.get(str(name).casefold().replace(" ", "_")))
            if name is not None and c is None and not self.skip:
                hint = (
                    did_you_mean(str(name), names) or f"say what it means: classes={json.dumps({word: 'CLASS'})}, or unknown=skip"
                )
                raise FormatError(f"{file}: the schema has no class {name!r}", hint, schema.names)
            meant[word] = c
        return meant


def _row(name: str, x: float, y: float, score: float = 1.0) -> dict[str, Any]:
    return {"class": name, "kind": "keypoints", "box": [x, y, x, y], "shape": [[x, y, VISIBLE]], "score": score}


def _then(point: _Point, date: str) -> bool:
    """Tell whether a scene of `date` is of the time at which a point was seen; what says no time is of any."""
    if not point.start or not date:
        return True
    start, end = point.start[:10], (point.end or point.start)[:10]
    return start <= date[:10] <= end


def _first(columns: Iterable[str], names: Sequence[str]) -> str:
    lower = {column.lower(): column for column in columns}
    return next((lower[name] for name in names if name in lower), "")


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _moved(points: Floats, source: str, target: str) -> Floats:
    """Return points (n, 2) in another CRS; infinite where they have no place in it."""
    from pyproj import Transformer

    x, y = Transformer.from_crs(source, target, always_xy=True).transform(*points.T)
    return np.stack([np.asarray(x), np.asarray(y)], axis=1).reshape(-1, 2)


def _lon_lat(frame: Any, at: Floats) -> Floats:
    return _moved(frame.to_world(at), frame.crs, "EPSG:4326")
