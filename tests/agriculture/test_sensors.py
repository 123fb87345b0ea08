"""Bands of sensors: names, numbers, and that the tables agree with those of spyndex and pystac."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla_agriculture.scene import BANDS
from hyla_agriculture.sensors import INDICES, SENSORS, band_name, in_order, is_index, ordered, sensor_of, sensor_of_bands, table

# spyndex and STAC know these under another name; `sensors` says why.
ELSEWHERE = {"nir08": "nir", "lwir": "lwir11", "rededge071": "rededge1", "rededge075": "rededge2", "rededge078": "rededge3"}
SPYNDEX = {"sentinel2a": "sentinel2", **{name: name for name in SENSORS if name.startswith(("landsat", "planet", "modis"))}}
NUMBERED = [(sensor, band) for sensor, bands in SENSORS.items() for band in bands]


@pytest.mark.parametrize("platform", SPYNDEX)
def test_numbers_and_wavelengths_are_those_of_spyndex(platform: str) -> None:
    import spyndex

    own = table(SPYNDEX[platform])
    checked = 0
    for band in spyndex.bands.values():
        theirs = getattr(band, platform, None)
        if theirs is None:
            continue
        name = band.common_name
        mine = own.get(name if platform == "sentinel2a" and name == "nir08" else ELSEWHERE.get(name, name))
        if mine is None:
            assert platform == "modis", (platform, name)  # the ocean bands, which no product of ours has
            continue
        number = mine.word.lower().replace("b0", "b").upper()
        assert (number, mine.wavelength) == (theirs.band, pytest.approx(theirs.wavelength, abs=0.51)), name
        checked += 1
    assert checked >= 6


@pytest.mark.parametrize("sensor", SENSORS)
def test_wavelengths_lie_where_stac_has_the_common_name(sensor: str) -> None:
    from pystac.extensions.eo import Band

    for band in SENSORS[sensor]:
        span = Band.band_range(band.name.rstrip("123") if band.name.startswith("rededge") else band.name)
        if span and band.wavelength and band.name != "pan":  # that of ETM+ reaches further than the one STAC describes
            slack = 0.035 if band.name.startswith("rededge") else 0.005  # STAC has one red edge, up to 750 nm, and rounds
            assert span[0] - slack <= band.wavelength / 1000 <= span[1] + slack, band


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_table_is_consistent(sensor: str) -> None:
    bands = SENSORS[sensor]
    assert len({band.word for band in bands}) == len({band.name for band in bands}) == len(bands)
    for band in bands:
        assert band.name in BANDS or is_index(band.name) or band.name in ("pan", "green05", "swir12")
        assert band.resolution > 0
        assert band.scale > 0


def test_offsets_turn_samples_into_what_the_products_say() -> None:
    landsat, modis, hls = table("landsat9"), table("modis"), table("hls_l30")
    assert 7273 * landsat["red"].scale + landsat["red"].offset == pytest.approx(0.0, abs=1e-5)
    assert 43636 * landsat["red"].scale + landsat["red"].offset == pytest.approx(1.0, abs=1e-4)
    assert 44177 * landsat["lwir11"].scale + landsat["lwir11"].offset == pytest.approx(300.0, abs=1e-2)
    assert (modis["ndvi"].scale, modis["ndvi"].nodata) == (1e-4, -3000)
    assert 14500 * modis["lwir11"].scale == 290
    assert 2000 * hls["lwir11"].scale + hls["lwir11"].offset == pytest.approx(293.15)


@pytest.mark.parametrize(
    ("word", "sensor", "name"),
    [
        ("B8A", "", "nir08"),
        ("b04", "sentinel2", "red"),
        ("b04", "", None),
        ("SR_B4", "landsat8", "red"),
        ("SR_B4", "landsat5", "nir"),
        ("Band 4 (660 nm)", "landsat8", "red"),
        ("T32UQC_20220413T102559_B04_10m.jp2", "sentinel2", "red"),
        ("LC08_L2SP_195024_20200617_20200823_02_T1_ST_B10.TIF", "landsat8", "lwir11"),
        ("HLS.L30.T32UQD.2020001T101010.v2.0.B05.tif", "hls_l30", "nir"),
        ("TERRA_MODIS_012010_NDVI_2014-07-28.jp2", "", "ndvi"),
        ("sur_refl_b01", "modis", "red"),
        ("250m 16 days blue reflectance", "modis", "blue"),
        ("LST_Day_1km", "modis", "lwir11"),
        ("coastal_blue", "planetscope", "coastal"),
        ("green_i", "planetscope", "green05"),
        ("NIR", "", "nir"),
        ("Near Infrared", "", "nir"),
        ("Red edge 2", "", "rededge2"),
        ("red_deer_field.tif", "", None),
        ("green_valley", "", None),
        ("TCI", "sentinel2", None),
        ("S2B_MSIL2A_20220413", "sentinel2", None),
        ("B13", "sentinel2", None),
        ("", "", None),
    ],
)
def test_words_of_bands(word: str, sensor: str, name: str | None) -> None:
    assert band_name(word, sensor) == name


@settings(deadline=None)
@given(
    st.sampled_from(NUMBERED),
    st.sampled_from(["{}", "SR_{}", "x_{}_10m.tif", "T32UQC_20220413T102559_{}.jp2", "{} (665 nm)", "field.{}", " {} "]),
    st.sampled_from([str.lower, str.upper]),
    st.booleans(),
)
def test_every_spelling_of_a_number_is_its_band(numbered: tuple[str, object], form: str, case: object, padded: bool) -> None:
    sensor, band = numbered
    word = band.word  # type: ignore[attr-defined]
    if word[1:].isdigit():
        word = f"B{int(word[1:]):02}" if padded else f"B{int(word[1:])}"
    assert band_name(form.format(case(word)), sensor) == band.name  # type: ignore[attr-defined, operator]


@settings(deadline=None)
@given(st.text(max_size=60), st.sampled_from(["", *SENSORS]))
def test_any_word_is_a_band_or_none(word: str, sensor: str) -> None:
    name = band_name(word, sensor)
    assert name is None or name in BANDS or is_index(name) or name in ("pan", "green05", "swir12")
    assert sensor_of(word) in ("", *SENSORS)


@settings(deadline=None)
@given(st.sampled_from(BANDS))
def test_common_names_stand_for_themselves(name: str) -> None:
    assert {band_name(name, sensor) for sensor in ("", *SENSORS)} == {name}


@pytest.mark.parametrize(
    ("name", "sensor"),
    [
        ("S2B_MSIL2A_20220413T102559_N0400_R108_T32UQC_20220413T134700.SAFE", "sentinel2"),
        ("T32UQC_20220413T102559_B04_10m.jp2", "sentinel2"),
        ("S2B_32UQC_20220413_0_L2A", "sentinel2"),
        ("sentinel-2c", "sentinel2"),
        ("LC08_L2SP_195024_20200617_20200823_02_T1_SR_B4.TIF", "landsat8"),
        ("LT05_L2SP_010067_19860424_20200918_02_T2", "landsat5"),
        ("landsat-7", "landsat7"),
        ("HLS.L30.T32UQC.2020001T101010.v2.0.B05.tif", "hls_l30"),
        ("HLS.S30.T32UQC.2020001T101010.v2.0", "hls_s30"),
        ("m_4709963_se_14_1_20140720.tif", "naip"),
        ("MOD13Q1.A2014001.h12v10.061.tif", "modis"),
        ("20200601_101112_ssc2_3B_AnalyticMS_SR_8b_clip.tif", "planetscope"),
        ("leipzig_raster.tif", ""),
        ("us2_map", ""),
    ],
)
def test_the_sensor_is_told_by_the_name(name: str, sensor: str) -> None:
    assert sensor_of(name) == sensor


def test_bands_without_names_are_in_the_order_of_the_product() -> None:
    def names(sensor: str, count: int) -> list[str] | None:
        bands = in_order(sensor, count)
        return None if bands is None else [band.name for band in bands]

    assert names("naip", 4) == ["red", "green", "blue", "nir"]
    assert names("planetscope", 4) == ["blue", "green", "red", "nir"]
    assert names("planetscope", 8) == ["coastal", "blue", "green05", "green", "yellow", "red", "rededge1", "nir"]
    assert names("sentinel2", 13) == [band.name for band in SENSORS["sentinel2"]]
    assert names("sentinel2", 12) == [band.name for band in SENSORS["sentinel2"] if band.word != "B10"]
    assert names("sentinel2", 7) is None
    assert names("unheard of", 3) is None


def test_a_set_of_numbers_tells_sentinel2_where_it_can() -> None:
    assert sensor_of_bands(["b02", "b03", "b04", "b06", "b07", "b08", "b11", "ndvi"]) == "sentinel2"
    assert sensor_of_bands(["B8A", "B04"]) == "sentinel2"
    assert sensor_of_bands(["b01", "b02", "b03", "b04", "b07"]) == ""  # MODIS has these too
    assert sensor_of_bands(["B2", "B3", "B4", "B8"]) == ""


def test_indices_are_no_reflectance() -> None:
    import spyndex

    assert is_index("NDVI")
    assert not any(is_index(name) for name in BANDS)
    own = {
        "bsi",
        "cire",
        "fapar",
        "fcover",
        "lai",
        "ndre",
        "spi",
        "vhi",
        "vci",
        "cig",
        "exg",
    }
    assert not own - INDICES
    assert len({key.lower() for key in spyndex.indices} & INDICES) > 25


@settings(deadline=None)
@given(st.permutations([*BANDS, "ndvi"]))
def test_names_are_put_in_the_order_of_bands(names: list[str]) -> None:
    assert ordered(names) == [*BANDS, "ndvi"]
