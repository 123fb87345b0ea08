"""Review rules about pests: what is only suspected, what is regulated, and which plants a pest lives on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hyla.errors import ConfigError
from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, number
from hyla.schema import Schema
from hyla.types import Flag, Item, Labels
from hyla_agriculture.crops import HOSTS, PRIORITY_PESTS, eppo, fits
from hyla_agriculture.rules import is_scene, words


class PestRule(SchemaRule):
    """Know the EPPO code of the pest that a label names, by its attribute or else its class."""

    def codes(self, labels: Labels) -> list[str]:
        """Return the EPPO code (n,) of the pest, empty where none is named."""
        named = [self.schema.classes[number].codes.get("eppo", "") for number in labels.class_id.tolist()]
        pest = self.table("pest")[labels.class_id]
        said = words(labels, "pest")
        return [eppo(word) or (code if is_pest else "") for word, code, is_pest in zip(said, named, pest, strict=True)]


class QuarantinePest(PestRule):
    """Ask for two experts where a regulated pest is named, however sure the model is.

    The list is that of the priority pests of the European Union (Delegated Regulation (EU) 2019/1702). Who finds one must
    tell the plant health authority; a label is no finding.

    Args:
        more: further EPPO codes that are regulated where you are.
        less: codes of the list that are not.
    """

    def __init__(
        self, schema: Schema, name: str, more: Sequence[str] = (), less: Sequence[str] = (), severity: str = "second"
    ) -> None:
        super().__init__(schema, name, severity)
        if unknown := sorted(set(less) - set(PRIORITY_PESTS)):
            raise ConfigError(f"rules.{name}.less: {unknown[0]!r} is not on the list", choices=tuple(PRIORITY_PESTS))
        self.listed = (set(PRIORITY_PESTS) | set(more)) - set(less)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows that name a listed pest."""
        codes = self.codes(labels)
        rows = np.array([code in self.listed for code in codes], dtype=bool)
        told = ", ".join(sorted({f"{code} {PRIORITY_PESTS.get(code, '')}".strip() for code in codes if code in self.listed}))
        return self.flags("quarantine_pest", rows, f"regulated: {told}; experts decide, and the plant health authority is told")


class SuspectedFromSpace(PestRule):
    """Send every pest to a person that was seen from above, and those on photos that are unsure or incompletely described.

    A satellite sees that plants lose vigour, not why: a pest is at most suspected until somebody stood in the field.

    Args:
        suspected: classes that say so; on a scene, so does every label that names a pest.
        score: of a pest on a photo below which an expert is asked; 0.95.
        complete: whether a pest that is named must come with its code, its host and its severity.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        suspected: Sequence[str] = ("suspected_pest", "suspected_pest_zone"),
        score: float = 0.95,
        complete: bool = True,
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.suspected = self.chosen(suspected)
        self.pests = self.table("pest")
        self.score = score
        self.complete = complete

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return flags with the rows that are only suspected, unsure, and incomplete."""
        codes = np.array([bool(code) for code in self.codes(labels)], dtype=bool)
        named = self.pests[labels.class_id] | codes
        from_space = self.suspected[labels.class_id] | (named & is_scene(item))
        unsure = named & ~from_space & (labels.score < self.score)
        host = np.array([bool(word) for word in words(labels, "host")], dtype=bool)
        lacking = named & ~(codes & host & ~np.isnan(number(labels, "severity"))) & self.complete
        return [
            *self.flags(
                "suspected_from_space", from_space, f"{from_space.sum()} pest(s) only suspected from above: look in the field"
            ),
            *self.flags("pest_expert", unsure, f"{unsure.sum()} pest(s) with a score below {self.score:g}: an expert decides"),
            *self.flags("pest_incomplete", lacking, f"{lacking.sum()} pest(s) without code, host or severity"),
        ]


class HostPest(PestRule):
    """Send labels to review whose pest does not live on their plant.

    Args:
        hosts: changes to the table of `hyla_agriculture.crops`: pest: [hosts] by EPPO code; a null takes an entry out.
    """

    def __init__(
        self, schema: Schema, name: str, hosts: Mapping[str, Sequence[str] | None] | None = None, severity: str = "review"
    ) -> None:
        super().__init__(schema, name, severity)
        given = {pest: None if some is None else tuple(some) for pest, some in (hosts or {}).items()}
        self.hosts = {pest: some for pest, some in {**HOSTS, **given}.items() if some is not None}

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows of which pest and plant do not fit."""
        plants = [eppo(host) or eppo(crop) for host, crop in zip(words(labels, "host"), words(labels, "crop"), strict=True)]
        pairs = list(zip(self.codes(labels), plants, strict=True))
        rows = np.array([not fits(pest, plant, self.hosts) for pest, plant in pairs], dtype=bool)
        told = ", ".join(sorted({f"{pest} on {plant}" for (pest, plant), odd in zip(pairs, rows.tolist(), strict=True) if odd}))
        return self.flags("host_pest", rows, f"not known to live there: {told}")
