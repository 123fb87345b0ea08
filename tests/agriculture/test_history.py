"""What is remembered of fields, and what earlier years say."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.errors import ConfigError
from hyla_agriculture.history import SEASON, History, Pixels, Seen, Years, ordinal


def write(path, rows):
    path.write_text("\n".join(["field,date,ndvi", *rows]), encoding="utf-8")
    return path


@given(st.lists(st.one_of(st.floats(-1.5, 1.5, width=32), st.just(float("nan"))), max_size=50))
def test_pixels_are_kept_within_half_a_step(values):
    ndvi = np.array(values, np.float32)
    kept = Pixels.of((1, len(values)), ndvi)
    assert kept.ndvi.dtype == np.int16
    np.testing.assert_allclose(kept.values(), ndvi, atol=3e-5)
    wild = Pixels.of((1, 3), np.array([7.0, -9.0, np.inf], np.float32)).values()
    assert wild[0] > 1.6 > -1.6 > wild[1]
    assert np.isnan(wild[2])


def test_a_history_grows_by_a_date_and_leaves_the_earlier_one_alone():
    first = History().after({"a": Seen(1, 0.5, 0.01, 1.0)}, {"a": Pixels.of((1, 1), np.array([0.5], np.float32))})
    second = first.after({"a": Seen(9, 0.6, 0.01, 0.9), "b": Seen(9, 0.7, 0.02, 1.0)}, {})
    assert [one.day for one in second.seen["a"]] == [1, 9]
    assert len(first.seen["a"]) == 1
    assert "b" not in first.seen
    assert second.pixels["a"] is first.pixels["a"]


@settings(deadline=None)
@given(st.dates(date(1990, 1, 1), date(2040, 12, 31)), st.integers(1, 9), st.integers(-60, 60))
def test_a_year_counts_if_its_date_is_within_16_days_of_the_same_day(now, ago, apart):
    same = now.replace(year=now.year - ago, day=28 if (now.month, now.day) == (2, 29) else now.day)
    then = same + timedelta(days=apart)
    found = Years().earlier("a", now.toordinal(), (Seen(then.toordinal(), 0.4, 0.0, 1.0),))
    assert len(found) == (abs(apart) <= SEASON)


def test_years_are_averaged_and_come_in_order(tmp_path):
    rows = [
        "a,2021-06-01,0.5",
        "a,2021-06-11,0.7",
        "a,2020-05-28,0.4",
        "a,2023-12-01,0.1",
        "b,2022-06-01,0.9",
        "a,2024-05-31,0.2",
    ]
    years = Years(write(tmp_path / "years.csv", [*rows, "a,2019-06-01,", "", "a,2022-06-03,nan"]))
    day = date(2024, 6, 3).toordinal()
    assert years.earlier("a", day).tolist() == pytest.approx([0.4, 0.6])  # this year's own May does not count
    assert years.earlier("b", day).tolist() == [0.9]
    assert years.earlier("nobody", day).tolist() == years.earlier("a", None).tolist() == []
    own = (Seen(date(2023, 6, 1).toordinal(), 0.8, 0.0, 1.0), Seen(None, 0.1, 0.0, 1.0))
    assert years.earlier("a", day, own).tolist() == pytest.approx([0.4, 0.6, 0.8])


def test_the_turn_of_the_year_is_no_border():
    seen = (Seen(date(2022, 12, 28).toordinal(), 0.3, 0.0, 1.0), Seen(date(2022, 1, 9).toordinal(), 0.5, 0.0, 1.0))
    assert Years().earlier("a", date(2024, 1, 2).toordinal(), seen).tolist() == [0.5, 0.3]


@pytest.mark.parametrize("kind", ["parquet", "geoparquet"])
def test_parquet_is_read_as_csv_is(tmp_path, kind):
    import geopandas
    import shapely

    columns = {"field": ["a", "a", None], "date": ["2021-06-01", "2022-06-02T10:00:00Z", "2022-06-02"], "ndvi": [0.5, 0.6, 0.7]}
    frame = geopandas.GeoDataFrame(columns, geometry=[shapely.Point(0, 0)] * 3, crs="EPSG:4326")
    path = tmp_path / f"years.{kind}"
    frame.to_parquet(path) if kind == "geoparquet" else frame.drop(columns="geometry").to_parquet(path)
    assert Years(path).earlier("a", date(2024, 6, 1).toordinal()).tolist() == [0.5, 0.6]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("none.csv", None),
        ("columns.csv", b"parcel,date,ndvi\na,2021-06-01,0.5"),
        ("dates.csv", b"field,date,ndvi\na,June,0.5"),
        ("words.csv", b"field,date,ndvi\na,2021-06-01,high"),
        ("bytes.csv", b"field,date,ndvi\n\xff\xfe,2021-06-01,0.5"),
        ("short.csv", b"field,date,ndvi\na"),
        ("empty.csv", b""),
        ("text.parquet", b"field,date,ndvi\na,2021-06-01,0.5"),
        ("empty.parquet", b""),
    ],
)
def test_a_file_that_is_no_history_is_refused(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    if name == "short.csv":
        assert Years(tmp_path / name).earlier("a", 738_000).tolist() == []  # a row without an NDVI says nothing
        return
    with pytest.raises(ConfigError):
        Years(tmp_path / name)


def test_dates_are_read_and_what_is_none_is_none():
    assert ordinal("2024-06-01") == ordinal("2024-06-01T10:30:00Z") == date(2024, 6, 1).toordinal()
    assert ordinal(None) is ordinal("") is ordinal("1 June") is None
