"""Know the bands of each sensor: what a product calls them, their common names, and what turns a sample into reflectance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hyla_agriculture.scene import BANDS

REFLECTANCE = 1e-4  # what most products store reflectance in: ten-thousandths, as whole numbers
SURFACE_REFLECTANCE = (2.75e-5, -0.2)  # scale and offset of Landsat Collection 2 Level 2 (USGS LSDS-1618 and LSDS-1619)
SURFACE_TEMPERATURE = (0.00341802, 149.0)  # the same of its temperatures, in kelvin


@dataclass(frozen=True)
class Band:
    """Describe one band of a sensor.

    Args:
        word: what products call it: `B8A`.
        name: common name, as `hyla_agriculture.scene.BANDS` has it; `pan`, `green05` and `swir12` have no place there.
        wavelength: of its centre, in nanometres; 0 for an index.
        resolution: native size of a pixel on the ground, in metres.
        scale: physical value = sample x scale + offset: reflectance, kelvin of a thermal band, or an index.
        offset: see above.
        nodata: sample that means nothing; None where products differ and the file says it.
        saturated: sample that means a saturated detector; None if there is none.
    """

    word: str
    name: str
    wavelength: float
    resolution: float
    scale: float = REFLECTANCE
    offset: float = 0.0
    nodata: float | None = None
    saturated: float | None = None


def _sr(word: str, name: str, wavelength: float, resolution: float = 30) -> Band:
    return Band(word, name, wavelength, resolution, *SURFACE_REFLECTANCE, nodata=0)


def _st(word: str, name: str, wavelength: float) -> Band:
    return Band(word, name, wavelength, 30, *SURFACE_TEMPERATURE, nodata=0)


# Centres of Sentinel-2A (ESA, S2 MSI spectral responses); those of 2B and 2C are within 20 nm.
_MSI = tuple(
    Band(word, name, wavelength, resolution, nodata=0, saturated=65535)
    for word, name, wavelength, resolution in (
        *(("B01", "coastal", 442.7, 60), ("B02", "blue", 492.4, 10), ("B03", "green", 559.8, 10), ("B04", "red", 664.6, 10)),
        *(("B05", "rededge1", 704.1, 20), ("B06", "rededge2", 740.5, 20), ("B07", "rededge3", 782.8, 20)),
        *(("B08", "nir", 832.8, 10), ("B8A", "nir08", 864.7, 20), ("B09", "nir09", 945.1, 60), ("B10", "cirrus", 1373.5, 60)),
        *(("B11", "swir16", 1613.7, 20), ("B12", "swir22", 2202.4, 20)),
    )
)
# The one near infrared band of Landsat, MODIS and PlanetScope is `nir` here, since indices ask for it by that name (STAC and
# spyndex call some of these nir08); the one thermal band of TM and ETM+ is lwir11 for the same reason (spyndex: lwir).
_TM = (
    *(_sr("B1", "blue", 485), _sr("B2", "green", 560), _sr("B3", "red", 660), _sr("B4", "nir", 830), _sr("B5", "swir16", 1650)),
    *(_st("B6", "lwir11", 11450), _sr("B7", "swir22", 2215)),
)
_ETM = (
    *(_sr("B1", "blue", 485), _sr("B2", "green", 560), _sr("B3", "red", 660), _sr("B4", "nir", 835), _sr("B5", "swir16", 1650)),
    *(_st("B6", "lwir11", 11450), _sr("B7", "swir22", 2220), _sr("B8", "pan", 710, 15)),
)
_OLI = (
    *(_sr("B1", "coastal", 440), _sr("B2", "blue", 480), _sr("B3", "green", 560), _sr("B4", "red", 655), _sr("B5", "nir", 865)),
    *(_sr("B6", "swir16", 1610), _sr("B7", "swir22", 2200), _sr("B8", "pan", 590, 15), _sr("B9", "cirrus", 1373)),
    *(_st("B10", "lwir11", 10895), _st("B11", "lwir12", 12005)),
)
SENSORS: dict[str, tuple[Band, ...]] = {
    "sentinel2": _MSI,
    **{"landsat4": _TM, "landsat5": _TM, "landsat7": _ETM, "landsat8": _OLI, "landsat9": _OLI},
    # Harmonized Landsat Sentinel-2 (its User Guide 2.0): temperatures are hundredths of a degree Celsius.
    "hls_l30": tuple(
        replace(b, scale=0.01 if b.offset > 0 else REFLECTANCE, offset=273.15 if b.offset > 0 else 0.0, nodata=-9999)
        for b in _OLI
        if b.name != "pan"
    ),
    "hls_s30": tuple(replace(b, resolution=30, nodata=-9999, saturated=None) for b in _MSI),
    # SuperDove, whose products have all eight or the four of `in_order` (Planet, Imagery Product Specification).
    "planetscope": tuple(
        Band(f"B{n}", name, wavelength, 3, nodata=0)
        for n, (name, wavelength) in enumerate(
            (
                *(("coastal", 441.5), ("blue", 490), ("green05", 531), ("green", 565)),
                *(("yellow", 610), ("red", 665), ("rededge1", 705), ("nir", 865)),
            ),
            1,
        )
    ),
    "rapideye": tuple(
        Band(f"B{n}", name, wavelength, 5, nodata=0)
        for n, (name, wavelength) in enumerate(
            (("blue", 475), ("green", 555), ("red", 657.5), ("rededge1", 710), ("nir", 805)),
            1,
        )
    ),
    # Bytes from the air; the cameras differ from year to year, these are the centres of a Leica ADS100.
    "naip": tuple(
        Band(f"B{n}", name, wavelength, 1, scale=1 / 255)
        for n, (name, wavelength) in enumerate((("red", 635), ("green", 555), ("blue", 465), ("nir", 845)), 1)
    ),
    # MOD09 and MOD13, whose fill values of reflectance differ, so that the file must say them, and MOD11's temperatures.
    "modis": (
        *(Band("B01", "red", 645, 250), Band("B02", "nir", 858.5, 250), Band("B03", "blue", 469, 500)),
        *(Band("B04", "green", 555, 500), Band("B05", "swir12", 1240, 500), Band("B06", "swir16", 1640, 500)),
        *(Band("B07", "swir22", 2130, 500), Band("NDVI", "ndvi", 0, 250, nodata=-3000), Band("EVI", "evi", 0, 250, nodata=-3000)),
        Band("LST", "lwir11", 11030, 1000, scale=0.02, nodata=0),
    ),
}
# Order of the bands of products that have fewer than their sensor.
FEWER: dict[tuple[str, int], tuple[str, ...]] = {
    ("planetscope", 4): ("blue", "green", "red", "nir"),
    ("planetscope", 5): ("blue", "green", "red", "rededge1", "nir"),
    ("naip", 3): ("red", "green", "blue"),
    ("sentinel2", 12): tuple(band.name for band in _MSI if band.name != "cirrus"),  # L2A has no B10
    ("sentinel2", 10): tuple(band.name for band in _MSI if band.resolution < 60),
    ("sentinel2", 4): ("blue", "green", "red", "nir"),
    **{(f"landsat{n}", 7): tuple(band.name for band in _OLI[:7]) for n in (8, 9)},
    **{(f"landsat{n}", 6): tuple(band.name for band in _OLI[1:7]) for n in (8, 9)},
    **{(f"landsat{n}", 6): tuple(band.name for band in _TM if band.name != "lwir11") for n in (4, 5, 7)},
    **{(f"hls_{a}30", 6): ("blue", "green", "red", nir, "swir16", "swir22") for a, nir in (("l", "nir"), ("s", "nir08"))},
}
# Rasters that are a measure already: their samples are no reflectance, and nothing is to be computed from them as if they were.
_INDICES = """
    arvi avi bi bsi cig cire csi dbsi dvi evi evi2 exg fapar fcover gari gci gndvi gvi kndvi lai lswi mcari mndwi msavi msavi2 nbr
    nbr2 ndbi ndci ndmi ndre ndrei ndsi ndti ndvi ndwi nmdi osavi pri pvi reci savi sipi spi tvi vari vci vhi wdrvi
"""
INDICES = frozenset(_INDICES.split())
_WORDS = {
    "coastal": "coastal coastalblue coastalaerosol aerosol aerosols ultrablue",
    "blue": "blue",
    "green": "green greenii green2",
    "green05": "green05 greeni green1",
    "yellow": "yellow",
    "red": "red",
    "rededge1": "rededge1 rededge re re1 rededge071 vegetationrededge1",
    "rededge2": "rededge2 re2 rededge075",
    "rededge3": "rededge3 re3 rededge078",
    "nir": "nir nir1 nearinfrared infrared nearir",
    "nir08": "nir08 nir2 re4 rededge4 narrownir nirnarrow nira nearinfrarednarrow",
    "nir09": "nir09 watervapor watervapour",
    "cirrus": "cirrus",
    "swir16": "swir16 swir1 shortwaveinfrared1",
    "swir22": "swir22 swir2 shortwaveinfrared2",
    "lwir11": "lwir11 lwir tirs1 tir thermal tir1 surfacetemperature",
    "lwir12": "lwir12 tirs2 tir2",
    "pan": "pan panchromatic",
}
NAMES = {word: name for name, words in _WORDS.items() for word in words.split()} | {name: name for name in INDICES}
# Tokens of file names and descriptions that say nothing of the band and may follow its name.
_SAID = re.compile(
    r"\d+|\d+k?m|\d+nm|\d{8}t\d{6}z?|nm|v\d+|reflectance|refl|band|toa|boa|sr|st|cog|day|night|image|clip|harmonized|nbart?"
)
_SENSOR = {  # by file name, the first that fits
    r"(?<![a-z0-9])hls[._]([ls]30)": "hls_{}",
    r"(?<![a-z0-9])l[cotem]0?([45789])_|landsat[-_ ]?([45789])(?!\d)": "landsat{}",
    r"(?<![a-z0-9])s2[abc]?(?![a-z0-9])|sentinel[-_ ]?2|(?<![a-z0-9])t\d\d[a-z]{3}_\d{8}t\d{6}": "sentinel2",
    r"analyticms|psscene|planetscope|superdove|_3b_": "planetscope",
    r"(?<![a-z0-9])m_\d{7}_[ns][ew]_\d\d_|naip": "naip",
    r"(?<![a-z0-9])m[oyc]d\d\d[a-z]\d|modis": "modis",
    r"rapideye|_re\d_3a": "rapideye",
}


def sensor_of(name: str) -> str:
    """Return the sensor that a file or product name tells, as the keys of SENSORS, or an empty string."""
    for pattern, sensor in _SENSOR.items():
        if found := re.search(pattern, name.lower()):
            return sensor.format(*(group for group in found.groups() if group))
    return ""


def band_name(word: str, sensor: str = "") -> str | None:
    """Return the common name of the band that `word` speaks of, or None.

    Args:
        word: `B8A`, `b04`, `SR_B4`, `NIR`, `Red edge 1`, `Band 4 (660 nm)`, or a file name that ends so. The last part that is
            no date, resolution or the like decides: `red_deer_field` is no red.
        sensor: key of SENSORS; without it numbers say nothing, since sensors differ, but for `B8A`, which is Sentinel-2's alone.

    Returns:
        A common name, or the name of an index (`ndvi`), which is a measure already; see `is_index`.
    """
    text = re.sub(r"\.(tiff?|jp2|jpeg2000|vrt|img|cog)$", "", word.strip().lower())
    tokens = [token for token in re.split(r"[^a-z0-9]+", text) if token]
    numbered = {_bare(band.word.lower()): band.name for band in SENSORS.get(sensor, ())}
    for end in range(len(tokens), 0, -1):
        for length in (3, 2, 1):
            joined = _bare("".join(tokens[max(end - length, 0) : end]))
            if length <= end and (found := numbered.get(joined) or NAMES.get(joined) or ("nir08" if joined == "b8a" else None)):
                return found
        if not _SAID.fullmatch(tokens[end - 1]):
            return None
    return None


def is_index(name: str) -> bool:
    """Tell whether `name` is that of an index, or of one of its dates (`ndvi_3`): its samples are no reflectance."""
    return re.sub(r"_\d+$", "", name.lower()) in INDICES


def table(sensor: str) -> dict[str, Band]:
    """Return the bands of `sensor` by common name; none for an unknown sensor."""
    return {band.name: band for band in SENSORS.get(sensor, ())}


def in_order(sensor: str, count: int) -> tuple[Band, ...] | None:
    """Return the bands of a file of `count` bands without names, in the order in which products have them; None if not known."""
    bands = SENSORS.get(sensor, ())
    if (sensor, count) in FEWER:
        return tuple(table(sensor)[name] for name in FEWER[sensor, count])
    return bands if bands and len(bands) == count else None


def sensor_of_bands(words: Sequence[str]) -> str:
    """Return `sentinel2` for a set of names that only it has (`B8A`, or two digits and two of B05 to B08, B11, B12), else "".

    A file's bands `b02, b03, b04, b08, b11` are told from MODIS, which has no B08, and from Landsat, which writes `B2`.
    """
    given = {token for word in words for token in re.findall(r"(?<![a-z0-9])b(?:\d\d|8a)(?![a-z0-9])", word.lower())}
    own = given & {"b08", "b11", "b12"}
    return "sentinel2" if "b8a" in given or ("b08" in given and len(given) > 1) or len(own) > 1 else ""


def ordered(names: Sequence[str]) -> list[str]:
    """Return `names` in the order of BANDS, with others after them as they came."""
    return sorted(names, key=lambda name: BANDS.index(name) if name in BANDS else len(BANDS))


def _bare(word: str) -> str:
    """Drop what spellings of a band's number differ in: `band04`, `b04` and `b4` are the same."""
    return re.sub(r"^b(?:and)?0*(\d+a?)$", r"b\1", word)
