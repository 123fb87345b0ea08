"""Turn the labels of scenes into rows with geometry on the map, in batches; `hyla_agriculture.placing` is the way back.

A row is one label: polygons, boxes and masks are areas, a keypoint is a point, a polyline a line. Its columns are `item`, `label`
(its number in the item), `uri`, `date`, `class`, the codes of the class (`eppo`, `worldcover`...), `kind`, `score`, `track`,
`source`, `method` (`automated` for what the machine said and nobody changed, else `manual`), `verdict`, `flags` (reasons),
`area_ha` (true hectares on the ellipsoid, of the label as drawn) and one for every attribute of the schema, of its type. Where an
attribute has the name of another column, the attribute keeps it and the other one is called `label_<name>`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import shapely

from hyla import codec
from hyla.errors import ConfigError, FormatError
from hyla.formats import Loss
from hyla.frame import MapFrame
from hyla.schema import Schema
from hyla.types import Kind, Labels, Objects, Record, same_shape
from hyla_agriculture.outlines import geometries
from hyla_agriculture.reprojection import common, crs_of, reproject, same, valid

if TYPE_CHECKING:
    from hyla.pictures import Pictures

ROWS = 8192  # labels held in memory at a time
KINDS = ("box", "rotated_box", "polygon", "mask", "keypoints", "polyline")
KEPT = ("track", "score", "attribute", "context", "frame", "meta", "verdict", "source")
TEXT, WHOLE, NUMBER = pa.string(), pa.int64(), pa.float64()
TYPES = {"boolean": pa.bool_(), "integer": WHOLE, "number": NUMBER, "text": TEXT, "choice": TEXT}
OWN = {
    **{"item": TEXT, "label": WHOLE, "uri": TEXT, "date": TEXT, "class": TEXT, "kind": TEXT, "score": NUMBER, "track": WHOLE},
    **{"source": TEXT, "method": TEXT, "verdict": TEXT, "flags": TEXT, "area_ha": NUMBER},
}
TAKEN = ("fid", "ogc_fid", "rowid", "geom", "geometry", "bbox", "id", "collection", "schemas")  # by the file formats


@dataclass(frozen=True)
class Layout:
    """Say which column holds what: by the name of an attribute, of a vocabulary of codes, or of OWN."""

    attributes: Mapping[str, str]
    codes: Mapping[str, str]
    own: Mapping[str, str]

    @classmethod
    def of(cls, schema: Schema) -> Layout:
        """Return the columns of a schema; no two names differ only in case, since SQLite tells them not apart."""
        seen = {name.casefold() for name in TAKEN}
        vocabularies = sorted({word for one in schema.classes for word in one.codes})
        attributes = {name: _free(name, "attribute_", seen) for name in schema.attributes_of("label")}
        own = {name: _free(name, "label_", seen) for name in OWN}
        return cls(attributes, {name: _free(name, "code_", seen) for name in vocabularies}, own)

    def table(self, schema: Schema) -> pa.Schema:
        """Return the columns with their types, in the order in which people read them."""
        known = schema.attributes_of("label")
        columns = {column: OWN[name] for name, column in self.own.items()}
        columns |= dict.fromkeys(self.codes.values(), TEXT)
        return pa.schema(columns | {column: TYPES[known[name].type] for name, column in self.attributes.items()})


class Features:
    """Hold the rows of records in a temporary file, so that the CRS of all of them is known before one is written.

    Args:
        records: are iterated once. Items without labels, or without a map, are kept without rows.
        schema: of their labels.
        loss: counts what can't be a row on a map: tags, cuboids, labels of photos, areas without area, sets of several keypoints.
        folder: for the temporary file.
        classes: ids of the classes to keep; None for all.
        kinds: of labels to keep, of KINDS.
        evidence: names of evidence that becomes columns `evidence_<name>`.
        pictures: tell which labels of a person come from the machine unchanged.

    Raises:
        FormatError: for a CRS that is none, and a folder that can't be written.
        StageError: for labels that do not fit the schema.
    """

    def __init__(
        self,
        records: Iterable[Record],
        schema: Schema,
        loss: Loss,
        folder: Path,
        *,
        classes: Any = None,
        kinds: Sequence[str] = KINDS,
        evidence: Sequence[str] = (),
        pictures: Pictures | None = None,
    ) -> None:
        self.schema, self.loss, self.layout = schema, loss, Layout.of(schema)
        self.items: list[dict[str, Any]] = []
        self.systems: list[str] = []
        self._classes, self._kinds, self._evidence, self._pictures = classes, kinds, tuple(evidence), pictures
        self._table = self.layout.table(schema)
        for name in self._evidence:
            self._table = self._table.append(pa.field(f"evidence_{name}", NUMBER))
        self._table = self._table.append(pa.field("geometry", pa.binary())).append(pa.field("crs", pa.int32()))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by __exit__
        except OSError as error:
            raise FormatError(f"can't write to {folder}: {error.strerror}", "choose a folder that can be written") from error
        try:
            self._fill(records)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Features:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def about(self, crs: str) -> dict[str, Any]:
        """Return what a file must say of itself to be read back, beside its items."""
        return {"version": 1, "schema": f"{self.schema.name}@{self.schema.version}", "crs": crs, "columns": asdict(self.layout)}

    def crs(self, wanted: str) -> str:
        """Return the CRS to write: `wanted`, else that of all scenes, else EPSG:4326, which is told as a loss."""
        found = wanted or common(self.systems)
        if not wanted and not all(same(one, found) for one in self.systems):
            self.loss.count(f"set of scenes in several CRSs as {found}")
        return found

    @property
    def columns(self) -> pa.Schema:
        """Return the columns of the rows, without geometry."""
        return self._table.remove(self._table.get_field_index("crs")).remove(self._table.get_field_index("geometry"))

    def tables(self, crs: str, *, wrap: bool = False) -> Iterator[tuple[pa.Table, Objects]]:
        """Yield the rows and their geometries in `crs`, some thousands at a time, outlines counter-clockwise.

        What has no place in `crs` is counted as lost.

        Args:
            crs: of the geometries; see `crs`.
            wrap: see `reproject`.
        """
        self._file.seek(0)
        with pa.ipc.open_stream(self._file) as stream:
            for batch in stream:
                shapes: Objects = shapely.from_wkb(batch["geometry"].to_numpy(zero_copy_only=False))
                numbers = batch["crs"].to_numpy()
                for number in np.unique(numbers).tolist():
                    here = numbers == number
                    shapes[here] = reproject(shapes[here], self.systems[number], crs, wrap=wrap)
                placed = ~shapely.is_missing(shapes)
                words = np.array(batch[self.layout.own["kind"]].to_pylist(), dtype=object)
                for word in words[~placed]:
                    self.loss.count(word.replace("_", " "))
                table = pa.Table.from_batches([batch]).select(self.columns.names)
                yield (table if placed.all() else table.filter(pa.array(placed))), shapely.orient_polygons(shapes[placed])

    def _fill(self, records: Iterable[Record]) -> None:
        with pa.ipc.new_stream(self._file, self._table) as stream:
            columns: dict[str, list[Any]] = {name: [] for name in self._table.names}
            for one in records:
                self.schema.check(one.labels)
                self.items.append(_item(one, self.schema))
                for name, values in self._rows(one).items():
                    columns[name] += values
                if len(columns["crs"]) >= ROWS:
                    self._write(stream, columns)
                    columns = {name: [] for name in self._table.names}
            if columns["crs"]:
                self._write(stream, columns)

    def _write(self, stream: Any, columns: dict[str, list[Any]]) -> None:
        try:
            stream.write_table(pa.table(columns, self._table))
        except OSError as error:
            raise FormatError(f"can't write: {error.strerror or error}", "choose a folder that has room") from error

    def _rows(self, one: Record) -> dict[str, list[Any]]:
        mapped = isinstance(one.frame, MapFrame) and bool(one.frame.crs) and len(one.size) == 2
        kinds = self._kinds if mapped else ()
        numbers = np.flatnonzero(np.isin(one.labels.kind, [Kind[word.upper()] for word in kinds]))
        labels = self.loss.take(one, kinds, KEPT)
        if not isinstance(one.frame, MapFrame) or not mapped:
            return {}
        if one.frame.crs not in self.systems:
            crs_of(one.frame.crs)  # a name that is none is refused here
            self.systems.append(one.frame.crs)
        if not len(labels):
            return {}
        shapes = geometries(labels)
        kept = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
        if self._classes is not None:
            kept &= np.isin(labels.class_id, self._classes)
        for kind in labels.kind[~kept].tolist():
            self.loss.count(Kind(kind).word.replace("_", " "))
        labels, numbers = labels[kept], numbers[kept]
        placed = valid(shapely.transform(shapes[kept], one.frame.to_world))
        own, n = self._own(one, one.frame.crs, labels, numbers, placed), len(labels)
        out = {self.layout.own[name]: values for name, values in own.items()}
        classes = [self.schema.classes[c] for c in labels.class_id.tolist()]
        out |= {column: [c.codes.get(word) for c in classes] for word, column in self.layout.codes.items()}
        for name, column in self.layout.attributes.items():
            values = labels.attributes[name].tolist() if name in labels.attributes else [None] * n
            out[column] = [None if v is None or v != v else v for v in values]
        for name in self._evidence:
            values = labels.evidence[name].tolist() if name in labels.evidence else [None] * n
            out[f"evidence_{name}"] = [None if v is None or v != v else v for v in values]
        return out | {"geometry": list(shapely.to_wkb(placed)), "crs": [self.systems.index(one.frame.crs)] * n}

    def _own(self, one: Record, crs: str, labels: Labels, numbers: Any, placed: Objects) -> dict[str, list[Any]]:
        from hyla_agriculture.area import hectares

        n = len(labels)
        reasons: dict[int, list[str]] = {int(number): [] for number in numbers}
        for flag in one.flags:
            for row in flag.rows or reasons:
                if row in reasons and flag.reason not in reasons[row]:
                    reasons[row].append(flag.reason)
        date = one.item.meta.get("date") or labels.context.get("date")
        area = hectares(placed, crs).tolist()
        return {
            "item": [one.item.id] * n,
            "label": numbers.tolist(),
            "uri": [one.item.uri] * n,
            "date": [None if date is None else str(date)] * n,
            "class": [self.schema.names[c] for c in labels.class_id.tolist()],
            "kind": [Kind(k).word for k in labels.kind.tolist()],
            "score": labels.score.tolist(),
            "track": [None if t < 0 else t for t in labels.track.tolist()],
            "source": [one.source or None] * n,
            "method": methods(one, labels, self._pictures),
            "verdict": [str(one.verdict)] * n,
            "flags": [", ".join(words) or None for words in reasons.values()],
            "area_ha": [value if k != Kind.POLYLINE and k != Kind.KEYPOINTS and value == value else None
                        for k, value in zip(labels.kind.tolist(), area, strict=True)],
        }  # fmt: skip


def methods(one: Record, labels: Labels, pictures: Pictures | None = None) -> list[str | None]:
    """Return `automated` for each label that the machine said and nobody changed, else `manual`; None if no source is named."""
    if not one.source:
        return [None] * len(labels)
    if one.source.startswith("model:"):
        return ["automated"] * len(labels)
    proposed = pictures.proposed(one.item) if pictures is not None and one.source.startswith("human:") else None
    if proposed is None:
        return ["manual"] * len(labels)
    before: dict[tuple[Any, ...], list[int]] = {}
    for row in range(len(proposed.labels)):
        before.setdefault(_key(proposed.labels, row), []).append(row)
    return [
        "automated" if any(_unchanged(labels, row, proposed.labels, b) for b in before.get(_key(labels, row), ())) else "manual"
        for row in range(len(labels))
    ]


def checked_crs(name: str, where: str) -> str:
    """Return `name`; raise ConfigError if it is neither empty nor a CRS."""
    if name:
        try:
            crs_of(name)
        except FormatError as error:
            raise ConfigError(f"{where}: {error.what}", error.hint) from error
    return name


def _key(labels: Labels, row: int) -> tuple[Any, ...]:
    return int(labels.class_id[row]), int(labels.kind[row]), labels.box[row].tobytes()


def _unchanged(labels: Labels, row: int, before: Labels, old: int) -> bool:
    names = labels.attributes.keys() | before.attributes.keys()
    values = ((_value(labels, name, row), _value(before, name, old)) for name in names)
    return same_shape(labels.shape[row], before.shape[old]) and all(a == b for a, b in values)


def _value(labels: Labels, name: str, row: int) -> Any:
    value = labels.attributes[name][row] if name in labels.attributes else None
    return None if value is None or value != value else value


def _item(one: Record, schema: Schema) -> dict[str, Any]:
    out = codec.record_to_dict(replace(one, labels=Labels.empty(one.labels.context), flags=()), schema)
    return {name: value for name, value in out.items() if name not in ("schema", "labels", "flags")}


def _free(name: str, prefix: str, seen: set[str]) -> str:
    while name.casefold() in seen:
        name = prefix + name
    seen.add(name.casefold())
    return name
