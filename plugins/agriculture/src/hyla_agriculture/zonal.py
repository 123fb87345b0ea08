"""Sum up pixels by field: statistics weighted by how much of a pixel a field covers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from exactextract.feature import Feature, FeatureSource
from exactextract.operation import prepare_operations
from exactextract.processor import FeatureSequentialProcessor
from exactextract.raster import RasterSource
from exactextract.writer import Writer

from hyla.errors import ConfigError
from hyla.types import Floats
from hyla_agriculture.scene import CLEAR, Fields, Scene, Window

Rings = tuple[Floats, ...]
Array = npt.NDArray[Any]
OPERATIONS = (
    *("mean", "count", "sum", "stdev", "variance", "median", "quantile(q=0.1)", "min", "max", "coefficient_of_variation"),
    *("mode", "minority", "variety"),
)
STRIP = 256  # rows whose fields are summed up at once, from which memory follows


def zonal(
    source: Array | Scene,
    fields: Fields | Sequence[Rings],
    ops: Sequence[str] = ("mean",),
    *,
    window: Window | None = None,
    bands: Sequence[str] | None = None,
    clear: bool = False,
) -> dict[str, Floats]:
    """Return statistics (n, bands) of the pixels of each field by operation, computed by exactextract.

    A pixel counts by the share of it that the field covers; NaN counts as no data. NaN where a field has no pixel, 0 for a count.
    Of a scene the reflectance is taken, a strip of rows at a time.

    Args:
        source: (bands, h, w), or (h, w) for one band, or a scene.
        fields: n fields, or their rings, in pixels of the scene.
        ops: names as exactextract has them: mean, count (covered pixels, fractions added up), sum, stdev, variance, min, max,
            median, quantile(q=0.1), mode, ...
        window: of the scene that an array holds; None where it begins at the first pixel.
        bands: of a scene; None for all.
        clear: leave out the pixels of a scene that are not CLEAR.

    Raises:
        ConfigError: for an operation that is unknown, or does not give one number.
        BadItem: for a part of a scene that can't be read.
    """
    shapes = fields.shapes if isinstance(fields, Fields) else tuple(fields)
    geometry = geometries(shapes, upwards=True)
    if not isinstance(source, Scene):
        array = source[None] if source.ndim == 2 else source
        return _sum_up(array, window or Window(0, array.shape[1], 0, array.shape[2]), geometry, ops)
    names = source.bands if bands is None else bands
    found = {op: np.full((len(geometry), len(names)), 0.0 if op == "count" else np.nan) for op in ops}
    for rows, part in _strips(geometry, source.shape[:2]):
        values = source.reflectance(part, names)
        if clear:
            values = np.where(source.quality(part) == CLEAR, values, np.float32(np.nan))
        for op, column in _sum_up(values, part, geometry[rows], ops).items():
            found[op][rows] = column
    return found


def polygon(rings: Rings | list[Floats]) -> Any:
    """Return the shapely geometry of rings under the even-odd rule."""
    if len(rings) == 1:
        only = shapely.Polygon(rings[0])
        return only if only.is_valid else shapely.make_valid(only)
    return reduce(shapely.symmetric_difference, [shapely.make_valid(shapely.Polygon(ring)) for ring in rings])


def geometries(shapes: Sequence[Rings], upwards: bool = False) -> Array:
    """Return the shapely geometries (n,) of fields; `upwards` with y counted upwards, as maps do."""
    found = np.empty(len(shapes), dtype=object)
    single = np.array([len(rings) == 1 and len(rings[0]) > 2 for rings in shapes], np.bool_)
    chosen = np.flatnonzero(single)
    if chosen.size:
        rings = [shapes[n][0] for n in chosen.tolist()]
        number = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
        found[chosen] = shapely.polygons(shapely.linearrings(np.concatenate(rings), indices=number))
        broken = chosen[~shapely.is_valid(found[chosen])]
        found[broken] = shapely.make_valid(found[broken])
    for n in np.flatnonzero(~single).tolist():
        found[n] = polygon(shapes[n])
    return shapely.transform(found, lambda points: points * (1, -1)) if upwards else found


def outline(geometry: Any) -> tuple[Floats, ...]:
    """Return the rings (k, 2), not closed, of a polygon or multipolygon, each shell before its holes; none of anything else."""
    return outlines([geometry])[0]


def outlines(geometry: Sequence[Any] | Array) -> list[tuple[Floats, ...]]:
    """Return the rings of each geometry (n,); see `outline`."""
    parts, owner = shapely.get_parts(geometry, return_index=True)
    solid = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    rings, part = shapely.get_rings(parts[solid], return_index=True)
    points = shapely.get_coordinates(rings)
    ends = np.cumsum(shapely.get_num_coordinates(rings))
    cut = [points[start : end - 1] for start, end in zip([0, *ends.tolist()], ends.tolist(), strict=False)]
    bounds = np.searchsorted(owner[solid][part], np.arange(len(geometry) + 1)).tolist()
    return [tuple(cut[first:last]) for first, last in pairwise(bounds)]


def _strips(geometry: Array, size: tuple[int, int]) -> Iterator[tuple[npt.NDArray[np.int64], Window]]:
    """Yield which fields begin in a strip of rows, and the window that holds all of them."""
    box = shapely.bounds(geometry) * (1, -1, 1, -1)  # x0, bottom, x1, top in rows
    far = np.array([size[1], size[0], size[1], size[0]])
    whole = np.clip(np.stack([np.floor(box[:, 0]), np.floor(box[:, 3]), np.ceil(box[:, 2]), np.ceil(box[:, 1])], axis=1), 0, far)
    known = np.flatnonzero((whole[:, 0] < whole[:, 2]) & (whole[:, 1] < whole[:, 3]))
    strip = (whole[known, 1] // STRIP).astype(np.int64)
    for one in np.unique(strip):
        rows = known[strip == one]
        x0, y0 = whole[rows, :2].min(axis=0).astype(int)
        x1, y1 = whole[rows, 2:].max(axis=0).astype(int)
        yield rows, Window(int(y0), int(y1), int(x0), int(x1))


def _sum_up(array: Array, window: Window, geometry: Array, ops: Sequence[str]) -> dict[str, Floats]:
    sources = [_Band(band, window, str(n)) for n, band in enumerate(array)]
    operations = []
    for op in ops:
        try:
            if op.partition("(")[0] not in (known.partition("(")[0] for known in OPERATIONS):
                raise ValueError(op)
            operations += [prepare_operations([op], [source], [])[0] for source in sources]
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"there is no statistic {op!r} of a field", choices=OPERATIONS) from error
        for n in range(len(sources)):
            operations[n - len(sources)].name = f"{op} {n}"
    shapes, writer = _Shapes(shapely.to_wkb(geometry)), _Table()
    processor = FeatureSequentialProcessor(shapes, writer, operations)  # it owns none of them: names keep them alive
    processor.process()
    rows = [[row.get(one.name) for one in operations] for row in writer.rows]
    table = np.array(rows, dtype=np.float64).reshape(len(geometry), len(ops), len(sources))
    return {op: table[:, n] for n, op in enumerate(ops)}


class _Band(RasterSource):  # type: ignore[misc]
    """Give exactextract an array, its rows counted downwards from 0 as negative heights."""

    def __init__(self, array: Array, window: Window, name: str) -> None:
        super().__init__()
        self.set_name(name)  # values are kept by name
        self.array, self.window = array, window

    def res(self) -> tuple[float, float]:
        return 1.0, 1.0

    def extent(self) -> tuple[float, float, float, float]:
        row0, row1, column0, column1 = self.window
        return float(column0), float(-row1), float(column1), float(-row0)

    def nodata_value(self) -> None:
        return None

    def srs_wkt(self) -> None:
        return None

    def read_window(self, x0: int, y0: int, nx: int, ny: int) -> Array:
        return self.array[y0 : y0 + ny, x0 : x0 + nx]


class _Shapes(FeatureSource):  # type: ignore[misc]
    """Give exactextract geometries."""

    def __init__(self, wkb: Array) -> None:
        super().__init__()
        self.wkb = wkb

    def count(self) -> int:
        return len(self.wkb)

    def __iter__(self) -> Iterator[_Shape]:
        for one in self.wkb:
            yield _Shape(one)

    def srs_wkt(self) -> None:
        return None


class _Shape(Feature):  # type: ignore[misc]
    def __init__(self, wkb: bytes) -> None:
        super().__init__()
        self.wkb = wkb

    def geometry(self) -> bytes:
        return self.wkb


class _Table(Writer):  # type: ignore[misc]
    """Collect what exactextract says of each geometry."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []

    def add_operation(self, operation: Any) -> None:
        pass

    def write(self, feature: Any) -> None:
        row = _Row()
        feature.copy_to(row)
        self.rows.append(row.values)


class _Row(Feature):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, Any] = {}

    def set(self, name: str, value: Any) -> None:
        self.values[name] = value

    def set_geometry(self, geometry: Any) -> None:
        pass

    def set_geometry_format(self) -> str:
        return "wkb"
