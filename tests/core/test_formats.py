"""What every format shares: finding one by name, counting what is lost, safe paths, whole files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyla import formats
from hyla.errors import ConfigError, FormatError
from hyla.formats.coco import Coco
from hyla.formats.yolo import Yolo
from hyla.frame import VideoFrame
from hyla.schema import Class, Schema
from hyla.types import Flag, Item, Kind, Labels, Record, Verdict

CARS = Schema("cars", (Class("car", codes={"coco": "auto"}), Class("thing", abstract=True)), ("box", "polyline", "track"))

TXT = """
from hyla import Format, hookimpl
class Txt(Format):
    name = "txt"
    def __init__(self, sep: str = ",", schema=None):
        self.sep, self.schema = sep, schema
    @hookimpl
    def export(self, records, schema, out):
        out.write_text(self.sep.join(r.item.id for r in records))
        return {}
"""


def test_every_format_is_offered_with_a_line_about_it() -> None:
    offered = formats.offered()
    assert {"coco", "jsonl", "parquet", "yolo"} <= set(offered)
    assert all(offered[name] for name in ("coco", "jsonl", "parquet", "yolo"))


def test_offering_formats_imports_neither_numpy_nor_hydra() -> None:
    heavy = "('numpy', 'hydra', 'torch', 'pyarrow')"
    code = f"import sys, hyla.formats as f; f.offered(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_go_over_those_of_the_yaml() -> None:
    one = formats.get("yolo", task="segment")
    assert isinstance(one, Yolo)
    assert one.task == "segment"
    assert isinstance(formats.get("coco"), Coco)


def test_an_unknown_format_or_setting_names_the_choices() -> None:
    with pytest.raises(ConfigError, match="no export is named 'cocoo'") as caught:
        formats.get("cocoo")
    assert "coco" in caught.value.choices
    with pytest.raises(ConfigError, match="no setting 'tsak'"):
        formats.get("yolo", tsak="segment")
    with pytest.raises(ConfigError, match="task=draw"):
        formats.get("yolo", task="draw")
    with pytest.raises(ConfigError, match="unknown=maybe"):
        formats.get("coco", unknown="maybe")


def test_a_plugin_adds_a_format_with_one_file_and_its_yaml(install: Callable[..., Path], tmp_path: Path) -> None:
    install("txt", {"txt.py": TXT, "conf/export/txt.yaml": "# just the ids\n_target_: acme_txt.txt.Txt\nsep: ';'\n"})
    assert formats.offered()["txt"] == "just the ids"
    built: Any = formats.get("txt", schema=CARS)
    assert built.schema is CARS
    built.export([Record(Item("a", "a.jpg"), Labels.empty())] * 2, CARS, tmp_path / "ids")
    assert (tmp_path / "ids").read_text() == "a;a"


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("_target_: os.system", "not inside hyla"),
        ("_target_: hyla.types.Item", "is not set|does not inherit"),
        ("sep: 1", "does not say what to build"),
        ("[: {", "can't be read"),
    ],
)
def test_a_yaml_that_builds_no_format_is_refused(install: Callable[..., Path], yaml: str, message: str) -> None:
    install("bad", {"conf/export/bad.yaml": yaml + "\n"})
    with pytest.raises(ConfigError, match=message):
        formats.get("bad")


def test_two_formats_of_one_name_are_refused(install: Callable[..., Path]) -> None:
    install("twice", {"conf/export/coco.yaml": "_target_: acme_twice.x.Y\n"})
    with pytest.raises(ConfigError, match="both hyla and acme-twice"):
        formats.get("coco")


def test_loss_is_told_in_a_sentence() -> None:
    assert formats.describe("coco", {}) == "coco carries everything"
    assert formats.describe("coco", {"polyline": 3, "track": 1}) == "coco drops 3 polylines, 1 track"
    loss = {"polygon as box": 12, "attribute": 2, "flag": 1, "source": 80, "rotated box as box": 1, "context": 0}
    assert formats.describe("yolo", loss) == (
        "yolo drops 2 values of attributes; writes 12 polygons as boxes, 1 rotated box as box; leaves behind 1 flag, 80 sources"
    )


def test_loss_counts_all_that_stays_behind() -> None:
    labels = Labels.of(
        [0, 0, 0],
        [[0, 0, 2, 2]] * 3,
        kind=[Kind.BOX, Kind.POLYLINE, Kind.BOX],
        shape=[None, np.array([[0.0, 0], [2, 2]]), None],
        score=[0.5, 0.5, 1],
        track=[1, 2, -1],
        attributes={"lane": ["a", "b", None], "speed": [None, 1, 2]},
        context={"sky": "grey", "rain": None},
        evidence={"margin": [0.1, 0.2, np.nan]},
    )
    record = Record(Item("i", "i.jpg", meta={"a": 1}), labels, (Flag("r", "x"),), Verdict.ACCEPT, "model:m", (9, 9), VideoFrame())
    loss = formats.Loss()
    kept = loss.take(record, ("box",))
    assert len(kept) == 2
    everything = {"polyline": 1, "track": 1, "score": 1, "attribute": 2, "context": 1, "evidence": 1}
    assert dict(loss) == everything | {"flag": 1, "frame": 1, "meta": 1, "verdict": 1, "source": 1}
    less = formats.Loss()
    less.take(record, ("box", "polyline"), ("track", "score", "attribute.speed", "evidence.margin", "context", "flag", "source"))
    assert dict(less) == {"attribute": 2, "frame": 1, "meta": 1, "verdict": 1}


def test_a_record_without_anything_special_loses_nothing() -> None:
    loss = formats.Loss()
    loss.take(Record(Item("i", "i.jpg"), Labels.of([0], [[0, 0, 1, 1]])), ("box",))
    assert dict(loss) == {}


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../a.jpg", "a/../../b.jpg", "", "C:\\a.jpg", "file:///etc/passwd", "a\x00b", 7, None]
)
def test_paths_that_lead_out_are_refused(path: Any) -> None:
    with pytest.raises(FormatError, match="no path inside the dataset"):
        formats.inside(path, "here")


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("a.jpg", "a.jpg"),
        ("./a//b.jpg", "a/b.jpg"),
        ("a\\b.jpg", "a/b.jpg"),
        ("s3://x/b.jpg", "s3://x/b.jpg"),
        ("12:30.jpg", "12:30.jpg"),
    ],
)
def test_paths_inside_are_kept(path: str, clean: str) -> None:
    assert formats.inside(path, "here") == clean


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (Item("i", "a/b.JPG"), "a/b.JPG"),
        (Item("i", "clip.mp4", "clip.mp4", 12, "video_frame"), "clip/000012.jpg"),
        (Item("i", "a/scene.tif", "a/scene.tif", 3, "tile"), "a/scene/000003.jpg"),
        (Item("i", "https://x.org/b.png"), "x.org/b.png"),
        (Item("i", "../../b.png"), "b.png"),
        (Item("i", "series", kind="series"), "series/000000.jpg"),
    ],
)
def test_every_item_has_a_file_name_for_its_picture(item: Item, name: str) -> None:
    assert formats.picture(item) == name


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    with formats.writing(path) as file:
        file.write(b"old")
    with pytest.raises(TypeError), formats.writing(path) as file:
        file.write("half of it is written and then")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]


def test_a_folder_that_cant_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="can't write"), formats.writing(tmp_path / "file" / "b.json"):
        pass


def test_the_one_file_of_a_folder_is_found(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="does not exist"):
        formats.find(tmp_path / "x", "*.json")
    with pytest.raises(FormatError, match=r"holds no a.json or \*.json"):
        formats.find(tmp_path, "a.json", "*.json")
    (tmp_path / "b.json").write_text("")
    assert formats.find(tmp_path, "a.json", "*.json").name == "b.json"
    (tmp_path / "c.json").write_text("")
    with pytest.raises(FormatError, match="holds 2 files"):
        formats.find(tmp_path, "a.json", "*.json")
    assert formats.find(tmp_path, "c.json", "*.json").name == "c.json"


def test_classes_are_found_by_name_before_code_and_never_abstract() -> None:
    assert formats.class_ids(CARS, "coco") == {"auto": 0, "car": 0}
    both = Schema("s", (Class("car", codes={"coco": "truck"}), Class("truck")))
    assert formats.class_ids(both, "coco") == {"car": 0, "truck": 1}
