"""Nothing of a patient leaves the gate: the project, what a run says, every export, and every byte of the review server."""

from __future__ import annotations

import gzip
import logging
import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image as Pillow
from pydicom import dcmread

import header_kit
from header_kit import FILES, PRIVATE, SECRETS, TEXTS
from hyla import formats
from hyla.cli import main
from hyla.review.app import api
from hyla.store import Project
from hyla_healthcare import burned_in
from review_kit import Room
from search_kit import Search

PLUGIN = Path(__file__).parents[2] / "plugins/healthcare/src/hyla_healthcare/conf/export"
CORE = ("coco", "jsonl", "parquet", "yolo")


Said = Callable[..., tuple[int, bytes]]


def hyla(*words: str) -> tuple[int, bytes]:
    """Run the program in a process of its own; return its status and all that it says."""
    command = [sys.executable, "-m", "hyla.cli", *words]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of studies, with a series, two captures, and files that can't be read; all named after somebody."""
    folder = tmp_path_factory.mktemp("studies")
    paths = header_kit.slices(folder)
    header_kit.capture(folder / FILES[0] / f"{FILES[1]} capture.dcm")
    bad = folder / "Borquist"
    bad.mkdir()
    (bad / f"{FILES[1]}_cut.dcm").write_bytes(paths[0].read_bytes()[:-3000].replace(b"2002", b"2022"))
    (bad / f"{FILES[1]}_empty.dcm").write_bytes(b"")
    (bad / f"{TEXTS['PatientID']}.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"Zylberquist" * 9)
    odd = header_kit.header(900)
    odd.SeriesInstanceUID = f"{header_kit.ROOT}2032"
    odd.save_as(bad / "Zylberquist without pixels.dcm", enforce_file_format=True)
    return folder


@pytest.fixture(scope="module")
def ran(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """Return the project of a run with the preset, and all that the run said."""
    out = tmp_path_factory.mktemp("out") / "project"
    status, said = hyla("run", "preset=healthcare", f"source={source}", f"out={out}")
    assert status in (0, 1), said.decode()
    return out, said


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Said:
    """Return what runs the program in this process, which takes less time, and returns what `hyla` does."""
    caplog.set_level(logging.DEBUG)

    def run(*words: str) -> tuple[int, bytes]:
        caplog.clear()
        status = main(words)
        said = capfd.readouterr()
        return status, (said.out + said.err + caplog.text).encode()

    return run


@pytest.fixture(scope="module")
def copies(ran: tuple[Path, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the de-identified copies of the source."""
    given = tmp_path_factory.mktemp("copies")
    status, said = hyla("export", str(ran[0]), "--format", "dicom", "--to", str(given))
    assert status == 0, said.decode()
    assert Search(SECRETS)(said) == []
    return given


def test_the_search_finds_what_is_there(source: Path, tmp_path: Path) -> None:
    """Every identifier is in the source; the search finds it in all codings, packed, and in a database."""
    found = "\n".join(Search(SECRETS).folder(source))
    missing = [word for word in SECRETS if word not in found]
    assert missing == ["1954-11-03"]  # as it would be written for people
    search = Search(["Zylberquist"])
    for data in (
        b"...zylBERquist",
        "Zylberquist".encode("utf-16-le"),
        b"\0" + "ZYLBERQUIST".encode("utf-16-be"),
        gzip.compress(b"of Zylberquist"),
        b"Zylberquist".hex().encode(),
        *(b64encode(b"x" * n + b"Zylberquist and more") for n in range(3)),
    ):
        assert search(data, "there") == ["Zylberquist in there"]
    assert search(b"Zylberquis Ottoline") == []
    (tmp_path / "Zylberquist").touch()
    assert search.folder(tmp_path) == ["Zylberquist in the name Zylberquist"]


def test_a_run_stores_and_says_nothing_of_a_patient(ran: tuple[Path, bytes]) -> None:
    project, said = ran
    search = Search(SECRETS)
    assert search(said, "what the run says") == []
    assert search.folder(project) == []
    assert search.bytes > 50_000
    with Project.open(project) as opened:
        counts = opened.counts()
        assert counts.quarantined >= 2
        assert counts.items - counts.quarantined >= 2
        records = list(opened.records())
        assert {record.item.kind for record in records} == {"series", "radiograph"}
        assert any(len(record.labels) for record in records)


@pytest.mark.parametrize("name", [*sorted({path.stem for path in PLUGIN.glob("*.yaml")} - {"dicom"}), *CORE])
def test_an_export_gives_nothing_of_a_patient_away(name: str, ran: tuple[Path, bytes], tmp_path: Path, here: Said) -> None:
    status, said = here("export", str(ran[0]), "--format", name, "--to", str(tmp_path / "given"))
    search = Search(SECRETS)
    assert search(said, "what the export says") == []
    assert search.folder(tmp_path / "given") == []
    assert status == 0, said.decode()
    assert search.bytes > len(said)


def test_copies_have_no_text_in_their_pixels_and_the_same_voxels(copies: Path, source: Path) -> None:
    search = Search(SECRETS)
    assert search.folder(copies) == []
    assert search.bytes > 8 * 64 * 64 * 2
    found = [dcmread(path) for path in sorted(copies.rglob("*.dcm"))]
    originals = [dcmread(path) for path in sorted((source / FILES[0]).glob("*_?.dcm"))]
    slices = sorted((one for one in found if one.Modality == "CT"), key=lambda one: one.ImagePositionPatient[2])
    assert len(slices) == len(originals) == 8
    assert all(np.array_equal(a.pixel_array, b.pixel_array) for a, b in zip(slices, originals, strict=True))
    assert all(a.ImagePositionPatient == b.ImagePositionPatient for a, b in zip(slices, originals, strict=True))
    [capture] = [one for one in found if one.Modality == "OT"]
    assert burned_in.regions(capture.pixel_array) == []
    assert (capture.BurnedInAnnotation, capture.PatientIdentityRemoved) == ("NO", "YES")
    assert "113101" in [code.CodeValue for code in capture.DeidentificationMethodCodeSequence]
    assert len({one.StudyInstanceUID for one in found}) == 1
    assert {path.parent.name for path in copies.rglob("*.dcm")} == {one.SeriesInstanceUID for one in found}


def test_unused_bits_and_padding_are_not_copied(tmp_path: Path, here: Said) -> None:
    """An overlay in the bits above the stored ones, and bytes after the last pixel, stay behind."""
    folder = tmp_path / "studies"
    for path in header_kit.slices(folder):
        one = dcmread(path)
        hidden = one.pixel_array.astype("<u2") | np.uint16(0xA000)
        one.PixelData = hidden.tobytes() + b"Zylberquist!"
        one.save_as(path)
    assert hyla("run", "preset=healthcare", f"source={folder}", f"out={tmp_path / 'project'}")[0] == 0
    status, said = here("export", str(tmp_path / "project"), "--format", "dicom", "--to", str(tmp_path / "given"))
    assert status == 0, said.decode()
    copies = [dcmread(path) for path in (tmp_path / "given").rglob("*.dcm")]
    assert len(copies) == 8
    assert all(len(one.PixelData) == 64 * 64 * 2 and np.frombuffer(one.PixelData, "<u2").max() < 4096 for one in copies)


def test_the_way_back_is_for_the_hospital_alone(ran: tuple[Path, bytes], tmp_path: Path, here: Said) -> None:
    assert here("export", str(ran[0]), "--format", "linkage", "--to", str(tmp_path / "own"), "identified=true")[0] == 0
    listed = (tmp_path / "own" / "linkage.csv").read_text()
    assert listed.count(TEXTS["PatientID"]) >= 2
    assert f"{header_kit.ROOT}2002" in listed
    assert ",8," in listed
    assert here("export", str(ran[0]), "--format", "linkage", "--to", str(tmp_path / "all"))[0] == 0
    assert (tmp_path / "all" / "linkage.csv").read_text().count("\n") == listed.count("\n")


def test_the_review_server_sends_nothing_of_a_patient(ran: tuple[Path, bytes], capfd: pytest.CaptureFixture[str]) -> None:
    search, asked = Search(SECRETS), set()
    with Project.open(ran[0]) as project:
        room = Room(project)
        person, manager = room.person("ann"), room.person("mo", "admin")
        assert manager.http.get("/").status_code == 200

        def ask(who, route: str, query: str = "", **where: object):
            path = re.sub(r"\{(\w+)\}", lambda found: str(where[found[1]]), route) + query
            asked.add(route)
            answer = who.http.get(path)
            search_in = answer.content + repr(dict(answer.headers)).encode()
            assert search(search_in, path) == []
            return answer

        assert person.take(20)
        for record in project.records():
            item = record.item.id
            assert ask(person, "/api/v1/items/{item_id}", item_id=item).status_code == 200
            ask(person, "/api/v1/clips/{item_id}", item_id=item)
            ask(person, "/api/v1/place/{item}", item=f"{item}?x=1&y=1")
            ask(person, "/api/v1/pixel/{item}", item=f"{item}?lon=1&lat=1")
            ask(person, "/api/v1/tiles/{item}", item=f"{item}?scene=0")
            whole = ask(person, "/media/{item}/image.jpg", item=item)
            ask(person, "/media/{item}/tile/{z}/{x}/{y}.jpg", item=item, z=0, x=0, y=0)
            annotation = person.item(item)["state"]["annotation"]
            ask(person, "/media/{item}/crop/{annotation}/{row}.jpg", item=item, annotation=annotation, row=0)
            if record.item.kind == "series":
                for axis, last in (("axial", 7), ("coronal", 31), ("sagittal", 31)):
                    where = {"item": item, "axis": axis, "first": 0, "last": last}
                    assert ask(person, "/media/{item}/slices/{axis}/{first}-{last}", **where).status_code == 200
            else:
                shown = np.asarray(Pillow.open(BytesIO(whole.content)))
                assert burned_in.regions(shown) == []
        for who in (person, manager):
            for route in (
                "/api/v1/session",
                "/api/v1/queue",
                "/api/v1/history",
                "/api/v1/people",
                "/api/v1/stats",
                "/api/v1/accesses",
            ):
                ask(who, route)
            for route in ("/api/v1/names", "/api/v1/names/known", "/api/v1/names/called"):
                assert ask(who, route, "?name=lung").status_code == 200
            assert ask(who, "/media/reference.jpg", "?name=lung").status_code == 204
        posted = [
            person.post("/grid", {"tab": "tab-1", "class": "body", "n": 5}),
            person.post("/decisions", {"decisions": [{"item": "Q"}], "tab": "tab-1"}, "k" * 36),
        ]
        first = next(record.item.id for record in project.records() if record.item.kind == "series")
        click = {"x": 22.0, "y": 32.0, "z": 4, "inside": True}
        refined = {"tab": "tab-1", "class": "lung_left", "clicks": [click], "mask": None}
        posted += [person.post(f"/items/{first}/refine", refined), person.post(f"/items/{first}/lease", {"tab": "tab-1"})]
        posted.append(person.post("/leases", {"tab": "tab-1", "n": 9}))
        assert not [found for answer in posted for found in search(answer.content, str(answer.url))]
        assert [answer.status_code for answer in posted] == [200, 422, 200, 200, 200], [answer.text[:200] for answer in posted]
        assert {path for path, how in api().openapi()["paths"].items() if "get" in how} == asked
    said = capfd.readouterr()
    assert search((said.out + said.err).encode(), "what the server says") == []
    assert search.bytes > 100_000


def test_messages_do_not_quote_what_they_complain_of(source: Path, tmp_path: Path, here: Said) -> None:
    """A single bad file as the source is refused or quarantined without a word out of it."""
    search = Search([*(word for word in SECRETS if word not in FILES), PRIVATE])
    for path in sorted((source / "Borquist").iterdir()):
        plain = tmp_path / f"file{path.stat().st_size}.dcm"
        plain.write_bytes(path.read_bytes())
        out = tmp_path / f"project{path.stat().st_size}"
        _, said = here("run", "preset=healthcare", f"source={plain}", f"out={out}")
        assert search(said, path.name) == []
        assert not out.exists() or search.folder(out) == []


def test_the_plugin_s_formats_are_all_tried() -> None:
    assert set(formats.offered()) >= {path.stem for path in PLUGIN.glob("*.yaml")} | set(CORE)
    assert all(yaml.safe_load(path.read_text())["_target_"].startswith("hyla_healthcare.") for path in PLUGIN.glob("*.yaml"))
