"""Slices are the voxels, in every direction, and what is said of them places them in the patient."""

from __future__ import annotations

import numpy as np
import pytest

from gallery_scenes import phantom, uncertainty
from hyla.frame import Frame, PatientFrame
from hyla.geometry import encode
from hyla.review import volumes
from hyla.review.media import Media
from hyla.review.problems import Refused
from hyla.store import Project
from hyla.types import Image, Item, Kind, Labels

ITEM = Item("v", "v")


def image(voxels, **context):
    return Image(np.asarray(voxels), ITEM, PatientFrame(), context, volume=True)


@pytest.fixture
def project(gallery):
    with Project.open(gallery("volume 1\noblique 1\nphoto 1\n")) as opened:
        yield opened


def test_a_slice_of_each_axis_is_what_numpy_gives(project):
    media, voxels = Media(project), phantom()[0]
    record = next(project.records())
    planes = {
        "axial": lambda k: voxels[k],
        "coronal": lambda k: voxels[:, k],  # [z][x]
        "sagittal": lambda k: voxels[:, :, k],  # [z][y]
    }
    for axis, plane in planes.items():
        for first, last in ((0, 0), (3, 9), (8, 39), (39, 39)):
            data, shape = media.slices(record.item.id, axis, first, last)
            found = np.frombuffer(data, "<i2").reshape(shape)
            assert np.array_equal(found, np.stack([plane(k) for k in range(first, last + 1)]))


@pytest.mark.parametrize("made", ["volume", "oblique"])
def test_spacing_and_directions_lead_where_the_frame_does(project, made):
    record = next(r for r in project.records() if r.item.meta["made"] == made)
    told = Media(project).describe(record).slices
    assert told.shape == list(record.size)
    assert told.spacing == pytest.approx([2.5, 0.8, 0.8])
    origin = np.array(record.frame.affine)[:3, 3]
    for mask in phantom()[1].values():
        z, y, x = (float(i.mean()) for i in np.nonzero(mask))
        steps = np.array([x * told.spacing[2], y * told.spacing[1], z * told.spacing[0]])
        assert origin + steps @ np.array(told.directions) == pytest.approx(record.frame.to_world([[x + 0.5, y + 0.5, z]])[0])


def test_organs_lie_where_they_belong(project):
    """LPS: x to the left, y to the back, z to the head. A turned phantom lies upside down, since its slices go to the feet."""
    for record in (r for r in project.records() if r.labels.kind.tolist() == [Kind.MASK] * 3):
        told = Media(project).describe(record).slices
        directions = np.array(told.directions)
        letters = ["LPS"[np.argmax(abs(d))] if d[np.argmax(abs(d))] > 0 else "RAI"[np.argmax(abs(d))] for d in directions]
        assert letters == ["L", "P", "S" if record.item.meta["made"] == "volume" else "I"]
        middles = {}
        for name, mask in phantom()[1].items():
            z, y, x = (float(i.mean()) for i in np.nonzero(mask))
            middles[name] = record.frame.to_world([[x + 0.5, y + 0.5, z]])[0]
        assert middles["liver"][0] < middles["spine"][0] < middles["heart"][0]  # from right to left
        assert middles["heart"][1] < middles["spine"][1]  # the spine is at the back
        up = 1 if record.item.meta["made"] == "volume" else -1
        assert up * (middles["heart"][2] - middles["liver"][2]) > 0


def test_what_is_said_of_a_volume(project):
    record = next(project.records())
    told = Media(project).describe(record).slices
    low, high = np.percentile(phantom()[0], (1, 99))
    assert told.window == pytest.approx(((low + high) / 2, high - low))
    assert told.unit == "HU"
    assert (told.strip_of, told.strip) == ("uncertainty", uncertainty().tolist())
    assert told.url.format(axis="axial", first=0, last=3) == f"/media/{record.item.id}/slices/axial/0-3"
    blind = Media(project).describe(record, blind=True).slices
    assert (blind.strip_of, set(blind.strip)) == ("area", {0.0})


def test_a_model_writes_the_uncertainty_of_slices_as_text():
    listed = volumes.prepare(image(np.zeros((3, 6, 7), np.int16), slice_uncertainty=[1, 2, 3]))
    bare = volumes.prepare(image(np.zeros((3, 6, 7), np.int16)))
    told = lambda text: Labels.empty({"slice_uncertainty": text})  # noqa: E731
    for volume in (listed, bare):
        assert volumes.strip(volume, told("0.5 1e-3  0\n")) == ([0.5, 0.001, 0.0], "uncertainty")
    for wrong in ("0.5 1", "0.5 1 x", "0.5 1 nan", "0.5 1 inf", "", 3, None, {"a": 1}):
        assert volumes.strip(listed, told(wrong)) == ([1.0, 2.0, 3.0], "uncertainty"), wrong
        assert volumes.strip(bare, told(wrong)) == ([0.0, 0.0, 0.0], "area"), wrong


def test_blind_nothing_tells_of_the_uncertainty(project):
    record = next(project.records())
    record.labels.context["slice_uncertainty"] = " ".join(["0.7312"] * record.size[0])
    media = Media(project)
    assert media.describe(record).slices.strip == [0.7312] * record.size[0]
    assert "7312" not in media.describe(record, blind=True).model_dump_json()


def test_without_uncertainty_the_strip_counts_labelled_voxels():
    masks = np.random.default_rng(0).random((2, 5, 6, 7)) < 0.3
    labels = Labels.of([0, 0, 0], np.zeros((3, 4)), kind=[7 - 1, 6, 1], shape=[encode(masks[0]), encode(masks[1]), None])
    for context in ({}, {"slice_uncertainty": [1, 2]}, {"slice_uncertainty": "12345"}, {"slice_uncertainty": [None] * 5}):
        volume = volumes.prepare(image(np.zeros((5, 6, 7), np.int16), **context))
        assert volumes.strip(volume, labels) == (masks.sum(axis=(0, 2, 3)).tolist(), "area")


@pytest.mark.parametrize(("first", "last"), [(-1, 2), (3, 2), (0, 40), (0, 32), (40, 40)])
def test_ranges_that_are_not_there_or_too_long_are_refused(project, first, last):
    with pytest.raises(Refused) as refused:
        Media(project).slices(next(project.records()).item.id, "axial", first, last)
    assert refused.value.status == 422


def test_a_photo_has_no_slices_and_a_volume_no_picture(project):
    media = Media(project)
    volume, _, photo = (r.item.id for r in project.records())
    with pytest.raises(Refused, match="no volume"):
        media.slices(photo, "axial", 0, 0)
    for ask in (lambda: media.image(volume, "1024"), lambda: media.tile(volume, 0, 0, 0, None, None)):
        with pytest.raises(Refused, match="by slices"):
            ask()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, bool])
def test_whole_numbers_that_fit_are_served_as_they_are(dtype):
    voxels = np.random.default_rng(1).integers(0, 2 if dtype is bool else 100, (3, 4, 5)).astype(dtype)
    volume = volumes.prepare(image(voxels, modality="CT"))
    assert np.array_equal(volume.voxels, voxels.astype(np.int16))
    assert volume.unit == "HU"


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32])
def test_whole_numbers_that_do_not_fit_are_scaled_and_lose_their_unit(dtype):
    voxels = np.linspace(10, 60_000, 60).reshape(3, 4, 5).astype(dtype)
    volume = volumes.prepare(image(voxels, modality="CT", window=[30_005, 59_990]))
    assert (volume.voxels.min(), volume.voxels.max()) == (0, 32_000)
    assert (volume.voxels / volume.scale + volume.offset) == pytest.approx(voxels, abs=1 / volume.scale)
    assert volume.unit == ""
    assert volume.window == pytest.approx((16_000, 32_000))


def test_floats_are_rounded_if_they_span_enough_and_scaled_if_not():
    wide = np.linspace(-1000.4, 1500.2, 60).reshape(3, 4, 5)
    assert np.array_equal(volumes.prepare(image(wide)).voxels, np.rint(wide))
    narrow = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    narrow[0, 0, 1], narrow[0, 0, 2] = np.nan, np.inf
    volume = volumes.prepare(image(narrow))
    assert (volume.voxels.min(), volume.voxels.max()) == (0, 32_000)
    assert volume.voxels[0, 0, 1] == volume.voxels[0, 0, 2] == 0
    assert np.array_equal(volumes.prepare(image(np.full((2, 2, 2), 7.5))).voxels, np.zeros((2, 2, 2)))
    assert volumes.prepare(image(np.full((2, 2, 2), np.nan))).window[1] >= 1


def test_the_context_may_give_the_window():
    voxels = np.zeros((2, 2, 2), np.int16)
    assert volumes.prepare(image(voxels, window=[40, 400])).window == (40, 400)
    for wrong in ([40], [40, 0], "wl", [None, 3], None):
        assert volumes.prepare(image(voxels, window=wrong)).window == (0, 1)


def test_a_volume_that_lies_nowhere_says_so():
    assert volumes.geometry(Frame()) == (None, None)
    assert volumes.geometry(PatientFrame(((0, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)))) == (None, None)


def test_the_last_two_volumes_are_kept(gallery, monkeypatch):
    with Project.open(gallery("volume 3\n")) as project:
        media, ids = Media(project), [r.item.id for r in project.records()]
        loaded = []
        load = media._reading.load
        monkeypatch.setattr(media._reading, "load", lambda item: (loaded.append(item.id), load(item))[1])
        for n in (0, 1, 0, 1, 2, 1, 0):
            media.slices(ids[n], "axial", 0, 0)
        assert loaded == [ids[0], ids[1], ids[2], ids[0]]
