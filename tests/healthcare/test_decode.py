"""Pixels: every Transfer Syntax, HU, what is cut off, and datasets in memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread, uid

from hyla.errors import BadItem
from hyla_healthcare import decode
from hyla_healthcare.instance import Instance, read
from hyla_healthcare.pixel_data import frame
from hyla_healthcare.syntaxes import aligned
from series_kit import DEFLATED_FRAME, SYNTAXES, datasets, volume, write

DATA = "data/healthcare"


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: uid.UID(s).name)
@pytest.mark.parametrize("signed", [True, False])
def test_a_series_decodes_to_the_values_that_were_stored(tmp_path, syntax, signed):
    stored = volume() if signed else (volume() + 1000).astype(np.uint16)
    paths = write(tmp_path, datasets(stored, syntax))
    got, where = decode.volume(paths)
    assert got.dtype == np.int16
    assert np.array_equal(got, stored)
    assert where.spacing == pytest.approx((2.5, 0.75, 0.5))


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.JPEGLSLossless, DEFLATED_FRAME])
def test_datasets_in_memory_decode_like_files(syntax):
    stored = volume()
    found = datasets(stored, syntax)
    got, _ = decode.volume([found[n] for n in (3, 0, 5, 1, 4, 2)])
    assert np.array_equal(got, stored)


# (file, what pydicom itself can not decode)
REAL = [
    *(
        f"pydicom_data/{name}.dcm"
        for name in ("emri_small", "emri_small_RLE", "emri_small_big_endian", "emri_small_jpeg_2k_lossless")
    ),
    *(
        f"pydicom_data/{name}.dcm"
        for name in ("emri_small_jpeg_ls_lossless", "JLSL_16_15_1_1F", "JPEG-LL", "HTJ2K_08_RGB", "MR2_J2KR")
    ),
    *(
        f"pydicom_data/{name}.dcm"
        for name in ("RG3_J2KI", "US1_J2KI", "693_UNCR", "color-pl", "SC_rgb_16bit_2frame", "gdcm-US-ALOKA-16")
    ),
    *(
        f"pydicom_data/{name}.dcm"
        for name in ("OBXXXX1A_rle_2frame", "MR-SIEMENS-DICOM-WithOverlays", "SC_rgb_expb_32bit_2frame")
    ),
    *(
        f"pydicom_files/{name}.dcm"
        for name in ("image_dfl", "ExplVR_BigEnd", "MR_small_RLE", "MR_small_bigendian", "examples_jpeg2k")
    ),
]


@pytest.mark.parametrize("name", REAL)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, which is what we compare with
def test_real_files_decode_as_pydicom_decodes_them(shared, name):
    path = shared / DATA / name
    instance = read(path)
    wanted = dcmread(path).pixel_array
    got = np.stack([frame(instance, n) for n in range(instance.frames)])
    assert np.array_equal(got if instance.frames > 1 else got[0], wanted)


def test_jpeg_with_12_bits_decodes_though_pydicom_has_no_permissive_decoder(shared):
    instance = read(shared / DATA / "pydicom_files/JPEG-lossy.dcm")
    got = frame(instance)
    # Values that pydicom's own tests give for this file, decoded by libjpeg.
    assert (got[420, 140], got[230, 120], got.shape) == (244, 95, (1024, 256))


def test_bits_that_are_not_stored_are_cleared_and_the_sign_is_extended():
    stored = volume().clip(-2000, 2000)
    dirty = ((stored & 0x0FFF) | (np.arange(stored.size).reshape(stored.shape) << 12)).astype(np.uint16)  # overlays above bit 11
    found = datasets(dirty, BitsStored=12, HighBit=11)
    for one in found:
        one.PixelRepresentation = 1
    assert np.array_equal(decode.volume(found)[0], stored)


@settings(max_examples=50)
@given(st.integers(2, 16), st.integers(0, 14), st.booleans(), st.integers(0, 2**16 - 1))
def test_alignment_is_what_the_bits_mean(bits, above, signed, word):
    high = min(15, bits - 1 + above)
    about = Instance.of(datasets(volume(1))[0])
    got = aligned(replace(about, stored=bits, high_bit=high, signed=signed), np.array([[word]], np.uint16))[0, 0]
    value = word >> (high + 1 - bits) & (1 << bits) - 1
    assert got == (value - (1 << bits) if signed and value >> (bits - 1) else value)


def test_rescaling_keeps_whole_numbers_and_gives_floats_where_it_must():
    stored = (volume() + 1000).astype(np.uint16)
    hu, _ = decode.volume(datasets(stored, RescaleIntercept=-1024))
    assert hu.dtype == np.int16
    assert np.array_equal(hu, stored.astype(int) - 1024)
    twice, _ = decode.volume(datasets(stored, RescaleSlope=2, RescaleIntercept=-1024))
    assert twice.dtype == np.int16
    assert np.array_equal(twice, stored.astype(int) * 2 - 1024)
    half, _ = decode.volume(datasets(stored, RescaleSlope=0.5, RescaleIntercept=-10))
    assert half.dtype == np.float32
    assert np.allclose(half, stored * 0.5 - 10)
    wide = stored.copy()
    wide[2, 3, 4] = 65535  # more than 16 bits with a sign hold
    far, _ = decode.volume(datasets(wide, RescaleIntercept=-1024))
    assert far.dtype == np.float32
    assert np.array_equal(far, wide.astype(np.float32) - 1024)


def test_every_slice_has_its_own_slope_in_pet():
    stored = (volume() + 1000).astype(np.uint16)
    found = datasets(stored, Modality="PT")
    for n, one in enumerate(found):
        one.RescaleSlope = 0.25 * (n + 1)
    got, _ = decode.volume(found)
    assert np.allclose(got, stored * (0.25 * np.arange(1, 7))[:, None, None], rtol=1e-6)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_a_file_that_is_cut_off_is_told_without_its_name(tmp_path, syntax):
    paths = write(tmp_path, datasets(volume(), syntax))
    whole = paths[3].read_bytes()
    paths[3].write_bytes(whole[: len(whole) - 400])
    with pytest.raises(BadItem, match=r"file 4\b") as caught:
        decode.volume(paths)
    assert paths[3].name not in str(caught.value)
    assert "MRN-4711" not in str(caught.value)


@pytest.mark.parametrize("syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_a_frame_of_another_size_than_the_header_says_is_refused_before_it_is_decoded(syntax):
    found = datasets(volume(), syntax)
    found[2].PixelData = datasets(volume(1, (80, 64)), syntax)[0].PixelData
    with pytest.raises(BadItem, match=r"holds a frame of 80 x 64 x 1, its header says 40 x 32 x 1"):
        decode.volume(found)


def test_an_unknown_syntax_is_refused_and_not_named():
    found = datasets(volume(), uid.JPEGLSLossless)
    for one in found:
        one.file_meta.TransferSyntaxUID = "1.2.3.4711"
    with pytest.raises(BadItem, match="an unknown Transfer Syntax") as caught:
        decode.volume(found)
    assert "4711" not in str(caught.value)


def test_more_voxels_than_allowed_are_refused_before_anything_is_allocated():
    found = datasets(volume())
    for one in found:
        one.Rows = one.Columns = 65535
    tracemalloc.start()
    with pytest.raises(BadItem, match="max_voxels"):
        decode.volume(found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


def test_a_file_that_changed_since_the_scan_is_refused(tmp_path):
    [path] = write(tmp_path, datasets(volume(1)))
    instance = read(path)
    path.write_bytes(path.read_bytes() + b"\0\0")
    with pytest.raises(BadItem, match="changed since it was scanned"):
        frame(instance)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.JPEGLSLossless])
def test_a_volume_takes_little_more_memory_than_itself(tmp_path, syntax):
    stored = volume(48, (256, 256))
    paths = write(tmp_path, datasets(stored, syntax))
    decode.volume(paths[:2])  # imports
    tracemalloc.start()
    got, _ = decode.volume(paths, threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(got, stored)
    assert peak < 1.5 * got.nbytes


def test_a_real_ct_is_what_simpleitk_reads(shared):
    import SimpleITK as sitk

    folder = shared / DATA / "ct_abdomen_dicom"
    paths = sorted(p for p in folder.iterdir() if p.name.startswith("CT"))
    got, where = decode.volume(paths)
    ordered = sorted(paths, key=lambda p: float(dcmread(p, stop_before_pixels=True).ImagePositionPatient[2]))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(p) for p in ordered])
    image = reader.Execute()
    assert np.array_equal(got, sitk.GetArrayFromImage(image))
    matrix = np.array(where.affine)
    for corner in np.ndindex(2, 2, 2):
        voxel = [int(c * (n - 1)) for c, n in zip(corner, image.GetSize(), strict=True)]
        assert np.abs((matrix @ [*voxel, 1])[:3] - image.TransformIndexToPhysicalPoint(voxel)).max() < 0.01


def test_a_frame_that_takes_gdcm_down_costs_one_frame(shared):
    instance = read(shared / DATA / "pydicom_data/JPEG-LL.dcm")
    from hyla_healthcare import gdcm_process

    good = frame(instance)
    child = gdcm_process._child()  # the idle one
    child.kill()
    child.wait()
    gdcm_process._idle.put(child)
    with pytest.raises(BadItem, match="can't be decoded"):
        frame(instance)
    assert np.array_equal(frame(instance), good)
