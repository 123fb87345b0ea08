"""Say where an item waits before anybody answered: it follows from the machine's verdict and the flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hyla.decide.route import ASKING, Words, label_verdicts
from hyla.store.ranges import to_ranges
from hyla.types import Flag, Verdict

DEFAULT = "default"  # the reason of an item that is in review though no flag asks
_UNTOUCHED = {"decision": 0, "outcome": None, "mend": "", "doubt": "", "second": 0}


def principal(flags: Sequence[Flag], verdict: str) -> str:
    """Return the reason to show first: of the strongest flag that asks for a person, of equal ones the earliest."""
    asking = [flag for flag in flags if flag.severity in ASKING]
    if not asking:
        return DEFAULT if verdict == Verdict.REVIEW else ""
    return max(asking, key=lambda flag: ASKING.index(flag.severity)).reason


def first_lane(verdict: str) -> str:
    """Return the lane of an item that nobody decided on."""
    return "review" if verdict == Verdict.REVIEW else ""


def first_words(n: int, flags: Sequence[Flag], verdict: str) -> Words:
    """Return the words (n,) of the machine's labels while no decision stands; none is review unless the item is in review."""
    words = label_verdicts(range(n), flags, Verdict(verdict))
    if verdict != Verdict.REVIEW:
        words[words == Verdict.REVIEW.value] = Verdict.ACCEPT.value
    return words


def first_state(annotation: int, digest: str, n: int, flags: Sequence[Flag], verdict: str) -> dict[str, Any]:
    """Return the state of an item on which no decision stands; `annotation` is the machine's, of n labels."""
    rows = np.flatnonzero(first_words(n, flags, verdict) == Verdict.REVIEW.value).tolist()
    held = {"annotation": annotation, "digest": digest, "lane": first_lane(verdict), "open": to_ranges(rows)}
    return {**_UNTOUCHED, **held}
