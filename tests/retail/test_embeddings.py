"""Vectors of crops: alike for what looks alike, whatever the size, the type and the neighbours; and perceptual hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hyla.errors import ConfigError
from hyla.images import read_image
from hyla_retail import appearance
from hyla_retail.crops import cut, on_paper, rgb, trim
from hyla_retail.embeddings import Appearance, Embedding, Joined, Network, hamming, phash, phashes

LOOK = Appearance()


def pack(seed: int, height: int = 120, width: int = 80) -> Any:
    """Draw a pack: a ground, a band and a few shapes of random colours."""
    random = np.random.default_rng(seed)
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = random.integers(0, 256, 3)
    for _ in range(6):
        top, left = random.uniform(0, 0.8, 2)
        tall, wide = random.uniform(0.1, 0.5, 2)
        rows, columns = slice(int(top * height), int((top + tall) * height)), slice(int(left * width), int((left + wide) * width))
        pixels[rows, columns] = random.integers(0, 256, 3)
    return pixels


def seen(pixels: Any, seed: int) -> Any:
    """Return a pack as another photo shows it: cut a bit otherwise, in other light, with noise."""
    random = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    top, left = random.integers(0, max(2, height // 20)), random.integers(0, max(2, width // 20))
    noisy = pixels[top:, left:] * random.uniform(0.85, 1.1) + random.normal(0, 4, pixels[top:, left:].shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def ways() -> list[Embedding]:
    network = Network(None, "shufflenet_v2_x0_5", device="cpu", side=64, threads=1)
    return [LOOK, network, Joined(network, LOOK)]


def test_vectors_have_length_one_and_do_not_depend_on_their_neighbours(ways: list[Embedding]) -> None:
    crops = [pack(0), pack(1, 300, 40), pack(2, 1, 1), pack(3, 7, 500), np.zeros((5, 5, 3), np.uint8)]
    for way in ways:
        together = way(crops)
        assert together.shape == (5, way.size)
        assert together.dtype == np.float32
        assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
        for i, crop in enumerate(crops):
            np.testing.assert_array_equal(way([crop])[0], together[i])
        assert way([]).shape == (0, way.size)


def test_vectors_are_those_of_their_version() -> None:
    """If this fails, vectors differ from those in exemplar files: raise appearance.VERSION, and give the new numbers here."""
    assert appearance.VERSION == 1
    (vector,) = LOOK([pack(11)])
    assert vector[[39, 604, 606, 41, 660, 491]] == pytest.approx([0.510, 0.279, 0.225, 0.212, 0.153, 0.150], abs=0.01)


def test_another_photo_of_a_pack_is_nearer_than_another_pack() -> None:
    known = LOOK([pack(i) for i in range(60)])
    again = LOOK([seen(pack(i), i) for i in range(60)])
    assert ((again @ known.T).argmax(axis=1) == np.arange(60)).mean() >= 0.95


def test_what_is_looked_at_hardly_depends_on_the_size() -> None:
    small, large = pack(5, 150, 100), np.repeat(np.repeat(pack(5, 150, 100), 7, axis=0), 7, axis=1)
    assert float((LOOK([small]) @ LOOK([large]).T)[0, 0]) > 0.97


def test_weights_of_appearance() -> None:
    red, green = np.full((40, 40, 3), (200, 30, 30), np.uint8), np.full((40, 40, 3), (30, 160, 30), np.uint8)
    striped = red.copy()
    striped[::8] = 30
    by_colour, by_edges = Appearance(1, 0, 0, 0), Appearance(0, 1, 0, 0)
    assert by_colour([red]) @ by_colour([green]).T < 0.1
    assert by_edges([red]) @ by_edges([green]).T == pytest.approx(0, abs=1e-6)  # neither has any
    assert by_colour([red]) @ by_colour([striped]).T > 0.8
    assert by_colour.digest != by_edges.digest != LOOK.digest
    assert Appearance() == LOOK
    for wrong in ({"colour": -1.0}, {"colour": 0.0, "edges": 0.0, "texture": 0.0, "layout": 0.0}):
        with pytest.raises(ConfigError, match="weights of Appearance"):
            Appearance(**wrong)


@settings(deadline=None, max_examples=60)
@given(
    npst.arrays(
        dtype=st.sampled_from([np.uint8, np.uint16, np.int32, np.float32, np.bool_]),
        shape=npst.array_shapes(min_dims=2, max_dims=2, max_side=20).flatmap(
            lambda hw: st.sampled_from([1, 3, 4]).map(lambda bands: (*hw, bands))
        ),
    ),
    st.lists(st.tuples(*[st.floats(-5, 30)] * 4), max_size=4),
)
def test_any_picture_can_be_cut_and_described(pixels: Any, boxes: list[tuple[float, ...]]) -> None:
    crops = cut(pixels, np.array(boxes).reshape(-1, 4))
    assert all(crop.dtype == np.uint8 and crop.shape[2] == 3 and min(crop.shape[:2]) >= 1 for crop in crops)
    vectors = LOOK([rgb(pixels), *map(trim, crops)])
    assert np.isfinite(vectors).all()
    assert phashes(crops).shape == (len(crops),)


def test_boxes_take_whole_pixels() -> None:
    pixels = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    (crop,) = cut(pixels, np.array([[1.2, 2.0, 3.1, 3.9]]))
    np.testing.assert_array_equal(crop, pixels[2:4, 1:4])


def test_white_paper_is_taken_away_and_white_on_the_pack_is_not() -> None:
    pixels = np.full((100, 100, 3), 255, np.uint8)
    pixels[20:80, 30:60] = (180, 20, 20)
    pixels[40:50, 40:50] = 255  # printed on it
    paper = on_paper(pixels)
    assert paper is not None
    assert paper[0, 0]
    assert not paper[45, 45]
    assert trim(pixels).shape == (60, 30, 3)
    dark = np.full((100, 100, 3), 40, np.uint8)
    assert on_paper(dark) is None
    assert trim(dark) is dark
    blank = np.full((50, 50, 3), 255, np.uint8)
    assert trim(blank).shape == blank.shape


def test_near_copies_have_near_hashes() -> None:
    known = phashes([pack(i) for i in range(40)])
    copies = phashes([seen(pack(i), i) for i in range(40)])
    apart = hamming(copies, known)
    assert np.median(np.diag(apart)) <= 10
    others = apart[~np.eye(40, dtype=bool)]
    assert 24 <= np.median(others) <= 40  # half of 64 bits, as of unlike pictures
    assert phash(pack(0)) == known[0]
    assert hamming(known[:1], known[:1])[0, 0] == 0


def test_a_network_without_its_head_by_weights_of_ones_own(tmp_path: Path) -> None:
    from torchvision.models import shufflenet_v2_x0_5

    torch.manual_seed(1)
    network = shufflenet_v2_x0_5(weights=None, num_classes=7)  # trained on other classes
    path = tmp_path / "own.pth"
    torch.save({"model": network.state_dict()}, path)
    one, two = (Network(str(path), "shufflenet_v2_x0_5", device="cpu", side=64, threads=1) for _ in range(2))
    assert one.size == 1024
    assert one.digest == two.digest
    assert "own" in one.name
    np.testing.assert_array_equal(one([pack(1)]), two([pack(1)]))
    random = Network(None, "shufflenet_v2_x0_5", device="cpu", side=64, threads=1)
    assert random.digest != one.digest
    with pytest.raises(ConfigError, match="no state dict of mobilenet_v2"):
        Network(str(path), "mobilenet_v2", device="cpu")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"weights": "nowhere.pth"}, "needs weights"),
        ({"weights": None, "architecture": "mobilenet"}, "no network"),
        ({"weights": None, "architecture": "squeezenet1_0"}, "no linear layer"),
        ({"weights": None, "side": 8}, "at least 32"),
    ],
)
def test_settings_that_can_t_work(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        Network(**{"device": "cpu", **settings})


def test_a_share_out_of_range() -> None:
    with pytest.raises(ConfigError, match="share"):
        Joined(LOOK, LOOK, 1.0)


def test_real_weights_tell_real_products(shared: Path) -> None:
    network = Network(str(shared / "weights/mobilenet_v2-b0353104.pth"), device="cpu", threads=1)
    assert network.size == 1280
    root = shared / "data/retail/grocery_store/test/Fruit"
    names = ["Apple/Granny-Smith/Granny-Smith", "Banana/Banana", "Pineapple/Pineapple", "Lemon/Lemon"]
    found = [[read_image(next(root.glob(f"{name}*00{i}.jpg"))) for name in names] for i in (1, 2)]
    first, second = (Joined(network, LOOK)(some) for some in found)
    assert ((second @ first.T).argmax(axis=1) == np.arange(len(names))).all()
