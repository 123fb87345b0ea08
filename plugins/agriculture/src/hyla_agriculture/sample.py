"""Make a sample that needs no data: farmland in six bands at four dates, with parcels, a drought, pests, clouds and truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hyla.codec import record_to_dict
from hyla.errors import ConfigError
from hyla.frame import MapFrame
from hyla.schema import Schema
from hyla.types import Floats, Kind, Labels, Record, Verdict

FOLD = ("zone",)  # a field counts by its condition, since the outlines are given
CRS = "EPSG:32633"
DATES = ("2024-05-02", "2024-05-17", "2024-06-01", "2024-06-16")
CLOUDY = (
    (0.0, 0.0, 0.12, 0.0),
    (0.0, 0.08, 0.0, 0.15),
    (0.10, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.05, 0.10),
)  # by place in turn, and date
PLACES = (
    *(
        "alder",
        "ash",
        "aspen",
        "beech",
        "birch",
        "cedar",
        "cherry",
        "elm",
        "fir",
        "hazel",
        "larch",
        "lime",
        "maple",
        "oak",
        "pine",
    ),
    "rowan",
)
EAST, NORTH, APART = 402_000.0, 5_702_000.0, 30_000.0  # m: top-left corner of the first place; the others lie in rows of four
SCALE, OFFSET = 1e-4, -0.1  # reflectance = sample * SCALE + OFFSET, as Sentinel-2 has it since processing baseline 04.00
SIZE = 144  # pixels a side
LEAST = 0.4  # of a zone that clouds leave to be seen, for it to be true of the picture


@dataclass(frozen=True)
class Truth:
    """Hold what is true of one scene: class, outline in the map's coordinates, and attributes of each label."""

    names: list[str]
    outlines: list[Any]
    attributes: dict[str, list[Any]]


def write(to: Path, scenes: int = 64, size: int = SIZE, seed: int = 0) -> Path:
    """Write the sample below `to`, and return the folder to label.

    It holds a GeoTIFF of six bands (blue, green, red, rededge1, nir, swir16; UTM, 10 m) for each place and date, its scene
    classification (`_SCL`), and the parcels in fields.gpkg. A drought gets worse from west to east and from date to date;
    at the last date pests have eaten patches. Beside the folder lies truth.jsonl.

    Args:
        to: folder to write into; made if it is not there.
        scenes: at most so many, place by place.
        size: of a scene, in pixels a side.
        seed: of everything drawn.

    Raises:
        ConfigError: if `to` can't be written to.
    """
    from hyla_agriculture.sample_land import Land

    source = Path(to) / "farmland"
    try:
        source.mkdir(parents=True, exist_ok=True)
        truth: dict[tuple[str, str], Truth] = {}
        lands: list[Land] = []
        wanted = [(p, d) for p in range(len(PLACES)) for d in range(len(DATES))][:scenes]
        for place, date in wanted:
            if date == 0:
                east, north = EAST + place % 4 * APART, NORTH - place // 4 * APART
                lands.append(Land(PLACES[place], east, north, size, seed * 100 + place))
            truth[lands[-1].name, DATES[date]] = _shoot(lands[-1], date, CLOUDY[place % 4], source)
        _fields(lands, source / "fields.gpkg")
        schema = preset_schema()
        lines = [json.dumps(record_to_dict(record, schema)) for record in _records(source, truth, schema)]
        (Path(to) / "truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the sample can't be written to {to}: {error}", "name a folder that can be written to") from error
    return source


def preset_schema() -> Schema:
    """Return the schema of the agriculture preset."""
    path = Path(__file__).parent / "conf" / "preset" / "agriculture.yaml"
    return Schema.from_config(yaml.safe_load(path.read_text(encoding="utf-8"))["schema"])


def _shoot(land: Any, date: int, cloudy: tuple[float, ...], to: Path) -> Truth:
    """Write the scene of a place at a date with its classification, and return what is true of it."""
    from hyla_agriculture.sample_land import BANDS, SCL_CLOUD, SCL_SHADOW, SCL_VEGETATION

    reflectance, cloud, shadow = land.shoot(date, cloudy[date])
    stem = f"{land.name}_{DATES[date].replace('-', '')}"
    samples = np.clip(np.rint((reflectance - OFFSET) / SCALE), 1, 65535).astype(np.uint16)
    _raster(to / f"{stem}.tif", samples, land, BANDS)
    scl = np.full(cloud.shape, SCL_VEGETATION, np.uint8)
    scl[shadow], scl[cloud] = SCL_SHADOW, SCL_CLOUD
    _raster(to / f"{stem}_SCL.tif", scl[None], land, ("SCL",))
    before = np.logical_or(*land.clouds(date - 1, cloudy[date - 1])) if date else np.ones_like(cloud)
    return _truth(land, date, cloud | shadow, before)


def _truth(land: Any, date: int, hidden: Any, before: Any) -> Truth:
    """Return what is true of a scene, of which clouds and shadows hide a part, and hid another part at the date before."""
    names: list[str] = []
    outlines: list[Any] = []
    columns: dict[str, list[Any]] = {"field": [], "crop": []}
    for one in land.parcels:
        condition = land.condition(one, date, hidden)
        found = [(condition, one.outline)]
        if condition == "suspected_pest":
            zone = land.mask([one.eaten])
            found += [("suspected_pest_zone", one.eaten)] if not _mostly(hidden, zone) else []
            found += [("change_zone", one.eaten)] if not _mostly(hidden | before, zone) else []
        for name, outline in found:
            names.append(name)
            outlines.append(outline)
            columns["field"].append(one.name)
            columns["crop"].append(one.crop)
    return Truth(names, outlines, columns)


def _mostly(hidden: Any, zone: Any) -> bool:
    return not zone.any() or bool(hidden[zone].mean() > 1 - LEAST)


def _raster(path: Path, samples: Any, land: Any, names: tuple[str, ...]) -> None:
    import rasterio
    from rasterio.enums import Resampling

    count, height, width = samples.shape
    profile = {"driver": "GTiff", "dtype": samples.dtype, "count": count, "height": height, "width": width, "crs": CRS}
    tiling = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate", "predictor": 2, "nodata": 0}
    with rasterio.open(path, "w", **profile, **tiling, transform=land.transform) as file:
        file.write(samples)
        file.descriptions = names
        if count > 1:
            file.scales, file.offsets = [SCALE] * count, [OFFSET] * count
        file.build_overviews([2, 4], Resampling.nearest)


def _fields(lands: list[Any], path: Path) -> None:
    """Write the parcels of all places, as a land register would: number, crop, last year's crop, area."""
    import geopandas

    from hyla_agriculture.sample_land import BEFORE

    rows = [one for land in lands for one in land.parcels]
    columns = {
        "field_id": [one.name for one in rows],
        "crop": [one.crop for one in rows],
        "previous_crop": [BEFORE[one.crop] for one in rows],
        "area_ha": [round(one.outline.area / 10_000, 2) for one in rows],
    }
    path.unlink(missing_ok=True)
    geopandas.GeoDataFrame(columns, geometry=[one.outline for one in rows], crs=CRS).to_file(path, layer="fields", driver="GPKG")


def _records(source: Path, truth: dict[tuple[str, str], Truth], schema: Schema) -> Iterator[Record]:
    """Yield the truth under the items and frames that the loader gives."""
    from hyla_agriculture.scenes import Scenes

    loader = Scenes()
    for item in loader.items(str(source)) or ():
        image = loader.load(item)
        assert image is not None
        assert isinstance(image.frame, MapFrame)
        place = Path(item.uri).name.split("_")[0]
        labels = _labels(truth[place, str(item.meta["date"])], image.frame, image.size, schema)
        yield Record(item, labels, (), Verdict.ACCEPT, "truth:sample", image.size, image.frame)
        loader.close(item.group)


def _labels(truth: Truth, frame: MapFrame, size: tuple[int, ...], schema: Schema) -> Labels:
    """Return the truth in pixels, clipped to the picture."""
    import shapely

    picture = shapely.box(0, 0, size[1], size[0])
    shapes: list[tuple[Floats, ...]] = []
    rows: list[int] = []
    for n, outline in enumerate(truth.outlines):
        clipped = shapely.intersection(shapely.transform(outline, frame.to_pixels), picture)
        parts = [one for one in getattr(clipped, "geoms", [clipped]) if one.geom_type == "Polygon" and one.area > 0]
        if parts:
            rows.append(n)
            shapes.append(tuple(np.asarray(ring.coords)[:-1] for one in parts for ring in (one.exterior, *one.interiors)))
    return Labels.of(
        [schema.class_id(truth.names[n]) for n in rows],
        kind=Kind.POLYGON,
        shape=shapes,
        attributes={name: [values[n] for n in rows] for name, values in truth.attributes.items()},
    )
