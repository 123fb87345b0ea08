"""Bring rows with geometry on the map back onto the pixels of the items they are of: the way back of `hyla_agriculture.vectors`.

Here are files that a format of Hyla wrote, whose rows name their item; `hyla_agriculture.locating` has those of other makers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import shapely
from shapely import affinity

from hyla import codec
from hyla.errors import FormatError, StageError
from hyla.formats import allowed, inside, known_attributes, record, unknown_class
from hyla.frame import MapFrame
from hyla.schema import Attribute, Schema
from hyla.types import Objects, Record
from hyla_agriculture.outlines import kinds_of, row_of
from hyla_agriculture.reprojection import crs_of, cut, moved_to
from hyla_agriculture.vectors import Layout

if TYPE_CHECKING:
    pass

ROWS = 8192  # asked for at a time, if one item does not have more
GRID, TURN = 1e-6, 1e-12  # pixels and degrees: at the antimeridian, what was cut in two is joined again on this grid
Row = Mapping[str, Any]


class Rows(NamedTuple):
    """Hold rows (n,) by name of column, their geometries (n,), None where one has none, and the CRS of these."""

    rows: Sequence[Row]
    shapes: Objects
    crs: str


class Own(NamedTuple):
    """Hold what a file that Hyla wrote says of itself.

    Args:
        about: as `Features.about` gives it.
        items: as `Features.items` holds them.
        fetch: returns the rows of items by their ids.
        counts: how many rows the file has by id of an item; under "" those that name none.
    """

    about: Any
    items: Sequence[Any]
    fetch: Callable[[Sequence[str]], Iterable[Rows]]
    counts: Mapping[str, int]


class _Columns(msgspec.Struct):
    attributes: dict[str, str]
    codes: dict[str, str]
    own: dict[str, str]


class _About(msgspec.Struct):
    columns: _Columns
    crs: str
    version: int


def own(source: Own, schema: Schema, where: str, skip: bool) -> Iterator[Record]:
    """Yield the records of a file that Hyla wrote, as they were but for evidence and flags.

    Args:
        source: what the file says.
        schema: of the labels.
        where: name of the file, for errors.
        skip: leave out classes and attributes that the schema does not have, and rows of no item.

    Raises:
        FormatError: for rows that do not fit.
    """
    try:
        about = msgspec.convert(source.about, _About)
    except msgspec.ValidationError as error:
        raise FormatError(f"{where} is damaged: what it says of its columns is wrong: {error}") from error
    if about.version != 1:
        raise FormatError(f"{where} was written by a later version of Hyla", "update Hyla")
    layout = Layout(about.columns.attributes, about.columns.codes, about.columns.own)
    if missing := [word for word in ("item", "label", "class", "kind", "score", "track") if word not in layout.own]:
        raise FormatError(f"{where} is damaged: it does not say which column holds the {missing[0]}")
    names = {name: i for name, i in schema.ids.items() if not schema.classes[i].abstract}
    every = [_stub(one, schema, where, skip) for one in source.items]
    ids = {one.item.id for one in every}
    if len(ids) < len(every):
        raise FormatError(f"{where}: two items have the same id")
    if (strays := sum(n for one, n in source.counts.items() if one not in ids)) and not skip:
        what = "fill in their column item, or read with unknown=skip to leave them out"
        raise FormatError(f"{where}: {strays} rows are of no item of the file", what)
    for stubs in _few(every, source.counts):
        of_item: dict[str, list[tuple[Row, Any, str]]] = {one.item.id: [] for one in stubs}
        for part in source.fetch(list(of_item)):
            for row, shape in zip(part.rows, part.shapes, strict=True):
                of_item[row[layout.own["item"]]].append((row, shape, part.crs))
        for stub in stubs:
            found = sorted(of_item[stub.item.id], key=lambda one: _order(one[0].get(layout.own["label"])))
            yield placed(stub, found, schema, layout, names, f"{where}: item {stub.item.id!r}", skip)


def _few(stubs: Sequence[Record], counts: Mapping[str, int]) -> Iterator[list[Record]]:
    """Yield items, so many together that they have ROWS rows or just more."""
    some: list[Record] = []
    rows = 0
    for one in stubs:
        some.append(one)
        rows += counts.get(one.item.id, 0) + 1
        if rows >= ROWS:
            yield some
            some, rows = [], 0
    if some:
        yield some


def _stub(one: Any, schema: Schema, where: str, skip: bool) -> Record:
    """Return the record of an item without its labels."""
    if not isinstance(one, dict):
        raise FormatError(f"{where} is damaged: an item is not an object")
    try:
        context = msgspec.convert(one.get("context") or {}, dict[str, Any])
    except msgspec.ValidationError as error:
        raise FormatError(f"{where} is damaged: an item's context: {error}") from error
    context = known_attributes(context, schema, "image", where, skip)
    given = {**one, "schema": f"{schema.name}@{schema.version}", "context": context, "labels": [], "flags": []}
    try:
        stub = codec.record_from_dict(given, schema)
    except FormatError as error:
        raise FormatError(f"{where}: an item: {error.what}", error.hint, error.choices) from error
    inside(stub.item.uri, where)
    return stub


def placed(
    stub: Record,
    found: Sequence[tuple[Row, Any, str]],
    schema: Schema,
    layout: Layout,
    names: Mapping[str, int],
    where: str,
    skip: bool,
) -> Record:
    """Return the record of an item with rows as its labels, in its pixels.

    Args:
        stub: the item, its frame and its size.
        found: rows, with their geometries and the CRS of these.
        schema: of the labels.
        layout: which column holds what.
        names: class by what the file calls it.
        where: for errors.
        skip: leave out rows of a class that is not known, or without geometry.

    Raises:
        FormatError: for rows that do not fit.
    """
    shapes = _in_pixels(stub, found)
    known = schema.attributes_of("label")
    rows = []
    for number, ((row, _, _), shape) in enumerate(zip(found, shapes, strict=True)):
        here = f"{where}, label {row.get(layout.own['label'], number)}"
        word = _word(row.get(layout.own["class"]))
        if word not in names:
            if skip:
                continue
            raise unknown_class(word, here, names)
        if shape is None:
            if skip:
                continue
            raise FormatError(f"{here} has no geometry, or none that has a place on the item", "draw it again")
        values = {name: row[column] for name, column in layout.attributes.items() if row.get(column) is not None}
        values = known_attributes(values, schema, "label", here, skip)
        kind = row.get(layout.own["kind"]) or allowed(schema, names[word], *kinds_of(shape.geom_type))
        try:
            drawn = row_of(kind, shape, stub.size)
        except StageError as error:
            raise FormatError(f"{here}: {error.what}", error.hint, error.choices) from error
        score, track = row.get(layout.own["score"]), row.get(layout.own["track"])
        rows.append(
            {
                "class": schema.names[names[word]],
                "score": float(score) if isinstance(score, (int, float)) and 0 <= score <= 1 else 1.0,
                "track": int(track) if isinstance(track, (int, float)) else -1,
                "attributes": {name: _typed(known[name], value) for name, value in values.items()},
                **drawn,
            }
        )
    made = record(stub.item, rows, schema, where, stub.size, stub.labels.context)
    return replace(stub, labels=made.labels)


def _in_pixels(stub: Record, found: Sequence[tuple[Row, Any, str]]) -> Objects:
    shapes = np.full(len(found), None, dtype=object)
    if not found:
        return shapes
    assert isinstance(stub.frame, MapFrame)
    shapes[:] = [shape for _, shape, _ in found]
    for crs in {crs for _, _, crs in found}:
        here = np.array([other == crs for _, _, other in found])
        part = shapely.transform(on_map(shapes[here], crs, stub), stub.frame.to_pixels)
        if crs_of(crs).is_geographic:
            for at, shape in enumerate(shapes[here]):
                if part[at] is not None and (abs(shapely.bounds(shape)[[0, 2]]) == 180).all():
                    part[at] = shapely.union_all(shapely.get_parts(part[at]), grid_size=GRID)
        shapes[here] = part
    return shapes


def on_map(shapes: Objects, crs: str, one: Record) -> Objects:
    """Return geometries in the CRS of an item, those in degrees turned so often that they lie next to its raster."""
    assert isinstance(one.frame, MapFrame)
    moved = moved_to(shapes, crs, one.frame.crs)
    if not crs_of(one.frame.crs).is_geographic or not len(moved):
        return moved
    if not crs_of(crs).is_geographic:
        moved = cut(moved, explicit=False)
    middle = one.frame.to_world([[one.size[1] / 2, one.size[0] / 2]])[0, 0]
    parts, owner = shapely.get_parts(moved, return_index=True)
    west, _, east, _ = shapely.bounds(parts).reshape(-1, 4).T
    turns = np.round((middle - (west + east) / 2) / 360)
    moved = moved.copy() if turns.any() else moved
    for at in np.unique(owner[turns != 0]).tolist():
        here = np.flatnonzero(owner == at).tolist()
        moved[at] = shapely.union_all([affinity.translate(parts[n], 360.0 * turns[n]) for n in here], grid_size=TURN)
    return moved


def _word(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _typed(attribute: Attribute, value: Any) -> Any:
    if attribute.type in ("text", "choice"):
        return _word(value)
    if attribute.type == "boolean" and value in (0, 1):
        return bool(value)
    return value


def _order(label: Any) -> float:
    return float(label) if isinstance(label, (int, float)) else float("inf")
