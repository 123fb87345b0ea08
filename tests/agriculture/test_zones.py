"""Conditions and zones on land whose truth is known; the same labels whatever the extent, the blocks and the threads are."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import shapely
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import hyla_agriculture
from hyla.errors import BadItem, ConfigError
from hyla.types import Image, Item, Kind
from hyla_agriculture import sweep as sweeping
from hyla_agriculture.sample import preset_schema
from hyla_agriculture.scene import CLOUD, SHADOW, Fields
from hyla_agriculture.zones import Zones
from zones_kit import BANDS, DRY, EATEN, GREEN, SOIL, Land

SCHEMA = preset_schema()
SICKLY = (0.04, 0.08, 0.10, 0.14, 0.35, 0.19)  # NDVI 0.56, NDMI 0.3


def model(**settings):
    return Zones(SCHEMA, **{"device": "cpu", "threads": 1, **settings})


def names(labels):
    return [SCHEMA.names[n] for n in labels.class_id]


def of_field(labels, number, zones=False):
    """Return the rows of a field, or of the zones in it."""
    rows = [n for n, field in enumerate(labels.attributes["field"]) if field == str(number)]
    return [n for n in rows if names(labels)[n].endswith("zone") == zones]


def label(land, zones=None, **picture):
    labels = (zones or model()).predict([land.image(**picture)])[0]
    SCHEMA.check(labels, (land.size, land.size))
    return labels


def condition(labels, number):
    [row] = of_field(labels, number)
    return names(labels)[row]


@pytest.fixture
def land():
    found = Land()
    found.grid(9)
    return found


def test_each_condition_is_told_by_its_own_signs(land):
    shapes = land.shapes
    land.paint(shapes[10].buffer(1), SOIL)
    land.paint(shapes[12].buffer(1), DRY)
    land.paint(shapes[14].buffer(1), SICKLY)
    land.paint(shapes[16].centroid.buffer(5), EATEN)
    land.paint(shapes[28].buffer(1), (0.05, 0.05, 0.03, 0.025, 0.02, 0.01))  # water
    land.hide(shapely.box(*shapes[30].bounds).buffer(1), CLOUD)
    labels = label(land)
    found = {number: condition(labels, number) for number in range(81)}
    assert found.pop(10) == "bare"
    assert found.pop(12) == "suspected_drought"
    assert found.pop(14) == "stressed"
    assert found.pop(16) == "suspected_pest"
    assert found.pop(28) == "field"
    assert found.pop(30) == "unusable"
    assert set(found.values()) == {"healthy"}
    assert len(labels) == 82
    [zone] = of_field(labels, 16, zones=True)
    assert names(labels)[zone] == "suspected_pest_zone"
    assert ((labels.score > 0) & (labels.score <= 1)).all()
    [row] = of_field(labels, 14)
    assert labels.evidence["zneighbours"][row] < -2


def test_attributes_and_evidence_of_a_field(land):
    land.crops[40] = "ZEAMX"
    labels = label(land)
    [row] = of_field(labels, 40)
    attributes = {name: column[row] for name, column in labels.attributes.items()}
    evidence = {name: column[row] for name, column in labels.evidence.items()}
    blue, green, red, edge, nir, swir = GREEN
    assert attributes["crop"] == "ZEAMX"
    assert attributes["area_ha"] == pytest.approx(land.shapes[40].area / 100)
    expected = {
        "ndvi": (nir - red) / (nir + red),
        "ndmi": (nir - swir) / (nir + swir),
        "ndre": (nir - edge) / (nir + edge),
        "savi": 1.5 * (nir - red) / (nir + red + 0.5),
        "bsi": (swir + red - nir - blue) / (swir + red + nir + blue),
        "mndwi": (green - swir) / (green + swir),
    }
    for name, value in expected.items():
        assert attributes[name] == pytest.approx(value, abs=2e-3), name
    assert attributes["severity"] == 0
    assert 100 < evidence["pixels"] < 256
    assert evidence["cloud"] == evidence["missing"] == evidence["overlap"] == 0
    assert 0 < evidence["edge"] < evidence["lost"] < 0.5
    assert evidence["inside"] == pytest.approx(1)
    assert evidence["least"] < attributes["ndvi"] < evidence["most"]
    assert 0 < evidence["spread"] < 0.02
    assert np.isnan(evidence["zneighbours"])  # no other maize
    assert np.isnan(evidence["zhistory"])
    assert evidence["compactness"] == pytest.approx(np.pi / 4, abs=0.1)


def test_a_zone_is_where_it_was_painted_and_lies_in_its_field(land):
    patch = shapely.box(*(np.round(land.shapes[20].centroid.buffer(4).bounds)))
    land.paint(patch, EATEN)
    labels = label(land)
    [zone] = of_field(labels, 20, zones=True)
    [field] = of_field(labels, 20)
    found = shapely.Polygon(labels.shape[zone][0])
    assert found.equals(patch)
    assert found.within(land.shapes[20])
    assert labels.attributes["area_ha"][zone] == pytest.approx(patch.area / 100, rel=2e-3)
    assert labels.attributes["severity"][field] == pytest.approx(100 * patch.area / labels.evidence["pixels"][field])
    assert labels.attributes["ndvi"][zone] == pytest.approx((0.28 - 0.13) / 0.41, abs=0.02)
    assert labels.evidence["compactness"][zone] == pytest.approx(np.pi / 4)
    assert labels.kind[zone] == Kind.POLYGON


def test_a_hole_in_a_zone_stays_a_hole_and_speckle_is_no_zone(land):
    land.field(shapely.box(120, 183, 170, 199))
    ring = shapely.box(130, 186, 142, 196).difference(shapely.box(134, 189, 138, 193))
    land.paint(ring, EATEN)
    rng = np.random.default_rng(0)
    for x, y in rng.integers((150, 185), (168, 197), (12, 2)):
        land.values[:, y, x] = EATEN
    labels = label(land)
    zones = of_field(labels, 81, zones=True)
    assert len(zones) == 1
    assert [len(one) for one in labels.shape[zones[0]]] == [4, 4]
    assert labels.attributes["area_ha"][zones[0]] == pytest.approx(ring.area / 100, rel=2e-3)


def test_a_gentle_gradient_is_stress_and_no_pest():
    land = Land()
    land.field(shapely.box(20, 20, 120, 80))
    slope = np.clip((np.arange(200) - 75) / 45, 0, 1)[None, None]
    ground = np.array(GREEN)[:, None, None] * (1 - slope) + np.array(SOIL)[:, None, None] * slope
    inside = land.mask(shapely.box(20, 20, 120, 80))
    land.values[:, inside] = np.broadcast_to(ground, (6, 200, 200))[:, inside]
    labels = label(land)
    assert condition(labels, 0) == "stressed"
    assert {names(labels)[row] for row in of_field(labels, 0, zones=True)} == {"stress_zone"}


def test_what_is_hidden_never_counts(land):
    plain = label(land)
    for shape in land.shapes:
        part = shapely.box(*shape.bounds).intersection(shape.centroid.buffer(3))
        land.paint(part, (0.6, 0.6, 0.6, 0.6, 0.6, 0.5))
        land.hide(part, SHADOW)
    hidden = label(land)
    assert names(hidden) == names(plain) == ["healthy"] * 81
    np.testing.assert_allclose(hidden.attributes["ndvi"], plain.attributes["ndvi"], atol=2e-3)
    assert (hidden.evidence["cloud"] > 0.05).all()
    assert (hidden.score < plain.score).all()
    land.values[:, land.mask(shapely.box(*land.shapes[7].bounds))] = np.nan
    gone = label(land)
    assert condition(gone, 7) == "unusable"
    [row] = of_field(gone, 7)
    assert gone.evidence["missing"][row] > 0.7
    assert np.isnan(gone.attributes["ndvi"][row])


def test_change_zones_are_relative_to_the_field_and_only_between_clear_dates(land):
    zones = model()
    label(land, zones, date="2024-05-01", group="place")
    land.values *= np.array([1, 1, 1.8, 1, 0.9, 1], np.float32)[:, None, None]  # everything loses some NDVI
    land.hide(shapely.box(*land.shapes[50].bounds).buffer(1), CLOUD)
    second = label(land, zones, date="2024-05-11", group="place", index=1)
    assert "change_zone" not in names(second)
    [row] = of_field(second, 3)
    assert second.attributes["change"][row] < -0.05
    assert second.attributes["days"][row] == 10
    land.quality[:] = 0
    patch = shapely.box(*np.round(land.shapes[50].centroid.buffer(4).bounds))
    land.paint(patch, SOIL)
    third = label(land, zones, date="2024-05-21", group="place", index=2)
    [zone] = [row for row in of_field(third, 50, zones=True) if names(third)[row] == "change_zone"]
    assert shapely.Polygon(third.shape[zone][0]).equals(patch)
    assert third.attributes["days"][zone] == 20  # since the last date on which this field was clear
    assert third.attributes["change"][zone] < -0.3
    [row] = of_field(third, 3)
    assert third.attributes["days"][row] == 10


def test_a_patch_that_was_always_there_is_no_pest(land):
    land.paint(land.shapes[20].centroid.buffer(5), EATEN)
    zones = model()
    first = label(land, zones, date="2024-05-01", group="place")
    second = label(land, zones, date="2024-05-11", group="place", index=1)
    assert [names(first)[row] for row in of_field(first, 20, zones=True)] == ["suspected_pest_zone"]
    assert [names(second)[row] for row in of_field(second, 20, zones=True)] == ["stress_zone"]
    assert condition(second, 20) == "stressed"


def test_coarse_pixels_tell_nothing_of_pests(land):
    land.paint(land.shapes[20].centroid.buffer(5), EATEN)
    fine = land.image()
    coarse = replace(fine, frame=replace(fine.frame, transform=(250.0, 0.0, 500_000.0, 0.0, -250.0, 5_700_000.0)))
    found = [names(model().predict([image])[0]) for image in (fine, coarse)]
    assert "suspected_pest_zone" in found[0]
    assert "stress_zone" in found[1]
    assert not {"suspected_pest", "suspected_pest_zone"} & set(found[1])


def test_a_field_is_compared_with_its_own_past():
    land = Land()
    land.field(shapely.box(20, 20, 60, 60))
    zones = model()
    for day in range(4):
        before = label(land, zones, date=f"2024-06-{5 * day + 1:02d}", group="place", index=day)
    assert condition(before, 0) == "healthy"
    land.paint(shapely.box(19, 19, 61, 61), SICKLY)
    now = label(land, zones, date="2024-06-25", group="place", index=4)
    assert condition(now, 0) == "stressed"
    assert now.evidence["zhistory"][0] < -2
    zones.forget("place")
    assert condition(label(land, zones, date="2024-06-25", group="place", index=4), 0) == "healthy"


def test_vci_needs_years_and_tells_drought(tmp_path):
    rows = ["field,date,ndvi", *(f"0,{year}-06-05,{0.80 + (year - 2019) * 0.02}" for year in range(2019, 2024))]
    path = tmp_path / "years.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    land = Land()
    land.field(shapely.box(20, 20, 60, 60))
    labels = label(land, model(history=str(path)), date="2024-06-01")
    ndvi = labels.attributes["ndvi"][0]
    assert labels.evidence["years"][0] == 5
    assert labels.attributes["vci"][0] == pytest.approx(100 * (ndvi - 0.80) / 0.08)
    assert condition(labels, 0) == "healthy"
    land.paint(shapely.box(19, 19, 61, 61), (0.03, 0.06, 0.05, 0.12, 0.45, 0.18))  # NDVI 0.8
    dry = label(land, model(history=str(path)), date="2024-06-01")
    assert condition(dry, 0) == "suspected_drought"
    path.write_text("\n".join(rows[:3]), encoding="utf-8")
    few = label(land, model(history=str(path)), date="2024-06-01")
    assert few.evidence["years"][0] == 2
    assert np.isnan(few.attributes.get("vci", [np.nan])[0])
    assert condition(few, 0) == "healthy"


def world(labels, frame, rows):
    """Return labels as values that do not depend on the picture: class, rings on the map, attributes, evidence."""
    out = {}
    for row in rows:
        rings = tuple(tuple(np.round(frame.to_world(ring), 6).ravel().tolist()) for ring in labels.shape[row])
        values = {k: c[row] for part in (labels.attributes, labels.evidence) for k, c in part.items()}
        out[labels.attributes["field"][row], labels.class_id[row], rings] = {**values, "score": labels.score[row]}
    return out


def alike(a, b):
    assert a.keys() == b.keys()
    for key, values in a.items():
        for name in values.keys() | b[key].keys():
            one, other = values.get(name), b[key].get(name)
            if isinstance(one, str) or isinstance(other, str):
                assert one == other, (key[:2], name)
            else:
                one, other = (np.nan if v is None else v for v in (one, other))
                assert one == pytest.approx(other, abs=1e-9, nan_ok=True), (key[:2], name)


@cache
def _troubled(seed):
    """Return land with fields of all kinds, oblique and with holes, and all that may befall them."""
    rng = np.random.default_rng(seed)
    land = Land(260, seed)
    land.grid(12, 15, 5)
    for n in rng.permutation(144)[:50].tolist():
        at = shapely.Point(land.shapes[n].centroid.x + rng.uniform(-3, 3), land.shapes[n].centroid.y + rng.uniform(-3, 3))
        land.paint(at.buffer(rng.uniform(2, 12)), [EATEN, SOIL, DRY, SICKLY][n % 4])
    for n in rng.permutation(144)[:15].tolist():
        land.hide(land.shapes[n].centroid.buffer(rng.uniform(2, 8)), CLOUD)
    land.shapes[70] = land.shapes[70].difference(land.shapes[70].centroid.buffer(3))
    land.crops = [("TRZAX", "ZEAMX")[n % 2] for n in range(144)]
    return land


@settings(deadline=None, max_examples=6)
@given(
    st.integers(0, 3),
    st.tuples(*[st.integers(0, 23)] * 4),
    st.tuples(st.integers(9, 300), st.integers(9, 300)),
    st.integers(1, 4),
)
def test_labels_depend_on_neither_extent_nor_blocks_nor_threads(seed, cut, blocks, threads):
    land = deepcopy(_troubled(seed))
    size = land.size
    box = (cut[0], size - cut[1], cut[2], size - cut[3])
    near = {"rules": {"radius": 60}}  # metres, so that fields inside have all their neighbours in the part as well
    whole = model(**near)
    part = model(threads=threads, **near)
    before = sweeping.LEAST_BLOCK
    try:
        sweeping.LEAST_BLOCK = 16
        for index, date in enumerate(("2024-06-01", "2024-06-11")):
            full = land.image(date=date, group="place", index=index)
            piece = land.image(box, blocks, date=date, group="place", index=index)
            a, b = whole.predict([full])[0], part.predict([piece])[0]
            window = shapely.box(box[2], box[0], box[3], box[1]).buffer(-25)
            inside = {str(n) for n, shape in enumerate(land.shapes) if shape.within(window)}
            rows = [[n for n, field in enumerate(one.attributes["field"]) if field in inside] for one in (a, b)]
            assert len(rows[0]) > 40
            alike(world(a, full.frame, rows[0]), world(b, piece.frame, rows[1]))
            land.paint(shapely.box(100, 40, 180, 120), SICKLY)
    finally:
        sweeping.LEAST_BLOCK = before
    assert {"stress_zone", "suspected_pest_zone", "change_zone"} & set(names(a))


def test_the_batch_changes_nothing_and_a_failure_leaves_memory_as_it_was(land):
    images = [land.image(date=f"2024-06-{day:02d}", group="place", index=day) for day in (1, 11, 21)]
    together = model().predict(images)
    zones = model()
    single = [zones.predict([image])[0] for image in images]
    assert together == single
    broken = land.image(date="2024-06-21", group="place", index=2)
    broken.pixels.broken = 100
    zones = model()
    zones.predict(images[:1])
    with pytest.raises(BadItem):
        zones.predict([images[1], broken])
    assert zones.predict([images[1]])[0] == single[1]


def test_without_near_infrared_no_condition_is_claimed(land):
    labels = label(land, bands=("blue", "green", "red"))
    assert set(names(labels)) == {"field"}
    assert "ndvi" not in labels.attributes or np.isnan(labels.attributes["ndvi"]).all()
    with pytest.raises(BadItem, match="nir"):
        label(land, model(required=["ndvi"]), bands=("blue", "green", "red"))


def test_a_stored_ndvi_is_enough(land):
    scene = land.image().pixels
    ndvi = (scene.values[4] - scene.values[2]) / (scene.values[4] + scene.values[2])
    image = land.image(bands=("red",))
    image.pixels.values, image.pixels.bands = ndvi[None], ("ndvi",)
    image.pixels.shape = (*image.pixels.shape[:2], 1)
    assert set(names(model().predict([image])[0])) == {"healthy"}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 3), (40, 30, 6), (20, 20, 4)])
def test_plain_pictures_of_nothing_are_accepted(dtype, shape):
    for fields in ("none", "delineate"):
        image = Image(np.zeros(shape, dtype), Item("a", "a.tif"))
        labels = model(fields=fields).predict([image])[0]
        SCHEMA.check(labels, shape[:2])
        assert len(labels) == 0
    image = replace(Land(60).image(), item=Item("a", "a.tif"))
    image.pixels.fields = Fields()
    assert len(model().predict([image])[0]) == 0


def test_fields_that_overlap_are_told(land):
    land.field(land.shapes[0].buffer(-0.5))
    labels = label(land)
    [row] = of_field(labels, 0)
    assert labels.evidence["overlap"][row] == pytest.approx(land.shapes[0].buffer(-0.5).area / land.shapes[0].area, abs=1e-6)
    assert labels.evidence["overlap"][of_field(labels, 81)[0]] == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"fields": "guess"}, {"threads": 0}, {"rules": {"hiden": 0.3}}, {"rules": {"hidden": "much"}}),
        *({"thresholds": {"step": True}}, {"indices": {"ndvi": "NDVX"}}, {"required": ["nbr"]}, {"history": "nowhere.csv"}),
    ],
)
def test_a_wrong_setting_is_refused_before_any_work(wrong):
    with pytest.raises(ConfigError):
        model(**wrong)


@pytest.mark.parametrize("name", ["zones", "indices"])
def test_the_settings_on_file_are_the_defaults_and_build(name):
    from importlib import import_module
    from pathlib import Path

    given_ = yaml.safe_load((Path(hyla_agriculture.__file__).parent / "conf" / "model" / f"{name}.yaml").read_text())
    module, _, cls = given_.pop("_target_").rpartition(".")
    built = getattr(import_module(module), cls)(SCHEMA, **{**given_, "device": "cpu"})
    zones = built if name == "zones" else built._zones
    plain = Zones(SCHEMA, device="cpu")
    assert (zones.rules, zones.limits) == (plain.rules, plain.limits)
    assert zones.evaluator._trees == plain.evaluator._trees
    assert BANDS
