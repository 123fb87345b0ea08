"""Order by ObjectLab, which compares labels with a second model (Tkachenko et al. 2023, arXiv 2309.00832), as cleanlab has it.

It gives each label a score for how badly it lies and for how likely it has the wrong class, and each picture one for what the
second model is sure of and the labels have not. A first model compared with itself says only how sure it was.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.decide.columns import Columns
from hyla.decide.features import Table
from hyla.decide.risk import Asked, Assessed, Known, Risk
from hyla.errors import ConfigError
from hyla.types import Floats


class ObjectLab(Risk):
    """Take 1 - ObjectLab's score as the risk: of a label the worse of place and class, of a picture that of what was overlooked.

    Where a picture is one question, its risk is the worst of all three. This is an order, not a probability. What the second
    model did not see has a risk of 1, so that people do.

    Args:
        second: labels of a second model, such as `truth:other`.

    Raises:
        ConfigError: without a second model, or where cleanlab is not installed.
    """

    name = "objectlab"

    def __init__(self, second: str | None = None) -> None:
        super().__init__(second)
        if second is None:
            raise ConfigError(
                "ObjectLab compares with a second model, and none is named",
                "`hyla import OUT --format coco --from FILE --as truth:other` brings its labels in; decide.second=truth:other",
            )

    def assess(self, table: Table, known: Known, asked: Asked) -> Assessed:
        """Return ObjectLab's order; raise ConfigError if there are no labels of a second model, or no cleanlab."""
        if table.second is None:
            raise ConfigError(f"no item has labels of {self.second!r} for ObjectLab", "name others: decide.second=truth:NAME")
        rows, wholes = np.ones(len(table.machine.class_id)), np.ones(len(table.machine.count))
        seen = np.flatnonzero(table.seen)
        machine, second = table.machine, table.second
        classes = int(max(machine.class_id.max(initial=0), second.class_id.max(initial=0))) + 1
        given = [_labels(machine, i) for i in seen.tolist()]
        predicted = [_predictions(second, i, classes) for i in seen.tolist()]
        for i, (lies, swapped, overlooked) in zip(seen.tolist(), _scores(given, predicted), strict=True):
            rows[machine.labels(i)] = 1 - np.minimum(lies, swapped)
            wholes[i] = 1 - float(np.fmin.reduce(overlooked, initial=1.0))  # NaN where a box is no candidate
        if not asked.apart:
            np.maximum.at(wholes, machine.item[asked.about], rows[asked.about])
        return Assessed(np.clip(np.nan_to_num(rows, nan=1), 0, 1), np.clip(np.nan_to_num(wholes, nan=1), 0, 1))


def _labels(columns: Columns, picture: int) -> dict[str, Any]:
    part = columns.labels(picture)
    return {"bboxes": columns.box[part].astype(np.float64), "labels": columns.class_id[part]}


def _predictions(columns: Columns, picture: int, classes: int) -> npt.NDArray[np.object_]:
    """Return what cleanlab wants: of each class the boxes with their scores, (k, 5)."""
    part = columns.labels(picture)
    boxes = np.column_stack([columns.box[part], columns.score[part]]).astype(np.float64)
    found = np.empty(classes, dtype=object)
    for one in range(classes):
        found[one] = boxes[columns.class_id[part] == one]
    return found


def _scores(labels: list[dict[str, Any]], predictions: list[npt.NDArray[np.object_]]) -> list[tuple[Floats, Floats, Floats]]:
    """Return for each picture the scores of its labels for place and for class, and those of the second model's boxes."""
    try:
        from cleanlab.object_detection import rank
    except ImportError as error:
        raise ConfigError("ObjectLab needs cleanlab, which is not installed", "pip install 'hyla[decide]'") from error
    if not labels:
        return []
    given: Any = {"labels": labels, "predictions": predictions}
    lies, swapped = rank.compute_badloc_box_scores(**given), rank.compute_swap_box_scores(**given)
    return list(zip(lies, swapped, rank.compute_overlooked_box_scores(**given), strict=True))
