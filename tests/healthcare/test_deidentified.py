"""De-identified copies: the pixels of the source in plain coding, nothing that is doubtful, and the same names every time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread, uid

import header_kit
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Labels, Record
from hyla_healthcare import burned_in
from hyla_healthcare.deidentified import Deidentified
from hyla_healthcare.instance import quiet
from hyla_healthcare.linkage import Linkage
from hyla_healthcare.studies import Studies

SCHEMA = Schema.from_config({"name": "t", "classes": {"body": {}, "ignore": {}}, "kinds": ["box"]})


def exported(source: Path, out: Path, labels: Labels | None = None, **how: Any) -> tuple[list[Dataset], dict[str, int]]:
    """Return the copies of a source, sorted by file, and what was lost."""
    loader = Studies(ocr="never")
    items = list(loader.items(str(source)) or ())
    form = Deidentified(SimpleNamespace(loader=loader), **how)  # type: ignore[arg-type]
    records: Iterator[Record] = (Record(item, Labels.of([], np.zeros((0, 4))) if labels is None else labels) for item in items)
    loss = form.export(records, SCHEMA, out)
    assert loss is not None
    return [dcmread(path) for path in sorted(out.rglob("*.dcm"))], loss


FILES = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "examples_palette.dcm",
    "examples_jpeg2k.dcm",
    "examples_rgb_color.dcm",
)


@pytest.mark.parametrize("name", [*FILES, "examples_ybr_color.dcm"])
def test_pixels_are_the_same_in_plain_coding(name: str, shared: Path, tmp_path: Path) -> None:
    quiet()
    path = shared / "data/healthcare/pydicom_files" / name
    original = dcmread(path)
    source = tmp_path / "studies"
    source.mkdir()
    (source / "one.dcm").write_bytes(path.read_bytes())
    copies, loss = exported(source, tmp_path / "out", text="never")
    assert "object whose pixels can't be cleaned" not in loss
    [copy] = copies
    assert copy.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID != original.SOPInstanceUID
    assert np.array_equal(copy.pixel_array, original.pixel_array)
    if copy.PhotometricInterpretation == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        assert np.array_equal(apply_color_lut(copy.pixel_array, copy), apply_color_lut(original.pixel_array, original))


def test_a_picture_said_to_name_somebody_is_left_out_if_no_text_is_found(tmp_path: Path) -> None:
    path = header_kit.capture(tmp_path / "in" / "one.dcm")
    one = dcmread(path)
    one.PixelData = np.full((one.Rows, one.Columns), 700, "<u2").tobytes()
    one.save_as(path)
    copies, loss = exported(path.parent, tmp_path / "out")
    assert copies == []
    assert loss["object whose pixels can't be cleaned"] == 1
    one.BurnedInAnnotation = "NO"
    one.save_as(path)
    assert len(exported(path.parent, tmp_path / "other")[0]) == 1


def test_so_is_a_slice_that_is_said_to(tmp_path: Path) -> None:
    paths = header_kit.slices(tmp_path / "in")
    one = dcmread(paths[3])
    one.BurnedInAnnotation = "YES"
    one.save_as(paths[3])
    copies, loss = exported(tmp_path / "in", tmp_path / "out")
    assert len(copies) == 7
    assert loss["object whose pixels can't be cleaned"] == 1


def test_what_a_person_marked_is_blacked_out(tmp_path: Path) -> None:
    path = header_kit.capture(tmp_path / "in" / "one.dcm")
    marked = Labels.of([1, 1, 0], [[0, 0, 250, 45], [0, 200, 200, 245], [300, 80, 370, 130]])
    [copy], _ = exported(path.parent, tmp_path / "out", marked, text="never")
    assert burned_in.regions(copy.pixel_array) == []
    assert np.array_equal(copy.pixel_array[60:190], dcmread(path).pixel_array[60:190])
    assert (copy.BurnedInAnnotation, copy.PatientIdentityRemoved) == ("NO", "YES")


def test_a_cut_file_is_counted(tmp_path: Path) -> None:
    paths = header_kit.slices(tmp_path / "in")
    paths[2].write_bytes(paths[2].read_bytes()[:-1000])
    copies, loss = exported(tmp_path / "in", tmp_path / "out")
    assert len(copies) == 7
    assert loss["object whose pixels can't be cleaned"] == 1


def test_objects_without_names_get_some_that_last(tmp_path: Path) -> None:
    for path in header_kit.slices(tmp_path / "in"):
        one = dcmread(path)
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SOPClassUID"):
            delattr(one, keyword)
        one.save_as(path)
    first, second = (exported(tmp_path / "in", tmp_path / name)[0] for name in ("one", "two"))
    assert len({one.SOPInstanceUID for one in first}) == 8
    assert {one.SOPClassUID for one in first} == {uid.CTImageStorage}
    assert [one.SOPInstanceUID for one in first] == [one.SOPInstanceUID for one in second]
    assert {one.StudyInstanceUID for one in first} == {one.StudyInstanceUID for one in second}
    assert all(uid.UID(one.StudyInstanceUID).is_valid for one in first)


def test_words_that_are_no_choice_and_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="text=maybe"):
        Deidentified(text="maybe")
    monkeypatch.setattr(burned_in, "available", lambda: False)
    with pytest.raises(ConfigError, match="rapidocr"):
        Deidentified()
    for form in (Deidentified(text="never"), Linkage()):
        with pytest.raises(ConfigError, match="source"):
            form.export(iter(()), SCHEMA, tmp_path)
