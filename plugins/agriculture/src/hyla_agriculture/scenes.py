"""The loader of scenes: satellite products, plain rasters, STAC and series of dates, with the parcels that lie on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from hyla.errors import BadItem, ConfigError
from hyla.hooks import Loader, hookimpl
from hyla.types import Image, Item, item_id

if TYPE_CHECKING:
    from hyla_agriculture.scan import Entry, Settings
    from hyla_agriculture.scene import Fields

SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt")
METADATA = (".json", ".geojson", ".xml", ".txt")  # of STAC items, and of Sentinel-2 and Landsat products


class Scenes(Loader):
    """Load scenes, each at one date: nothing but headers is read until somebody asks for a window.

    A source is a folder with Sentinel-2 SAFE products, Landsat Collection 2 products, STAC items and catalogues, GeoTIFF, COG,
    JPEG 2000 and VRT, alone or with one file for each band; one such file; or, since it is named, the address of a COG or a STAC
    item (https://, s3://). The dates of one place on one grid are the items of a group, in order.

    Args:
        bands: names of the bands of rasters that have none, in order: `[blue, green, red, nir]`.
        sensor: whose bands plain rasters hold, as `sentinel2` or `landsat8`, where their names do not say it.
        scale: reflectance = sample x scale + offset, of all scenes; None for what the files say.
        offset: see above.
        nodata: sample that means nothing; None for what the files say.
        fields: file with parcels; `auto` looks for fields.* or parcels.* beside the rasters; None for none.
        layer: of that file, where it has several.
        field_id: its column of ids; None guesses.
        crop: its column of crops; None guesses.
        previous: its column of the crops of the season before; None guesses.
        area: its column of declared areas; None guesses.
        mask: False to ignore masks of clouds.
        threads: that decode the blocks of one read.
        max_pixels: refuse a raster with more.
        remote: True to fetch rasters from addresses that local STAC items name.
        hosts: machines from which that is allowed, as `data.example.org`.
    """

    def __init__(
        self,
        bands: Sequence[str] | None = None,
        sensor: str = "",
        scale: float | None = None,
        offset: float | None = None,
        nodata: float | None = None,
        fields: str | None = "auto",
        layer: str | None = None,
        field_id: str | None = None,
        crop: str | None = None,
        previous: str | None = None,
        area: str | None = None,
        mask: bool = True,
        threads: int = 1,
        max_pixels: int = 40_000_000_000,
        remote: bool = False,
        hosts: Sequence[str] = (),
    ) -> None:
        from hyla_agriculture.sensors import SENSORS

        if sensor and sensor not in SENSORS:
            raise ConfigError(f"sensor is {sensor!r}", "leave it empty for an unknown one, and name the bands", SENSORS)
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            raise ConfigError(f"scale is {scale}", "give a positive number, as 0.0001")
        if threads < 1:
            raise ConfigError(f"threads is {threads}", "give 1 or more")
        if len(set(bands or ())) != len(bands or ()):
            raise ConfigError("two bands of loader.bands have one name", "give each its own")
        self.bands, self.sensor = tuple(bands or ()), sensor
        self.scale, self.offset, self.nodata = scale, offset, nodata
        self.fields, self.layer = fields, layer
        self.columns = {"id": field_id, "crop": crop, "previous": previous, "area": area}
        self.mask, self.threads, self.max_pixels = mask, threads, max_pixels
        self.remote, self.hosts = remote, tuple(hosts)
        self._source, self._root = "", Path()
        self._entries: dict[str, Entry] | None = None
        self._lock = RLock()

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return one item per scene and date; None unless `source` is a folder, a raster, metadata, or an address.

        Headers are read when the first item is asked for. A scene that can't be read is an item all the same.

        Raises:
            ConfigError: for an address with a password in it.
        """
        if "://" in source:
            from hyla_agriculture import remote

            if not remote.is_address(source):
                return None
            remote.check(source)
            with self._lock:
                self._source, self._root, self._entries = source, Path(), None
            return self._items()
        path = Path(source).expanduser().resolve()
        if not path.is_dir() and not (path.is_file() and self._is_mine(path)):
            return None
        with self._lock:
            self._source, self._root, self._entries = str(path), path if path.is_dir() else path.parent, None
        return self._items()

    @hookimpl
    def load(self, item: Item) -> Image:
        """Return a scene whose windows are read when they are asked for; raise BadItem for one that can't be read.

        The context has `date` and `sensor`, `cloud_share` (of the pixels with data, where there is a mask), `resolution_m`,
        `latitude`, and what became of the `parcels` of which file.
        """
        from hyla_agriculture.area import ground_resolution, latitude
        from hyla_agriculture.raster import RasterScene

        entry = self._known().get(item.id)
        if entry is None or entry.files.uri != item.uri:
            raise BadItem(f"{item.uri} is not in the source any more", "was it changed since the scan?")
        files = entry.files if self.mask else _without_masks(entry.files)
        scene = RasterScene(files, remote=self.remote or "://" in self._source, threads=self.threads, max_pixels=self.max_pixels)
        try:
            size = (scene.shape[0], scene.shape[1])
            scene.fields, parcels = self._fields(files.uri, scene.frame, size)
            share, metres = scene.cloud_share(), round(ground_resolution(scene.frame, size), 4)
            north = round(latitude(scene.frame, size), 4)
        finally:
            scene.close()  # until a model asks: scenes wait in a queue
        context: dict[str, Any] = {"date": files.date, "sensor": files.sensor, "cloud_share": share, "resolution_m": metres}
        context["latitude"] = north  # of the centre: it tells the season
        context["parcels"] = parcels
        known = {key: value for key, value in context.items() if value not in (None, "") and value == value}
        pixels: Any = scene
        return Image(pixels, item, scene.frame, known)

    def _items(self) -> Iterator[Item]:
        for id, entry in self._known().items():
            files = entry.files
            meta = {key: value for key, value in files.meta.items() if key not in ("broken", "remedy")}
            meta |= {
                "series": files.name,
                "date": files.date,
                "sensor": files.sensor,
                "bands": [band.name for band in files.bands],
            }
            known = {key: value for key, value in meta.items() if value not in (None, "", [])}
            yield Item(id, files.uri, entry.group, entry.index, "scene", known)

    def _known(self) -> dict[str, Entry]:
        with self._lock:
            if self._entries is None:
                self._entries = {item_id(entry.files.uri, entry.nth): entry for entry in self._scan()}
            return self._entries

    def _scan(self) -> list[Entry]:
        from hyla_agriculture import scan

        settings = self._settings()
        if "://" not in self._source:
            return scan.entries(Path(self._source), self._root, settings) if self._source else []
        return scan.at_address(self._source, settings)

    def _settings(self) -> Settings:
        from hyla_agriculture.scaling import Given
        from hyla_agriculture.scan import Settings

        given = Given(self.bands, self.sensor, self.scale, self.offset, self.nodata)
        return Settings(given, self.remote, self.hosts, self.max_pixels)

    def _fields(self, uri: str, frame: Any, size: tuple[int, int]) -> tuple[Fields | None, str]:
        """Return the parcels on a scene: of the file that was named, or that lies beside it or at the top of the source.

        Also in words how many they are, and how many rows of the file were repaired, renamed or left out.
        """
        if self.fields is None:
            return None, ""
        from hyla_agriculture import fields

        path: Path | None = None
        if self.fields != "auto":
            path = self._root / Path(self.fields).expanduser()
        elif "://" not in self._source:
            own = self._root / uri.partition("#")[0]
            folders = [one for one in (own, *own.parents) if one.is_dir() and one.is_relative_to(self._root)]
            path = next((near for one in folders if (near := fields.find(one))), None)
        if path is None:
            return None, ""
        found, counts = fields.read(path, frame, size, layer=self.layer, **self.columns)
        meant = self.fields != "auto" or path.stem.lower() in fields.NAMES
        if meant and not len(found):
            raise BadItem(
                f"no parcel of {path.name} lies on {uri}",
                "name the file of this place, or let outlines be found: loader.fields=null",
            )
        if not len(found):
            return None, ""
        odd = [f"{what} {n}" for what, n in sorted(counts.items()) if n and what != "outside"]
        return found, "; ".join([f"{len(found)} of {path.name}", *odd])

    @staticmethod
    def _is_mine(path: Path) -> bool:
        if path.suffix.lower() in SUFFIXES:
            return True
        if path.suffix.lower() not in METADATA:
            return False
        from hyla_agriculture.scan import is_metadata

        return is_metadata(path)


def _without_masks(files: Any) -> Any:
    from dataclasses import replace

    return replace(files, masks=())
