"""Tell from the assets of a STAC item which rasters are bands and masks, where they are, and how their samples are to be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pystac

from hyla_agriculture.places import Places, split
from hyla_agriculture.scene import BANDS
from hyla_agriculture.sensors import Band, band_name, is_index, sensor_of, table
from hyla_agriculture.sentinel2_facts import shift_of
from hyla_agriculture.sources import BandFile, MaskFile, SceneFiles, in_band_order, iso_date, relative

_RASTER = re.compile(r"\.(tiff?|jp2)$", re.IGNORECASE)
_PICTURE = re.compile(r"visual|tci|true[-_ ]?colou?r|overview|preview|thumbnail|rendered|browse", re.IGNORECASE)
_MASKS = {"scl": "scl", "qa_pixel": "qa_pixel", "qa_radsat": "qa_radsat", "fmask": "fmask"}
_DAY = re.compile(r"20\d\d-?\d\d-?\d\d(?:T\d{6}Z?)?|(?<=[._])20\d{5}T\d{6}")
# Items of Earth Search's first collection say of samples from which the offset was taken off that it was not; see
# github.com/Element84/earth-search, issues 66 and 71.
_UNSURE = "sentinel-2-l2a"


class _Found(NamedTuple):
    band: BandFile
    metres: float
    offset_said: bool


def scene_of(item: pystac.Item, document: Path, places: Places, index: str = "") -> SceneFiles:
    """Return the scene that `item` describes.

    Band names come from the numbers of the sensor where it is known, else from common names (`eo:bands` of STAC 1.0, `bands` of
    1.1), else from the asset's key. Scale, offset and nodata come from the item, else from the sensor.

    Args:
        item: what pystac read.
        document: the file that it was read from, which relative addresses start from.
        places: what may be read.
        index: of the item in the document, where that holds several.
    """
    facts = item.properties
    sensor = _sensor(item)
    rasters = {key: asset for key, asset in item.assets.items() if isinstance(asset.href, str) and _is_raster(key, asset)}
    paths = {key: places.find(asset.href, document.parent) for key, asset in rasters.items()}
    found = [one for key, asset in rasters.items() if (path := paths[key]) for one in _bands(key, asset, path, sensor)]
    baseline = _baseline(facts)
    bands = _chosen(found, table(sensor))
    meta: dict[str, Any] = {
        "platform": facts.get("platform"),
        "cloud_cover": _number(facts.get("eo:cloud_cover")),
        "sun_elevation": _number(facts.get("view:sun_elevation")),
        "baseline": baseline,
        "time": item.datetime.strftime("%H:%M:%S") if item.datetime else None,
        "level": next((level for level in ("L2A", "L1C") if level in f"{item.collection_id} {item.id}".upper()), None),
    }
    date = iso_date(str(facts.get("datetime") or facts.get("start_datetime") or ""))
    if sensor == "sentinel2":
        bands, offset = _shifted(bands, item, baseline, date)
        meta |= offset
    nodata = {one.band.nodata for one in bands if one.band.nodata is not None}
    meta["nodata"] = nodata.pop() if len(nodata) == 1 else None
    if not bands:
        away = sorted({split(asset.href).hostname or "beyond the source" for key, asset in rasters.items() if not paths[key]})
        meta["broken"] = f"its rasters are not in the source but at {', '.join(away)}" if away else "no asset of it is a band"
        if any("." in host for host in away):
            meta["broken"] += "; to fetch them: loader.remote=true and loader.hosts=[...]"
    files = [one.band.path for one in bands]
    masks = _masks(rasters, paths, sensor)
    return SceneFiles(
        _uri(document, files, places, index),
        _place(item, meta["level"]),
        date,
        sensor,
        in_band_order([one.band for one in bands]),
        masks,
        {key: value for key, value in meta.items() if value is not None},
    )


def _sensor(item: pystac.Item) -> str:
    words = [item.id, item.collection_id, *(item.properties.get(key) for key in ("platform", "constellation", "instruments"))]
    return next((found for word in words if word and (found := sensor_of(str(word)))), "")


def _is_raster(key: str, asset: pystac.Asset) -> bool:
    if _PICTURE.search(key) or {"visual", "overview", "thumbnail", "metadata"} & _roles(asset):
        return False
    return bool(_RASTER.search(split(asset.href).path)) or str(asset.media_type).startswith(("image/tiff", "image/jp2"))


def _roles(asset: pystac.Asset) -> set[str]:
    return {role for role in asset.roles if isinstance(role, str)} if isinstance(asset.roles, list) else set()


def _bands(key: str, asset: pystac.Asset, path: str, sensor: str) -> list[_Found]:
    """Return the bands of one raster, which may have several."""
    own = _dicts(asset.extra_fields.get("bands"))
    eo, raster = _dicts(asset.extra_fields.get("eo:bands")), _dicts(asset.extra_fields.get("raster:bands"))
    count = max(len(own), len(eo), len(raster), 1)
    known, found = table(sensor), []
    for index in range(count):
        said: dict[str, Any] = {}
        for part in (raster, eo, own):
            said |= part[index] if index < len(part) else {}
        words = [said.get("name"), said.get("common_name", said.get("eo:common_name")), *([key, path] if count == 1 else [])]
        name = next((name for word in words if isinstance(word, str) and (name := band_name(word, sensor))), None)
        if name is None or not (name in BANDS or is_index(name)) or _mask_codes(key, path, sensor):
            continue
        band = known.get(name, Band("", name, 0, 0, scale=1.0))
        scale, offset, nodata, metres, gsd = (
            _stated(word, said, asset.extra_fields) for word in ("scale", "offset", "nodata", "spatial_resolution", "gsd")
        )
        metres = metres or gsd or band.resolution
        if stated := re.search(r"[_-](\d+)m(?![a-z0-9])", f"{key} {PurePosixPath(path).stem}".lower()):
            metres = float(stated[1])
        file = BandFile(
            name,
            path,
            index + 1,
            band.scale if scale is None or scale <= 0 else scale,
            band.offset if offset is None and scale is None else offset or 0.0,
            band.nodata if nodata is None else nodata,
            band.saturated,
        )
        found.append(_Found(file, metres, offset is not None))
    return found


def _stated(word: str, band: Mapping[str, Any], asset: Mapping[str, Any]) -> float | None:
    """Return the number that a band, or else its asset, states under `word`, which has a prefix since STAC 1.1."""
    values = (one.get(key) for one in (band, asset) for key in (word, f"raster:{word}"))
    return next((number for value in values if (number := _number(value)) is not None), None)


def _chosen(found: list[_Found], known: Mapping[str, Band]) -> list[_Found]:
    """Return each band once: in pixels no finer than its own, then the finest, from this machine, and as GeoTIFF."""

    def order(one: _Found) -> tuple[Any, ...]:
        native = known[one.band.name].resolution if one.band.name in known else 0
        return one.metres < native, one.metres, "://" in one.band.path, one.band.path.lower().endswith(".jp2")

    chosen: dict[str, _Found] = {}
    for one in sorted(found, key=order):
        chosen.setdefault(one.band.name, one)
    if "nir" not in chosen and "nir08" in chosen and not known:  # an unknown sensor's only near infrared
        one = chosen.pop("nir08")
        chosen["nir"] = one._replace(band=replace(one.band, name="nir"))
    return list(chosen.values())


def _shifted(bands: list[_Found], item: pystac.Item, baseline: str | None, date: str) -> tuple[list[_Found], dict[str, Any]]:
    """Put the offset of Sentinel-2 into bands which do not state it, and take it off where the provider did so before.

    Returns:
        The bands, and what `Item.meta` says: `offset` in digital numbers if it is known, else `offset_known`: False; and
        `harmonised`: True where the provider took it off the samples.
    """
    facts = item.properties
    applied = facts.get("earthsearch:boa_offset_applied", facts.get("sentinel:boa_offset_applied"))
    if applied is True or "harmonized" in f"{item.collection_id} {item.id}".lower():
        return [one._replace(band=replace(one.band, offset=0.0)) for one in bands], {"offset": 0, "harmonised": True}
    shift, known = shift_of(baseline or "", date)
    stated = [one for one in bands if one.offset_said]
    if stated:
        known, shift = True, round(stated[0].band.offset / stated[0].band.scale)
    elif bands:
        bands = [one._replace(band=replace(one.band, offset=shift * one.band.scale)) for one in bands]
    if applied is False and shift and item.collection_id == _UNSURE:
        known = False
    return bands, {"offset": int(shift)} if known else {"offset_known": False}


def _masks(rasters: Mapping[str, pystac.Asset], paths: Mapping[str, str | None], sensor: str) -> tuple[MaskFile, ...]:
    found: dict[str, list[str]] = {}
    for key, asset in rasters.items():
        if (path := paths[key]) and (codes := _mask_codes(key, split(asset.href).path, sensor)):
            found.setdefault(codes, []).append(path)
    if "udm2" in found:  # Planet's usable data mask: clear, snow, shadow, light haze, heavy haze, cloud, confidence, unusable
        layers = ((2, "snow"), (3, "shadow"), (5, "mask"), (6, "mask"))
        return tuple(MaskFile(found["udm2"][0], index, codes) for index, codes in layers)
    if not found:  # a plain mask of clouds, but no probabilities
        for key, asset in rasters.items():
            words = f"{key} {asset.title} {asset.description}".lower()
            if (path := paths[key]) and "cloud" in _roles(asset) and not re.search(r"prob|confidence", words):
                found.setdefault("mask", []).append(path)
    # SCL is native at 20 m; the sorting puts 20 m before 60 m.
    return tuple(MaskFile(sorted(files)[0], 1, codes) for codes, files in found.items())


def _mask_codes(key: str, path: str, sensor: str) -> str:
    """Return what kind of mask an asset is, by its key or file name; empty for others."""
    for word in (key.lower(), PurePosixPath(path).stem.lower()):
        if re.search(r"udm2", word):
            return "udm2"
        for name, codes in _MASKS.items():
            if re.search(rf"(?<![a-z0-9]){name}(?![a-z])", word):
                return "hls" if codes == "fmask" and sensor.startswith("hls") else codes
    return ""


def _place(item: pystac.Item, level: str | None) -> str:
    """Return the tile, path and row, or the id without its dates, by which scenes of one place are told."""
    facts = item.properties
    tile = str(facts.get("s2:mgrs_tile") or facts.get("grid:code") or "").removeprefix("MGRS-").removeprefix("T")
    if not tile:
        for extension in ("mgrs", "sentinel"):
            parts = [facts.get(f"{extension}:{part}") for part in ("utm_zone", "latitude_band", "grid_square")]
            tile = tile or ("".join(map(str, parts)).zfill(5) if all(parts) else "")
    if re.fullmatch(r"\d\d[C-X][A-Z]{2}", tile):
        return f"T{tile} L1C" if level == "L1C" else f"T{tile}"
    path, row = facts.get("landsat:wrs_path"), facts.get("landsat:wrs_row")
    if path and row:
        return f"{int(path):03}/{int(row):03}" if f"{path}{row}".isdigit() else f"{path}/{row}"
    return re.sub(r"[-_. ]{2,}", "_", _DAY.sub("", str(item.id))).strip("-_. ") or str(item.id)


def _baseline(facts: Mapping[str, Any]) -> str | None:
    for key in ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version"):
        if re.fullmatch(r"\d\d?\.\d\d", str(facts.get(key, ""))):
            return str(facts[key]).zfill(5)
    name = str(facts.get("s2:product_uri") or facts.get("sentinel:product_id") or "")
    found = re.search(r"_N(\d\d)(\d\d)_", name)
    return f"{found[1]}.{found[2]}" if found else None


def _uri(document: Path, rasters: Iterable[str], places: Places, index: str) -> str:
    """Return the raster if there is but one, the document of a single item, or the first raster of an item among others."""
    paths, uri = list(dict.fromkeys(rasters)), relative(document, places.root)
    if paths and (index or len(paths) == 1):
        far = "://" in paths[0]
        return urlsplit(paths[0])._replace(query="", fragment="").geturl() if far else relative(Path(paths[0]), places.root)
    return f"{uri}#{index}" if index else uri


def _number(value: Any) -> float | None:
    """Return a finite number; None for anything else, as the text "nan"."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < 1e12 and not isinstance(value, bool) else None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one if isinstance(one, dict) else {} for one in value] if isinstance(value, list) else []
