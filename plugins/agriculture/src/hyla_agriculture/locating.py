"""Find the items of a project that rows with geometry of another maker lie on: by place, and by date where they have one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from hyla.errors import FormatError
from hyla.frame import MapFrame
from hyla.schema import Schema
from hyla.types import Labels, Objects, Record
from hyla_agriculture.placing import Row, Rows, on_map, placed
from hyla_agriculture.reprojection import crs_of
from hyla_agriculture.vectors import Layout

if TYPE_CHECKING:
    from hyla.pictures import Pictures

MANY = (shapely.GeometryType.MULTIPOINT, shapely.GeometryType.MULTILINESTRING)


def foreign(
    parts: Sequence[Rows], pictures: Pictures | None, schema: Schema, where: str, column: str, date: str, skip: bool
) -> Iterator[Record]:
    """Yield a record for each item of the project that rows of another maker lie on; what lies beyond its raster is cut off.

    A row whose column `item` names an item is of that one only; one with a date only of items of that date. Columns with the
    name of an attribute are read, others are passed over.

    Args:
        parts: the rows, all in memory.
        pictures: know the items.
        schema: of the labels.
        where: name of the file, for errors.
        column: that holds the class: its name, or its code in any vocabulary.
        date: column that holds the date, if the file has it.
        skip: leave out rows whose class the schema does not have, or that have no geometry.

    Raises:
        FormatError: if no row lies on an item, or for rows that do not fit.
    """
    known = [
        Record(one.item, Labels.empty(), size=one.size, frame=one.frame)
        for one in (pictures.known() if pictures else ())
        if isinstance(one.frame, MapFrame) and one.frame.crs
    ]
    if not known:
        raise FormatError(
            f"{where} does not say which items its rows are of, and no items on a map are known",
            "import it into the project of a run: hyla import DIR --format NAME --from FILE",
        )
    if len(columns := {name for part in parts for row in part.rows[:1] for name in row}) and column not in columns:
        raise FormatError(f"{where} has no column {column!r}", "name the one that holds the class: class_column=NAME", columns)
    if not skip and any((shapely.is_missing(part.shapes) | shapely.is_empty(part.shapes)).any() for part in parts):
        raise FormatError(f"{where}: a row has no geometry", "read with unknown=skip to leave such rows out")
    listed = [_exploded(part) for part in parts]
    layout = Layout(
        {name: name for name in schema.attributes_of("label")},
        {},
        {"item": "item", "label": "label", "class": column, "kind": "", "score": "score", "track": ""},
    )
    ids, names = {one.item.id for one in known}, _names(schema)
    last: Any = None
    trees: list[tuple[Objects, shapely.STRtree]] = []
    count = 0
    for one in known:
        assert isinstance(one.frame, MapFrame)
        place = one.frame if crs_of(one.frame.crs).is_geographic else one.frame.crs
        if place != last:
            moved = [on_map(part.shapes, part.crs, one) for part in listed]
            last, trees = place, [(shapes, shapely.STRtree(shapes)) for shapes in moved]
        ground = shapely.transform(shapely.box(0, 0, one.size[1], one.size[0]), one.frame.to_world)
        found: list[tuple[Row, Any, str]] = []
        for part, (shapes, tree) in zip(listed, trees, strict=True):
            near_it = sorted(tree.query(ground, predicate="intersects").tolist())
            here = [at for at in near_it if _of_item(part.rows[at], one, ids, date) and not _touches(shapes[at], ground)]
            found += [(part.rows[at], shapes[at], one.frame.crs) for at in here]
        count += len(found)
        made = placed(one, found, schema, layout, names, f"{where}: item {one.item.id!r}", skip)
        if len(made.labels):
            yield made
    if not count and (total := sum(len(part.rows) for part in listed)):
        raise FormatError(f"{where}: none of its {total} rows lies on an item of the project", "is it of another place or date?")


def _names(schema: Schema) -> dict[str, int]:
    """Return class by name, and by its code in any vocabulary where no class has that name."""
    classes = [(i, one) for i, one in enumerate(schema.classes) if not one.abstract]
    return {code: i for i, one in reversed(classes) for code in one.codes.values()} | {one.name: i for i, one in classes}


def _exploded(part: Rows) -> Rows:
    """Return rows of which those with several points or lines are one row for each."""
    parts, owner = shapely.get_parts(part.shapes, return_index=True)
    many = np.isin(shapely.get_type_id(part.shapes), MANY)
    taken = many[owner]
    rows = [row for row, several in zip(part.rows, many.tolist(), strict=True) if not several]
    rows += [part.rows[at] for at in owner[taken].tolist()]
    return Rows(rows, np.concatenate([part.shapes[~many], parts[taken]]), part.crs)


def _of_item(row: Row, one: Record, ids: set[str], date: str) -> bool:
    if row.get("item") in ids:
        return bool(row["item"] == one.item.id)
    day, item_day = row.get(date), one.item.meta.get("date")
    return day is None or item_day is None or str(day)[:10] == str(item_day)[:10]


def _touches(shape: Any, ground: Any) -> bool:
    """Tell whether an area or a line has nothing but its border on the raster."""
    return not shape.geom_type.endswith("Point") and bool(shapely.touches(shape, ground))
