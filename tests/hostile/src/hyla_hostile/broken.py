"""Rules that break the contract by what they are, not by what they do."""

from __future__ import annotations

from hyla import Flag, Item, Labels, Rule, hookimpl
from hyla_hostile.stages import Watch


class Misspelt(Watch):
    """Answer a hook that there is not."""

    @hookimpl
    def chekc(self, item: Item, labels: Labels) -> list[Flag]:
        return []


class Mistyped(Rule):
    """Promise another type than the contract asks for."""

    def __init__(self, name: str, above: float = 0.8, fault: str = "") -> None:
        self.name = name

    @hookimpl
    def check(self, item: str, labels: Labels) -> list[Flag]:  # type: ignore[override]
        return []
