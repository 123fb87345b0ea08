"""Compare the shelves with the planogram: what is missing, extra, on another shelf, out of order, or has other facings.

Three things are asked of each product in each place of the planogram, and counted with their n: is it *present* (anywhere on the
fixture), is it *in place* (on its shelf, in the planned order from the left), and are its facings *right* as well. The compliance
of a fixture is the share of the planned facings that stand in place: sum of min(planned, seen in place) / sum of planned.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from hyla.formats import Loss, writing
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Record
from hyla_retail import seen
from hyla_retail.catalogue import Catalogue
from hyla_retail.counts import Place, Shelf, count, proved
from hyla_retail.planogram import Planogram, open_planogram
from hyla_retail.shelf_order import out_of_order
from hyla_retail.shop import LOADER, catalogue_of, source_of, told
from hyla_retail.table_files import write_table

if TYPE_CHECKING:
    from hyla.pictures import Pictures

NAME = "planogram_report"
RIGHT, FACINGS, ORDER, MOVED, MISSING, EXTRA = "right", "facings", "order", "moved", "missing", "extra"
IN_PLACE = (RIGHT, FACINGS)
ROWS = pa.schema(
    [
        *((name, pa.string()) for name in ("store", "fixture", "date", "product", "name", "status")),
        ("shelf", pa.int64()),  # planned; null for what is extra, or where the planogram names no shelves
        ("position", pa.int64()),  # planned, from the left
        ("seen_shelf", pa.int64()),  # where it stands, if anywhere
        ("planned", pa.int64()),  # facings
        ("seen", pa.int64()),
        ("difference", pa.int64()),  # seen - planned
    ]
)


@dataclass(slots=True)
class Line:
    """Hold what became of one product in one place: `status` is right, facings, order, moved, missing or extra."""

    product: str
    status: str
    shelf: int | None
    position: int | None
    seen_shelf: int | None
    planned: int
    seen: int
    name: str = ""

    @property
    def difference(self) -> int:
        """Return how many facings there are too many."""
        return self.seen - self.planned


@dataclass(slots=True)
class Figures:
    """Hold counts of one fixture, or of all: planned places and facings, and what was found of them."""

    places: int = 0
    present: int = 0
    in_place: int = 0
    right: int = 0
    planned: int = 0
    placed: int = 0
    extra: int = 0
    unnamed: int = 0

    def add(self, other: Figures) -> None:
        """Add those of another fixture."""
        for name, n in asdict(other).items():
            setattr(self, name, getattr(self, name) + n)

    def to_dict(self) -> dict[str, Any]:
        """Return counts, and shares as [share, n], null where n is 0."""
        shares = {"compliance": (self.placed, self.planned)}
        shares |= {name: (getattr(self, name), self.places) for name in ("present", "in_place", "right")}
        return {
            "planned_places": self.places,
            "planned_facings": self.planned,
            **{name: {"share": k / n if n else None, "count": k, "n": n} for name, (k, n) in shares.items()},
            "extra_facings": self.extra,
            "unnamed_facings": self.unnamed,
        }


@dataclass(slots=True)
class Compared:
    """Hold the comparison of one fixture."""

    place: Place
    lines: list[Line]
    figures: Figures
    photos: int


@dataclass(slots=True)
class Report:
    """Hold all comparisons, the fixtures that nobody photographed, and the photographed ones that are not planned."""

    planogram: str
    compared: list[Compared] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    unplanned: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def total(self) -> Figures:
        """Return the figures of all fixtures together."""
        total = Figures()
        for one in self.compared:
            total.add(one.figures)
        return total


class PlanogramReport(Format):
    """Write planogram_report as a page (HTML), a table (CSV) and figures (JSON). It can't be read back.

    Args:
        planogram: a path, relative to the source or to the working folder; `auto` for planogram.* beside the photos; `loader` for
            what the loader of the project was told.
        catalogue: likewise; it says which product the planogram means by a GTIN or a SKU.
        several: of several photos of one fixture on one day, count the `last`, or the `sum` (then order is not judged).
        pictures: of the project.
    """

    name = NAME

    def __init__(
        self,
        planogram: str | None = LOADER,
        catalogue: str | None = LOADER,
        several: str = "last",
        pictures: Pictures | None = None,
    ) -> None:
        self.planogram, self.catalogue = planogram, catalogue
        self.several, self.pictures = proved(several, NAME), pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write the report under `out`; return how many photos no planogram is for, beside what is not counted."""
        loss = Loss()
        plan = open_planogram(told(self.pictures, "planogram", self.planogram), source_of(self.pictures))
        catalogue = catalogue_of(self.pictures, self.catalogue)
        found = count(seen.seen(records, self.pictures), schema, loss, self.several, catalogue)
        report = compare(plan, catalogue, found)
        loss.count("photo without planogram", sum(found[place].photos for place in found if _name(place) in report.unplanned))
        rows = (
            {**one.place.columns, **asdict(line), "difference": line.difference} for one in report.compared for line in one.lines
        )
        write_table(out / f"{NAME}.csv", ROWS, rows)
        with writing(out / f"{NAME}.json") as file:
            file.write(msgspec.json.format(msgspec.json.encode(to_dict(report))) + b"\n")
        with writing(out / f"{NAME}.html") as file:
            file.write(page(report).encode())
        return dict(loss)


def compare(plan: Planogram, catalogue: Catalogue, found: Mapping[Place, Shelf]) -> Report:
    """Return what differs between a planogram and the shelves that were counted."""
    report = Report(plan.file, problems=[f"row {p.row}, {p.column or 'row'}: {p.reason}" for p in plan.problems])
    met = np.zeros(len(plan), dtype=bool)
    numbers = {int(row): at for at, row in enumerate(plan.row)}
    for place, shelf in found.items():
        mine = plan.of(place.store, place.fixture)
        several = any(len(_folded(names) - {""}) > 1 for names in (mine.store, mine.fixture))
        if not len(mine) or several:  # nobody knows which it is
            report.unplanned.append(_name(place))
            continue
        met[[numbers[int(row)] for row in mine.row]] = True
        lines, unnamed = _lines(mine, mine.keys(catalogue).tolist(), shelf)
        for line in lines:
            at = catalogue.row_of(line.product)
            line.name = str(catalogue.name[at]) if at >= 0 else str(shelf.facts.get(line.product, {}).get("name") or "")
        report.compared.append(Compared(place, lines, _figures(lines, unnamed), shelf.photos))
    rest = plan[~met]
    names = [" · ".join(p for p in (s, f) if p) or "-" for s, f in zip(rest.store, rest.fixture, strict=True)]
    report.unseen = sorted({name.casefold(): name for name in reversed(names)}.values())
    return report


def to_dict(report: Report) -> dict[str, Any]:
    """Return what planogram_report.json holds."""
    fixtures = [{**one.place.columns, "photos": one.photos, **one.figures.to_dict()} for one in report.compared]
    rest = {"not_photographed": report.unseen, "not_planned": report.unplanned, "problems": report.problems}
    return {"planogram": report.planogram, "all": report.total.to_dict(), "fixtures": fixtures, **rest}


def page(report: Report) -> str:
    """Return planogram_report.html."""
    from jinja2 import Environment, StrictUndefined

    source = files("hyla_retail").joinpath(f"{NAME}.html.j2").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(source)
    return template.render(r=report, total=report.total, name=_name)


def _lines(plan: Planogram, keys: Sequence[str], shelf: Shelf) -> tuple[list[Line], int]:
    """Return what became of the products that are planned or seen on one fixture, and how many facings have no name."""
    seen_at: Counter[tuple[str, int | None]] = Counter()
    unnamed = 0
    known = bool((plan.shelf > 0).any()) and any(goods.shelf is not None for goods in shelf.goods)
    for goods, one in shelf.goods.items():
        if goods.product is None:
            unnamed += one.n
        else:
            seen_at[goods.product, goods.shelf if known else None] += one.n
    planned: dict[tuple[str, int | None], list[tuple[int, int]]] = defaultdict(list)
    for key, on, position, facings in zip(keys, plan.shelf.tolist(), plan.position.tolist(), plan.facings.tolist(), strict=True):
        planned[key, on or None if known else None].append((position, facings))
    stray = out_of_order(planned, shelf.orders) if known and shelf.photos == 1 else set()
    lines, spare = [], Counter({at: n for at, n in seen_at.items() if at not in planned or (known and at[1] is None)})
    anywhere_first = sorted(planned.items(), key=lambda one: one[0][1] is not None)
    for (key, on), places in anywhere_first:
        wanted, there, where = sum(n for _, n in places), seen_at[key, on], on
        if known and on is None:
            there, where = _anywhere(key, spare)
        status = RIGHT if there == wanted else FACINGS
        if there and (key, on) in stray:
            status = ORDER
        elif not there:
            others = sorted((abs((other or 0) - (on or 0)), other or 0, other) for k, other in spare if k == key)
            status, where = (MOVED, others[0][2]) if others else (MISSING, None)
            there = spare.pop((key, where)) if others else 0
        lines.append(Line(key, status, on, min(places)[0] or None, where, wanted, there))
    lines += [Line(key, EXTRA, None, None, on, 0, n) for (key, on), n in spare.items()]
    return sorted(
        lines, key=lambda one: (one.status == EXTRA, one.shelf or one.seen_shelf or 0, one.position or 0, one.product)
    ), unnamed


def _anywhere(key: str, spare: Counter[tuple[str, int | None]]) -> tuple[int, int | None]:
    """Take a product from all shelves on which it is not planned; return its facings, and the shelf that has most of them."""
    shelves = [on for product, on in spare if product == key]
    found = {on: spare.pop((key, on)) for on in shelves}
    return sum(found.values()), min(found, key=lambda on: (-found[on], on or 0), default=None)


def _figures(lines: Sequence[Line], unnamed: int) -> Figures:
    total = Figures(unnamed=unnamed)
    present = {one.product for one in lines if one.seen}
    for one in lines:
        if one.status == EXTRA:
            total.extra += one.seen
            continue
        total.places += 1
        total.planned += one.planned
        total.present += one.product in present
        total.in_place += one.status in IN_PLACE
        total.right += one.status == RIGHT
        total.placed += min(one.planned, one.seen) if one.status in IN_PLACE else 0
        total.extra += max(one.difference, 0)
    return total


def _folded(names: Iterable[str]) -> set[str]:
    return {name.casefold() for name in names}


def _name(place: Place) -> str:
    return " · ".join(part for part in place.columns.values() if part) or "-"
