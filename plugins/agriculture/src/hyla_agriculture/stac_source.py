"""Find scenes in STAC: items, item collections, and catalogues and collections of them, in files of the source."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pystac

from hyla.errors import BadItem
from hyla_agriculture import landsat
from hyla_agriculture.places import Places
from hyla_agriculture.sources import SceneFiles, is_stac, listed, parse_json, read_bytes, relative
from hyla_agriculture.stac_assets import scene_of

T = TypeVar("T", bound=pystac.STACObject)
MOST = 100_000  # documents of one catalogue; a catalogue that is larger, or never ends, is given up


def scenes(
    path: Path, root: Path, *, remote: bool = False, hosts: Collection[str] = (), taken: set[Path] | None = None
) -> list[SceneFiles]:
    """Return the scenes that the STAC documents in a folder speak of.

    Args:
        path: a folder, or one document. Catalogues and collections are followed to their items as far as these are in the source.
        root: the source, beyond which no document and no raster is read.
        remote: True to take rasters at https addresses too.
        hosts: the machines whose addresses may be taken, as `data.example.org`.
        taken: documents that need no reading any more; those that are read now are added, so that who walks through a source
            from the top with one set gets each item once.

    Returns:
        A scene per item, also for one that can't be read, which says so. Nothing for folders without STAC. Nothing is fetched,
        neither linked documents nor schemas.
    """
    taken = set() if taken is None else taken
    places = Places(root, frozenset(hosts) if remote else frozenset())
    found: list[SceneFiles] = []
    documents = [path] if path.is_file() else [one for one in listed(path) if one.suffix.lower() in (".json", ".geojson")]
    read = {one: value for one in documents if (value := _read(one, root)) is not None}
    for document, value in sorted(read.items(), key=lambda pair: (not _leads_on(pair[1]), pair[0])):
        if document not in taken and not _described_better(document, root):
            found += _document(document, value, places, taken)
    return found


def _read(path: Path, root: Path) -> dict[str, Any] | BadItem | None:
    """Return a document, what is wrong with it, or None for what is no STAC."""
    if not is_stac(path, root):
        return None
    try:
        return parse_json(read_bytes(path, root), path.name)
    except BadItem as e:
        return e


def _leads_on(value: dict[str, Any] | BadItem) -> bool:
    return not isinstance(value, BadItem) and value.get("type") not in ("Feature", "FeatureCollection")


def _described_better(document: Path, root: Path) -> bool:
    """Tell whether this is one of the items that USGS adds to a Landsat product, whose MTL and file names say the same."""
    return document.name.lower().endswith("_stac.json") and bool(landsat.scenes(document.parent, root))


def _document(document: Path, value: dict[str, Any] | BadItem, places: Places, taken: set[Path]) -> Iterator[SceneFiles]:
    """Return the scenes of one document and of all that it leads to."""
    waiting = [(document, value)]
    while waiting:
        path, value = waiting.pop()
        if path in taken:
            continue
        taken.add(path)
        if len(taken) > MOST:
            yield _broken(document, places, f"a catalogue of more than {MOST} documents")
            return
        if isinstance(value, BadItem):
            yield _broken(path, places, value.what)
        elif value.get("type") == "FeatureCollection":
            features = value.get("features")
            for index, feature in enumerate(features if isinstance(features, list) else []):
                yield _item(feature, path, places, f"{index}")
        elif value.get("type") == "Feature":
            yield _item(value, path, places)
        else:
            linked, reason = _links(value, path, places)
            if reason:
                yield _broken(path, places, reason)
            waiting += [(one, read) for one in reversed(linked) if (read := _read(one, places.root)) is not None]


def _item(value: Any, path: Path, places: Places, index: str = "") -> SceneFiles:
    try:
        # Not StacIO.stac_object_from_dict, nor ItemCollection, which fetch what items older than 1.0 link to as their collection.
        item = _parsed(pystac.Item, value, path)
        return scene_of(item, path, places, index)
    except BadItem as e:
        return _broken(path, places, e.what, index)


def _links(value: dict[str, Any], path: Path, places: Places) -> tuple[list[Path], str]:
    """Return the documents of the source that a catalogue or collection leads to, and what is wrong with it."""
    try:
        catalog = _parsed(pystac.Collection if "extent" in value else pystac.Catalog, value, path)
    except BadItem as e:
        return [], e.what
    hrefs = [link.target for link in catalog.links if link.rel in ("item", "child", "items") and isinstance(link.target, str)]
    near = [one for href in hrefs if (one := places.local(href, path.parent))]
    return near, f"none of the {len(hrefs)} documents it links to is in the source" if hrefs and not near else ""


def _parsed(kind: type[T], value: Any, path: Path) -> T:
    """Return what pystac makes of a document.

    Raises:
        BadItem: for a document that is no valid STAC.
    """
    if not isinstance(value, dict):
        raise BadItem("it holds no JSON object")
    try:
        return kind.from_dict(value, str(path))
    except Exception as e:  # pystac raises whatever the values it meets make Python raise: KeyError, TypeError, AttributeError
        raise BadItem(f"it is no STAC that can be read: {type(e).__name__}: {e}") from e


def _broken(path: Path, places: Places, reason: str, index: str = "") -> SceneFiles:
    uri = relative(path, places.root)
    return SceneFiles(f"{uri}#{index}" if index else uri, path.stem, meta={"broken": reason})
