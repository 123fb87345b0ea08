"""The odd files beside this checkout: each is read rightly, quarantined with its reason, or no picture."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from hyla.errors import BadItem
from hyla_healthcare.studies import Studies

FOLDERS = ("data/healthcare", "data/bad_inputs/dicom")
SEG, REPORT, RT = "segmentation or annotation", "report or document", "radiotherapy object"
DIRECTORY, NOTHING, SLIDE = "DICOMDIR", "data set without a picture", "microscopy"
NO_PIXELS = "has no pixels"
# What each file by itself becomes: (items, kind, shape), or the reason why it is quarantined, or None for no source of ours.
# Files that are all alike stand in ALIKE by the beginning of their names: slices of one CT, a file-set of headers only, ...
TABLE = {
    "brain_mr_tumour/brain1_image.nrrd": (1, "series", (25, 256, 256)),
    "brain_mr_tumour/brain1_label.nrrd": (1, "series", (25, 256, 256)),
    "brain_t1/t1_crop.nii.gz": (1, "series", (256, 256, 256)),
    "chest_xray/00000001_000.png": (1, "image", (512, 512, 3)),
    "chest_xray/00027426_000.png": (1, "image", (512, 512, 3)),
    "chest_xray/1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm": (1, "radiograph", (1024, 1024, 1)),
    "chest_xray/16747_3_1.jpg": (1, "image", (885, 1036, 3)),
    "chest_xray/TBX11K_train.json": None,
    "chest_xray/h0001.png": (1, "image", (512, 512, 3)),
    "chest_xray/nih_labels.csv": None,
    "chest_xray/tb0005.png": (1, "image", (512, 512, 3)),
    "chest_xray/tb0007.png": (1, "image", (512, 512, 3)),
    **{f"ct3_seg/0{n}.dcm": (1, "series", (1, 512, 512)) for n in (1, 2, 3)},
    **{f"ct3_seg/{name}.dcm": SEG for name in ("liver", "partial_overlaps", "sparse-labelmap-noppv", "sparse-labelmap-ppv5")},
    **{f"ct3_seg/{name}_seg.nrrd": (1, "series", (3, 512, 512)) for name in ("heart", "liver", "liver_spine", "spine")},
    **{f"ct3_seg/partial_overlaps-{n}.nrrd": (1, "series", (3, 512, 512)) for n in (1, 2, 3)},
    "ct_abdomen_dicom/example_seg_dicom.nii.gz": (1, "series", (20, 512, 512)),
    "dicomdir/77654033/CR1/6154": (1, "radiograph", (16, 16, 1)),
    "dicomdir/77654033/CR2/6247": (1, "radiograph", (16, 16, 1)),
    "dicomdir/77654033/CR3/6278": (1, "radiograph", (16, 16, 1)),
    "dicomdir/README.txt": None,
    "highdicom/ct_image.dcm": (1, "series", (1, 128, 128)),
    "highdicom/dx_image.dcm": (1, "radiograph", (169, 211, 1)),
    "highdicom/sm_annotations.dcm": SEG,
    "highdicom/sr_document.dcm": REPORT,
    "highdicom/sr_document_with_multiple_groups.dcm": REPORT,
    "nifti_small/example_ct_sm.nii.gz": (1, "series", (30, 101, 122)),
    "nifti_small/example_mr_sm.nii.gz": (1, "series", (20, 91, 117)),
    "nifti_small/example_seg.nii.gz": (1, "series", (30, 101, 122)),
    "nifti_small/example_seg_mr.nii.gz": (1, "series", (20, 91, 117)),
    "pydicom_data/693_UNCR.dcm": (1, "series", (1, 512, 512)),
    "pydicom_data/HTJ2K_08_RGB.dcm": (1, "radiograph", (480, 640, 3)),
    "pydicom_data/JLSL_16_15_1_1F.dcm": (1, "radiograph", (128, 128, 1)),
    "pydicom_data/JPEG-LL.dcm": (1, "radiograph", (1024, 256, 1)),
    "pydicom_data/MR-SIEMENS-DICOM-WithOverlays.dcm": (1, "series", (1, 484, 484)),
    "pydicom_data/MR2_J2KR.dcm": (1, "series", (1, 1024, 1024)),
    "pydicom_data/OBXXXX1A_rle_2frame.dcm": (2, "image", (600, 800, 3)),
    "pydicom_data/OT-PAL-8-face.dcm": (1, "radiograph", (480, 640, 3)),
    "pydicom_data/RG3_J2KI.dcm": (1, "radiograph", (1760, 1760, 1)),
    "pydicom_data/SC_rgb_16bit_2frame.dcm": (2, "image", (100, 100, 3)),
    "pydicom_data/SC_rgb_expb_32bit_2frame.dcm": (2, "image", (100, 100, 3)),
    "pydicom_data/SC_ybr_full_uncompressed.dcm": (1, "radiograph", (100, 100, 3)),
    "pydicom_data/US1_J2KI.dcm": (1, "radiograph", (480, 640, 3)),
    "pydicom_data/color-pl.dcm": (1, "radiograph", (120, 256, 3)),
    "pydicom_data/eCT_Supplemental.dcm": (1, "series", (2, 512, 512)),
    # Enhanced MR whose functional groups were taken out: nothing says where its frames are.
    **{f"pydicom_data/emri_small{end}.dcm": "10 frames and 0 functional groups" for end in ("", "_RLE", "_big_endian")},
    "pydicom_data/emri_small_jpeg_2k_lossless.dcm": "10 frames and 0 functional groups",
    "pydicom_data/emri_small_jpeg_ls_lossless.dcm": "10 frames and 0 functional groups",
    "pydicom_data/gdcm-US-ALOKA-16.dcm": (1, "radiograph", (480, 640, 3)),
    **{f"pydicom_data/liver_{name}.dcm": SEG for name in ("deflate", "nonbyte_aligned", "nonbyte_aligned_deflate")},
    **{f"pydicom_data/liver_nonbyte_aligned_{name}.dcm": SEG for name in ("j2k", "rle")},
    "pydicom_data/mlut_18.dcm": (1, "radiograph", (512, 512, 1)),
    "pydicom_data/parametric_map_float.dcm": "parametric map",
    "pydicom_data/vlut_04.dcm": (1, "radiograph", (512, 512, 1)),
    "pydicom_files/CT_small.dcm": (1, "series", (1, 128, 128)),
    "pydicom_files/ExplVR_BigEnd.dcm": (1, "radiograph", (60, 80, 3)),
    "pydicom_files/JPEG-lossy.dcm": (1, "radiograph", (1024, 256, 1)),
    **{f"pydicom_files/MR_small{end}.dcm": (1, "series", (1, 64, 64)) for end in ("", "_RLE", "_bigendian")},
    "pydicom_files/examples_jpeg2k.dcm": (1, "radiograph", (480, 640, 3)),
    "pydicom_files/examples_overlay.dcm": (1, "series", (1, 300, 484)),
    "pydicom_files/examples_palette.dcm": (1, "radiograph", (350, 800, 3)),
    "pydicom_files/examples_rgb_color.dcm": (1, "radiograph", (240, 320, 3)),
    "pydicom_files/examples_ybr_color.dcm": (30, "image", (240, 320, 3)),
    "pydicom_files/image_dfl.dcm": (1, "radiograph", (512, 512, 1)),
    **{f"pydicom_files/rt{name}.dcm": RT for name in ("dose", "plan", "struct")},
    "pydicom_files/test-SR.dcm": REPORT,
    "pydicom_files/waveform_ecg.dcm": "waveform",
    **{f"seg_shapes/23x38x3/image/IMG000{n}.dcm": (1, "series", (1, 38, 23)) for n in (1, 2, 3)},
    "seg_shapes/23x38x3/multiframe/mf.dcm": (1, "series", (3, 38, 23)),
    "seg_shapes/23x38x3/nrrd/label.nrrd": (1, "series", (3, 38, 23)),
    "seg_shapes/23x38x3/seg/label.seg": SEG,
    "sr_rwvm/rwvm.dcm": "value mapping",
    "sr_rwvm/seg.dcm": SEG,
    "sr_rwvm/sr.dcm": REPORT,
    "J2K_pixelrep_mismatch.dcm": (1, "series", (1, 512, 512)),
    "MR_small_padded.dcm": (1, "series", (1, 64, 64)),
    "MR_truncated.dcm": "cut off: 8130 of the 8192 bytes",
    "UN_sequence.dcm": NO_PIXELS,
    "badVR.dcm": RT,
    "bad_sequence.dcm": (1, "series", (1, 512, 512)),
    "empty_charset_LEI.dcm": NOTHING,
    "emri_small_jpeg_2k_lossless_too_short.dcm": "10 frames and 0 functional groups",
    "explicit_VR-UN.dcm": (1, "series", (1, 512, 512)),
    "meta_missing_tsyntax.dcm": NOTHING,
    "nested_priv_SQ.dcm": NOTHING,
    "no_meta.dcm": "is called DICOM and is none",
    "no_meta_group_length.dcm": NO_PIXELS,
    "priv_SQ.dcm": NO_PIXELS,
    "zipMR.gz": "packed with gzip",
}
ALIKE = {"ct_abdomen_dicom/CT.": (1, "series", (1, 512, 512)), "dicomdir/77654033/CT2/": (1, "series", (1, 16, 16)),
         "dicomdir/9889": (1, "series", (1, 16, 16)), "dicomdir/TINY_ALPHA/PT": NO_PIXELS, "highdicom/seg_image_": SEG,
         "highdicom/sm_image": SLIDE}  # fmt: skip


def expected(name):
    if name in TABLE:
        return TABLE[name]
    return next(outcome for start, outcome in ALIKE.items() if name.startswith(start))


def sources(shared):
    """Return (name, path) of every file but those that stand for their whole folder: DICOMDIR."""
    for folder in FOLDERS:
        for path in sorted((shared / folder).rglob("*")):
            name = path.relative_to(shared / folder).as_posix()
            if path.is_file() and "DICOMDIR" not in name and name != "dicomdir/TINY_ALPHA/README":
                yield name, path


def test_every_file_by_itself_is_read_or_quarantined_with_its_reason(shared):
    outcomes, kept, told = {}, set(), []
    for name, path in sources(shared):
        stage = Studies(ocr="never")
        found = stage.items(str(path))
        if found is None:
            outcomes[name] = None
            continue
        items = list(found)
        try:
            image = stage.load(items[0])
            outcomes[name] = (len(items), items[0].kind, image.pixels.shape)
            assert np.isfinite(image.pixels).all()
        except BadItem as error:
            wanted = expected(name)
            outcomes[name] = wanted if isinstance(wanted, str) and wanted in str(error) else str(error)
            told.append((path.name, str(error)))
        kept.add(name)
    assert outcomes == {name: expected(name) for name in outcomes}
    assert set(outcomes) >= set(TABLE)
    assert len(kept) > 180
    assert not [name for name, reason in told if name in reason]


def test_the_whole_folder_is_read_at_once(shared):
    stage = Studies()
    items = list(stage.items(str(shared / "data/healthcare")))
    assert len({item.id for item in items}) == len(items)
    good = Counter(item.kind for item in items if "error" not in item.meta)
    assert good["radiograph"] >= 15
    assert good["series"] >= 30
    assert {"waveform": 1, "value mapping": 1, "parametric map": 1, REPORT: 4, RT: 3, SLIDE: 8}.items() <= stage.passed.items()
    abdomen = [item for item in items if item.meta.get("slices") == 20 and item.meta.get("modality") == "CT"]
    assert len(abdomen) == 1
    assert abdomen[0].meta["spacing_mm"] == [2.0, 0.976562, 0.976562]
    assert abdomen[0].meta["contrast"] == "yes"
    tables = [tuple(item.meta["spacing_mm"]) for item in items if item.uri.startswith("ct/") and item.meta.get("slices") == 3]
    assert len(tables) >= 1


def test_a_padded_file_and_one_of_odd_sign_hold_what_pydicom_reads(shared):
    for name in ("MR_small_padded.dcm", "J2K_pixelrep_mismatch.dcm", "bad_sequence.dcm", "explicit_VR-UN.dcm"):
        path = shared / "data/bad_inputs/dicom" / name
        stage = Studies()
        [item] = stage.items(str(path))
        header = dcmread(path, force=True)
        wanted = header.pixel_array.astype(float) * float(header.get("RescaleSlope", 1)) + float(
            header.get("RescaleIntercept", 0)
        )
        assert np.array_equal(stage.load(item).pixels[0], wanted), name


@pytest.mark.parametrize("name", ["pydicom_files/examples_ybr_color.dcm", "pydicom_data/SC_ybr_full_uncompressed.dcm",
                                  "pydicom_files/examples_palette.dcm", "pydicom_data/OT-PAL-8-face.dcm",
                                  "pydicom_data/OBXXXX1A_rle_2frame.dcm", "pydicom_files/examples_jpeg2k.dcm"])  # fmt: skip
def test_colours_are_those_that_pydicom_shows(shared, name):
    from pydicom.pixels import apply_color_lut, pixel_array

    path = shared / "data/healthcare" / name
    stage = Studies(ocr="never")
    item = next(iter(stage.items(str(path))))
    header = dcmread(path, force=True)
    if "OT-PAL" in name:  # no file meta: pydicom reads it once it is told the syntax
        header.ensure_file_meta()
        header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    wanted = pixel_array(header, index=0)
    if header.PhotometricInterpretation == "PALETTE COLOR":
        wanted = apply_color_lut(wanted, header)
        wanted = (wanted >> 8 if wanted.dtype == np.uint16 else wanted).astype(np.uint8)
    assert np.array_equal(stage.load(item).pixels, wanted)


def test_a_lookup_table_is_applied_before_the_window(shared):
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    path = Path(shared / "data/healthcare/pydicom_data/mlut_18.dcm")
    header = dcmread(path)
    values = apply_modality_lut(header.pixel_array, header)
    wanted = apply_voi_lut(values, header).astype(float)
    stage = Studies(ocr="never")
    got = stage.load(next(iter(stage.items(str(path))))).pixels[:, :, 0].astype(float)
    order = np.argsort(wanted, axis=None, kind="stable")
    assert (np.diff(got.ravel()[order]) >= 0).all() or header.PhotometricInterpretation == "MONOCHROME1"
    assert len(np.unique(got)) > 100


DAMAGED = (
    *(f"pydicom_files/{name}.dcm" for name in ("MR_small_RLE", "image_dfl", "JPEG-lossy", "ExplVR_BigEnd")),
    *("highdicom/dx_image.dcm", "pydicom_data/JLSL_16_15_1_1F.dcm", "seg_shapes/23x38x3/multiframe/mf.dcm"),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(DAMAGED), st.lists(st.tuples(st.integers(128, 5000), st.integers(0, 255)), max_size=8), st.floats(0.2, 1))
def test_damage_anywhere_costs_that_item_alone(shared, tmp_path, name, changes, share):
    whole = bytearray((shared / "data/healthcare" / name).read_bytes())
    for at, byte in changes:
        whole[at % len(whole)] = byte
    path = tmp_path / "damaged.dcm"
    path.write_bytes(whole[: int(len(whole) * share)] if share < 0.9 else whole)
    stage = Studies(ocr="never", threads=1, max_voxels=2**22, max_pixels=2**22)
    for item in islice(stage.items(str(path)) or (), 3):
        with suppress(BadItem):
            assert stage.load(item).pixels.ndim == 3


def test_the_ct_of_the_abdomen_is_read_from_its_folder(shared):
    stage = Studies()
    [series] = [i for i in stage.items(str(shared / "data/healthcare/ct_abdomen_dicom")) if i.uri.startswith("ct/")]
    image = stage.load(series)
    assert image.pixels.shape == (20, 512, 512)
    assert np.allclose(image.frame.to_world([[0.5, 0.5, 0], [0.5, 0.5, 19]])[:, 2], [-804.5, -766.5])
