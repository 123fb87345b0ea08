"""Candidate matches come from elsewhere, carry list and legal basis, and leave with two people behind them or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hyla import cli, plugins
from hyla.errors import BadItem, ConfigError
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.store import Project
from hyla.types import Image, Item, Kind, item_id
from hyla_surveillance.matches import Matches
from surveillance_kit import CONF, SCHEMA

HEADER = "clip,seconds,x0,y0,x1,y1,entry,similarity\n"
LAW = "court order 12/34, s. 5"
GIVEN = {"list_name": "missing children", "legal_basis": LAW}


def frame(seconds: float, uri: str = "gate.mp4", size: tuple[int, int] = (48, 64)) -> Image:
    index = round(seconds * 8)
    item = Item(f"{uri}-{index}", uri, uri, index, "video_frame")
    return Image(np.zeros((*size, 3), np.uint8), item, VideoFrame(seconds=seconds, index=index))


def matches(folder: Path, text: str, name: str = "found.csv", **changes: Any) -> Matches:
    (folder / name).write_text(text, encoding="utf-8")
    return Matches(SCHEMA, str(folder), name, **{**GIVEN, **changes})


def test_each_candidate_is_on_one_frame_with_all_that_allows_it(tmp_path: Path) -> None:
    model = matches(tmp_path, HEADER + "gate.mp4,1.0625,10,4,30,44,17,0.83\nyard/gate.mp4,1.0,,,,,18,0.5\n")
    found = model.predict([frame(k / 8) for k in range(20)])
    assert [len(one) for one in found] == [int(k == 9) for k in range(20)]  # 1.0625 lies between two frames: it is on the later
    one = found[9]
    assert (one.class_id[0], one.kind[0], one.score[0]) == (SCHEMA.class_id("candidate_match"), Kind.BOX, 0.83)
    assert one.box.tolist() == [[10, 4, 30, 44]]
    assert {name: column[0] for name, column in one.attributes.items()} == {
        "list": "missing children",
        "entry": "17",
        "similarity": 0.83,
        "legal_basis": LAW,
    }
    SCHEMA.check(one, (48, 64))
    (other,) = model.predict([frame(1.0, "yard/gate.mp4")])  # a clip of the same name elsewhere is another one
    assert (other.kind[0], other.box.tolist(), other.attributes["entry"][0]) == (Kind.TAG, [[0, 0, 64, 48]], "18")
    about = model.provenance()
    assert (about["list"], about["legal_basis"], len(about["digest"])) == ("missing children", LAW, 64)


def test_pictures_are_named_by_id_or_path(tmp_path: Path) -> None:
    rows = [
        {"item": "a/one.jpg", "entry": "17", "similarity": 0.9, "x0": -5, "y0": 0, "x1": 10, "y1": 10},
        {"item": "two", "entry": "3", "similarity": 1, "list": "missing children"},
    ]
    model = matches(tmp_path, "\n".join(map(json.dumps, rows)), "found.jsonl")
    items = [Item("one", "a/one.jpg"), Item("two", "b/two.jpg"), Item("three", "one.jpg")]
    found = model.predict([Image(np.zeros((20, 30, 1), np.uint8), item) for item in items])
    assert [labels.attributes["entry"].tolist() if len(labels) else [] for labels in found] == [["17"], ["3"], []]
    assert found[0].box.tolist() == [[0, 0, 10, 10]]  # cut at the edge
    with pytest.raises(BadItem, match="outside the picture of 1 x 1"):
        matches(tmp_path, HEADER + "gate.mp4,0,10,4,30,44,17,0.83\n").predict([frame(0.0, size=(1, 1))])


def test_a_row_of_one_clip_says_nothing_of_the_same_row_of_another(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    model = matches(tmp_path, HEADER + "a.mp4,1,,,,,17,0.8\nb.mp4,1,,,,,17,0.8\n")
    model.predict([frame(1.0, "a.mp4"), frame(0.25, "b.mp4")])
    model.forget("b.mp4")
    model.forget("a.mp4")
    assert [message.rpartition(" ")[2] for message in caplog.messages] == ["3"]


def test_rows_that_fit_nothing_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "gate.mp4").touch()
    rows = ["gate.mp4,1,,,,,1,0.5", "gate.mp4,999,,,,,2,0.5", "gate.mp4,1e4,,,,,3,0.5", "/mnt/gate.mp4,1,,,,,4,0.5"]
    model = matches(tmp_path, HEADER + "\n".join(rows) + "\n")
    assert caplog.messages == ["1 candidate matches label nothing: the source has no such picture; the first is found.csv, row 5"]
    caplog.clear()
    assert sum(len(one) for one in model.predict([frame(k / 8) for k in range(20)])) == 1
    model.forget("other.mp4")
    assert not caplog.messages
    for _ in range(2):  # a clip that is labelled again is judged again
        model.forget("gate.mp4")
    first, again = caplog.messages
    assert (
        first
        == "2 candidate matches label nothing: gate.mp4 had no frame at that time in this run; the first is found.csv, row 3"
    )
    assert again.startswith("3 candidate matches")
    caplog.clear()
    matches(tmp_path, f"item,entry,similarity\n{item_id('gate.mp4', 3)},1,0.5\nrtsp://gate/live,1,0.5\n")
    assert not caplog.messages  # an id, or an address: nobody knows before the run


@pytest.mark.parametrize("name", ["legal_basis", "list_name", "file"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_basis_list_or_file_there_are_none(tmp_path: Path, name: str, value: str | None) -> None:
    (tmp_path / "found.csv").write_text(HEADER)
    with pytest.raises(ConfigError, match=f"need {name}"):
        Matches(SCHEMA, str(tmp_path), **{**GIVEN, "file": "found.csv", name: value})


@pytest.mark.parametrize("confirmations", [0, 1])
def test_a_schema_that_asks_for_fewer_people_is_refused(tmp_path: Path, confirmations: int) -> None:
    (tmp_path / "found.csv").write_text(HEADER)
    values = SCHEMA.to_dict()
    values["classes"]["candidate_match"]["confirmations"] = confirmations
    with pytest.raises(ConfigError, match="fewer than two people"):
        Matches(Schema.from_config(values), str(tmp_path), "found.csv", **GIVEN)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("gate.mp4,1,1,1,2,2,,0.5", "row 2: it names no entry"),
        ("gate.mp4,1,1,1,2,2,17,1.5", "similarity is 1.5"),
        ("gate.mp4,1,1,1,2,2,17,", "similarity is None"),
        ("gate.mp4,x,1,1,2,2,17,0.5", "seconds is 'x'"),
        ("gate.mp4,,1,1,2,2,17,0.5", "names no picture"),
        (",1,1,1,2,2,17,0.5", "names no picture"),
        ("gate.mp4,1,1,,2,2,17,0.5", "y0 is None"),
        ("gate.mp4,1,2,1,2,2,17,0.5", "is no area"),
        ("gate.mp4,1,nan,1,2,2,17,0.5", "x0 is 'nan'"),
        ("gate.mp4,1,1,1,2,2,17,0.5,extra", "no column"),
        ('gate.mp4,1,1,1,2,2,"17,0.5', "no CSV"),
    ],
)
def test_a_file_is_used_whole_or_not_at_all(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        matches(tmp_path, HEADER + row + "\n")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="allow 'missing children' alone"):
        matches(tmp_path, '{"item": "a", "entry": "1", "similarity": 1, "list": "debtors"}', "found.jsonl")
    with pytest.raises(ConfigError, match="line 2 of the candidate matches is no JSON"):
        matches(tmp_path, '{"item": "a", "entry": "1", "similarity": 1}\n{', "found.jsonl")
    with pytest.raises(ConfigError, match="no file"):
        Matches(SCHEMA, str(tmp_path), "gone.csv", **GIVEN)
    with pytest.raises(ConfigError, match="read from"):
        matches(tmp_path, "", "found.xml")


def test_no_preset_makes_matches_unasked() -> None:
    """The one YAML that names them is chosen by name, and refuses to be built as it stands."""
    naming = [path for path in CONF.rglob("*.yaml") if "matches.Matches" in path.read_text()]
    assert [path.name for path in naming] == ["matches.yaml"]
    for path in CONF.rglob("*.yaml"):
        assert "/model: matches" not in path.read_text(), path
    node = yaml.safe_load(naming[0].read_text())["members"]["matches"]
    with pytest.raises(ConfigError, match="legal_basis"):
        plugins.build({**node, "source": ""}, "model", schema=SCHEMA)


def test_nothing_in_the_package_compares_faces() -> None:
    """No embedding, no gallery, no recogniser: names of what would be needed for it stand nowhere in the package."""
    package = Path(str(CONF)).parent
    words = ("FaceRecognizer", "SFace", "arcface", "insightface", "facenet", "deepface", "face_embedding")
    for path in package.rglob("*.py"):
        assert not [word for word in words if word.lower() in path.read_text().lower()], path


def test_a_match_leaves_once_two_people_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image as Pillow

    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    Pillow.new("RGB", (64, 48), (90, 120, 60)).save(source / "gate.png")
    (source / "found.csv").write_text("item,entry,similarity\ngate.png,ENTRY17,0.97\n")
    words = [
        *("run", "preset=surveillance", "loader=folder", "model=matches", "model.members.watch=null", "redact=none"),
        *("default=accept", "rules=none", f"source={source}", f"out={out}", "model.members.matches.file=found.csv"),
    ]
    assert cli.main([*words, "model.members.matches.list_name=wanted"]) == 1
    assert "legal_basis" in capsys.readouterr().err
    assert cli.main([*words, "model.members.matches.list_name=wanted", f"model.members.matches.legal_basis='{LAW}'"]) == 0

    def exported(name: str) -> str:
        assert cli.main(["export", str(out), "--format", "jsonl", "--to", str(tmp_path / name)]) == 0
        return (tmp_path / name / "labels.jsonl").read_text()

    with Project.open(out) as project:
        (one,) = project.records()
        assert project.state(one.item.id)["lane"] == "review"
        assert [(flag.rule, flag.severity) for flag in one.flags if flag.rule == "schema"] == [("schema", "second")]
        assert "ENTRY17" not in exported("none")
        assert "1 unconfirmed" in capsys.readouterr().out
        project.decide(one.item.id, "accept", who="ann", key="1")
        assert "ENTRY17" not in exported("one")
        project.decide(one.item.id, "opinion", who="ben", key="2", labels=replace(one.labels, score=np.ones(1)))
        assert project.state(one.item.id)["lane"] == ""
        assert "ENTRY17" in exported("two")
        assert LAW in exported("two")
        assert project.verify().ok
