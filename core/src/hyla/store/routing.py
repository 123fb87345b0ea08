"""Say where an item waits before anybody answered: it follows from the flags and from the route, if a lot gave it one.

Without a route, the machine's verdict says the rest; with one, the verdict follows from flags and route itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hyla.decide.route import ALWAYS, ASKING, Route, Words, label_verdicts, routed
from hyla.store.ranges import from_ranges, to_ranges
from hyla.types import Flag, Verdict

DEFAULT = "default"  # the reason of an item that is in review though no flag asks
LOT = "lot"  # the reason of an item that a lot routed, whatever for: who answers it is not to know
_UNTOUCHED = {"decision": 0, "outcome": None, "mend": "", "doubt": "", "second": 0}


def principal(flags: Sequence[Flag], verdict: str, route: Route | None = None) -> str:
    """Return the reason to show first: of the strongest flag that asks for a person, of equal ones the earliest.

    Of an item that a lot routed, it is LOT unless a HUMAN or SECOND flag asks.
    """
    asking = [flag for flag in flags if flag.severity in (ASKING if route is None else ALWAYS)]
    if asking:
        return max(asking, key=lambda flag: ASKING.index(flag.severity)).reason
    if route is not None:
        return LOT
    return DEFAULT if verdict == Verdict.REVIEW else ""


def first_lane(verdict: str) -> str:
    """Return the lane of an item that nobody decided on."""
    return "review" if verdict == Verdict.REVIEW else ""


def first_words(n: int, flags: Sequence[Flag], verdict: str, route: Route | None = None) -> Words:
    """Return the words (n,) of the machine's labels while no decision stands; none is review unless the item is in review."""
    if route is not None:
        return routed(range(n), flags, route)[1]
    words = label_verdicts(range(n), flags, Verdict(verdict))
    if verdict != Verdict.REVIEW:
        words[words == Verdict.REVIEW.value] = Verdict.ACCEPT.value
    return words


def first_state(
    annotation: int, digest: str, n: int, flags: Sequence[Flag], verdict: str, route: Route | None = None
) -> dict[str, Any]:
    """Return the state of an item on which no decision stands; `annotation` is the machine's, of n labels."""
    rows = np.flatnonzero(first_words(n, flags, verdict, route) == Verdict.REVIEW.value).tolist()
    held = {"annotation": annotation, "digest": digest, "lane": first_lane(verdict), "open": to_ranges(rows)}
    return {**_UNTOUCHED, **held, "whole": route is not None and route.whole}


def write_route(route: Route) -> str:
    """Return a route as the store keeps it; item and priority stand beside it."""
    return f'{{"rows":"{to_ranges(route.rows)}","second":{_word(route.second)},"whole":{_word(route.whole)}}}'


@lru_cache(maxsize=4096)
def read_route(item_id: str, text: str | None, priority: float = 0.0) -> Route | None:
    """Return the route that the store keeps as `text`; None for None."""
    if text is None:
        return None
    held = json.loads(text)
    return Route(item_id, held["whole"], tuple(sorted(from_ranges(held["rows"]))), held["second"], priority)


def _word(value: bool) -> str:
    return "true" if value else "false"
