"""Review rules about the scene: clouds, the offset of its samples, its date, and saturated pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, evidence, fact
from hyla.schema import Schema
from hyla.types import Flag, Item, Labels
from hyla_agriculture.rules import is_scene

OFFSET_SINCE = 4.0  # processing baseline from which Sentinel-2 samples have an offset of -1000 (25 January 2022)


class Cloud(SchemaRule):
    """Send fields under clouds, and scenes full of them, to a person.

    Args:
        share: of a field under cloud or shadow above which a person must look; 0.1.
        unusable: above which nothing may be said of it: a class other than `unusable` is flagged by a reason of its own; 0.3.
        scene: share of the whole scene above which it is flagged itself; 0.6.
        missing: share of a field without any data above which a person must look; 0.1.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        share: float = 0.1,
        unusable: float = 0.3,
        scene: float = 0.6,
        missing: float = 0.1,
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.share = share
        self.unusable = unusable
        self.scene = scene
        self.missing = missing
        self.says = ~self.table("unusable")

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return flags with the rows under cloud, under too much of it, and without data, and one for the scene."""
        cloud, missing = evidence(labels, "cloud"), evidence(labels, "missing")
        says = self.says[labels.class_id]
        much, gap = says & (cloud > self.unusable), says & (missing > self.missing)
        some = (cloud > self.share) & (cloud <= self.unusable)
        found = self.flags(
            "cloud_unusable", much, f"{much.sum()} label(s) more than {self.unusable:.0%} under cloud or shadow, yet classified"
        )
        found += self.flags("cloud", some, f"{some.sum()} label(s) more than {self.share:.0%} under cloud or shadow")
        found += self.flags(
            "missing_data", gap, f"{gap.sum()} label(s) more than {self.missing:.0%} without data, yet classified"
        )
        whole = _share(item, labels)
        if whole > self.scene:
            found += self.whole("cloudy_scene", f"{whole:.0%} of the scene under cloud or shadow, limit {self.scene:.0%}")
        return found


class Georeference(SchemaRule):
    """Send scenes to a person whose samples or date can't be trusted.

    Sentinel-2 has an offset of -1000 since processing baseline 04.00: left out, an NDVI of 0.80 (reflectances 0.40 and 0.044)
    comes out as 0.55. Older scenes and harmonised ones have none, so that a scene that does not tell is a risk.

    Args:
        saturated: share of saturated pixels of a field above which its indices are wrong; 0.01.
        date: whether a scene without a date is flagged.
    """

    def __init__(self, schema: Schema, name: str, saturated: float = 0.01, date: bool = True, severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.saturated = saturated
        self.date = date

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return flags for the scene, and one with the saturated rows."""
        full = evidence(labels, "saturated")
        rows = full > self.saturated
        most = full[rows].max(initial=0.0)
        message = f"{rows.sum()} label(s) with saturated pixels: up to {most:.1%}, limit {self.saturated:.1%}"
        found = self.flags("saturated", rows, message)
        if not is_scene(item):
            return found
        if self.date and not fact(item, labels, "date"):
            found += self.whole("no_date", "the scene has no date: neither season nor history are known")
        if str(fact(item, labels, "sensor") or "").startswith("sentinel2"):
            baseline = _number(item.meta.get("baseline"))
            if item.meta.get("offset_known") is False:
                found += self.whole(
                    "offset_unknown", "Sentinel-2 samples, and nothing says whether their offset of -1000 was taken off"
                )
            elif baseline >= OFFSET_SINCE and item.meta.get("offset") == 0 and not item.meta.get("harmonised"):
                what = f"processing baseline {baseline:05.2f} has an offset of -1000, which is not applied"
                found += self.whole("offset_not_applied", what)
        return found


def _share(item: Item, labels: Labels) -> float:
    share = _number(fact(item, labels, "cloud_share"))
    return _number(item.meta.get("cloud_cover")) / 100 if np.isnan(share) else share


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
