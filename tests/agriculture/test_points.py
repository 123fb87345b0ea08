"""Points from the field: placed on the scenes they lie on, written, and read back."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from pyproj import Transformer

from hyla.errors import FormatError
from hyla.frame import Frame, MapFrame
from hyla.pictures import Pictures
from hyla.types import Item, Kind, Labels, Record, item_id
from hyla_agriculture.points import Points
from hyla_agriculture.sample import preset_schema

SCHEMA = preset_schema()
FRAME = MapFrame((10.0, 0.0, 402000.0, 0.0, -10.0, 5702000.0), "EPSG:32633")
DATES = ("2024-05-02", "2024-06-01")
FOREST, WATER = SCHEMA.class_id("forest"), SCHEMA.class_id("water")


def scene(date: str, frame: Any = FRAME) -> Record:
    uri = f"ash_{date}.tif"
    return Record(Item(item_id(uri), uri, "ash", meta={"date": date}), Labels.empty(), size=(100, 200), frame=frame)


class Known(Pictures):
    """Stand for the pictures of a project with two dates of one place."""

    def __init__(self, *scenes: Record) -> None:
        self.scenes = scenes or tuple(scene(date) for date in DATES)

    def known(self) -> Any:
        return iter(self.scenes)


def table(path: Path, rows: list[tuple[Any, ...]], columns: str = "id,longitude,latitude,label") -> Path:
    path.write_text("\n".join([columns, *[",".join(map(str, row)) for row in rows]]) + "\n", encoding="utf-8")
    return path


def lon_lat(x: float, y: float) -> tuple[float, float]:
    ((east, north),) = FRAME.to_world([[x, y]]).tolist()
    return Transformer.from_crs(FRAME.crs, "EPSG:4326", always_xy=True).transform(east, north)  # type: ignore[no-any-return]


def read(path: Path, form: Points) -> list[Record]:
    return list(form.read(path, SCHEMA) or ())


def test_a_table_of_points(tmp_path: Path) -> None:
    file = table(tmp_path / "seen.csv", [(1, *lon_lat(20, 30), "Forest"), (2, *lon_lat(150, 99), "Pond"), (3, 0, 0, "Forest")])
    form = Points(classes={"Pond": "water"}, pictures=Known())
    *found, lost = read(file, form)
    assert [one.item.meta["date"] for one in found] == list(DATES), "a point without a time counts for every date"
    for one in found:
        assert one.labels.class_id.tolist() == [FOREST, WATER]
        np.testing.assert_allclose([shape[0][:2] for shape in one.labels.shape], [[20, 30], [150, 99]], atol=1e-4)
        assert (one.labels.kind == Kind.KEYPOINTS).all()
    assert lost.item.uri == "seen.csv point 3", "a point beside all scenes is counted, as an item that is not there"
    assert len(lost.labels) == 0


def test_points_of_a_time_count_for_its_scenes(tmp_path: Path) -> None:
    rows = [(1, *lon_lat(20, 30), "forest", "2024-05-01", "2024-05-31"), (2, *lon_lat(40, 30), "water", "2024-06-01", "")]
    file = table(tmp_path / "seen.csv", rows, "id,lon,lat,class,start_date,end_date")
    first, second = read(file, Points(pictures=Known()))
    assert (first.labels.class_id.tolist(), second.labels.class_id.tolist()) == ([FOREST], [WATER])


@pytest.mark.parametrize(("name", "driver"), [("seen.gpkg", "GPKG"), ("seen.geojson", "GeoJSON"), ("seen.shp", "ESRI Shapefile")])
def test_files_of_gis_programs(tmp_path: Path, name: str, driver: str) -> None:
    at = [shapely.Point(*lon_lat(20, 30)), shapely.Point(*lon_lat(150, 99))]
    found = geopandas.GeoDataFrame({"land_cover": ["10", "80"]}, geometry=at, crs="EPSG:4326")
    found.to_file(tmp_path / name, driver=driver)
    one, _ = read(tmp_path / name, Points(pictures=Known()))
    assert one.labels.class_id.tolist() == [FOREST, WATER], "codes of ESA WorldCover are known"
    np.testing.assert_allclose([shape[0][:2] for shape in one.labels.shape], [[20, 30], [150, 99]], atol=1e-3)


def test_written_and_read_back(tmp_path: Path) -> None:
    at = np.array([[20.25, 30.5, 2.0]])
    labels = Labels.of(
        [FOREST, WATER, WATER],
        kind=[Kind.KEYPOINTS, Kind.KEYPOINTS, Kind.POLYGON],
        shape=[at, np.array([[150.0, 99.0, 2.0]]), (np.array([[0, 0], [9, 0], [9, 9.0]]),)],
        score=[1, 0.5, 1],
    )
    records = [Record(scene(date).item, labels, size=(100, 200), frame=FRAME, source="human:anna") for date in DATES]
    photo = Record(Item("p", "p.jpg"), labels, size=(100, 200), frame=Frame())
    loss = Points().export([*records, photo], SCHEMA, tmp_path)
    assert loss == {"polygon": 3, "keypoints": 2}
    with (tmp_path / "points.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["class"] for row in rows] == ["forest", "water"] * 2
    assert (float(rows[0]["longitude"]), float(rows[0]["latitude"])) == pytest.approx(lon_lat(20.25, 30.5), abs=1e-7)
    back = read(tmp_path, Points())
    assert [one.item for one in back] == [one.item for one in (*records, photo)]
    for one in back[:2]:
        assert one.frame == FRAME
        assert one.labels == labels[:2]
    assert len(back[2].labels) == 0


@pytest.mark.parametrize(
    ("columns", "row", "settings", "message"),
    [
        ("id,longitude,latitude,label", (1, 13.6, 51.4, "swamp"), {}, "no class 'swamp'"),
        ("id,longitude,latitude,what", (1, 13.6, 51.4, "forest"), {}, "no column that is known to hold classes"),
        ("id,longitude,latitude,label", (1, 13.6, 51.4, "forest"), {"column": "kind"}, "no column 'kind'"),
        ("id,a,b,label", (1, 13.6, 51.4, "forest"), {}, "no columns of coordinates"),
        ("id,longitude,latitude,label", (1, "here", 51.4, "forest"), {}, "line 2 has no coordinates"),
        ("id,longitude,latitude,label", (1, "nan", 51.4, "forest"), {}, "line 2 has no coordinates"),
        ("id,longitude,latitude,label", (1, 13.6), {}, "line 2 has no coordinates"),
    ],
)
def test_what_can_not_be_read_says_why(tmp_path: Path, columns: str, row: Any, settings: Any, message: str) -> None:
    file = table(tmp_path / "seen.csv", [row], columns)
    with pytest.raises(FormatError, match=message):
        read(file, Points(pictures=Known(), **settings))


def test_unknown_words_may_be_skipped_or_left_out(tmp_path: Path) -> None:
    file = table(tmp_path / "seen.csv", [(1, *lon_lat(20, 30), "swamp"), (2, *lon_lat(20, 40), "forest")])
    for form in (Points(unknown="skip", pictures=Known()), Points(classes={"swamp": None}, pictures=Known())):
        assert read(file, form)[0].labels.class_id.tolist() == [FOREST]


def test_without_scenes_points_have_no_place(tmp_path: Path) -> None:
    file = table(tmp_path / "seen.csv", [(1, *lon_lat(20, 30), "forest")])
    for form in (Points(), Points(pictures=Known(scene("2024-05-02", Frame())))):
        with pytest.raises(FormatError, match="can't be placed"):
            read(file, form)


def test_lines_and_layers_without_a_crs_are_refused(tmp_path: Path) -> None:
    line = shapely.LineString([lon_lat(1, 1), lon_lat(5, 5)])
    geopandas.GeoDataFrame({"class": ["forest"]}, geometry=[line], crs="EPSG:4326").to_file(tmp_path / "a.gpkg")
    with pytest.raises(FormatError, match="1 of 1 rows are no points"):
        read(tmp_path / "a.gpkg", Points(pictures=Known()))
    point = geopandas.GeoDataFrame({"class": ["forest"]}, geometry=[shapely.Point(1, 1)])
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        point.to_file(tmp_path / "b.shp")
    with pytest.raises(FormatError, match="does not say where"):
        read(tmp_path / "b.shp", Points(pictures=Known()))
    (tmp_path / "c.gpkg").write_bytes(b"no database")
    with pytest.raises(FormatError, match="can't be read"):
        read(tmp_path / "c.gpkg", Points(pictures=Known()))
