"""The nouns of a run: Item, Image, Labels, Flag, Verdict, Record.

Geometry is in pixels: x to the right, y down, origin at the top-left corner of the image, so that the first pixel spans
0 to 1 and its centre is (0.5, 0.5). Boxes are x0, y0, x1, y1 with exclusive far edges: width is x1 - x0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple, Self, cast

import numpy as np
import numpy.typing as npt

from hyla.errors import StageError
from hyla.frame import Frame

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]
NO_TRACK = -1

# Arrays of Labels: shape after the first axis, and the kinds of dtype that may stand in.
_FIELDS = {
    "class_id": ((), "iu"),
    "score": ((), "fiu"),
    "box": ((4,), "fiu"),
    "kind": ((), "iu"),
    "shape": ((), "O"),
    "track": ((), "iu"),
}
_WORDS = {"i": "whole numbers", "f": "numbers", "O": "objects"}


class Kind(IntEnum):
    """Tell what a label's `shape` holds.

    TAG and BOX: None.  ROTATED_BOX: (5,) centre x, centre y, width, height, angle in radians, clockwise as seen (y is down).
    POLYGON: tuple of rings (k, 2), filled by the even-odd rule, so that a ring inside a ring is a hole.  POLYLINE: (k, 2).
    KEYPOINTS: (k, 3) x, y, visibility (0 absent, 1 hidden, 2 visible, as COCO).  MASK: Rle.  CUBOID: (10,) centre x, y, z,
    rotation qx, qy, qz, qw, and length along x, y, z of its own axes, in metres of the sensor (as OpenLABEL).
    """

    TAG = 0
    BOX = 1
    ROTATED_BOX = 2
    POLYGON = 3
    POLYLINE = 4
    KEYPOINTS = 5
    MASK = 6
    CUBOID = 7

    @property
    def word(self) -> str:
        """Return the name used in YAML and JSON: `rotated_box`."""
        return self.name.lower()


class Rle(NamedTuple):
    """Hold a binary mask as run lengths; see `hyla.geometry` for encode and decode.

    Args:
        size: (height, width), or (depth, height, width) of a volume.
        counts: COCO's compressed string, column by column in a picture; in a volume, along x, then y, then slices.
    """

    size: tuple[int, ...]
    counts: bytes


class Click(NamedTuple):
    """Hold where a person clicked to have an object outlined.

    Args:
        x, y: in pixels.
        z: index of the slice; 0 in a picture.
        inside: True for a point of the object, False for one that is not.
    """

    x: float
    y: float
    z: int
    inside: bool


class Verdict(StrEnum):
    """Say what happens to an item or a label: take it as it is, show it to a person, or drop it."""

    ACCEPT = "accept"
    REVIEW = "review"
    REJECT = "reject"


class Severity(StrEnum):
    """Say what a flag asks for, from least to most.

    NOTE: nothing, it is kept and shown. REVIEW: a person, unless the lot's risk says otherwise. HUMAN: a person, always.
    SECOND: a person and a second reader. REJECT: drop the rows.
    """

    NOTE = "note"
    REVIEW = "review"
    HUMAN = "human"
    SECOND = "second"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Item:
    """Name one picture to label: a photo, a frame, a tile, a series.

    Args:
        id: unique in the source and the same on every machine; see `item_id`.
        uri: where the bytes are: a path relative to the source (with /), or a URL.
        group: what ties ordered items together (a clip); empty for an item that stands alone.
        index: position in the group, from 0.
        kind: the loader's word for it: image, video_frame, tile, series.
        meta: JSON-able facts known before loading.
    """

    id: str
    uri: str
    group: str = ""
    index: int = 0
    kind: str = "image"
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Image:
    """Hold what a loader read.

    Args:
        pixels: (H, W, C), C = 1 grey, 3 RGB or the bands of a raster; or (D, H, W) for a volume when `volume` is set. A picture
            too large to hold is a `hyla.lazy.LazyPixels`, which is indexed alike.
        item: what it is a picture of.
        frame: what maps its pixels to the world.
        context: JSON-able facts about the image as a whole (weather, scanner) which become attributes of the image and strata.
        volume: True for (D, H, W).
    """

    pixels: npt.NDArray[Any]
    item: Item
    frame: Frame = field(default_factory=Frame)
    context: Mapping[str, Any] = field(default_factory=dict)
    volume: bool = False

    @property
    def size(self) -> tuple[int, ...]:
        """Return (height, width) of a picture or (depth, height, width) of a volume."""
        return tuple(self.pixels.shape) if self.volume else tuple(self.pixels.shape[:2])


@dataclass(eq=False, slots=True)
class Labels:
    """Hold the labels of one image as parallel arrays of length n.

    Args:
        class_id: (n,) index into the classes of the schema.
        score: (n,) from 0 to 1; 1 for what a person said.
        box: (n, 4) x0, y0, x1, y1 in pixels: the label itself, or the bounds of its shape; the whole image for a tag.
        kind: (n,) of Kind.
        shape: (n,) geometry beyond the box; see Kind.
        track: (n,) identity within the item's group, or -1.
        attributes: name -> (n,) values; numbers as float64 with NaN for unknown, everything else as objects with None.
        context: name -> value, of the image as a whole.
        evidence: name -> (n,) float64, what the model knew besides the score (margin, entropy); no part of the label.

    Raises:
        StageError: when an array does not have the shape it must have.
    """

    class_id: Ints
    score: Floats
    box: Floats
    kind: npt.NDArray[np.uint8]
    shape: Objects
    track: Ints
    attributes: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.class_id)
        for name, (shape, kinds) in _FIELDS.items():
            _check(name, getattr(self, name), (n, *shape), kinds)
        for name, column in self.attributes.items():
            _check(f"attributes[{name!r}]", column, (n,))
        for name, column in self.evidence.items():
            _check(f"evidence[{name!r}]", column, (n,), "fiu")

    @classmethod
    def empty(cls, context: Mapping[str, Any] | None = None) -> Self:
        """Return no labels at all, for an image in which there is nothing."""
        return cls.of([], context=context)

    @classmethod
    def of(
        cls,
        class_id: npt.ArrayLike,
        box: npt.ArrayLike | None = None,
        *,
        score: npt.ArrayLike | None = None,
        kind: Kind | npt.ArrayLike = Kind.BOX,
        shape: Sequence[Any] | None = None,
        track: npt.ArrayLike | None = None,
        attributes: Mapping[str, npt.ArrayLike | Sequence[Any]] | None = None,
        context: Mapping[str, Any] | None = None,
        evidence: Mapping[str, npt.ArrayLike] | None = None,
    ) -> Self:
        """Build labels from anything array-like, filling in what is not given.

        A box that is not given is the bounds of the shape. Scores default to 1, tracks to none.
        """
        ids = np.asarray(class_id, dtype=np.int64).reshape(-1)
        n = len(ids)
        kinds = np.full(n, kind, np.uint8) if isinstance(kind, int) else np.asarray(kind, dtype=np.uint8)
        shapes = np.empty(n, dtype=object)
        if shape is not None:
            if len(shape) != n:
                raise StageError(f"Labels.shape must have {n} entries, got {len(shape)}")
            for i, one in enumerate(shape):
                shapes[i] = one
        if box is None:
            from hyla.geometry import bounds

            boxes = bounds(kinds, shapes)
        else:
            boxes = np.asarray(box, dtype=np.float64).reshape(-1, 4)
        return cls(
            class_id=ids,
            score=np.ones(n) if score is None else np.asarray(score, dtype=np.float64).reshape(-1),
            box=boxes,
            kind=kinds,
            shape=shapes,
            track=np.full(n, NO_TRACK, np.int64) if track is None else np.asarray(track, dtype=np.int64).reshape(-1),
            attributes={name: column_of(values) for name, values in (attributes or {}).items()},
            context=dict(context or {}),
            evidence={name: np.asarray(v, dtype=np.float64) for name, v in (evidence or {}).items()},
        )

    def __len__(self) -> int:
        return len(self.class_id)

    def __getitem__(self, rows: Any) -> Labels:
        """Return the labels of `rows`: a boolean mask, indices or a slice. The context stays."""
        rows = np.atleast_1d(rows) if isinstance(rows, (int, np.integer)) else rows
        return Labels(
            self.class_id[rows],
            self.score[rows],
            self.box[rows],
            self.kind[rows],
            self.shape[rows],
            self.track[rows],
            {name: column[rows] for name, column in self.attributes.items()},
            dict(self.context),
            {name: column[rows] for name, column in self.evidence.items()},
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Labels) or len(self) != len(other):
            return NotImplemented if not isinstance(other, Labels) else False
        return (
            all(np.array_equal(getattr(self, name), getattr(other, name)) for name in ("class_id", "score", "kind", "track"))
            and np.array_equal(self.box, other.box, equal_nan=True)
            and all(same_shape(a, b) for a, b in zip(self.shape, other.shape, strict=True))
            and _same_columns(self.attributes, other.attributes)
            and _same_columns(self.evidence, other.evidence)
            and self.context == other.context
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def width(self) -> Floats:
        """Return the widths (n,) of the boxes, in pixels."""
        return np.asarray(self.box[:, 2] - self.box[:, 0])

    @property
    def height(self) -> Floats:
        """Return the heights (n,) of the boxes, in pixels."""
        return np.asarray(self.box[:, 3] - self.box[:, 1])

    @staticmethod
    def concat(parts: Iterable[Labels]) -> Labels:
        """Join labels of one image; an attribute that a part lacks is unknown there, a later context wins."""
        parts = list(parts)
        if not parts:
            return Labels.empty()
        context = {k: v for part in parts for k, v in part.context.items()}
        return Labels(
            np.concatenate([p.class_id for p in parts]),
            np.concatenate([p.score for p in parts]),
            np.concatenate([p.box for p in parts]),
            np.concatenate([p.kind for p in parts]),
            np.concatenate([p.shape for p in parts]),
            np.concatenate([p.track for p in parts]),
            _join([p.attributes for p in parts], [len(p) for p in parts]),
            context,
            _join([p.evidence for p in parts], [len(p) for p in parts]),
        )


@dataclass(frozen=True, slots=True)
class Flag:
    """Say that a rule found something.

    Args:
        rule: name of the rule in the config.
        reason: code of what it found, in snake_case; stored, counted and shown.
        severity: what it asks for.
        rows: the labels it is about; empty for the item as a whole.
        message: one sentence for the reviewer, with the value and the threshold.
    """

    rule: str
    reason: str
    severity: Severity = Severity.REVIEW
    rows: tuple[int, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """Hold all that is known of one item from one source.

    Args:
        item: what was labelled.
        labels: what was said.
        flags: what the rules found.
        verdict: what is to happen to the item.
        source: `model:name@sha256` or `human:who` or `truth:name`.
        size: (height, width) or (depth, height, width) in pixels.
        frame: what maps its pixels to the world.
    """

    item: Item
    labels: Labels
    flags: tuple[Flag, ...] = ()
    verdict: Verdict = Verdict.REVIEW
    source: str = ""
    size: tuple[int, ...] = (0, 0)
    frame: Frame = field(default_factory=Frame)


def item_id(uri: str, index: int | None = None) -> str:
    """Return a stable id: the uri relative to the source, made safe for file names, with a hash against clashes.

    The readable part is for people; the hash of uri and index makes the id unique.
    """
    from hashlib import sha256

    name = uri if index is None else f"{uri}#{index}"
    stem = uri.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in stem)[:48]
    number = "" if index is None else f"-{index:06d}"
    return f"{safe}{number}-{sha256(name.encode()).hexdigest()[:12]}"


def column_of(values: npt.ArrayLike | Sequence[Any]) -> npt.NDArray[Any]:
    """Return an attribute column: float64 if every value is a number or None (NaN then), else objects."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        return values.astype(np.float64)
    listed = [v.item() if isinstance(v, np.generic) else v for v in cast("Sequence[Any]", values)]
    listed = [None if isinstance(v, float) and v != v else v for v in listed]
    if all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in listed):
        return np.array([np.nan if v is None else v for v in listed], dtype=np.float64)
    column = np.empty(len(listed), dtype=object)
    column[:] = listed
    return column


def same_shape(a: Any, b: Any) -> bool:
    """Tell whether two entries of `Labels.shape` are equal."""
    if a is None or b is None or isinstance(a, Rle) or isinstance(b, Rle):
        return bool(type(a) is type(b) and a == b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and np.array_equal(a, b)


def _check(name: str, value: Any, shape: tuple[int, ...], kinds: str = "OfiubU") -> None:
    got = getattr(value, "shape", None)
    if got != shape:
        raise StageError(f"Labels.{name} must be an array of shape {shape}, got {type(value).__name__} of shape {got}")
    if value.dtype.kind not in kinds:
        raise StageError(f"Labels.{name} must hold {_WORDS[kinds[0]]}, got {value.dtype}")


def _same_columns(a: Mapping[str, npt.NDArray[Any]], b: Mapping[str, npt.NDArray[Any]]) -> bool:
    # A column in which nothing is known says as much as none at all.
    return all(_known(a.get(k)) == _known(b.get(k)) for k in a.keys() | b.keys())


def _known(column: npt.NDArray[Any] | None) -> dict[int, Any]:
    return {} if column is None else {i: v for i, v in enumerate(column.tolist()) if v is not None and v == v}


def _join(parts: Sequence[Mapping[str, npt.NDArray[Any]]], lengths: Sequence[int]) -> dict[str, npt.NDArray[Any]]:
    joined: dict[str, npt.NDArray[Any]] = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        whole = np.concatenate([p.get(name, np.full(n, np.nan)) for p, n in zip(parts, lengths, strict=True)])
        joined[name] = column_of(whole) if whole.dtype == object else whole
    return joined
