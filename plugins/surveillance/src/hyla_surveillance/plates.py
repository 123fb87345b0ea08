"""Find number plates with a network from a local file, so that they can be hidden; none is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla import slices
from hyla import weights as files
from hyla.errors import ConfigError, StageError, did_you_mean
from hyla.hooks import Model, hookimpl
from hyla.review.pixels import flat
from hyla.schema import Schema
from hyla.types import Floats, Image, Labels

Pixels = npt.NDArray[np.uint8]
OUTPUTS = ("auto", "yolov8", "yolov5", "end2end")
GREY = 114  # the padding that YOLO networks were trained with
STRIDE = 32


class Plates(Model):
    """Label number plates as boxes, by a YOLO-like network in an ONNX file, run by OpenCV on the CPU, tile by tile.

    Each picture is looked at by itself, so that labels do not depend on the batch. No weights are public that know the plates of
    all countries; https://github.com/ankandrew/open-image-models names some (MIT). Where there are none, `redact.Mosaic` hides
    the places of vehicles at which plates may be.

    Args:
        schema: has the class `plate`.
        weights: an ONNX file, by path or by name; never downloaded.
        weights_dir: folder in which a name is looked up.
        output: what the network answers with: yolov8, (1, 4 + classes, n) of middle, size and scores, also of YOLO 9, 11 and 12;
            yolov5, (1, n, 5 + classes) of middle, size, whether anything is there, and scores; end2end, (1, n, 6) of corners,
            score and class, or (n, 7) of number, corners, class and score, after suppression inside; auto to tell by the shape,
            which takes yolov5 with one class for end2end.
        classes: numbers of the network's classes that are plates; None for all of them.
        imgsz: side of the network's input in pixels, a multiple of 32.
        tile: side of a tile, pixels of the picture, which is fitted into the input.
        overlap: of neighbouring tiles, share of a side.
        score: plates of at least this score count, 0 to 1; low, since it is better to hide too much.
        iou: of two boxes that overlap by more, the better one stays, 0 to 1.
        max_det: labels of one picture, at most.

    Raises:
        ConfigError: for weights that are missing, damaged or another network, and for settings out of range.
    """

    def __init__(
        self,
        schema: Schema,
        weights: str,
        weights_dir: str | None = None,
        output: str = "auto",
        classes: Sequence[int] | None = None,
        imgsz: int = 640,
        tile: int = 960,
        overlap: float = 0.2,
        score: float = 0.2,
        iou: float = 0.5,
        max_det: int = 300,
    ) -> None:
        if output not in OUTPUTS:
            raise ConfigError(f"unknown output {output!r}", did_you_mean(output, OUTPUTS), OUTPUTS)
        if not 0 < score < 1 or not 0 < iou < 1:
            raise ConfigError(f"score is {score} and iou is {iou}", "both must lie between 0 and 1")
        if imgsz < STRIDE or imgsz % STRIDE or tile < 64 or not 0 <= overlap < 0.9 or max_det < 1:
            raise ConfigError(
                f"imgsz is {imgsz}, tile is {tile}, overlap is {overlap}, max_det is {max_det}",
                f"imgsz is a multiple of {STRIDE}, a tile has 64 pixels or more, overlap is below 0.9, max_det at least 1",
            )
        self._class = schema.class_id("plate")
        self.output, self.classes, self.imgsz = output, None if classes is None else set(classes), imgsz
        self.tile, self.overlap, self.score, self.iou, self.max_det = tile, overlap, score, iou, max_det
        self._path = files.find(weights, weights_dir)
        self._digest = files.digest(self._path)
        self._network = _load(self._path)
        try:
            self._detect(np.zeros((imgsz, imgsz, 3), np.uint8))
        except StageError as error:
            raise ConfigError(f"{self._path.name}: {error.what}", error.hint) from error

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the plates of each picture, best score first; none for a volume."""
        return [Labels.empty() if image.volume else self._labels(np.asarray(image.pixels)) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name and the sha256 of the weights, and the library that ran them."""
        return {"name": self._path.stem, "digest": self._digest, "task": "plates", "libraries": f"opencv {cv2.__version__}"}

    def _labels(self, pixels: npt.NDArray[Any]) -> Labels:
        seen = flat(pixels)
        seen = np.repeat(seen[..., None], 3, axis=2) if seen.ndim == 2 else seen
        size = (seen.shape[0], seen.shape[1])
        found, cut = [np.zeros((0, 5))], [np.zeros(0, dtype=bool)]
        for place in slices.tiles(size, self.tile, self.overlap):
            x0, y0, x1, y1 = place
            rows = self._detect(np.ascontiguousarray(seen[y0:y1, x0:x1]))
            rows[:, :4] += np.tile([x0, y0], 2)
            found.append(rows)
            cut.append(slices.cut_off(rows[:, :4], place, size))
        rows = np.concatenate(found)
        box = np.clip(rows[:, :4], 0, [size[1], size[0], size[1], size[0]])
        real = np.flatnonzero((box[:, 2:] - box[:, :2] >= 1).all(axis=1))
        kept = real[slices.merge(box[real], rows[real, 4], np.concatenate(cut)[real], self.iou, self.max_det)]
        return Labels.of(np.full(len(kept), self._class), box[kept], score=np.clip(rows[kept, 4], 0, 1))

    def _detect(self, part: Pixels) -> Floats:
        """Return (n, 5) x0, y0, x1, y1 in pixels of `part` (h, w, 3) RGB, and score; raise StageError for an odd answer."""
        scale = min(self.imgsz / max(part.shape[:2]), 1.0)
        size = max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1)
        canvas = np.full((self.imgsz, self.imgsz, 3), GREY, np.uint8)
        canvas[: size[1], : size[0]] = part if scale == 1 else cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        batch = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None], dtype=np.float32) / 255
        try:
            self._network.setInput(batch)
            answer = np.asarray(self._network.forward(), dtype=np.float64)
        except cv2.error as error:
            reason = str(error).strip().splitlines()[0]
            raise StageError(f"the network fails: {reason}", f"does it take {self.imgsz} x {self.imgsz}? model.imgsz=") from error
        rows = decode(answer, self.output, self.classes)
        rows[:, :4] /= scale
        return rows[(rows[:, 4] >= self.score) & np.isfinite(rows).all(axis=1)]


def decode(answer: Floats, output: str = "auto", classes: set[int] | None = None) -> Floats:
    """Return (n, 5) x0, y0, x1, y1, score of what a network answers, in pixels of its input; see `Plates` for the outputs.

    Raises:
        StageError: for a shape that none of them has.
    """
    table = answer[0] if answer.ndim == 3 and len(answer) == 1 else answer
    if table.ndim != 2 or (table.shape[1] not in (6, 7) and min(table.shape) < 5):
        raise StageError(f"its output of shape {answer.shape} is none of boxes", "give an ONNX file of YOLO", OUTPUTS)
    if output == "auto":
        output = "end2end" if table.shape[1] in (6, 7) else "yolov8" if table.shape[1] > table.shape[0] else "yolov5"
    columns = table.shape[1]
    if output == "end2end" and columns in (6, 7):
        box = table[:, :4] if columns == 6 else table[:, 1:5]
        score, kind = (table[:, 4], table[:, 5]) if columns == 6 else (table[:, 6], table[:, 5])
    elif output != "end2end":
        table = table.T if output == "yolov8" else table
        scores = table[:, 4:] if output == "yolov8" else table[:, 5:] * table[:, 4:5]
        if not scores.shape[1]:
            raise StageError(f"its output of shape {answer.shape} has no scores, as {output}", "set model.output", OUTPUTS)
        score, kind = scores.max(axis=1), scores.argmax(axis=1).astype(np.float64)
        half = table[:, 2:4] / 2
        box = np.concatenate([table[:, :2] - half, table[:, :2] + half], axis=1)
    else:
        raise StageError(f"its output of shape {answer.shape} is not that of {output}", "set model.output", OUTPUTS)
    rows_of = np.column_stack([box, score])
    return np.asarray(rows_of if classes is None else rows_of[np.isin(np.rint(kind), sorted(classes))])


def _load(path: Path) -> Any:
    if path.suffix != ".onnx":
        raise ConfigError(f"weights {path.name!r} are no .onnx file", "export them: yolo export format=onnx")
    try:
        return cv2.dnn.readNetFromONNX(str(path))
    except cv2.error as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"{path.name} can't be read by OpenCV {cv2.__version__}: {reason}", "is it complete?") from error
