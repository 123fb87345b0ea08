"""A leaf and its lesions by colour: drawn leaves of known severity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hyla import geometry
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Image, Item, Labels
from hyla_agriculture.leaves import Leaves
from hyla_agriculture.sample import preset_schema

SCHEMA = preset_schema()
GREEN, BROWN, YELLOW = (58, 120, 45), (120, 80, 40), (190, 175, 60)


def leaf(
    spots: list[tuple[float, float, float]], ground: Any, spot: Any = BROWN, size: int = 300, seed: int = 0
) -> tuple[Any, Any, Any]:
    """Draw a leaf with round spots (x, y, radius, as shares); return the photo, the leaf and its lesions."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    body = ((x - 0.5) / 0.25) ** 2 + ((y - 0.5) / 0.4) ** 2 < 1
    sick = np.zeros_like(body)
    for cx, cy, r in spots:
        sick |= ((x - cx) ** 2 + (y - cy) ** 2 < r**2) & body
    pixels = np.where(sick[..., None], spot, np.where(body[..., None], GREEN, ground)).astype(float)
    pixels = ndimage.gaussian_filter(pixels, (0.7, 0.7, 0)) + np.random.default_rng(seed).normal(0, 4, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8), body, sick


def predict(pixels: Any) -> Labels:
    (found,) = Leaves(SCHEMA).predict([Image(pixels, Item("a", "a.jpg"))])
    return found


@pytest.mark.parametrize("ground", [(235, 235, 235), (20, 20, 25), (120, 118, 125)])
@pytest.mark.parametrize("spot", [BROWN, YELLOW])
def test_severity_of_a_drawn_leaf(ground: Any, spot: Any) -> None:
    pixels, body, sick = leaf([(0.45, 0.4, 0.06), (0.55, 0.6, 0.09)], ground, spot)
    found = predict(pixels)
    assert [SCHEMA.names[c] for c in found.class_id] == ["leaf", "lesion", "lesion"]
    mask = geometry.decode(found.shape[0])
    assert (mask & body).sum() / (mask | body).sum() > 0.97
    assert found.attributes["severity"][0] == pytest.approx(100 * sick.sum() / body.sum(), abs=1.0)
    assert np.isnan(found.attributes["severity"][1:]).all()
    whole = geometry.decode(found.shape[1]) | geometry.decode(found.shape[2])
    assert 2 * (whole & sick).sum() / (whole.sum() + sick.sum()) > 0.93


def test_a_healthy_leaf_has_no_lesion() -> None:
    found = predict(leaf([], (235, 235, 235))[0])
    assert [SCHEMA.names[c] for c in found.class_id] == ["leaf"]
    assert found.attributes["severity"].tolist() == [0.0]


@settings(deadline=None, max_examples=15)
@given(st.floats(0.02, 0.15), st.integers(0, 9))
def test_severity_grows_with_the_lesion(radius: float, seed: int) -> None:
    small, large = (predict(leaf([(0.5, 0.5, r)], (235, 235, 235), seed=seed)[0]) for r in (radius, radius + 0.03))
    assert large.attributes["severity"][0] > small.attributes["severity"][0]


def test_a_large_photo_is_looked_at_smaller() -> None:
    pixels, body, sick = leaf([(0.5, 0.5, 0.1)], (235, 235, 235), size=2100)
    found = predict(pixels)
    mask = geometry.decode(found.shape[0])
    assert mask.shape == (2100, 2100)
    assert (mask & body).sum() / (mask | body).sum() > 0.97
    assert found.attributes["severity"][0] == pytest.approx(100 * sick.sum() / body.sum(), abs=1.0)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((40, 40, 3), np.uint8),
        np.full((1, 1, 3), 255, np.uint8),
        np.zeros((40, 40, 1), np.uint8),
        np.zeros((40, 40, 6), np.uint16),
        np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8),
    ],
)
def test_what_is_no_leaf_gets_no_label_or_only_a_leaf(pixels: Any) -> None:
    found = predict(pixels)
    assert len(found) == 0 or SCHEMA.names[int(found.class_id[0])] == "leaf"
    SCHEMA.check(found, pixels.shape[:2])


def test_settings_that_can_not_work() -> None:
    with pytest.raises(ConfigError, match="ground must be above 0"):
        Leaves(SCHEMA, ground=0)
    with pytest.raises(ConfigError):
        Leaves(Schema.from_config({"name": "a", "kinds": ["mask"], "classes": {"leaf": {}}}))
