"""Review rules about what grows on a field from season to season, and from one date to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, fact
from hyla.schema import Schema
from hyla.types import Flag, Item, Labels, Record
from hyla_agriculture.crops import BREAKS, DOUBLE, break_needed, eppo, species, unlikely
from hyla_agriculture.rules import words


@dataclass(frozen=True, slots=True)
class Sown:
    """Hold what was said to grow on a field, and on which day."""

    crop: str
    day: date


class Rotation(SchemaRule):
    """Send fields to review whose crops hardly follow each other.

    Within a scene the crop is compared with the one of the season before; over the dates of a place, with what the field had on
    earlier dates: another crop within one season, unless both are usual in it (soybean, then maize), and a crop that comes back
    before its break is over. The breaks are those of `hyla_agriculture.crops`; whether a farmer keeps them is his decision, so
    that a flag asks for a look, not for a correction.

    Args:
        breaks: changes to the table: EPPO code: years without the crop; 0 takes one out.
        season: days within which another crop is a change within a season; 120.
        stands: days within which the same crop still stands and has not come back; 300, as winter crops stand eleven months.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        breaks: Mapping[str, float] | None = None,
        season: float = 120.0,
        stands: float = 300.0,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.breaks = {**BREAKS, **(breaks or {})}
        self.season = season
        self.stands = stands

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with crops that come too soon after themselves, and one with those that hardly follow the one before."""
        pairs = list(zip(_crops(labels, "crop"), _crops(labels, "previous_crop"), strict=True))
        soon = np.array([break_needed(crop, before, self.breaks) > 0 for crop, before in pairs], dtype=bool)
        why = [unlikely(crop, before) for crop, before in pairs]
        odd = np.array([bool(one) for one in why], dtype=bool)
        told = ", ".join(
            sorted({f"{crop} after {before}" for (crop, before), row in zip(pairs, soon.tolist(), strict=True) if row})
        )
        found = self.flags("rotation_break", soon, f"no break between: {told}")
        return found + self.flags("rotation_unlikely", odd, "; ".join(sorted({one for one in why if one})))

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterable[tuple[str, Flag]]:
        """Yield flags with the rows whose crop changes within a season, or comes back too soon."""
        past: dict[str, list[Sown]] = {}
        for record in records:
            day = _day(record.item, record.labels)
            changed, soon = np.zeros((2, len(record.labels)), dtype=bool)
            said = zip(words(record.labels, "field"), _crops(record.labels, "crop"), strict=True)
            for row, (field, crop) in enumerate(said):
                if field and crop and day is not None:
                    before = past.setdefault(field, [])
                    changed[row], soon[row] = self._changed(crop, day, before), self._soon(crop, day, before)
                    if not before or before[-1].crop != crop:
                        before.append(Sown(crop, day))
                    else:
                        before[-1] = Sown(crop, day)  # one entry per stretch, so that memory does not grow with the dates
            message = f"{changed.sum()} field(s) with another crop than {self.season:g} days or less before"
            for flag in self.flags("crop_change", changed, message):
                yield record.item.id, flag
            for flag in self.flags(
                "rotation_break", soon, f"{soon.sum()} field(s) whose crop comes back before its break is over"
            ):
                yield record.item.id, flag

    def _changed(self, crop: str, day: date, before: list[Sown]) -> bool:
        if not before or before[-1].crop == crop or abs((day - before[-1].day).days) > self.season:
            return False
        return (species(before[-1].crop), species(crop)) not in DOUBLE

    def _soon(self, crop: str, day: date, before: list[Sown]) -> bool:
        # Two years apart leave one year without the crop between them.
        gone = [sown for sown in before if (day - sown.day).days > self.stands]
        return any(day.year - sown.day.year - 1 < break_needed(crop, sown.crop, self.breaks) for sown in gone)


class FieldLost(SchemaRule):
    """Send scenes to review in which a field is missing that an earlier date of the place has, or one that is new.

    Outlines that come from a file stay. Where they are found in the picture, or edited, one that goes is a mistake or was merged.

    Args:
        new: whether fields that come up later are flagged as well.
    """

    def __init__(self, schema: Schema, name: str, new: bool = False, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.new = new

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterable[tuple[str, Flag]]:
        """Yield a flag about the scene where the ids of its fields differ from those of the date before."""
        before: frozenset[str] | None = None
        for record in records:
            here = frozenset(word for word in words(record.labels, "field") if word)
            if before is not None and here:
                for flag in self._differs(before, here):
                    yield record.item.id, flag
            before = here or before

    def _differs(self, before: frozenset[str], here: frozenset[str]) -> list[Flag]:
        gone, come = sorted(before - here), sorted(here - before)
        found = self.whole("field_lost", f"{len(gone)} field(s) of the date before are missing: {_some(gone)}") if gone else []
        return found + (self.whole("field_new", f"{len(come)} field(s) are new: {_some(come)}") if come and self.new else [])


def _crops(labels: Labels, name: str) -> list[str]:
    return [eppo(word) for word in words(labels, name)]


def _day(item: Item, labels: Labels) -> date | None:
    try:
        return date.fromisoformat(str(fact(item, labels, "date"))[:10])
    except ValueError:
        return None


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
