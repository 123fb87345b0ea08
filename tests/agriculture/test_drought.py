"""Drought indices: equal to a library's on a real and a made record, to hand-computed values, and within their bounds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hyla.errors import ConfigError
from hyla_agriculture import drought

# Monthly rain in mm at Wichita, Kansas, 1980 to October 2011, a row for each year: NOAA's observations, published with the
# package SPEI for R (data set `wichita`). It has months without rain.
WICHITA = """
46.3 20.7 101.3 27.2 67.5 34.1 12 95.4 17 31.8 13.8 53.6
6.4 5.6 54.9 9.8 160.7 108 32.3 67.3 57.2 119.1 74.5 7.4
42.8 19.5 52 18.6 198.6 210.4 14.3 38.6 27.5 10.5 18.7 38.4
42.3 31.2 108.5 96.4 103.7 187.4 98 35.4 64.2 75.6 60.7 28.7
5.1 31.3 192.4 94.2 29.4 58.6 7.6 19 55.4 70.9 36.6 119.9
6.7 52.5 41.7 57.9 50.9 121.7 100.9 72.7 151.6 141.8 40.6 15.6
0 32.1 31 45.8 75.6 137 86.8 152.6 96.8 91.8 14.8 31
35.4 84.5 104.9 15.5 203.5 114.4 54.3 195.5 53.4 22.9 38.2 57.2
13 4.6 73.9 113.4 61.2 47.2 23.2 28 13.5 24 19.6 12.8
20.1 9.9 60.5 5.9 126 202.3 103.3 145.2 187.6 9.4 0 11.3
43.9 55.6 68.1 20.4 32.9 48.5 43.7 51.1 49.4 16.3 51.1 19.9
14.7 0 18.2 57.8 104 34.1 67.5 192.3 53 25.4 60.5 52.6
17.1 12 91.5 36.2 87.5 184.4 121.2 49.3 74.7 71.2 124.6 29.5
28.6 57.2 44.5 53.7 244.4 112.9 157.8 33.2 45.2 42.7 13.9 7.6
0.9 7 6.4 96.4 24.1 69.1 149.8 58.4 27.5 87.6 78.3 26.5
11.3 10.4 62.3 86.5 152.5 226 109.4 140 50.7 7.2 2.2 17.5
2.7 2.5 46.2 37.6 112.3 52.4 101 133.1 96.6 48.3 90.5 0.8
9.1 55.5 11.7 96.7 121.4 110.6 149.9 110.8 88.9 86.2 33.1 67.2
26.5 8 107.3 85.7 41.6 10.2 131.3 40.2 82.7 239.3 81.3 27.1
34.3 10 48 152.9 182.1 191.7 88.5 31.8 271.7 4.1 36.8 103.2
23.5 69.2 152.2 30.7 76.2 178.1 93.1 3.6 25.9 122.5 24.9 9.2
37.4 98.8 57.2 36.1 79.3 109.6 31.7 48.4 78.9 26.9 16.5 2.1
28.4 20.8 10.9 67.5 144.8 136.5 49.8 124.4 20.7 210.6 4.7 31
3 49.3 89.8 103.2 76.1 103.6 12 173.1 111.5 81 3.1 22.6
46.8 33.2 90.9 86.7 95.8 204.2 175 55.2 14 86.6 65 7.6
80.7 46.5 46.4 26.1 47.4 185.5 110.5 303.9 15.9 54.9 0.5 15
2.9 0 58.1 50.6 171.7 160.7 54.9 150.5 18.3 24 11.6 42.9
30.7 11.9 142.4 68.6 104.5 216.7 103 91.7 18.3 107 3.6 66.6
9 40 78.1 46.3 333.8 188.6 97.1 76.4 329.3 102.4 34.8 32.1
2.1 15.2 52.2 252.5 74.8 114.7 90.3 100 131.1 97.3 14.2 10.1
10.7 28.2 46.1 26 164.5 135.5 70.5 108.2 79 12.7 31.5 3
8.6 31.7 24.8 37.3 62.3 120.1 36.8 87.9 25 46.2
"""
RAIN = np.array(WICHITA.split(), dtype=float)
YEAR = 1980
fractions = st.floats(-1, 1, allow_nan=False)


def library(mm, months, year, calibration):
    """Return SPI as climate-indices computes it."""
    from climate_indices.compute import Periodicity
    from climate_indices.indices import Distribution, spi

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of short calibrations and of poor fits
        return spi(mm, months, Distribution.gamma, year, *calibration, Periodicity.monthly)[: len(mm)]


def made(years=45, seed=0, dry=0.2):
    rng = np.random.default_rng(seed)
    return rng.gamma(1.2, 40, 12 * years) * (rng.random(12 * years) >= dry)


@pytest.mark.parametrize("months", [1, 2, 3, 6, 9, 12, 24])
@pytest.mark.parametrize(
    ("mm", "year", "calibration"),
    [(RAIN, YEAR, (1980, 2011)), (RAIN, YEAR, (1981, 2010)), (made(), 1970, (1970, 2014)), (made(seed=1), 1970, (1981, 2010))],
    ids=["wichita", "wichita-1981-2010", "made", "made-1981-2010"],
)
def test_spi_equals_the_library(mm, year, calibration, months):
    ours = drought.spi(mm, months, year=year, calibration=calibration)
    theirs = library(mm, months, year, calibration)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9, equal_nan=True)


def test_spi_of_missing_months_equals_the_library():
    mm = made(seed=2)
    mm[[50, 51, 200]] = np.nan
    np.testing.assert_allclose(drought.spi(mm, 3, year=1970), library(mm, 3, 1970, (1970, 2014)), atol=1e-9, equal_nan=True)


def test_spi_is_what_the_greatest_likelihood_gives_to_a_hundredth():
    from scipy import stats

    may = RAIN.reshape(-1)[4::12]
    shape, _, scale = stats.gamma.fit(may, floc=0)
    exact = stats.norm.ppf(stats.gamma.cdf(may, shape, scale=scale))
    np.testing.assert_allclose(drought.spi(RAIN, 1, year=YEAR)[4::12], exact, atol=0.02)


def test_spi_of_one_month_is_standard_normal_over_the_record():
    values = drought.spi(made(years=400, dry=0.0), 3)
    values = values[np.isfinite(values)]
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.03


def test_a_month_without_rain_has_the_share_of_such_months():
    from scipy import stats

    january = drought.spi(RAIN, 1, year=YEAR)[::12]
    assert january[6] == pytest.approx(stats.norm.ppf(1 / 32))  # one January of 32 had none
    assert january.min() == january[6]


def test_a_month_that_never_has_rain_is_not_standardised():
    mm = made()
    mm[6::12] = 0.0
    values = drought.spi(mm, 1)
    assert np.isnan(values[6::12]).all()  # the library calls each of them an extreme drought of -3.09
    assert np.isfinite(values[5::12]).all()


def test_a_record_that_starts_within_a_year_gives_the_same():
    np.testing.assert_array_equal(
        drought.spi(RAIN[5:], 3, year=YEAR, month=6)[20:], drought.spi(np.r_[[np.nan] * 5, RAIN[5:]], 3, year=YEAR)[25:]
    )


@given(mm=arrays(float, st.integers(1, 300), elements=st.floats(0, 1e4)), months=st.integers(1, 24))
def test_spi_is_bounded_or_unknown(mm, months):
    values = drought.spi(mm, months)
    assert values.shape == mm.shape
    assert np.isnan(values[: months - 1]).all()
    known = values[np.isfinite(values)]
    assert ((known >= -3.09) & (known <= 3.09)).all()


@given(extra=st.floats(0.1, 500), row=st.integers(30, 380))
def test_more_rain_than_it_was_is_never_drier_in_its_own_month(extra, row):
    # calibrated without that year, so that only the value changes
    year = YEAR + row // 12
    early, late = (YEAR, year - 1), (year + 1, YEAR + 31)
    calibration = early if year - YEAR > 15 else late
    wetter = RAIN.copy()
    wetter[row] += extra
    before = drought.spi(RAIN, 1, year=YEAR, calibration=calibration)[row]
    assert drought.spi(wetter, 1, year=YEAR, calibration=calibration)[row] >= before


@pytest.mark.parametrize(
    ("mm", "settings", "said"),
    [
        ([1.0, -2.0], {}, "-2 mm"),
        (RAIN, {"months": 0}, "0 months"),
        (RAIN, {"months": 25}, "1 to 24"),
        (RAIN, {"year": YEAR, "calibration": (2050, 2060)}, "2050 to 2060"),
    ],
)
def test_what_spi_can_not_be_computed_from_is_refused(mm, settings, said):
    with pytest.raises(ConfigError, match=said):
        drought.spi(mm, **settings)


def test_vci_tci_and_vhi_by_hand():
    # NDVI of 0.35 where 0.20 to 0.60 was seen: 37.5 %; 301 K where 290 to 310 K was seen: 45 %; their mean 41.25 %.
    assert drought.vci(0.35, 0.20, 0.60) == pytest.approx(37.5)
    assert drought.tci(301.0, 290.0, 310.0) == pytest.approx(45.0)
    assert drought.vhi(37.5, 45.0) == pytest.approx(41.25)
    assert drought.vhi(37.5, 45.0, alpha=1.0) == pytest.approx(37.5)
    np.testing.assert_allclose(drought.vci([0.2, 0.6, 0.1, 0.7], 0.2, 0.6), [0, 100, 0, 100])
    np.testing.assert_allclose(drought.tci([290, 310], 290, 310), [100, 0])  # hot is bad


def test_a_range_of_nothing_and_unknown_values_are_unknown():
    assert np.isnan(drought.vci([0.5, np.nan, 0.5], [0.5, 0.1, np.nan], [0.5, 0.9, 0.9])).all()
    assert np.isnan(drought.vhi(np.nan, 50.0))
    with pytest.raises(ConfigError, match="weight"):
        drought.vhi(10, 10, alpha=1.5)


@given(value=fractions, more=st.floats(0, 1), low=fractions, span=st.floats(0.01, 2), alpha=st.floats(0, 1))
def test_condition_indices_are_bounded_and_rise_with_the_plants(value, more, low, span, alpha):
    v, w = drought.vci([value, value + more], low, low + span)
    assert 0 <= v <= w <= 100
    t, u = drought.tci([value, value + more], low, low + span)
    assert 100 >= t >= u >= 0
    assert min(v, t) - 1e-9 <= drought.vhi(v, t, alpha) <= max(v, t) + 1e-9


def test_drought_classes_change_at_their_limits():
    values = [0, 9.9, 10, 19.9, 20, 29.9, 30, 39.9, 40, 100, np.nan]
    words = [*["extreme"] * 2, *["severe"] * 2, *["moderate"] * 2, *["mild"] * 2, *["none"] * 2, None]
    assert drought.drought_class(values).tolist() == words
    assert drought.spi_class([-3, -2, -1.99, -1.5, -1.49, -1, -0.99, 2, np.nan]).tolist() == [
        *["extreme"] * 2,
        *["severe"] * 2,
        *["moderate"] * 2,
        *["none"] * 2,
        None,
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rain_is_read_from_a_table_in_any_order_and_gaps_stay_gaps(tmp_path, separator):
    file = tmp_path / "rain.csv"
    lines = ["month,mm", "2024-03,12.5", "2023-12-01,3", "2024-01,", "2024-04,0"]
    file.write_text("\n".join(line.replace(",", separator) for line in lines) + "\n\n", encoding="utf-8-sig")
    series = drought.rainfall(file)
    assert (series.year, series.month) == (2023, 12)
    np.testing.assert_array_equal(series.mm, [3, np.nan, np.nan, 12.5, 0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("month,mm\n", "no month"),
        ("2024-01,5\n2024-13,4\n", "line 2: '2024-13'"),
        ("2024-01,wet\n", "'wet'"),
        ("2024-01,-4\n", "'-4'"),
        ("2024-01,inf\n", "'inf'"),
        (None, "can't be read"),
    ],
)
def test_a_table_of_something_else_is_refused_with_its_line(tmp_path, text, said):
    file = tmp_path / "rain.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as error:
        drought.rainfall(file)
    assert said in str(error.value)


def test_spi_at_a_day_is_that_of_the_months_that_are_over():
    series = drought.Rainfall(YEAR, 1, RAIN)
    spi3 = drought.spi(RAIN, 3, year=YEAR)
    row = (2006 - YEAR) * 12  # January 2006
    assert drought.spi_at(series, "2006-02-28") == spi3[row + 1]
    assert drought.spi_at(series, "2006-02-27") == spi3[row]
    assert drought.spi_at(series, "2006-03-01T10:20:30Z") == spi3[row + 1]
    assert drought.spi_at(series, "2006-02-28", months=1) == drought.spi(RAIN, 1, year=YEAR)[row + 1]


def test_spi_at_a_day_that_the_record_does_not_know_is_unknown():
    series = drought.Rainfall(YEAR, 1, RAIN)
    for day in ("1979-12-31", "2012-06-01", "", "soon", "9999-12-31"):
        assert np.isnan(drought.spi_at(series, day))
    short = drought.Rainfall(YEAR, 1, RAIN[: 12 * 19])
    assert np.isnan(drought.spi_at(short, "1990-06-15"))
    assert np.isfinite(drought.spi_at(short, "1990-06-15", years=15))


def test_fields_get_the_rain_and_the_drought_class_of_their_date(tmp_path):
    from hyla.types import Image, Item
    from hyla_agriculture.scene import Fields, Plain
    from hyla_agriculture.zones import Zones

    rain = tmp_path / "rain.csv"
    rain.write_text("\n".join(f"{YEAR + n // 12}-{n % 12 + 1:02d},{mm}" for n, mm in enumerate(RAIN)))
    history = tmp_path / "years.csv"
    history.write_text(
        "field,date,ndvi\n" + "".join(f"f,{year}-06-15,{0.3 + 0.01 * (year - 1996)}\n" for year in range(1996, 2006))
    )
    square = (np.array([[2.0, 2], [28, 2], [28, 28], [2, 28]]),)

    def labels(**settings):
        item = Item("a", "a.tif", kind="scene", meta={"date": "2006-06-15", "bands": ["red", "nir"]})
        scene = Plain(
            Image(np.full((30, 30, 2), [0.2, 0.4], np.float32), item)
        )  # NDVI 1/3, where 0.30 to 0.39 was seen: VCI 37 %
        scene.fields = Fields(("f",), (square,), (None,), (None,), np.ones(1), np.ones(1), np.ones(1))
        return Zones(**settings).predict([Image(scene, item)])[0]

    found = labels(rainfall=str(rain), history=str(history))
    assert found.attributes["spi3"][0] == drought.spi_at(drought.rainfall(rain), "2006-06-15")
    assert found.attributes["vci"][0] == pytest.approx(100 * (1 / 3 - 0.3) / 0.09, abs=1e-3)
    assert found.attributes["drought"].tolist() == ["mild"]
    assert "spi3" not in labels().attributes
    with pytest.raises(ConfigError, match="can't be read"):
        labels(rainfall=str(tmp_path / "none.csv"))
