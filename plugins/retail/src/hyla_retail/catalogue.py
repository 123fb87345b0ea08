"""Hold a shop's catalogue: a CSV, TSV or Parquet file with a row for each product, what is wrong with it named row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from hyla.errors import ConfigError
from hyla.types import Floats, Ints, Objects
from hyla_retail import beside, gtin
from hyla_retail.sheets import Problem, read_sheet

ROLES = ("gtin", "sku", "name", "brand", "category", "price", "currency", "size", "image")
STEM = "catalogue|catalog"


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Hold the n products of a catalogue as parallel arrays.

    Args:
        key: what a product is called in labels: its SKU, else its GTIN, else its name.
        sku: empty where there is none.
        gtin: 14 digits, empty where there is none that is right.
        name, brand: empty where there is none.
        category: tuples of levels, the most general first.
        price: of one piece, NaN where there is none.
        currency: ISO 4217, empty where it is not said.
        size: of the pack, in the words of `hyla_retail.sizes`.
        image: tuples of paths relative to `root`, with /, of pictures that are there.
        row: number in the file, as `Problem` counts them.
        root: folder of the file; None of an empty catalogue.
        file: its name.
        problems: what is wrong, by row; a row with a problem may still be a product.
        left_out: how many rows are no product.
        notes: what was mended.
    """

    key: Objects
    sku: Objects
    gtin: Objects
    name: Objects
    brand: Objects
    category: Objects
    price: Floats
    currency: Objects
    size: Objects
    image: Objects
    row: Ints
    root: Path | None = None
    file: str = ""
    problems: tuple[Problem, ...] = ()
    left_out: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.key)

    def row_of(self, key: str | None) -> int:
        """Return where the product `key` stands in the arrays, -1 if it is not there."""
        return self._by_key.get(key or "", -1)

    def by_gtin(self, gtin14: str) -> int:
        """Return where the product with these 14 digits stands, -1 if none has them.

        The number of a weighed product, which holds its price or weight, stands for the product listed with that set to 0.
        """
        found = self._by_gtin.get(gtin14, -1)
        if found < 0 and gtin14 and (base := gtin.without_measure(gtin14)):
            found = self._by_gtin.get(base, -1)
        return found

    def find(self, word: str) -> int:
        """Return where the product stands that another file calls `word`: key, SKU, GTIN in any spelling, or name; else -1."""
        word = word.strip()
        if (found := self.row_of(word)) >= 0 or not word:
            return found
        if (number := gtin.normalise(word)) and (found := self.by_gtin(number)) >= 0:
            return found
        return self._by_word.get(word.casefold(), -1)

    @property
    def about(self) -> str:
        """Return a sentence: how many products of which file, and what is wrong with it; empty if there is no catalogue."""
        if self.root is None:
            return ""
        counts = {"row": (self.left_out, "left out"), "problem": (len(self.problems), "named row by row")}
        said = [f"{n:,} {what}{'' if n == 1 else 's'} {done}" for what, (n, done) in counts.items() if n]
        return ", ".join([f"{len(self):,} product{'' if len(self) == 1 else 's'} of {self.file}", *said, *self.notes])

    @cached_property
    def _by_key(self) -> dict[str, int]:
        return _places(self.key)

    @cached_property
    def _by_gtin(self) -> dict[str, int]:
        return _places(self.gtin)

    @cached_property
    def _by_word(self) -> dict[str, int]:
        both = (_places(str(word).casefold() for word in column) for column in (self.name, self.sku))
        return {word: at for places in both for word, at in places.items()}


def open_catalogue(catalogue: str | None, source: str, columns: Mapping[str, str] | None = None) -> Catalogue:
    """Return the catalogue of a source, an empty one if it has none; read once, and again when the file changed.

    Args:
        catalogue: `auto` for catalogue.csv, .tsv or .parquet in the source, or the source itself if it is such a table; a path,
            relative to the source if it is there, else to the working folder; None for none.
        source: of the run.
        columns: {role: column} where the names of the columns don't say what they hold; roles are gtin, sku, name, brand,
            category, price, currency, size and image. An empty name leaves one to be guessed.

    Raises:
        ConfigError: if a file that is named is not there, can't be read, or has no column of GTINs, SKUs or names.
    """
    named = tuple(sorted((str(role), str(name)) for role, name in (columns or {}).items() if name))
    itself = beside.table(source)
    if catalogue == beside.AUTO and itself is not None and (own := _cached(itself, named)) is not None:
        return own
    path = beside.find(catalogue, source, STEM, beside.TABLES)
    if path is None:
        return EMPTY
    found = _cached(path, named)
    if found is None:
        hint = "say which column holds what: loader.columns.gtin=..., loader.columns.name=..."
        raise ConfigError(f"{path} has no column that is known to hold GTINs, SKUs or names", hint, read_sheet(path).columns)
    return found


def _cached(path: Path, named: tuple[tuple[str, str], ...]) -> Catalogue | None:
    about = path.stat()
    return _opened(path, named, (about.st_mtime_ns, about.st_size))


@lru_cache(maxsize=4)
def _opened(path: Path, named: tuple[tuple[str, str], ...], _state: tuple[int, int]) -> Catalogue | None:
    """Return the catalogue in a file, None if it has no column that names products."""
    from hyla_retail import columns
    from hyla_retail.catalogue_rows import Rows

    sheet = read_sheet(path)
    found = columns.guess(sheet.columns, (*ROLES, "fixture"), dict(named), str(path))
    found = columns.by_content(sheet.columns, sheet.rows, found)
    of_photos = found.pop("fixture", None) is not None and not found.keys() & {"gtin", "name"}  # their column `id` is no SKU
    if of_photos or not found.keys() & {"gtin", "sku", "name"}:
        return None
    rows = Rows(sheet, found)
    arrays = rows.read()
    return Catalogue(
        **arrays, root=path.parent, file=path.name, problems=rows.problems, left_out=rows.left_out, notes=tuple(rows.notes)
    )


def _places(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for at, word in enumerate(words):
        if word:
            found.setdefault(word, at)
    return found


_NONE: Objects = np.zeros(0, dtype=object)
EMPTY = Catalogue(
    _NONE, _NONE, _NONE, _NONE, _NONE, _NONE, np.zeros(0), _NONE, _NONE, _NONE, np.zeros(0, dtype=np.int64)
)  # what a source without a catalogue has
