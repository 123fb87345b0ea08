"""Read the rows of a catalogue as arrays, column by column, mend what can be mended, and note what is wrong."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.types import Objects
from hyla_retail import gtin, money, picture_cells, sizes
from hyla_retail.sheets import Problem, Sheet

_LEVELS = re.compile(r"\s*(?:>|›|»|→|\||/|\\)\s*")
_SCIENTIFIC = re.compile(r"(\d(?:[.,]\d+)?)e\+?\d{1,2}", re.IGNORECASE)
_LOST_ZEROS = {7: 8, 9: 14, 10: 14, 11: 14}  # lengths that no GTIN has: what a spreadsheet leaves of one that begins with zeros
_AROUND = "=\"' \u00a0"
_WORDS = {"sku": "SKU", "gtin": "GTIN", "name": "name"}


class Rows:
    """Read the rows of a sheet.

    Args:
        sheet: to read.
        found: role -> places of its columns; see `hyla_retail.columns.guess`.
    """

    def __init__(self, sheet: Sheet, found: Mapping[str, Sequence[int]]) -> None:
        self.found = found
        self._noted = list(sheet.problems)
        self.notes: list[str] = []
        self.left_out = len(sheet.problems)
        self.root = sheet.path.parent
        self.columns, self.numeric = sheet.columns, sheet.numeric
        filled = [any(map(str.strip, cells)) for cells in sheet.rows]
        self.rows, self.numbers = list(compress(sheet.rows, filled)), list(compress(sheet.numbers, filled))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong, by row."""
        return tuple(sorted(self._noted))

    def read(self) -> dict[str, npt.NDArray[Any]]:
        """Return name -> array (n,) of the products, as `Catalogue` has them."""
        gtins = self._gtins()
        keys = self._first(gtins)
        kept = [bool(key) for key in keys]
        gtins, keys = list(compress(gtins, kept)), list(compress(keys, kept))
        self.left_out += len(kept) - len(keys)
        self.rows, self.numbers = list(compress(self.rows, kept)), list(compress(self.numbers, kept))
        names = self._texts("name")
        prices, currencies = self._prices()
        return {
            "key": _objects(keys),
            "sku": _objects(self._texts("sku")),
            "gtin": _objects(gtins),
            "name": _objects(names),
            "brand": _objects(self._texts("brand")),
            "category": _objects(self._categories()),
            "price": np.array(prices, dtype=np.float64),
            "currency": _objects(currencies),
            "size": _objects(self._sizes(names)),
            "image": _objects(self._images()),
            "row": np.array(self.numbers, dtype=np.int64),
        }

    def _texts(self, role: str) -> list[str]:
        if role not in self.found:
            return [""] * len(self.rows)
        at = self.found[role][0]
        return [cells[at].strip() for cells in self.rows]

    def _problem(self, at: int, role: str, reason: str) -> None:
        column = self.columns[self.found[role][0]] if role in self.found else ""
        self._noted.append(Problem(self.numbers[at], column, reason))

    def _gtins(self) -> list[str]:
        """Return the GTIN of each row: of several columns (EAN, UPC) the first that is right."""
        places = self.found.get("gtin", [])
        found: list[str] = []
        wrong: dict[int, str] = {}
        mended = 0
        for at, cells in enumerate(self.rows):
            texts = [text for place in places if (text := cells[place].strip())]
            found.append(next(filter(None, map(gtin.normalise, texts)), ""))
            if texts and not found[-1]:
                wrong[at] = texts[0]
        short = [whole for text in wrong.values() if len(whole := _whole(text)) in _LOST_ZEROS and whole.isdecimal()]
        zeros = 2 * sum(bool(_with_zeros(whole)) for whole in short) > len(short)
        for at, text in wrong.items():
            found[at], reason = _mended(text, zeros)
            mended += bool(found[at])
            if reason:
                self._problem(at, "gtin", reason)
        if mended:
            self.notes.append(f"{mended:,} GTIN{'' if mended == 1 else 's'} mended that a spreadsheet had changed")
        return found

    def _first(self, gtins: list[str]) -> list[str]:
        """Return the key of each row, empty for one that is left out: of rows with one SKU, GTIN or name the first counts.

        A GTIN that an earlier product has is taken away from a later one with a SKU of its own.
        """
        seen: dict[tuple[str, str], int] = {}
        keys = []
        for at, (sku, number, name) in enumerate(zip(self._texts("sku"), gtins, self._texts("name"), strict=True)):
            role, key = ("sku", sku) if sku else ("gtin", number) if number else ("name", name)
            first = seen.setdefault((role, key), at)
            if not key:
                self._problem(at, "", "it has no SKU, GTIN or name: left out")
            elif first != at:
                self._problem(at, role, f"{_WORDS[role]} {key} is that of row {self.numbers[first]} too: left out")
                key = ""
            elif number and (first := seen.setdefault(("gtin", number), at)) != at:
                self._problem(at, "gtin", f"GTIN {number} is that of row {self.numbers[first]} too: this product goes without")
                gtins[at] = ""
            keys.append(key)
        return keys

    def _prices(self) -> tuple[list[float], list[str]]:
        texts = self._texts("price")
        column = self.found.get("price", [-1])[0]
        decimal = "." if column in self.numeric else money.decimal_of(texts)
        header = money.currency_in(self.columns[column]) if column >= 0 else ""
        currencies = [money.currency_of(text) if text else "" for text in self._texts("currency")]
        prices = [math.nan] * len(texts)

        @cache
        def parse(text: str) -> money.Money:
            return money.parse(text, decimal)

        for at, text in enumerate(texts):
            if not text:
                continue
            found = parse(text)
            if not found.amount > 0:
                self._problem(at, "price", f"{picture_cells.quoted(text)} is no price: this product goes without")
                continue
            if found.per not in ("", "piece"):
                self._problem(at, "price", f"{picture_cells.quoted(text)} is a price per {found.per}: this product goes without")
                continue
            prices[at] = found.amount / found.pieces
            currencies[at] = currencies[at] or found.currency or header
        priced = Counter(one for one, price in zip(currencies, prices, strict=True) if one and price == price)
        usual = max(priced, key=priced.__getitem__, default="")  # of as many, the first in the file
        for at, (one, price) in enumerate(zip(currencies, prices, strict=True)):
            if one and one != usual and price == price:
                self._problem(at, "price", f"its price is in {one}, most are in {usual}: compared with prices in {one} alone")
        return prices, currencies

    def _categories(self) -> list[tuple[str, ...]]:
        @cache
        def levels(text: str) -> tuple[str, ...]:
            return tuple(one for one in _LEVELS.split(text.strip()) if one)

        places = self.found.get("category", [])
        if len(places) == 1:
            return [levels(cells[places[0]]) for cells in self.rows]
        return [tuple(level for at in places for level in levels(cells[at])) for cells in self.rows]

    def _sizes(self, names: list[str]) -> list[str]:
        @cache
        def size_of(text: str) -> str:
            found = sizes.parse(text) if any(map(str.isdigit, text)) else ()
            return sizes.words(found[0]) if found else ""

        return [size_of(text) or size_of(name) for text, name in zip(self._texts("size"), names, strict=True)]

    def _images(self) -> list[tuple[str, ...]]:
        places = self.found.get("image", [])
        there = picture_cells.Listing(self.root)
        found, urls, named = [], [], 0
        for at, cells in enumerate(self.rows):
            good: dict[str, None] = {}
            for one in (one for place in places for one in picture_cells.split(cells[place])):
                named += 1
                path, reason = there.look(one)
                if path:
                    good[path] = None
                elif picture_cells.is_url(one):
                    urls.append((at, reason))
                else:
                    self._problem(at, "image", reason)
            found.append(tuple(good))
        if len(urls) == named > 1:  # a column of URLs is one problem, not one of each row
            self._noted.append(Problem(1, self.columns[places[0]], f"all {named:,} pictures are URLs: nothing is fetched"))
        else:
            for at, reason in urls:
                self._problem(at, "image", reason)
        return found


def _whole(text: str) -> str:
    """Return a cell without what a spreadsheet puts around a number: ="..", '.. and .0 at its end."""
    return re.sub(r"[.,]0+$", "", text.strip(_AROUND))


def _with_zeros(whole: str) -> str:
    return gtin.normalise(whole.zfill(_LOST_ZEROS[len(whole)]))


def _mended(text: str, zeros: bool) -> tuple[str, str]:
    """Return the 14 digits of a GTIN that a spreadsheet changed, or empty and why it is none.

    Zeros before a number are put back if `zeros`: of numbers that are no GTINs one in ten gets a right check digit by chance, so
    most of a column must.
    """
    bare, whole = text.strip(_AROUND), _whole(text)
    quoted = picture_cells.quoted(text)
    if (short := _SCIENTIFIC.fullmatch(bare)) is not None:
        try:
            whole = str(int(Decimal(bare.replace(",", "."))))
        except InvalidOperation:
            whole = ""
        known = sum(map(str.isdigit, short[1]))
        found = gtin.normalise(whole) if known >= len(whole) - 1 else ""  # a last digit of 0 is not written
        return found, "" if found else f"{quoted} was rounded by a spreadsheet and its digits are lost: write GTINs as text"
    if found := gtin.normalise(whole):
        return found, ""
    if not (whole.isascii() and whole.isdigit()):
        return "", f"{quoted} is no GTIN"
    if len(whole) in gtin.LENGTHS:
        return "", f"GTIN {whole} ends in {whole[-1]}, its check digit is {gtin.check_digit(whole[:-1])}: taken for none"
    found = _with_zeros(whole) if zeros and len(whole) in _LOST_ZEROS else ""
    return found, "" if found else f"{quoted} is no GTIN: it has {len(whole)} digits"


def _objects(values: Sequence[object]) -> Objects:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
