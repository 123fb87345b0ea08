"""A crop shows its label with what is round it, wherever the label lies, and says where the label is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from hyla.geometry import decode, encode
from hyla.review import crops
from hyla.review.media import Media
from hyla.review.problems import Refused
from hyla.store import Project
from hyla.types import Kind, Labels


@st.composite
def boxes(draw):
    height, width = draw(st.integers(1, 5000)), draw(st.integers(1, 5000))
    x = sorted(draw(st.tuples(*[st.floats(-0.5, width + 0.5)] * 2)))
    y = sorted(draw(st.tuples(*[st.floats(-0.5, height + 0.5)] * 2)))
    return (x[0], y[0], x[1], y[1]), (height, width)


@given(boxes())
def test_a_crop_lies_inside_and_holds_its_label_and_is_square_where_it_can_be(case):
    (a, b, c, d), (height, width) = case
    x0, y0, x1, y1 = crops.window((a, b, c, d), (height, width))
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    if any((a, b, c, d)):
        assert x0 - 1 <= max(a, 0)
        assert min(c, width) <= x1 + 1
        assert y0 - 1 <= max(b, 0)
        assert min(d, height) <= y1 + 1
        side = max(32, max(c - a, d - b) * 1.4)
        assert x1 - x0 == pytest.approx(min(side, width), abs=1)
        assert y1 - y0 == pytest.approx(min(side, height), abs=1)


@given(boxes())
def test_the_place_on_the_crop_leads_back_to_the_box(case):
    box, size = case
    x0, y0, x1, y1 = crops.window(box, size)
    place = crops.place(box, size)
    assert all(0 <= share <= 1 for share in place)
    if any(box):
        scale, corner = np.array([x1 - x0, y1 - y0] * 2), np.array([x0, y0] * 2)
        assert np.array(place) * scale + corner == pytest.approx(np.clip(box, [x0, y0] * 2, [x1, y1] * 2), abs=1e-6)


def test_a_label_without_a_box_is_shown_on_the_whole_picture():
    assert crops.window((0, 0, 0, 0), (300, 400)) == (0, 0, 400, 300)
    assert crops.place((0, 0, 0, 0), (300, 400)) == (0, 0, 1, 1)
    assert crops.scaled((0, 0, 400, 300), 200) == (200, 150)
    assert crops.window((100, 100, 110, 110), (7, 300, 400)) == (89, 89, 121, 121)  # of a volume


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 0.5, 1.0]))
def test_areas_of_slices_are_those_of_the_decoded_mask(seed, share):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 7, 3)) < share
    found = encode(mask)
    assert crops.slice_areas(found) == decode(found).sum(axis=(1, 2)).tolist() == mask.sum(axis=(1, 2)).tolist()


def test_the_slice_with_the_largest_area_is_shown():
    mask = np.zeros((9, 20, 20), bool)
    mask[5, 2:9, 2:9] = mask[6, 2:6, 2:6] = True
    empty = np.zeros((9, 20, 20), bool)
    labels = Labels.of(
        [0, 0, 0], np.zeros((3, 4)), kind=[Kind.MASK, Kind.MASK, Kind.BOX], shape=[encode(mask), encode(empty), None]
    )
    assert [crops.slice_of(labels, row, 9) for row in range(3)] == [5, 4, 4]


def read(data):
    return np.asarray(Pillow.open(io.BytesIO(data)))


@pytest.fixture
def media(gallery):
    with Project.open(gallery("photo 3 9\nvolume 1\nraster 1\nhuge 1\ntiny 1\nbroken 1\n")) as project:
        project.media = Media(project)
        yield project


def of(project, made):
    record = next(r for r in project.records() if r.item.meta["made"] == made)
    return record, project.machine_annotation(record.item.id)


def test_labels_of_one_pixel_at_the_edges_are_where_the_place_says(media):
    record, annotation = of(media, "tiny")
    for row, box in enumerate(record.labels.box):
        crop = read(media.media.crop(record.item.id, annotation, row, 192))
        assert crop.shape == (192, 192, 3)
        x0, y0, x1, y1 = media.media.crop_box(box, record.size)
        red = crop[round(y0 * 192) : round(y1 * 192), round(x0 * 192) : round(x1 * 192)].astype(int)
        assert red.shape[:2] == (6, 6)
        assert (red[..., 0] - red[..., 1]).mean() > 60  # chroma of JPEG is coarse
        assert abs(crop[90:100, 20:30].astype(int)[..., 0] - crop[90:100, 20:30, 1]).mean() < 120


def test_a_crop_shows_the_object(media):
    record, annotation = of(media, "photo")
    row = 0  # a red car
    x0, y0, x1, y1 = (round(share * 256) for share in media.media.crop_box(record.labels.box[row], record.size))
    crop = read(media.media.crop(record.item.id, annotation, row, 256)).astype(int)
    assert abs(crop[y0 + 30 : y1 - 6, x0 + 6 : x1 - 6] - (208, 48, 48)).max() < 25
    assert abs(crop[:, x1 + 6 :] - (208, 48, 48)).mean() > 40


def test_a_crop_of_a_volume_is_grey_and_of_the_right_slice(media):
    record, annotation = of(media, "volume")
    crop = read(media.media.crop(record.item.id, annotation, 2, 200))  # the spine: 700 HU
    assert crop.ndim == 2
    x0, y0, x1, y1 = media.media.crop_box(record.labels.box[2], record.size)
    middle = crop[round((y0 + y1) * 90) : round((y0 + y1) * 110), round((x0 + x1) * 90) : round((x0 + x1) * 110)]
    assert middle.mean() > 240


def test_a_crop_of_a_huge_picture_or_a_raster_reads_only_its_part(media, monkeypatch):
    record, annotation = of(media, "raster")
    with monkeypatch.context() as patch:
        patch.setattr(media.media._reading, "load", None)
        crop = read(media.media.crop(record.item.id, annotation, 3, 192))
    assert crop.shape == (192, 192, 3)
    assert crop[80:110, 80:110, 1].mean() > crop[:12, :12, 1].mean() + 30  # fields are greener than what is between them
    record, annotation = of(media, "huge")
    crop = read(media.media.crop(record.item.id, annotation, 0, 200))
    x, y = (round(share * 200) for share in media.media.crop_box(record.labels.box[0], record.size)[:2])
    assert crop[y + 4 : y + 30, x + 4 : x + 60].min() > 245  # a white mark begins at the corner of the box
    assert crop[y - 8 : y - 3, x - 8 : x - 3].max() < 200


@pytest.mark.parametrize(("annotation", "row"), [(1, 9), (1, 10**9), (10**9, 0), (2, 0)])
def test_labels_that_are_not_there_are_refused(media, annotation, row):
    record, first = of(media, "photo")
    with pytest.raises(Refused) as refused:
        media.media.crop(record.item.id, first - 1 + annotation, row, 192)
    assert (refused.value.status, refused.value.code) == (404, "label")


def test_a_file_that_is_gone_is_said_so(media):
    record, annotation = of(media, "broken")
    with pytest.raises(Refused, match="can't be read any more") as refused:
        media.media.crop(record.item.id, annotation, 0, 192)
    assert (refused.value.status, refused.value.code) == (410, "gone")
    assert media.source() not in str(refused.value)
