"""Follow a track that has another number in what labels say of it: who takes part in an event, whom a label belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hyla.schema import Schema
from hyla.store.answers import PARTICIPANTS, SUBJECT
from hyla.types import Labels

_NUMBER = re.compile(r"\s*[0-9]{1,18}\s*")


def renumbered(labels: Labels, numbers: Mapping[int, int], schema: Schema) -> Labels:
    """Return labels that name tracks by their new numbers, all else as it was; the same object where none is named.

    Args:
        labels: of one item.
        numbers: old number -> new number of a track.
        schema: of the labels; an attribute that it does not know as text, or as a number, is left alone.
    """
    known = schema.attributes_of("label")
    said, column = labels.attributes.get(PARTICIPANTS), labels.attributes.get(SUBJECT)
    changed: dict[str, Any] = {}
    if said is not None and PARTICIPANTS in known and known[PARTICIPANTS].type == "text":
        now = [_listed(text, numbers) for text in said.tolist()]
        if now != said.tolist():
            changed[PARTICIPANTS] = np.array(now, dtype=object)
    number = SUBJECT in known and known[SUBJECT].type in ("integer", "number")
    if column is not None and number and np.isin(column, [*numbers]).any():
        changed[SUBJECT] = column.copy()
        for old, new in numbers.items():
            changed[SUBJECT][column == old] = new
    return replace(labels, attributes={**labels.attributes, **changed}) if changed else labels


def joined(texts: Iterable[str]) -> str:
    """Return all tracks that texts name, as one text."""
    return ",".join(map(str, sorted({one for text in texts for one in tracks_in(text)})))


def tracks_in(text: str) -> list[int]:
    """Read "3,7"; what is no number is passed over."""
    return [int(word) for word in text.split(",") if _NUMBER.fullmatch(word)]


def _listed(text: Any, numbers: Mapping[int, int]) -> Any:
    if not isinstance(text, str) or numbers.keys().isdisjoint(found := tracks_in(text)):
        return text
    return joined(str(numbers.get(one, one)) for one in found)
