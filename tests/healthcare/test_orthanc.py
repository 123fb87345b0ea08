"""A real archive: query, fetch, label, store back, and fetch what was stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.error import URLError

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, RLELossless

import hyla
import orthanc
from hyla.cli import main
from hyla.errors import ConfigError
from hyla.privacy import no_network
from hyla.store import Project
from hyla_healthcare import archive, dicomweb
from hyla_healthcare.archive import Archive
from hyla_healthcare.studies import Studies

SECRETS = (orthanc.PATIENT, "Mustermann", "Erika", "ACC-4711", "19640812")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    """Give a running server."""
    orthanc.needed()
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def server(started: orthanc.Orthanc, monkeypatch: pytest.MonkeyPatch) -> orthanc.Orthanc:
    """Give the server, empty, with its password in the environment."""
    started.empty()
    monkeypatch.setenv("HYLA_DICOMWEB_USER", orthanc.USER)
    monkeypatch.setenv("HYLA_DICOMWEB_PASSWORD", orthanc.PASSWORD)
    return started


def pixels(datasets):
    """Return the HU (D, H, W) of a made series, sorted by position without our code."""
    ordered = sorted(datasets, key=lambda one: float(one.ImagePositionPatient[2]))
    return np.stack([one.pixel_array.astype(int) + int(one.RescaleIntercept) for one in ordered])


def test_the_round_trip(server, tmp_path, capsys, caplog):
    """Series come out of the archive, their labels go back as SEG and SR, and lie there on the very voxels."""
    made = orthanc.series()
    server.put(made, tmp_path)
    out, to = tmp_path / "out", tmp_path / "to"
    with no_network():
        hyla.run(hyla.compose("healthcare", source=f"{server.source}?Modality=CT", out=str(out)))
        with Project.open(out) as project:
            assert list(project.quarantined()) == []
            [one] = project.records("model")

        assert one.size == (6, 40, 32)
        assert one.item.uri.startswith("ct/2.25.")
        ordered = sorted(made, key=lambda d: float(d.ImagePositionPatient[2]))
        first, last = (np.array(d.ImagePositionPatient, float) for d in (ordered[0], ordered[-1]))
        corner = one.frame.to_world([[0.5, 0.5, 0], [0.5, 0.5, 5]])
        assert np.abs(corner - [first, last]).max() < 0.01

        mask = pixels(made) > -500
        _import_mask(out, one, mask, tmp_path)
        words = ["--format", "dicomweb", "--to", str(to), "--source", "human:ann", f"url={server.url}"]
        assert main(["export", str(out), *words]) == 0
    stored = [json.loads(line) for line in (to / "stored.jsonl").read_text().splitlines()]
    assert [entry["file"].rsplit(".", 2)[1] for entry in stored] == ["seg", "sr"]

    back = {d.Modality: d for d in (_fetched(server, entry["sop_instance_uid"]) for entry in stored)}
    seg = back["SEG"]
    assert (seg.PatientID, str(seg.PatientName), seg.StudyInstanceUID) == (
        orthanc.PATIENT,
        orthanc.NAME,
        made[0].StudyInstanceUID,
    )
    assert back["SR"].StudyInstanceUID == made[0].StudyInstanceUID
    volume = highdicom.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=False)
    assert volume.array.shape[-1] == 1
    source = highdicom.get_volume_from_series(made)  # its own order of slices, by its own reading of the headers
    aligned = volume.match_geometry(source, tol=1e-3)  # raises where a voxel is not on a voxel
    assert np.abs(aligned.affine - source.affine).max() < 0.01
    assert np.array_equal(np.asarray(aligned.array)[..., 0] > 0, source.array > -500)
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == made[0].SeriesInstanceUID
    named = {i.ReferencedSOPInstanceUID for i in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named == {d.SOPInstanceUID for d in made}
    _nothing_told(out, caplog, capsys)


def _import_mask(out: Path, one, mask, folder: Path) -> None:
    from hyla_healthcare import nifti

    nifti.write(folder / "labels" / f"{one.item.id}.nii.gz", mask.astype(np.uint8), np.array(one.frame.affine))
    words = ["--format", "nifti", "--from", str(folder / "labels"), "--as", "human:ann", "classes={1: liver}"]
    assert main(["import", str(out), *words]) == 0


def _fetched(server, uid):
    """Return an object as Orthanc's own interface gives it, not through the client that stored it."""
    query = {"Level": "Instance", "Query": {"SOPInstanceUID": uid}}
    [found] = json.loads(server.call("/tools/find", json.dumps(query).encode()))
    return dcmread(BytesIO(server.call(f"/instances/{found}/file")))


def _nothing_told(out: Path, caplog, capsys) -> None:
    """Prove that no identifier of the patient is in the project, in a log or on the screen."""
    said = capsys.readouterr()
    told = (said.out + said.err + caplog.text).encode() + b"".join(p.read_bytes() for p in out.rglob("*") if p.is_file())
    for secret in SECRETS:
        assert secret.encode() not in told


def test_pages_and_filters(server, tmp_path, monkeypatch):
    """Many series are asked for in pages; objects without pictures are passed over; a file narrows the query."""
    monkeypatch.setattr(archive, "PAGE", 2)
    for seed in range(5):
        server.put(orthanc.series(2, (4, 4), seed), tmp_path)
    report = orthanc.series(1, (4, 4), 9)[0]
    report.Modality, report.SOPClassUID = "SR", "1.2.840.10008.5.1.4.1.1.88.33"
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID
    del report.PixelData
    server.put([report], tmp_path)
    found = [one.uid for one in dicomweb.series(f"{server.source}?StudyDate=20240101-20241231")]
    assert len(found) == len(set(found)) == 5
    assert sorted(found) == sorted(orthanc.series(1, (4, 4), seed)[0].SeriesInstanceUID for seed in range(5))
    wanted = tmp_path / "query.json"
    wanted.write_text(json.dumps({"SeriesInstanceUID": found[2]}))
    assert [one.uid for one in dicomweb.series(server.source, str(wanted))] == [found[2]]
    assert list(dicomweb.series(f"{server.source}?Modality=MR")) == []


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_any_transfer_syntax_is_fetched_as_it_is_stored(server, tmp_path, syntax):
    made = orthanc.series(3, (64, 72))
    for one in made:
        one.compress(syntax, generate_instance_uid=False)
    server.put(made, tmp_path)
    [found] = dicomweb.series(f"{server.source}?Modality=CT")
    fetched = found.sources()
    assert {one.file_meta.TransferSyntaxUID for one in fetched} == {syntax}
    assert np.array_equal(pixels(fetched), pixels(made))
    assert all("PixelData" not in header for header in found.headers())


def test_headers_come_whole_and_without_pixels(server, tmp_path):
    made = orthanc.series(3, (16, 24))
    server.put(made, tmp_path)
    [found] = dicomweb.series(f"{server.source}?Modality=CT")
    headers = {one.SOPInstanceUID: one for one in found.headers()}
    for one in made:
        del one.PixelData
        told = headers[one.SOPInstanceUID]
        assert {e.tag: str(e.value) for e in one} == {e.tag: str(e.value) for e in told if e.tag.group != 0x0002}


def test_a_wrong_password_says_what_to_set(server, monkeypatch):
    monkeypatch.setenv("HYLA_DICOMWEB_PASSWORD", "wrong")
    with pytest.raises(ConfigError, match="HTTP status 401") as caught:
        list(dicomweb.series(f"{server.source}?Modality=CT"))
    assert "HYLA_DICOMWEB_PASSWORD" in caught.value.hint


def test_a_netrc_will_do(server, tmp_path, monkeypatch):
    monkeypatch.delenv("HYLA_DICOMWEB_USER")
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login {orthanc.USER} password {orthanc.PASSWORD}\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert list(dicomweb.series(f"{server.source}?Modality=MR")) == []


def test_a_series_that_is_gone_costs_only_itself(server, tmp_path):
    """What was deleted between scan and load is quarantined, and the message names nobody."""
    for seed in range(2):
        server.put(orthanc.series(3, (16, 24), seed), tmp_path)
    found = list(dicomweb.series(f"{server.source}?Modality=CT"))
    server.empty()
    server.put(orthanc.series(3, (16, 24), 0), tmp_path)
    outcomes = {}
    for one in found:
        try:
            outcomes[one.uid] = len(one.sources())
        except hyla.errors.BadItem as error:
            outcomes[one.uid] = error.line
    here, gone = (orthanc.series(1, (4, 4), seed)[0].SeriesInstanceUID for seed in range(2))
    assert outcomes[here] == 3
    assert "did not fetch a series" in outcomes[gone] or "can't be fetched any more" in outcomes[gone]
    assert gone not in outcomes[gone]


def test_a_large_object_arrives_whole(server):
    """Above a megabyte it is sent in chunks."""
    [one] = orthanc.series(1, (1200, 1000))
    Archive(server.url).store(one)
    assert _fetched(server, one.SOPInstanceUID).PixelData == one.PixelData


def test_an_answer_without_end_is_cut(server, tmp_path):
    server.put(orthanc.series(4, (64, 64)), tmp_path)
    [one] = Archive(server.url).search({"Modality": "CT"})
    uids = str(one.StudyInstanceUID), str(one.SeriesInstanceUID)
    assert len(Archive(server.url).fetch(*uids)) == 4
    with pytest.raises(hyla.errors.BadItem, match="more than 20000 bytes"):
        Archive(server.url, max_bytes=20000).fetch(*uids)


def test_nothing_is_sent_without_an_address(server, tmp_path):
    """Then what is written is de-identified, and the archive is as it was."""
    server.put(orthanc.series(), tmp_path)
    out, to = tmp_path / "out", tmp_path / "to"
    hyla.run(hyla.compose("healthcare", source=f"{server.source}?Modality=CT", out=str(out)))
    before = server.call("/statistics")
    assert main(["export", str(out), "--format", "dicomweb", "--to", str(to)]) == 0
    assert server.call("/statistics") == before
    assert (to / "stored.jsonl").read_bytes() == b""
    files = [dcmread(p) for p in to.glob("*.dcm")]
    assert {one.Modality for one in files} == {"SEG", "SR"}
    assert all(one.PatientIdentityRemoved == "YES" and one.PatientID != orthanc.PATIENT for one in files)
    told = b"".join(p.read_bytes() for p in to.iterdir())
    assert not [secret for secret in SECRETS if secret.encode() in told]


def test_a_test_that_fails_leaves_no_server(tmp_path):
    orthanc.needed()
    seen = []

    def fails() -> None:
        with orthanc.running(tmp_path) as server:
            seen.append(server)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    with pytest.raises(URLError):
        seen[0].call("/system")


def test_ci_does_not_skip(monkeypatch):
    """Where CI runs, a missing archive is a failure: else the round trip could stop being tested unseen."""
    monkeypatch.setattr(orthanc, "missing", lambda: "Orthanc is not installed")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        orthanc.needed()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        orthanc.needed()


def test_a_real_series_is_the_same_from_the_archive_and_from_a_folder(server, shared, tmp_path):
    """A CT of 20 slices in JPEG 2000: voxels, place and pseudonyms are those of the files."""
    source = tmp_path / "files"
    source.mkdir()
    for path in sorted((shared / "data" / "healthcare" / "ct_abdomen_dicom").glob("CT.*")):
        one = dcmread(path)
        one.SOPClassUID, one.SOPInstanceUID = one.file_meta.MediaStorageSOPClassUID, one.file_meta.MediaStorageSOPInstanceUID
        one.PatientID, one.StudyInstanceUID, one.SeriesInstanceUID = orthanc.PATIENT, "1.2.3.4", "1.2.3.4.5"  # empty as published
        one.save_as(source / path.name)
        server.call("/instances", (source / path.name).read_bytes())
    images = []
    for place in (str(source), f"{server.source}?Modality=CT"):
        loader = Studies()
        [item] = loader.items(place)
        images.append(loader.load(item))
    files, fetched = images
    assert files.size == (20, 512, 512)
    assert np.array_equal(files.pixels, fetched.pixels)
    assert (files.frame, files.item.id, files.item.uri) == (fetched.frame, fetched.item.id, fetched.item.uri)
