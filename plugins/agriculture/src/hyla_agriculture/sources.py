"""What a layout on disk (a SAFE folder, a Landsat folder, a STAC catalogue, GeoTIFFs) says of a scene, before a pixel is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyla.errors import BadItem
from hyla_agriculture.scene import BANDS
from hyla_agriculture.sensors import is_index, ordered

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST = 16 * 2**20  # bytes of a metadata file: a Sentinel-2 product has 60 KB, a tile with all its angles 0.5 MB


@dataclass(frozen=True)
class BandFile:
    """Name one band and where its samples are: physical value = sample x scale + offset.

    Args:
        name: common name, as `hyla_agriculture.scene.BANDS` has them, or the name of a stored index (`ndvi`).
        path: a local path or a URL that GDAL opens, already checked.
        index: of the band in the file, from 1.
        scale: see above.
        offset: see above, in physical units.
        nodata: sample that means nothing; None for what the file says.
        saturated: sample that means a saturated detector; None if there is none.
    """

    name: str
    path: str
    index: int = 1
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    saturated: float | None = None


@dataclass(frozen=True)
class MaskFile:
    """Name a raster that tells clouds from clear ground.

    Args:
        path: a local path or a URL that GDAL opens, already checked.
        index: of the band in the file, from 1.
        codes: `scl`, `qa_pixel`, `qa_radsat`, `fmask`, or `mask` (any number but 0 is cloud); see `hyla_agriculture.masks`.
    """

    path: str
    index: int = 1
    codes: str = "mask"


@dataclass(frozen=True)
class SceneFiles:
    """Hold what is known of a scene at one date, none of whose pixels are read yet.

    Args:
        uri: relative to the source, with /: the raster if one file has all bands, else the metadata file or the folder.
        name: of the place, by which dates are grouped: an MGRS tile, path and row, or the stem without its date.
        date: as `2024-06-01`, or empty.
        sensor: as `sentinel2`, `landsat8`, `naip`, or empty.
        bands: in the order of `hyla_agriculture.scene.BANDS`, each from its finest file.
        masks: of clouds and defects.
        meta: for `Item.meta`; under `broken` the reason why the scene can't be read, if it can't, under `remedy` what to do.
    """

    uri: str
    name: str
    date: str = ""
    sensor: str = ""
    bands: tuple[BandFile, ...] = ()
    masks: tuple[MaskFile, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raise BadItem if the layout found that this scene can't be read; call it before opening anything."""
        if reason := self.meta.get("broken"):
            raise BadItem(f"{self.uri}: {reason}", self.meta.get("remedy", "get the product again, or repair its metadata"))
        if not self.bands:
            raise BadItem(f"{self.uri}: no band of it is there", "get the product again")


def relative(path: Path, root: Path) -> str:
    """Return `path` relative to `root`, with / on every system; "." for the root itself."""
    return path.relative_to(root).as_posix()


def inside(path: Path, root: Path) -> Path | None:
    """Return `path` with links and .. resolved, or None where that is no file, or lies outside `root`."""
    try:
        real = path.resolve(strict=True)
        return real if real.is_file() and real.is_relative_to(root.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # a NUL in the name; a loop of links (RuntimeError before Python 3.13)
        return None


def read_bytes(path: Path, root: Path, largest: int = LARGEST) -> bytes:
    """Return what a metadata file holds.

    Raises:
        BadItem: for a file that is not there, is not to be read, lies outside `root`, or is absurdly large.
    """
    real = inside(path, root)
    if real is None:
        raise BadItem(f"{path.name} is not a file in the source")
    try:
        with real.open("rb") as file:
            data = file.read(largest + 1)
    except OSError as e:
        raise BadItem(f"{path.name} can't be read: {e.strerror}") from e
    if len(data) > largest:
        raise BadItem(f"{path.name} is larger than {largest} bytes, which no metadata are")
    return data


def listed(folder: Path) -> list[Path]:
    """Return what is in `folder`, sorted; nothing for what is no folder, or one that may not be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def packed(folder: Path, root: Path, names: re.Pattern[str]) -> list[SceneFiles]:
    """Return a scene that says so for each archive in `folder` whose name fits `names`, but for those unpacked beside it."""
    inner = listed(folder)
    beside = [entry.name for entry in inner if not names.fullmatch(entry.name)]
    archives = [(entry, found) for entry in inner if (found := names.fullmatch(entry.name)) and inside(entry, root)]
    reason = "it is still in its archive: unpack it where it lies"
    return [
        SceneFiles(relative(entry, root), found["id"], meta={"broken": reason})
        for entry, found in archives
        if not any(name.startswith(found["id"]) for name in beside)
    ]


def iso_date(text: str) -> str:
    """Return the day that `text` begins with, 20240601 or 2024-06-01T..., as `2024-06-01`; empty for what is no day."""
    digits = text[:10].replace("-", "")[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).isoformat() if len(digits) == 8 else ""
    except ValueError:
        return ""


def parse_xml(data: bytes, name: str) -> Element:
    """Return the root of an XML document, of which no entity or DTD is followed.

    Raises:
        BadItem: for what is no XML, or is unsafe.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except (ParseError, ValueError, LookupError) as e:  # ValueError: what defusedxml forbids; LookupError: an unknown encoding
        raise BadItem(f"{name} is no XML that can be read: {e}") from e
    return root


def parse_json(data: bytes, name: str) -> dict[str, Any]:
    """Return the object of a JSON document.

    Raises:
        BadItem: for what is no JSON, or no object, or too deep.
    """
    import json

    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise BadItem(f"{name} is no JSON that can be read: {e}") from e
    if not isinstance(value, dict):
        raise BadItem(f"{name} holds no JSON object")
    return value


def in_band_order(bands: Sequence[BandFile]) -> tuple[BandFile, ...]:
    """Return the bands that have a place in `hyla_agriculture.scene.BANDS`, in that order, then indices as they came."""
    known = [band for band in bands if band.name in BANDS or is_index(band.name)]
    names = ordered([band.name for band in known])
    return tuple(sorted(known, key=lambda band: names.index(band.name)))


def is_stac(path: Path, root: Path) -> bool:
    """Tell whether a file looks like a STAC document: one of reasonable size that speaks of its `stac_version`."""
    try:
        return path.suffix.lower() in (".json", ".geojson") and b'"stac_version"' in read_bytes(path, root)
    except BadItem:
        return False
