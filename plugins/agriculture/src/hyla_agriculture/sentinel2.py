"""Find Sentinel-2 scenes: SAFE products of level 2A and 1C, and their bands as loose JP2 or GeoTIFF files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from hyla.errors import BadItem
from hyla_agriculture.sensors import SENSORS, sensor_of
from hyla_agriculture.sentinel2_facts import Facts, from_names, from_product, from_tile, metadata_file
from hyla_agriculture.sources import BandFile, MaskFile, SceneFiles, in_band_order, inside, is_stac, listed, packed, relative

_NATIVE = {band.word: band for band in SENSORS["sentinel2"]}
_FILE = re.compile(r"(?P<prefix>.*?)_?(?P<word>B\d\d|B8A|SCL)(?:_(?P<metres>10|20|60)m)?\.(?:jp2|tiff?)", re.IGNORECASE)
_ZIP = re.compile(r"(?P<id>S2[A-D]_MSI(?:L1C|L2A)_\w+)(?:\.SAFE)?\.zip", re.IGNORECASE)
_RESOLUTION = re.compile(r"R(10|20|60)m")


class _File(NamedTuple):
    prefix: str
    word: str
    metres: float
    path: Path


def scenes(path: Path, root: Path) -> list[SceneFiles]:
    """Return the Sentinel-2 scenes of a folder, one for each granule.

    Args:
        path: a SAFE folder, its metadata file, or a folder of loose bands: `T32UQD_20240601T102559_B04_10m.jp2`, or `B04.tif`
            in a folder whose name is that of a product or that has R10m, R20m and R60m.
        root: the source, beyond which nothing is read.

    Returns:
        No scenes for what is not Sentinel-2, or belongs to a product further up. A band comes from its file of the finest
        resolution that is not finer than the instrument's. A product with broken metadata, or one that is still in its archive,
        is one scene which says so.
    """
    folder = path.parent if path.is_file() and path.name.startswith("MTD_MSI") else path
    if not folder.is_dir() or _within_product(folder, root):
        return []
    if not _is_product(folder):
        return _loose(folder, root) + packed(folder, root, _ZIP)
    try:
        facts = from_product(folder, root)
        granules = sorted(entry for entry in _folders(folder / "GRANULE") if (entry / "IMG_DATA").is_dir())
        if not granules:
            return _loose(folder, root, facts) or [_broken(folder, root, "it has no granule with images")]
        return [_granule(granule, folder if len(granules) == 1 else granule, root, facts) for granule in granules]
    except BadItem as e:
        return [_broken(folder, root, e.what)]


def _is_product(folder: Path) -> bool:
    return folder.suffix.upper() == ".SAFE" or (folder / "GRANULE").is_dir() or metadata_file(folder) is not None


def _within_product(folder: Path, root: Path) -> bool:
    """Tell whether a folder further up, but in the source, is what its files belong to."""
    above = _above(folder, root)
    return bool(above and _RESOLUTION.fullmatch(folder.name)) or any(_is_product(parent) for parent in above)


def _above(folder: Path, root: Path) -> list[Path]:
    """Return the folders of the source that `folder` lies in, the nearest first."""
    return [parent for parent in folder.parents if folder != root and parent.is_relative_to(root)]


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in listed(folder) if entry.is_dir()]


def _files(folders: Iterable[Path], root: Path) -> list[_File]:
    """Return the bands and classifications among the files of `folders` which lie in the source."""
    found = []
    for folder in folders:
        parent = _RESOLUTION.fullmatch(folder.name)
        for path in listed(folder):
            match = _FILE.fullmatch(path.name)
            word = match["word"].upper() if match else ""
            if match and (word in _NATIVE or word == "SCL") and inside(path, root):
                native = _NATIVE[word].resolution if word in _NATIVE else 20
                found.append(_File(match["prefix"], word, float(match["metres"] or (parent[1] if parent else native)), path))
    return found


def _loose(folder: Path, root: Path, facts: Facts | None = None) -> list[SceneFiles]:
    """Return the scenes of bands that lie in a folder, or in R10m, R20m and R60m of it."""
    nested = [entry for entry in _folders(folder) if _RESOLUTION.fullmatch(entry.name)]
    groups: dict[str, list[_File]] = defaultdict(list)
    for file in _files((folder, *nested), root):
        if sensor_of(file.prefix or folder.name) == "sentinel2" or (not file.prefix and (facts or nested)):
            groups[file.prefix].append(file)
    if groups and facts is None and any(is_stac(entry, root) for entry in listed(folder)):
        return []  # what an item says of its samples no file name can say
    found = []
    for prefix, files in groups.items():
        names = [prefix, folder.name, *(parent.name for parent in _above(folder, root))]
        own = from_tile(folder, root, from_names(names, facts or Facts()))
        if any(file.word != "SCL" for file in files):
            uri = relative(folder, root) if len(groups) == 1 and folder != root else relative(files[0].path, root)
            found.append(_scene(uri, files, own, folder))
    return found


def _granule(granule: Path, named: Path, root: Path, facts: Facts) -> SceneFiles:
    """Return the scene of one folder in GRANULE; `named` is the folder that stands for it."""
    images = granule / "IMG_DATA"
    files = _files((images, *_folders(images)), root)
    own = from_names([granule.name, *(file.prefix for file in files[:1])], replace(facts, tile=""))
    facts = from_tile(granule, root, replace(own, tile=own.tile or facts.tile))  # a product may have several tiles
    uri = relative(named, root) if named != root else relative(metadata_file(named) or granule, root)
    return _scene(uri, files, facts, granule, root)


def _scene(uri: str, files: list[_File], facts: Facts, folder: Path, root: Path | None = None) -> SceneFiles:
    shift, known = facts.shift
    level = facts.level or ("L2A" if any(file.word == "SCL" for file in files) else "")
    bands = []
    for word, native in _NATIVE.items():
        if own := [file for file in files if file.word == word]:
            best = min(own, key=_preference)
            offset = facts.offsets.get(word, shift) * facts.scale
            bands.append(BandFile(native.name, str(best.path), 1, facts.scale, offset, facts.nodata, facts.saturated))
    meta = {
        "baseline": facts.baseline,
        "offset": int(shift) if known else None,
        "level": level,
        "platform": facts.platform,
        "cloud_cover": facts.cloud,
        "sun_elevation": facts.sun,
        "orbit": facts.orbit,
        "time": facts.time,
        "nodata": facts.nodata,
    }
    known_meta: dict[str, Any] = {name: value for name, value in meta.items() if value not in (None, "")}
    tile = f"T{facts.tile}" if facts.tile else Path(uri).stem
    return SceneFiles(
        uri,
        f"{tile} L1C" if level == "L1C" else tile,
        facts.date,
        "sentinel2",
        in_band_order(bands),
        _masks(files, folder, root),
        known_meta if known else known_meta | {"offset_known": False},
    )


def _preference(file: _File) -> tuple[bool, float, bool, str]:
    """Return what sorts the files of one band: not finer than its pixels are, the finest, and GeoTIFF, which reads faster."""
    return file.metres < _NATIVE[file.word].resolution, file.metres, file.path.suffix == ".jp2", file.path.name


def _masks(files: list[_File], folder: Path, root: Path | None) -> tuple[MaskFile, ...]:
    """Return the scene classification, or the cloud and snow masks that level 1C has since baseline 04.00."""
    if classes := sorted((file for file in files if file.word == "SCL"), key=lambda file: file.metres):
        return (MaskFile(str(classes[0].path), 1, "scl"),)
    clouds = folder / "QI_DATA" / "MSK_CLASSI_B00.jp2"
    if root and inside(clouds, root):  # its bands: opaque clouds, cirrus, snow and ice
        return tuple(MaskFile(str(clouds), index, codes) for index, codes in enumerate(("mask", "mask", "snow"), 1))
    return ()


def _broken(folder: Path, root: Path, reason: str) -> SceneFiles:
    uri = relative(folder if folder != root else metadata_file(folder) or folder, root)
    facts = from_names([folder.name], Facts())
    return SceneFiles(uri, f"T{facts.tile}" if facts.tile else folder.stem, facts.date, "sentinel2", meta={"broken": reason})
