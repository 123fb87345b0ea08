"""Volumes: how Dice is measured, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from hyla import Image, Item, Kind, Labels, PatientFrame, Project, Record, Schema, geometry
from hyla.dice import overlaps, volumes_of
from hyla.errors import ConfigError, StageError
from hyla.evaluate import evaluate
from hyla.montage import montage
from hyla.pictures import Pictures, draw_project

SIZE = (4, 12, 10)
SCHEMA = Schema.from_config({"name": "organs", "kinds": ["mask"], "classes": {"liver": {}, "spleen": {}, "rib": {}}})


def block(*spans: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


def record(name: str, **masks: list[np.ndarray]) -> Record:
    rows = [(SCHEMA.class_id(c), geometry.encode(m)) for c, several in masks.items() for m in several]
    labels = Labels.of([c for c, _ in rows], kind=Kind.MASK, shape=[m for _, m in rows]) if rows else Labels.empty()
    return Record(Item(name, name), labels, size=SIZE)


LIVER, HALF, SPLEEN = block((0, 4), (0, 6), (0, 5)), block((0, 2), (0, 6), (0, 5)), block((1, 3), (8, 12), (6, 10))


def test_dice_is_measured_by_class_over_volumes():
    truth = [record("a", liver=[LIVER], spleen=[SPLEEN]), record("b", liver=[LIVER])]
    found = [record("a", liver=[HALF], rib=[SPLEEN]), record("b", liver=[LIVER])]
    volumes = evaluate(found, truth, SCHEMA, samples=50).volumes
    liver, spleen, rib = volumes["liver"], volumes["spleen"], volumes["rib"]
    assert liver.dice == pytest.approx((2 * 60 / (120 + 60) + 1) / 2)
    assert liver.size == pytest.approx((60 + 120) / 240)
    assert (liver.volumes, liver.truth, liver.predicted) == (2, 2, 2)
    assert 0 <= liver.low < liver.dice < liver.high <= 1
    assert (spleen.dice, spleen.volumes, spleen.predicted) == (0.0, 1, 0)  # missed
    assert (rib.dice, rib.volumes, rib.truth, rib.predicted, rib.size) == (None, 1, 0, 1, None)  # the truth may not have looked
    assert "liver   Dice 0.833" in str(evaluate(found, truth, SCHEMA, samples=50))


def test_a_missing_record_counts_as_nothing_found():
    volumes = evaluate([], [record("a", liver=[LIVER])], SCHEMA, samples=5).volumes
    assert (volumes["liver"].dice, volumes["liver"].predicted) == (0.0, 0)


def test_masks_of_one_volume_must_have_one_size():
    other = Labels.of([0], kind=Kind.MASK, shape=[geometry.encode(np.ones((2, 3, 3), dtype=bool))])
    with pytest.raises(StageError, match="differ in size"):
        overlaps({1: volumes_of(record("a", liver=[LIVER]).labels)}, {1: volumes_of(other)}, 5, 0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 3))
def test_dice_is_that_of_the_arrays(seed: int, left: int, right: int):
    rng = np.random.default_rng(seed)
    sides = [[rng.random(SIZE) < rng.random() for _ in range(n)] for n in (left, right)]
    volumes = evaluate([record("a", liver=sides[1])], [record("a", liver=sides[0])], SCHEMA, samples=2).volumes
    a, b = (np.any(side, axis=0) for side in sides)
    if a.any():
        assert volumes["liver"].dice == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
    else:
        assert volumes["liver"].dice is None


def test_a_volume_is_drawn_as_slices_with_outlines():
    pixels = np.zeros(SIZE, dtype=np.int16)
    image = Image(pixels, Item("a", "a"), PatientFrame(), {"window": [0, 100]}, volume=True)
    drawn = montage(image, record("a", liver=[SPLEEN]), SCHEMA, across=2, down=1)
    assert drawn.shape[1] % 2 == 0
    assert drawn.shape[2] == 3
    tile = drawn.shape[1] // 2
    scale = drawn.shape[1] / 2 / SIZE[2]
    for k in range(2):  # only slices 1 and 2 hold the mask
        inside = drawn[round(9.5 * scale), k * tile + round(8 * scale)].astype(int)
        outside = drawn[round(4 * scale), k * tile + round(2 * scale)].astype(int)
        assert inside.max() - inside.min() > 20
        assert outside.max() - outside.min() < 10


def test_every_item_of_a_project_can_be_drawn(gallery: Callable[..., Path], tmp_path: Path):
    with Project.open(gallery("photo 2 3\nvolume 1\noblique 1\nraster 1")) as project:
        paths = draw_project(project, tmp_path / "drawn", 200)
        volumes = [r.item.id for r in project.records() if len(r.size) == 3]
    assert volumes
    for name in volumes:
        with Pillow.open(tmp_path / "drawn" / f"{name}.jpg") as picture:
            assert picture.width > picture.height  # four slices across, three down
    assert {p.stem for p in paths} >= set(volumes)


def test_pictures_open_their_source_when_first_asked(tmp_path: Path):
    pictures = Pictures(str(tmp_path / "gone"), {"_target_": "hyla.images.Folder"}, SCHEMA)
    with pytest.raises(ConfigError, match="the source of the project is gone"):
        pictures.load(Item("a", "a.png"))
