"""Evidence: redacted clips of confirmed events that anybody can verify without Hyla, and in which a changed byte is found."""

from __future__ import annotations

import ast
import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest
from PIL import Image as Pillow

import evidence_kit
from evidence_kit import FACE, FPS, Watched, picture
from hyla.errors import BadItem, ConfigError, FormatError, StoreError
from hyla.types import Labels
from hyla_surveillance.bridging import bridged
from hyla_surveillance.evidence import Evidence
from hyla_surveillance.faces import Faces
from hyla_surveillance.ledger_extract import write_extract
from hyla_surveillance.redact import remaining
from surveillance_kit import SCHEMA, boxes, clip, event


def verified(folder, *more):
    """Run the script of a bundle in a Python that has nothing but its own library, and return its exit and what it printed."""
    done = subprocess.run([sys.executable, "-I", "-S", folder / "verify.py", *more], capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def decoded(path):
    """Return seconds and pixels of each frame, as PyAV reads them."""
    with av.open(str(path)) as file:
        assert file.streams.video[0].codec_context.name in ("h264", "mpeg4")
        assert not file.streams.audio
        return [(float(f.pts * f.time_base), f.to_ndarray(format="rgb24")) for f in file.decode(video=0)]


def detail(pixels):
    """Return how much of the noise of the face is left: the mean difference of neighbouring pixels."""
    x0, y0, x1, y1 = FACE
    return float(np.abs(np.diff(pixels[y0:y1, x0:x1].astype(float), axis=1)).mean())


@pytest.fixture(scope="module")
def yard(tmp_path_factory):
    made = Watched(tmp_path_factory.mktemp("yard"))
    made.answer("ann", "loitering")
    made.answer("bob", "intrusion")
    yield made
    made.project.close()


@pytest.fixture(scope="module")
def bundle(yard, tmp_path_factory):
    out = tmp_path_factory.mktemp("evidence") / "bundle"
    yard.export(Evidence(SCHEMA, pictures=yard.pictures), out)
    return out


def folder_of(bundle, name):
    (found,) = bundle.glob(f"{name}-*")
    return found


class TestBundle:
    def test_each_confirmed_event_has_a_folder(self, bundle):
        assert sorted(p.name.split("-")[0] for p in bundle.iterdir() if p.is_dir()) == ["intrusion", "loitering"]
        files = sorted(
            p.relative_to(folder_of(bundle, "loitering")).as_posix() for p in folder_of(bundle, "loitering").rglob("*")
        )
        assert files == [
            "clip.mp4",
            "event.json",
            "stills",
            *(f"stills/{n}.jpg" for n in ("first", "last", "middle")),
            "tracks.csv",
        ]

    def test_the_clip_begins_before_and_ends_after(self, bundle):
        frames = decoded(folder_of(bundle, "loitering") / "clip.mp4")  # 6 to 12 s, and 5 s more on both sides
        assert [round(s, 3) for s, _ in frames] == [i / FPS for i in range(65)]  # from its own beginning
        one = json.loads((folder_of(bundle, "loitering") / "event.json").read_text(encoding="utf-8"))
        assert (one["clip_start_s"], one["clip_end_s"]) == (1, 17)

    def test_faces_are_hidden_in_every_frame(self, bundle):
        assert detail(picture(0)) > 60
        for name in ("loitering", "intrusion"):
            shown = decoded(folder_of(bundle, name) / "clip.mp4")
            assert max(detail(pixels) for _, pixels in shown) < 12  # frames 15, 25, ... have no label of the face
            for still in (folder_of(bundle, name) / "stills").iterdir():
                with Pillow.open(still) as image:
                    assert detail(np.asarray(image)) < 12
                    assert not image.getexif()
        grey = decoded(folder_of(bundle, "loitering") / "clip.mp4")[0][1][100:115, 5:20]
        assert np.abs(grey.astype(int) - picture(4)[100:115, 5:20]).max() < 6  # what need not be hidden is as it was

    def test_tracks_are_those_of_the_participants(self, bundle):
        with (folder_of(bundle, "loitering") / "tracks.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["track"] for row in rows} == {"3"}
        assert {row["class"] for row in rows} == {"person"}  # and nothing of who somebody may be
        assert len(rows) == 65
        assert (rows[0]["frame"], rows[0]["utc"], rows[0]["class"]) == ("4", "2026-03-29T01:00:01.000Z", "person")
        assert [float(rows[0][side]) for side in ("x0", "y0", "x1", "y1")] == [25, 15, 60, 110]

    def test_event_json_says_what_the_table_says(self, bundle):
        one = json.loads((folder_of(bundle, "intrusion") / "event.json").read_text(encoding="utf-8"))
        assert (one["event"], one["state"], one["needed"], one["participants"]) == ("intrusion", "confirmed", 1, [3, 4])
        assert (one["start_utc"], one["redacted"], one["faces_found_in_clip"]) == ("2026-03-29T01:00:09.500Z", True, None)
        assert [said["who"] for said in one["answered"]] == ["bob"]
        assert len(one["items"]) == 5

    def test_the_same_project_gives_the_same_bytes(self, yard, bundle, tmp_path):
        yard.export(Evidence(SCHEMA, pictures=yard.pictures), tmp_path / "again")
        assert (tmp_path / "again" / "SHA256SUMS").read_bytes() == (bundle / "SHA256SUMS").read_bytes()

    def test_what_was_not_confirmed_is_nowhere(self, bundle):
        assert not list(bundle.glob("fall-*"))
        for path in (p for p in bundle.rglob("*") if p.suffix in (".json", ".jsonl", ".csv")):
            assert "fall" not in path.read_text(encoding="utf-8")

    def test_a_clip_that_is_gone_leaves_the_rest(self, tmp_path):
        gone = Watched(tmp_path)
        gone.answer("ann", "fall")
        form = Evidence(SCHEMA, pictures=gone.pictures)
        original = form.pictures.original

        def broken(item):
            if item.index % 2:
                raise BadItem("gone")
            return original(item)

        form.pictures.original = broken
        loss = gone.export(form, tmp_path / "out")
        assert loss["unreadable frame"] == 21
        one = json.loads((folder_of(tmp_path / "out", "fall") / "event.json").read_text())
        assert len(one["frames_not_shown"]) == 21
        assert one["clip_frames"] == 20 == len(decoded(folder_of(tmp_path / "out", "fall") / "clip.mp4"))
        assert verified(tmp_path / "out")[0] == 0
        gone.project.close()


def test_what_asks_for_two_people_names_both(tmp_path):
    strict = replace(
        SCHEMA, classes=tuple(replace(one, confirmations=2) if one.name == "intrusion" else one for one in SCHEMA.classes)
    )
    both = Watched(tmp_path, schema=strict, frames=50)
    for item in both.of("loitering"):  # of which five frames are of the intrusion too
        both.project.decide(item, "accept", who="ann", key=item)
    form = Evidence(strict, pictures=both.pictures)
    both.export(form, tmp_path / "one")
    assert [p.name.split("-")[0] for p in (tmp_path / "one").iterdir() if p.is_dir()] == ["loitering"]
    for item in both.of("intrusion"):
        held = both.project.record(item).labels
        with pytest.raises(StoreError, match="gave the first answer"):
            both.project.decide(item, "opinion", who=" Ann", key=f"{item} again", labels=held)
        both.project.decide(item, "opinion", who="bob", key=f"{item} two", labels=held)
    both.export(form, tmp_path / "two")
    one = json.loads((folder_of(tmp_path / "two", "intrusion") / "event.json").read_text())
    assert (one["needed"], [said["who"] for said in one["answered"]]) == (2, ["ann", "bob"])
    code, said = verified(tmp_path / "two")
    assert (code, "intrusion" in said) == (0, True)
    path = folder_of(tmp_path / "two", "intrusion") / "event.json"
    del one["answered"][0]
    path.write_text(json.dumps(one))
    _sum_again(tmp_path / "two")
    assert "needs 2 people, and names 1" in verified(tmp_path / "two")[1]
    both.project.close()


def test_who_was_unsure_confirmed_nothing(tmp_path):
    yard = Watched(tmp_path, frames=50)
    yard.answer("ann", "loitering")
    item = yard.of("loitering")[0]
    said = yard.project.decide(item, "unsure", who="bob", key="unsure")
    yard.export(Evidence(SCHEMA, pictures=yard.pictures), tmp_path / "out")
    path = folder_of(tmp_path / "out", "loitering") / "event.json"
    one = json.loads(path.read_text())
    assert [answer["who"] for answer in one["answered"]] == ["ann"]
    one["answered"].append({"who": "bob", "at": said.at})
    path.write_text(json.dumps(one))
    _sum_again(tmp_path / "out")
    assert f"what bob said at {said.at} confirms nothing" in verified(tmp_path / "out")[1]
    yard.project.close()


class TestRefused:
    def test_a_project_that_hides_nothing(self, tmp_path):
        bare = Watched(tmp_path, redact=None, frames=8)
        with pytest.raises(ConfigError, match="hides nothing") as caught:
            bare.export(Evidence(SCHEMA, pictures=bare.pictures), tmp_path / "out")
        assert "redact=mosaic" in str(caught.value)
        assert not (tmp_path / "out").exists()
        bare.project.close()

    def test_a_folder_that_holds_something_else(self, yard, tmp_path):
        (tmp_path / "mine.txt").write_text("x")
        with pytest.raises(FormatError, match="something else"):
            yard.export(Evidence(SCHEMA, pictures=yard.pictures), tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]

    def test_wrong_settings(self):
        with pytest.raises(ConfigError, match="before=-1"):
            Evidence(SCHEMA, before=-1)

    def test_faces_that_stay_visible(self, yard, tmp_path):
        class Sees:
            def predict(self, images):
                return [Labels.of([SCHEMA.class_id("face")], [[1, 1, 9, 9]]) for _ in images]

        form = Evidence(SCHEMA, pictures=yard.pictures)
        form.faces = Sees()
        assert yard.export(form, tmp_path / "out")["unsafe clip"] == 2
        assert not [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        assert verified(tmp_path / "out")[0] == 0


def test_what_is_found_in_the_clip_is_hidden_too(yard, tmp_path):
    class Sees:
        """Find a bright corner, which nobody labelled, while it is grey and not yet of one colour."""

        rounds = 0

        def predict(self, images):
            part = images[0].pixels[60:80, 120:150]
            return [Labels.of([SCHEMA.class_id("face")], [[120, 60, 150, 80]]) if np.ptp(part) > 40 else Labels.empty()]

    form = Evidence(SCHEMA, pictures=yard.pictures)
    form.faces = Sees()
    original = form.pictures.original

    def marked(item):
        image = original(item)
        pixels = image.pixels.copy()
        pixels[64:76, 128:142] = 255
        return replace(image, pixels=pixels)

    form.pictures.original = marked
    yard.export(form, tmp_path / "out")
    for name in ("loitering", "intrusion"):
        folder = folder_of(tmp_path / "out", name)
        assert json.loads((folder / "event.json").read_text())["faces_found_in_clip"] == 0
        assert max(np.ptp(pixels[60:80, 120:150]) for _, pixels in decoded(folder / "clip.mp4")) <= 40


def test_faces_that_nobody_labelled_are_hidden_by_what_the_run_found_faces_with(shared, tmp_path, monkeypatch):
    with Pillow.open(shared / "data" / "surveillance" / "faces" / "solvay_conference_1927.jpg") as file:
        file.thumbnail((1200, 1200))
        photo = np.asarray(file.convert("RGB"))
    monkeypatch.setattr(evidence_kit, "SIZE", photo.shape[:2])
    monkeypatch.setattr(evidence_kit, "picture", lambda _: photo)
    monkeypatch.setattr(evidence_kit, "EVENTS", {"fall": (0, 0, 1, 0.0, (3,))})
    weights = str(shared / "weights" / "face_detection_yunet_2026may.onnx")
    node = {"_target_": "hyla_surveillance.faces.Faces", "weights": weights}
    crowd = Watched(tmp_path, frames=2, model={"faces": node})
    crowd.answer("ann", "fall")
    finder = Faces(SCHEMA, weights)
    assert remaining(photo, finder) == 29
    for given, left in ((None, None), ("run", 0)):
        out = tmp_path / f"faces-{given}"
        crowd.export(Evidence(SCHEMA, faces=given, pictures=crowd.pictures), out)
        folder = folder_of(out, "fall")
        assert json.loads((folder / "event.json").read_text())["faces_found_in_clip"] == left
        seen = [remaining(pixels, finder) for _, pixels in decoded(folder / "clip.mp4")]
        assert seen == [0, 0] if given else min(seen) > 20
    crowd.project.close()


class TestVerifying:
    def test_an_untouched_bundle_holds(self, bundle, yard):
        code, said = verified(bundle, "--head", yard.project.verify().head)
        assert code == 0, said
        assert said.endswith("the bundle holds\n")
        assert "was answered by ann" in said
        assert yard.project.verify().head in said
        assert said.count("NOT PROVED") == 5

    def test_the_script_is_that_of_an_old_python(self, bundle):
        tree = ast.parse((bundle / "verify.py").read_text(encoding="utf-8"), feature_version=(3, 8))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert names == {"__future__", "hashlib", "io", "json", "re", "sys", "unicodedata", "pathlib", "typing"}

    def test_coreutils_agrees(self, bundle):
        done = subprocess.run(
            ["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=bundle, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    def test_one_changed_byte_is_found_wherever_it_is(self, bundle, tmp_path):
        copy = shutil.copytree(bundle, tmp_path / "copy")
        rng = np.random.default_rng(0)
        changed = 0
        for path in sorted(p for p in copy.rglob("*") if p.is_file() and p.name != "verify.py"):
            data = path.read_bytes()
            for at in {0, len(data) - 1, *rng.integers(0, len(data), 4).tolist()}:
                path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
                code, said = verified(copy)
                assert code == 1, (path.name, at, said)
                assert "NOT TRUE" in said
                assert "PROVED      " not in said
                changed += 1
            path.write_bytes(data)
        assert changed > 60
        assert verified(copy)[0] == 0

    def test_a_file_more_or_less_is_found(self, bundle, tmp_path):
        copy = shutil.copytree(bundle, tmp_path / "copy")
        (copy / "more.txt").write_text("x")
        assert "more.txt was added" in verified(copy)[1]
        (copy / "more.txt").unlink()
        (folder_of(copy, "loitering") / "tracks.csv").unlink()
        assert "is gone" in verified(copy)[1]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda rows: rows[3].update(who="eve"), "was changed: its hash does not fit"),
            (lambda rows: rows.pop(2), "does not follow"),
            (lambda rows: rows[-1].update(head="0" * 64), "does not end where it says"),
            (lambda rows: rows.insert(3, rows.pop(2)), "does not follow"),
            (lambda rows: rows[0].update(project="other"), "does not begin as"),
        ],
    )
    def test_a_ledger_written_anew_is_found_though_its_sum_was_too(self, bundle, tmp_path, change, said):
        copy = shutil.copytree(bundle, tmp_path / "copy")
        rows = [json.loads(line) for line in (copy / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
        change(rows)
        text = "".join(json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" for row in rows)
        (copy / "ledger.jsonl").write_text(text, encoding="utf-8")
        _sum_again(copy)
        code, printed = verified(copy)
        assert code == 1
        assert said in printed

    def test_a_name_put_into_the_event_is_found_though_its_sum_was_too(self, bundle, tmp_path):
        copy = shutil.copytree(bundle, tmp_path / "copy")
        path = folder_of(copy, "loitering") / "event.json"
        path.write_text(path.read_text(encoding="utf-8").replace('"ann"', '"eve"'), encoding="utf-8")
        _sum_again(copy)
        code, printed = verified(copy)
        assert code == 1
        assert "no answer of eve" in printed

    def test_another_head_is_found(self, bundle):
        assert "the head given is not in the ledger" in verified(bundle, "--head", "0" * 64)[1]


def _sum_again(folder):
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    with (folder / "SHA256SUMS").open("w") as file:
        subprocess.run(["sha256sum", "--", *names], cwd=folder, stdout=file, check=True)


class TestExtract:
    def test_others_are_links_without_content(self, yard, tmp_path):
        with (tmp_path / "l.jsonl").open("wb") as file:
            told = write_extract(yard.project, set(yard.of("intrusion")), file)
        rows = [json.loads(line) for line in (tmp_path / "l.jsonl").read_text().splitlines()]
        own, links = [r for r in rows[1:-1] if len(r) > 3], [r for r in rows[1:-1] if len(r) == 3]
        assert (told.decisions, told.told) == (22, len(own))
        assert {r["item_id"] for r in own} == set(yard.of("intrusion"))
        assert len(own) + len(links) == 22
        assert all(set(r) == {"seq", "prev_hash", "hash"} for r in links)
        assert all(a["hash"] == b["prev_hash"] for a, b in pairwise(rows[1:-1]))
        assert told.head == yard.project.verify().head

    def test_a_project_without_events_gives_a_bundle_that_holds(self, tmp_path):
        Evidence(SCHEMA).export(clip(event(), event()), SCHEMA, tmp_path / "out")
        code, said = verified(tmp_path / "out")
        assert code == 0, said
        assert "the ledger of 0 decisions" in said


class TestBridging:
    def test_a_lost_track_is_where_a_line_leads(self):
        frames = clip(boxes(("person", 1, 0, 0, 10, 20)), boxes(), boxes(), boxes(("person", 1, 30, 0, 40, 20)), fps=4)
        extra = bridged(frames, SCHEMA)
        assert [one.box.tolist() for one in extra] == [[], [[10, 0, 20, 20]], [[20, 0, 30, 20]], []]
        assert bridged(clip(*(one.labels for one in frames), fps=0.5), SCHEMA)[1].box.tolist() == []

    def test_a_face_is_hidden_in_the_frames_beside_it(self):
        extra = bridged(clip(boxes(), boxes(("face", -1, 1, 2, 3, 4)), boxes(), boxes()), SCHEMA)
        assert [len(one) for one in extra] == [1, 0, 1, 0]
        assert [one.score.tolist() for one in extra] == [[0], [], [0], []]  # nothing that a redactor may rely on
