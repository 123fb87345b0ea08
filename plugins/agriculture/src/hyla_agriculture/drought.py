"""Drought indices: of vegetation and temperature against the same time of other years, and of rain against its record.

VCI = 100 (NDVI - lowest) / (highest - lowest), over the same period of the years on record (Kogan 1990, Int. J. Remote Sensing
11:1405). TCI = 100 (highest - T) / (highest - lowest), VHI = a VCI + (1 - a) TCI (Kogan 1995, Adv. Space Res. 15(11):91), with
a = 0.5 as FAO's Agricultural Stress Index System has it. SPI (McKee 1993) as WMO-No. 1090 (2012) describes it: sums of rain over
some months, a gamma distribution for each calendar month by Thom's (1958) estimate of the greatest likelihood, months without
rain apart, and the standard normal value of the same probability.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.types import Floats, Objects

CLIP = 3.09  # SPI beyond says more of the fit's tail than of the rain; one in a thousand, as climate_indices and NCEI cut it
YEARS = 20  # least record for a gamma fit: WMO-No. 1090 asks for 20 to 30 years, better 50 to 60
MONTHS = range(1, 25)  # over which rain is summed up: WMO-No. 1090 names 1 to 24 as the practical range
# Values below each belong to its class, the first that fits. VHI, VCI and TCI in percent: below 40 Kogan sees a drought begin
# (NOAA STAR, Vegetation Health); the steps of ten below it are those in common use, not his. SPI: WMO-No. 1090, table 1.
VHI_CLASSES = {"extreme": 10.0, "severe": 20.0, "moderate": 30.0, "mild": 40.0}
SPI_CLASSES = {"extreme": -2.0, "severe": -1.5, "moderate": -1.0}


@dataclass(frozen=True)
class Rainfall:
    """Hold a record of monthly rain.

    Args:
        year, month: of the first value.
        mm: (n,) sums of consecutive months in mm, NaN where one is missing.
    """

    year: int
    month: int
    mm: Floats


def vci(ndvi: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """Return the Vegetation Condition Index in percent, 0 (as bad as ever seen) to 100, NaN where the range is not known.

    Args:
        ndvi: now.
        low: lowest NDVI of the same period (dekad, month) in the years on record.
        high: highest of them.
    """
    value, least, most = (np.asarray(one, dtype=np.float64) for one in (ndvi, low, high))
    span = most - least
    return _percent(value - least, span)


def tci(temperature: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """Return the Temperature Condition Index in percent, 0 (as hot as ever seen) to 100, NaN as for `vci`.

    Args:
        temperature: of the surface now, in kelvin or degrees Celsius.
        low: lowest of the same period in the years on record, in the same unit.
        high: highest of them.
    """
    value, least, most = (np.asarray(one, dtype=np.float64) for one in (temperature, low, high))
    return _percent(most - value, most - least)


def vhi(vci: npt.ArrayLike, tci: npt.ArrayLike, alpha: float = 0.5) -> Floats:
    """Return the Vegetation Health Index in percent: `alpha` VCI + (1 - `alpha`) TCI.

    Raises:
        ConfigError: for a weight that is not 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise ConfigError(f"the weight of VCI in VHI is {alpha:g}", "give 0 to 1; 0.5 weighs VCI and TCI alike")
    return np.asarray(alpha * np.asarray(vci, dtype=np.float64) + (1 - alpha) * np.asarray(tci, dtype=np.float64))


def drought_class(percent: npt.ArrayLike, limits: Mapping[str, float] = VHI_CLASSES) -> Objects:
    """Return `extreme`, `severe`, `moderate`, `mild` or `none` for each VHI, VCI or TCI (n,); None where it is not known."""
    values = np.atleast_1d(np.asarray(percent, dtype=np.float64))
    return _classes(values, [(name, values < limit) for name, limit in limits.items()])


def spi_class(spi: npt.ArrayLike) -> Objects:
    """Return `extreme`, `severe`, `moderate` or `none` for each SPI (n,); None where it is not known."""
    values = np.atleast_1d(np.asarray(spi, dtype=np.float64))
    return _classes(values, [(name, values <= limit) for name, limit in SPI_CLASSES.items()])


def spi(
    mm: npt.ArrayLike,
    months: int = 3,
    *,
    year: int = 1,
    month: int = 1,
    calibration: tuple[int, int] | None = None,
) -> Floats:
    """Return the Standardized Precipitation Index (n,) of a monthly record, in standard deviations from -3.09 to 3.09.

    The value of a month is about its rain and that of the `months` - 1 before. NaN where one of them is missing, and in a
    calendar month whose sums are zero in all years, or always the same: nothing can be standardised there.

    Args:
        mm: (n,) sums of consecutive months, NaN where one is missing.
        months: over which rain is summed up, 1 to 24.
        year: of the first value.
        month: of the first value, 1 to 12.
        calibration: first and last year that the distributions are fitted to; the whole record if not given.

    Raises:
        ConfigError: for other months, negative rain, or a calibration outside the record.
    """
    from scipy.special import gammainc, ndtri

    rain = np.asarray(mm, dtype=np.float64).reshape(-1)
    if months not in MONTHS:
        raise ConfigError(f"SPI over {months} months", f"sum up {MONTHS[0]} to {MONTHS[-1]} months")
    if (rain < 0).any():
        raise ConfigError(f"rain of {np.nanmin(rain):g} mm", "leave a month empty in which it was not measured")
    number = year * 12 + month - 1 + np.arange(len(rain))
    first, last = calibration or (year, int(number[-1] // 12) if len(rain) else year)
    fitted = (number // 12 >= first) & (number // 12 <= last)
    if len(rain) and not fitted.any():
        raise ConfigError(f"no month of the record lies in the years {first} to {last} it is to be calibrated with")
    sums = np.full(len(rain), np.nan)
    if len(rain) >= months:
        sums[months - 1 :] = np.lib.stride_tricks.sliding_window_view(rain, months).sum(axis=1)
    out = np.full(len(rain), np.nan)
    for calendar in range(12):
        here = number % 12 == calendar
        known = sums[here & fitted & np.isfinite(sums)]
        wet = known[known > 0]
        spread = np.log(wet.mean()) - np.log(wet).mean() if len(wet) > 1 else 0.0
        if not spread > 1e-12:  # rounding of equal sums
            continue
        shape = (1 + np.sqrt(1 + 4 * spread / 3)) / (4 * spread)
        dry = 1 - len(wet) / len(known)
        share = dry + (1 - dry) * gammainc(shape, sums[here] * shape / wet.mean())
        out[here] = np.clip(ndtri(share), -CLIP, CLIP)
    return out


def rainfall(path: str | Path) -> Rainfall:
    """Read monthly rain from a CSV file: the month (2024-06, or a day in it) and mm, with or without a line of names.

    Months need no order, those left out are missing. Commas, semicolons and tabs separate.

    Raises:
        ConfigError: for a file that can't be read, and a line that is not a month and a number of mm.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(
            f"the rain in {path} can't be read: {e}", "give a CSV file with a month (2024-06) and mm in a line"
        ) from e
    separator = next((one for one in ";\t" if one in text), ",")
    found: dict[int, float] = {}
    for line, row in enumerate(csv.reader(text.splitlines(), delimiter=separator), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (line == 1 and not cells[0][:1].isdigit()):
            continue
        found[_month(cells, line, path)] = _rain(cells, line, path)
    if not found:
        raise ConfigError(f"{path} has no month of rain", "give a month (2024-06) and mm in each line")
    start = min(found)
    mm = np.full(max(found) - start + 1, np.nan)
    mm[[number - start for number in found]] = list(found.values())
    return Rainfall(start // 12, start % 12 + 1, mm)


def spi_at(series: Rainfall, day: str, months: int = 3, years: int = YEARS) -> float:
    """Return SPI of the last months that were over on a day; NaN where the record does not tell it or is too short.

    Args:
        series: the record, which is also what the distributions are fitted to.
        day: YYYY-MM-DD. A month counts from its last day on.
        months: over which rain is summed up.
        years: least number of years on record.
    """
    try:
        tomorrow = date.fromisoformat(day[:10]) + timedelta(days=1)
    except (ValueError, OverflowError):
        return float("nan")
    row = (tomorrow.year * 12 + tomorrow.month - 2) - (series.year * 12 + series.month - 1)
    if not 0 <= row < len(series.mm) or np.isfinite(series.mm).sum() < 12 * years:
        return float("nan")
    return float(spi(series.mm, months, year=series.year, month=series.month)[row])


def _percent(above: Floats, span: Floats) -> Floats:
    known = span > 0
    share = np.divide(above, span, out=np.full(np.broadcast_shapes(above.shape, span.shape), np.nan), where=known)
    return np.asarray(np.clip(100 * share, 0, 100))


def _classes(values: Floats, below: list[tuple[str, npt.NDArray[np.bool_]]]) -> Objects:
    out = np.full(len(values), "none", dtype=object)
    out[np.isnan(values)] = None
    for name, rows in reversed(below):
        out[rows] = name
    return out


def _month(cells: list[str], line: int, path: str | Path) -> int:
    try:
        day = date.fromisoformat(cells[0] if len(cells[0]) > 7 else f"{cells[0]}-01")
    except ValueError as e:
        raise ConfigError(f"{path}, line {line}: {cells[0]!r} is no month", "write it as 2024-06") from e
    return day.year * 12 + day.month - 1


def _rain(cells: list[str], line: int, path: str | Path) -> float:
    word = cells[1] if len(cells) > 1 else ""
    try:
        mm = float(word) if word else float("nan")
    except ValueError:
        mm = -1.0
    if mm < 0 or mm == float("inf"):
        raise ConfigError(
            f"{path}, line {line}: {word!r} is no rain in mm", "write a number from 0, or nothing where it is not known"
        )
    return mm
