"""Read a shop's table of orders: who bought what, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from hyla.errors import ConfigError
from hyla.types import Floats, Objects
from hyla_retail import beside, columns
from hyla_retail.catalogue import Catalogue
from hyla_retail.sheets import Problem, Sheet, read_sheet

STEM = "orders|purchases|transactions|sales"
ROLES = ("user", "item", "time", "quantity")
CLOCKS = ("", " %H:%M", " %H:%M:%S")
DATES = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d")  # beside ISO 8601; of two that fit all rows, the first
MILLISECONDS = 1e11  # a number above is no second before the year 5138


@dataclass(frozen=True, eq=False)
class Orders:
    """Hold n bought lines as parallel arrays.

    Args:
        user: who bought.
        item: what, as the key of a product in the catalogue where that knows it, else as written.
        time: seconds since 1970, UTC; NaN where it is not said. A time without zone is taken as UTC.
        quantity: how many, 1 where it is not said.
        file: name of the table, empty for none.
        timed, counted: whether the table has such a column.
        problems: rows that are left out, and why.
    """

    user: Objects
    item: Objects
    time: Floats
    quantity: Floats
    file: str = ""
    timed: bool = False
    counted: bool = False
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.user)


def open_orders(
    orders: str | None, source: str, find: Callable[[str], str], columns_: Mapping[str, str] | None = None
) -> Orders | None:
    """Return the orders of a source, or None if it has none.

    Args:
        orders: `auto` for orders.csv, .tsv or .parquet in the source; a path; None for none.
        source: of the project.
        find: returns the key of the product that the table calls by some word; see `finder`.
        columns_: {role: column} where the names of the columns don't say it; roles are user, item, time and quantity.

    Raises:
        ConfigError: if a table that is named is not there, or has no column of users and one of products.
    """
    path = beside.find(orders, source, STEM, beside.TABLES)
    if path is None:
        return None
    sheet = read_sheet(path)
    found = columns.guess(sheet.columns, ROLES, columns_, str(path))
    if missing := [role for role in ("user", "item") if role not in found]:
        hint = "say which column it is: columns={" + ", ".join(f"{role}: ..." for role in missing) + "}"
        raise ConfigError(f"{path} has no column that is known to hold the {' and the '.join(missing)}", hint, sheet.columns)
    return _read(sheet, {role: places[0] for role, places in found.items()}, find)


def finder(catalogue: Catalogue, gtins: Mapping[str, str]) -> Callable[[str], str]:
    """Return what gives the key of a product for a word: a key, SKU, GTIN in any spelling, or name.

    Args:
        catalogue: of the shop.
        gtins: 14 digits -> key, of products that the catalogue does not have.
    """
    from hyla_retail.gtin import normalise

    @lru_cache(maxsize=1 << 20)
    def find(word: str) -> str:
        if (row := catalogue.find(word)) >= 0:
            return str(catalogue.key[row])
        return gtins.get(normalise(word), word)

    return find


def _read(sheet: Sheet, at: Mapping[str, int], find: Callable[[str], str]) -> Orders:
    problems = list(sheet.problems)
    when = _clock([row[at["time"]] for row in sheet.rows]) if "time" in at else lambda _: float("nan")
    kept: list[tuple[str, str, float, float]] = []
    for number, row in zip(sheet.numbers, sheet.rows, strict=True):
        user, item = row[at["user"]].strip(), row[at["item"]].strip()
        time = when(row[at["time"]]) if "time" in at else float("nan")
        quantity = _number(row[at["quantity"]]) if "quantity" in at and row[at["quantity"]].strip() else 1.0
        for bad, role, reason in (
            (not user, "user", "nobody bought it: left out"),
            (not item, "item", "it names no product: left out"),
            (time is None, "time", f"{row[at.get('time', 0)].strip()!r} is no time: left out"),
            (quantity is None, "quantity", f"{row[at.get('quantity', 0)].strip()!r} is no number: left out"),
            (quantity is not None and quantity <= 0, "quantity", "nothing was bought, or it was returned: left out"),
        ):
            if bad:
                if user or item:
                    problems.append(Problem(number, sheet.columns[at[role]], reason))
                break
        else:
            assert time is not None
            assert quantity is not None
            kept.append((user, find(item), time, quantity))
    users, items, times, quantities = zip(*kept, strict=True) if kept else ((), (), (), ())
    own = np.array(users, dtype=object), np.array(items, dtype=object), np.array(times, float), np.array(quantities, float)
    return Orders(*own, sheet.path.name, "time" in at, "quantity" in at, tuple(sorted(problems)))


def _clock(texts: Sequence[str]) -> Callable[[str], float | None]:
    """Return what reads the times of a column: the day comes first unless that fits fewer of its rows than the month."""
    some = [text.strip() for text in texts[:2000] if text.strip()]
    fits = [sum(_parsed(text, date) is not None for text in some) for date in DATES]
    order = tuple(sorted(DATES, key=lambda date: -fits[DATES.index(date)]))

    @lru_cache(maxsize=1 << 16)
    def read(text: str) -> float | None:
        text = text.strip()
        if not text:
            return float("nan")
        number = _number(text) if not (len(text) == 8 and text.isdigit()) else None
        if number is not None:
            return number / 1000 if number > MILLISECONDS else number
        try:
            return _seconds(datetime.fromisoformat(text))
        except ValueError:
            return next((found for date in order if (found := _parsed(text, date)) is not None), None)

    return read


def _parsed(text: str, date: str) -> float | None:
    for clock in CLOCKS:
        try:
            return _seconds(datetime.strptime(text, date + clock))
        except ValueError:
            continue
    return None


def _seconds(time: datetime) -> float:
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float | None:
    try:
        number = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return number if np.isfinite(number) else None
