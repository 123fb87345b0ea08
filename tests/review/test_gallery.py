"""The gallery shows everything the review page must show, and the same each time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gallery import EVERYTHING
from gallery_scenes import ODD, VOLUME, number_of
from hyla.errors import BadItem
from hyla.frame import MapFrame, PatientFrame, VideoFrame
from hyla.pictures import Pictures
from hyla.store import Project
from hyla.types import Kind, Severity

ALL = EVERYTHING.format(photos=20)


@pytest.fixture
def project(gallery):
    with Project.open(gallery(ALL)) as opened:
        yield opened


def test_every_kind_of_item_of_label_and_of_flag_is_there(project):
    records = list(project.records())
    assert project.counts().quarantined == 0
    assert Counter(r.item.meta["made"] for r in records) == {
        **{"photo": 20, "clip": 60, "volume": 1, "oblique": 1, "raster": 1, "part": 1, "series": 3},
        **{"huge": 1, "tiny": 2, "empty": 2, "broken": 1},
    }
    assert {kind for r in records for kind in r.labels.kind.tolist()} == set(Kind)
    flags = {(f.reason, f.severity) for r in records for f in r.flags}
    assert flags >= {("low_score", Severity.REVIEW), ("must_see", Severity.HUMAN), ("second_reader", Severity.SECOND)}
    assert {type(r.frame) for r in records} >= {VideoFrame, PatientFrame, MapFrame}
    assert {str(r.verdict) for r in records} == {"accept", "review"}
    assert {len(name) for name in ODD} >= {200}
    assert set(ODD) <= {project.schema().names[i] for r in records for i in r.labels.class_id}
    attributes = {name: column for r in records for name, column in r.labels.attributes.items()}
    assert set(attributes) == set(project.schema().attributes_of("label"))
    assert {k for r in records for k in r.labels.context} == set(project.schema().attributes_of("image"))


def test_one_track_changes_its_identity_half_way_and_is_flagged_there(project):
    frames = [r for r in project.records() if r.item.meta["made"] == "clip"]
    assert [r.labels.track[1] for r in frames] == [2] * 30 + [4] * 30
    assert [(i, f.rows) for i, r in enumerate(frames) for f in r.flags] == [(30, (1,))]


def test_pixels_can_be_read_again_but_for_what_is_broken(project):
    pictures = Pictures.of(project)
    for record in project.records():
        if record.item.meta["made"] == "broken":
            with pytest.raises(BadItem, match="broken-0000"):
                pictures.load(record.item)
            continue
        image = pictures.load(record.item)
        assert image.size == record.size
        if record.item.kind == "video_frame":
            assert number_of(image.pixels) == record.item.index


def test_the_phantom_is_unlike_in_every_direction(project):
    record = next(r for r in project.records() if r.item.meta["made"] == "volume")
    voxels = Pictures.of(project).load(record.item).pixels
    assert voxels.shape == VOLUME
    for axis in range(3):
        assert (abs(voxels.astype(int) - np.flip(voxels, axis)) > 60).mean() > 0.02


def test_it_is_the_same_each_time_and_runs_from_the_command_line(gallery, tmp_path):
    text = "photo 3 9\nclip 1 4\nvolume 1\nraster 1\n"
    (tmp_path / "b.gallery").write_text(text)
    words = ["run", "preset=gallery", f"source={tmp_path / 'b.gallery'}", f"out={tmp_path / 'b'}", "--json"]
    done = subprocess.run([sys.executable, "-m", "hyla.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"] == 9
    with Project.open(gallery(text)) as a, Project.open(tmp_path / "b") as b:
        first, second = list(a.records()), list(b.records())
        assert first[:8] == second[:8]
        assert [r.labels for r in first] == [r.labels for r in second]


def test_a_photo_holds_as_many_labels_as_are_asked_for(gallery):
    with Project.open(gallery("photo 2 500")) as project:
        assert [len(r.labels) for r in project.records()] == [500, 500]


def test_projects_made_of_the_same_text_are_apart(gallery):
    one, other = gallery("empty 1"), gallery("empty 1")
    with Project.open(one) as a, Project.open(other) as b:
        (record,) = a.records()
        a.decide(record.item.id, "reject", who="ann", key="k")
        assert (a.counts().decided, b.counts().decided) == (1, 0)
        assert Path(a.source()).exists()
