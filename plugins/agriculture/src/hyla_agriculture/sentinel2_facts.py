"""Read what the names and the metadata of a Sentinel-2 product say of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hyla.errors import BadItem
from hyla_agriculture.sensors import SENSORS
from hyla_agriculture.sources import iso_date, parse_xml, read_bytes

FIRST_SHIFTED = 4.0  # the first processing baseline whose samples are shifted, and from when it was in use:
SHIFTED_SINCE = "2022-01-25"  # SentiWiki, S2 Products. Older scenes that were processed again (Collection 1) are shifted as well.
SHIFT = -1000.0  # reflectance = (sample - 1000) / 10000
_PRODUCT = re.compile(r"(S2[A-D])_MSI(L1C|L2A)_(\d{8})T(\d{6})(?:_N(\d\d)(\d\d))?_R(\d{3})_T(\d\d[A-Z]{3})")
_TILE = re.compile(r"(?<![A-Z0-9])T?(\d\d[C-X][A-Z]{2})(?![A-Z0-9])")
_DATE = re.compile(r"(?<!\d)(20\d{6})(?!\d)")


@dataclass(frozen=True)
class Facts:
    """Hold what names and metadata say of a product; empty or None where they say nothing."""

    level: str = ""
    baseline: str = ""
    platform: str = ""
    date: str = ""
    time: str = ""
    tile: str = ""
    orbit: int | None = None
    cloud: float | None = None
    sun: float | None = None
    scale: float = 1e-4
    offsets: Mapping[str, float] = field(default_factory=dict)  # digital numbers, by B02
    nodata: float = 0.0
    saturated: float = 65535.0
    described: bool = False  # by MTD_MSIL2A.xml or MTD_MSIL1C.xml

    @property
    def shift(self) -> tuple[float, bool]:
        """Return the offset of most bands in digital numbers, and whether it is known: see `shift_of`.

        Metadata of a shifted baseline which list no offsets are not ESA's own: somebody may have taken them off the samples.
        """
        if self.offsets:
            return Counter(self.offsets.values()).most_common(1)[0][0], True
        shift, known = shift_of(self.baseline, self.date)
        return shift, known and not (self.described and shift)


def shift_of(baseline: str, date: str) -> tuple[float, bool]:
    """Return the offset of the samples in digital numbers, and whether the baseline tells it.

    Args:
        baseline: `04.00`, or empty; without it, the date of the scene decides, which is a guess: Collection 1 is shifted
            whatever its date.
        date: of the scene, `2024-06-01`, or empty.
    """
    try:
        number = float(baseline)
    except ValueError:
        number = 99.99
    if number < 99:  # 99.99 is for products of trial runs
        return (SHIFT if number >= FIRST_SHIFTED else 0.0), True
    return (SHIFT if date >= SHIFTED_SINCE else 0.0), False


def metadata_file(folder: Path) -> Path | None:
    """Return the metadata of the product in `folder`, or None where it has none."""
    names = (folder / name for name in ("MTD_MSIL2A.xml", "MTD_MSIL1C.xml"))
    return next((path for path in names if path.is_file()), None)


def from_names(names: Iterable[str], facts: Facts) -> Facts:
    """Fill in what `facts` lacks from the names of a product, the most telling first."""
    for name in names:
        if found := _PRODUCT.search(name):
            platform, level, day, clock, major, minor, orbit, tile = found.groups()
            facts = _filled(
                facts,
                level=level,
                baseline=f"{major}.{minor}" if major else "",
                platform=f"sentinel-{platform[1:].lower()}",
                date=iso_date(day),
                time=f"{clock[:2]}:{clock[2:4]}:{clock[4:]}",
                orbit=int(orbit),
                tile=tile,
            )
        tile_of, date_of = _TILE.search(name.replace("_", " ")), _DATE.search(name)
        platform_of = re.match(r"S2[A-D](?=_)", name)
        facts = _filled(
            facts,
            tile=tile_of[1] if tile_of else "",
            date=iso_date(date_of[1]) if date_of else "",
            level=next((level for level in ("L2A", "L1C") if level in re.split(r"[_.]", name)), ""),
            platform=f"sentinel-{platform_of[0][1:].lower()}" if platform_of else "",
        )
    return facts


def _filled(facts: Facts, **values: Any) -> Facts:
    return replace(facts, **{k: v for k, v in values.items() if v not in ("", None) and getattr(facts, k) in ("", None)})


def from_product(folder: Path, root: Path) -> Facts:
    """Read MTD_MSIL2A.xml or MTD_MSIL1C.xml (ESA, S2 Products Specification Document, User Product metadata).

    Raises:
        BadItem: for a file that is broken, or has an impossible quantification value.
    """
    path = metadata_file(folder)
    if path is None:
        return from_names([folder.name], Facts())
    tree = parse_xml(read_bytes(path, root), path.name)

    def text(*tags: str) -> str:
        return next((found.strip() for tag in tags if (found := tree.findtext(f".//{tag}"))), "")

    try:
        quantification = float(text("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE") or 10000)
        special = {
            (pair.findtext("SPECIAL_VALUE_TEXT") or "").strip(): float(pair.findtext("SPECIAL_VALUE_INDEX") or "nan")
            for pair in tree.iter("Special_Values")
        }
        words = {
            band.get("bandId"): f"B{band.get('physicalBand', '')[1:].zfill(2)}" for band in tree.iter("Spectral_Information")
        } or {str(number): band.word for number, band in enumerate(SENSORS["sentinel2"])}
        offsets = {
            words.get(entry.get("band_id"), ""): float(entry.text or "nan")
            for tag in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")
            for entry in tree.iter(tag)
        }
        sensed = text("DATATAKE_SENSING_START", "PRODUCT_START_TIME")
        cloud = text("Cloud_Coverage_Assessment", "CLOUD_COVERAGE_ASSESSMENT")
        facts = Facts(
            level=text("PROCESSING_LEVEL").replace("Level-", "L")[:3],
            baseline=text("PROCESSING_BASELINE"),
            platform=text("SPACECRAFT_NAME").lower(),
            date=iso_date(sensed),
            time=sensed[11:19],
            orbit=int(text("SENSING_ORBIT_NUMBER")) if text("SENSING_ORBIT_NUMBER") else None,
            cloud=float(cloud) if cloud else None,
            scale=1 / quantification,
            offsets=offsets,
            nodata=special.get("NODATA", 0.0),
            saturated=special.get("SATURATED", 65535.0),
            described=True,
        )
    except (ValueError, ZeroDivisionError) as e:
        raise BadItem(f"{path.name}: {e}") from e
    numbers = [facts.scale, facts.nodata, facts.saturated, *offsets.values()]
    if not all(abs(number) < 1e6 for number in numbers) or facts.scale <= 0:  # NaN fails the comparison
        raise BadItem(f"{path.name} has a scale, an offset or a special value that can't be")
    return from_names([text("PRODUCT_URI"), folder.name], facts)


def from_tile(folder: Path, root: Path, facts: Facts) -> Facts:
    """Fill in what a granule's MTD_TL.xml says (metadata.xml on AWS); one that can't be read says nothing."""
    path = next((one for name in ("MTD_TL.xml", "metadata.xml") if (one := folder / name).is_file()), None)
    if path is None:
        return facts
    try:
        tree = parse_xml(read_bytes(path, root), path.name)
        zenith = tree.findtext(".//Mean_Sun_Angle/ZENITH_ANGLE")
        name, sensed = tree.findtext(".//TILE_ID") or "", tree.findtext(".//SENSING_TIME") or ""
        baseline, tile = re.search(r"_N(\d\d\.\d\d)$", name), re.search(r"_T(\d\d[A-Z]{3})(?:_|$)", name)
        return _filled(
            facts,
            sun=round(90 - float(zenith), 3) if zenith else None,
            baseline=baseline[1] if baseline else "",
            tile=tile[1] if tile else "",
            date=iso_date(sensed),
            time=sensed[11:19],
        )
    except (BadItem, ValueError):
        return facts
