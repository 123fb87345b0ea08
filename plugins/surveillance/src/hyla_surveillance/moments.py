"""Tell when a recording was made by what its name says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

# 2026-03-29T01:30:00.250Z, 2026-03-29 01-30-00, 20260329_013000, 20260329013000: a date, then hours, minutes and seconds.
_STAMP = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(\d\d)\2(\d\d)[-_ T]?(\d\d)([-_:.h]?)(\d\d)[-_:.m]?(\d\d)(?:[.,](\d{3}|\d{6}))?"
    r"(Z|[+-]\d\d:?\d\d)?(?!\d)",
    re.IGNORECASE,
)


def moment_of(name: str, zone: ZoneInfo) -> float | None:
    """Return the moment in a file's name, in seconds since 1970; None if it names none.

    Args:
        name: of the file, without its folders: `gate_20260329_013000.mp4`.
        zone: of the clock that the recorder named it by, where the name does not end in Z or an offset. The hour that daylight
            saving repeats is taken as the first of the two; one that it leaves out as what a clock that was not set would show.
    """
    found = _STAMP.search(name)
    if found is None:
        return None
    year, _, month, day, hour, _, minute, second, fraction, offset = found.groups()
    try:
        wall = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))
    except ValueError:  # a number that only looks like a date
        return None
    parts = float(f"0.{fraction}") if fraction else 0.0
    if offset is None:
        return wall.replace(tzinfo=zone).timestamp() + parts
    ahead = timedelta()
    if offset.upper() != "Z":
        ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:])) * (-1 if offset[0] == "-" else 1)
    return (wall.replace(tzinfo=UTC) - ahead).timestamp() + parts
