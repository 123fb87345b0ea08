"""MOTChallenge in and out: TrackEval reads what is written, what was written reads back, and wrong files are refused."""

from __future__ import annotations

import configparser
import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_kit import Watched, frame, walk
from hyla import formats
from hyla.errors import ConfigError, FormatError
from hyla.evaluate import match_items
from hyla.frame import Frame
from hyla.types import Kind, Labels, Rle
from hyla_surveillance.mot import Mot
from surveillance_kit import SCHEMA

ID = SCHEMA.class_id


def back(out, **given):
    return list(Mot(**given).read(out, SCHEMA))


def same(a, b):
    assert a.item == b.item
    assert a.size == b.size
    assert a.frame == b.frame
    assert a.labels.class_id.tolist() == b.labels.class_id.tolist()
    assert a.labels.track.tolist() == b.labels.track.tolist()
    np.testing.assert_allclose(a.labels.box, b.labels.box, rtol=0, atol=1e-9)
    blank = np.full(len(a.labels), np.nan)
    for name in ("visibility",):
        one, other = (r.labels.attributes.get(name, blank) for r in (a, b))
        np.testing.assert_array_equal(one, other)
    for name in ("considered", "mot_class"):
        one, other = (r.labels.evidence.get(name, blank) for r in (a, b))
        np.testing.assert_array_equal(one, other)


def figures(truth, result, benchmark="MOT17"):
    """Return what TrackEval says of the results in one folder, against the truth in another."""
    import trackeval

    with contextlib.redirect_stdout(io.StringIO()):
        quiet = {"PRINT_CONFIG": False}
        data = trackeval.datasets.MotChallenge2DBox(
            quiet
            | {
                "GT_FOLDER": str(truth),
                "TRACKERS_FOLDER": str(result.parent),
                "TRACKERS_TO_EVAL": [result.name],
                "TRACKER_SUB_FOLDER": "",
                "BENCHMARK": benchmark,
                "SKIP_SPLIT_FOL": True,
                "SEQ_INFO": {p.parent.name: None for p in truth.glob("*/seqinfo.ini")},
            }
        )
        silent = {"PRINT_RESULTS": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "PLOT_CURVES": False}
        judge = trackeval.Evaluator(quiet | silent | {"LOG_ON_ERROR": None, "TIME_PROGRESS": False})
        metrics = [
            m(quiet) if m is not trackeval.metrics.HOTA else m()
            for m in (trackeval.metrics.HOTA, trackeval.metrics.CLEAR, trackeval.metrics.Identity)
        ]
        found = judge.evaluate([data], metrics)[0]["MotChallenge2DBox"][result.name]["COMBINED_SEQ"]["pedestrian"]
    return {
        "HOTA": float(np.mean(found["HOTA"]["HOTA"])),
        "MOTA": float(found["CLEAR"]["MOTA"]),
        "IDF1": float(found["Identity"]["IDF1"]),
        "IDSW": int(found["CLEAR"]["IDSW"]),
        "CLR_FP": int(found["CLEAR"]["CLR_FP"]),
        "CLR_FN": int(found["CLEAR"]["CLR_FN"]),
    }


def judged(tmp_path, truth, result, **given):
    """Return the figures of TrackEval for two lists of records, written and read as files."""
    Mot(**given).export(iter(truth), SCHEMA, tmp_path / "truth")
    Mot("result", **given).export(iter(result), SCHEMA, tmp_path / "results" / "ours")
    return figures(tmp_path / "truth", tmp_path / "results" / "ours")


class TestTrackEval:
    @pytest.mark.parametrize("frames", ["source", "consecutive"])
    def test_a_perfect_result_has_perfect_figures(self, tmp_path, frames):
        both = [*walk(stride=3), *walk(name="yard/door.mp4")]
        found = judged(tmp_path, both, both, frames=frames)
        assert found["HOTA"] == pytest.approx(1)
        assert (found["MOTA"], found["IDF1"], found["IDSW"]) == (1, 1, 0)

    def test_a_missed_frame_and_a_ghost_cost_what_they_must(self, tmp_path):
        truth = walk(20)  # 40 boxes
        result = walk(20)
        result[3] = frame(3, [])  # 2 misses
        result[5] = replace(
            result[5], labels=Labels.concat([result[5].labels, frame(5, [("person", 9, [250, 10, 290, 90])]).labels])
        )
        found = judged(tmp_path, truth, result)
        assert (found["CLR_FN"], found["CLR_FP"], found["IDSW"]) == (2, 1, 0)
        assert found["MOTA"] == pytest.approx(1 - 3 / 40)
        assert found["IDF1"] == pytest.approx(2 * 38 / (40 + 39))

    def test_exchanged_identities_cost_what_they_must(self, tmp_path):
        result = [*walk(20)[:10], *walk(20, tracks=(2, 1))[10:]]
        found = judged(tmp_path, walk(20), result)
        assert found["IDSW"] == 2
        assert found["MOTA"] == pytest.approx(1 - 2 / 40)
        assert found["IDF1"] == pytest.approx(0.5)
        assert found["HOTA"] == pytest.approx(np.sqrt(1 / 3))  # of each pair 10 frames of 30 agree

    def test_a_shift_by_one_frame_is_seen(self, tmp_path):
        moved = [replace(one, labels=walk(20, start=30)[n].labels) for n, one in enumerate(walk(20))]
        assert judged(tmp_path, walk(20), moved)["MOTA"] < 0

    def test_what_the_benchmark_does_not_count_is_no_error(self, tmp_path):
        truth, result = walk(10), walk(10)
        static = ("ignore", 7, [250, 100, 280, 180])
        truth = [replace(t, labels=Labels.concat([t.labels, frame(0, [static]).labels])) for t in truth]
        seen = frame(0, [("person", 5, static[2])]).labels
        result = [replace(r, labels=Labels.concat([r.labels, seen])) for r in result]
        assert judged(tmp_path, truth, result)["MOTA"] == 1

    def test_the_real_truth_comes_back_the_same(self, shared, tmp_path):
        source = shared / "data" / "surveillance" / "mot17_04"
        read = back(source, clip=False)
        Mot().export(iter(read), SCHEMA, tmp_path / "truth")
        mine = sorted(line.split(",") for line in (tmp_path / "truth" / "img1" / "gt" / "gt.txt").read_text().splitlines())
        theirs = sorted(line.strip().split(",") for line in (source / "gt" / "gt.txt").read_text().splitlines())
        assert len(mine) == 792
        assert [[float(v) for v in line] for line in mine] == [[float(v) for v in line] for line in theirs]


class TestColumns:
    def test_truth_is_as_motchallenge_has_it(self, tmp_path):
        one = frame(4, [("person", 3, [10, 20, 30.5, 60]), ("car", 8, [0, 0, 50, 40])], attributes={"visibility": [0.25, None]})
        assert Mot().export([one], SCHEMA, tmp_path) == {}
        assert (tmp_path / "gate" / "gt" / "gt.txt").read_text() == "5,3,11,21,20.5,40,1,1,0.25\n5,8,1,1,50,40,0,3,-1\n"

    def test_results_and_detections_have_a_score(self, tmp_path):
        one = frame(0, [("person", 3, [10, 20, 30, 60]), ("car", 8, [0, 0, 50, 40])], score=[0.5, 0.25])
        assert Mot("result").export([one], SCHEMA, tmp_path / "r") == {"box": 1}
        assert (tmp_path / "r" / "gate.txt").read_text() == "1,3,11,21,20,40,0.5,-1,-1,-1\n"
        assert Mot("det").export([one], SCHEMA, tmp_path / "d") == {"track": 2, "class name": 1}
        assert (tmp_path / "d" / "gate" / "det" / "det.txt").read_text().splitlines()[1] == "1,-1,1,1,50,40,0.25,-1,-1,-1"

    def test_seqinfo_says_how_frames_are_counted(self, tmp_path):
        for frames, length, rate in (("source", 58, 25), ("consecutive", 20, 8)):
            Mot(frames=frames).export(walk(20, stride=3), SCHEMA, tmp_path / frames)
            parser = configparser.ConfigParser()
            parser.read(tmp_path / frames / "gate" / "seqinfo.ini")
            assert dict(parser["Sequence"]) == {
                "name": "gate",
                "imdir": "img1",
                "framerate": str(rate),
                "seqlength": str(length),
                "imwidth": "320",
                "imheight": "240",
                "imext": ".jpg",
                "frames": frames,
            }

    def test_a_box_without_a_track_gets_an_id_and_that_is_said(self, tmp_path):
        loss = Mot().export(
            [frame(i, [("person", -1, [1, 2, 3, 4]), ("person", -1, [5, 2, 8, 4])]) for i in (0, 1)], SCHEMA, tmp_path
        )
        assert loss == {"untracked label as track": 4}
        assert formats.describe("mot", loss) == "mot writes 4 untracked labels as tracks"
        ids = [line.split(",")[1] for line in (tmp_path / "gate" / "gt" / "gt.txt").read_text().splitlines()]
        assert ids == ["2000000", "2000001", "2000002", "2000003"]

    def test_what_mot_does_not_know_is_named(self, tmp_path):
        mask = Rle((240, 320), b"")
        labels = Labels.of(
            [ID("face"), ID("person"), ID("loitering")],
            [[1, 1, 5, 5], [10, 10, 20, 20], [0, 0, 320, 240]],
            kind=[Kind.BOX, Kind.MASK, Kind.TAG],
            shape=[None, mask, None],
            track=[-1, 4, 1_000_000],
            score=[1, 0.5, 1],
            context={"camera": "gate"},
        )
        loss = Mot().export([replace(frame(0), labels=labels)], SCHEMA, tmp_path)
        assert loss == {"box": 1, "tag": 1, "mask as box": 1, "score": 1, "context": 1}

    def test_results_are_of_tracks(self, tmp_path):
        assert Mot("result").export(
            [frame(0, [("person", -1, [1, 2, 3, 4]), ("person", 0, [1, 2, 3, 4])])], SCHEMA, tmp_path
        ) == {"box": 1}
        assert (tmp_path / "gate.txt").read_text() == "1,0,2,3,2,2,1,-1,-1,-1\n"

    def test_all_classes_can_be_written_by_name(self, tmp_path):
        given = [frame(0, [("bus", 2, [0, 0, 50, 40]), ("suitcase", 3, [60, 60, 70, 80])])]
        assert Mot(classes="all").export(given, SCHEMA, tmp_path) == {}
        assert "suitcase" in (tmp_path / "gate" / "gt" / "labels.txt").read_text().split()
        same(given[0], back(tmp_path)[0])


class TestBack:
    @pytest.mark.parametrize("frames", ["source", "consecutive"])
    def test_records_come_back(self, tmp_path, frames):
        given = [
            *walk(6, stride=3),
            frame(30),
            *walk(4, name="cam 2/gate.mp4"),
            frame(0, [("car", 4, [0, 0, 9, 9])], name="Gate.avi"),
        ]
        Mot(frames=frames).export(iter(given), SCHEMA, tmp_path)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["Gate-2", "cam-2-gate", "gate", "images.jsonl"]
        for one, other in zip(given, back(tmp_path), strict=True):
            same(one, other)

    def test_results_and_detections_come_back(self, tmp_path):
        given = walk(5)
        for one in given:
            one.labels.score[:] = 0.375
        for write in ("result", "det"):
            Mot(write).export(iter(given), SCHEMA, tmp_path / write)
            read = back(tmp_path / write)
            assert [r.labels.score.tolist() for r in read] == [[0.375, 0.375]] * 5
            assert [r.labels.track.tolist() for r in read] == [[1, 2] if write == "result" else [-1, -1]] * 5

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_any_box_comes_back(self, tmp_path_factory, data):
        number = st.floats(0, 240, allow_nan=False, width=32)
        rows = data.draw(st.lists(st.tuples(number, number, number, number), max_size=5))
        boxes = [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in rows]
        seen = data.draw(st.lists(st.none() | st.floats(0, 1), min_size=len(rows), max_size=len(rows)))
        one = frame(3, [("person", k, b) for k, b in enumerate(boxes)], attributes={"visibility": seen})
        out = tmp_path_factory.mktemp("mot")
        Mot().export([one], SCHEMA, out)
        same(one, back(out)[0])

    def test_a_new_export_replaces_the_old_and_leaves_pictures(self, tmp_path):
        Mot().export([*walk(3), *walk(3, name="b.mp4")], SCHEMA, tmp_path)
        (tmp_path / "gate" / "img1").mkdir()
        (tmp_path / "gate" / "img1" / "000001.jpg").write_bytes(b"x")
        Mot().export(walk(2), SCHEMA, tmp_path)
        files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
        assert files == ["gate/gt/gt.txt", "gate/img1/000001.jpg", "gate/seqinfo.ini", "images.jsonl"]
        assert len(back(tmp_path)) == 2

    def test_labels_of_somebody_else_are_not_overwritten(self, tmp_path):
        (tmp_path / "gate" / "gt").mkdir(parents=True)
        (tmp_path / "gate" / "gt" / "gt.txt").write_text("1,1,1,1,1,1,1,1,1\n")
        with pytest.raises(FormatError, match="not written by Hyla"):
            Mot().export(walk(2), SCHEMA, tmp_path)
        assert (tmp_path / "gate" / "gt" / "gt.txt").read_text() == "1,1,1,1,1,1,1,1,1\n"
        assert [p.name for p in tmp_path.iterdir()] == ["gate"]


class TestForeign:
    def test_the_frames_of_mot17(self, shared):
        read = back(shared / "data" / "surveillance" / "mot17_04")
        assert [r.item.uri for r in read] == [f"img1/{n:06d}.jpg" for n in range(1, 9)]
        assert [r.item.index for r in read] == list(range(8))
        assert [int((r.labels.class_id == ID("person")).sum()) for r in read] == [42] * 8  # class 1 in gt.txt
        assert (read[0].size, read[0].frame) == ((1080, 1920), Frame())
        first = read[0].labels
        assert first.box[0].tolist() == [1362, 568, 1465, 809]
        assert (first.box[:, :2] >= 0).all()
        assert (first.box[:, 2] <= 1920).all()
        assert (first.box[:, 3] <= 1080).all()
        uncounted = first.evidence["mot_class"]
        assert sorted(set(uncounted[~np.isnan(uncounted)])) == [7, 10, 11]
        assert set(first.class_id[~np.isnan(uncounted)].tolist()) == {ID("ignore")}

    def test_results_and_truth_of_mot15(self, shared):
        root = shared / "data" / "surveillance" / "mot15_gt"
        truth = back(root)
        assert {r.item.uri.split("/")[0] for r in truth} == {"TUD-Campus", "TUD-Stadtmitte"}
        results = back(root / "results")
        assert results[0].labels.track.tolist() == [3, 6, 10, 13]
        assert results[0].labels.score.tolist() == [1] * 4
        assert {SCHEMA.names[c] for r in results for c in r.labels.class_id.tolist()} == {"person"}

    def test_frames_without_labels_are_empty_not_missing(self, tmp_path):
        (tmp_path / "a" / "gt").mkdir(parents=True)
        (tmp_path / "a" / "gt" / "gt.txt").write_text("2,1,1,1,10,10,1,1,1\n")
        (tmp_path / "a" / "seqinfo.ini").write_text("[Sequence]\nname=a\nseqLength=4\nimWidth=100\nimHeight=50\nimExt=.png\n")
        read = back(tmp_path)
        assert [len(r.labels) for r in read] == [0, 1, 0, 0]
        assert read[3].item.uri == "a/img1/000004.png"

    def test_labels_of_a_clip_find_its_frames(self, tmp_path):
        yard = Watched(tmp_path, frames=12)
        (tmp_path / "cvat" / "gate" / "gt").mkdir(parents=True)
        (tmp_path / "cvat" / "gate" / "gt" / "gt.txt").write_text("3,1,11,21,10,20,1,1,1\n12,1,1,1,10,20,1,1,1\n")
        form = Mot(pictures=yard.pictures)
        assert yard.project.add(match_items(form.read(tmp_path / "cvat", SCHEMA), yard.project), "truth:cvat") == 12
        read = list(yard.project.records("truth:cvat"))
        assert [one.labels.box.tolist() for one in read][2] == [[10, 20, 20, 40]]
        assert [len(one.labels) for one in read] == [0, 0, 1, *[0] * 8, 1]
        Mot(pictures=yard.pictures).export(yard.project.released("truth:cvat"), SCHEMA, tmp_path / "out")
        text = (tmp_path / "out" / "gate" / "gt" / "gt.txt").read_text()
        assert text == (tmp_path / "cvat" / "gate" / "gt" / "gt.txt").read_text()
        yard.project.close()

    def test_boxes_over_the_edge_are_cut_or_kept(self, tmp_path):
        (tmp_path / "gt").mkdir()
        (tmp_path / "gt" / "gt.txt").write_text("1,1,-9,-19,30,40,1,1,0.5\n")
        (tmp_path / "seqinfo.ini").write_text("[Sequence]\nseqLength=1\nimWidth=100\nimHeight=50\n")
        assert back(tmp_path)[0].labels.box.tolist() == [[0, 0, 20, 20]]
        assert back(tmp_path, clip=False)[0].labels.box.tolist() == [[-10, -20, 20, 20]]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("1,1,1,1", "4 columns"),
            ("1,x,1,1,1,1,1,1,1", "could not convert"),
            ("0,1,1,1,1,1,1,1,1", "frames count from 1"),
            ("1.5,1,1,1,1,1,1,1,1", "whole numbers"),
            ("1,1,1,1,-4,1,1,1,1", "a box of -4"),
            ("1,1,1,1,nan,1,1,1,1", "finite"),
            ("1,1,1,1,4,4,1,77,1", "number 77"),
            ("1,1,1,1,4,4,0.7,1,1", "considered 0.7"),
            ("1,1,1,1,4,4,31.5,-1,-1,-1", "confidence of 31.5"),
            ("1,1,1,1,4,4,1,1,3", "visibility"),
            ("999999999999,1,1,1,4,4,1,1,1", "out of range"),
        ],
    )
    def test_wrong_lines_are_refused(self, tmp_path, line, said):
        (tmp_path / "gt").mkdir()
        (tmp_path / "gt" / "gt.txt").write_text(line + "\n")
        with pytest.raises(FormatError, match=said):
            back(tmp_path)

    def test_unknown_classes_can_be_skipped(self, tmp_path):
        (tmp_path / "gt").mkdir()
        (tmp_path / "gt" / "gt.txt").write_text("1,1,1,1,4,4,1,77,1\n1,2,1,1,4,4,1,1,1\n")
        assert back(tmp_path, unknown="skip")[0].labels.track.tolist() == [2]

    def test_wrong_settings_and_folders_are_refused(self, tmp_path):
        with pytest.raises(ConfigError, match="write=gold"):
            Mot("gold")
        with pytest.raises(FormatError, match="holds no"):
            back(tmp_path)
        (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(FormatError, match="can't be read"):
            back(tmp_path)
        (tmp_path / "a.txt").write_text("1,1,1,1,4,4,1,-1,-1,-1\n")
        (tmp_path / "seqinfo.ini").write_text("no ini")
        assert len(back(tmp_path)) == 1
