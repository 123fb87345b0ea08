"""Write small catalogues, planograms and photos for tests of retail."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hyla_retail.catalogue import Catalogue, open_catalogue
from hyla_retail.gtin import check_digit

COLUMNS = ("sku", "gtin", "name", "brand", "category", "price", "image")


def gtin13(number: int, prefix: str = "400") -> str:
    """Return a GTIN-13 with the right check digit."""
    bare = f"{prefix}{number:0{12 - len(prefix)}d}"
    return bare + check_digit(bare)


def table(
    path: Path,
    rows: Sequence[Sequence[Any]],
    columns: Sequence[str] = COLUMNS,
    between: str = ",",
    encoding: str = "utf-8",
) -> Path:
    """Write a CSV file, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=between, lineterminator="\n").writerows([columns, *rows])
    return path


def catalogue(folder: Path, rows: Sequence[Sequence[Any]], columns: Sequence[str] = COLUMNS, **how: Any) -> Catalogue:
    """Write catalogue.csv into a folder, and return it as it is read."""
    table(folder / "catalogue.csv", rows, columns, **how)
    return open_catalogue("auto", str(folder))


def row(number: int, **given: Any) -> list[Any]:
    """Return a row of a good product, with some cells as given."""
    values = {"sku": f"s{number}", "gtin": gtin13(number), "name": f"Product {number}", "brand": "Acme"}
    return [{**values, "category": "Food > Dairy", "price": "1.99", "image": "", **given}[name] for name in COLUMNS]


def noise(height: int, width: int, seed: int = 0) -> Any:
    """Return a picture (height, width, 3) of smooth noise, unlike itself however it is turned."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def photo(path: Path, pixels: Any = None, orientation: int = 0, taken: str = "", **how: Any) -> Path:
    """Write a photo with EXIF, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    Image.fromarray(noise(48, 64) if pixels is None else pixels).save(path, exif=exif, **how)
    return path


def reasons(problems: Sequence[Any]) -> Mapping[int, str]:
    """Return row -> what is wrong in it, all of it."""
    found: dict[int, str] = {}
    for one in problems:
        found[one.row] = "; ".join(filter(None, (found.get(one.row), f"{one.column}: {one.reason}")))
    return found
