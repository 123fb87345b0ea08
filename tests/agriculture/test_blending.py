"""Blended tiles: the same answer for every extent, size of tile and batch."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.errors import ConfigError, StageError
from hyla.frame import Frame, MapFrame
from hyla_agriculture import blending
from hyla_agriculture.blending import Blend, origin, reach, top_two
from hyla_agriculture.scene import Window

BANDS = 3


def ground(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(BANDS, height, width)).astype(np.float32)


class Near(torch.nn.Module):
    """Look `reach` pixels around, after halving pixels `depth` times, as a shallow U-Net without its skips does."""

    def __init__(self, depth: int = 2, classes: int = 4) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.first = torch.nn.Conv2d(BANDS, 8, 3, padding=1)
            self.deep = torch.nn.Conv2d(8, 8, 3, padding=1)
            self.last = torch.nn.Conv2d(16, classes, 1)
        self.depth = depth
        self.seen: list[int] = []

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(tiles))
        fine = torch.relu(self.first(tiles))
        coarse = torch.relu(self.deep(torch.nn.functional.avg_pool2d(fine, 2**self.depth)))
        up = torch.nn.functional.interpolate(coarse, scale_factor=2**self.depth, mode="nearest")
        return 4 * self.last(torch.cat([fine, up], dim=1))  # 1 + 2 * 4 pixels at depth 2


def answer(values: np.ndarray, start=(0, 0), network=None, **how) -> np.ndarray:
    """Return probabilities (classes, h, w) of a whole raster."""
    blend = Blend(**{"tile": 80, "overlap": 48, "multiple": 4, **how})
    reads = []

    def read(window: Window) -> np.ndarray:
        reads.append(window)
        return values[:, window.row0 : window.row1, window.column0 : window.column1]

    strips = [
        strip._replace(probabilities=strip.probabilities.clone())
        for strip in blend(network or Near().eval(), read, values.shape[1:], start)
    ]
    assert [strip.row0 for strip in strips] == [0, *(strip.row1 for strip in strips[:-1])]
    assert strips[-1].row1 == values.shape[1]
    assert [window.row0 for window in reads] == [0, *(window.row1 for window in reads[:-1])]  # each row once
    known = np.concatenate([strip.known for strip in strips])
    assert np.array_equal(known, np.isfinite(values).all(axis=0))
    return torch.cat([strip.probabilities for strip in strips], dim=1).numpy()


@given(
    row=st.integers(0, 60),
    column=st.integers(0, 60),
    height=st.integers(60, 130),
    width=st.integers(60, 130),
    start=st.tuples(st.integers(-600000, 600000), st.integers(-9, 9)),
)
@settings(deadline=None, max_examples=25)
def test_a_crop_answers_as_the_whole(row, column, height, width, start):
    """Also of odd shifts, away from the edges of the crop by as far as the network looks."""
    whole = ground(190, 190)
    all_ = answer(whole, start)
    crop = answer(whole[:, row : row + height, column : column + width], (start[0] + row, start[1] + column))
    inner = np.s_[:, 12:-12, 12:-12]
    expected = all_[:, row : row + height, column : column + width]
    assert np.array_equal(crop[inner].argmax(axis=0), expected[inner].argmax(axis=0))
    np.testing.assert_allclose(crop[inner], expected[inner], atol=1e-6)
    # Up to the edge where the crop ends with the data.
    edges = np.s_[:, 12 if row else 0 : -12 or None, 12 if column else 0 : -12]
    np.testing.assert_allclose(crop[edges], expected[edges], atol=1e-6)


@pytest.mark.parametrize("tile", [72, 96, 128, 256])
@pytest.mark.parametrize("overlap", [40, 48])
def test_the_size_of_tiles_and_the_batch_change_nothing(tile, overlap):
    values = ground(150, 170, 1)
    values[:, 20:40, 30:90] = np.nan
    reference = answer(values, (-77, 1003))
    for batch in (1, 7):
        other = answer(values, (-77, 1003), tile=tile, overlap=overlap, batch=batch)
        np.testing.assert_allclose(other, reference, atol=1e-5)
    tight = answer(values, (-77, 1003), tile=tile, overlap=20, margin=8)  # exactly what the network looks
    np.testing.assert_allclose(tight, reference, atol=1e-5)
    loose = answer(values, (-77, 1003), tile=tile, overlap=20, margin=2)
    assert np.abs(loose - reference).max() > 1e-3
    np.testing.assert_allclose(reference.sum(axis=0), 1, atol=1e-5)


def test_tiles_are_what_the_network_says_of_the_whole():
    values = ground(100, 120, 2)
    padded = np.pad(values, ((0, 0), (16, 16), (16, 16)))
    with torch.inference_mode():
        whole = Near().eval()(torch.from_numpy(padded)[None]).softmax(dim=1)[0, :, 16:-16, 16:-16].numpy()
    np.testing.assert_allclose(answer(values), whole, atol=1e-5)


def test_what_is_unknown_is_the_mean_and_empty_tiles_cost_nothing():
    values = ground(64, 400, 3)
    values[:, :, :300] = np.nan
    network = Near().eval()
    found = answer(values, network=network)
    filled = answer(np.nan_to_num(values, nan=0.0))
    np.testing.assert_allclose(found[:, :, 300:], filled[:, :, 300:], atol=1e-6)
    assert (found[:, :, :200] == 0).all()
    tiles = sum(network.seen)
    network.seen.clear()
    answer(np.nan_to_num(values, nan=0.0), network=network)
    assert tiles < sum(network.seen) / 2
    nothing = answer(np.full_like(values, np.nan), network=network)
    assert nothing.shape == (1, 64, 400)
    assert not nothing.any()
    late = ground(300, 20, 4)
    late[:, :200] = np.nan  # the first strips know of nothing, and not even how many classes there are
    strips = Blend(80, 48, multiple=4)(Near().eval(), lambda w: late[:, w.row0 : w.row1], (300, 20))
    classes = [len(strip.probabilities) for strip in strips]
    assert (classes[0], classes[-1]) == (1, 4)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (33, 47)])
def test_small_pictures(size):
    values = ground(*size, 5)
    assert answer(values, (12345, -678)).shape == (4, *size)
    assert list(Blend()(Near(), lambda window: values, (0, 5))) == []


def test_memory_that_runs_out_makes_batches_smaller():
    class Narrow(Near):
        def forward(self, tiles: torch.Tensor) -> torch.Tensor:
            if len(tiles) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(tiles)

    values = ground(100, 300, 6)
    np.testing.assert_allclose(answer(values, network=Narrow().eval(), batch=8), answer(values), atol=1e-6)

    class Full(Near):
        def forward(self, tiles: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        answer(values, network=Full())


def test_answers_that_are_no_numbers_are_refused():
    with pytest.raises(StageError, match="are no numbers"):
        answer(ground(20, 20), network=lambda tiles: torch.full((len(tiles), 2, 80, 80), torch.nan))


def test_what_overflows_half_precision_is_done_again(monkeypatch):
    halves = []

    @contextmanager
    def autocast(device: str, enabled: bool):
        halves.append(enabled)
        yield

    monkeypatch.setattr(blending.devices, "autocast", autocast)

    def network(tiles: torch.Tensor) -> torch.Tensor:
        return tiles * (torch.inf if halves[-1] else 1.0)

    tiles = torch.ones(2, 3, 8, 8)
    answer_ = Blend(device="cuda").run(network, tiles)
    assert halves == [True, False]
    np.testing.assert_allclose(answer_.numpy(), 1 / 3, rtol=1e-6)
    Blend(device="cuda", amp=False).run(network, tiles)
    assert halves == [True, False, False]


def test_the_best_and_how_far_the_second_is_below():
    strips = Blend(64, 16, multiple=4)(
        lambda tiles: torch.tensor([0.5, 0.2, 0.3]).log()[None, :, None, None].expand(len(tiles), 3, 64, 64),
        lambda window: ground(8, 9),
        (8, 9),
    )
    best, probability, margin = top_two(next(iter(strips)))
    assert best.dtype == probability.dtype == margin.dtype == np.uint8
    assert (best == 0).all()
    assert np.isin(probability, (127, 128)).all()
    assert np.isin(margin, (50, 51, 52)).all()


def test_how_far_a_network_looks_is_measured():
    assert reach(Near(2).eval(), BANDS, 4) == 8
    assert reach(Near(3).eval(), BANDS, 8) == 16
    assert reach(torch.nn.Conv2d(BANDS, 2, (1, 7), padding="same"), BANDS, 1) == 3
    assert reach(lambda tiles: tiles - tiles.mean(dim=(2, 3), keepdim=True), BANDS, 4) is None


@pytest.mark.parametrize(
    "settings_",
    [{"tile": 100}, {"overlap": 10}, {"overlap": 0}, {"overlap": 192}, {"batch": 0}, {"tile": 0}, {"margin": 32}, {"margin": -1}],
)
def test_numbers_that_do_not_fit_are_refused(settings_):
    with pytest.raises(ConfigError):
        Blend(**settings_)


def test_the_first_pixel_on_the_grid_of_the_world():
    frame = MapFrame((10.0, 0, 731930.0, 0, -10.0, 5693970.0), "EPSG:32632")
    assert origin(frame) == (-569397, 73193)
    assert origin(Frame()) == (0, 0)
    # A grid of thirds of a degree's parts, and Landsat's, which begins at half a pixel: the same pixel from every extent.
    for size, x, y in (
        (0.00026949458523585647, -55.75, -11.61),
        (30.0, 399915.0, 5000115.0),
        (231.65635826385406, -6073798.057, -1.2e6),
    ):
        row, column = origin(MapFrame((size, 0, x, 0, -size, y), "EPSG:4326"))
        for shift in (1, 7, 1001):
            moved = MapFrame((size, 0, x + shift * size, 0, -size, y - shift * size), "EPSG:4326")
            assert origin(moved) == (row + shift, column + shift)
