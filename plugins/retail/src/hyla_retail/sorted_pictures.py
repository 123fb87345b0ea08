"""Read pictures that somebody sorted by product: trees of folders, and tables that name pictures and their class.

The last folder of a tree is the product and those above it its category: Fruit/Apple/Golden-Delicious. Of tables, those of the
Grocery Store Dataset (Klasson, Zhang and Kjellström 2019) are known: labels.csv with classes.csv, and its lists without a header.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hyla.errors import BadItem, ConfigError, FormatError
from hyla.formats import inside, record
from hyla.images import EXTENSIONS, ORIENTATION, TURNS, files, opened
from hyla.schema import Schema
from hyla.types import Item, Record, item_id
from hyla_retail import columns
from hyla_retail.catalogue import Catalogue
from hyla_retail.categories import Categories
from hyla_retail.sheets import Sheet, read_sheet

CLASSES = "classes.csv"
# Names of columns, as `columns.bare` has them, in the order in which they are taken.
LABELS = ("product", "fineid", "sku", "gtin", "label", "class", "classname", "classid", "target", "name", "category")
ABOVE = ("coarseclassname", "coarseid", "coarse", "supercategory", "parent", "category")


class Sorted:
    """Make records of pictures whose product is known: one tag over the whole picture.

    Args:
        schema: of the labels.
        catalogue: in which products are looked up by key, SKU, GTIN or name. The class is that of the product's category there,
            if it is more than `product`, else what the folders say.
    """

    def __init__(self, schema: Schema, catalogue: Catalogue) -> None:
        self.schema, self.catalogue = schema, catalogue
        self.categories = Categories(schema)
        self._product = schema.class_id("product")
        self._named = "product" in schema.attributes_of("label")

    def tree(self, path: Path) -> Iterator[Record]:
        """Yield a record for each picture that lies in a folder below `path`.

        Raises:
            FormatError: while iterating, if there is none.
        """
        found = files(str(path), EXTENSIONS)
        none = True
        for uri in found[1] if found and path.is_dir() else ():
            *category, product = uri.split("/")[:-1] or [""]
            if product:
                none = False
                yield self._record(path.resolve(), uri, product, category, str(path / uri))
        if none:
            raise FormatError(
                f"{path} holds no folders of pictures", "give a folder for each product, or a table: image, product"
            )

    def table(self, path: Path, column: str = "") -> Iterator[Record]:
        """Yield a record for each row of a table, whose paths are relative to its folder.

        Args:
            path: of the table. Numbers are named by classes.csv beside it, where there is one.
            column: that holds the product; by itself the first of `LABELS` that is there.

        Raises:
            FormatError: while iterating, for a row that is broken or leads out of the folder, or a table without such columns.
        """
        try:
            sheet, names = _with_header(read_sheet(path)), _names(path.parent / CLASSES)
        except ConfigError as error:
            raise FormatError(error.what, error.hint, error.choices) from error
        bare = [columns.bare(name) for name in sheet.columns]
        image, label = _first(bare, columns.NAMES["image"]), _first(bare, (columns.bare(column),) if column else LABELS)
        if image is None or label is None:
            missing = "of pictures" if image is None else repr(column) if column else "that says the product of each"
            raise FormatError(f"{path} has no column {missing}", "name them image and product, or say column=...", sheet.columns)
        above = _first(bare, ABOVE)
        for problem in sheet.problems:
            raise FormatError(f"{path} row {problem.row}: {problem.reason.removesuffix(': left out')}")
        for number, cells in zip(sheet.numbers, sheet.rows, strict=True):
            where = f"{path} row {number}"
            if not (cells[image].strip() and cells[label].strip()):
                continue
            uri = inside(cells[image].strip(), where)
            product, upper = names.get(cells[label].strip(), (cells[label].strip(), ""))
            if not upper and above is not None and above != label and not cells[above].strip().isdigit():
                upper = cells[above].strip()
            folders = [one for one in (*uri.split("/")[:-1], upper) if one and one != product]
            yield self._record(path.parent, uri, product, folders, where)

    def _record(self, root: Path, uri: str, product: str, category: Sequence[str], where: str) -> Record:
        row = self.catalogue.find(product)
        class_id = self._product if row < 0 else self.categories.class_id(self.catalogue.category[row])
        if class_id == self._product:
            class_id = self.categories.class_id([*category, product])
        key = product if row < 0 else str(self.catalogue.key[row])
        height, width = _size(root / uri)
        tag = {"class": self.schema.names[class_id], "kind": "tag", "box": [0, 0, width, height]}
        attributes = {"product": key} if self._named else {}
        return record(
            Item(item_id(uri), uri, kind="photo"), [{**tag, "attributes": attributes}], self.schema, where, (height, width)
        )


def _first(bare: Sequence[str], names: Sequence[str]) -> int | None:
    return next((bare.index(one) for one in names if one in bare), None)


def _with_header(sheet: Sheet) -> Sheet:
    """Return a table whose first row is a picture already with the columns path, label and coarse."""
    if not any(name.lower().endswith(tuple(EXTENSIONS)) for name in sheet.columns):
        return sheet
    header = ("path", "label", "coarse", *(f"column {n}" for n in range(4, len(sheet.columns) + 1)))[: len(sheet.columns)]
    return replace(sheet, columns=header, rows=[sheet.columns, *sheet.rows], numbers=[1, *sheet.numbers])


def _names(path: Path) -> Mapping[str, tuple[str, str]]:
    """Return id of a class -> its name and that of the class above it, by classes.csv; nothing without it."""
    if not path.is_file():
        return {}
    sheet = read_sheet(path)
    bare = [columns.bare(name) for name in sheet.columns]
    if not {"classid", "classname"} <= set(bare):
        return {}
    number, name = bare.index("classid"), bare.index("classname")
    above = bare.index("coarseclassname") if "coarseclassname" in bare else None
    return {row[number].strip(): (row[name].strip(), row[above].strip() if above is not None else "") for row in sheet.rows}


def _size(path: Path) -> tuple[int, int]:
    """Return (height, width) of a picture, the right way up, by its header; (0, 0) if it can't be read."""
    try:
        with opened(path) as picture:
            turned = TURNS.get(picture.getexif().get(ORIENTATION) or 1, (0, False))[0] % 2
            return picture.size if turned else (picture.height, picture.width)
    except BadItem:
        return 0, 0
