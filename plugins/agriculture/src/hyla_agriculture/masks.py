"""Read the cloud and quality masks of data providers as the codes of `hyla_agriculture.scene`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem
from hyla_agriculture.scene import CLEAR, CLOUD, MISSING, SATURATED, SHADOW, SNOW

Codes = npt.NDArray[np.uint8]
# Where several masks speak of a pixel, what hides the ground most wins.
WORST = (CLEAR, SNOW, SHADOW, CLOUD, SATURATED, MISSING)


def quality_of(samples: npt.ArrayLike, codes: str) -> Codes:
    """Return the codes CLEAR, CLOUD, SHADOW, SNOW, SATURATED or MISSING of a mask.

    Args:
        samples: whole numbers of any shape, as the file has them.
        codes: which provider's they are: a key of READERS.

    Returns:
        Codes of the same shape. A number that the provider does not define is MISSING: nothing is known of that pixel.

    Raises:
        BadItem: for a raster of numbers with a fraction, which is no mask.
    """
    values = np.asarray(samples)
    if values.dtype.kind not in "iub":
        whole = np.nan_to_num(values, nan=-1.0, posinf=-1.0, neginf=-1.0)
        if not np.array_equal(whole, np.trunc(whole)):
            raise BadItem(
                f"a mask of kind {codes} must hold whole numbers", "name the mask's band, or switch it off: loader.mask=false"
            )
        values = np.clip(whole, -1, 65536).astype(np.int32)
    return READERS[codes](values)


def worst(parts: Sequence[Codes]) -> Codes:
    """Return one code per pixel (h, w) of several masks: MISSING before SATURATED, CLOUD, SHADOW, SNOW and CLEAR."""
    rank = np.zeros(len(WORST), np.uint8)
    rank[list(WORST)] = np.arange(len(WORST))
    return np.array(WORST, np.uint8)[np.maximum.reduce([rank[part] for part in parts])]


def _looked_up(table: Codes, values: npt.NDArray[Any]) -> Codes:
    """Return the entry of each value; MISSING for those beyond the table."""
    if values.dtype.kind == "u" and np.iinfo(values.dtype).max < len(table):
        return np.asarray(table[values])
    known = (values >= 0) & (values < len(table))
    return np.where(known, table[np.where(known, values, 0)], np.uint8(MISSING))


def _scl(values: npt.NDArray[Any]) -> Codes:
    """Read Sentinel-2's scene classification (Sen2Cor; SentiWiki, S2 Processing, Level-2A).

    0 no data, 1 saturated or defective, 2 dark area (cast shadow of terrain before baseline 04.00), 3 cloud shadow, 4 vegetation,
    5 bare, 6 water, 7 unclassified, 8 cloud of medium and 9 of high probability, 10 thin cirrus, 11 snow.
    2 is SHADOW, since its reflectance is that of a shaded surface; 7 is CLEAR, since it has no sign of cloud: Sen2Cor puts there
    what fits no class of land, and taking it away would cost bright soil.
    """
    return _looked_up(_table_of_scl(), values)


@cache
def _table_of_scl() -> Codes:
    return np.array([MISSING, SATURATED, SHADOW, SHADOW, CLEAR, CLEAR, CLEAR, CLEAR, CLOUD, CLOUD, CLOUD, SNOW], np.uint8)


def _qa_pixel(values: npt.NDArray[Any]) -> Codes:
    """Read the bits of Landsat Collection 2's QA_PIXEL (USGS LSDS-1619 for 8 and 9, LSDS-1618 for 4 to 7).

    0 fill, 1 dilated cloud, 2 cirrus (8 and 9), 3 cloud, 4 cloud shadow, 5 snow, 6 clear, 7 water, and two bits of
    confidence each (1 low, 2 medium, 3 high): 8-9 cloud, 10-11 shadow, 12-13 snow, 14-15 cirrus. High confidence counts as
    the bit itself; medium does not, as bit 6 calls such a pixel clear.
    """
    return _looked_up(_table_of_qa_pixel(), values)


@cache
def _table_of_qa_pixel() -> Codes:
    number = np.arange(65536)

    def sure(bit: int, pair: int) -> npt.NDArray[np.bool_]:
        return np.asarray((number >> bit & 1 == 1) | (number >> pair & 3 == 3))

    table = np.full(65536, CLEAR, np.uint8)
    table[sure(5, 12)] = SNOW
    table[sure(4, 10)] = SHADOW
    table[sure(3, 8) | sure(2, 14) | (number >> 1 & 1 == 1)] = CLOUD
    table[number & 1 == 1] = MISSING
    return table


def _qa_radsat(values: npt.NDArray[Any]) -> Codes:
    """Read the bits of Landsat Collection 2's QA_RADSAT (LSDS-1619, LSDS-1618).

    0 to 8 a band that is saturated (any of them makes the pixel SATURATED), 9 a dropped pixel (4 to 7), 11 ground that terrain
    hides from the sensor (8 and 9): both MISSING.
    """
    return _looked_up(_table_of_qa_radsat(), values)


@cache
def _table_of_qa_radsat() -> Codes:
    number = np.arange(65536)
    table = np.full(65536, CLEAR, np.uint8)
    table[number & 0b1_1111_1111 != 0] = SATURATED
    table[number & (1 << 9 | 1 << 11) != 0] = MISSING
    return table


def _fmask(values: npt.NDArray[Any]) -> Codes:
    """Read the classes of Fmask 4 (Zhu and Woodcock): 0 land, 1 water, 2 shadow, 3 snow, 4 cloud, 255 no data."""
    return _looked_up(np.array([CLEAR, CLEAR, SHADOW, SNOW, CLOUD], np.uint8), values)


def _hls(values: npt.NDArray[Any]) -> Codes:
    """Read the bits of the Fmask layer of Harmonized Landsat Sentinel-2 (User Guide 2.0, table of the QA layer).

    0 cirrus, 1 cloud, 2 next to cloud or shadow, 3 shadow, 4 snow, 5 water, 6-7 aerosol; 255 fill. Pixels next to a cloud are
    CLOUD, as Landsat's dilated clouds are.
    """
    return _looked_up(_table_of_hls(), values)


@cache
def _table_of_hls() -> Codes:
    number = np.arange(256)
    table = np.full(256, CLEAR, np.uint8)
    table[number >> 4 & 1 == 1] = SNOW
    table[number >> 3 & 1 == 1] = SHADOW
    table[number & 0b111 != 0] = CLOUD
    table[255] = MISSING
    return table


def _where(code: int) -> Callable[[npt.NDArray[Any]], Codes]:
    """Return a reader of a plain mask: any number but 0 is `code`."""
    return lambda values: np.where(values != 0, np.uint8(code), np.uint8(CLEAR))


READERS: dict[str, Callable[[npt.NDArray[Any]], Codes]] = {
    "scl": _scl,
    "qa_pixel": _qa_pixel,
    "qa_radsat": _qa_radsat,
    "fmask": _fmask,
    "hls": _hls,
    "mask": _where(CLOUD),
    "shadow": _where(SHADOW),
    "snow": _where(SNOW),
}
