"""Boxes, polygons, lines and run-length masks, on arrays.

Coordinates are those of `hyla.types`: pixels, y down, the first pixel spans 0 to 1. A pixel is in an area when its centre is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from hyla.errors import StageError
from hyla.types import Bools, Floats, Ints, Kind, Rle

Rings = tuple[Floats, ...]
LARGEST = 2**32 - 1  # pixels of one mask: pycocotools counts in 32 bits
_COCO_ALPHABET = bytes(range(48, 112))
_WIDTH = {Kind.ROTATED_BOX: 5, Kind.POLYGON: 2, Kind.POLYLINE: 2, Kind.KEYPOINTS: 3, Kind.CUBOID: 10}
_FEWEST = {Kind.POLYGON: 3, Kind.POLYLINE: 2, Kind.KEYPOINTS: 1}


# Boxes.


def area(box: npt.ArrayLike) -> Floats:
    """Return the areas (n,) of boxes (n, 4) in square pixels; 0 for a box turned inside out."""
    b = _boxes(box)
    return np.asarray(np.maximum(b[:, 2] - b[:, 0], 0) * np.maximum(b[:, 3] - b[:, 1], 0))


def iou(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """Return intersection over union (n, m) of boxes (n, 4) and (m, 4); 0 where both are empty."""
    first, second = _boxes(a), _boxes(b)
    return _overlap(first[:, None], second[None], area(first)[:, None], area(second)[None])


def clip(box: npt.ArrayLike, size: Sequence[int]) -> Floats:
    """Return boxes (n, 4) cut to a picture of `size` (height, width), or (depth, height, width)."""
    height, width = size[-2:]
    return np.asarray(np.clip(_boxes(box), 0, np.array([width, height, width, height], dtype=np.float64)))


def xywh(box: npt.ArrayLike) -> Floats:
    """Return x0, y0, width, height (n, 4), as COCO writes them, of boxes (n, 4)."""
    b = _boxes(box)
    return np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], axis=1)


def xyxy(xywh: npt.ArrayLike) -> Floats:
    """Return boxes (n, 4) of x0, y0, width, height (n, 4); the inverse of `xywh`."""
    b = _boxes(xywh)
    return np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1)


def nms(box: npt.ArrayLike, score: npt.ArrayLike, class_id: npt.ArrayLike, iou: float) -> Ints:
    """Return the rows that survive greedy non-maximum suppression within each class, best score first.

    A box goes when it overlaps a better one of its class by more than `iou`. Of equal scores, the earlier row is the better.
    """
    boxes, classes = _boxes(box), np.asarray(class_id)
    areas = area(boxes)
    rest = np.argsort(-np.asarray(score, dtype=np.float64), kind="stable")
    kept = []
    while rest.size:
        best, rest = rest[0], rest[1:]
        kept.append(best)
        overlap = _overlap(boxes[best], boxes[rest], areas[best], areas[rest])
        rest = rest[(overlap <= iou) | (classes[rest] != classes[best])]
    return np.array(kept, dtype=np.int64)


# Shapes of any kind.


def check_shape(kind: int, shape: Any) -> Any:
    """Return an entry of `Labels.shape`, its points as float64; raise StageError if it is not what `Kind` says of `kind`.

    A polygon's ring has at least 3 points, a polyline 2. That the runs of a mask add up to its size is left to `decode`.
    """
    if kind in (Kind.TAG, Kind.BOX):
        if shape is not None:
            raise StageError(f"a {Kind(kind).word} has no shape, got {type(shape).__name__}")
        return None
    if kind == Kind.MASK:
        if not isinstance(shape, Rle):
            raise StageError(f"the shape of a mask is an Rle, got {type(shape).__name__}", "make it with hyla.geometry.encode")
        _check_rle(shape)
        return shape
    if kind == Kind.POLYGON:
        if not isinstance(shape, (tuple, list)) or not shape:
            raise StageError(f"the shape of a polygon is a tuple of rings, got {type(shape).__name__}")
        return tuple(_check_points(Kind.POLYGON, ring) for ring in shape)
    if kind not in _WIDTH:
        raise StageError(f"there is no kind {kind}", choices=[f"{k} {k.word}" for k in Kind])
    return _check_points(Kind(kind), shape)


def bounds(kinds: npt.ArrayLike, shapes: Sequence[Any] | npt.NDArray[np.object_]) -> Floats:
    """Return the boxes (n, 4) around shapes (n,) of `kinds` (n,).

    Of keypoints, the visible and the hidden ones count. A mask without a pixel and keypoints without a point get zeros; so does a
    cuboid, which lies in the sensor's space and not in the picture.

    Raises:
        StageError: for a shape that is not of its kind, and for a tag or a box, which have none.
    """
    rows = [_bounds(kind, shape) for kind, shape in zip(np.asarray(kinds).tolist(), shapes, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def rotated_corners(shape: npt.ArrayLike) -> Floats:
    """Return the corners (..., 4, 2) of rotated boxes (..., 5), clockwise as seen, from the one that is top-left at angle 0."""
    s = np.asarray(shape, dtype=np.float64)
    if s.shape[-1:] != (5,):
        raise StageError(f"a rotated box is (5,): centre x, centre y, width, height, angle; got shape {s.shape}")
    cos, sin = np.cos(s[..., 4, None]), np.sin(s[..., 4, None])
    x = s[..., 2, None] * (-0.5, 0.5, 0.5, -0.5)
    y = s[..., 3, None] * (-0.5, -0.5, 0.5, 0.5)
    return np.stack([s[..., 0, None] + x * cos - y * sin, s[..., 1, None] + x * sin + y * cos], axis=-1)


def shape_iou(kind: Kind | int, a: Sequence[Any], b: Sequence[Any]) -> Floats:
    """Return intersection over union (n, m) of shapes of one kind: box (4,), rotated box, polygon (even-odd) or mask.

    Raises:
        StageError: for a kind that has no area, and for masks of different sizes.
    """
    if kind not in (Kind.BOX, Kind.ROTATED_BOX, Kind.POLYGON, Kind.MASK):
        raise StageError(f"a {Kind(kind).word} has no area to compare", choices=("box", "rotated_box", "polygon", "mask"))
    if len(a) == 0 or len(b) == 0:
        return np.zeros((len(a), len(b)))
    if kind == Kind.BOX:
        return iou(np.asarray(a), np.asarray(b))
    if kind == Kind.MASK:
        if len(sizes := {one.size for one in (*a, *b)}) > 1:
            raise StageError(f"masks of different sizes can't be compared: {sorted(sizes)}")
        return np.asarray(coco.iou([coco_rle(m) for m in a], [coco_rle(m) for m in b], [False] * len(b)))
    import shapely

    first, second = _areas(kind, a), _areas(kind, b)
    with np.errstate(divide="ignore", invalid="ignore"):  # GEOS divides by 0 within, for shapes that are all but flat
        common = shapely.area(shapely.intersection(first[:, None], second[None]))
    return _ratio(common, shapely.area(first)[:, None] + shapely.area(second)[None] - common)


# Masks.


def encode(mask: npt.ArrayLike) -> Rle:
    """Return the run lengths of a mask (height, width), or of a volume (depth, height, width); what is not 0 is in.

    In a picture they are, byte for byte, what pycocotools writes. Raise StageError for other dimensions.
    """
    m = np.asarray(mask)
    if m.ndim not in (2, 3) or m.size > LARGEST:
        raise StageError(f"a mask is (height, width) or (depth, height, width) of up to {LARGEST} pixels, got shape {m.shape}")
    if m.size == 0:
        return Rle(m.shape, b"0")
    bits = (m if m.dtype == bool else m != 0).view(np.uint8)
    # pycocotools reads column by column. The lines of a volume, transposed, give it the volume in C order without a copy.
    flat = bits if m.ndim == 2 else np.ascontiguousarray(bits).reshape(-1, m.shape[2]).T
    return Rle(m.shape, coco.encode(np.asfortranarray(flat))["counts"])


def decode(rle: Rle) -> Bools:
    """Return the mask (height, width) or (depth, height, width) of run lengths; raise StageError if they do not fit its size."""
    lengths = check_runs(rle)
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return flat.reshape(rle.size, order="F" if len(rle.size) == 2 else "C")


def rle_area(rle: Rle) -> int:
    """Return the number of pixels or voxels in a mask."""
    return int(coco.area(coco_rle(rle)))


def rle_bounds(rle: Rle) -> Floats:
    """Return the box (4,) around a mask, over all slices of a volume; zeros for one without a pixel."""
    if len(rle.size) == 2 or 0 in rle.size:
        return np.asarray(xyxy(coco.toBbox(coco_rle(rle)))[0])
    at = np.cumsum(runs(rle))
    starts, ends = at[: len(at) // 2 * 2 : 2], at[1::2]
    starts, ends = starts[ends > starts], ends[ends > starts]
    if not len(starts):
        return np.zeros(4)
    _, height, width = rle.size
    first, last = starts // width, (ends - 1) // width  # the lines of the volume that a run begins and ends in
    x0, x1 = ((starts % width).min(), ((ends - 1) % width).max() + 1) if (first == last).all() else (0, width)
    y0, y1 = (first % height).min(), (last % height).max() + 1
    if (first // height != last // height).any():  # from one slice into the next, so through the last line and the first
        y0, y1 = 0, height
    return np.array([x0, y0, x1, y1], dtype=np.float64)


def runs(rle: Rle) -> Ints:
    """Return the run lengths as numbers, outside and inside by turns, beginning outside: COCO's uncompressed counts.

    COCO's string holds the difference of each run to the last but one, in groups of 5 bits, lowest first, with a sixth bit for
    "more follows" (rleFrString in maskApi.c). Raise StageError for bytes that are no such string.
    """
    _check_rle(rle)
    code = np.frombuffer(rle.counts, dtype=np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((code & 0x20) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 8:
        raise StageError("the runs of a mask are not COCO's run-length string")
    shift = 5 * (np.arange(len(code)) - np.repeat(starts, lengths))
    out = np.add.reduceat((code & 0x1F) << shift, starts)
    out -= ((code[ends] >> 4) & 1) << (5 * lengths)  # the sign
    out[1::2] = np.cumsum(out[1::2])
    out[2::2] = np.cumsum(out[2::2])
    return np.asarray(out)


def check_runs(rle: Rle) -> Ints:
    """Return the `runs` of a mask; raise StageError if they do not add up to its size."""
    lengths = runs(rle)
    if (lengths < 0).any() or lengths.sum() != math.prod(rle.size):
        raise StageError(f"the runs of a mask do not add up to its size {rle.size}")
    return lengths


# Between points and masks.


def rasterize(shape: Rings | Sequence[Floats] | Floats, size: Sequence[int], width: float = 1) -> Bools:
    """Return the mask (height, width) of polygon rings (a tuple or list of (k, 2)) or of a polyline (an array (k, 2)).

    Rings are filled by the even-odd rule; a polyline is drawn with a round pen of `width` pixels. A pixel is in if its centre is;
    a centre on an edge belongs to the area at its right or below, so that polygons which share an edge share no pixel. What lies
    outside the picture is left out. COCO's own rasteriser (pycocotools.mask.frPyObjects) differs by pixels at the border.

    Raises:
        StageError: for points that are not finite or not (k, 2), and for a width of 0 or less.
    """
    rings = [_points(ring) for ring in (_stroke(_points(shape), width) if isinstance(shape, np.ndarray) else shape)]
    height, across = int(size[-2]), int(size[-1])
    start = np.concatenate([np.zeros((0, 2)), *rings])
    end = np.concatenate([np.zeros((0, 2)), *(np.roll(ring, -1, axis=0) for ring in rings)])
    # From its upper end, so that an edge is crossed at the same x whichever way a ring goes round.
    falls = (start[:, 1] <= end[:, 1])[:, None]
    upper, lower = np.where(falls, start, end), np.where(falls, end, start)
    # Each edge crosses the centre lines y + 0.5 of rows `first` to `until` - 1; each crossing turns all pixels at its right.
    first, until = np.clip(np.ceil([upper[:, 1] - 0.5, lower[:, 1] - 0.5]), 0, height).astype(np.int64)
    count = until - first
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count - first, count)
    run, rise = (lower - upper)[edge].T
    x = upper[edge, 0] + (row + 0.5 - upper[edge, 1]) * run / rise
    column = np.clip(np.ceil(x - 0.5), 0, across).astype(np.int64)
    # A row has an even number of crossings: in reading order they are the ends of runs, outside and inside by turns.
    ends = np.sort(row * across + column)
    lengths = np.diff(ends, prepend=0, append=height * across)
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, across)


def polygons_of(mask: npt.ArrayLike) -> Rings:
    """Return the outlines of a mask (height, width) along the edges of its pixels, as rings (k, 2) for the even-odd rule.

    Exact: `rasterize` gives the same mask back. A ring stands before its holes; pixels that touch at a corner only are apart.
    """
    m = np.pad(np.asarray(mask) != 0, 1)
    if m.ndim != 2:
        raise StageError(f"a mask is (height, width), got {m.ndim} dimensions")
    nw, ne, sw, se = m[:-1, :-1], m[:-1, 1:], m[1:, :-1], m[1:, 1:]
    touching = (nw == se) & (ne == sw) & (nw != ne)  # at a corner: two outlines pass here, so it counts as two
    y, x = np.nonzero((nw ^ ne ^ sw ^ se) | touching)
    if not len(x):
        return ()
    times = 1 + touching[y, x]
    falling = np.repeat(touching[y, x] & nw[y, x], times)  # the two pixels lie along \ and not along /
    y, x = np.repeat(y, times), np.repeat(x, times)
    copy = np.concatenate([[False], (y[1:] == y[:-1]) & (x[1:] == x[:-1])])
    # Along a row, corners pair up as the ends of horizontal edges; down a column, as the ends of vertical ones. Of two outlines
    # through one point, the first comes from the left; it leaves upwards where the pixels lie along \, downwards where along /.
    pairs = np.arange(len(x)) ^ 1
    order = np.lexsort((copy == falling, y, x))
    upright = np.empty_like(pairs)
    upright[order] = order[pairs]
    rings = _cycles(pairs.tolist(), upright.tolist())
    return tuple(np.stack([x[ring], y[ring]], axis=1).astype(np.float64) for ring in rings)


def _cycles(level: list[int], upright: list[int]) -> list[list[int]]:
    seen = [False] * len(level)
    rings = []
    for at in range(len(level)):
        ring: list[int] = []
        while not seen[at]:
            other = level[at]
            seen[at] = seen[other] = True
            ring += [at, other]
            at = upright[other]
        if ring:
            rings.append(ring)
    return rings


def _stroke(line: Floats, width: float) -> list[Floats]:
    import shapely

    if not width > 0:
        raise StageError(f"a line is drawn with a width above 0, got {width}")
    if not len(line):
        return []
    drawn = (shapely.LineString(line) if len(line) > 1 else shapely.Point(line[0])).buffer(width / 2)
    return [np.asarray(ring.coords) for ring in (drawn.exterior, *drawn.interiors)]


def _areas(kind: Kind | int, shapes: Sequence[Any]) -> npt.NDArray[np.object_]:
    import shapely

    if kind == Kind.ROTATED_BOX:
        return np.asarray(shapely.polygons(rotated_corners(np.stack(shapes))))
    # make_valid reads a ring that crosses itself by the even-odd rule, as rings among each other are read.
    rings = [[shapely.make_valid(shapely.Polygon(ring)) for ring in one] for one in shapes]
    return np.array([reduce(shapely.symmetric_difference, one) for one in rings], dtype=object)


def _overlap(a: Floats, b: Floats, area_a: Floats, area_b: Floats) -> Floats:
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    common = np.maximum(width, 0) * np.maximum(height, 0)
    return _ratio(common, area_a + area_b - common)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))


def _bounds(kind: int, shape: Any) -> Floats:
    if kind in (Kind.TAG, Kind.BOX):
        raise StageError(f"a {Kind(kind).word} has no shape to take a box from", "give it: Labels.of(..., box=...)")
    one = check_shape(kind, shape)
    if kind == Kind.MASK:
        return rle_bounds(one)
    if kind == Kind.CUBOID:
        return np.zeros(4)
    if kind == Kind.ROTATED_BOX:
        points = rotated_corners(one)
    elif kind == Kind.KEYPOINTS:
        points = one[one[:, 2] > 0, :2]
    else:
        points = np.concatenate(one) if kind == Kind.POLYGON else one
    return np.concatenate([points.min(axis=0), points.max(axis=0)]) if len(points) else np.zeros(4)


def _boxes(box: npt.ArrayLike) -> Floats:
    return np.asarray(box, dtype=np.float64).reshape(-1, 4)


def _points(points: Any) -> Floats:
    p = np.asarray(points, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != 2 or not np.isfinite(p).all():
        raise StageError(f"points must be finite numbers of shape (k, 2), got shape {p.shape}")
    return p


def _check_points(kind: Kind, points: Any) -> Floats:
    try:
        array = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as e:
        raise StageError(f"the shape of a {kind.word} must be numbers, got {type(points).__name__}") from e
    width, fewest = _WIDTH[kind], _FEWEST.get(kind)
    if fewest is None and array.shape != (width,):
        raise StageError(f"the shape of a {kind.word} is ({width},), got {array.shape}")
    if fewest is not None and (array.ndim != 2 or array.shape[1] != width or len(array) < fewest):
        raise StageError(f"the shape of a {kind.word} is (k, {width}), k of {fewest} or more, got {array.shape}")
    if not np.isfinite(array).all():
        raise StageError(f"the shape of a {kind.word} must be finite numbers")
    if kind == Kind.KEYPOINTS and not np.isin(array[:, 2], (0, 1, 2)).all():
        raise StageError("the visibility of a keypoint is 0, 1 or 2")
    return array


def _check_rle(rle: Rle) -> None:
    """Raise StageError for what pycocotools could not read without leaving its memory."""
    size, counts = rle
    if len(size) not in (2, 3) or not all(isinstance(s, (int, np.integer)) and s >= 0 for s in size) or math.prod(size) > LARGEST:
        raise StageError(f"the size of a mask is (height, width) or (depth, height, width), up to {LARGEST} pixels; got {size}")
    if not counts or counts.translate(None, _COCO_ALPHABET) or (counts[-1] - 48) & 0x20:
        raise StageError("the runs of a mask are not COCO's run-length string")


def coco_rle(rle: Rle) -> dict[str, Any]:
    """Return a mask as pycocotools takes it; a volume as its lines, one below the other."""
    _check_rle(rle)
    *rest, width = rle.size
    if 0 in rle.size:
        return {"size": [1, 1], "counts": b"1"}
    return {"size": [*rest, width] if len(rest) == 1 else [width, math.prod(rest)], "counts": rle.counts}
