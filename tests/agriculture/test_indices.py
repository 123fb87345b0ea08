"""Indices against spyndex in double precision; what a formula may hold; what happens where a band is missing."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import spyndex
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hyla.errors import BadItem, ConfigError
from hyla.types import Image, Item
from hyla_agriculture.formulas import STANDARD, SYMBOLS
from hyla_agriculture.indices import Evaluator, Indices
from zones_kit import BANDS, SOIL, Land

KEYS = ("NDVI", "NDMI", "NDREI", "SAVI", "BI", "MNDWI", "NDWI", "EVI")
SYMBOL = {common: symbol for symbol, common in SYMBOLS.items() if symbol != "T"}
DENOMINATORS = {"BI": ("swir16", "red", "nir", "blue"), "SAVI": ("nir", "red")}


def reference(key, values):
    """Return the index by spyndex, in float64 (h, w); `values` has bands by common name."""
    constants = {"L": 0.5 if key == "SAVI" else 1.0, "g": 2.5, "C1": 6.0, "C2": 7.5}
    with np.errstate(all="ignore"):
        return spyndex.computeIndex(key, {**{SYMBOL[b]: v.astype(np.float64) for b, v in values.items()}, **constants})


def condition(key, v):
    """Return by how much the sums of an index exceed its denominator: the factor by which it magnifies rounding."""
    v = {name: one.astype(np.float64) for name, one in v.items()}
    nir, red, blue, green, swir, edge = (v[b] for b in ("nir", "red", "blue", "green", "swir16", "rededge1"))
    sums = {
        "NDVI": (nir + red, nir + red),
        "NDMI": (nir + swir, nir + swir),
        "NDREI": (nir + edge, nir + edge),
        "SAVI": (nir + red + 0.5, nir + red + 0.5),
        "BI": (swir + red + nir + blue, swir + red + nir + blue),
        "MNDWI": (green + swir, green + swir),
        "NDWI": (green + nir, green + nir),
        "EVI": (nir + 6 * red + 7.5 * blue + 1, nir + 6 * red - 7.5 * blue + 1),
    }
    top, bottom = sums[key]
    with np.errstate(all="ignore"):
        return np.abs(top / bottom)


@settings(deadline=None, max_examples=40)
@given(arrays(np.float32, (6, 5, 7), elements=st.floats(0, 1.5, width=32)))
def test_all_indices_are_those_of_spyndex_in_double_precision(values):
    values[values < 1e-4] = 0  # a step of Sentinel-2: nothing is darker but nothing
    evaluator = Evaluator(KEYS, "cpu")
    found = evaluator(np.stack([values[BANDS.index(b)] for b in evaluator.bands]))
    assert found.dtype == np.float32
    named = dict(zip(BANDS, values, strict=True))
    for key, got in zip(KEYS, found, strict=True):
        expected = reference(key, named)
        sound = np.isfinite(expected) & (condition(key, named) < 4)
        np.testing.assert_allclose(got[sound], expected[sound], rtol=0, atol=1e-6, err_msg=key)
        assert np.isnan(got[~np.isfinite(expected)]).all()


def test_a_tensor_gives_a_tensor_and_an_array_the_same_values():
    values = np.random.default_rng(0).uniform(0, 0.6, (6, 300, 211)).astype(np.float32)
    values[:, 3, 4] = np.nan
    evaluator = Evaluator({**STANDARD, "root": "(nir * red) ** 0.5", "power": "nir ** 1.7", "square": "red ** 2"}, "cpu")
    array = evaluator(values)
    tensor = evaluator(torch.from_numpy(values))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), array)
    assert np.isnan(array[:, 3, 4]).all()
    parts = np.concatenate([evaluator(values[:, :, :100]), evaluator(values[:, :, 100:])], axis=2)
    np.testing.assert_array_equal(parts, array)


def test_steps_on_tensors_equal_those_on_arrays():
    from hyla_agriculture.indices import _by_numpy, _by_torch

    values = np.random.default_rng(0).uniform(-0.1, 0.6, (2, 1000)).astype(np.float32)
    values[0, :20] = values[1, 10:30] = 0
    a, b = values
    for operator in ("add", "sub", "mul", "div", "pow"):
        for left, right in ((a, b), (a, 1.5), (0.5, b), (a, 2.0), (a, 0.5)):
            array, tensor = np.empty(1000, np.float32), torch.empty(1000)
            with np.errstate(all="ignore"):
                _by_numpy(operator, left, right, array)
            _by_torch(operator, *(torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in (left, right)), tensor)
            np.testing.assert_allclose(tensor.numpy(), array, rtol=2e-7, err_msg=operator)


def test_expressions_in_common_names_and_constants():
    values = np.array([0.4, 0.1], np.float32).reshape(2, 1, 1)
    evaluator = Evaluator({"mine": "(nir - red) / (nir + red)", "twice": "-2 * (red - 1) ** 2", "one": "1 + 2 / 4"}, "cpu")
    assert evaluator.bands == ("nir", "red")
    assert evaluator(values).ravel() == pytest.approx([0.6, -1.62, 1.5])
    assert Evaluator(["SAVI"], "cpu", {"SAVI": {"L": 1.0}})(values).item() == pytest.approx(0.6 / 1.5)
    assert Evaluator(["SAVI"], "cpu", {"L": 0.25})(values).item() == pytest.approx(1.5 * 0.3 / 1.0)
    assert Evaluator({"s": "SAVI"}, "cpu")(values).item() == pytest.approx(1.5 * 0.3 / 1.0)
    wide = Evaluator({"e": "EVI"}, "cpu")
    assert set(wide.bands) == {"nir", "red", "blue"}


@pytest.mark.parametrize(
    "formula",
    [
        *("__import__('os').getcwd()", "nir.real", "nir if red else 1", "f(nir)", "nir[0]", "'nir'", "nir < red", "nir and red"),
        *("nir @ red", "nir // red", "nir % red", "lambda: 1", "[nir]", "(nir", "", "nir; red", "True", "1j", "~nir", "x := nir"),
        *("nir + " * 600 + "1", "(" * 300 + "nir" + ")" * 300, "10 ** 10 ** 10", "1 / 0", "(-8) ** 0.5"),
    ],
)
def test_a_formula_that_is_more_than_arithmetic_is_refused(formula):
    with pytest.raises(ConfigError):
        Evaluator({"x": formula}, "cpu")


def test_an_unknown_name_is_refused_with_what_was_meant():
    with pytest.raises(ConfigError) as unknown:
        Evaluator(["NDVi"], "cpu")
    assert "NDVI" in str(unknown.value)
    with pytest.raises(ConfigError, match="no band") as wrong:
        Evaluator({"x": "nirr - red"}, "cpu")
    assert "nir" in wrong.value.choices
    with pytest.raises(ConfigError):  # a radar index: its bands have no common name here
        Evaluator(["DpRVIVV"], "cpu")


def test_a_division_by_zero_is_nan_wherever_it_stands_and_odd_values_are_kept():
    values = np.array([[0.3, 0.0, -0.1, 0.5], [-0.3, 0.0, 0.2, -0.2]], np.float32).reshape(2, 1, 4)
    evaluator = Evaluator({"v": "(nir - red) / (nir + red)", "n": "1 / (1 + red / (nir + red))"}, "cpu")
    found = evaluator(values[[0, 1]])
    assert np.isnan(found[:, 0, :2]).all()
    assert found[0, 0, 2:] == pytest.approx([-3.0, 0.7 / 0.3], rel=1e-6)


def test_what_the_bands_do_not_allow_is_nan_and_what_is_stored_is_taken():
    evaluator = Evaluator(STANDARD, "cpu")
    few = evaluator.on(("red", "nir"))
    assert few.known == ("ndvi", "savi")
    assert few.names == evaluator.names
    found = few(np.full((2, 2, 3), 0.25, np.float32))
    assert np.isnan(found[[1, 2, 4, 5]]).all()
    assert (found[[0, 3]] == 0).all()
    stored = evaluator.on(("ndvi", "red"))
    assert stored.bands == ("ndvi",)
    assert stored(np.full((1, 1, 1), 0.7, np.float32))[0, 0, 0] == np.float32(0.7)
    assert "nir08" in evaluator.on(("red", "nir08")).bands
    with pytest.raises(BadItem, match="swir16") as missing:
        evaluator.on(("red", "nir"), required=["ndmi"])
    assert missing.value.choices == ["nir", "red"]
    nothing = evaluator.on(("gray",))
    assert nothing.known == nothing.bands == ()
    assert np.isnan(nothing(np.zeros((0, 2, 2), np.float32))).all()


def test_the_model_gives_means_over_clear_full_pixels_as_fields():
    land = Land(noise=0.0)
    land.grid(2)
    land.paint(shapely.box(0, 0, 30, 12), SOIL)
    labels = Indices(indices={"ndvi": "NDVI", "mine": "nir - red"}, device="cpu").predict([land.image()])[0]
    assert len(labels) == 4
    assert labels.attributes["ndvi"][3] == pytest.approx(0.41 / 0.49, abs=1e-6)
    assert labels.attributes["mine"][3] == pytest.approx(0.41, abs=1e-6)
    assert 0.3 < labels.attributes["ndvi"][0] < 0.7
    assert (labels.class_id == labels.class_id[0]).all()


def test_a_photo_without_fields_has_no_labels():
    photo = Image(np.zeros((20, 30, 3), np.uint8), Item("a", "a.png"))
    assert len(Indices(fields="none", device="cpu").predict([photo])[0]) == 0


def test_the_values_of_a_real_scene_equal_rasterio_and_numpy(shared):
    import rasterio

    from hyla_agriculture.scene import Window
    from hyla_agriculture.scenes import Scenes

    folder = shared / "data" / "agriculture" / "leipzig_s2"
    loader = Scenes()
    [item] = [one for one in loader.items(str(folder)) if one.uri.endswith(".tif")]
    scene = loader.load(item).pixels
    evaluator = Evaluator(STANDARD, "cpu").on([band for band in scene.bands if band not in STANDARD])
    assert evaluator.known
    window = Window(0, scene.shape[0], 0, scene.shape[1])
    found = evaluator(scene.reflectance(window, evaluator.bands))
    with rasterio.open(folder / item.uri) as file:
        stored = file.read().astype(np.float64)
    physical = np.float64(scene.reflectance(window, scene.bands))
    known = np.isfinite(physical).all(axis=0)
    scaled = [(p[known] @ s[known]) / (s[known] @ s[known]) for p, s in zip(physical, stored, strict=True)]
    values = {b: s * np.round(k, 10) for b, s, k in zip(scene.bands, stored, scaled, strict=True)}
    for name in evaluator.known:
        key = STANDARD[name]
        expected = reference(key, {b: values[b] for b in evaluator.bands})
        np.testing.assert_allclose(found[evaluator.names.index(name)][known], expected[known], atol=1e-6, rtol=0)
