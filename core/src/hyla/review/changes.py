"""Apply a person's changes to labels."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from hyla import codec
from hyla.errors import FormatError, StageError
from hyla.review import shapes
from hyla.review.problems import Refused
from hyla.review.wire import Changes
from hyla.schema import Schema
from hyla.types import Labels


class Changed(NamedTuple):
    """Hold labels after changes; `kept` says of each row of before where it is now, for those that stayed as they were."""

    labels: Labels
    kept: dict[int, int]

    def rows(self, before: Collection[int]) -> tuple[int, ...]:
        """Return where rows of before are now, without those that were changed or dropped."""
        return tuple(sorted(self.kept[row] for row in before if row in self.kept))


def apply(base: Labels, changes: Changes, schema: Schema, size: Sequence[int]) -> Changed:
    """Return `base` with `changes`: replaced rows in their place, added ones at the end, all else as it was.

    What a person drew has score 1 and no evidence, and is made to fit a picture of `size`; see `hyla.review.shapes`.

    Raises:
        Refused: 422 with code `labels` for rows that are not there, or labels that can't be, naming the place.
    """
    put, drop = sorted(changes.put), set(changes.drop)
    if bad := [row for row in {*put, *drop} if not 0 <= row < len(base)]:
        raise Refused(422, "labels", f"changes: row {min(bad)} is not there; the item has {len(base)} labels")
    if both := drop.intersection(put):
        raise Refused(422, "labels", f"changes: row {min(both)} is both put and dropped")
    given = [*(changes.put[row] for row in put), *changes.add]
    names = [*(f"put[{row}]" for row in put), *(f"add[{i}]" for i in range(len(changes.add)))]
    context = base.context if changes.context is None else {k: v for k, v in changes.context.items() if _known(v)}
    rows = [{**one.model_dump(by_alias=True), "score": 1.0, "evidence": {}} for one in given]
    try:
        drawn = codec.labels_from_rows(rows, context, schema)
        points = [len(schema.classes[c].keypoints) for c in drawn.class_id.tolist()]
        drawn = shapes.fit(drawn, size, points)
        labels = Labels.concat([shapes.inside(base, size), drawn])
    except (FormatError, StageError) as e:
        where = re.sub(r"^labels\[(\d+)\]", lambda found: names[int(found[1])], e.what)
        raise Refused(422, "labels", f"changes: {where}", e.hint) from e
    except UnicodeError as e:
        raise Refused(422, "labels", "changes: a text is not Unicode") from e
    labels.context = dict(context)
    # In `labels` what was drawn stands behind what was there.
    place = {row: len(base) + i for i, row in enumerate(put)}
    order = [place.get(row, row) for row in range(len(base)) if row not in drop]
    order += range(len(base) + len(put), len(base) + len(given))
    kept = {row: now for now, row in enumerate(order) if row < len(base)}
    return Changed(labels[np.array(order, dtype=np.int64)], kept)


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))
