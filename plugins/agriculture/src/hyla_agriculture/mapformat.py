"""Hold what the formats of a GIS have in common: one file of labels on the map, read back onto the pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hyla.formats import Loss, find, inside, proved
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Record
from hyla_agriculture.locating import foreign
from hyla_agriculture.placing import Own, Rows, own
from hyla_agriculture.vectors import Features, checked_crs

if TYPE_CHECKING:
    from hyla.pictures import Pictures


class MapFormat(Format, ABC):
    """Write and read one file of labels on the map.

    Args:
        file: name of the file in the folder that is written.
        crs: to write in, as EPSG:xxxx; empty for that of the scenes, or EPSG:4326 where they have several.
        unknown: `error` to refuse classes and attributes that the schema does not have, `skip` to leave them out.
        class_column: that holds the class in a file of another maker.
        date_column: that holds the date in a file of another maker, where it has one.
        pictures: the items that rows of another maker lie on.
    """

    patterns: tuple[str, ...] = ()  # of files to look for in a folder, after `file`

    def __init__(
        self,
        file: str,
        crs: str = "",
        unknown: str = "error",
        class_column: str = "class",
        date_column: str = "date",
        pictures: Pictures | None = None,
    ) -> None:
        self.file = inside(file, f"export.{self.name}.file")
        self.crs = checked_crs(crs, f"export.{self.name}.crs")
        self.skip = proved(unknown)
        self.class_column, self.date_column = class_column, date_column
        self.pictures = pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write the file of this format under `out`, and return what it can't carry."""
        loss = Loss()
        with self.features(records, schema, loss, out) as features:
            self.write(features, out / self.file)
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of a file, or of the one in a folder; a file of another maker needs the project it belongs to."""
        found = find(path, self.file, *self.patterns)
        source = self.open(found)
        if isinstance(source, Own):
            yield from own(source, schema, str(found), self.skip)
        else:
            yield from foreign(source, self.pictures, schema, str(found), self.class_column, self.date_column, self.skip)

    def features(self, records: Iterable[Record], schema: Schema, loss: Loss, out: Path) -> Features:
        """Return the rows to write; see `Features`."""
        return Features(records, schema, loss, out, pictures=self.pictures)

    @abstractmethod
    def write(self, features: Features, path: Path) -> None:
        """Write `features` as the file `path`, which takes its name when it is whole."""

    @abstractmethod
    def open(self, path: Path) -> Own | Sequence[Rows]:
        """Return what a file holds: as Hyla wrote it, or all rows of another maker; raise FormatError for what is neither."""
