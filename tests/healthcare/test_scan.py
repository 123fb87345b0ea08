"""Finding DICOM in folders: by content, into series, past everything else."""

from __future__ import annotations

import gzip
import os

import pytest
from pydicom import dcmread, uid

from exported_kit import series
from hyla.errors import BadItem
from hyla_healthcare import scan
from hyla_healthcare.instance import Instance, read
from series_kit import datasets, volume, write

STORAGE = "1.2.840.10008.5.1.4.1.1."


def test_series_are_found_by_content_over_folders_and_names(tmp_path):
    first, second = datasets(volume(4)), datasets(volume(3), SeriesInstanceUID="1.2.3.5")
    write(tmp_path / "a" / "deep", first[:2])
    write(tmp_path / "b", first[2:] + second[:1], ["x.png", "IMG 2", "y.txt"])
    write(tmp_path, second[1:], ["DICOMFILE", "7"])
    found = scan.find(tmp_path)
    assert sorted((one.uid, len(one.instances)) for one in found.series) == [("1.2.3.4", 4), ("1.2.3.5", 3)]
    assert (found.files, found.pictures, found.unread) == (7, [], [])


def test_objects_without_a_picture_are_passed_over_and_counted(tmp_path):
    kinds = {
        "88.11": ("SR", "report or document"),
        "104.1": ("DOC", "report or document"),
        "11.1": ("PR", "presentation state, key object or registration"),
        "66.4": ("SEG", "segmentation or annotation"),
        "481.3": ("RTSTRUCT", "radiotherapy object"),
        "9.1.1": ("ECG", "waveform"),
        "77.1.6": ("SM", "microscopy"),
    }
    for n, (tail, (modality, _)) in enumerate(kinds.items()):
        [one] = series(1, SOPClassUID=STORAGE + tail, Modality=modality, SOPInstanceUID=f"1.2.{n}")
        one.file_meta.MediaStorageSOPClassUID = STORAGE + tail
        write(tmp_path, [one], [f"object-{n}"])
    (tmp_path / "notes.txt").write_text("no DICOM")
    found = scan.find(tmp_path)
    assert (found.series, found.unread) == ([], [])
    words = [word for _, word in kinds.values()]
    assert found.passed == {word: words.count(word) for word in words} | {"file of another kind": 1}


def test_what_should_hold_a_picture_and_can_not_be_read_is_named_by_its_number(tmp_path):
    [good] = datasets(volume(1))
    write(tmp_path, [good], ["a"])
    (tmp_path / "b-roe.dcm").write_bytes(b"")
    (tmp_path / "c-roe.dcm").write_bytes(b"no DICOM at all" * 20)
    write(tmp_path, series(1), ["d-roe"])  # a CT image without pixels
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "e-roe").write_bytes(whole[:300])
    with gzip.open(tmp_path / "f-roe.gz", "wb") as packed:
        packed.write(whole)
    found = scan.find(tmp_path)
    assert len(found.series) == 1
    assert [number for number, _, _ in found.unread] == [2, 3, 4, 5, 6]
    told = " ".join(reason for _, _, reason in found.unread)
    for number, word in ((2, "is empty"), (3, "is called DICOM"), (4, "no pixels"), (6, "gzip")):
        assert f"file {number}" in told
        assert word in told
    assert "roe" not in told.lower()


def test_hidden_files_linked_folders_and_links_out_of_the_source_are_left_out(tmp_path):
    [one] = datasets(volume(1))
    write(tmp_path / "outside", [one], ["x"])
    root = tmp_path / "source"
    write(root, [one], ["y"])
    write(root / ".hidden", [one], ["z"])
    (root / ".DS_Store").write_bytes(b"\0")
    (root / "link").symlink_to(tmp_path / "outside" / "x")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "own").symlink_to(root / "y")
    os.mkfifo(root / "pipe")
    assert [path.name for path in scan.walk(root)] == ["own", "y"]


def test_old_files_without_preamble_are_read(tmp_path):
    [one] = datasets(volume(1), uid.ImplicitVRLittleEndian)
    del one.file_meta
    path = tmp_path / "old"
    one.save_as(path, implicit_vr=True, little_endian=True)
    assert scan.is_dicom(path)
    instance = read(path)
    assert (instance.rows, instance.syntax) == (40, uid.ImplicitVRLittleEndian)


@pytest.mark.parametrize("head", [b"", b"\x08\x00", b"\x89PNG\r\n\x1a\n" + bytes(200), b"PK\x03\x04" + bytes(200), b"{}" * 90])
def test_other_files_are_no_dicom(tmp_path, head):
    path = tmp_path / "file"
    path.write_bytes(head)
    assert not scan.is_dicom(path)


def test_a_scan_keeps_little_of_each_file(tmp_path):
    import tracemalloc

    found = datasets(volume(1, (8, 8)), PatientComments="x" * 20000)
    for n in range(300):
        found[0].SOPInstanceUID = f"1.2.3.4.{n}"
        found[0].file_meta.MediaStorageSOPInstanceUID = found[0].SOPInstanceUID
        write(tmp_path, found, [f"{n}"])
    scan.find(tmp_path)
    tracemalloc.start()
    kept = scan.find(tmp_path)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(kept.series[0].instances) == 300
    assert size / 300 < 6000  # bytes, of a header of more than 20 kB


def test_a_deflated_bomb_is_inflated_no_further_than_its_header_may_be(tmp_path, monkeypatch):
    from hyla_healthcare import instance

    [one] = datasets(volume(1, (2048, 1024)), uid.DeflatedExplicitVRLittleEndian)
    [path] = write(tmp_path, [one])
    assert read(path).length == 2048 * 1024 * 2
    monkeypatch.setattr(instance, "HEADER_LIMIT", 1_000_000)
    with path.open("rb") as stream:
        opened, deflated = instance.inflated(stream, instance.HEADER_LIMIT)
        assert deflated
        assert len(opened.read()) < 1_001_000


def test_a_header_that_can_not_be_read_is_a_bad_item_that_quotes_nothing(tmp_path):
    [one] = datasets(volume(1))
    [path] = write(tmp_path, [one], ["roe"])
    whole = bytearray(path.read_bytes())
    at = whole.index(b"MRN-4711")
    whole[at - 4 : at - 2] = b"\xff\xff"  # the VR of the patient's number
    path.write_bytes(bytes(whole))
    try:
        told = str(scan.find(tmp_path).unread)
    except BadItem as error:
        told = str(error)
    assert "4711" not in told


def test_a_series_of_datasets_fetches_what_it_does_not_hold():
    whole = datasets(volume(3))
    headers = series(3)
    asked = []

    def fetch():
        asked.append(1)
        return whole[::-1]

    one = scan.Series.of(headers, fetch)
    assert (one.uid, one.modality, len(one.headers()), asked) == ("1.2.3.4", "CT", 3, [])
    got = one.sources([one.instances[2], one.instances[0]])
    assert [dataset.SOPInstanceUID for dataset in got] == [headers[2].SOPInstanceUID, headers[0].SOPInstanceUID]
    whole.pop()
    with pytest.raises(BadItem, match="1 of 3 objects"):
        one.sources()


def test_a_dicomdir_names_files_and_a_broken_one_none(shared):
    folder = shared / "data/healthcare/dicomdir"
    assert scan.is_directory(folder / "DICOMDIR")
    named = scan.listed(folder / "DICOMDIR")
    assert len(named) == 31
    assert all(folder in path.parents for path in named)
    assert scan.listed(folder / "README.txt") == []


def test_what_is_kept_of_a_header_is_what_stands_in_it(shared):
    path = shared / "data/healthcare/pydicom_files/MR_small.dcm"
    header, got = dcmread(path, stop_before_pixels=True), read(path)
    assert isinstance(got, Instance)
    assert got.position == tuple(map(float, header.ImagePositionPatient))
    assert (got.sop, got.series) == (header.SOPInstanceUID, header.SeriesInstanceUID)
    assert got.contrast == (str(header.EchoNumbers), None)


def test_series_without_uid_are_what_lies_together(tmp_path):
    for folder, reference in (("a", "1.2.1"), ("a", "1.2.2"), ("b", "1.2.1")):
        found = datasets(volume(2), SeriesInstanceUID="", FrameOfReferenceUID=reference)
        for n, one in enumerate(found):
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"{reference}.{ord(folder)}.{n}"
        write(tmp_path / folder, found, [f"{reference}-{n}" for n in range(2)])
    assert sorted(len(one.instances) for one in scan.find(tmp_path).series) == [2, 2, 2]


def test_more_frames_than_a_file_can_hold_are_refused_at_once(tmp_path):
    write(tmp_path, datasets(volume(1), NumberOfFrames=2_000_000_000, SOPClassUID=f"{STORAGE}3.1", Modality="US"))
    found = scan.find(tmp_path)
    assert found.series == []
    assert "more frames than it can hold" in found.unread[0][2]
