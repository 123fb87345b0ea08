"""Find scenes in plain rasters (GeoTIFF, COG, JPEG 2000, VRT): all bands in a file, a file for each, or a band for each date."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hyla.errors import BadItem
from hyla_agriculture import vrt
from hyla_agriculture.dates import day_of, day_of_tags, without_day, year_of
from hyla_agriculture.opening import DRIVERS, MAX_PIXELS, Header, header, name_of
from hyla_agriculture.scaling import Given, scaled
from hyla_agriculture.scene import BANDS, NODATA, UNNAMED
from hyla_agriculture.sensors import SENSORS, band_name, in_order, is_index, sensor_of, sensor_of_bands
from hyla_agriculture.sources import BandFile, MaskFile, SceneFiles, in_band_order, inside, listed, relative

BYTES = frozenset(("uint8", "int8"))
NUMBERED = re.compile(r"b(?:and)?_?\d{1,2}a?", re.IGNORECASE)  # a band for sure, though nobody knows which
RESOLUTION = re.compile(r"\d+m", re.IGNORECASE)
# Words that may stand after that of the band: numbers, days, resolutions, versions.
AFTER = re.compile(r"\d+m?|\d+t\d+z?|v\d+|sr|st|boa|toa|cog|clip|band|refl|reflectance", re.IGNORECASE)
# Files that say where clouds are, by the last word of their names: index and codes of `masks.READERS`.
MASKS: dict[str, tuple[tuple[int, str], ...]] = {
    "scl": ((1, "scl"),),
    "fmask": ((1, "fmask"),),
    "pixel": ((1, "qa_pixel"),),
    "radsat": ((1, "qa_radsat"),),
    **dict.fromkeys(("cloudmask", "cloud", "clouds", "cloudmasks"), ((1, "mask"),)),
    "udm2": ((6, "mask"), (5, "mask"), (3, "shadow"), (2, "snow")),  # Planet's Usable Data Mask 2
}


@dataclass(frozen=True)
class _File:
    """Hold a raster, and what its name says: the band or mask that is cut out of it, and what is left.

    Args:
        path: of it.
        stem: of its name.
        rest: the stem without the word of the band or mask: the same for all files of a scene.
        band: common name, empty where the name tells none.
        masks: what its bands mean, of a mask.
    """

    path: Path
    stem: str
    rest: str
    band: str = ""
    masks: tuple[tuple[int, str], ...] = ()


def scenes(
    path: Path, root: Path, given: Given | None = None, taken: set[str] | None = None, max_pixels: int = MAX_PIXELS
) -> Iterator[SceneFiles]:
    """Yield the scenes of the rasters of a folder that no other layout knows.

    A VRT comes before the files it is made of, which then are no scenes of their own. A file that can't be read is a scene which
    says so.

    Args:
        path: a folder, whose subfolders are left alone, or one raster.
        root: the source, beyond which nothing is read.
        given: what the settings say.
        taken: paths that belong to scenes already; those of VRTs are added.
        max_pixels: refuse a file with more.
    """
    given, taken = given or Given(), set() if taken is None else taken
    named = [path] if path.is_file() else [p for p in listed(path) if not p.name.startswith(".")]
    rasters = [p for p in named if p.suffix.lower() in DRIVERS and str(p) not in taken and inside(p, root)]
    rasters.sort(key=lambda p: (p.suffix.lower() != ".vrt", p.name))
    heads: dict[Path, Any] = {}  # headers, or why there is none
    for one in rasters:
        if str(one) not in taken:
            heads[one] = _header(one, root, taken, max_pixels)
    kept = {one: head for one, head in heads.items() if str(one) not in taken}
    sensor = given.sensor or sensor_of_bands([one.stem for one in kept])
    files = [_look(one, sensor or sensor_of(one.stem) or sensor_of(one.parent.name)) for one in sorted(kept)]
    hiding = [file for file in files if file.masks and len(files) > 1 and isinstance(kept[file.path], Header)]
    sets: dict[str, list[_File]] = defaultdict(list)
    covered: set[str] = set()
    for file in (file for file in files if file not in hiding):
        head = kept[file.path]
        if isinstance(head, Header) and file.band and len(head.dtypes) == 1:
            sets[file.rest].append(file)
            continue
        for scene in _broken(file, root, head) if isinstance(head, BadItem) else _whole(file, head, root, given):
            whole = _with_masks(scene, file.rest, hiding, len(kept))
            covered |= {mask.path for mask in whole.masks}
            yield whole
    for rest, members in sets.items():
        whole = _with_masks(_set(rest, members, kept, root, given), rest, hiding, len(kept))
        covered |= {mask.path for mask in whole.masks}
        yield whole
    for file in hiding:  # a mask of nothing is a raster like any other
        if str(file.path) not in covered:
            yield from _whole(file, kept[file.path], root, given)


def at_address(address: str, given: Given, max_pixels: int = MAX_PIXELS) -> Iterator[SceneFiles]:
    """Yield the scenes of one raster on another machine; raise BadItem for one that can't be read."""
    head = header(address, max_pixels)
    stem = Path(name_of(address)).stem
    for scene in _whole(_File(Path(address), stem, stem, band_name(stem, sensor_of(stem)) or ""), head, None, given):
        yield replace(scene, uri=address)


def _header(path: Path, root: Path, taken: set[str], max_pixels: int) -> Header | BadItem:
    try:
        if path.suffix.lower() == ".vrt":
            used = vrt.check(path, root)
            found = header(str(path), max_pixels)
            taken.update(str(one) for one in used)
            return found
        return header(str(path), max_pixels)
    except BadItem as error:
        return error


def _look(path: Path, sensor: str) -> _File:
    """Return what the name of a raster says, the last word that is a band or a mask deciding."""
    words = re.split(r"([_\-. ]+)", path.stem)
    for at in range(len(words) - 1, -1, -2):
        word = words[at].lower()
        name = band_name(word, sensor) or ("unknown" if NUMBERED.fullmatch(word) else "")
        if word not in MASKS and not name:
            if not AFTER.fullmatch(word):
                break
            continue
        out = {at, *(n for n in range(at + 2, len(words), 2) if RESOLUTION.fullmatch(words[n]))}
        out |= {at - 2} if at and words[at - 2].upper() in ("SR", "ST", "QA", "TOA") else set()
        kept = [n for n in range(0, len(words), 2) if n not in out]
        rest = "".join(words[n] + (words[n + 1] if n != kept[-1] else "") for n in kept)  # each with what parts it from the next
        if word in MASKS:
            codes = (((1, "hls"),) if sensor.startswith("hls") and word == "fmask" else MASKS[word]) if kept or at == 0 else ()
            return _File(path, path.stem, rest, "", codes)
        return _File(path, path.stem, rest, word if name == "unknown" else name)
    return _File(path, path.stem, path.stem)


def _set(rest: str, members: Sequence[_File], heads: dict[Path, Any], root: Path, given: Given) -> SceneFiles:
    """Return the scene of files of one band each."""
    folder, first = members[0].path.parent, members[0]
    sensor = given.sensor or sensor_of_bands([one.stem for one in members]) or sensor_of(first.stem) or sensor_of(folder.name)
    uri = relative(first.path if len(members) == 1 else folder / rest if rest else folder, root)
    date, name, meta = _place(rest or folder.name, [heads[one.path] for one in members], folder)
    if unknown := [one.path.name for one in members if NUMBERED.fullmatch(one.band)]:
        hint = "say whose bands they are: loader.sensor=sentinel2"
        return _refused(
            uri, name, date, sensor, BadItem(f"{', '.join(unknown)}: which bands these are is not known", hint, SENSORS)
        )
    finest: dict[str, _File] = {}
    for one in sorted(members, key=lambda m: (heads[m.path].transform[0], m.path.name)):
        finest.setdefault(one.band, one)
    try:
        found = [scaled(heads[one.path], [(1, one.band)], sensor, given)[0] for one in finest.values()]
    except BadItem as error:
        return _refused(uri, name, date, sensor, error)
    bands = in_band_order(found)
    return SceneFiles(
        uri, name, date, sensor, bands, (), meta | _facts(bands, {str(path): head for path, head in heads.items()}, sensor)
    )


def _whole(file: _File, head: Header, root: Path | None, given: Given) -> Iterator[SceneFiles]:
    """Yield the scene of a raster that has all its bands, or the scenes of one whose bands are dates."""
    uri = relative(file.path, root) if root else head.path
    shown = [i for i in range(1, len(head.dtypes) + 1) if i not in head.alpha]
    sensor = given.sensor or sensor_of(file.stem) or sensor_of_bands([head.descriptions[i - 1] for i in shown])
    days = [day_of(head.descriptions[i - 1]) or day_of_tags(head.tags[i]) for i in shown]
    date, name, meta = _place(file.stem, [head], file.path.parent)
    try:
        if len(shown) > 1 and all(days):
            for day in sorted(set(days)):
                of = [i for i, one in zip(shown, days, strict=True) if one == day]
                words = [without_day(head.descriptions[i - 1]) for i in of]
                bands = scaled(head, list(zip(of, _names(file, words, head, sensor, given), strict=True)), sensor, given)
                yield SceneFiles(uri, name, day, sensor, bands, (), meta | _facts(bands, {head.path: head}, sensor))
            return
        words = [head.descriptions[i - 1] for i in shown]
        names = _names(file, words, head, sensor, given)
        bands = scaled(head, list(zip(shown, names, strict=True)), sensor, given)
        guessed = not (any(words) or sensor or given.bands) and names == UNNAMED.get(len(names)) and len(names) > 1
        meta |= {"bands_assumed": True} if guessed else {}
        yield SceneFiles(uri, name, date, sensor, bands, (), meta | _facts(bands, {head.path: head}, sensor))
    except BadItem as error:
        yield _refused(uri, name, date, sensor, error)


def _names(file: _File, words: Sequence[str], head: Header, sensor: str, given: Given) -> tuple[str, ...]:
    """Return the names of the bands of a raster.

    In this order: the settings, where they name as many; the file's own descriptions; the sensor's order; the file's name, of a
    single band; and gray, RGB or RGB and near infrared, by their number.

    Raises:
        BadItem: where none of these says what the bands are.
    """
    count = len(words)
    if len(given.bands) == count:
        asked = [word.lower() for word in given.bands]
        # nir_2 beside nir is that of a further date, and no second infrared band.
        further = [(date := re.fullmatch(r"(.+)_\d+", word)) is not None and date[1] in asked for word in asked]
        common = [word if later else band_name(word, sensor) or word for word, later in zip(asked, further, strict=True)]
        # ndvi_1, ndvi_2: dates of one index, each with its own name.
        return tuple(name if common.count(name) == 1 else word.lower() for name, word in zip(common, given.bands, strict=True))
    own = [band_name(word, sensor) for word in words]
    if any(own):
        said = [
            name or re.sub(r"\W+", "_", word).lower() or f"b{n}" for n, (name, word) in enumerate(zip(own, words, strict=True), 1)
        ]
        return tuple(name if name not in said[:n] else f"{name}_{n + 1}" for n, name in enumerate(said))
    if given.bands:
        raise BadItem(
            f"{file.path.name} has {count} bands, and loader.bands names {len(given.bands)}", "name each band, in order"
        )
    if ordered := in_order(sensor, count):
        return tuple(band.name for band in ordered)
    if count == 1 and file.band and not NUMBERED.fullmatch(file.band):
        return (file.band,)
    if count not in UNNAMED or (count == 1 and head.dtypes[0].startswith("float")):
        what = "one band of floats, which may be an index or reflectance" if count == 1 else f"{count} bands"
        raise BadItem(
            f"{file.path.name} has {what}, and no name of a band",
            "name them in order, loader.bands=[blue,green,red,nir] or [ndvi], or say whose they are: loader.sensor=sentinel2",
            BANDS,
        )
    return UNNAMED[count]


def _place(stem: str, heads: Sequence[Header], folder: Path) -> tuple[str, str, dict[str, Any]]:
    """Return the day, the name of the place, and a year where no day is known."""
    date = day_of(stem) or day_of_tags(heads[0].tags[0])
    year = "" if date else year_of(stem)
    return date, without_day(stem) or folder.name, {"year": int(year)} if year else {}


def _facts(bands: Sequence[BandFile], heads: Mapping[str, Header], sensor: str) -> dict[str, Any]:
    """Return what `Item.meta` tells of the bands; `heads` are by path."""
    kinds = {heads[band.path].dtypes[band.index - 1] for band in bands}
    declared = [heads[band.path].nodata[band.index - 1] if band.nodata is None else band.nodata for band in bands]
    nothing = next((value for value in declared if value is not None and math.isfinite(value)), None)
    reflecting = [band for band in bands if not is_index(band.name)]
    scales = {band.scale for band in reflecting}
    facts: dict[str, Any] = {}
    if any(kind.startswith("float") for kind in kinds):
        facts["nodata"] = NODATA
    elif nothing is not None:
        facts["nodata"] = nothing
    if not reflecting or kinds <= BYTES:
        facts["reflective"] = False
    if len(scales) == 1 and scales != {1.0}:
        facts["scale"] = scales.pop()
    if sensor == "sentinel2" and reflecting and not kinds <= BYTES and not any(band.offset for band in reflecting):
        facts["offset_known"] = False
    return facts


def _with_masks(scene: SceneFiles, rest: str, hiding: Sequence[_File], count: int) -> SceneFiles:
    """Return a scene with the masks that lie beside it: whose names begin as its own does, or that belong to the only scene."""
    own = [m for m in hiding if (m.rest and rest.startswith(m.rest)) or m.rest == rest or count == len(hiding) + 1]
    found = tuple(MaskFile(str(mask.path), index, codes) for mask in own for index, codes in mask.masks)
    return replace(scene, masks=found) if found else scene


def _broken(file: _File, root: Path, error: BadItem) -> Iterator[SceneFiles]:
    yield _refused(relative(file.path, root), without_day(file.stem) or file.stem, day_of(file.stem), "", error)


def _refused(uri: str, name: str, date: str, sensor: str, error: BadItem) -> SceneFiles:
    return SceneFiles(uri, name, date, sensor, meta={"broken": error.what, "remedy": error.hint})
