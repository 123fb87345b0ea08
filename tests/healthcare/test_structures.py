"""Masks become labels with the measures of the schema, and with what rules need to know of them."""

from __future__ import annotations

import numpy as np
import pytest

from hyla.errors import StageError
from hyla.frame import PatientFrame
from hyla.geometry import decode
from hyla.types import Image, Item, Kind
from hyla_healthcare import sample, structures
from hyla_healthcare.structures import Structure

SHAPE = (12, 60, 80)
FROM_FEET = ((2.0, 0, 0, -80.0), (0, 2.0, 0, -60.0), (0, 0, 3.0, 0), (0, 0, 0, 1))
ON_HIS_FACE = ((-2.0, 0, 0, 80.0), (0, -2.0, 0, 60.0), (0, 0, 3.0, 0), (0, 0, 0, 1))


@pytest.fixture(scope="module")
def schema():
    return sample.preset_schema()


def volume(affine=FROM_FEET, modality="CT", frame=True):
    hu = np.full(SHAPE, -1000, dtype=np.int16)
    hu[:, 10:50, 10:70] = 40
    item = Item("a", "ct/a", kind="series", meta={"modality": modality})
    return Image(hu, item, *([PatientFrame(affine)] if frame else []), volume=True)


def block(z, y, x):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[slice(*z), slice(*y), slice(*x)] = True
    return mask


def test_a_structure_is_a_mask_with_its_bounds_score_and_measures(schema):
    mask = block((3, 7), (20, 30), (14, 26))
    image = volume()
    image.pixels[mask] = 110
    (row,) = [structures.labels(image, schema, [Structure("kidney_right", mask, 0.75, 0.1)])]
    assert (row.class_id.tolist(), row.kind.tolist(), row.score.tolist()) == (
        [schema.class_id("kidney_right")],
        [Kind.MASK],
        [0.75],
    )
    assert row.box.tolist() == [[14, 20, 26, 30]]
    assert np.array_equal(decode(row.shape[0]), mask)
    assert row.attributes["volume_ml"][0] == pytest.approx(4 * 10 * 12 * 12 / 1000)
    assert row.attributes["side"].tolist() == ["right"]
    assert np.isnan(row.attributes["long_axis_mm"]).all()  # of lesions only
    facts = {name: column[0] for name, column in row.evidence.items()}
    # The voxels 14 to 25 have their middle at 19.5, those of the body, 10 to 69, at 39.5.
    assert facts["midline_mm"] == pytest.approx(-40)
    assert facts["mean_hu"] == 110
    assert facts["entropy"] == 0.1
    assert (facts["components"], facts["fragment"], facts["outside_body"]) == (1, 0, 0)
    assert (facts["area_jump"], facts["touches_edge"]) == (0, 0)
    schema.check(row, image.size)


def test_the_side_is_the_patients_and_not_the_pictures(schema):
    mask = block((3, 7), (20, 30), (14, 26))
    sides = [
        structures.labels(volume(affine), schema, [Structure("kidney_left", mask)]).attributes["side"][0]
        for affine in (FROM_FEET, ON_HIS_FACE)
    ]
    assert sides == ["right", "left"]


def test_the_middle_is_that_of_the_body_given(schema):
    body, kidney = block((0, 12), (10, 50), (10, 30)), block((3, 7), (20, 30), (22, 28))
    rows = structures.labels(volume(), schema, [Structure("body", body), Structure("kidney_left", kidney)])
    assert rows.attributes["side"][1] == "left"
    assert rows.evidence["midline_mm"][1] == pytest.approx(10)


def test_pieces_jumps_ends_and_what_lies_outside_the_body_are_told(schema):
    mask = block((0, 3), (20, 30), (20, 30)) | block((6, 7), (20, 30), (20, 35)) | block((5, 6), (2, 6), (20, 30))
    mask[9, 40, 40] = True  # of less than a hundredth
    facts = structures.labels(volume(), schema, [Structure("liver", mask)]).evidence
    total = 300 + 150 + 40 + 1
    assert facts["components"].tolist() == [3]
    assert facts["fragment"][0] == pytest.approx(1 - 300 / total)
    assert facts["outside_body"][0] == pytest.approx(40 / total)
    assert facts["area_jump"][0] == pytest.approx(149 / 150, abs=0.01)
    assert facts["touches_edge"].tolist() == [1]
    assert np.isnan(facts["entropy"][0])


def test_lesions_have_their_two_axes(schema):
    mask = block((4, 5), (20, 25), (20, 32))
    row = structures.labels(volume(), schema, [Structure("lung_nodule", mask)])
    assert row.attributes["long_axis_mm"][0] == pytest.approx(np.hypot(24, 10), abs=2.0)
    assert 0 < row.attributes["short_axis_mm"][0] < row.attributes["long_axis_mm"][0]


def test_what_the_schema_has_not_and_what_is_empty_is_left_out(schema):
    found = [
        Structure("thumb", block((1, 2), (20, 21), (20, 21))),
        Structure("lung", block((1, 2), (20, 21), (20, 21))),  # only a group
        Structure("liver", np.zeros(SHAPE, dtype=bool)),
    ]
    rows = structures.labels(volume(), schema, found, {"modality": "CT", "unit": "HU"})
    assert len(rows) == 0
    assert rows.context == {"modality": "CT"}


def test_without_a_body_or_a_place_in_the_patient_they_are_unknown(schema):
    mask = block((3, 7), (20, 30), (14, 26))
    other = structures.labels(volume(modality="MR"), schema, [Structure("kidney_left", mask)])
    assert np.isnan(other.evidence["midline_mm"]).all()
    assert np.isnan(other.evidence["outside_body"]).all()
    flat = structures.labels(volume(frame=False), schema, [Structure("kidney_left", mask)])
    assert np.isnan(flat.attributes["volume_ml"]).all()
    schema.check(other, SHAPE)
    schema.check(flat, SHAPE)


def test_a_mask_of_another_size_is_refused(schema):
    with pytest.raises(StageError, match="the mask of 'liver' is"):
        structures.labels(volume(), schema, [Structure("liver", np.ones((3, 4, 5), dtype=bool))])
