"""The farmland is what its truth says, lies where its files say, and reads back under the ids of the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize

from hyla.codec import record_from_dict
from hyla.errors import ConfigError
from hyla.frame import MapFrame
from hyla_agriculture import sample
from hyla_agriculture.scene import CLEAR, CLOUD, SHADOW, Window, view
from hyla_agriculture.scenes import Scenes

SCHEMA = sample.preset_schema()
SCENES = 32
WHOLE = Window(0, sample.SIZE, 0, sample.SIZE)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    to = tmp_path_factory.mktemp("sample")
    return sample.write(to, scenes=SCENES), to


@pytest.fixture(scope="module")
def loaded(written: tuple[Path, Path]) -> list[Any]:
    loader = Scenes()
    return [(item, loader.load(item)) for item in loader.items(str(written[0]))]


@pytest.fixture(scope="module")
def truth(written: tuple[Path, Path]) -> list[Any]:
    return [record_from_dict(json.loads(line), SCHEMA) for line in (written[1] / "truth.jsonl").read_text().splitlines()]


def test_truth_stands_under_the_ids_frames_and_sizes_of_the_loader(loaded: list[Any], truth: list[Any]) -> None:
    assert [record.item for record in truth] == [item for item, _ in loaded]
    assert len(truth) == SCENES
    for record, (_, image) in zip(truth, loaded, strict=True):
        assert isinstance(image.frame, MapFrame)
        assert (record.frame, record.size) == (image.frame, image.size)
        SCHEMA.check(record.labels, record.size)


def test_the_dates_of_a_place_follow_each_other(loaded: list[Any]) -> None:
    groups: dict[str, list[Any]] = {}
    for item, _ in loaded:
        groups.setdefault(item.group, []).append((item.index, item.meta["date"]))
    assert len(groups) == SCENES // 4
    assert all(dates == list(enumerate(sample.DATES)) for dates in groups.values())


def test_the_loader_knows_bands_fields_and_clouds(written: tuple[Path, Path], loaded: list[Any]) -> None:
    for item, image in loaded:
        scene = view(image)
        assert scene.bands == ("blue", "green", "red", "rededge1", "nir", "swir16")
        assert scene.fields is not None
        assert 12 < len(scene.fields) < 40
        assert np.isfinite(scene.fields.declared).all()
        np.testing.assert_allclose(scene.fields.declared, scene.fields.hectares, atol=0.011, rtol=0.002)  # UTM's scale: 0.9996
        values = scene.reflectance(WHOLE, scene.bands)
        with rasterio.open(written[0] / item.uri) as file:
            np.testing.assert_allclose(values, file.read() * 1e-4 - 0.1, atol=1e-6)
        assert set(np.unique(scene.quality(WHOLE))) <= {CLEAR, CLOUD, SHADOW}
    cloudy = [image.context["cloud_share"] > 0.02 for _, image in loaded]
    assert cloudy == [bool(sample.CLOUDY[n // 4 % 4][n % 4]) for n in range(SCENES)]


def ndvi_of(image: Any, shape: Any) -> float:
    """Return the median NDVI of the clear pixels in a polygon."""
    import shapely

    scene = view(image)
    red, nir = scene.reflectance(WHOLE, ("red", "nir"))
    inside = rasterize([shapely.Polygon(shape[0])], (sample.SIZE, sample.SIZE)) > 0
    clear = inside & (scene.quality(WHOLE) == CLEAR)
    return float(np.median(((nir - red) / (nir + red))[clear])) if clear.any() else np.nan


def test_pixels_are_of_the_condition_that_the_truth_says(loaded: list[Any], truth: list[Any]) -> None:
    found: dict[str, list[float]] = {}
    for record, (_, image) in zip(truth, loaded, strict=True):
        for c, shape in zip(record.labels.class_id, record.labels.shape, strict=True):
            found.setdefault(SCHEMA.names[c], []).append(ndvi_of(image, shape))
    assert set(found) == {
        "healthy",
        "stressed",
        "suspected_drought",
        "suspected_pest",
        "suspected_pest_zone",
        "change_zone",
        "bare",
        "unusable",
    }
    middle = {name: float(np.nanmedian(values)) for name, values in found.items()}
    assert middle["healthy"] > 0.6 > middle["suspected_drought"] > middle["bare"]
    assert middle["suspected_pest_zone"] < 0.4
    assert min(len(found[name]) for name in ("suspected_drought", "suspected_pest", "stressed", "unusable")) >= 8


def test_the_parcel_file_is_one_that_others_read(written: tuple[Path, Path]) -> None:
    fields = geopandas.read_file(written[0] / "fields.gpkg")
    assert list(fields.columns) == ["field_id", "crop", "previous_crop", "area_ha", "geometry"]
    assert fields.crs.to_epsg() == 32633
    assert fields.geometry.is_valid.all()
    assert fields.field_id.is_unique


def test_the_same_seed_gives_the_same_scenes_and_another_does_not(tmp_path: Path) -> None:
    one, again, other = (sample.write(tmp_path / name, scenes=1, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    names = sorted(path.name for path in one.glob("*.tif"))
    assert names == ["alder_20240502.tif", "alder_20240502_SCL.tif"]
    assert all((one / name).read_bytes() == (again / name).read_bytes() for name in names)
    assert (tmp_path / "a" / "truth.jsonl").read_bytes() == (tmp_path / "b" / "truth.jsonl").read_bytes()
    assert (tmp_path / "a" / "truth.jsonl").read_bytes() != (tmp_path / "c" / "truth.jsonl").read_bytes()
    assert other.name == "farmland"


def test_a_place_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="the sample can't be written to"):
        sample.write(tmp_path / "file", scenes=1)
