"""NIfTI, NRRD and MetaImage volumes: their place, their values, and what is refused."""

from __future__ import annotations

import gzip
import itertools
import json
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from hyla.errors import BadItem
from hyla.types import Item
from hyla_healthcare import nifti

AXES = ["".join(c) for p in itertools.permutations(("LR", "AP", "SI")) for c in itertools.product(*p)]
ITEM = Item("a", "a.nii.gz", kind="series")


def affine(angle: float = 0.1, spacing: tuple[float, float, float] = (0.7, 0.8, 2.5)) -> np.ndarray:
    """Return an oblique affine to LPS."""
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    out = np.eye(4)
    out[:3, :3] = turn * spacing
    out[:3, 3] = (-120.5, -33.25, -804.5)
    return out


def save(path, values, ras):
    """Write a file with nibabel."""
    image = nibabel.Nifti1Image(values, ras)
    image.set_sform(ras, code=1)
    image.set_qform(ras, code=1)
    nibabel.save(image, path)
    return path


def patched(path, *changes):
    """Write a sound .nii with bytes of its header changed: (offset, format, value) as nifti1.h numbers them."""
    blob = bytearray(save(path, volume(), np.eye(4)).read_bytes())
    for offset, form, value in changes:
        struct.pack_into(form, blob, offset, value)
    path.write_bytes(blob)
    return path


def volume(shape=(5, 7, 6), seed=0):
    """Return a volume (D, H, W) in which no two voxels are alike."""
    return np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape).astype(np.int16)


def test_itk_finds_a_written_volume_in_the_same_place(tmp_path):
    """What nibabel wrote is read by ITK, which knows nothing of it."""
    values, place = volume(), affine()
    nifti.write(tmp_path / "v.nii.gz", values, place)
    read = SimpleITK.ReadImage(str(tmp_path / "v.nii.gz"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(read), values)
    for index in itertools.product((0, 5), (0, 6), (0, 4)):
        assert np.allclose(read.TransformIndexToPhysicalPoint(index), (place @ [*index, 1])[:3], atol=1e-3)


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        nifti.write(tmp_path / name, volume(), affine())
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_sheared_grid_keeps_its_affine(tmp_path):
    """A gantry tilt is a shear, for which the qform has no room."""
    place = affine()
    place[1, 2] = 0.8
    nifti.write(tmp_path / "v.nii.gz", volume(), place)
    read = nifti.read(tmp_path / "v.nii.gz", ITEM)
    assert np.allclose(read.frame.affine, place, atol=1e-3)
    assert nibabel.load(tmp_path / "v.nii.gz").header["qform_code"] == 0


@pytest.mark.parametrize("axes", AXES)
def test_axes_in_any_order_come_out_as_lps(tmp_path, axes):
    """The same patient stored in each of the 48 orders of axes is read as the same volume in the same place."""
    place, values = affine(), volume()
    straight = values.transpose(2, 1, 0)
    change = ornt_transform(io_orientation(nifti.LPS @ place), axcodes2ornt(axes))
    turned = nibabel.orientations.apply_orientation(straight, change)
    path = save(tmp_path / "v.nii", turned, nifti.LPS @ place @ inv_ornt_aff(change, straight.shape))
    read = nifti.read(path, ITEM)
    assert np.array_equal(read.pixels, values)
    assert np.allclose(read.frame.affine, place, atol=1e-3)
    assert np.linalg.det(np.array(read.frame.affine)[:3, :3]) > 0


def test_sform_stands_above_qform_and_qform_alone_will_do(tmp_path):
    both = nibabel.Nifti1Image(volume().transpose(2, 1, 0), None)
    both.set_qform(nifti.LPS @ affine(0.0), code=1)
    nibabel.save(both, tmp_path / "q.nii")
    assert np.allclose(nifti.read(tmp_path / "q.nii", ITEM).frame.affine, affine(0.0), atol=1e-3)
    both.set_sform(nifti.LPS @ affine(0.3), code=2)
    nibabel.save(both, tmp_path / "s.nii")
    assert np.allclose(nifti.read(tmp_path / "s.nii", ITEM).frame.affine, affine(0.3), atol=1e-3)


def test_a_volume_that_lies_nowhere_is_refused(tmp_path):
    path = patched(tmp_path / "v.nii", (252, "<h", 0), (254, "<h", 0))
    with pytest.raises(BadItem, match="left and right would be a guess"):
        nifti.read(path, ITEM)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001), ("mm", 1), ("unknown", 1)])
def test_units_become_millimetres(tmp_path, unit, factor):
    image = nibabel.Nifti1Image(volume(), np.diag([2.0, 2.0, 3.0, 1.0]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "v.nii")
    spacing = nifti.facts(tmp_path / "v.nii")["spacing_mm"]
    assert spacing == pytest.approx([3 * factor, 2 * factor, 2 * factor])


@pytest.mark.parametrize(
    ("values", "slope", "inter", "kind", "expected"),
    [
        (np.array([[[0, 1000, 2000]]], np.int16), 1, -1024, np.int16, [-1024, -24, 976]),
        (np.array([[[0, 1000, 2000]]], np.int16), 0.5, 0, np.float32, [0, 500, 1000]),
        (np.array([[[0, 40000, 65535]]], np.uint16), 1, 0, np.float32, [0, 40000, 65535]),
        (np.array([[[-1000, 0, 3071]]], np.float64), np.nan, np.nan, np.int16, [-1000, 0, 3071]),
        (np.array([[[0.25, 0.5, 1]]], np.float32), np.nan, np.nan, np.float32, [0.25, 0.5, 1]),
        (np.array([[[np.nan, 5, -7]]], np.float32), np.nan, np.nan, np.int16, [-7, 5, -7]),
        (np.array([[[7, 8, 9]]], np.uint8), 0, 3, np.int16, [7, 8, 9]),  # slope 0 means no scaling at all
    ],
)
def test_values(tmp_path, values, slope, inter, kind, expected):
    """Stored numbers are scaled; whole numbers stay whole; what is no number becomes the lowest."""
    path = tmp_path / "v.nii"
    image = nibabel.Nifti1Image(values.transpose(2, 1, 0), nifti.LPS)
    image.header.set_slope_inter(1, 0)
    nibabel.save(image, path)
    blob = bytearray(path.read_bytes())
    struct.pack_into("<ff", blob, 112, slope, inter)  # scl_slope, scl_inter
    path.write_bytes(blob)
    read = nifti.read(path, ITEM).pixels
    assert read.dtype == kind
    assert read.ravel().tolist() == expected
    if not np.isnan(values).any():
        assert np.allclose(nibabel.load(path).get_fdata().ravel(), expected)


def test_header_text_is_not_kept(tmp_path):
    path = patched(tmp_path / "v.nii", (148, "80s", b"MUSTERMANN ERIKA"), (14, "18s", b"MUSTERMANN"), (228, "24s", b"MUSTERMANN"))
    assert b"MUSTERMANN" in path.read_bytes()
    read = nifti.read(path, ITEM)
    assert "MUSTERMANN" not in repr((nifti.facts(path), read.frame, read.context))


def test_a_sidecar_tells_the_modality_and_nothing_of_a_person(tmp_path):
    path = save(tmp_path / "v.nii.gz", volume(), nifti.LPS)
    told = {
        "Modality": "CT",
        "Manufacturer": "Acme",
        "PatientName": "Mustermann",
        "ConvolutionKernel": 7,
        "BodyPartExamined": "A" * 99,
    }
    (tmp_path / "v.json").write_text(json.dumps(told))
    facts = nifti.facts(path)
    assert facts == {"slices": 6, "spacing_mm": [1.0, 1.0, 1.0], "modality": "CT", "manufacturer": "Acme", "unit": "HU"}
    assert nifti.read(path, Item("a", "a", meta=facts)).context == {"modality": "CT", "manufacturer": "Acme"}
    (tmp_path / "v.json").write_text("[1, 2")
    assert "modality" not in nifti.facts(path)
    assert nifti.facts(path, "MR")["modality"] == "MR"


def bad(name):
    """Return a function that makes a file of this kind of damage, and the words that the refusal holds."""
    return {
        "4-D": (lambda p: save(p, np.zeros((3, 4, 5, 6), np.int16), np.eye(4)), "6 volumes"),
        "2-D": (lambda p: save(p, np.zeros((3, 4), np.int16), np.eye(4)), "no volume"),
        "colour": (lambda p: save(p, np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")]), np.eye(4)), "colours"),
        "complex": (lambda p: save(p, np.zeros((3, 4, 5), np.complex64), np.eye(4)), "complex"),
        "not finite": (lambda p: patched(p, (280, "<f", np.nan)), "not finite"),
        "flat": (lambda p: patched(p, (320, "<f", 0)), "flat"),
        "empty": (lambda p: p.write_bytes(b""), "no NIfTI"),
        "text": (lambda p: p.write_bytes(b"hello, I am a letter" * 50), "no NIfTI"),
        "pair": (lambda p: patched(p, (344, "4s", b"ni1")), "second file"),
        "type": (lambda p: patched(p, (70, "<h", 999)), "contradicts itself"),
        "no number": (lambda p: save(p, np.full((2, 2, 2), np.nan, np.float32), np.eye(4)), "no number"),
        "cut": (lambda p: p.write_bytes(save(p, volume((40, 40, 40)), np.eye(4)).read_bytes()[:40000]), "shorter|truncated"),
        "far": (lambda p: patched(p, (108, "<f", 1e9)), "shorter than its header"),
        "near": (lambda p: patched(p, (108, "<f", 4.0)), "shorter than its header"),
    }[name]


DAMAGE = (
    "4-D",
    "2-D",
    "colour",
    "complex",
    "not finite",
    "flat",
    "empty",
    "text",
    "pair",
    "type",
    "no number",
    "cut",
    "far",
    "near",
)


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_damaged_is_refused_with_a_reason_that_names_no_file(tmp_path, name):
    make, words = bad(name)
    path = tmp_path / "Mustermann.nii"
    make(path)
    with pytest.raises(BadItem, match=words) as caught:
        nifti.read(path, ITEM)
    assert "Mustermann" not in str(caught.value)


def test_a_cut_gzip_is_refused(tmp_path):
    whole = save(tmp_path / "v.nii.gz", volume((30, 30, 30)), np.eye(4)).read_bytes()
    for n in (0, 5, 200, len(whole) // 2, len(whole) - 9):
        (tmp_path / "v.nii.gz").write_bytes(whole[:n])
        with pytest.raises(BadItem):
            nifti.read(tmp_path / "v.nii.gz", ITEM)
    (tmp_path / "v.nii.gz").write_bytes(whole[:-8] + b"\0\0\0\0" + whole[-4:])  # the checksum
    with pytest.raises(BadItem, match="damaged"):
        nifti.read(tmp_path / "v.nii.gz", ITEM)


def test_a_bomb_is_refused_by_its_header(tmp_path):
    """30 kB that would grow to 30 GB: neither header nor limit lets it be unpacked."""
    block = bytearray(nibabel.Nifti1Header().binaryblock)
    header = nibabel.Nifti1Header(bytes(block))
    header.set_data_shape((2048, 2048, 4096))
    header.set_data_dtype(np.int16)
    header["sform_code"], header["srow_x"], header["srow_y"], header["srow_z"] = 1, [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]
    header["magic"], header["vox_offset"] = b"n+1", 352
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(30_000_000)))
    with pytest.raises(BadItem, match="shorter than its header says"):
        nifti.read(tmp_path / "b.nii.gz", ITEM)
    path = save(tmp_path / "v.nii.gz", np.zeros((300, 300, 300), np.int16), np.eye(4))
    assert path.stat().st_size < 300_000
    with pytest.raises(BadItem, match="max_voxels=1000000"):
        nifti.read(path, ITEM, max_voxels=1_000_000)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_bytes_make_it_fail_otherwise(tmp_path_factory, data):
    """Whatever bytes of the header are changed, a volume comes back or BadItem."""
    folder = tmp_path_factory.mktemp("fuzz")
    blob = bytearray(save(folder / "v.nii", volume(), np.eye(4)).read_bytes())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=6)):
        blob[at] = value
    (folder / "v.nii").write_bytes(blob)
    try:
        read = nifti.read(folder / "v.nii", ITEM)
    except BadItem:
        return
    assert read.pixels.ndim == 3
    assert np.isfinite(read.frame.affine).all()


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_nrrd_and_metaimage(tmp_path, ending):
    image = SimpleITK.GetImageFromArray(volume())
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-120.5, -33.25, -804.5))
    path = tmp_path / f"v{ending}"
    SimpleITK.WriteImage(image, str(path), True)
    read = nifti.read(path, ITEM)
    assert np.array_equal(read.pixels, volume())
    assert np.allclose(read.frame.affine, affine(0.0))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadItem, match="truncated"):
        nifti.read(path, ITEM)


def test_a_header_that_names_another_file_is_refused(tmp_path):
    """Else a volume could be made to show any file of this machine."""
    (tmp_path / "v.mha").write_text("NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = /etc/passwd\n")
    (tmp_path / "v.nrrd").write_text(
        "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: /etc/passwd\n\n"
    )
    (tmp_path / "n.nrrd").write_bytes(b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n\n12345678")
    for name, words in (("v.mha", "second file"), ("v.nrrd", "second file"), ("n.nrrd", "space")):
        with pytest.raises(BadItem, match=words):
            nifti.read(tmp_path / name, ITEM)


def test_real_volumes(shared):
    """CT, MR, a conformed T1 head and NRRD: upright, in the right place by ITK's reading."""
    root = shared / "data" / "healthcare"
    for name in ("nifti_small/example_ct_sm.nii.gz", "brain_t1/t1_crop.nii.gz", "brain_mr_tumour/brain1_image.nrrd"):
        read = nifti.read(root / name, ITEM)
        upright = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(root / name)), "LPS")
        assert np.array_equal(SimpleITK.GetArrayFromImage(upright), read.pixels)
        last = [s - 1 for s in reversed(read.size)]
        assert np.allclose(upright.TransformIndexToPhysicalPoint(last), (np.array(read.frame.affine) @ [*last, 1])[:3], atol=0.01)
