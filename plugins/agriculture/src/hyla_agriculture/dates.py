"""Find the day a raster was taken in the names people give to files and bands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta

# A day, with or without a time after it: 2024-06-01, 2024_06_01, 20240601T102559; 2024153 and A2013257 count days of the year.
_DAY = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<dash>[-_.]?)(?P<month>0[1-9]|1[0-2])(?P=dash)(?P<day>0[1-9]|[12]\d|3[01])(?:[T_]\d{6}Z?)?(?!\d)"
)
_OF_YEAR = re.compile(r"(?<![A-Za-z0-9])(?:A|doy)?(?P<year>(?:19|20)\d\d)(?P<number>[0-3]\d\d)(?:T\d{6})?(?![A-Za-z0-9])")
_YEAR = re.compile(r"(?<![A-Za-z0-9])(?:19|20)\d\d(?![A-Za-z0-9])")
TAGS = ("acquisition_date", "date_acquired", "acquisitiondatetime", "datetime", "date", "time")
EDGES = " _-.,"


def day_of(text: str) -> str:
    """Return the first day that `text` names, as `2024-06-01`, or an empty string."""
    for found in _DAY.finditer(text):
        try:
            return date(int(found["year"]), int(found["month"]), int(found["day"])).isoformat()
        except ValueError:  # 31 June
            continue
    for found in _OF_YEAR.finditer(text):
        year, number = int(found["year"]), int(found["number"])
        if 1 <= number <= (date(year + 1, 1, 1) - date(year, 1, 1)).days:
            return (date(year, 1, 1) + timedelta(days=number - 1)).isoformat()
    return ""


def year_of(text: str) -> str:
    """Return the year that `text` names where it names no day, or an empty string."""
    found = _YEAR.search(text)
    return found[0] if found and not day_of(text) else ""


def without_day(text: str) -> str:
    """Return `text` without the first day, or year, that it names: what the dates of one place have in common."""
    pattern = next((one for one in (_DAY, _OF_YEAR) if day_of(text) and one.search(text)), _YEAR)
    return re.sub(r"([_\-. ]){2,}", r"\1", pattern.sub("", text, count=1)).strip(EDGES)


def day_of_tags(tags: Mapping[str, str]) -> str:
    """Return the day that the metadata of a raster or a band give as that of its acquisition, or an empty string.

    TIFFTAG_DATETIME is not asked: it says when the file was written.
    """
    known = {key.lower(): value for key, value in tags.items()}
    return next((day for tag in TAGS if (day := day_of(known.get(tag, "").replace(":", "-", 2)))), "")
