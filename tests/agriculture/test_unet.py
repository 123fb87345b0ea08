"""The U-Net: any bands, no weights from the network, labels that do not depend on extent or tiles, polygons over seams."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

import hyla
from hyla import plugins
from hyla.errors import BadItem, ConfigError
from hyla.frame import MapFrame
from hyla.geometry import decode, rasterize
from hyla.schema import Schema
from hyla.types import Image, Item, Kind, Labels
from hyla_agriculture import network
from hyla_agriculture.network import Spec
from hyla_agriculture.scene import CLOUD, MISSING, SHADOW, Plain
from hyla_agriculture.scenes import Scenes
from hyla_agriculture.unet import Unet

SCHEMA = Schema.from_config(
    {
        "name": "land",
        "kinds": ["polygon", "mask", "keypoints"],
        "classes": {
            "land": {"abstract": True},
            "forest": {"parent": "land"},
            "water": {},
            "built": {},
            "ignore": {"kinds": ["polygon"]},
        },
        "attributes": {"area_ha": {"type": "number"}},
    }
)
BANDS = ("red", "nir", "swir16")
# Shallow and narrow, so that tests are quick: it looks 47 pixels around.
SPEC = {"classes": ["forest", "water", "built"], "bands": BANDS, "encoder": "mobilenet_v2", "channels": (16, 8, 8)}
ORIGIN = (399960.0, 5000040.0)


def build(**settings) -> Unet:
    return Unet(**{"schema": SCHEMA, "weights": None, "spec": SPEC, "device": "cpu", "threads": 1, "tile": 256, **settings})


def picture(pixels: np.ndarray, row: int = 0, column: int = 0, bands=BANDS, **meta) -> Image:
    transform = (10.0, 0.0, ORIGIN[0] + 10 * column, 0.0, -10.0, ORIGIN[1] - 10 * row)
    return Image(pixels, Item("a", "a.tif", meta={"bands": list(bands), **meta}), MapFrame(transform, "EPSG:32633"))


def land(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return reflectance (h, w, 3) with patches some pixels wide."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 12 + 2, width // 12 + 2, 3))
    fine = coarse.repeat(12, axis=0).repeat(12, axis=1)[:height, :width]
    return (fine + rng.normal(0, 0.05, fine.shape)).astype(np.float32)


def painted(labels: Labels, size) -> np.ndarray:
    """Return class id + 1 of each pixel; no two labels share one."""
    classes = np.zeros(size, np.uint8)
    for class_id, kind, shape in zip(labels.class_id, labels.kind, labels.shape, strict=True):
        inside = decode(shape) if kind == Kind.MASK else rasterize(shape, size)
        assert not classes[inside].any()
        classes[inside] = class_id + 1
    return classes


class Clouded(Plain):
    def __init__(self, image: Image, codes: np.ndarray) -> None:
        super().__init__(image)
        self.codes = codes

    def quality(self, window):
        return self.codes[window.row0 : window.row1, window.column0 : window.column1]


@pytest.fixture(scope="module")
def model() -> Unet:
    made = build(least_pixels=1)
    # Random weights say one class nearly everywhere; spread what they say.
    rescaled(made)
    return made


def rescaled(made: Unet, bands: int = 3) -> None:
    values = torch.from_numpy(np.moveaxis(land(128, 128), -1, 0))[None].repeat(1, bands // 3, 1, 1)
    with torch.inference_mode():
        logits = made.network(values)
        head = made.network.segmentation_head[0]
        scale = 3 / logits.std(dim=(0, 2, 3))
        head.bias.copy_((head.bias - logits.mean(dim=(0, 2, 3))) * scale)
        head.weight.mul_(scale[:, None, None, None])


def test_every_pixel_has_one_label_with_what_is_known_of_it(model):
    pixels = land(150, 170)
    (labels,) = model.predict([picture(pixels)])
    SCHEMA.check(labels, (150, 170))
    classes, probability, margin = model.raster(picture(pixels))
    assert len(set(labels.class_id)) == 3
    assert len(labels) > 20
    assert np.array_equal(painted(labels, classes.shape), classes + 1)  # forest has id 1, and channel 1
    row = int(np.argmax(labels.width * labels.height))
    inside = rasterize(labels.shape[row], classes.shape)
    assert labels.score[row] == pytest.approx(probability[inside].mean() / 255)
    assert labels.evidence["margin"][row] == pytest.approx(margin[inside].mean() / 255)
    # 100 m2 in UTM, but for its scale.
    assert labels.attributes["area_ha"][row] == pytest.approx(inside.sum() * 0.01, rel=2e-3)


@pytest.fixture(scope="module")
def whole(model) -> tuple[np.ndarray, Labels]:
    pixels = land(330, 320)
    return pixels, model.predict([picture(pixels)])[0]


@pytest.mark.parametrize(("row", "column"), [(0, 0), (37, 53), (96, 1)])
def test_labels_of_a_shifted_window_are_those_of_the_scene(model, whole, row, column):
    pixels, scene = whole
    height, width = 230, 241
    (window,) = model.predict([picture(pixels[row : row + height, column : column + width], row, column)])
    inner = np.s_[48:-48, 48:-48]  # the network looks 47 pixels around
    expected = painted(scene, pixels.shape[:2])[row : row + height, column : column + width]
    assert np.array_equal(painted(window, (height, width))[inner], expected[inner])

    def away(labels: Labels, dy: int, dx: int) -> dict:
        """Return the polygons that keep away from the window's edges, in pixels of the scene, and their scores."""
        x0, y0, x1, y1 = labels.box.T + np.array([[dx], [dy], [dx], [dy]])
        far = 60
        rows = (x0 > column + far) & (y0 > row + far) & (x1 < column + width - far) & (y1 < row + height - far)
        shapes = {
            i: tuple(tuple(map(tuple, ring + np.array([dx, dy]))) for ring in labels.shape[i]) for i in np.flatnonzero(rows)
        }
        return {(labels.class_id[i], shape): labels.score[i] for i, shape in shapes.items()}

    one, two = away(scene, 0, 0), away(window, row, column)
    assert len(one) > 5
    assert one.keys() == two.keys()
    assert max(abs(one[key] - two[key]) for key in one) < 1e-3


def test_labels_do_not_depend_on_tiles_or_batches(model):
    image = picture(land(200, 260, 1), 5, 9)
    expected = model.raster(image)
    for how in ({"tile": 320}, {"batch": 1}):
        other = build(least_pixels=1, **how)
        other.network.load_state_dict(model.network.state_dict())
        found = other.raster(image)
        assert (found[0] != expected[0]).mean() < 1e-4  # where two classes are equal to the sixth digit
        assert np.abs(found[1].astype(int) - expected[1]).max() <= 1


def test_a_region_over_seams_is_one_polygon():
    model = build(tile=128, overlap=32, least_pixels=1)
    head = model.network.segmentation_head[0]
    with torch.inference_mode():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([0.0, 5.0, 0.0]))
    (labels,) = model.predict([picture(land(500, 300))])
    assert labels.class_id.tolist() == [SCHEMA.class_id("water")]
    assert [ring.tolist() for ring in labels.shape[0]] == [[[0, 0], [0, 500], [300, 500], [300, 0]]]
    assert labels.score[0] == pytest.approx(np.exp(5) / (np.exp(5) + 2), abs=0.005)


def test_pixels_without_data_and_under_clouds_have_no_label_and_no_say(model):
    pixels = land(120, 140, 2)
    codes = np.zeros((120, 140), np.uint8)
    codes[30:50, 20:60], codes[60:70, 60:80], codes[80:90, :10] = CLOUD, SHADOW, MISSING
    pixels[100:, 130:, 1] = np.nan
    image = picture(pixels)
    cloudy = Image(Clouded(image, codes), image.item, image.frame)
    (labels,) = model.predict([cloudy])
    lost = (codes > 0) | np.isnan(pixels).any(axis=2)
    assert np.array_equal(painted(labels, (120, 140)) == 0, lost)
    bright = pixels.copy()
    bright[lost] = 40.0
    bright[100:, 130:, 1] = np.nan
    (same,) = model.predict([Image(Clouded(picture(bright), codes), image.item, image.frame)])
    assert labels == same
    keep = build(least_pixels=1, clouds=False)
    assert (painted(keep.predict([cloudy])[0], (120, 140)) > 0).sum() > (~lost).sum()


def test_small_regions_join_their_neighbours():
    rough, smooth = build(least_pixels=1), build(least_pixels=12)
    rescaled(rough)
    smooth.network.load_state_dict(rough.network.state_dict())
    image = picture(land(150, 150, 3))
    before, after = rough.predict([image])[0], smooth.predict([image])[0]
    assert len(after) < len(before)
    areas = after.attributes["area_ha"]
    assert np.median(areas) > np.median(before.attributes["area_ha"])
    assert painted(after, (150, 150)).all()


def test_masks_and_simple_outlines(model):
    image = picture(land(90, 100))
    classes, *_ = model.raster(image)
    masks = build(output="masks", least_pixels=1)
    masks.network.load_state_dict(model.network.state_dict())
    (labels,) = masks.predict([image])
    assert labels.kind.tolist() == [Kind.MASK] * 3
    assert np.array_equal(painted(labels, (90, 100)), classes + 1)
    SCHEMA.check(labels, (90, 100))
    simple = build(least_pixels=1, simplify=1.5)
    simple.network.load_state_dict(model.network.state_dict())
    (plain,), (fewer,) = model.predict([image]), simple.predict([image])
    assert np.array_equal(fewer.class_id, plain.class_id)
    assert np.array_equal(fewer.score, plain.score)
    assert sum(len(rings[0]) for rings in fewer.shape) < 0.8 * sum(len(rings[0]) for rings in plain.shape)
    SCHEMA.check(fewer, (90, 100))


def test_a_class_without_a_name_is_no_label():
    model = build(spec={**SPEC, "classes": ["", "water", ""]} | {"classes": ["", "water", "built"]}, least_pixels=1)
    rescaled(model)
    image = picture(land(80, 90))
    classes, *_ = model.raster(image)
    (labels,) = model.predict([image])
    assert set(labels.class_id) == {SCHEMA.class_id("water"), SCHEMA.class_id("built")}
    assert np.array_equal(painted(labels, (80, 90)) == 0, classes == 1)


@pytest.mark.parametrize("shape", [(33, 47, 3), (1, 1, 3), (5, 3, 6), (40, 50, 4)])
def test_pictures_of_nothing_and_without_names(model, shape):
    for pixels in (np.zeros(shape, np.uint16), np.full(shape, -9999.0, np.float32)):
        meta = {"nodata": -9999.0} if pixels.dtype.kind == "f" else {}
        if shape[2] == 3:
            meta["bands"] = list(BANDS)
        if shape[2] == 4:
            with pytest.raises(BadItem, match="no band swir16"):
                model.predict([Image(pixels, Item("x", "x.png", meta=meta))])
            continue
        (labels,) = model.predict([Image(pixels, Item("x", "x.png", meta=meta))])
        SCHEMA.check(labels, shape[:2])
        assert bool(len(labels)) == (pixels.dtype.kind == "u")
        assert "area_ha" not in labels.attributes


def test_dates_of_an_index_are_the_bands_of_a_stack(tmp_path):
    bands = [f"ndvi_{number}" for number in range(1, 13)]
    stored = np.random.default_rng(0).integers(0, 10000, (12, 40, 50)).astype(np.int16)
    how = {"width": 50, "height": 40, "count": 12, "dtype": "int16", "crs": "EPSG:32633"}
    with rasterio.open(tmp_path / "stack.tif", "w", driver="GTiff", transform=from_origin(*ORIGIN, 10, 10), **how) as file:
        file.write(stored)
    loader = Scenes(bands=bands, scale=1e-4)
    (item,) = loader.items(str(tmp_path))
    image = loader.load(item)
    model = build(spec={**SPEC, "bands": bands}, least_pixels=1)
    rescaled(model, 12)
    (labels,) = model.predict([image])
    (plain,) = model.predict([picture(np.moveaxis(stored, 0, -1) * np.float32(1e-4), bands=bands)])
    SCHEMA.check(labels, (40, 50))
    assert len(labels) > 1
    assert labels == plain
    loader.close(item.group)


def test_nothing_is_asked_of_the_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for encoder in ("resnet18", "efficientnet-b0", "tu-mobilenetv3_small_100"):
        build(spec={**SPEC, "encoder": encoder, "channels": ()})


def test_the_stage_is_cheap_to_name():
    code = (
        "from hyla_agriculture import blending, network, training, truth, unet; import sys;"
        "print([m for m in ('torch', 'segmentation_models_pytorch', 'timm', 'rasterio', 'shapely') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_is_built_from_the_settings_of_a_run():
    run = hyla.compose(
        "agriculture", "model=unet", "model.weights=null", "model.spec={classes: [forest, water, cropland]}", source="."
    )
    model = plugins.build(run.model, "model", schema=Schema.from_config(run.schema))
    assert model.provenance() == {"name": "unet (random weights)", "digest": "random, seed 0"}
    assert (model.blend.tile, model.blend.overlap, model.blend.margin) == (512, 176, 71)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_are_read_as_data_with_their_spec(tmp_path, suffix):
    spec = Spec(**{**SPEC, "classes": tuple(SPEC["classes"])})
    path = network.write(spec.network(5), spec, {"n": 3}, tmp_path)
    if suffix == ".safetensors":
        from safetensors.torch import save_file

        state = {f"model.{key}": value for key, value in network.state_dict(path).items()}  # as Lightning names them
        path = path.rename(tmp_path / "old")
        path = tmp_path / "unet.safetensors"
        save_file(state, path)
    model = build(weights=str(path), spec=None)
    assert model.spec == spec
    assert model.provenance()["name"] == "unet (unet)"
    assert len(model.provenance()["digest"]) == 64
    assert all(torch.equal(a, b) for a, b in zip(model.network.parameters(), spec.network(5).parameters(), strict=True))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"spec": {**SPEC, "classes": ["tail"]}}, "no class 'tail'"),
        ({"spec": {**SPEC, "classes": ["land"]}}, "only groups others"),
        ({"spec": {**SPEC, "classes": ["ignore"]}, "output": "masks"}, "is not drawn as masks"),
        ({"spec": {**SPEC, "classes": []}}, "no classes"),
        ({"spec": {**SPEC, "classes": [""]}}, "no classes"),
        ({"spec": {**SPEC, "classes": ["water", "water"]}}, "each once"),
        ({"spec": {**SPEC, "bands": []}}, "bands"),
        ({"spec": {**SPEC, "encoder": "resnet81"}}, "no encoder 'resnet81'"),
        ({"spec": {**SPEC, "encoder": "tu-nothing"}}, "no encoder 'tu-nothing'"),
        ({"spec": {**SPEC, "depth": 7}}, "depth is 7"),
        ({"spec": {**SPEC, "channels": [4]}}, "channels"),
        ({"spec": {**SPEC, "mean": [1.0]}}, "mean and deviation"),
        ({"spec": {**SPEC, "mean": [1, 1, 1], "deviation": [1, 0, 1]}}, "mean and deviation"),
        ({"spec": {"classes": 3}}, "spec: "),
        ({"output": "boxes"}, "no output 'boxes'"),
        ({"least_pixels": 0}, "least_pixels"),
        ({"tile": 100}, "tile is 100"),
        ({"overlap": 33}, "overlap is 33"),
        ({"weights": "/nowhere/net.pt"}, "net.pt"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        build(**settings)


def test_weights_need_their_spec_and_fit_it(tmp_path, shared):
    spec = Spec(**{**SPEC, "classes": tuple(SPEC["classes"])})
    path = network.write(spec.network(0), spec, {}, tmp_path)
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps({"spec": {**asdict(spec), "bands": ["red", "nir"]}}))
    with pytest.raises(ConfigError, match="holds no weights of the U-Net"):
        build(weights=str(path))
    for text in ("{", "[]", '{"spec": {"classes": 1}}', "{}"):
        beside.write_text(text)
        with pytest.raises(ConfigError, match="says not how the network is made"):
            build(weights=str(path))
    beside.write_text(json.dumps({"spec": asdict(spec)}))
    for damaged in (path.read_bytes()[:1000], b"", (shared / "data/bad_inputs/weights/yolov8n-seg.truncated.pt").read_bytes()):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match="is no state dict"):
            build(weights=str(path))
    beside.unlink()
    with pytest.raises(ConfigError, match="not beside the weights"):
        build(weights=str(path))
