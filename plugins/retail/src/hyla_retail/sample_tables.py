"""Write the tables of the sample shop: catalogue with a few broken rows, planogram, and what its shoppers bought."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from hyla_retail.sample_goods import GOODS, PATHS, Good, numbered
from hyla_retail.sample_shelf import Rng, Slot

CATALOGUE = ("sku", "gtin", "name", "brand", "category", "size", "price", "currency", "image")
PLANOGRAM = ("store", "fixture", "shelf", "position", "sku", "facings")
ORDERS = ("user", "sku", "date", "quantity")
SHOPPERS, BASKETS = 300, (4, 12)  # how many, and how often each comes at least and at most
SINCE, DAYS = date(2024, 1, 2), 120
TASTES, KEEN = 3, 2.2  # tags that a shopper likes, and by how much each raises the log-odds that a product is bought


def catalogue(path: Path) -> None:
    """Write the catalogue: semicolons between cells, commas in prices, and six rows at the end of which each has one fault."""
    rows = [_row(good) for good in GOODS]
    first, wrong = GOODS[0], numbered("952199900001")
    extra = {"brand": "Spar-Fuchs", "category": PATHS["snack"], "size": "100 g", "price": "1,00", "currency": "EUR", "image": ""}
    faults: list[dict[str, str]] = [
        {"sku": "49001", "gtin": first.gtin[1:], "name": "Same number as another"},
        {"sku": "49002", "gtin": wrong[:-1] + str((int(wrong[-1]) + 1) % 10), "name": "Wrong check digit"},
        {"sku": "49003", "gtin": numbered("952199900003"), "name": "No such picture", "image": "packshots/49003.jpg"},
        {"sku": "49004", "gtin": numbered("952199900004"), "name": "No price", "price": "on request"},
        {"sku": "49005", "gtin": numbered("952199900005"), "name": "Other currency", "price": "1,10", "currency": "CHF"},
    ]
    lines = [[{**extra, **one}[name] for name in CATALOGUE] for one in faults]
    _write(path, CATALOGUE, [*rows, *lines, ["49006", "too few cells"]], ";")


def _row(good: Good) -> list[str]:
    price = f"{good.price:.2f}".replace(".", ",")
    size, image = good.size.replace(".", ","), f"packshots/{good.sku}.jpg"
    return [good.sku, good.gtin[1:], f"{good.name} {good.size}", good.brand, PATHS[good.kind], size, price, "EUR", image]


def planogram(path: Path, plans: Mapping[tuple[str, str], Sequence[Slot]]) -> None:
    """Write what belongs where, by store and fixture."""
    rows = [
        [store, fixture, one.shelf, one.position, one.good.sku, one.facings]
        for (store, fixture), slots in plans.items()
        for one in slots
    ]
    _write(path, PLANOGRAM, rows, ";")


def orders(path: Path, rng: Rng) -> None:
    """Write what shoppers bought, each by tastes of their own: a shopper likes some tags, and buys what carries them."""
    carried = [{good.kind, good.brand, good.packaging, *good.tints, *good.claims} for good in GOODS]
    tags = sorted(set().union(*carried))
    has = np.array([[tag in one for tag in tags] for one in carried], dtype=np.float64)
    common = rng.normal(0, 0.6, len(GOODS))
    rows = []
    for shopper in range(1, SHOPPERS + 1):
        likes = rng.choice(len(tags), TASTES, replace=False)
        odds = np.exp(common + KEEN * has[:, likes].sum(axis=1))
        days = np.sort(rng.choice(DAYS, int(rng.integers(*BASKETS)), replace=False))
        for day in days:
            for n in rng.choice(len(GOODS), int(rng.integers(1, 4)), replace=False, p=odds / odds.sum()):
                when = (SINCE + timedelta(days=int(day))).isoformat()
                rows.append([f"u{shopper:04d}", GOODS[n].sku, when, 1 + int(rng.poisson(0.3))])
    _write(path, ORDERS, rows, ",")


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], between: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=between, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
