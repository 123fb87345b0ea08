"""Read what detection networks answer: classes of the schema, and a YOLO head's boxes, scores and masks of one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError, did_you_mean
from hyla.letterbox import Boxes, Letterbox
from hyla.schema import Schema

Floats32 = npt.NDArray[np.float32]
MOST = 30_000  # candidates that suppression looks at, best first, as ultralytics does


@dataclass(frozen=True, slots=True)
class Found:
    """Hold what was found in one picture, best score first.

    Args:
        box: (n, 4) x0, y0, x1, y1 on the canvas of the network.
        score: (n,) of the best class.
        index: (n,) of the best class, as the network counts.
        margin: (n,) score of the best class less that of the next, or None where the network tells the best one only.
        coefficients: (n, m) weights of the mask prototypes; m is 0 without masks.
    """

    box: Boxes
    score: Floats32
    index: npt.NDArray[np.int64]
    margin: Floats32 | None
    coefficients: Floats32


def class_ids(schema: Schema, names: Sequence[str], given: Mapping[str, str | None]) -> npt.NDArray[np.int64]:
    """Return (names,) the class of the schema that each name of a network means, or -1 for one that the schema lacks.

    Args:
        schema: its codes in vocabulary `coco`, or names, are compared with `names`.
        names: what the network calls its classes, in order.
        given: name -> class of the schema, or None to drop it; goes before the codes.

    Raises:
        ConfigError: for a name or class that is not there, and when nothing at all is left.
    """
    if unknown := sorted(set(given) - set(names)):
        raise ConfigError(f"the weights know no class {unknown[0]!r}", did_you_mean(unknown[0], names), names)
    known = schema.by_code("coco")
    chosen = {key: -1 if name is None else schema.class_id(name) for key, name in given.items()}
    ids = np.array([chosen.get(name, known.get(name, -1)) for name in names], dtype=np.int64)
    if not (ids >= 0).any():
        raise ConfigError(
            f"no class of the weights is in schema {schema.name!r}", "map them: model.classes={car: vehicle}", names
        )
    return ids


def is_raw(shape: Sequence[int], classes: int, masks: int = 0) -> bool | None:
    """Tell by the shape of a first output whether it is raw (n, 4 + classes + masks, anchors) or suppressed (n, rows, 6 + masks).

    None if it is neither.
    """
    if len(shape) != 3:
        return None
    if shape[1] == 4 + classes + masks:
        return True
    return False if shape[2] == 6 + masks else None


def raw(output: Floats32, wanted: npt.NDArray[np.bool_], conf: float, iou: float, max_det: int) -> Found:
    """Return what a raw output (4 + classes + masks, anchors) holds, after non-maximum suppression within each class.

    Args:
        output: centre x, y, width, height, one score per class, mask coefficients.
        wanted: (classes,) which classes are wanted; a box whose best class is not goes.
        conf: scores above it count.
        iou: of two overlapping boxes of one class by more than this, the better one stays.
        max_det: so many stay at most.
    """
    classes = len(wanted)
    scores = output[4 : 4 + classes]
    candidates = np.flatnonzero(scores.max(axis=0) > conf)
    index = scores[:, candidates].argmax(axis=0)
    candidates, index = candidates[wanted[index]], index[wanted[index]]
    score = scores[index, candidates]
    if len(score) > MOST:
        best = np.argsort(-score, kind="stable")[:MOST]
        candidates, index, score = candidates[best], index[best], score[best]
    centre, half = output[:2, candidates].T, output[2:4, candidates].T / 2
    box = np.concatenate([centre - half, centre + half], axis=1)
    rows = _suppress(box, score, index, iou)[:max_det]
    kept = candidates[rows]
    margin = None
    if classes > 1 and len(rows):
        two = np.partition(scores[:, kept], -2, axis=0)[-2:]
        margin = two[1] - two[0]
    elif classes > 1:
        margin = np.zeros(0, np.float32)
    return Found(box[rows], score[rows], index[rows], margin, output[4 + classes :, kept].T)


def suppressed(output: Floats32, wanted: npt.NDArray[np.bool_], conf: float, max_det: int) -> Found:
    """Return what an output (rows, 6 + masks) of a network with suppression inside holds: x0, y0, x1, y1, score, class, masks."""
    index = output[:, 5].astype(np.int64)
    known = (index >= 0) & (index < len(wanted)) & (output[:, 4] > conf)
    rows = np.flatnonzero(known)
    rows = rows[wanted[index[rows]]][:max_det]
    return Found(output[rows, :4], output[rows, 4], index[rows], None, output[rows, 6:])


def masks(found: Found, prototypes: Floats32, fit: Letterbox, boxes: Boxes) -> list[npt.NDArray[np.bool_]]:
    """Return one mask (H, W) per row of `found`, in pixels of the picture.

    The prototypes are weighted and summed, freed of the padding, scaled up by bilinear interpolation, cut at 0 (a probability of
    0.5) and cropped to the box, as ultralytics does with retina_masks.

    Args:
        found: n rows.
        prototypes: (m, h, w) over the canvas.
        fit: of the picture on the canvas.
        boxes: (n, 4) of `found` in pixels of the picture.
    """
    count, height, width = prototypes.shape
    top, left = (round(c * s / b) for c, s, b in zip(fit.corner, (height, width), fit.canvas, strict=True))
    bottom = round((fit.corner[0] + fit.scaled[0]) * height / fit.canvas[0])
    right = round((fit.corner[1] + fit.scaled[1]) * width / fit.canvas[1])
    inside = np.ascontiguousarray(prototypes[:, top : max(bottom, top + 1), left : max(right, left + 1)])
    logits = (found.coefficients @ inside.reshape(count, -1)).reshape(-1, *inside.shape[1:])
    rows, columns = np.arange(fit.size[0]), np.arange(fit.size[1])
    out = []
    for logit, (x0, y0, x1, y1) in zip(logits, boxes, strict=True):
        large: Any = cv2.resize(logit, fit.size[::-1], interpolation=cv2.INTER_LINEAR)
        mask = large > 0
        mask[(rows < y0) | (rows >= y1)] = False
        mask[:, (columns < x0) | (columns >= x1)] = False
        out.append(mask)
    return out


def _suppress(box: Boxes, score: Floats32, index: npt.NDArray[np.int64], iou: float) -> npt.NDArray[np.int64]:
    """Return the rows that stay, best first; OpenCV's own loop, which is the same as `hyla.geometry.nms` and 20 times as fast."""
    if not len(score):
        return np.zeros(0, dtype=np.int64)
    suppress: Any = cv2.dnn.NMSBoxesBatched  # its stub asks for lists; it takes arrays
    corner_and_size = np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1).astype(np.float64)
    return np.asarray(suppress(corner_and_size, score, index.astype(np.int32), 0.0, iou), dtype=np.int64).reshape(-1)
