"""Apply a person's changes to labels."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from hyla import codec
from hyla.errors import FormatError, StageError
from hyla.review import mentions, shapes
from hyla.review.problems import Refused
from hyla.review.wire import Changes, Rename
from hyla.schema import Schema
from hyla.store import naming
from hyla.types import Labels


class Changed(NamedTuple):
    """Hold labels after changes; `kept` says of each row of before where it is now, for those that stayed as they were."""

    labels: Labels
    kept: dict[int, int]

    def rows(self, before: Collection[int]) -> tuple[int, ...]:
        """Return where rows of before are now, without those that were changed or dropped."""
        return tuple(sorted(self.kept[row] for row in before if row in self.kept))


def apply(base: Labels, changes: Changes, schema: Schema, size: Sequence[int], seen: Collection[int] = ()) -> Changed:
    """Return `base` with `changes`: replaced rows in their place, added ones at the end, all else as it was.

    What a person drew has score 1 and no evidence, and is made to fit a picture of `size`; see `hyla.review.shapes`. So has a row
    that was renamed, if it is among those `seen`; another one is only called something else.

    Raises:
        Refused: 422 with code `labels` for rows that are not there, or labels that can't be, naming the place.
    """
    put, drop, rename = sorted(changes.put), set(changes.drop), changes.rename
    if bad := [row for row in {*put, *drop, *rename} if not 0 <= row < len(base)]:
        raise Refused(422, "labels", f"changes: row {min(bad)} is not there; the item has {len(base)} labels")
    if both := drop.intersection(put) | drop.intersection(rename) | set(put).intersection(rename):
        raise Refused(422, "labels", f"changes: row {min(both)} is both changed and dropped, or changed twice")
    given = [*(changes.put[row] for row in put), *changes.add]
    names = [*(f"put[{row}]" for row in put), *(f"add[{i}]" for i in range(len(changes.add)))]
    context = base.context if changes.context is None else {k: v for k, v in changes.context.items() if _known(v)}
    rows = [{**one.model_dump(by_alias=True), "score": 1.0, "evidence": {}} for one in given]
    try:
        drawn = codec.labels_from_rows(rows, context, schema)
        points = [len(schema.classes[c].keypoints) for c in drawn.class_id.tolist()]
        drawn = shapes.fit(drawn, size, points)
        labels = Labels.concat([_renamed(shapes.inside(base, size), rename, schema, seen), drawn])
        labels = mentions.renumbered(labels, changes.renumber, schema) if changes.renumber else labels
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
    kept = {row: now for now, row in enumerate(order) if row < len(base) and not (row in rename and row in seen)}
    return Changed(labels[np.array(order, dtype=np.int64)], kept)


def _renamed(base: Labels, rename: Mapping[int, Rename], schema: Schema, seen: Collection[int]) -> Labels:
    """Return labels with other names, and classes, in some rows."""
    if not rename:
        return base
    identity = naming.identity_of(schema)
    if identity is None:
        raise Refused(422, "labels", "changes: the schema has no attribute that names labels")
    rows = sorted(rename)
    try:
        given = {row: naming.value_of(identity, rename[row].name) for row in rows}
    except ValueError as e:
        raise Refused(422, "labels", f"changes: {identity.name} is a {identity.type}") from e
    column = base.attributes.get(identity.name)
    values = [None] * len(base) if column is None else column.tolist()
    class_id, score = base.class_id.copy(), base.score.copy()
    evidence = {name: known.astype(np.float64) for name, known in base.evidence.items()}
    titles = (
        [*base.attributes[naming.TITLE].tolist()] if naming.TITLE in base.attributes and identity.name != naming.TITLE else None
    )
    for row in rows:
        if titles is not None and values[row] != given[row]:
            titles[row] = None  # it was that of another thing
        values[row] = given[row]
        if (name := rename[row].class_) is not None:
            if name not in schema.ids:
                raise Refused(422, "labels", f"changes: the schema has no class {name!r}")
            class_id[row] = schema.ids[name]
        if given[row] is not None and not naming.may_have(schema, identity, int(class_id[row])):
            raise Refused(422, "labels", f"changes: a {schema.names[class_id[row]]} has no {identity.name}")
        if row in seen:
            score[row] = 1.0
            for known in evidence.values():
                known[row] = np.nan
    number = column is not None and column.dtype.kind in "fiu"
    named = np.array([np.nan if v is None else v for v in values]) if number else np.array(values, dtype=object)
    attributes = {**base.attributes, identity.name: named}
    if titles is not None:
        attributes[naming.TITLE] = np.array(titles, dtype=object)
    labels = replace(base, class_id=class_id, score=score, attributes=attributes, evidence=evidence)
    schema.check(labels[np.array(rows, dtype=np.int64)])
    return labels


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))
