"""Look at a VRT before GDAL does: it is a program of sorts, which may read any file, fetch any address and run code."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from hyla.errors import BadItem
from hyla_agriculture.sources import inside, parse_xml, read_bytes

DEPTH = 8  # of VRTs in VRTs
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\0\0\0\x0cjP  ", b"\xffO\xffQ")  # TIFF, BigTIFF, JP2, JPEG 2000 codestream
# What gdalbuildvrt and gdal_translate write of plain mosaics and stacks; nothing that computes, warps or reads raw bytes.
KNOWN = frozenset(
    " ".join(
        (
            "VRTDataset SRS GeoTransform Metadata MDI VRTRasterBand Description ColorInterp NoDataValue HideNoDataValue",
            "UnitType Offset Scale CategoryNames Category ColorTable Entry Histograms HistItem HistMin HistMax BucketCount",
            "IncludeOutOfRange Approximate HistCounts SimpleSource ComplexSource SourceFilename SourceBand SourceProperties",
            "SrcRect DstRect NODATA UseMaskBand ScaleOffset ScaleRatio OverviewList MaskBand GCPList GCP",
        )
    ).split()
)


def check(path: Path, root: Path, depth: int = 0) -> list[Path]:
    """Return the files below `root` that the VRT at `path` is made of, those of VRTs in it included, in order.

    Raises:
        BadItem: for one that is no XML, computes or warps, names a file outside of the source or an address, or holds itself.
    """
    name = path.name
    if depth > DEPTH:
        raise BadItem(f"{name} holds itself, or VRTs in VRTs more than {DEPTH} deep", "build it anew with gdalbuildvrt")
    tree = parse_xml(read_bytes(path, root), name)
    used: list[Path] = []
    for element in tree.iter():
        if element.tag not in KNOWN or element.get("subClass"):
            what = f"{element.tag} {element.get('subClass', '')}".strip()
            raise BadItem(
                f"{name} is more than a mosaic or a stack: it has {what}, which may compute or read what it likes",
                "compute it into a GeoTIFF first: gdal_translate in.vrt out.tif",
            )
        if element.tag == "SourceFilename":
            used += _source(element, path, root, depth)
    return used


def _source(element: Element, path: Path, root: Path, depth: int) -> list[Path]:
    named = (element.text or "").strip()
    if element.get("relativeToVRT") != "1" or "://" in named or named.startswith("/vsi") or "<" in named:
        raise BadItem(
            f"{path.name} names {named[:80]!r}, no path relative to it: nothing is fetched, or read elsewhere",
            "build it with gdalbuildvrt inside the folder of its rasters; a remote raster can be named as the source itself",
        )
    file = inside(path.parent / named, root)
    if file is None:
        raise BadItem(
            f"{path.name} needs {named[:80]!r}, which is no file in the source", "copy it to its place, or build the VRT anew"
        )
    if file.suffix.lower() == ".vrt":
        return [file, *check(file, root.resolve(), depth + 1)]
    with file.open("rb") as stream:
        if not stream.read(12).startswith(MAGIC):
            raise BadItem(f"{path.name} names {file.name}, which is neither TIFF nor JPEG 2000", "build it of such files only")
    return [file]
