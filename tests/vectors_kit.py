"""Records of scenes on the map, and what comes back of them, for the tests of the vector formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import shapely
from hypothesis import strategies as st

from hyla import geometry
from hyla.frame import Frame, MapFrame
from hyla.schema import Schema
from hyla.types import Flag, Item, Kind, Labels, Record, item_id
from hyla_agriculture.outlines import even_odd

SCHEMA = Schema.from_config(
    {
        "name": "fields",
        "kinds": ["polygon", "mask", "box", "rotated_box", "keypoints", "polyline", "tag"],
        "classes": {
            "field": {"color": "#1a9641"},
            "stressed": {"parent": "field"},
            "zone": {"abstract": True},
            "stress_zone": {"parent": "zone"},
            "maize": {"codes": {"eppo": "ZEAMX"}},
            "water": {"codes": {"worldcover": "80"}},
        },
        "attributes": {
            "field": {},
            "ndvi": {"type": "number"},
            "bbch": {"type": "integer", "minimum": 0, "maximum": 99},
            "irrigated": {"type": "boolean"},
            "method": {"type": "choice", "choices": ["automated", "manual"]},
            "area_ha": {"type": "number"},
            "FID": {"type": "text"},
            "date": {"scope": "image"},
            "cloud_share": {"type": "number", "scope": "image"},
        },
    }
)
SIZE = (100, 120)
UTM = MapFrame((10, 0, 500000, 0, -10, 5700000), "EPSG:32633")
SINUSOIDAL = (
    'PROJCS["MODIS Sinusoidal",GEOGCS["sphere",DATUM["sphere",SPHEROID["sphere",6371007.181,0]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]],PROJECTION["Sinusoidal"],PARAMETER["longitude_of_center",0],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
)
FRAMES = {
    "utm": UTM,
    "utm south": MapFrame((0.5, 0, 300000, 0, -0.5, 8100000), "EPSG:32721"),
    "degrees": MapFrame((1e-4, 0, 12.3, 0, -1e-4, 51.4), "EPSG:4326"),
    "sinusoidal": MapFrame((231.656, 0, -6100000, 0, -231.656, -1290000), SINUSOIDAL),
    "web": MapFrame((2.4, 0.1, 1100000, 0.1, -2.4, 6700000), "EPSG:3857"),
}
HOLED = (np.array([[10, 10], [20.5, 10], [20, 20], [10, 20.0]]), np.array([[12, 12], [12, 14], [14, 14.0]]))


def labels(**given) -> Labels:
    """Return a label of each kind, a tag last, with attributes of each type."""
    mask = np.zeros(SIZE, bool)
    mask[10:20, 5:9] = True
    mask[12:14, 6:8] = False
    mask[20:22, 9:11] = True
    kinds = [Kind.POLYGON, Kind.MASK, Kind.BOX, Kind.KEYPOINTS, Kind.ROTATED_BOX, Kind.POLYLINE, Kind.TAG]
    shapes = [HOLED, geometry.encode(mask), None, np.array([[50.5, 50.25, 2]]), np.array([60, 60, 20, 10, 0.3])]
    shapes += [np.array([[3, 4], [10, 12], [20, 30.0]]), None]
    boxes = {2: [1, 2, 30, 40], 6: [0, 0, SIZE[1], SIZE[0]]}
    bounds = [boxes[n] if shape is None else geometry.bounds([kinds[n]], [shape])[0] for n, shape in enumerate(shapes)]
    return Labels.of(
        [0, 1, 5, 4, 0, 5, 0],
        np.array(bounds, dtype=float),
        kind=np.array(kinds),
        shape=shapes,
        score=[0.5, 1, 0.25, 1, 1, 0.125, 1],
        attributes={
            "field": ["Ährenfeld 1", None, "x'y\"z", "", "日本", None, None],
            "ndvi": [0.5, None, -0.25, None, 1e-9, 3, None],
            "bbch": [12, None, 0, 99, None, 1, None],
            "irrigated": [True, None, False, None, None, None, None],
            "method": ["manual", None, None, "automated", None, None, None],
            "area_ha": [1.25, None, None, None, None, None, None],
            "FID": ["a", None, None, None, None, None, None],
        },
        context={"date": "2024-06-01", "cloud_share": 0.125},
        **given,
    )


def record(index: int = 0, frame: Frame = UTM, of: Labels | None = None, date: str = "2024-06-01", **given) -> Record:
    """Return a record of one scene of a series."""
    uri = "scenes/leipzig.vrt"
    item = Item(item_id(uri, index), uri, "leipzig", index, "scene", {"date": date, "level": "L2A"})
    made = {"source": "model:zones@abc", "size": SIZE, "frame": frame, **given}
    return Record(item, labels() if of is None else of, **made)


def flagged(**given) -> Record:
    """Return a record with a flag on its first label, and one on the item."""
    return record(flags=(Flag("clouds", "cloudy", rows=(0,)), Flag("season", "late")), **given)


@dataclass
class Known:
    """Stand for the project that a format is asked to read for: what it holds of each item."""

    records: list[Record]
    machine: dict[str, Record] = field(default_factory=dict)

    def known(self) -> Iterator[Record]:
        return iter(self.records)

    def proposed(self, item: Item) -> Record | None:
        return self.machine.get(item.id)


def area(kind: int, shape, box) -> shapely.Geometry:
    """Return a label as geometry in pixels, made otherwise than the plugin does for all but polygons."""
    match kind:
        case Kind.POLYGON:
            return even_odd(shape)
        case Kind.MASK:
            return even_odd(geometry.polygons_of(geometry.decode(shape)))
        case Kind.ROTATED_BOX:
            return shapely.Polygon(geometry.rotated_corners(shape))
        case Kind.BOX:
            return shapely.box(*box)
        case Kind.KEYPOINTS:
            return shapely.MultiPoint(shape[:, :2])
    return shapely.LineString(shape)


def same(wrote: Labels, read: Labels, tolerance: float = 1e-6) -> None:
    """Prove that two sets of labels are the same, geometry to `tolerance` pixels."""
    assert read.class_id.tolist() == wrote.class_id.tolist()
    assert read.kind.tolist() == wrote.kind.tolist()
    assert read.track.tolist() == wrote.track.tolist()
    np.testing.assert_array_equal(read.score, wrote.score)
    for row, (kind, a, b, box) in enumerate(zip(wrote.kind.tolist(), wrote.shape, read.shape, wrote.box, strict=True)):
        assert (a is None) == (b is None)
        first, second = area(kind, a, box), area(kind, b, read.box[row])
        if kind == Kind.MASK:
            assert b == a
        elif kind in (Kind.KEYPOINTS, Kind.POLYLINE):
            assert shapely.hausdorff_distance(first, second) <= 2 * tolerance
        else:
            assert shapely.symmetric_difference(first, second).area <= 2 * tolerance * first.length
        # Rings that cross each other can leave slivers, of next to no area, which come and go with the last digit.
        sound = kind != Kind.POLYGON or shapely.Polygon(a[0], a[1:]).is_valid
        np.testing.assert_allclose(read.box[row], (first if sound else second).bounds, rtol=0, atol=tolerance)
    for name in wrote.attributes.keys() | read.attributes.keys():
        blank = [None] * len(wrote)
        a, b = (one.attributes[name].tolist() if name in one.attributes else blank for one in (wrote, read))
        assert [None if v is None or v != v else v for v in a] == [None if v is None or v != v else v for v in b], name
    assert read.context == wrote.context


def placed(one: Labels) -> Labels:
    """Return the labels that a map can hold."""
    return one[one.kind != Kind.TAG]


# For hypothesis.

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
corners = st.tuples(st.integers(0, 4 * SIZE[1]), st.integers(0, 4 * SIZE[0]))  # in quarters of a pixel


@st.composite
def rings(draw) -> tuple[np.ndarray, ...]:
    """Return a polygon: most often a star with a hole or two, else points in any order, whose ring crosses itself."""
    if draw(st.booleans()):
        x, y = draw(st.tuples(st.floats(20, 100), st.floats(20, 80)))
        radii = draw(st.lists(st.floats(4, 18), min_size=3, max_size=12))
        out = [_star(x, y, np.array(radii))]
        if draw(st.booleans()):
            out.append(_star(x, y, np.full(draw(st.integers(3, 6)), min(radii) / 4))[::-1])
        return tuple(out)
    return tuple(np.array(draw(st.lists(corners, min_size=3, max_size=7))) / 4 for _ in range(draw(st.integers(1, 3))))


@st.composite
def polygons(draw) -> Labels:
    """Return polygons of any shape with any attributes; what fills nothing, or next to nothing, is left out."""
    shapes = [one for one in draw(st.lists(rings(), max_size=5)) if (found := even_odd(one)) is not None and found.area > 1e-3]
    n = len(shapes)

    def column(values):
        return draw(st.lists(st.none() | values, min_size=n, max_size=n))

    return Labels.of(
        draw(st.lists(st.sampled_from([0, 1, 3, 4, 5]), min_size=n, max_size=n)),
        kind=np.full(n, Kind.POLYGON, np.uint8),
        shape=shapes,
        score=draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)),
        attributes={
            "field": column(words),
            "ndvi": column(st.floats(-1e6, 1e6)),
            "bbch": column(st.integers(0, 99)),
            "irrigated": column(st.booleans()),
            "method": column(st.sampled_from(["automated", "manual"])),
        },
    )


def _star(x: float, y: float, radii: np.ndarray) -> np.ndarray:
    turn = 2 * np.pi * np.arange(len(radii)) / len(radii)
    return np.stack([x + radii * np.cos(turn), y + radii * np.sin(turn)], axis=1)
