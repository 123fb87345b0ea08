"""Say what to hide in a frame that its own labels miss: what was there in the frames beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hyla.schema import Schema
from hyla.types import Floats, Kind, Labels, Record
from hyla_surveillance.happenings import seconds_of

GAP = 2.0  # seconds that a track may be lost and its boxes still be drawn in between


def to_hide(class_id: Sequence[int], box: npt.ArrayLike) -> Labels:
    """Return labels that hide boxes (n, 4) and say nothing else: their score is 0.

    A redactor that trusts a sure face hides nothing else of whom it belongs to; these are guesses, and it must not trust them.
    """
    return Labels.of(class_id, box, score=np.zeros(len(class_id))) if len(class_id) else Labels.empty()


def bridged(records: Sequence[Record], schema: Schema, gap: float = GAP) -> list[Labels]:
    """Return for each frame of a clip, in order, labels to hide besides its own.

    A track of a person, vehicle, face or plate that is lost for up to `gap` seconds is where a straight line leads from its last
    box to its next; faces and plates are also hidden where the frame before and the one after have them, since what finds them
    flickers. All have score 0, see `to_hide`.

    Args:
        records: with all labels there are.
        schema: of the labels.
        gap: in seconds.
    """
    hidden = schema.under("face", "plate")
    moving = np.concatenate([schema.under("person", "vehicle"), hidden])
    at = [seconds_of(one) for one in records]
    extra: list[list[tuple[int, Floats]]] = [[] for _ in records]
    tracks: dict[tuple[int, int], list[tuple[int, Floats]]] = defaultdict(list)
    for i, one in enumerate(records):
        labels = one.labels[(one.labels.kind != Kind.TAG) & (one.labels.kind != Kind.CUBOID)]
        for row in np.flatnonzero(np.isin(labels.class_id, moving)).tolist():
            class_id, track, box = int(labels.class_id[row]), int(labels.track[row]), labels.box[row]
            if track >= 0:
                tracks[(class_id, track)].append((i, box))
            if class_id in hidden:
                for near in (i - 1, i + 1):
                    if 0 <= near < len(records) and abs(at[near] - at[i]) <= gap:
                        extra[near].append((class_id, box))
    for (class_id, _), seen in tracks.items():
        for (i, box), (k, later) in pairwise(seen):
            if k > i + 1 and at[k] - at[i] <= gap:
                for between in range(i + 1, k):
                    share = (at[between] - at[i]) / (at[k] - at[i])
                    extra[between].append((class_id, box + share * (later - box)))
    return [to_hide([c for c, _ in some], [b for _, b in some]) for some in extra]
