"""Remember what fields looked like: at earlier dates of the same scene, and in earlier years.

A group's history is replaced, never changed, so that a batch that fails leaves what was known before. Of each date it holds four
numbers per field; of the last date on which a field was clear also the NDVI of its full pixels, in two bytes each, which is what
zones of change are found with.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.types import Floats
from hyla_agriculture.scene import Fields

SEASON = 16  # days by which the day of the year may differ: a MODIS composite, half a month
STEPS = 20_000  # of NDVI 1 in which pixels are kept: 5e-5, within 16 bits up to 1.6
UNKNOWN = -32768
COLUMNS = ("field", "date", "ndvi")
Codes = npt.NDArray[np.int16]


class Seen(NamedTuple):
    """Hold what one field looked like at one date.

    Args:
        day: proleptic ordinal of the date (`date.toordinal`), None where the scene has none.
        ndvi: mean over the clear full pixels.
        spread: robust standard deviation of them.
        clear: share of the field that was seen, 0 to 1.
    """

    day: int | None
    ndvi: float
    spread: float
    clear: float


class Pixels(NamedTuple):
    """Hold the NDVI of a field's full pixels at its last clear date, row by row, and the shape of its window."""

    size: tuple[int, int]
    ndvi: Codes

    @classmethod
    def of(cls, size: tuple[int, int], ndvi: npt.NDArray[np.float32]) -> Pixels:
        """Keep NDVI (k,), NaN where a pixel was not clear."""
        codes = np.full(len(ndvi), UNKNOWN, np.int16)
        known = np.isfinite(ndvi)
        codes[known] = np.rint(np.clip(ndvi[known] * STEPS, -32767, 32767))
        return cls(size, codes)

    def values(self) -> npt.NDArray[np.float32]:
        """Return NDVI (k,), NaN where the pixel was not clear."""
        return np.where(self.ndvi == UNKNOWN, np.float32(np.nan), self.ndvi / np.float32(STEPS))


@dataclass(frozen=True)
class History:
    """Hold what is remembered of one group.

    Args:
        seen: id of a field -> what it looked like at each earlier date on which it could be judged, in order.
        pixels: id of a field -> its pixels at the last of them.
        fields: the parcels, where the source had none and they were found at the first date; so they stay the same.
    """

    seen: Mapping[str, tuple[Seen, ...]] = field(default_factory=dict)
    pixels: Mapping[str, Pixels] = field(default_factory=dict)
    fields: Fields | None = None

    def after(self, seen: Mapping[str, Seen], pixels: Mapping[str, Pixels], fields: Fields | None = None) -> History:
        """Return the history with one date more."""
        grown = {**self.seen, **{name: (*self.seen.get(name, ()), one) for name, one in seen.items()}}
        return History(grown, {**self.pixels, **pixels}, self.fields if fields is None else fields)


class Years:
    """Know the NDVI of fields in earlier years.

    Args:
        path: a CSV, Parquet or GeoParquet file with the columns field, date (YYYY-MM-DD) and ndvi, as the geoparquet export
            writes one; None for no such file.

    Raises:
        ConfigError: for a file that can't be read, lacks a column, or has a date that is none.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._days: dict[str, list[int]] = defaultdict(list)
        self._ndvi: dict[str, list[float]] = defaultdict(list)
        if path is not None:
            for name, day, ndvi in _rows(Path(path)):
                self._days[name].append(day)
                self._ndvi[name].append(ndvi)

    def earlier(self, name: str, day: int | None, own: tuple[Seen, ...] = ()) -> Floats:
        """Return the mean NDVI (years,) of each year before that of `day`, within 16 days of the same day of the year.

        Args:
            name: id of the field.
            day: ordinal of the date that is judged; no year is earlier than none.
            own: what the group itself remembers of the field.
        """
        if day is None:
            return np.zeros(0)
        days = np.array([*self._days.get(name, ()), *(one.day for one in own if one.day is not None)], dtype=np.int64)
        if not len(days):
            return np.zeros(0)
        ndvi = np.array([*self._ndvi.get(name, ()), *(one.ndvi for one in own if one.day is not None)], dtype=np.float64)
        now = date.fromordinal(day)
        # The season that a date belongs to is counted from this one back, so that January has no other one than December.
        back = np.rint((day - days) / 365.2425).astype(np.int64)
        apart = np.array([abs(int(one) - _same_day(now, int(ago))) for one, ago in zip(days, back, strict=True)])
        near = (back > 0) & (apart <= SEASON) & np.isfinite(ndvi)
        return np.array([ndvi[near & (back == ago)].mean() for ago in np.unique(back[near])[::-1]])


def ordinal(text: Any) -> int | None:
    """Return the ordinal of a date as `2024-06-01`, which may be followed by a time; None for what is no date."""
    try:
        return date.fromisoformat(str(text)[:10]).toordinal()
    except ValueError:
        return None


def _same_day(now: date, ago: int) -> int:
    """Return the ordinal of the same day so many years ago; 28 February for the 29th."""
    year = max(1, now.year - ago)
    try:
        return now.replace(year=year).toordinal()
    except ValueError:
        return now.replace(year=year, day=28).toordinal()


def _rows(path: Path) -> Iterator[tuple[str, int, float]]:
    """Yield field, ordinal and NDVI of each row that has all three."""
    if not path.is_file():
        raise ConfigError(f"there is no history {path}", "name a CSV or Parquet file with the columns field, date and ndvi")
    read = _parquet if path.suffix.lower() in (".parquet", ".geoparquet", ".pq") else _csv
    for number, (name, day, ndvi) in enumerate(read(path), 1):
        if name in (None, "") or ndvi in (None, ""):
            continue
        at = ordinal(day)
        try:
            value = float(ndvi)
        except (TypeError, ValueError):
            at = None
        if at is None:
            raise ConfigError(f"{path}, row {number}: date {day!r}, ndvi {ndvi!r}", "write 2023-06-01 and a number")
        if value == value:
            yield str(name), at, value


def _csv(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            _prove(path, rows.fieldnames or ())
            yield from ((row["field"], row["date"], row["ndvi"]) for row in rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"the history {path} can't be read: {error}", "give a CSV file in UTF-8") from error


def _parquet(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        _prove(path, parquet.read_schema(path).names)
        table = parquet.read_table(path, columns=list(COLUMNS))
    except (OSError, pyarrow.ArrowException) as error:
        raise ConfigError(f"the history {path} can't be read: {error}", "give a Parquet file") from error
    yield from zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True)


def _prove(path: Path, names: Any) -> None:
    if lacking := [name for name in COLUMNS if name not in names]:
        raise ConfigError(f"the history {path} has no column {', '.join(lacking)}", "it needs field, date and ndvi", names)
