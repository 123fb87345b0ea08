"""Review rules about the words and ranges of labels, and what all rules of this plugin share.

Each rule looks at all labels of a scene at once, remembers nothing, and can be changed or left out by name. It judges from what
the loader and the model measured (`Item.meta`, image attributes, attributes, evidence), never from pixels, and is silent where
that is not known. Each takes `severity`: what its flags ask for (note, review, human, second, reject).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hyla.errors import ConfigError
from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, evidence, fact, number
from hyla.schema import Schema
from hyla.types import Bools, Flag, Floats, Item, Labels

Limits = Mapping[str, Mapping[str, Sequence[float | None] | None] | None]

RANGES: dict[str, Sequence[float] | None] = {
    **dict.fromkeys(("ndvi", "ndmi", "ndre", "savi", "bsi", "mndwi"), (-1.0, 1.0)),
    **dict.fromkeys(("vci", "tci", "vhi", "severity"), (0.0, 100.0)),
    "spi3": (-3.09, 3.09),
    "bbch": (0.0, 99.0),
}


def is_scene(item: Item) -> bool:
    """Tell whether an item is a scene from above, not the photo of a leaf."""
    return item.kind == "scene"


def words(labels: Labels, name: str) -> list[str]:
    """Return an attribute that is text (n,), empty where it is not known."""
    column = labels.attributes.get(name)
    if column is None or column.dtype != object:
        return [""] * len(labels)
    return ["" if one is None else str(one) for one in column.tolist()]


def known(labels: Labels, name: str) -> Floats:
    """Return an attribute, or else the evidence of that name (n,), NaN where neither is known."""
    return number(labels, name) if name in labels.attributes else evidence(labels, name)


def pair(where: str, given: Sequence[float | None]) -> tuple[float, float]:
    """Return [least, most] of a setting, infinite where one is null.

    Raises:
        ConfigError: for what is no pair in ascending order.
    """
    if len(given) != 2:
        raise ConfigError(f"{where} must be [least, most], got {list(given)}", "null for an end that is open")
    least = -np.inf if given[0] is None else float(given[0])
    most = np.inf if given[1] is None else float(given[1])
    if not least <= most:
        raise ConfigError(f"{where} must be [least, most], got {list(given)}")
    return least, most


class IndexRange(SchemaRule):
    """Send values to a person that can't be: indices outside their range, and an NDVI that jumps within days.

    NDVI and its kin lie between -1 and 1 where reflectances lie between 0 and 1: what is outside was scaled or offset wrongly.

    Args:
        ranges: attribute: [least, most] of it; a null takes one out.
        slack: by how much the NDVI of single pixels may leave the range; 0.05, as reflectances a little below 0 are real.
        jump: largest change of NDVI from one clear date to the next; 0.3.
        days: within so many days; 10.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        ranges: Mapping[str, Sequence[float] | None] = RANGES,
        slack: float = 0.05,
        jump: float = 0.3,
        days: float = 10.0,
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.limits = {key: pair(f"rules.{name}.ranges.{key}", given) for key, given in ranges.items() if given is not None}
        if lost := sorted(set(self.limits) - set(schema.attributes_of("label"))):
            raise ConfigError(f"rules.{name}.ranges: {lost[0]!r} is no attribute", choices=sorted(schema.attributes_of("label")))
        self.slack = slack
        self.jump = jump
        self.days = days

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for each attribute that leaves its range, one for pixels, and one for jumps."""
        found: list[Flag] = []
        for key, (least, most) in self.limits.items():
            values = number(labels, key)
            out = (values < least) | (values > most)
            found += self.flags(
                "index_range", out, f"{_worst(values, out)} of {key} in {out.sum()} label(s): {least:g} to {most:g} can be"
            )
        if "ndvi" in self.limits:
            least, most = self.limits["ndvi"]
            low, high = evidence(labels, "least"), evidence(labels, "most")
            out = (low < least - self.slack) | (high > most + self.slack)
            found += self.flags(
                "pixel_range", out, f"single pixels of {out.sum()} label(s) have an NDVI beyond {least:g} to {most:g}"
            )
        change = np.abs(number(labels, "change"))
        jump = (change > self.jump) & (number(labels, "days") <= self.days)
        message = f"{_worst(change, jump)} change of NDVI within {self.days:g} days in {jump.sum()} label(s), limit {self.jump:g}"
        return found + self.flags("ndvi_jump", jump, message)


class SeverityStage(SchemaRule):
    """Send labels to review whose severity or growth stage contradicts their class.

    Args:
        limits: class: [least, most] severity in percent it may have.
        growing: first and last BBCH stage at which plants cover the ground; 10 (leaves unfolded) to 89 (fully ripe). A bare field
            is in none of them.
        bare: what has no plants.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        limits: Mapping[str, Sequence[float] | None] | None = None,
        growing: Sequence[float] = (10, 89),
        bare: Sequence[str] = ("bare", "bare_soil"),
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        for one in limits or {}:
            schema.class_id(one)
        self.least, self.most = self.ranges({"healthy": (0.0, 10.0)} if limits is None else limits)
        self.growing = pair(f"rules.{name}.growing", growing)
        self.bare = self.chosen(bare)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for severities, and one for stages."""
        share = number(labels, "severity")
        out = (share < self.least[labels.class_id]) | (share > self.most[labels.class_id])
        message = f"{_worst(share, out)} % severity in {out.sum()} label(s) of a class that speaks against it"
        found = self.flags("severity_against_class", out, message)
        stage = number(labels, "bbch")
        grown = self.bare[labels.class_id] & (stage >= self.growing[0]) & (stage <= self.growing[1])
        return found + self.flags("stage_against_class", grown, f"BBCH {_worst(stage, grown)} on bare ground")


class UnseenBands(SchemaRule):
    """Send scenes to review that the indices were not made for: bands are missing or only assumed, or the sensor is another.

    Args:
        bands: common names of the bands that must be there, unless the scene has an index itself (`ndvi`); red and nir.
        sensors: sensors that are known; null for any.
        index: attribute that every field must have, unless it is unusable; ndvi.
        classes: what a field is.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        bands: Sequence[str] = ("red", "nir"),
        sensors: Sequence[str] | None = None,
        index: str = "ndvi",
        classes: Sequence[str] = ("field",),
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.bands = tuple(bands)
        self.sensors = None if sensors is None else frozenset(sensors)
        self.index = index
        self.classes = self.chosen(classes) & ~self.table("unusable")

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return flags for the item, and one with the fields whose index is not known."""
        if not is_scene(item):
            return []
        found: list[Flag] = []
        bands = item.meta.get("bands")
        if bands and self.index not in bands and (lost := [band for band in self.bands if band not in bands]):
            found += self.whole(
                "unseen_bands", f"the scene has no band {', '.join(lost)}: no {self.index.upper()} can be computed"
            )
        if item.meta.get("bands_assumed"):
            found += self.whole(
                "bands_assumed", f"nothing names the bands: {len(bands or ())} of them were taken for {', '.join(bands or ())}"
            )
        sensor = fact(item, labels, "sensor")
        if sensor and self.sensors is not None and sensor not in self.sensors:
            found += self.whole(
                "unseen_sensor", f"{sensor} is not among the sensors that are known: {', '.join(sorted(self.sensors))}"
            )
        blank = self.classes[labels.class_id] & np.isnan(number(labels, self.index)) & (self.index in labels.attributes)
        return found + self.flags(
            "index_missing", blank, f"{blank.sum()} field(s) without {self.index.upper()}: their condition is a guess"
        )


def _worst(values: Floats, rows: Bools) -> str:
    # of the rows, the value furthest from 0
    if not rows.any():
        return ""
    some = values[rows]
    return f"{some[int(np.argmax(np.abs(some)))]:g}"
