"""Folders of MOTChallenge are sequences whose numbers and times are those of their seqinfo.ini and their truth."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow

from hyla_surveillance.loaders import Recordings

INFO = "[Sequence]\nname=MOT99-01\nimDir=img1\nframeRate={rate}\nseqLength=6\nimWidth=16\nimHeight=8\nimExt=.jpg\n"


def lay(folder, numbers=range(1, 7), rate="30", info=INFO):
    (folder / "img1").mkdir(parents=True)
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").write_text("1,1,1,1,4,4,1,1,1\n")
    for n in numbers:
        Pillow.fromarray(np.full((8, 16, 3), n, np.uint8)).save(folder / "img1" / f"{n:06d}.jpg")
    if info:
        (folder / "seqinfo.ini").write_text(info.format(rate=rate))
    return folder


def items_of(source, **settings):
    return list(Recordings(fps=None, **settings).items(str(source)))


def test_frames_are_timed_by_the_rate_of_the_file_and_named_after_the_folder(tmp_path):
    lay(tmp_path / "MOT99-01")
    lay(tmp_path / "MOT99-02", rate="14.5")
    items = items_of(tmp_path)
    assert [item.group for item in items] == ["MOT99-01/img1"] * 6 + ["MOT99-02/img1"] * 6
    assert [item.meta["camera"] for item in items[::6]] == ["MOT99-01", "MOT99-02"]
    assert [item.meta["seconds"] for item in items[:3]] == pytest.approx([0, 1 / 30, 2 / 30])
    assert items[7].meta["seconds"] == pytest.approx(1 / 14.5)


def test_the_folder_of_one_sequence_is_a_source_and_takes_its_name_from_the_file(tmp_path):
    items = items_of(lay(tmp_path / "renamed"))
    assert {(item.group, item.meta["camera"]) for item in items} == {("img1", "MOT99-01")}


def test_the_number_of_a_picture_is_that_of_the_truth_also_where_the_first_are_missing(tmp_path):
    items = items_of(lay(tmp_path / "s", numbers=(3, 4, 6)))
    assert [item.index + 1 for item in items] == [3, 4, 6]
    assert items[0].meta["seconds"] == pytest.approx(2 / 30)


@pytest.mark.parametrize(
    ("rate", "info"),
    [("none", INFO), ("0", INFO), ("-3", INFO), ("1e9", INFO), ("", "[Sequence\n"), ("", "no ini at all"), ("", None)],
)
def test_a_rate_that_can_not_be_gives_way_to_the_setting(tmp_path, rate, info):
    items = items_of(lay(tmp_path / "s", rate=rate, info=info), sequence_fps=10)
    assert [item.meta["seconds"] for item in items] == pytest.approx([i / 10 for i in range(6)])


def test_the_grid_thins_out_by_time(tmp_path):
    items = list(Recordings(fps=10).items(str(lay(tmp_path / "s"))))
    assert [item.index for item in items] == [0, 3]
    some = list(Recordings(fps=None, start=0.05, stop=0.15).items(str(tmp_path / "s")))
    assert [item.index for item in some] == [2, 3, 4]


def test_a_frame_is_found_by_its_item_alone(tmp_path):
    lay(tmp_path / "s")
    loader = Recordings(fps=None)
    items = list(loader.items(str(tmp_path)))
    image = loader.load(items[4])
    assert int(image.pixels.mean()) == pytest.approx(5, abs=1)
    assert (image.frame.seconds, image.frame.index) == (pytest.approx(4 / 30), 4)


def test_the_real_frames(shared):
    items = items_of(shared / "data/surveillance/mot17_04")
    assert [item.index for item in items] == list(range(8))
    assert {item.meta["camera"] for item in items} == {"MOT17-04-FRCNN"}
    assert items[-1].meta["seconds"] == pytest.approx(7 / 30)
