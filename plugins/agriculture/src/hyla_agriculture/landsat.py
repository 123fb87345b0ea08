"""Find Landsat scenes: Collection 2, level 2 (surface reflectance and temperature) and level 1 (reflectance at the sensor)."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyla.errors import BadItem
from hyla_agriculture.sensors import SURFACE_TEMPERATURE, Band, table
from hyla_agriculture.sources import (
    BandFile,
    MaskFile,
    SceneFiles,
    in_band_order,
    inside,
    iso_date,
    listed,
    packed,
    parse_json,
    parse_xml,
    read_bytes,
    relative,
)

# LC08_L2SP_195024_20200617_20200823_02_T1_SR_B4.TIF, and of Analysis Ready Data: LC08_CU_003008_20200617_20210425_02_SR_B4.TIF
_FILE = re.compile(
    r"(?P<id>L[COTE]0(?P<satellite>[45789])_(?P<level>L1TP|L1GT|L1GS|L2SP|L2SR|CU|AK|HI)_(?P<place>\d{6})_(?P<day>\d{8})_\d{8}_02"
    r"(?:_(?:RT|T1|T2))?)_(?P<part>MTL|(?:SR_|ST_)?B\d{1,2}|QA_PIXEL|QA_RADSAT)\.(?P<suffix>tiff?|json|xml|txt)",
    re.IGNORECASE,
)
_TAR = re.compile(r"(?P<id>L[COTE]0[45789]_(?:L1|L2)\w+_02_(?:RT|T1|T2))\.tar(?:\.gz)?", re.IGNORECASE)
_LINE = re.compile(r'^\s*(?P<key>[A-Z0-9_]+)\s*=\s*"?(?P<value>[^"\r\n]*)"?\s*$', re.MULTILINE)
_NUMBERS = {"cloud_cover": "CLOUD_COVER", "sun_elevation": "SUN_ELEVATION"}
Groups = Mapping[str, Mapping[str, str]]


def scenes(path: Path, root: Path) -> list[SceneFiles]:
    """Return the Landsat scenes in a folder, one for each product whose files lie there.

    Args:
        path: a folder with the files of products as USGS names them, or the MTL file of one.
        root: the source, beyond which nothing is read.

    Returns:
        No scenes for a folder without such files. Level 2 is read with or without MTL (json, xml or txt, the first that is
        there); level 1 only with, since its reflectance needs the sun's elevation. A product with a broken MTL, or one
        that is still in its archive, is one scene which says so.
    """
    folder = path.parent if path.is_file() else path
    products: dict[str, dict[str, Path]] = defaultdict(dict)
    for file in listed(folder):
        found = _FILE.fullmatch(file.name)
        if found and inside(file, root) and (path == folder or path.name.upper().startswith(found["id"].upper())):
            suffix = f".{found['suffix'].lower()}" if found["part"].upper() == "MTL" else ""
            products[found["id"].upper()].setdefault(found["part"].upper() + suffix, file)
    whole = [_product(files, folder, root, len(products)) for _, files in sorted(products.items())]
    return whole + (packed(folder, root, _TAR) if path == folder else [])


def _product(files: Mapping[str, Path], folder: Path, root: Path, count: int) -> SceneFiles:
    """Return the scene of one product, whose `files` are by part: MTL.json, SR_B4, QA_PIXEL."""
    some = next(iter(files.values()))
    name = _FILE.fullmatch(some.name)
    assert name is not None
    sensor, level = f"landsat{name['satellite']}", name["level"].upper()
    ahead = next((files[part] for part in ("MTL.json", "MTL.xml", "MTL.txt") if part in files), None)
    uri = relative(folder if count == 1 and folder != root else ahead or some, root)
    place = f"{name['place'][:3]}/{name['place'][3:]}"
    place = f"{level} {place}" if level in ("CU", "AK", "HI") else place if level[:2] == "L2" else f"{place} L1"
    meta: dict[str, Any] = {"level": "L1" if level[:2] == "L1" else "L2", "platform": f"landsat-{name['satellite']}", "nodata": 0}
    try:
        groups = _metadata(ahead, root) if ahead else {}
        image = groups.get("IMAGE_ATTRIBUTES", {})
        numbers = {key: float(image[word]) for key, word in _NUMBERS.items() if word in image}
        meta |= {key: number for key, number in numbers.items() if -90 <= number <= 100}
        if "cloud_cover" in meta and meta["cloud_cover"] < 0:  # -1 where it was not computed
            del meta["cloud_cover"]
        bands = [
            band
            for part, file in files.items()
            if (own := _band(part, sensor)) and (band := _band_file(own, part, file, groups, meta))
        ]
        if not bands:
            raise BadItem("no band of it can be read" if ahead or meta["level"] == "L2" else "a product of level 1 needs its MTL")
    except (BadItem, ValueError) as e:
        reason = e.what if isinstance(e, BadItem) else f"{ahead.name if ahead else ''}: {e}"
        return SceneFiles(uri, place, iso_date(name["day"]), sensor, meta={"broken": reason})
    masks = [MaskFile(str(files[part]), 1, part.lower()) for part in ("QA_PIXEL", "QA_RADSAT") if part in files]
    return SceneFiles(uri, place, iso_date(name["day"]), sensor, in_band_order(bands), tuple(masks), meta)


def _band(part: str, sensor: str) -> Band | None:
    """Return the band that SR_B4, ST_B10 or B4 is of this sensor; none for pan, which is of another resolution."""
    word = part.rpartition("_")[2]
    return next((band for band in table(sensor).values() if band.word == word and band.name != "pan"), None)


def _band_file(band: Band, part: str, path: Path, groups: Groups, meta: Mapping[str, Any]) -> BandFile | None:
    """Return where a band is and how to read it; None for thermal bands of level 1, whose kelvins are no linear scale.

    Level 2: USGS LSDS-1619, section 5. Level 1: (DN x REFLECTANCE_MULT + REFLECTANCE_ADD) / sin(SUN_ELEVATION), from the same.
    """
    number, thermal = band.word[1:], band.offset == SURFACE_TEMPERATURE[1]
    if part.startswith(("SR_", "ST_")):
        kind, key = ("TEMPERATURE", f"ST_{band.word}") if thermal else ("REFLECTANCE", number)
        group = groups.get(f"LEVEL2_SURFACE_{kind}_PARAMETERS", {})
        scale = float(group.get(f"{kind}_MULT_BAND_{key}", band.scale))
        offset = float(group.get(f"{kind}_ADD_BAND_{key}", band.offset))
        sun = 1.0
    else:
        group = groups.get("LEVEL1_RADIOMETRIC_RESCALING", {})
        words = [f"REFLECTANCE_{word}_BAND_{number}" for word in ("MULT", "ADD")]
        if thermal or any(word not in group for word in words) or "sun_elevation" not in meta:
            return None
        scale, offset = (float(group[word]) for word in words)
        sun = math.sin(math.radians(meta["sun_elevation"]))
    if not (0 < scale < 1 and abs(offset) < 1000 and sun > 0.01):
        raise BadItem(f"{path.name}: a scale of {scale}, an offset of {offset} or a sun at {meta.get('sun_elevation')} can't be")
    return BandFile(band.name, str(path), 1, scale / sun, offset / sun, band.nodata)


def _metadata(path: Path, root: Path) -> Groups:
    """Return the groups of an MTL file, in any of its three forms.

    Raises:
        BadItem: for a file that can't be read as what its suffix says.
    """
    data, suffix = read_bytes(path, root), path.suffix.lower()
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    if suffix == ".json":
        whole = parse_json(data, path.name).get("LANDSAT_METADATA_FILE")
        for name, group in whole.items() if isinstance(whole, dict) else ():
            groups[name] = {key: str(value) for key, value in group.items()} if isinstance(group, dict) else {}
    elif suffix == ".xml":
        for group in parse_xml(data, path.name):
            groups[group.tag] = {entry.tag: (entry.text or "").strip() for entry in group}
    else:
        name = ""
        for line in _LINE.finditer(data.decode("utf-8", "replace")):
            if line["key"] in ("GROUP", "END_GROUP"):
                name = line["value"].strip() if line["key"] == "GROUP" else ""
            else:
                groups[name][line["key"]] = line["value"].strip()
    if "IMAGE_ATTRIBUTES" not in groups:
        raise BadItem(f"{path.name} is no MTL of Collection 2")
    return groups
