"""Class rasters as cloud-optimised GeoTIFF, in and out: the number of a class in each pixel, on the grid of the scene.

Written are, for each scene, `<id>.tif` (uint8 or uint16, tiled, with overviews, the colours of the schema as colour table, 0 for
no class) and, once, `classes.json`, {"labels": {class: number}}, and `images.jsonl`, which says what each file is of. What lies
on something else hides it: the smaller of two labels is on top, so a zone lies on its field. Instances, scores and attributes
have no place in such a file; `layer` writes an attribute in place of the class (`layer=ndvi`, float32).

Read are rasters of classes, these and those of other tools, on the grid of an item or a part of it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.draw import color_of
from hyla.errors import ConfigError, FormatError
from hyla.formats import Loss, allowed, inside, proved, writing
from hyla.formats.listing import NAME, line
from hyla.formats.listing import read as listed
from hyla.frame import MapFrame
from hyla.hooks import Format, hookimpl
from hyla.pictures import Pictures
from hyla.rules import number
from hyla.schema import KINDS, Schema
from hyla.types import Floats, Item, Kind, Labels, Record, item_id

AREAS = ("polygon", "mask", "box", "rotated_box")
BLOCK = 512  # px, side of a tile
OFF = 0.01  # of a pixel that a grid may be off
UNKNOWN = -9999.0  # where an attribute is not known
CARRIED = ("frame", "meta")


class Cog(Format):
    """Write what labels say of each pixel as a cloud-optimised GeoTIFF, and read rasters of classes.

    Args:
        layer: `class`, or a label attribute that is a number.
        classes: for reading: {number in the file: class of the schema, or null to leave it out}; by itself the numbers of
            classes.json beside the file, else of the schema, from 1.
        least_pixels: for reading: regions of fewer pixels are left out.
        unknown: for reading: `error` to refuse numbers that mean no class, `skip` to leave them out.
        schema: of the labels.
        pictures: where the items of the project lie, to find which one a file of another tool is of.

    Raises:
        ConfigError: for a layer that is no number in the schema.
    """

    name = "cog"

    def __init__(
        self,
        schema: Schema,
        layer: str = "class",
        classes: Mapping[Any, Any] | None = None,
        least_pixels: int = 1,
        unknown: str = "error",
        pictures: Pictures | None = None,
    ) -> None:
        numbers = [a.name for a in schema.attributes if a.scope == "label" and a.type in ("number", "integer")]
        if layer != "class" and layer not in numbers:
            raise ConfigError(f"layer={layer} is no number that labels have", choices=["class", *numbers])
        self.layer, self.classes, self.least, self.skip = layer, classes, least_pixels, proved(unknown)
        self.pictures = pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write a raster for each scene as the records come, and return what is lost: instances, above all."""
        loss = Loss()
        with writing(out / NAME) as listing:
            for one in records:
                labels = loss.take(one, AREAS, CARRIED)
                if not isinstance(one.frame, MapFrame) or len(one.size) != 2 or not any(one.size):
                    for kind in labels.kind:
                        loss.count(Kind(int(kind)).word.replace("_", " "))
                    continue
                for kind in labels.kind:
                    loss.count(f"{Kind(int(kind)).word.replace('_', ' ')} as region")
                file = f"{one.item.id}.tif"
                self._write(out / file, labels, one, schema)
                listing.write(line(one, file))
        with writing(out / "classes.json") as summary:
            numbers = {c.name: n for n, c in enumerate(schema.classes, 1)}
            summary.write(json.dumps({"labels": {"background": 0, **numbers}}, indent=1).encode() + b"\n")
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield a record for each raster of a file or a folder; raise FormatError for one on the grid of no item."""
        if path.is_dir() and (path / NAME).is_file():
            return self._own(path, schema)
        return self._foreign(path, schema)

    def _write(self, to: Path, labels: Labels, one: Record, schema: Schema) -> None:
        import rasterio
        from rasterio.shutil import copy
        from rasterio.transform import Affine

        assert isinstance(one.frame, MapFrame)
        size = (one.size[0], one.size[1])
        if self.layer == "class":
            kind, nothing = "uint8" if len(schema.classes) < 255 else "uint16", 0.0
            painted = paint(labels, labels.class_id + 1.0, size, kind, nothing)
        else:
            kind, nothing = "float32", UNKNOWN
            painted = paint(labels, number(labels, self.layer), size, kind, nothing)
        tiling = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate"}
        profile = {"driver": "GTiff", "dtype": kind, "count": 1, "height": size[0], "width": size[1], "nodata": nothing}
        where = {"crs": one.frame.crs or None, "transform": Affine(*one.frame.transform)}
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".cog-") as folder:
            plain, part = Path(folder) / "plain.tif", Path(folder) / to.name
            with rasterio.open(plain, "w", **profile, **where, **tiling) as raster:
                raster.write(painted, 1)
                raster.set_band_description(1, self.layer)
                if self.layer == "class":
                    raster.update_tags(**{f"CLASS_{n}": c.name for n, c in enumerate(schema.classes, 1)})
                if kind == "uint8":
                    raster.write_colormap(1, {n: (*color_of(schema, n - 1), 255) for n in range(1, len(schema.classes) + 1)})
            copy(plain, part, driver="COG", compress="deflate", blocksize=BLOCK, overview_resampling="nearest")
            part.replace(to)

    def _own(self, path: Path, schema: Schema) -> Iterator[Record]:
        for where, one, frame in listed(path / NAME):
            file = path / inside(one.file, where)
            size = (one.size[0], one.size[1])
            labels = self._labels(file, frame, size, schema, self._table(file, schema))
            yield Record(one.item, labels, size=size, frame=frame)

    def _foreign(self, path: Path, schema: Schema) -> Iterator[Record]:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix.lower() in (".tif", ".tiff"))
        if not files:
            raise FormatError(f"{path} holds no raster", "name a GeoTIFF, or a folder of them")
        known = [one for one in (self.pictures.known() if self.pictures else ()) if isinstance(one.frame, MapFrame)]
        for file in files:
            fits = [one for one in known if file.stem in (one.item.id, Path(one.item.uri).stem)] or known
            found = False
            for one in fits:
                size = (one.size[0], one.size[1])
                if _place(file, one.frame, size) is not None:
                    found = True
                    labels = self._labels(file, one.frame, size, schema, self._table(file, schema))
                    yield Record(one.item, labels, size=size, frame=one.frame)
            if not found and not known:
                yield self._alone(file, schema)
            elif not found:
                raise FormatError(f"{file} lies on the grid of no item of the project", "resample it to the grid of its scene")

    def _alone(self, file: Path, schema: Schema) -> Record:
        """Return the record of a raster of which no project is known: it is its own item."""
        frame, size = _grid(file)
        labels = self._labels(file, frame, size, schema, self._table(file, schema))
        return Record(Item(item_id(file.name), file.name, kind="scene"), labels, size=size, frame=frame)

    def _table(self, file: Path, schema: Schema) -> dict[int, int | None]:
        """Return what each number in `file` means: the place of a class in the schema, or None to leave it out."""
        beside = file.parent / "classes.json"
        names: dict[int, Any] = {n: c.name for n, c in enumerate(schema.classes, 1)}
        try:
            if self.classes is not None:
                names = {int(n): name for n, name in self.classes.items()}
            elif beside.is_file():
                names = {int(n): name for name, n in json.loads(beside.read_text(encoding="utf-8"))["labels"].items() if n}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise FormatError(f"{beside} can't be read: {error}", 'it says {"labels": {class: number}}') from error
        table: dict[int, int | None] = {}
        for n, name in names.items():
            if name is None or (self.skip and name not in schema.ids):
                table[n] = None
            elif name in schema.ids:
                table[n] = schema.ids[name]
            else:
                raise FormatError(f"{file}: the schema has no class {name!r}", "name it: classes={5: forest}", schema.names)
        return table

    def _labels(self, file: Path, frame: Any, size: tuple[int, int], schema: Schema, table: Mapping[int, int | None]) -> Labels:
        import rasterio

        from hyla_agriculture.polygons import polygons

        at = _place(file, frame, size)
        if at is None:
            raise FormatError(f"{file} lies on another grid than its scene", "resample it to the grid of its scene")
        with rasterio.open(file) as raster:
            if raster.count != 1 or np.dtype(raster.dtypes[0]).kind not in "iu":
                raise FormatError(
                    f"{file} is no raster of classes: {raster.count} bands of {raster.dtypes[0]}",
                    "give one band of whole numbers",
                )
            nodata = raster.nodata
            values = raster.read(1)
        there = np.unique(values).tolist()
        lost = [n for n in there if n and n != nodata and n not in table]
        if lost and not self.skip:
            raise FormatError(
                f"{file}: nothing says what {lost[0]} means", f"say it: classes={{{lost[0]}: forest}}, or unknown=skip"
            )
        meant = {n: table.get(n) for n in there if n and n != nodata}
        codes = sorted({c for c in meant.values() if c is not None})
        if len(codes) > 254:
            raise FormatError(f"{file} holds {len(codes)} classes", "254 at most can be read at once")
        packed = np.zeros(values.shape, np.uint8)
        for n, c in meant.items():
            if c is not None:
                packed[values == n] = codes.index(c) + 1
        found = polygons(packed, least_pixels=self.least, offset=at)
        return _as_allowed([(codes[value - 1], rings) for value, rings in found], schema, size)


def paint(labels: Labels, values: npt.NDArray[Any], size: tuple[int, int], dtype: str, nothing: float) -> npt.NDArray[Any]:
    """Return an array (h, w) with the value of the smallest label that covers the centre of each pixel.

    Args:
        labels: areas; other kinds are passed over.
        values: (n,); NaN leaves a label out.
        size: (height, width).
        dtype: of the array.
        nothing: where no label is.
    """
    from rasterio.features import rasterize

    out = np.full(size, nothing, dtype=dtype)
    shapes: list[tuple[Any, float]] = []
    areas = _areas(labels)
    for row in np.lexsort((np.arange(len(labels)), -areas)).tolist():
        if not np.isfinite(values[row]):
            continue
        kind, shape = Kind(int(labels.kind[row])), labels.shape[row]
        if kind == Kind.MASK:
            if shapes:
                rasterize(shapes, out=out)
                shapes = []
            out[geometry.decode(shape)] = values[row]
        else:
            shapes.append((_geometry(kind, shape, labels.box[row]), float(values[row])))
    if shapes:
        rasterize(shapes, out=out)
    return out


def _areas(labels: Labels) -> Floats:
    from hyla.formats.segments import areas

    return areas(labels)


def _geometry(kind: Kind, shape: Any, box: Floats) -> Any:
    """Return a polygon that fills by the even-odd rule."""
    import shapely

    if kind == Kind.POLYGON:
        rings: Sequence[Floats] = shape
        if len(rings) == 1:
            return shapely.Polygon(rings[0])
        whole = shapely.make_valid(shapely.Polygon(rings[0]))
        for ring in rings[1:]:
            whole = shapely.symmetric_difference(whole, shapely.make_valid(shapely.Polygon(ring)))
        return whole
    if kind == Kind.ROTATED_BOX:
        return shapely.Polygon(geometry.rotated_corners(shape))
    return shapely.box(*box)


def _grid(file: Path) -> tuple[MapFrame, tuple[int, int]]:
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(file) as raster:
            crs = raster.crs
            if crs is None:
                raise FormatError(f"{file} does not say where it lies", "give a raster with a CRS")
            code = crs.to_epsg()
            frame = MapFrame(tuple(raster.transform)[:6], f"EPSG:{code}" if code else crs.to_wkt())
            return frame, (int(raster.height), int(raster.width))
    except RasterioError as error:
        raise FormatError(f"{file} can't be read as a raster") from error


def _place(file: Path, frame: Any, size: tuple[int, int]) -> tuple[float, float] | None:
    """Return the column and row at which `file` begins in a scene, or None if it lies on another grid."""
    from rasterio.crs import CRS

    own, (height, width) = _grid(file)
    if CRS.from_user_input(own.crs) != CRS.from_user_input(frame.crs):
        return None
    corners = frame.to_pixels(own.to_world([[0, 0], [width, height]]))
    column, row = np.rint(corners[0])
    fits = np.abs(corners - [[column, row], [column + width, row + height]]).max() <= OFF
    inside_ = column >= 0 and row >= 0 and column + width <= size[1] and row + height <= size[0]
    return (float(column), float(row)) if fits and inside_ else None


def _as_allowed(found: list[tuple[int, tuple[Floats, ...]]], schema: Schema, size: tuple[int, int]) -> Labels:
    """Return regions as polygons, or as masks where a class allows no polygon."""
    kinds = [KINDS[allowed(schema, c, "polygon", "mask")] for c, _ in found]
    shapes = [
        rings if kind == Kind.POLYGON else geometry.encode(geometry.rasterize(rings, size))
        for kind, (_, rings) in zip(kinds, found, strict=True)
    ]
    return Labels.of([c for c, _ in found], kind=np.array(kinds, np.uint8), shape=shapes)
