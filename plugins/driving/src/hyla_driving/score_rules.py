"""Review rules about how sure a model is, one picture at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import Classes, draw, lowest
from hyla.schema import Schema
from hyla.types import Flag, Item, Labels
from hyla_driving.rules import DrivingRule


class PoorConditions(DrivingRule):
    """Ask for more at night, in rain, snow, fog, glare or blur, where scores promise more than they keep.

    The threshold of each class is raised, and a fixed share of these pictures is looked at whatever the scores: the share is
    drawn by a hash of the item's id, so that the same pictures are drawn on every machine.

    Args:
        raised: what is added to the thresholds; 0.15.
        sample: share from 0 to 1 of the pictures to look at anyway; 0.2.
        luma: mean brightness from 0 to 255 below which it counts as night; 50.
        threshold, classes: as in LowScore.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        raised: float = 0.15,
        sample: float = 0.2,
        luma: float = 50.0,
        threshold: float = 0.5,
        classes: Classes | None = None,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.sample = sample
        self.luma = luma
        self.limit = np.minimum(self.per_class(threshold, classes) + raised, 1.0)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the scores, and one if the picture is drawn."""
        why = self.conditions(labels)
        if not why:
            return []
        limit = self.limit[labels.class_id]
        low = labels.score < limit
        found = self.flags("poor_conditions", low, lowest(labels, low, limit, f"score too low in {why}"))
        if draw(item.id) < self.sample:
            found += self.whole("poor_conditions_sample", f"drawn for a look, as {self.sample:.0%} of the pictures are in {why}")
        return found

    def conditions(self, labels: Labels) -> str:
        """Return in words what is wrong with the conditions, or an empty string."""
        said = labels.context
        luma = said.get("luma")
        found = [
            str(said.get("weather")) if said.get("weather") in ("rain", "snow", "fog") else "",
            "night" if said.get("timeofday") == "night" or (isinstance(luma, (int, float)) and luma < self.luma) else "",
            "glare" if said.get("glare") is True else "",
            "blur" if said.get("blur") is True else "",
        ]
        return ", ".join(word for word in found if word)


class TrafficSignals(DrivingRule):
    """Send traffic lights and signs to a person unless they are nearly certain.

    Args:
        threshold: score from 0 to 1 below which one is flagged; 0.9.
        classes: what is looked at.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        threshold: float = 0.9,
        classes: Sequence[str] = ("traffic_light", "traffic_sign"),
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.threshold = threshold
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows below `threshold`."""
        low = self.classes[labels.class_id] & (labels.score < self.threshold)
        return self.flags("traffic_signal", low, lowest(labels, low, np.full(len(labels), self.threshold), "signal is unsure"))


class AlwaysReview(DrivingRule):
    """Send labels of a class that says too little to review, whatever their score.

    Args:
        classes: the classes themselves, without those below them; `vehicle`, which is all that the model without weights can say.
    """

    def __init__(self, schema: Schema, name: str, classes: Sequence[str] = ("vehicle",), severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.classes = np.zeros(len(schema.classes), dtype=bool)
        self.classes[[schema.class_id(one) for one in classes]] = True
        self.words = ", ".join(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows of these classes."""
        mine = self.classes[labels.class_id]
        return self.flags(
            "generic_class", mine, f"{mine.sum()} label(s) of a class that needs a person to say more: {self.words}"
        )
