"""Walk a source, ask each layout what it knows, and put the dates of one place into a series."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hyla.errors import BadItem
from hyla_agriculture import geotiff, landsat, remote, sentinel2, stac_source
from hyla_agriculture.opening import MAX_PIXELS, header, is_remote, name_of
from hyla_agriculture.scaling import Given, overridden
from hyla_agriculture.sensors import band_name
from hyla_agriculture.sources import SceneFiles, is_stac, listed

# Folders of a Sentinel-2 product, which are read as part of it.
WITHIN = frozenset(("GRANULE", "DATASTRIP", "AUX_DATA", "QI_DATA", "IMG_DATA", "HTML", "rep_info", "R10m", "R20m", "R60m"))
SPARE = ("SCL", "TCI", "AOT", "WVP", "QA_PIXEL", "QA_RADSAT", "QA_AEROSOL")  # what products hold besides their bands
SHIFT = 0.5  # pixels by which the grids of two dates may be off: what Sentinel-2's dates are off from each other at most


@dataclass(frozen=True)
class Entry:
    """Hold one scene and its place in a series.

    Args:
        files: of it.
        group: of the series, empty for a scene that stands alone.
        index: in the series, from 0.
        nth: among the scenes of the same uri; None where it is the only one.
    """

    files: SceneFiles
    group: str = ""
    index: int = 0
    nth: int | None = None


@dataclass(frozen=True)
class Settings:
    """Hold what a scan needs to know besides the source.

    Args:
        given: what the settings say of plain rasters, and of scale, offset and nodata of all.
        remote: True if rasters at addresses in local metadata may be fetched.
        hosts: from these machines.
        max_pixels: refuse a raster with more.
    """

    given: Given = field(default_factory=Given)
    remote: bool = False
    hosts: tuple[str, ...] = ()
    max_pixels: int = MAX_PIXELS


def entries(path: Path, root: Path, settings: Settings) -> list[Entry]:
    """Return all scenes of a folder or file, the dates of a series after each other, in the order of their first uris."""
    return in_series([_overridden(one, settings.given) for one in scenes(path, root, settings)], settings.max_pixels)


def at_address(address: str, settings: Settings) -> list[Entry]:
    """Return the scene of a COG or of a STAC item on another machine; one that can't be read says so."""
    name = name_of(address)
    try:
        if name.lower().endswith((".json", ".geojson")):
            found = [remote.item(address)]
        else:
            found = list(geotiff.at_address(address, settings.given, settings.max_pixels))
    except BadItem as error:
        found = [SceneFiles(address, name, meta={"broken": error.what, "remedy": error.hint})]
    return [Entry(_overridden(one, settings.given), nth=n if len(found) > 1 else None) for n, one in enumerate(found)]


def is_metadata(path: Path) -> bool:
    """Tell whether a file is the metadata of a Sentinel-2 or Landsat product, or a STAC document."""
    if path.name.startswith("MTD_MSI") or path.stem.upper().endswith("_MTL"):
        return True
    return path.suffix.lower() in (".json", ".geojson") and is_stac(path, path.parent)


def scenes(path: Path, root: Path, settings: Settings) -> Iterator[SceneFiles]:
    """Yield the scenes of a folder, with its subfolders, or of a file; no raster is of two scenes."""
    yield from _walk(path, root, settings, set(), set())


def in_series(found: Sequence[SceneFiles], max_pixels: int = MAX_PIXELS) -> list[Entry]:
    """Return scenes with the series they belong to: several days of one place, on one grid to within half a pixel.

    Only the headers of scenes whose name comes with several days are read. A scene without a day, or whose header can't be read,
    stands alone.
    """
    dated: dict[str, list[SceneFiles]] = defaultdict(list)
    for one in found:
        if _when(one):
            dated[one.name].append(one)
    groups: list[list[SceneFiles]] = []
    for members in dated.values():
        if len({_when(one) for one in members}) > 1:
            groups += [group for group in _on_one_grid(members, max_pixels) if len({_when(one) for one in group}) > 1]
    placed: dict[int, tuple[str, int]] = {}
    for group in groups:
        key = f"{group[0].name}-{hashlib.sha256(min(one.uri for one in group).encode()).hexdigest()[:8]}"
        placed |= {id(one): (key, index) for index, one in enumerate(sorted(group, key=_order))}
    several: dict[str, list[SceneFiles]] = defaultdict(list)
    for one in found:
        several[one.uri].append(one)
    made = []
    for one in found:
        same = [id(other) for other in several[one.uri]]
        made.append(Entry(one, *placed.get(id(one), ("", 0)), same.index(id(one)) if len(same) > 1 else None))
    first: dict[str, str] = {}
    for entry in made:
        if entry.group:
            first[entry.group] = min(first.get(entry.group, entry.files.uri), entry.files.uri)
    return sorted(made, key=lambda e: (first.get(e.group, e.files.uri), e.group, e.index, e.files.uri, e.nth or 0))


def _walk(path: Path, root: Path, settings: Settings, taken: set[str], documents: set[Path]) -> Iterator[SceneFiles]:
    found = sentinel2.scenes(path, root)
    product = bool(found)
    found += landsat.scenes(path, root)
    sensors = {one.sensor for one in found}
    found += stac_source.scenes(path, root, remote=settings.remote, hosts=settings.hosts, taken=documents)
    for scene in found:
        if not any(band.path in taken for band in scene.bands):
            taken.update([band.path for band in scene.bands] + [mask.path for mask in scene.masks])
            yield scene
    if path.is_file():
        if not found:
            yield from geotiff.scenes(path, root, settings.given, taken, settings.max_pixels)
        return
    inner = listed(path)
    taken |= {str(one) for one in inner if _spare(one, sensors)}
    yield from geotiff.scenes(path, root, settings.given, taken, settings.max_pixels)
    for folder in inner:
        own = folder.is_dir() and not folder.is_symlink() and not folder.name.startswith(".")
        if own and not (product and folder.name in WITHIN):
            yield from _walk(folder, root, settings, taken, documents)


def _spare(file: Path, sensors: set[str]) -> bool:
    """Tell whether a file is one of a product of which better ones were taken: a band in larger pixels, a preview."""
    return any(band_name(file.stem, one) or file.stem.upper().endswith(SPARE) for one in sensors if one)


def _overridden(one: SceneFiles, given: Given) -> SceneFiles:
    """Return a scene with what the settings say of its bands, and with a name that can be stored."""
    # Who gives an offset knows it.
    meta = {key: value for key, value in one.meta.items() if given.offset is None or key != "offset_known"}
    uri, name = (word.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for word in (one.uri, one.name))
    if uri != one.uri:
        meta |= {"broken": "its name is not UTF-8", "remedy": "give it another name"}
    return replace(one, uri=uri, name=name, bands=tuple(overridden(band, given) for band in one.bands), meta=meta)


def _when(one: SceneFiles) -> str:
    return one.date or str(one.meta.get("year", ""))


def _order(one: SceneFiles) -> tuple[str, str, int]:
    return _when(one), one.uri, one.bands[0].index if one.bands else 0


def _on_one_grid(members: Sequence[SceneFiles], max_pixels: int) -> list[list[SceneFiles]]:
    groups: list[tuple[Any, list[SceneFiles]]] = []
    known: dict[str, Any] = {}
    for one in sorted(members, key=_order):
        if not one.bands or any(is_remote(band.path) for band in one.bands):
            continue
        try:
            for path in {band.path for band in one.bands} - known.keys():
                known[path] = header(path, max_pixels).grid
        except BadItem:
            continue
        finest = min((known[band.path] for band in one.bands), key=lambda grid: abs(grid[1][0] * grid[1][4]))
        own = next((group for grid, group in groups if _same(grid, finest)), None)
        if own is None:
            groups.append((finest, [one]))
        else:
            own.append(one)
    return [group for _, group in groups]


def _same(one: Any, other: Any) -> bool:
    (crs, a, size), (crs2, b, size2) = one, other
    near = all(abs(a[n] - b[n]) <= 1e-6 * abs(a[n]) for n in (0, 4))
    return crs == crs2 and size == size2 and near and abs(a[2] - b[2]) <= SHIFT * a[0] and abs(a[5] - b[5]) <= SHIFT * -a[4]
