"""Find faces with YuNet, near and far, so that they can be hidden or labelled; nothing here tells whose they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla import slices
from hyla import weights as files
from hyla.errors import ConfigError
from hyla.hooks import Model, hookimpl
from hyla.review.pixels import flat
from hyla.schema import Schema
from hyla.types import Floats, Image, Labels
from hyla_surveillance.face_quality import NAMES, Grades, quality

Pixels = npt.NDArray[np.uint8]
NEAR = 320  # pixels of the longer side at which a face that fills the picture is found
TOP = 5000  # boxes that YuNet keeps before it drops those that overlap


class Faces(Model):
    """Label faces as boxes, by YuNet (Wu, Peng and Yu 2023, https://doi.org/10.1007/s11633-023-1423-y) through OpenCV.

    A picture is looked at in overlapping tiles as it is, for far faces; whole, reduced to one tile; and whole, reduced to 320
    pixels, for near ones; what overlaps is merged. Each picture is looked at by itself and nothing is remembered, so that labels
    do not depend on the batch. YuNet was made for faces of about 10 to 300 pixels; `enlarge` helps with smaller ones.

    Of the attributes of `face_quality` those that the schema has are given: what a face may be used for, never whose it is.

    Args:
        schema: has the class `face`.
        weights: an ONNX file of YuNet, by path or by name; never downloaded. https://github.com/opencv/opencv_zoo has one (MIT).
        weights_dir: folder in which a name is looked up.
        score: faces of at least this score count, 0 to 1. 0.5 finds more, to hide them; 0.7 is surer, for datasets.
        iou: of two boxes that overlap by more, the better one stays, 0 to 1.
        tile: side of a tile in pixels.
        overlap: of neighbouring tiles, share of a side; faces larger than that are found in the reduced picture.
        enlarge: factor by which tiles are enlarged, 1 to 4; time grows with its square.
        max_det: labels of one picture, at most.
        grades: settings of `face_quality.Grades`; those not named keep their value.

    Raises:
        ConfigError: for weights that are missing or no YuNet, and for settings out of range.
    """

    def __init__(
        self,
        schema: Schema,
        weights: str = "face_detection_yunet_2026may.onnx",
        weights_dir: str | None = None,
        score: float = 0.6,
        iou: float = 0.3,
        tile: int = 1920,
        overlap: float = 0.2,
        enlarge: float = 1.0,
        max_det: int = 1000,
        grades: Mapping[str, float] | None = None,
    ) -> None:
        if not 0 < score < 1 or not 0 < iou < 1:
            raise ConfigError(f"score is {score} and iou is {iou}", "both must lie between 0 and 1")
        if tile < 64 or not 0 <= overlap < 0.9:
            raise ConfigError(f"tile is {tile} and overlap is {overlap}", "give at least 64 pixels, and a share below 0.9")
        if not 1 <= enlarge <= 4 or max_det < 1:
            raise ConfigError(f"enlarge is {enlarge} and max_det is {max_det}", "give 1 to 4, and at least 1")
        self._class = schema.class_id("face")
        self._wanted = [name for name in NAMES if name in schema.attributes_of("label")]
        self._grades = Grades.of(grades)
        self.score, self.iou, self.tile, self.overlap = score, iou, tile, overlap
        self.enlarge, self.max_det = enlarge, max_det
        self._path = files.find(weights, weights_dir)
        self._digest = files.digest(self._path)
        self._network = _load(self._path, score, iou)

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the faces of each picture, best score first; none for a volume."""
        return [Labels.empty() if image.volume else self._labels(np.asarray(image.pixels)) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name and the sha256 of the weights, and the library that ran them."""
        return {"name": self._path.stem, "digest": self._digest, "task": "faces", "libraries": f"opencv {cv2.__version__}"}

    def find(self, pixels: Pixels) -> tuple[Floats, Floats, Floats]:
        """Return the faces of a picture (H, W, 3) RGB, best score first.

        Returns:
            Boxes (n, 4) in pixels; points (n, 5, 2) of the eye on the left of the picture, the eye on its right, the tip of the
            nose and the corners of the mouth, left first, of a face that is upright; scores (n,).
        """
        size = (pixels.shape[0], pixels.shape[1])
        picture = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        found, cut = [np.zeros((0, 15))], [np.zeros(0, dtype=bool)]
        for scale, place in self._looks(size):
            x0, y0, x1, y1 = place
            rows = self._detect(_scaled(np.asarray(picture[y0:y1, x0:x1], dtype=np.uint8), scale)) / np.append(
                np.full(14, scale), 1.0
            )
            rows[:, :14] += np.tile([x0, y0], 7)
            found.append(rows)
            cut.append(slices.cut_off(rows[:, :4], place, size))
        all_rows = np.concatenate(found)
        box = np.clip(all_rows[:, :4], 0, [size[1], size[0], size[1], size[0]])
        real = np.flatnonzero((box[:, 2:] - box[:, :2] >= 1).all(axis=1))
        kept = real[slices.merge(box[real], all_rows[real, 14], np.concatenate(cut)[real], self.iou, self.max_det)]
        return box[kept], all_rows[kept, 4:14].reshape(-1, 5, 2), np.clip(all_rows[kept, 14], 0, 1)

    def _labels(self, pixels: npt.NDArray[Any]) -> Labels:
        seen = flat(pixels)
        seen = np.ascontiguousarray(np.repeat(seen[..., None], 3, axis=2) if seen.ndim == 2 else seen)
        box, points, score = self.find(seen)
        told = quality(seen, box, points, self._grades) if self._wanted and len(box) else {}
        return Labels.of(
            np.full(len(box), self._class),
            box,
            score=score,
            attributes={name: told[name] for name in self._wanted if name in told},
        )

    def _looks(self, size: tuple[int, int]) -> Iterator[tuple[float, npt.NDArray[np.int64]]]:
        """Yield (scale, x0 y0 x1 y1) of the parts of a picture of `size` to look at."""
        longest = max(size)
        places = slices.tiles(size, self.tile, self.overlap)
        for place in places[: max(len(places) - 1, 1)]:
            yield self.enlarge, place
        for side in (self.tile, NEAR):
            if longest > side or (side == self.tile and self.enlarge > 1):
                yield min(1.0, side / longest), places[-1]

    def _detect(self, picture: Pixels) -> Floats:
        """Return (n, 15) of faces: box x0 y0 x1 y1, five points, score, in pixels of `picture` (h, w, 3) BGR."""
        self._network.setInputSize((picture.shape[1], picture.shape[0]))
        rows = self._network.detect(picture)[1]
        if rows is None:
            return np.zeros((0, 15))
        rows = rows.astype(np.float64)
        rows[:, 2:4] += rows[:, :2]
        return np.asarray(rows[np.isfinite(rows).all(axis=1)])


def _scaled(part: Pixels, scale: float) -> Pixels:
    if scale == 1:
        return np.ascontiguousarray(part)
    size = max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1)
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), dtype=np.uint8)


def _load(path: Path, score: float, iou: float) -> Any:
    """Return YuNet, proved on an empty picture.

    Raises:
        ConfigError: if the file is damaged, or another network.
    """
    try:
        with _quiet():
            network = cv2.FaceDetectorYN.create(str(path), "", (64, 64), score, iou, TOP)
            network.detect(np.zeros((64, 64, 3), np.uint8))
    except cv2.error as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"{path.name} is no YuNet that OpenCV {cv2.__version__} can run: {reason}", "give face_detection_yunet_*.onnx"
        ) from error
    return network


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV 5 from warning, at each network, that it chooses where to run it by itself."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
