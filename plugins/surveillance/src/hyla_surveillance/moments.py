"""Tell when a recording was made by what its name says."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

# 2026-03-29T01:30:00.250Z, 2026-03-29 01-30-00, 20260329_013000, 20260329013000: a date, then hours, minutes and seconds. An
# offset is one that some place has: -0001 is a counter.
_STAMP = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(\d\d)\2(\d\d)[-_ T]?(\d\d)([-_:.h]?)(\d\d)[-_:.m]?(\d\d)(?:[.,](\d{3}|\d{6}))?"
    r"(Z|[+-](?:0\d|1[0-4]):?(?:00|15|30|45))?(?!\d)",
    re.IGNORECASE,
)
_FRACTION = re.compile(r"[-_](\d{3}|\d{6})")


@dataclass(frozen=True)
class Stamp:
    """Hold the moment in a file's name.

    Args:
        wall: what the recorder's clock showed.
        offset: of that clock from UTC as the name has it: `Z`, `+0100`; empty where it says none.
        rest: of the name, after the moment: a counter or milliseconds, perhaps.
    """

    wall: datetime
    offset: str = ""
    rest: str = ""

    def utc(self, zone: ZoneInfo) -> float:
        """Return seconds since 1970, by the clock of `zone` where the name says no offset.

        The hour that daylight saving repeats is taken as the first of the two; one that it leaves out as what a clock that was
        not set would show.
        """
        if not self.offset:
            return self.wall.replace(tzinfo=zone).timestamp()
        ahead = timedelta()
        if self.offset.upper() != "Z":
            sign = -1 if self.offset[0] == "-" else 1
            ahead = timedelta(hours=int(self.offset[1:3]), minutes=int(self.offset[-2:])) * sign
        return (self.wall.replace(tzinfo=UTC) - ahead).timestamp()

    def without_offset(self) -> Stamp:
        """Return the stamp with what was taken for an offset in the rest."""
        return replace(self, offset="", rest=self.offset + self.rest)

    def with_fraction(self) -> Stamp | None:
        """Return the stamp with a rest such as `_125` or `-125000` as the fraction of its second; None for another rest."""
        found = _FRACTION.fullmatch(self.rest)
        if found is None or self.wall.microsecond:
            return None
        return replace(self, wall=self.wall.replace(microsecond=int(found.group(1).ljust(6, "0"))), rest="")


def stamp_of(name: str) -> Stamp | None:
    """Return the moment in a file's name, without its folders: `gate_20260329_013000`; None if it names none."""
    found = _STAMP.search(name)
    if found is None:
        return None
    year, _, month, day, hour, _, minute, second, fraction, offset = found.groups()
    micro = int((fraction or "").ljust(6, "0"))
    try:
        wall = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micro)
    except ValueError:  # a number that only looks like a date
        return None
    return Stamp(wall, offset or "", name[found.end() :])


def moment_of(name: str, zone: ZoneInfo) -> float | None:
    """Return the moment in a file's name, in seconds since 1970; None if it names none. See `Stamp.utc`."""
    found = stamp_of(name)
    return None if found is None else found.utc(zone)
