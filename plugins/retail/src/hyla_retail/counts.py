"""Count what stands on the shelves: facings by product and shelf, shares of shelf, and gaps, as `COUNTS`, `SHARES`, `GAPS` say.

SELECT brand, sum(facings) FROM 'shelf_counts.parquet' GROUP BY brand
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from hyla.errors import ConfigError
from hyla.formats import Loss
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Kind, Record, Verdict
from hyla_retail import seen
from hyla_retail.catalogue import EMPTY, Catalogue
from hyla_retail.seen import Seen
from hyla_retail.shop import LOADER, catalogue_of, fact
from hyla_retail.table_files import checked, write_table

if TYPE_CHECKING:
    from hyla.pictures import Pictures

_PLACE = [("store", pa.string()), ("fixture", pa.string()), ("date", pa.string())]
COUNTS = pa.schema(
    [
        *_PLACE,
        ("shelf", pa.int64()),  # from the top; null where it is not known
        ("product", pa.string()),  # key in the catalogue; null for facings that nothing named
        *((name, pa.string()) for name in ("gtin", "name", "brand", "class")),
        ("facings", pa.int64()),
        ("width_px", pa.float64()),  # their widths together, in pixels of the photo
        ("share_of_facings", pa.float64()),  # of all facings of the fixture, whose number is `of`
        ("share_of_width", pa.float64()),  # of the widths of all facings of the fixture: linear share of shelf
        ("of", pa.int64()),
        ("verified", pa.int64()),  # how many of the facings a person decided
        ("photos", pa.int64()),  # how many photos were counted
    ]
)
SHARES = pa.schema(
    [
        *_PLACE,
        ("class", pa.string()),  # the share is of the facings of this class
        ("brand", pa.string()),  # null for facings of no known brand
        ("facings", pa.int64()),
        ("share_of_facings", pa.float64()),
        ("share_of_width", pa.float64()),
        ("of", pa.int64()),
        ("verified", pa.int64()),
    ]
)
GAPS = pa.schema(
    [
        *_PLACE,
        ("shelf", pa.int64()),
        ("gaps", pa.int64()),  # empty places: possibly out of stock
        ("width_px", pa.float64()),
        ("share_of_width", pa.float64()),  # of the widths of gaps and facings of this shelf together
        ("facings", pa.int64()),  # of this shelf
        ("verified", pa.int64()),  # how many of the gaps a person decided
        ("photos", pa.int64()),
    ]
)
SEVERAL = ("last", "sum")


class Place(NamedTuple):
    """Name what is counted together: one fixture of one store on one day. A photo of no known fixture stands by itself."""

    store: str | None
    fixture: str | None
    date: str | None
    photo: str = ""

    @property
    def columns(self) -> dict[str, str | None]:
        """Return what tables say of the place."""
        return {"store": self.store, "fixture": self.fixture or self.photo, "date": self.date}


class Goods(NamedTuple):
    """Name what has one count on a shelf."""

    shelf: int | None
    product: str | None
    class_name: str


@dataclass(slots=True)
class Sum:
    """Hold a count: of labels, of their widths in pixels, and of those that a person decided."""

    n: int = 0
    width: float = 0.0
    verified: int = 0

    def add(self, n: int, width: float, verified: int) -> None:
        """Add to the count."""
        self.n, self.width, self.verified = self.n + n, self.width + width, self.verified + verified


@dataclass(slots=True)
class Shelf:
    """Hold what was counted at a place.

    Args:
        goods: facings by shelf, product and class.
        gaps: by shelf.
        facts: product -> gtin, name and brand.
        orders: shelf -> product and middle, in pixels from the left, of each facing that has a name.
        photos: how many were counted.
    """

    goods: dict[Goods, Sum] = field(default_factory=dict)
    gaps: dict[int | None, Sum] = field(default_factory=dict)
    facts: dict[str, dict[str, str | None]] = field(default_factory=dict)
    orders: dict[int | None, list[tuple[float, str]]] = field(default_factory=dict)
    photos: int = 0


class ShelfCounts(Format):
    """Write facings, shares of shelf and gaps as three tables, each as Parquet and CSV. They can't be read back.

    Args:
        several: what to do with several photos of one fixture on one day: `last` counts the last one, as a photo that was taken
            again replaces the first; `sum` adds them, as where a fixture is photographed in parts.
        csv: write CSV beside Parquet.
        catalogue: that says gtin, name and brand of a product, above what labels say: `loader` for that of the project's loader,
            `auto`, a path, or null for none.
        pictures: of the project, whose decisions say who verified a label.
    """

    name = "shelf_counts"

    def __init__(
        self,
        several: str = "last",
        csv: bool = True,
        catalogue: str | None = LOADER,
        pictures: Pictures | None = None,
    ) -> None:
        self.several, self.catalogue, self.pictures = proved(several, "shelf_counts"), catalogue, pictures
        self.kinds = (".parquet", ".csv") if csv else (".parquet",)

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Count all records, then write shelf_counts, share_of_shelf and shelf_gaps under `out`; return what was not counted."""
        loss = Loss()
        catalogue = catalogue_of(self.pictures, self.catalogue)
        found = count(seen.seen(records, self.pictures), schema, loss, self.several, catalogue)
        tables = {"shelf_counts": (COUNTS, _counts), "share_of_shelf": (SHARES, _shares), "shelf_gaps": (GAPS, _gaps)}
        for name, (columns, rows) in tables.items():
            for kind in self.kinds:
                file = checked(f"{name}{kind}", "export.shelf_counts")
                write_table(out / file, columns, (row for place, shelf in found.items() for row in rows(place, shelf)))
        return dict(loss)


def proved(several: str, name: str) -> str:
    """Return the setting; raise ConfigError for a word that is no choice."""
    if several not in SEVERAL:
        raise ConfigError(f"export.{name}.several={several} is not a choice", choices=SEVERAL)
    return several


def count(records: Iterable[Seen], schema: Schema, loss: Loss, several: str, catalogue: Catalogue = EMPTY) -> dict[Place, Shelf]:
    """Return what stands at each place, in the order in which the places were first seen.

    Facings are boxes of products in photos that are not of one product. What else there is goes into `loss`; a photo that was
    rejected, or that another one replaces, as a whole.
    """
    found: dict[Place, Shelf] = {}
    products, gap = seen.products(schema), schema.under("gap")
    for one in records:
        if one.of_image("view") == "product":
            loss.count("product photo")
            continue
        if one.record.verdict is Verdict.REJECT:  # it says nothing of the fixture, which another photo may show
            loss.count("rejected photo")
            loss.count("wrong label", len(one.dropped))
            continue
        fixture = one.of_image("fixture")
        place = Place(one.of_image("store"), fixture, one.of_image("date"), "" if fixture else one.record.item.uri)
        if several == "last" and place in found:
            loss.count("replaced photo", found[place].photos)
            found[place] = Shelf()
        shelf = found.setdefault(place, Shelf())
        boxes = one.labels.kind == Kind.BOX
        facing = boxes & np.isin(one.labels.class_id, products)
        empty = boxes & np.isin(one.labels.class_id, gap)
        _add(shelf, one, schema, catalogue, np.flatnonzero(facing).tolist(), np.flatnonzero(empty).tolist())
        loss.count("other label", len(one.labels) - int(facing.sum() + empty.sum()))
        loss.count("wrong label", len(one.dropped))
    return found


def _add(shelf: Shelf, one: Seen, schema: Schema, catalogue: Catalogue, facings: list[int], gaps: list[int]) -> None:
    shelf.photos += 1
    widths, middles = one.labels.width.tolist(), one.labels.box[:, [0, 2]].mean(axis=1).tolist()
    for row in facings:
        key, on = one.value(seen.PRODUCT, row), _whole(one.value("shelf", row))
        goods = Goods(on, key, schema.names[int(one.labels.class_id[row])])
        shelf.goods.setdefault(goods, Sum()).add(1, widths[row], one.words[row].verified)
        if key:
            facts = shelf.facts.setdefault(key, dict.fromkeys(("gtin", "name", "brand")))
            facts.update({name: facts[name] or fact(one, row, name, catalogue) for name in facts})
            shelf.orders.setdefault(on, []).append((middles[row], key))
    for row in gaps:
        shelf.gaps.setdefault(_whole(one.value("shelf", row)), Sum()).add(1, widths[row], one.words[row].verified)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _sorted(keys: Iterable[Any]) -> list[Any]:
    """Return keys in order, what is not known last."""
    return sorted(
        keys,
        key=lambda key: tuple((part is None, part or 0) if not isinstance(part, str) else (False, part) for part in _tuple(key)),
    )


def _tuple(key: Any) -> tuple[Any, ...]:
    return tuple(key) if isinstance(key, tuple) else (key,)


def _counts(place: Place, shelf: Shelf) -> Iterator[dict[str, Any]]:
    all_ = _total(shelf.goods.values())
    for goods in _sorted(shelf.goods):
        one = shelf.goods[goods]
        row = {**place.columns, "shelf": goods.shelf, "product": goods.product, "class": goods.class_name}
        row |= shelf.facts.get(goods.product or "", {})
        yield row | {**_share(one, all_), "facings": one.n, "width_px": one.width, "photos": shelf.photos}


def _shares(place: Place, shelf: Shelf) -> Iterator[dict[str, Any]]:
    brands: dict[tuple[str, str | None], Sum] = {}
    classes: dict[str, Sum] = {}
    for goods, one in shelf.goods.items():
        brand = shelf.facts.get(goods.product or "", {}).get("brand")
        for into in (brands.setdefault((goods.class_name, brand), Sum()), classes.setdefault(goods.class_name, Sum())):
            into.add(one.n, one.width, one.verified)
    for class_name, brand in _sorted(brands):
        one = brands[class_name, brand]
        yield {**place.columns, "class": class_name, "brand": brand, "facings": one.n, **_share(one, classes[class_name])}


def _gaps(place: Place, shelf: Shelf) -> Iterator[dict[str, Any]]:
    for on in _sorted({goods.shelf for goods in shelf.goods} | set(shelf.gaps)):
        gap, goods = shelf.gaps.get(on, Sum()), _total(one for key, one in shelf.goods.items() if key.shelf == on)
        both = gap.width + goods.width
        row = {**place.columns, "shelf": on, "gaps": gap.n, "width_px": gap.width, "facings": goods.n}
        yield row | {"share_of_width": gap.width / both if both else None, "verified": gap.verified, "photos": shelf.photos}


def _total(some: Iterable[Sum]) -> Sum:
    total = Sum()
    for one in some:
        total.add(one.n, one.width, one.verified)
    return total


def _share(one: Sum, of: Sum) -> dict[str, Any]:
    shares = {"share_of_facings": one.n / of.n, "share_of_width": one.width / of.width if of.width else None}
    return {**shares, "of": of.n, "verified": one.verified}
