"""Hypothesis strategies for valid schemas, labels and records, over every kind of geometry.

Importing this module loads the profile `hyla`: the same examples on every machine, and no deadline.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from hyla import geometry
from hyla.frame import Frame, MapFrame, Matrix4, PatientFrame, VideoFrame
from hyla.schema import KINDS, Attribute, Class, Schema
from hyla.types import NO_TRACK, Flag, Item, Kind, Labels, Record, Severity, Verdict, column_of

settings.register_profile("hyla", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("hyla")

WORDS = st.text("abcdefghijklmnopqrstuvwxyzßäé中 _-/0123456789", min_size=1, max_size=12)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def reals(low: float = -1e4, high: float = 1e4) -> st.SearchStrategy[float]:
    """Return finite numbers."""
    return st.floats(low, high, allow_nan=False)


@st.composite
def schemas(draw: st.DrawFn, kinds: tuple[str, ...] | None = None) -> Schema:
    """Return schemas with a class hierarchy, outside codes and attributes of every type and scope, of `kinds` if given."""
    words = kinds or tuple(draw(st.lists(st.sampled_from([*KINDS, "track"]), min_size=1, unique=True)))
    names = draw(st.lists(WORDS, min_size=1, max_size=4, unique=True))
    classes = tuple(
        Class(
            name,
            parent=draw(st.sampled_from(["", *names[:i]])),
            codes=draw(st.dictionaries(st.sampled_from(["coco", "kitti"]), WORDS)),
            kinds=tuple(draw(st.lists(st.sampled_from(words), unique=True))),
            color=draw(st.sampled_from(["", "#00ff7f"])),
            abstract=i > 0 and draw(st.booleans()),
        )
        for i, name in enumerate(names)
    )
    columns = draw(st.lists(WORDS, max_size=4, unique=True))
    return Schema(
        draw(WORDS), classes, words, tuple(draw(attributes(name)) for name in columns), draw(st.sampled_from(["1", "2.0"]))
    )


@st.composite
def attributes(draw: st.DrawFn, name: str) -> Attribute:
    """Return attributes called `name`, of every type and scope."""
    kind, scope = (
        draw(st.sampled_from(["boolean", "integer", "number", "text", "choice"])),
        draw(st.sampled_from(["label", "image"])),
    )
    if kind == "choice":
        return Attribute(name, kind, scope, tuple(draw(st.lists(WORDS, min_size=1, max_size=3, unique=True))))
    if kind in ("integer", "number") and draw(st.booleans()):
        return Attribute(name, kind, scope, unit="mm", minimum=-5, maximum=float(draw(st.integers(0, 9))))
    return Attribute(name, kind, scope)


def values(attribute: Attribute) -> st.SearchStrategy[Any]:
    """Return values of an attribute, unknown ones included."""
    low = -1e6 if attribute.minimum is None else attribute.minimum
    high = 1e6 if attribute.maximum is None else attribute.maximum
    known: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "integer": st.integers(int(low), int(high)),
        "number": reals(low, high),
        "text": TEXTS,
        "choice": st.sampled_from(attribute.choices or ("",)),
    }
    return st.none() | known[attribute.type]


@st.composite
def masks(draw: st.DrawFn, size: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return masks or volumes of `size`: single pixels, blocks, stripes and anything between."""
    return draw(nps.arrays(np.bool_, size, fill=st.booleans()))


def shapes(kind: Kind, size: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Return entries of `Labels.shape` for a kind, in a picture or volume of `size`."""
    height, width = size[-2:]
    x, y = reals(0, width), reals(0, height)
    point = st.tuples(x, y)

    def line(fewest: int) -> st.SearchStrategy[Any]:
        return st.lists(point, min_size=fewest, max_size=5).map(lambda p: np.array(p, dtype=np.float64))

    keypoint = st.tuples(x, y, st.sampled_from([0.0, 1.0, 2.0]))
    return {
        Kind.TAG: st.none(),
        Kind.BOX: st.none(),
        Kind.ROTATED_BOX: st.tuples(x, y, reals(0, 9), reals(0, 9), reals(-4, 4)).map(np.array),
        Kind.POLYGON: st.lists(line(3), min_size=1, max_size=3).map(tuple),
        Kind.POLYLINE: line(2),
        Kind.KEYPOINTS: st.lists(keypoint, min_size=1, max_size=4).map(np.array),
        Kind.MASK: masks(size).map(geometry.encode),
        Kind.CUBOID: st.lists(reals(), min_size=10, max_size=10).map(np.array),
    }[kind]


@st.composite
def boxes(draw: st.DrawFn, size: tuple[int, ...]) -> list[float]:
    """Return boxes (4,) inside a picture of `size`."""
    (x0, x1), (y0, y1) = (sorted(draw(st.tuples(reals(0, s), reals(0, s)))) for s in (size[-1], size[-2]))
    return [x0, y0, x1, y1]


def sizes(depth: bool | None = None) -> st.SearchStrategy[tuple[int, ...]]:
    """Return small (height, width) or (depth, height, width); only one of the two if `depth` says which."""
    flat, deep = st.tuples(st.integers(1, 9), st.integers(1, 9)), st.tuples(*[st.integers(1, 5)] * 3)
    return flat | deep if depth is None else deep if depth else flat


@st.composite
def labels(draw: st.DrawFn, schema: Schema, size: tuple[int, ...] = (9, 12), most: int = 4) -> Labels:
    """Return labels that fit `schema` inside a picture or volume of `size`."""
    allowed = [
        (i, KINDS[word])
        for i, one in enumerate(schema.classes)
        for word in one.kinds or schema.kinds
        if word in KINDS and not one.abstract
    ]
    rows = draw(st.lists(st.sampled_from(allowed), max_size=most)) if allowed else []
    n = len(rows)
    track = st.just(NO_TRACK) | st.integers(0, 2**40) if "track" in schema.kinds else st.just(NO_TRACK)
    return Labels.of(
        [i for i, _ in rows],
        [draw(boxes(size)) for _ in rows],
        score=[draw(reals(0, 1)) for _ in rows],
        kind=np.array([kind for _, kind in rows], dtype=np.uint8),
        shape=[draw(shapes(kind, size)) for _, kind in rows],
        track=[draw(track) for _ in rows],
        attributes={
            name: column_of([draw(values(one)) for _ in rows])
            for name, one in schema.attributes_of("label").items()
            if draw(st.booleans())
        },
        context={name: draw(values(one)) for name, one in schema.attributes_of("image").items() if draw(st.booleans())},
        evidence={
            name: draw(nps.arrays(np.float64, n, elements=st.floats(allow_infinity=False)))
            for name in draw(st.sets(st.sampled_from(["margin", "entropy"])))
        },
    )


def items() -> st.SearchStrategy[Item]:
    """Return items: photos and frames of a clip."""
    return st.builds(
        Item,
        id=WORDS,
        uri=TEXTS,
        group=st.sampled_from(["", "clip/1"]),
        index=st.integers(0, 10**6),
        kind=st.sampled_from(["image", "video_frame", "tile", "series"]),
        meta=st.dictionaries(TEXTS, JSON, max_size=2),
    )


def frames() -> st.SearchStrategy[Frame]:
    """Return frames of every kind; their maps can be inverted."""
    row = st.tuples(*[reals()] * 3)
    video = st.builds(
        VideoFrame,
        seconds=reals(0, 1e5),
        index=st.integers(0, 10**6),
        pts=st.integers(0, 2**50),
        time_base=st.tuples(st.integers(1, 9), st.integers(1, 90000)),
        intrinsics=st.none() | st.tuples(row, row, row),
    )
    plane = st.builds(MapFrame, transform=planes(), crs=st.sampled_from(["", "EPSG:32633"]))
    return st.just(Frame()) | video | st.builds(PatientFrame, affine=affines(), reference=WORDS) | plane


@st.composite
def affines(draw: st.DrawFn) -> Matrix4:
    """Return 4 x 4 matrices of a turn about two axes, voxels of 0.1 to 10 mm and any origin."""
    a, b = draw(reals(-4, 4)), draw(reals(-4, 4))
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turned = about_z @ about_x * [draw(reals(0.1, 10)) for _ in range(3)]
    rows = [(*turned[i].tolist(), draw(reals())) for i in range(3)]
    return (*rows, (0.0, 0.0, 0.0, 1.0))


@st.composite
def planes(draw: st.DrawFn) -> tuple[float, float, float, float, float, float]:
    """Return transforms of a map: pixels of 0.1 to 10 units, turned, north up or down, anywhere."""
    a, pixel, up = draw(reals(-4, 4)), draw(reals(0.1, 10)), draw(st.sampled_from([-1, 1]))
    cos, sin = pixel * float(np.cos(a)), pixel * float(np.sin(a))
    return (cos, -sin * up, draw(reals(-1e6, 1e6)), sin, cos * up, draw(reals(-1e6, 1e6)))


def flags(n: int) -> st.SearchStrategy[Flag]:
    """Return flags about `n` labels."""
    rows = st.lists(st.integers(0, n - 1), max_size=3).map(tuple) if n else st.just(())
    return st.builds(Flag, rule=WORDS, reason=WORDS, severity=st.sampled_from(Severity), rows=rows, message=TEXTS)


@st.composite
def records(draw: st.DrawFn, schema: Schema, depth: bool | None = None) -> Record:
    """Return records whose labels fit `schema`."""
    size = draw(sizes(depth))
    one = draw(labels(schema, size))
    return Record(
        draw(items()),
        one,
        tuple(draw(st.lists(flags(len(one)), max_size=2))),
        draw(st.sampled_from(Verdict)),
        draw(st.sampled_from(["", "model:yolo@0f", "human:ann", "truth:kitti"])),
        size,
        draw(frames()),
    )
