"""COCO-VID: tracks with numbers of their own, as TrackEval's reader of TAO and pycocotools take them, and read back."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest

from evidence_kit import walk
from hyla.errors import FormatError
from hyla.types import Item, Record, item_id
from hyla_surveillance.coco_video import CocoVideo
from surveillance_kit import SCHEMA, boxes, clip, event

TWO = [*walk(6, stride=3), *walk(4, name="yard/door.mp4")]


def written(out, records):
    loss = CocoVideo().export(iter(records), SCHEMA, out)
    return json.loads((out / "videos.json").read_text(encoding="utf-8")), loss


def back(out):
    return list(CocoVideo().read(out, SCHEMA))


def test_tracks_have_numbers_of_their_own_over_all_videos(tmp_path):
    data, loss = written(tmp_path, TWO)
    assert loss == {"frame": 10, "meta": 10}
    assert [(v["id"], v["name"], v["width"], v["height"]) for v in data["videos"]] == [
        (1, "gate.mp4", 320, 240),
        (2, "yard/door.mp4", 320, 240),
    ]
    assert [(t["id"], t["video_id"], t["hyla_track"]) for t in data["tracks"]] == [(1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2)]
    assert {(a["video_id"], a["instance_id"]) for a in data["annotations"]} == {(1, 1), (1, 2), (2, 3), (2, 4)}
    assert all(a["instance_id"] == a["track_id"] for a in data["annotations"])
    assert [i["frame_id"] for i in data["images"]][:3] == [0, 3, 6] == [i["frame_index"] for i in data["images"]][:3]


def test_records_come_back(tmp_path):
    written(tmp_path, TWO)
    for one, other in zip(TWO, back(tmp_path), strict=True):
        assert (other.item.id, other.item.group, other.item.index) == (one.item.id, one.item.group, one.item.index)
        assert other.labels.track.tolist() == one.labels.track.tolist()
        np.testing.assert_allclose(other.labels.box, one.labels.box, atol=1e-9)
        assert other.labels.class_id.tolist() == one.labels.class_id.tolist()


def test_pycocotools_reads_the_boxes(tmp_path):
    from pycocotools.coco import COCO

    written(tmp_path, TWO)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "videos.json"))
    assert len(coco.getImgIds()) == 10
    first = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert [a["bbox"] for a in first] == [[20, 20, 40, 75], [20, 100, 40, 75]]


def tao(truth, results, tmp_path):
    """Return HOTA and the number of identity switches, as TrackEval's reader of TAO sees the files."""
    import trackeval

    (tmp_path / "gt").mkdir()
    (tmp_path / "trackers" / "ours" / "data").mkdir(parents=True)
    (tmp_path / "gt" / "gt.json").write_text(json.dumps(truth))
    (tmp_path / "trackers" / "ours" / "data" / "r.json").write_text(json.dumps(results))
    config = {"PRINT_CONFIG": False, "GT_FOLDER": str(tmp_path / "gt"), "TRACKERS_FOLDER": str(tmp_path / "trackers")}
    with contextlib.redirect_stdout(io.StringIO()):
        data = trackeval.datasets.TAO(config | {"TRACKERS_TO_EVAL": ["ours"]})
        silent = {"PRINT_RESULTS": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "PLOT_CURVES": False}
        judge = trackeval.Evaluator({"PRINT_CONFIG": False, "LOG_ON_ERROR": None, "TIME_PROGRESS": False} | silent)
        found = judge.evaluate([data], [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR({"PRINT_CONFIG": False})])[0]
    person = found["TAO"]["ours"]["COMBINED_SEQ"]["person"]
    return float(np.mean(person["HOTA"]["HOTA"])), int(person["CLEAR"]["IDSW"])


def test_trackeval_reads_it_as_tao(tmp_path):
    data, _ = written(tmp_path, TWO)
    keys = ("image_id", "category_id", "bbox", "track_id", "video_id")
    results = [{k: a[k] for k in keys} | {"score": 0.9} for a in data["annotations"]]
    assert tao(data, results, tmp_path) == (pytest.approx(1), 0)


def test_trackeval_sees_an_exchange(tmp_path):
    data, _ = written(tmp_path, walk(10))
    keys = ("image_id", "category_id", "bbox", "track_id", "video_id")
    results = [{k: a[k] for k in keys} | {"score": 0.9} for a in data["annotations"]]
    for one in results:
        if one["image_id"] > 5:
            one["track_id"] = 3 - one["track_id"]
    hota, switches = tao(data, results, tmp_path)
    assert switches == 2
    assert hota == pytest.approx(np.sqrt(1 / 3))


def test_masks_scores_and_pictures_that_stand_alone(tmp_path):
    alone = Item(item_id("a.jpg"), "a.jpg")
    labels = boxes(("person", 5, 1, 2, 30, 40, 0.25))
    given = [Record(alone, labels, size=(480, 640)), *clip(boxes(("car", -1, 1, 2, 30, 40)))]
    data, _ = written(tmp_path, given)
    assert "video_id" not in data["images"][0]
    read = back(tmp_path)
    assert (read[0].item, read[0].labels.track.tolist(), read[0].labels.score.tolist()) == (alone, [5], [0.25])
    assert read[1].labels.track.tolist() == [-1]


def test_events_are_lost_and_that_is_said(tmp_path):
    _, loss = written(tmp_path, clip(event(), event()))
    assert loss["tag"] == 2


def test_two_exports_of_one_format_begin_anew(tmp_path):
    form = CocoVideo()
    for name in ("a", "b"):
        form.export(iter(TWO), SCHEMA, tmp_path / name)
    assert (tmp_path / "a" / "videos.json").read_bytes() == (tmp_path / "b" / "videos.json").read_bytes()


def test_files_of_others(tmp_path):
    data = {
        "images": [{"id": 7, "file_name": "v/000.jpg", "video_id": 3, "frame_id": 0, "width": 100, "height": 50}],
        "annotations": [{"id": 1, "image_id": 7, "video_id": 3, "category_id": 1, "bbox": [1, 2, 3, 4], "instance_id": 12}],
        "categories": [{"id": 1, "name": "person"}],
        "videos": [{"id": 3, "name": "v"}],
    }
    (tmp_path / "x.json").write_text(json.dumps(data))
    (one,) = back(tmp_path)
    assert (one.item.group, one.labels.track.tolist(), one.labels.box.tolist()) == ("v", [12], [[1, 2, 4, 6]])
    data["videos"] = []
    (tmp_path / "x.json").write_text(json.dumps(data))
    with pytest.raises(FormatError, match="video 3"):
        back(tmp_path)
