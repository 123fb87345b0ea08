"""Read the lines of text in pictures with rapidocr and the networks that lie in its wheel: nothing is downloaded.

Small pictures, as price labels, are laid out on sheets, since finding text takes as long for a small picture as for a larger one.
A line is read in a width of its own, never padded to that of others, so that its text does not depend on theirs.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.types import Floats

Pixels = npt.NDArray[np.uint8]

HEIGHT = 48  # pixels of a line, as the network reads it
STEP, WIDEST = 48, 1536  # pixels: lines are padded to a multiple of STEP, so that the network's own padding rounds nothing
NARROWEST = 2 * STEP
BATCH = 4  # lines of one width
SHEET = 800  # pixels a side of a sheet
GAP, GRID = 16, 32  # pixels between the pictures of a sheet, at least, and the grid of the network that they lie on
THREADS = 8  # at most
LEAST = 0.6  # of the network's certainty, below which a line is noise
ENLARGED = 2.5  # times, at most: more shows nothing that is not there
SMALLEST = 8  # pixels a side of a picture that may hold text
SETTINGS = {
    "Global.log_level": "critical",
    "Global.use_cls": False,
    "Det.use_dilation": False,  # it joins large digits with the line above them
    "Det.box_thresh": 0.4,
    "Det.limit_type": "max",
    "Det.limit_side_len": 4 * SHEET,
    "Rec.rec_img_shape": [3, HEIGHT, NARROWEST],
    "Rec.rec_batch_num": BATCH,
    # Lines are read side by side instead: faster, and the same on any machine.
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
}
_lock, _building = Lock(), Lock()
_engine: Any = None


class Line(NamedTuple):
    """Hold a line of text.

    Args:
        text: as read.
        score: certainty of the network, 0 to 1.
        box: x0, y0, x1, y1 in pixels of its picture.
    """

    text: str
    score: float
    box: tuple[float, float, float, float]

    @property
    def height(self) -> float:
        """Return how high it is, in pixels."""
        return self.box[3] - self.box[1]


def available() -> bool:
    """Tell whether rapidocr is installed, without importing it."""
    from importlib.util import find_spec

    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def digest() -> str:
    """Return the sha256 over the networks that find and read text."""
    from hashlib import sha256
    from importlib.resources import files

    from hyla.weights import digest as digest_of

    folder = files("rapidocr") / "models"
    known = [digest_of(Path(str(one))) for one in sorted(folder.iterdir(), key=str) if one.name.endswith(".onnx")]
    return sha256("".join(known).encode()).hexdigest()


def read(pictures: Sequence[Pixels], longest: int, lines: int) -> list[list[Line]]:
    """Return the lines of each picture, as people read them: from the top, and from the left.

    Any thread may call this; one at a time is served.

    Args:
        pictures: (h, w, 3) uint8 each.
        longest: pixels to which the longer side is brought first, enlarged 2.5 times at most: more shows smaller letters, and
            takes longer.
        lines: that are read of each picture, the highest first.

    Raises:
        ConfigError: if rapidocr is not installed.
    """
    import cv2

    scales = [min(longest / max(p.shape[:2]), ENLARGED) if min(p.shape[:2], default=0) >= SMALLEST else 0.0 for p in pictures]
    ready = [_scaled(p, scale) if scale else None for p, scale in zip(pictures, scales, strict=True)]
    strips: list[Pixels] = []
    found: list[list[tuple[Floats, int]]] = [[] for _ in pictures]
    _reader()
    with _lock, ThreadPoolExecutor(min(os.cpu_count() or 1, THREADS)) as pool:
        sheets = _sheets(ready)
        for (sheet, places), detected in zip(sheets, pool.map(_detected, [sheet for sheet, _ in sheets]), strict=True):
            for corners in detected:
                middle = corners.mean(axis=0)
                for i, (left, top, right, bottom) in places:
                    if left <= middle[0] < right and top <= middle[1] < bottom:
                        found[i].append((corners - (left, top), len(strips)))
                        strips.append(_straight(cv2, sheet, corners))
                        break
        kept = [sorted(of, key=lambda one: -_tall(one[0]))[:lines] for of in found]
        texts = _recognised(pool, strips, sorted(number for of in kept for _, number in of))
    out = []
    for of, scale in zip(kept, scales, strict=True):
        read_lines = []
        for corners, number in of:
            text, score = texts[number]
            if score >= LEAST and text.strip():
                (x0, y0), (x1, y1) = (corners.min(axis=0) / scale).tolist(), (corners.max(axis=0) / scale).tolist()
                read_lines.append(Line(text.strip(), score, (x0, y0, x1, y1)))
        out.append(_ordered(read_lines))
    return out


def _ordered(lines: list[Line]) -> list[Line]:
    """Return lines from the top, those beside each other from the left."""
    rest, out = sorted(lines, key=lambda line: (line.box[1] + line.box[3], line.box)), []
    while rest:
        first = rest[0]
        row = [one for one in rest if _beside(one, first)]
        out += sorted(row, key=lambda line: line.box)
        rest = [one for one in rest if one not in row]
    return out


def _beside(a: Line, b: Line) -> bool:
    """Tell whether two lines stand beside each other: the middle of one is level with the other, as small cents with a price."""
    middle = (a.box[1] + a.box[3]) / 2, (b.box[1] + b.box[3]) / 2
    level = a.box[1] < middle[1] < a.box[3] or b.box[1] < middle[0] < b.box[3]
    apart = max(a.box[0], b.box[0]) >= min(a.box[2], b.box[2]) - 0.25 * min(a.height, b.height)
    return a is b or (level and apart)


def _scaled(picture: Pixels, scale: float) -> Pixels:
    import cv2

    height, width = picture.shape[:2]
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=how), dtype=np.uint8)


Place = tuple[int, tuple[int, int, int, int]]


def _sheets(pictures: Sequence[Pixels | None]) -> list[tuple[Pixels, list[Place]]]:
    """Return sheets with pictures on them, and where each lies; a picture as large as a sheet has one to itself."""
    rows: list[list[int]] = []
    used = SHEET + 1
    for i, picture in enumerate(pictures):
        if picture is None:
            continue
        width = _room(picture.shape[1])
        if used + width > SHEET:
            rows.append([])
            used = 0
        rows[-1].append(i)
        used += width
    sheets: list[list[list[int]]] = []
    used = SHEET + 1
    for row in rows:
        height = max(_room(_there(pictures[i]).shape[0]) for i in row)
        if used + height > SHEET:
            sheets.append([])
            used = 0
        sheets[-1].append(row)
        used += height
    return [_laid(pictures, sheet) for sheet in sheets]


def _room(length: int) -> int:
    """Return how much of a sheet a picture takes, in pixels."""
    return -(-(length + GAP) // GRID) * GRID


def _there(picture: Pixels | None) -> Pixels:
    assert picture is not None  # only pictures that are there were put into rows
    return picture


def _laid(pictures: Sequence[Pixels | None], sheet: list[list[int]]) -> tuple[Pixels, list[Place]]:
    places: list[Place] = []
    top, right = 0, 0
    for row in sheet:
        left, low = 0, top
        for i in row:
            height, width = _there(pictures[i]).shape[:2]
            places.append((i, (left, top, left + width, top + height)))
            left, low = left + _room(width), max(low, top + _room(height))
        top, right = low, max(right, left)
    out = np.full((top, right, 3), 255, dtype=np.uint8)
    for i, (x0, y0, x1, y1) in places:
        out[y0:y1, x0:x1] = _there(pictures[i])
    return out, places


def _detected(sheet: Pixels) -> list[Floats]:
    """Return the corners (4, 2) of each line on a sheet, from its top left clockwise."""
    found = _reader().text_det(np.ascontiguousarray(sheet[:, :, ::-1]))
    return [] if found.boxes is None else [np.asarray(corners, dtype=np.float64) for corners in found.boxes]


def _tall(corners: Floats) -> float:
    return float(np.linalg.norm(corners[0] - corners[3]) + np.linalg.norm(corners[1] - corners[2])) / 2


def _straight(cv2: Any, sheet: Pixels, corners: Floats) -> Pixels:
    """Return what lies within the corners as a strip of the height that is read."""
    wide = (np.linalg.norm(corners[0] - corners[1]) + np.linalg.norm(corners[3] - corners[2])) / 2
    width = int(np.clip(round(HEIGHT * wide / max(_tall(corners), 1.0)), 8, WIDEST))
    to = np.array([[0, 0], [width, 0], [width, HEIGHT], [0, HEIGHT]], dtype=np.float32)
    turn = cv2.getPerspectiveTransform(corners.astype(np.float32), to)
    strip = cv2.warpPerspective(sheet, turn, (width, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(strip, dtype=np.uint8)


def _recognised(pool: ThreadPoolExecutor, strips: list[Pixels], wanted: list[int]) -> dict[int, tuple[str, float]]:
    """Return number of a strip -> its text, and how sure that is."""
    by_width: dict[int, list[int]] = {}
    for number in wanted:
        by_width.setdefault(max(-(-strips[number].shape[1] // STEP) * STEP, NARROWEST), []).append(number)
    parts = [(w, mine[i : i + BATCH]) for w, mine in sorted(by_width.items(), reverse=True) for i in range(0, len(mine), BATCH)]
    read_now = pool.map(lambda part: _texts([strips[number] for number in part[1]], part[0]), parts)
    return {
        number: one for (_, part), texts in zip(parts, read_now, strict=True) for number, one in zip(part, texts, strict=True)
    }


def _texts(strips: list[Pixels], width: int) -> list[tuple[str, float]]:
    """Return the text of each strip, padded to one width with the grey that the network's own padding is."""
    from rapidocr.ch_ppocr_rec import TextRecInput

    padded = np.full((len(strips), HEIGHT, width, 3), 127, dtype=np.uint8)
    for row, strip in enumerate(strips):
        padded[row, :, : strip.shape[1]] = strip[:, :, ::-1]
    out = _reader().text_rec(TextRecInput(img=list(padded)))
    return [(str(text), float(score)) for text, score in zip(out.txts, out.scores, strict=True)]


def _reader() -> Any:
    """Return the one engine, built when first needed."""
    global _engine  # its networks take a second to load
    with _building:
        if _engine is None:
            _engine = _built()
    return _engine


def _built() -> Any:
    if not available():
        raise ConfigError("reading text needs rapidocr", "pip install rapidocr onnxruntime, or leave the text out")
    from rapidocr import RapidOCR

    # Its logger would name what it reads.
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    engine: Any = RapidOCR(params=SETTINGS)
    blank = np.full((HEIGHT, HEIGHT, 3), 255, dtype=np.uint8)
    engine(blank, use_det=True, use_cls=False, use_rec=False)  # it loads what it is first asked for
    engine(blank, use_det=False, use_cls=False, use_rec=True)
    return engine
