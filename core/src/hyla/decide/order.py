"""Put what people are asked into an order: what removes most errors per second first, with variety, the audit hidden in it."""

from __future__ import annotations

import heapq
from collections import deque
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Floats

CAP, STRETCH = 3, 20  # of one clip, patient or track at most so many in any so many: a default, for variety and not for a claim


def priorities(
    value: Floats,
    cluster: npt.ArrayLike,
    chance: Bools,
    seed: str,
    *,
    asked: Bools | None = None,
    cap: int = CAP,
    stretch: int = STRETCH,
) -> Floats:
    """Return the place (n,) of each item in the queue, from 0 to below 1, the first to be answered lowest.

    What is drawn by chance (audited, or planted) gets a place by chance, evenly over the whole queue. All else that is asked is
    spread evenly over the queue in the order of its value, of equal ones the earlier first. So nothing in the place of an item
    tells which of the two it is.

    Args:
        value: (n,) expected errors removed per second of a person.
        cluster: (n,) what items that look alike share: their group or track.
        chance: (n,) True for what was drawn by chance.
        seed: of the lot.
        asked: (n,) True for what people are asked at all; what is not gets the place 1. All with a value above 0, without.
        cap: items of one cluster in any `stretch` of the valued ones, at most, as long as others are left.
        stretch: how many one after another.
    """
    if not 1 <= cap <= stretch:
        raise ValueError(f"at least one item of a cluster in a stretch, got {cap} in {stretch}")
    value = np.asarray(value, dtype=np.float64)
    drawn = np.asarray(chance, dtype=bool)
    wanted = (value > 0) | drawn if asked is None else np.asarray(asked, dtype=bool) | drawn
    place = np.ones(len(value))
    place[drawn] = [_fraction(f"{seed}:order:{i}") for i in np.flatnonzero(drawn).tolist()]
    valued = np.flatnonzero(wanted & ~drawn)
    best = valued[np.argsort(-value[valued], kind="stable")]
    _, keys = np.unique(np.asarray(cluster)[best], return_inverse=True)
    place[best[_varied(keys.tolist(), cap, stretch)]] = (np.arange(len(best)) + 0.5) / max(len(best), 1)
    return place


def _varied(cluster: list[int], cap: int, stretch: int) -> list[int]:
    """Return the order in which to take things, the best first, so that no cluster comes too often while others are left."""
    waiting: dict[int, deque[int]] = {}
    for at, key in enumerate(cluster):
        waiting.setdefault(key, deque()).append(at)
    if all(len(rows) <= cap for rows in waiting.values()):
        return list(range(len(cluster)))
    free = [rows[0] for rows in waiting.values()]  # the best of each cluster that may come now
    heapq.heapify(free)
    resting: list[tuple[int, int]] = []  # when a cluster may come again, and its best
    last: dict[int, deque[int]] = {}  # places that a cluster took
    order: list[int] = []
    while free or resting:
        while resting and (resting[0][0] <= len(order) or not free):
            heapq.heappush(free, heapq.heappop(resting)[1])
        best = heapq.heappop(free)
        key = cluster[best]
        waiting[key].popleft()
        taken = last.setdefault(key, deque(maxlen=cap))
        taken.append(len(order))
        order.append(best)
        if rows := waiting[key]:
            again = taken[0] + stretch if len(taken) == cap else 0
            heapq.heappush(resting, (again, rows[0]))
    return order


def _fraction(text: str) -> float:
    """Return a number from 0 to below 1 that follows from a text, the same on every machine."""
    return int.from_bytes(sha256(text.encode()).digest()[:6], "big") / 2**48
