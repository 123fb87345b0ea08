"""Read what belongs where on the shelves: a planogram as CSV or Parquet, or as a PSA file of Blue Yonder (JDA) Space Planning."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hyla.errors import ConfigError
from hyla.types import Bools, Ints, Objects
from hyla_retail import beside, columns
from hyla_retail.catalogue import Catalogue
from hyla_retail.gtin import normalise
from hyla_retail.sheets import Problem, Sheet, decoded, read_sheet

ROLES = ("store", "fixture", "shelf", "position", "facings", "gtin", "sku", "name")
ARRAYS = ("store", "fixture", "shelf", "position", "product", "facings", "row")
STEM = "planogram|pog"
PSA = "PROSPACE SCHEMATIC FILE"
# Cells of the records of a PSA file, counted from the name of the record, which is 0: the same in its versions 8 to 2024. Lengths
# are in the unit of the file, inches or cm, x to the right and y up from the floor.
_PLANOGRAM_NAME, _FIXTURE_Y = 1, 6
_POSITION_UPC, _POSITION_ID, _POSITION_X, _POSITION_FACINGS = 1, 2, 4, 14
_DIGITS = 9  # of a number of shelf, position or facings, at most
_LEVEL = 1.0  # units by which boards side by side may lie apart and be one shelf


@dataclass(frozen=True, eq=False)
class Planogram:
    """Hold the n places of a planogram as parallel arrays.

    Args:
        store: empty where it is for any.
        fixture: bay or gondola; empty where it is for any.
        shelf: from the top, from 1; 0 where it is not said.
        position: from the left, from 1; 0 where it is not said.
        product: key, SKU, GTIN or name, as written.
        facings: how many stand side by side.
        row: number in the file, as `Problem` counts them.
        file: its name, empty for none.
        root: folder of the file, None for none.
        problems: what is wrong, by row.
    """

    store: Objects
    fixture: Objects
    shelf: Ints
    position: Ints
    product: Objects
    facings: Ints
    row: Ints
    file: str = ""
    problems: tuple[Problem, ...] = ()
    root: Path | None = None

    def __len__(self) -> int:
        return len(self.product)

    def of(self, store: str | None, fixture: str | None) -> Planogram:
        """Return the places of one fixture in one store, in any case of letters; what is not known here or there fits any."""
        return self[_fits(self.store, store) & _fits(self.fixture, fixture)]

    def keys(self, catalogue: Catalogue) -> Objects:
        """Return the products (n,) as the catalogue calls them; as written where it does not have them."""
        found = [catalogue.find(word) for word in self.product]
        keys = [word if at < 0 else catalogue.key[at] for word, at in zip(self.product, found, strict=True)]
        return _objects(keys)

    def __getitem__(self, rows: Bools) -> Planogram:
        arrays = {name: getattr(self, name)[rows] for name in ARRAYS}
        return Planogram(**arrays, file=self.file, problems=self.problems, root=self.root)


def open_planogram(planogram: str | None, source: str, columns: Mapping[str, str] | None = None) -> Planogram:
    """Return the planogram of a source, an empty one if it has none; read once, and again when the file changed.

    Args:
        planogram: `auto` for planogram.csv, .tsv, .parquet or .psa in the source; a path, relative to the source if it is there,
            else to the working folder; None for none.
        source: of the run.
        columns: {role: column} where the names of the columns don't say what they hold; roles are store, fixture, shelf,
            position, facings, gtin, sku and name.

    Raises:
        ConfigError: if a file that is named is not there, can't be read, or has no column of products.
    """
    path = beside.find(planogram, source, STEM, (*beside.TABLES, ".psa"))
    if path is None:
        return EMPTY
    about = path.stat()
    named = tuple(sorted((role, name) for role, name in (columns or {}).items() if name))
    return _opened(path, named, (about.st_mtime_ns, about.st_size))


@lru_cache(maxsize=4)
def _opened(path: Path, named: tuple[tuple[str, str], ...], _state: tuple[int, int]) -> Planogram:
    if path.suffix.lower() == ".psa":
        return _psa(path)
    sheet = read_sheet(path)
    found = columns.by_content(sheet.columns, sheet.rows, columns.guess(sheet.columns, ROLES, dict(named), str(path)))
    words = [found[role][0] for role in ("sku", "gtin", "name") if role in found]
    if not words:
        hint = "say which column holds what: columns={sku: ..., shelf: ..., position: ...}"
        raise ConfigError(f"{path} has no column that is known to hold products", hint, sheet.columns)
    return _read(sheet, {role: places[0] for role, places in found.items()}, words)


def _read(sheet: Sheet, found: Mapping[str, int], words: Sequence[int]) -> Planogram:
    problems = list(sheet.problems)
    rows: list[tuple[str, str, int, int, str, int, int]] = []
    seen: dict[tuple[str, str, int, int], int] = {}
    for number, cells in zip(sheet.numbers, sheet.rows, strict=True):
        if not any(map(str.strip, cells)):
            continue
        product = next((cells[at].strip() for at in words if cells[at].strip()), "")
        store, fixture = (cells[found[role]].strip() if role in found else "" for role in ("store", "fixture"))
        numbers = {role: _whole(cells[found[role]]) if role in found else None for role in ("shelf", "position", "facings")}
        bad = [role for role, value in numbers.items() if value is None and role in found and cells[found[role]].strip()]
        if not product:
            problems.append(Problem(number, "", "it names no product: left out"))
        elif bad or numbers["facings"] == 0:
            role = bad[0] if bad else "facings"
            text = cells[found[role]].strip()
            problems.append(Problem(number, sheet.columns[found[role]], f"{text!r} is no number from 1: left out"))
        else:
            shelf, position = numbers["shelf"] or 0, numbers["position"] or 0
            place = (store.casefold(), fixture.casefold(), shelf, position)
            if shelf and position and (first := seen.setdefault(place, number)) != number:
                problems.append(Problem(number, "", f"shelf {shelf}, position {position} is taken by row {first}: left out"))
                continue
            facings = numbers["facings"]
            rows.append((store, fixture, shelf, position, product, 1 if facings is None else facings, number))
    return _of(rows, sheet.path, sorted(problems))


def _psa(path: Path) -> Planogram:
    """Read a PSA file: each planogram in it is a fixture by its name, its shelves are counted from the top by their height."""
    text, _ = decoded(path.read_bytes())
    if not text.startswith(PSA):
        raise ConfigError(f"{path} does not begin with {PSA!r}", "export it again from Space Planning, or give a CSV")
    places: dict[str, list[tuple[float, float, str, int, int]]] = {}
    problems: list[Problem] = []
    name, height = "", math.nan
    for number, cells in enumerate(_records(text), 1):
        kind = cells[0] if cells else ""
        try:
            if cells is None:
                raise ValueError
            if kind == "Planogram":
                name, height = cells[_PLANOGRAM_NAME].strip(), math.nan
            elif kind == "Fixture":
                height = float(cells[_FIXTURE_Y] or 0)
            elif kind == "Position":
                upc, key = cells[_POSITION_UPC].strip(), cells[_POSITION_ID].strip()
                facings = max(1, round(float(cells[_POSITION_FACINGS] or 1)))
                if facings >= 10**_DIGITS:
                    raise ValueError
                if not (upc or key) or math.isnan(height):
                    problems.append(Problem(number, kind, "it names no product, or stands on no fixture: left out"))
                    continue
                product = upc if normalise(upc) or not key else key
                places.setdefault(name, []).append((height, float(cells[_POSITION_X] or 0), product, facings, number))
        except (IndexError, ValueError, OverflowError):
            problems.append(Problem(number, kind, "it can't be read: left out"))
    rows = []
    for name, mine in places.items():
        shelves = _shelves([one[0] for one in mine])
        position = Counter[int]()
        for shelf, (_, _, product, facings, number) in sorted(
            zip(shelves, mine, strict=True), key=lambda one: (one[0], one[1][1])
        ):
            position[shelf] += 1
            rows.append(("", name, shelf, position[shelf], product, facings, number))
    return _of(rows, path, problems)


def _records(text: str) -> Iterator[list[str] | None]:
    """Yield the cells of each record of a PSA file; None for one with a cell that is longer than csv takes."""
    reader = csv.reader(io.StringIO(text, newline=""), quoting=csv.QUOTE_NONE, escapechar="\\")
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None


def _shelves(heights: Sequence[float]) -> list[int]:
    """Return the number of the shelf at each height, from the top; those that are `_LEVEL` apart at most are one."""
    shelf = dict[float, int]()
    last = math.nan
    for height in sorted(set(heights), reverse=True):
        shelf[height] = len(set(shelf.values())) + (not last - height <= _LEVEL)
        last = height
    return [shelf[one] for one in heights]


def _of(rows: Sequence[tuple[str, str, int, int, str, int, int]], path: Path | None, problems: Iterable[Problem]) -> Planogram:
    listed = dict(zip(ARRAYS, zip(*rows, strict=True) if rows else ((),) * len(ARRAYS), strict=True))
    words = ("store", "fixture", "product")
    arrays: dict[str, Any] = {
        name: _objects(values) if name in words else np.array(values, dtype=np.int64) for name, values in listed.items()
    }
    file, root = (path.name, path.parent) if path is not None else ("", None)
    return Planogram(**arrays, file=file, problems=tuple(problems), root=root)


def _whole(text: str) -> int | None:
    """Return a whole number of 0 or more, also of 2.0; None for anything else, and for one of more than 9 digits."""
    digits = text.strip().removesuffix(".0").removesuffix(",0")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS else None


def _fits(column: Objects, wanted: str | None) -> Bools:
    if not wanted:
        return np.ones(len(column), dtype=bool)
    return np.array([not one or one.casefold() == wanted.casefold() for one in column], dtype=bool)


def _objects(values: Sequence[object]) -> Objects:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


EMPTY = _of((), None, ())  # what a source without a planogram has
