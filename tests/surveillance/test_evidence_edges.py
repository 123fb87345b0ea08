"""Evidence where it is hard: heads without a face label, sizes that change, pictures alone, answers taken back, odd bundles."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from evidence_kit import FPS, LOADER, MOSAIC, SIZE, Watched
from faces_kit import CAR, PLATE, Red, image, noise
from faces_kit import boxes as plain
from hyla import formats
from hyla.pictures import Pictures
from hyla.store import Project, Stored
from hyla.types import Kind, Labels, Record, Verdict
from hyla_surveillance.bridging import bridged, to_hide
from hyla_surveillance.events import FIRST_EVENT, Event, to_labels
from hyla_surveillance.evidence import Evidence
from hyla_surveillance.loaders import Recordings
from hyla_surveillance.redact import Mosaic
from surveillance_kit import SCHEMA, boxes, clip


def verified(folder, *more, encoding="utf-8"):
    done = subprocess.run(
        [sys.executable, folder / "verify.py", *more], capture_output=True, check=False, env={"PYTHONIOENCODING": encoding}
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout.decode(encoding)


def told(out, name):
    (folder,) = out.glob(f"{name}-*")
    return folder, json.loads((folder / "event.json").read_text(encoding="utf-8"))


def decoded(path):
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def detail(pixels, box):
    """Return how much of noise is left: the mean difference of neighbouring pixels."""
    x0, y0, x1, y1 = box
    return float(np.abs(np.diff(pixels[y0:y1, x0:x1].astype(float), axis=1)).mean())


@pytest.fixture
def yard(tmp_path):
    made = Watched(tmp_path / "yard")
    yield made
    made.project.close()


class TestHeads:
    def test_a_face_of_the_frame_before_hides_no_less_of_the_head_of_this_one(self):
        person = boxes(("person", 3, 100, 100, 180, 340, 0.9))
        found = Labels.concat([person, boxes(("face", -1, 102, 105, 122, 130, 0.9))])
        also = bridged(clip(found, person, found), SCHEMA)[1]
        picture = image(noise(480, 640))
        head = (128, 104, 156, 140)  # of who has moved on
        for labels in (person, Labels.concat([person, also])):
            assert detail(Mosaic(SCHEMA).redact(picture, labels).pixels, head) < 5
        assert len(also) == 2

    def test_a_plate_of_the_frame_before_hides_no_less_of_the_vehicle(self):
        pixels = noise(300, 400)
        car = plain((CAR, 50, 40, 350, 260))
        shown = Mosaic(SCHEMA).redact(image(pixels), car).pixels
        also = Mosaic(SCHEMA).redact(image(pixels), Labels.concat([car, to_hide([PLATE], [[170, 200, 230, 215]])])).pixels
        assert ((also != pixels) >= (shown != pixels)).all()

    def test_what_a_second_look_finds_hides_no_less_of_the_head(self, yard, tmp_path):
        class Once:
            """Find a face in each picture of the first look, in the upper part of the person of track 4."""

            left = 65

            def predict(self, images):
                self.left -= 1
                return [Labels.of([SCHEMA.class_id("face")], [[92, 33, 97, 40]]) if self.left >= 0 else Labels.empty()]

        yard.answer("ann", "loitering")
        form = Evidence(SCHEMA, pictures=yard.pictures)
        form.faces = Once()
        original = form.pictures.original

        def noisy(item):
            shown = original(item)
            pixels = shown.pixels.copy()
            pixels[30:48, 80:150] = noise(18, 70)
            return replace(shown, pixels=pixels)

        form.pictures.original = noisy
        yard.export(form, tmp_path / "out")
        folder, one = told(tmp_path / "out", "loitering")
        assert one["faces_found_in_clip"] == 0
        for i, pixels in enumerate(decoded(folder / "clip.mp4"), 4):
            x = 80 + i % 40  # of the box
            assert detail(pixels, (x, 30, x + 30, 46)) < 12


def test_a_size_that_changes_costs_no_event(yard, tmp_path):
    yard.answer("ann", "loitering")
    form = Evidence(SCHEMA, pictures=yard.pictures)
    form.faces = Red()
    original = form.pictures.original

    def larger(item):
        """Return a frame of twice the size from the 40th on, with a red square that no label names."""
        shown, times = original(item), 2 if item.index >= 40 else 1
        pixels = np.kron(np.asarray(shown.pixels), np.ones((times, times, 1), np.uint8))
        pixels[96 * times : 112 * times, 4 * times : 20 * times] = (255, 0, 0)
        return replace(shown, pixels=pixels)

    form.pictures.original = larger
    assert "unsafe clip" not in yard.export(form, tmp_path / "out")
    folder, one = told(tmp_path / "out", "loitering")
    assert (one["faces_found_in_clip"], one["clip_frames"]) == (0, 65)
    shown = decoded(folder / "clip.mp4")
    assert {pixels.shape for pixels in shown} == {(*SIZE, 3)}
    assert not [pixels for pixels in shown if len(Red().predict([image(pixels)])[0])]


def test_an_event_whose_clip_is_not_safe_costs_no_other(yard, tmp_path, caplog):
    yard.answer("ann", "loitering")
    yard.answer("ann", "fall")
    form = Evidence(SCHEMA, before=0, after=0, pictures=yard.pictures)
    form.faces = Red()
    original = form.pictures.original

    def red(item):
        shown = original(item)
        return replace(shown, pixels=np.broadcast_to(np.uint8([255, 0, 0]), shown.pixels.shape)) if item.index > 55 else shown

    form.pictures.original = red
    loss = yard.export(form, tmp_path / "out")
    assert loss["unsafe clip"] == 1
    assert "fall-" in caplog.text
    assert [path.name.split("-")[0] for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["loitering"]
    rows = [json.loads(row) for row in (tmp_path / "out/ledger.jsonl").read_text().splitlines()[1:-1]]
    assert {row["item_id"] for row in rows if len(row) > 3} == set(yard.of("loitering"))
    code, said = verified(tmp_path / "out")
    assert (code, "fall" in said) == (0, False)


def test_pictures_that_stand_alone_leave_alone(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in "abcd":
        Pillow.fromarray(noise(*SIZE)).save(source / f"pic{name}.png")
    project = Project.create(tmp_path / "project")
    project.start_run({"loader": LOADER, "redact": MOSAIC}, SCHEMA, str(source), {}, {"name": "toy", "digest": "0f"})
    loader, records = Recordings(cameras=None, fps=None), []
    for n, item in enumerate(loader.items(str(source))):
        fall = to_labels([Event("fall", FIRST_EVENT, 0.0, 0.0, (), "yard")], SCHEMA, SIZE) if n < 2 else Labels.empty()
        records.append(Record(item, fall, (), Verdict.ACCEPT, "model:toy@0f", SIZE, loader.load(item).frame))
    assert {one.item.group for one in records} == {""}
    project.write([Stored(one, n, 0.0) for n, one in enumerate(records)])
    for one in records[:2]:
        project.decide(one.item.id, "accept", who="ann", key=one.item.id, rows=(0,))
    pictures = Pictures(project.source(), project.settings()["loader"], SCHEMA, project)
    Evidence(SCHEMA, pictures=pictures).export(project.released(), SCHEMA, tmp_path / "out")
    folders = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    events = [json.loads((path / "event.json").read_text()) for path in folders]
    assert sorted(one["recording"] for one in events) == ["pica.png", "picb.png"]
    assert [(one["clip_frames"], one["items"]) for one in events] == [(1, [one["clip"]]) for one in events]
    assert verified(tmp_path / "out")[0] == 0
    project.close()


def test_a_clip_is_as_long_as_frames_carry_its_event(yard, tmp_path):
    """Frames that a person adds keep the times of the label that they copied."""
    last = yard.project.record(yard.of("intrusion")[-1]).labels
    copied = last[(last.kind == Kind.TAG) & (last.class_id == SCHEMA.class_id("intrusion"))]
    yard.answer("ann", "intrusion")
    for one in yard.records[45:70]:
        labels = Labels.concat([yard.project.record(one.item.id).labels, copied])
        yard.project.decide(one.item.id, "edit", who="ann", key=f"more {one.item.id}", labels=labels)
    yard.export(Evidence(SCHEMA, before=1, after=1, pictures=yard.pictures), tmp_path / "out")
    folder, one = told(tmp_path / "out", "intrusion")
    assert (one["start_s"], one["end_s"], one["clip_start_s"], one["clip_end_s"]) == (9.5, 69 / FPS, 8.5, 73 / FPS)
    assert len(decoded(folder / "clip.mp4")) == one["clip_frames"] == 40
    assert sorted(path.name for path in (folder / "stills").iterdir()) == ["first.jpg", "last.jpg", "middle.jpg"]


class TestAnswers:
    def test_what_was_taken_back_is_not_named(self, yard, tmp_path):
        yard.answer("ann", "loitering")
        yes = [made.at for made in yard.project.decisions()]
        yard.answer("ann", "loitering", "reject")
        for item in yard.of("loitering"):
            seq = list(yard.project.decisions(item))[-1].seq
            yard.project.decide(item, "undo", who="ann", key=f"undo {item}", undoes=seq)
        yard.export(Evidence(SCHEMA, pictures=yard.pictures), tmp_path / "out")
        assert told(tmp_path / "out", "loitering")[1]["answered"] == [{"who": "ann", "at": max(yes)}]
        code, said = verified(tmp_path / "out")
        assert code == 0, said

    def test_what_was_said_of_something_else_is_not_named(self, yard, tmp_path):
        yard.answer("ann", "loitering")
        yes = [made.at for made in yard.project.decisions()]
        yard.project.decide(yard.of("loitering")[3], "accept", who="ann", key="later", rows=(0,))
        yard.export(Evidence(SCHEMA, pictures=yard.pictures), tmp_path / "out")
        assert told(tmp_path / "out", "loitering")[1]["answered"] == [{"who": "ann", "at": max(yes)}]

    def test_whom_an_adjudicator_agrees_with_is_named_with_their_own_answer(self, tmp_path):
        strict = replace(
            SCHEMA, classes=tuple(replace(one, confirmations=2) if one.name == "fall" else one for one in SCHEMA.classes)
        )
        both = Watched(tmp_path, schema=strict)
        for item in both.of("fall"):
            held = both.project.record(item).labels
            other = replace(held, attributes={**held.attributes, "place": np.where(held.kind == Kind.TAG, "gate", None)})
            both.project.decide(item, "accept", who="ann", key=f"{item} 1")
            both.project.decide(item, "opinion", who="bob", key=f"{item} 2", labels=other)
            both.project.decide(item, "adjudicate", who="eve", key=f"{item} 3", labels=other)
        both.export(Evidence(strict, pictures=both.pictures), tmp_path / "out")
        one = told(tmp_path / "out", "fall")[1]
        by = {who: max(made.at for made in both.project.decisions() if made.who == who) for who in ("bob", "eve")}
        assert one["place"] == "gate"
        assert {said["who"]: said["at"] for said in one["answered"]} == by
        code, said = verified(tmp_path / "out")
        assert code == 0, said
        both.project.close()


class TestChecking:
    def test_a_decision_cut_down_to_its_hash_is_found_where_another_rests_on_it(self, yard, tmp_path):
        yard.answer("ann", "loitering")
        item = yard.of("loitering")[0]
        yard.project.decide(item, "repair", who="bob", key="bob", rows=(0,))
        yard.project.decide(item, "accept", who="ann", key="ann", rows=(1,))
        yard.export(Evidence(SCHEMA, pictures=yard.pictures), tmp_path / "out")
        assert verified(tmp_path / "out")[0] == 0
        ledger = tmp_path / "out/ledger.jsonl"
        rows = [json.loads(row) for row in ledger.read_text(encoding="utf-8").splitlines()]
        cut = [{key: row[key] for key in ("seq", "prev_hash", "hash")} if row.get("who") == "bob" else row for row in rows]
        assert cut != rows
        ledger.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in cut), encoding="utf-8")
        sum_again(tmp_path / "out")
        code, said = verified(tmp_path / "out", "--head", yard.project.verify().head)
        assert code == 1
        assert f"rests on decision {next(row['seq'] for row in rows if row.get('who') == 'bob')}" in said

    def test_names_that_a_console_does_not_know_are_printed(self, yard, tmp_path):
        yard.answer("Łukasz 王", "fall")
        yard.export(Evidence(SCHEMA, pictures=yard.pictures), tmp_path / "out")
        code, said = verified(tmp_path / "out", encoding="cp1252")
        assert code == 0
        assert "\\u0141ukasz \\u738b" in said
        assert "Łukasz 王" in verified(tmp_path / "out")[1]

    @pytest.mark.parametrize("name", ["ledger.jsonl", "event.json"])
    def test_a_file_nested_without_end_is_one_that_cant_be_read(self, yard, tmp_path, name):
        yard.answer("ann", "fall")
        yard.export(Evidence(SCHEMA, pictures=yard.pictures), tmp_path / "out")
        path = tmp_path / "out" / name if name != "event.json" else told(tmp_path / "out", "fall")[0] / name
        path.write_text("[" * 200_000 + "\n")
        code, said = verified(tmp_path / "out")
        assert code == 1
        assert f"{name} can't be read: RecursionError" in said


def test_what_is_in_no_bundle_is_said(yard, tmp_path):
    yard.answer("ann", "loitering")
    loss = yard.export(Evidence(SCHEMA, pictures=yard.pictures), tmp_path / "out")
    boxes_ = sum(int((one.labels.kind == Kind.BOX).sum()) for one in yard.project.released())
    with (told(tmp_path / "out", "loitering")[0] / "tracks.csv").open(encoding="utf-8", newline="") as file:
        assert loss["box"] == boxes_ - len(list(csv.DictReader(file)))
    assert "everything" not in formats.describe("evidence", loss)
    assert not [what for what, n in loss.items() if n <= 0]


def sum_again(folder):
    """Write the sums anew, as whoever changes a bundle does."""
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    names = [line.split("  ", 1)[1] for line in lines]
    sums = "".join(f"{sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
