"""Review rules about the condition of a field: its class against its indices, its history, and the drought indicators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from hyla.errors import ConfigError
from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, evidence, fact, number
from hyla.schema import Schema
from hyla.types import Bools, Flag, Floats, Item, Labels
from hyla_agriculture.rules import Limits, known, pair, words

HEMISPHERES = ("auto", "north", "south", "always")
SEASON: Mapping[str, Sequence[int]] = {"north": (4, 5, 6, 7, 8, 9), "south": (10, 11, 12, 1, 2, 3)}
TROPIC = 23.44  # degrees: between the tropics crops are green at any time
LIMITS: Limits = {
    "healthy": {"ndvi": (0.3, None), "ndmi": (-0.1, None), "zneighbours": (-3.0, None), "zhistory": (-3.0, None)},
    "bare": {"ndvi": (None, 0.4)},
    "bare_soil": {"ndvi": (None, 0.4)},
    "forest": {"ndvi": (0.3, None)},
    "water": {"mndwi": (0.0, None), "ndvi": (None, 0.3)},
}
DRY = ("mild", "moderate", "severe", "extreme")


class IndexAgainstClass(SchemaRule):
    """Send labels to a person whose indices contradict their class.

    Args:
        limits: class: {attribute or evidence: [least, most]}, null for an open end; it holds for all classes below. A null
            takes an entry out.
        seasonal: classes whose limits hold in the growing season only.
        hemisphere: north, south, always (they hold in every month), or auto: by the latitude of the scene, and always where that
            is not known or between the tropics.
        months: of the season in the north and in the south.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        limits: Limits = LIMITS,
        seasonal: Sequence[str] = ("healthy",),
        hemisphere: str = "auto",
        months: Mapping[str, Sequence[int]] = SEASON,
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        if hemisphere not in HEMISPHERES:
            raise ConfigError(f"rules.{name}.hemisphere is {hemisphere!r}", choices=HEMISPHERES)
        for word in months:
            if word not in SEASON or not set(months[word]) <= set(range(1, 13)):
                raise ConfigError(f"rules.{name}.months.{word} must be months from 1 to 12", choices=tuple(SEASON))
        self.limits: list[tuple[str, Bools, str, float, float]] = []
        for one, given in limits.items():
            for key, ends in (given or {}).items():
                if ends is not None:
                    least, most = pair(f"rules.{name}.limits.{one}.{key}", ends)
                    self.limits.append((one, self.chosen([one]), key, least, most))
        self.seasonal = self.chosen(seasonal)
        self.hemisphere = hemisphere
        self.months = {word: frozenset(months[word]) for word in months}

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for each limit that rows break."""
        silent = self.seasonal[labels.class_id] & (not self._in_season(item, labels))
        found: list[Flag] = []
        for one, classes, key, least, most in self.limits:
            values = known(labels, key)
            out = classes[labels.class_id] & ~silent & ((values < least) | (values > most))
            limit = f"at least {least:g}" if least > -np.inf else f"at most {most:g}"
            worst = f"{values[out].mean():.2f}" if out.any() else ""
            message = f"{out.sum()} {one} label(s) with a mean {key} of {worst}, where {limit} is asked for"
            found += self.flags("index_against_class", out, message)
        return found

    def _in_season(self, item: Item, labels: Labels) -> bool:
        half = self.hemisphere
        if half == "auto":
            latitude = fact(item, labels, "latitude")
            if not isinstance(latitude, (int, float)) or abs(latitude) <= TROPIC:
                return True
            half = "north" if latitude > 0 else "south"
        try:
            month = date.fromisoformat(str(fact(item, labels, "date"))[:10]).month
        except ValueError:
            return True
        return month in self.months.get(half, range(1, 13))


class BaselineYears(SchemaRule):
    """Send fields to a person that are called dry from too short a history: with few years on record they are not classifiable.

    Args:
        years: least number of earlier years that lowest and highest come from; 10.
        classes: that claim a drought. So does a word of the attribute `drought` other than none.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        years: float = 10,
        classes: Sequence[str] = ("suspected_drought",),
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.years = years
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows that claim a drought from too few years."""
        claims = self.classes[labels.class_id] | np.array([word in DRY for word in words(labels, "drought")], dtype=bool)
        years = evidence(labels, "years")
        short = claims & (years < self.years)
        least = years[short].min(initial=np.inf)
        message = (
            f"{short.sum()} field(s) called dry from {least:g} year(s) on record, {self.years:g} are asked for: not classifiable"
        )
        return self.flags("baseline_years", short, message)


class DroughtDisagreement(SchemaRule):
    """Send fields to a person where the indicators of drought and the class disagree.

    Args:
        vhi: below which an indicator says drought; 40 (%), as Kogan (NOAA STAR) has it.
        vci: the same; 40 (%).
        spi3: at or below which the last three months were dry: WMO's moderate drought; -1.
        wet: classes that deny a drought.
        dry: classes that claim one.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        vhi: float = 40.0,
        vci: float = 40.0,
        spi3: float = -1.0,
        wet: Sequence[str] = ("healthy",),
        dry: Sequence[str] = ("suspected_drought",),
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.limits = {"vhi": vhi, "vci": vci, "spi3": spi3}
        self.wet = self.chosen(wet)
        self.dry = self.chosen(dry)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with rows that deny a drought which an indicator sees, and one with droughts that none sees."""
        values = {key: number(labels, key) for key in self.limits}
        says = {key: _below(values[key], limit, key) for key, limit in self.limits.items()}
        any_dry = np.logical_or.reduce(list(says.values()))
        any_known = np.logical_or.reduce([~np.isnan(column) for column in values.values()])
        denied = self.wet[labels.class_id] & any_dry
        alone = self.dry[labels.class_id] & any_known & ~any_dry
        who = ", ".join(key.upper() for key, rows in says.items() if (rows & denied).any())
        found = self.flags("drought_denied", denied, f"{denied.sum()} healthy field(s) that {who} call dry")
        return found + self.flags("drought_unsupported", alone, f"{alone.sum()} dry field(s) that no drought index supports")


def _below(values: Floats, limit: float, key: str) -> Bools:
    # SPI counts from the limit on, the percentages below it
    return np.asarray(values <= limit if key == "spi3" else values < limit)
