"""COCO: what goes out comes back, pycocotools reads the same, foreign files are read, bad ones refused."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as cocomask
from pycocotools.coco import COCO

from hyla import geometry
from hyla.errors import FormatError
from hyla.formats.coco import CARRIED, Coco
from hyla.formats.segments import apart, areas, filled, rle_of
from hyla.schema import KINDS, Attribute, Class, Schema
from hyla.types import Item, Kind, Labels, Record, Rle, Verdict, column_of, item_id
from strategies import records, schemas

ALL = Schema(
    "all",
    (
        Class("vehicle", abstract=True),
        Class("car", "vehicle"),
        Class("person", keypoints=("nose", "tail"), skeleton=(("nose", "tail"),), codes={"coco": "human"}),
    ),
    (*KINDS, "track"),
    (
        Attribute("occluded", "boolean"),
        Attribute("doors", "integer"),
        Attribute("speed", "number"),
        Attribute("plate", "text"),
        Attribute("weather", "choice", "image", ("sun", "rain")),
    ),
)
# pycocotools 2.0.11 has numpy 2.4 call its __array__ in a way that is going out of use.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SQUARE = np.array([[1.0, 1], [9, 1], [9, 9], [1, 9]])
HOLE = np.array([[3.0, 3], [6, 3], [6, 6], [3, 6]])
BESIDE = np.array([[12.0, 2], [18, 2], [18, 8]])


def loaded(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def written(tmp_path: Path, *given: Record, schema: Schema = ALL) -> tuple[dict[str, int], dict[str, Any]]:
    loss = Coco().export(given, schema, tmp_path)
    return loss, json.loads((tmp_path / "instances.json").read_text())


def one_of_each() -> Labels:
    mask = np.zeros((20, 30), bool)
    mask[2:7, 3:11] = True
    shapes: list[Any] = [
        None,
        np.array([10.0, 10, 8, 4, 0.5]),
        (SQUARE, BESIDE),
        (SQUARE, HOLE),
        np.array([[2.0, 3, 2], [4, 5, 1]]),
        geometry.encode(mask),
        np.array([[0.0, 0], [5, 5]]),
        np.arange(10.0),
        None,
    ]
    kinds = [
        Kind.BOX,
        Kind.ROTATED_BOX,
        Kind.POLYGON,
        Kind.POLYGON,
        Kind.KEYPOINTS,
        Kind.MASK,
        Kind.POLYLINE,
        Kind.CUBOID,
        Kind.TAG,
    ]
    box = np.array([[1.0, 2, 5, 7]] * 9)
    for row in range(1, 7):
        box[row] = geometry.bounds([kinds[row]], [shapes[row]])[0]
    return Labels.of(
        [1, 1, 1, 1, 2, 1, 1, 1, 1],
        box,
        kind=kinds,
        shape=shapes,
        score=[0.5] + [1] * 8,
        track=[4, -1, 0, *[-1] * 6],
        attributes={"occluded": [True, None, False, *[None] * 6], "doors": [5, *[None] * 8], "plate": ["ä", *[None] * 8]},
        context={"weather": "rain"},
    )


def frame(labels: Labels | None = None, index: int = 7) -> Record:
    item = Item("it", "clip.mp4", "clip.mp4", index, "video_frame")
    return Record(item, one_of_each() if labels is None else labels, size=(20, 30))


def test_all_that_coco_carries_is_in_the_file_and_the_rest_is_named(tmp_path: Path) -> None:
    loss, file = written(tmp_path, frame(), frame(Labels.empty(), 8))
    assert loss == {"polyline": 1, "cuboid": 1, "tag": 1, "polygon with holes as mask": 1}
    assert [c["name"] for c in file["categories"]] == ["car", "person"]
    assert file["categories"][0]["supercategory"] == "vehicle"
    assert file["categories"][1] | {"id": 3, "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]} == file["categories"][1]
    assert file["videos"] == [{"id": 1, "name": "clip.mp4"}]
    first, second = file["images"]
    assert first == {
        "id": 1,
        "file_name": "clip/000007.jpg",
        "height": 20,
        "width": 30,
        "hyla_id": "it",
        "hyla_uri": "clip.mp4",
        "video_id": 1,
        "frame_id": 7,
        "attributes": {"weather": "rain"},
    }
    assert (second["file_name"], second["frame_id"]) == ("clip/000008.jpg", 8)
    box, rotated, polygon, holed, points, mask = file["annotations"]
    assert (box["bbox"], box["area"], box["score"], box["track_id"]) == ([1, 2, 4, 5], 20, 0.5, 4)
    assert box["attributes"] == {"occluded": True, "doors": 5, "plate": "ä"}
    assert rotated["rotation"] == pytest.approx(np.degrees(0.5))
    assert np.array(rotated["segmentation"]).reshape(4, 2) == pytest.approx(geometry.rotated_corners([10, 10, 8, 4, 0.5]))
    assert polygon["segmentation"] == [SQUARE.reshape(-1).tolist(), BESIDE.reshape(-1).tolist()]
    assert (polygon["area"], polygon["track_id"]) == (64 + 18, 0)
    assert (holed["area"], holed["segmentation"]["size"]) == (64 - 9, [20, 30])
    assert (points["num_keypoints"], points["keypoints"]) == (2, [2, 3, 2, 4, 5, 1])
    assert mask["area"] == 40
    assert [a["id"] for a in file["annotations"]] == [1, 2, 3, 4, 5, 6]
    assert "track_id" not in mask
    assert "score" not in mask


def test_pycocotools_reads_the_same_masks_boxes_and_classes(tmp_path: Path) -> None:
    labels = one_of_each()
    written(tmp_path, frame())
    coco = loaded(tmp_path / "instances.json")
    anns = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert [a["category_id"] for a in anns] == [2, 2, 2, 2, 3, 2]
    assert np.array([a["bbox"] for a in anns]) == pytest.approx(geometry.xywh(labels.box[:6]))
    for row in (1, 2, 3, 5):
        kind, shape = labels.kind[row], labels.shape[row]
        ours = cocomask.decode(rle_of(kind, shape, (20, 30)))
        assert (coco.annToMask(anns[row]) == ours).all()
    assert (coco.annToMask(anns[5]) == geometry.decode(labels.shape[5])).all()
    assert (coco.annToMask(anns[3]) == geometry.rasterize((SQUARE, HOLE), (20, 30))).all()
    # A square on pixel edges is the same set of pixels by either rule.
    assert coco.annToMask(anns[2])[:, :11].sum() == 64


@settings(max_examples=80)
@given(st.data())
def test_back_again_loses_nothing_that_coco_carries(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    schema = data.draw(schemas())
    given_ = [
        replace(data.draw(records(schema, depth=False)), item=safe_item(i, data.draw(st.booleans())))
        for i in range(data.draw(st.integers(0, 3)))
    ]
    out = tmp_path_factory.mktemp("coco")
    loss = Coco().export(given_, schema, out)
    back = list(Coco().read(out, schema))
    assert len(back) == len(given_)
    lost = dict.fromkeys(
        ["evidence", "flag", "verdict", "source", "frame", *(w.replace("_", " ") for w in KINDS if w not in CARRIED)], 0
    )
    for before, after in zip(given_, back, strict=True):
        kept = np.isin(before.labels.kind, [KINDS[w] for w in CARRIED])
        for kind in before.labels.kind[~kept]:
            lost[Kind(int(kind)).word.replace("_", " ")] += 1
        lost["flag"] += len(before.flags)
        lost["verdict"] += before.verdict is not Verdict.REVIEW
        lost["source"] += bool(before.source)
        lost["frame"] += before.frame != type(after.frame)()
        labels = before.labels[kept]
        lost["evidence"] += sum(int((~np.isnan(c)).sum()) for c in labels.evidence.values())
        assert (after.item, after.size) == (before.item, before.size)
        same_labels(labels, after.labels)
    holed = loss.pop("polygon with holes as mask", 0)
    assert holed == sum(
        k == Kind.POLYGON and not apart(s) for r in given_ for k, s in zip(r.labels.kind, r.labels.shape, strict=True)
    )
    assert loss == {k: v for k, v in lost.items() if v}


def safe_item(i: int, clip: bool) -> Item:
    return Item(f"id {i}", "clips/ä b.mp4", "clips/ä b.mp4", i, "video_frame") if clip else Item(f"id {i}", f"a/{i}.jpg")


def same_labels(before: Labels, after: Labels) -> None:
    assert after.class_id.tolist() == before.class_id.tolist()
    assert after.score.tolist() == before.score.tolist()
    assert after.track.tolist() == before.track.tolist()
    np.testing.assert_allclose(after.box, before.box, rtol=0, atol=1e-9)
    assert {k: v for k, v in after.context.items() if v is not None} == {k: v for k, v in before.context.items() if v is not None}
    for name in {*before.attributes, *after.attributes}:
        columns = [one.attributes.get(name, np.full(len(before), np.nan)).tolist() for one in (before, after)]
        plain = [[None if v is None or v != v else v for v in column] for column in columns]
        assert plain[0] == plain[1]
    for kind, shape, kind_after, shape_after in zip(before.kind, before.shape, after.kind, after.shape, strict=True):
        if kind == Kind.POLYGON and not apart(shape):
            assert kind_after in (Kind.MASK, Kind.POLYGON, Kind.BOX)
            continue
        assert kind_after == kind
        if kind == Kind.ROTATED_BOX:
            np.testing.assert_allclose(shape_after, shape, rtol=0, atol=1e-9)
        elif kind == Kind.MASK:
            assert shape_after == shape
        elif kind != Kind.BOX:
            rings = [(shape, shape_after)] if kind == Kind.KEYPOINTS else list(zip(shape, shape_after, strict=True))
            assert all(np.array_equal(a, b) for a, b in rings)


@pytest.mark.parametrize(("kinds", "comes"), [(["polygon"], Kind.POLYGON), (["polygon", "box"], Kind.BOX)])
def test_a_mask_without_a_pixel_comes_as_its_box_or_the_outline_of_it(tmp_path: Path, kinds: list[str], comes: Kind) -> None:
    schema = Schema.from_config({"name": "s", "kinds": ["box", "polygon"], "classes": {"roof": {"kinds": kinds}}})
    mask = {"size": [20, 30], "counts": [600]}
    one = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [3, 4, 5, 6], "segmentation": mask, "iscrowd": 1}
    image = {"id": 1, "file_name": "a.jpg", "width": 30, "height": 20}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": [image], "annotations": [one], "categories": [{"id": 1, "name": "roof"}]}))
    (back,) = Coco().read(path, schema)
    assert back.labels.kind.tolist() == [comes]
    assert back.labels.box.tolist() == [[3, 4, 8, 10]]
    if comes == Kind.POLYGON:
        assert back.labels.shape[0][0].tolist() == [[3, 4], [8, 4], [8, 10], [3, 10]]


def test_a_crowd_and_the_area_of_the_file_come_back(tmp_path: Path) -> None:
    box = [[0.0, 0, 4, 4], [5, 5, 9, 9]]
    labels = Labels.of([1, 1], box, evidence={"iscrowd": [0, 1], "area": [np.nan, 11.5], "margin": [1, np.nan]})
    loss, file = written(tmp_path, Record(Item("a", "a.jpg"), labels, size=(20, 20)))
    assert loss == {"evidence": 1}
    assert [(a["iscrowd"], a["area"]) for a in file["annotations"]] == [(0, 16), (1, 11.5)]
    (back,) = Coco().read(tmp_path, ALL)
    assert back.labels.evidence["iscrowd"].tolist() == [0, 1]
    assert areas(back.labels).tolist() == [16, 11.5]


def test_the_stream_is_written_as_it_comes(tmp_path: Path) -> None:
    part = tmp_path / ".instances.json.part"
    sizes = []

    def stream() -> Any:
        for i in range(400):
            sizes.append(part.stat().st_size if i else 0)
            yield Record(Item(f"{i}", f"{i}.jpg"), Labels.of([1] * 50, np.tile([0.0, 0, 9, 9], (50, 1))), size=(10, 10))

    Coco().export(stream(), ALL, tmp_path)
    assert sizes[-1] > sizes[200] > 0
    assert [p.name for p in tmp_path.iterdir()] == ["instances.json"]
    assert sum(len(r.labels) for r in Coco().read(tmp_path, ALL)) == 20_000


def test_an_empty_export_is_a_file_that_reads(tmp_path: Path) -> None:
    assert written(tmp_path)[0] == {}
    assert list(Coco().read(tmp_path, ALL)) == []
    assert loaded(tmp_path / "instances.json").getImgIds() == []


def test_an_export_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    written(tmp_path, frame())
    before = (tmp_path / "instances.json").read_bytes()

    def broken() -> Any:
        yield frame()
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        Coco().export(broken(), ALL, tmp_path)
    assert (tmp_path / "instances.json").read_bytes() == before


def test_a_mask_of_a_volume_is_named_as_lost(tmp_path: Path) -> None:
    volume = Labels.of([1], [[0, 0, 1, 1]], kind=Kind.MASK, shape=[geometry.encode(np.ones((2, 3, 4), bool))])
    loss, file = written(tmp_path, Record(Item("a", "a.nii"), volume, size=(2, 3, 4)))
    assert (loss, file["annotations"]) == ({"mask of a volume": 1}, [])
    assert next(iter(Coco().read(tmp_path, ALL))).size == (2, 3, 4)


# Foreign files


def foreign(tmp_path: Path, annotations: list[dict[str, Any]], **more: Any) -> Path:
    base: dict[str, Any] = {
        "info": {"year": 2017},
        "licenses": [{"id": 1}],
        "images": [{"id": 7, "file_name": "a/b.jpg", "height": 20, "width": 30, "license": 3, "flickr_url": "x"}],
        "annotations": [{"id": i, "image_id": 7, "category_id": 1, "iscrowd": 0, **a} for i, a in enumerate(annotations)],
        "categories": [
            {"id": 1, "name": "car", "supercategory": "vehicle"},
            {"id": 90, "name": "teapot"},
            {"id": 3, "name": "human"},
        ],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(base | more))
    return path


def read_one(path: Path, schema: Schema = ALL, **settings: Any) -> Record:
    (one,) = Coco(**settings).read(path, schema)
    return one


def test_a_foreign_file_is_read_by_names_and_codes(tmp_path: Path) -> None:
    path = foreign(tmp_path, [{"bbox": [1, 2, 3, 4]}, {"bbox": [0, 0, 2, 2], "category_id": 3, "speed": 3.5}])
    one = read_one(path)
    assert (one.item, one.size) == (Item(item_id("a/b.jpg"), "a/b.jpg"), (20, 30))
    assert one.labels.class_id.tolist() == [1, 2]
    assert one.labels.box.tolist() == [[1, 2, 4, 6], [0, 0, 2, 2]]
    assert one.labels.score.tolist() == [1, 1]
    assert column_of(one.labels.attributes["speed"]).tolist()[1] == 3.5


def test_the_most_that_the_schema_allows_is_taken(tmp_path: Path) -> None:
    ring = SQUARE.reshape(-1).tolist()
    drawn = {"bbox": [1, 1, 8, 8], "segmentation": [ring], "area": 64}
    path = foreign(tmp_path, [drawn])
    for kinds, kind in ((("polygon", "mask", "box"), Kind.POLYGON), (("mask", "box"), Kind.MASK), (("box",), Kind.BOX)):
        one = read_one(path, Schema("s", (Class("car"),), kinds))
        assert one.labels.kind.tolist() == [kind]
        assert one.labels.evidence == {}
    mask = read_one(path, Schema("s", (Class("car"),), ("mask",))).labels.shape[0]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert (geometry.decode(mask) == coco.annToMask(coco.anns[0])).all()


def test_a_mask_becomes_its_outline_where_only_polygons_are_allowed(tmp_path: Path) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[2:8, 3:9] = 1
    mask[4:5, 5:6] = 0
    rle = cocomask.encode(np.asfortranarray(mask))
    path = foreign(tmp_path, [{"bbox": [3, 2, 6, 6], "segmentation": {"size": [20, 30], "counts": rle["counts"].decode()}}])
    one = read_one(path, Schema("s", (Class("car"),), ("polygon",)))
    assert (geometry.rasterize(one.labels.shape[0], (20, 30)) == mask).all()
    empty = cocomask.encode(np.zeros((20, 30), np.uint8, order="F"))["counts"].decode()
    path = foreign(tmp_path, [{"bbox": [3, 2, 6, 6], "segmentation": {"size": [20, 30], "counts": empty}}])
    assert read_one(path, Schema("s", (Class("car"),), ("polygon", "box"))).labels.kind.tolist() == [Kind.BOX]


def test_uncompressed_counts_of_a_crowd_are_read(tmp_path: Path) -> None:
    counts = [45, 5, 15, 5, 530]
    path = foreign(
        tmp_path, [{"bbox": [2, 5, 2, 5], "iscrowd": 1, "segmentation": {"size": [20, 30], "counts": counts}, "area": 10}]
    )
    one = read_one(path)
    assert one.labels.kind.tolist() == [Kind.MASK]
    assert geometry.runs(one.labels.shape[0]).tolist() == counts
    assert one.labels.evidence["iscrowd"].tolist() == [1]


def test_rings_that_overlap_are_filled_together(tmp_path: Path) -> None:
    rings = [SQUARE, SQUARE + 4]
    path = foreign(tmp_path, [{"bbox": [1, 1, 12, 12], "segmentation": [r.reshape(-1).tolist() for r in rings]}])
    one = read_one(path)
    coco = loaded(path)
    assert areas(one.labels)[0] == pytest.approx(64 + 64 - 16)
    assert (geometry.rasterize(one.labels.shape[0], (20, 30)) == coco.annToMask(coco.anns[0])).all()
    inner = filled([SQUARE, HOLE])
    assert len(inner) == 1
    many = [SQUARE[:3] + np.array([20.0 * i, 0]) for i in range(80)]
    assert apart(many)
    assert not apart([*many, many[3] + 1])


def test_a_box_that_cvat_turned_is_a_rotated_box(tmp_path: Path) -> None:
    attributes = {"occluded": False, "rotation": 90.0, "track_id": 3, "keyframe": True}
    path = foreign(tmp_path, [{"bbox": [4, 6, 8, 4], "segmentation": [], "attributes": attributes}])
    one = read_one(path)
    assert one.labels.kind.tolist() == [Kind.ROTATED_BOX]
    assert one.labels.shape[0] == pytest.approx([8, 8, 8, 4, np.pi / 2])
    assert one.labels.track.tolist() == [3]
    assert one.labels.attributes["occluded"].tolist() == [False]
    square = foreign(
        tmp_path, [{"bbox": [1, 1, 8, 8], "segmentation": [SQUARE.reshape(-1).tolist()], "attributes": {"rotation": 0.0}}]
    )
    assert read_one(square).labels.kind.tolist() == [Kind.POLYGON]


def test_keypoints_are_put_into_the_order_of_the_schema(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": "person", "keypoints": ["tail", "nose"]}]
    path = foreign(tmp_path, [{"bbox": [0, 0, 9, 9], "keypoints": [1, 2, 2, 3, 4, 1]}], categories=categories)
    assert read_one(path).labels.shape[0].tolist() == [[3, 4, 1], [1, 2, 2]]
    other = [{"id": 1, "name": "person", "keypoints": ["tail", "ear"]}]
    with pytest.raises(FormatError, match="are not those of the schema"):
        read_one(foreign(tmp_path, [{"bbox": [0, 0, 9, 9], "keypoints": [1, 2, 2, 3, 4, 1]}], categories=other))


def test_tracks_that_are_words_become_numbers(tmp_path: Path) -> None:
    path = foreign(tmp_path, [{"bbox": [0, 0, 1, 1], "track_id": t} for t in ("b", "a", "b", None, -5)])
    assert read_one(path).labels.track.tolist() == [0, 1, 0, -1, -1]


def test_without_a_size_nothing_is_measured_against_it(tmp_path: Path) -> None:
    path = foreign(tmp_path, [{"bbox": [0, 0, 500, 500]}], images=[{"id": 7, "file_name": "b.jpg"}])
    assert read_one(path).size == (0, 0)


def test_a_box_may_be_left_to_the_outline(tmp_path: Path) -> None:
    path = foreign(tmp_path, [{"segmentation": [SQUARE.reshape(-1).tolist()]}])
    assert read_one(path).labels.box.tolist() == [[1, 1, 9, 9]]


def test_what_the_schema_does_not_have_can_be_left_out(tmp_path: Path) -> None:
    path = foreign(
        tmp_path, [{"bbox": [0, 0, 1, 1], "category_id": 90}, {"bbox": [0, 0, 1, 1], "track_id": 3, "attributes": {"odd": 1}}]
    )
    small = Schema("small", (Class("car"),))
    assert len(read_one(path, small, unknown="skip").labels) == 1
    with pytest.raises(FormatError, match="no class 'teapot'") as caught:
        read_one(path)
    assert "car" in caught.value.choices


BAD = [
    ({"bbox": [0, 0, -1, 2]}, "bbox must be"),
    ({"bbox": [0, 0, 1]}, "bbox"),
    ({"bbox": [0, 0, 500, 5]}, "outside the image of 30 x 20"),
    ({"bbox": "wide"}, "bbox"),
    ({}, "neither a bbox nor a segmentation"),
    ({"bbox": [0, 0, 1, 1], "category_id": 5}, "category 5 is not in the file"),
    ({"bbox": [0, 0, 1, 1], "image_id": 8}, "image 8, which is not in the file"),
    ({"bbox": [0, 0, 1, 1], "score": 1.5}, "scores must lie"),
    ({"bbox": [0, 0, 1, 1], "attributes": {"odd": 1}}, "no label attribute 'odd'"),
    ({"bbox": [0, 0, 1, 1], "attributes": {"doors": 1.5}}, "whole number"),
    ({"bbox": [0, 0, 1, 1], "track_id": 1.5}, "track_id"),
    ({"bbox": [0, 0, 1, 1], "segmentation": [[1, 2, 3]]}, "segmentation must be"),
    ({"bbox": [0, 0, 1, 1], "segmentation": "RLE"}, "segmentation must be"),
    ({"bbox": [0, 0, 1, 1], "segmentation": [[0, 0, 1e300, 0, 1e300, 1e300]]}, "segmentation must be"),
    ({"bbox": [0, 0, 1, 1], "segmentation": {"size": [20, 30], "counts": [1, 2]}}, "add up"),
    ({"bbox": [0, 0, 1, 1], "segmentation": {"size": [20, 30], "counts": [-1, 601]}}, "add up"),
    ({"bbox": [0, 0, 1, 1], "segmentation": {"size": [20, 30], "counts": "zzz"}}, "runs of a mask"),
    ({"bbox": [0, 0, 1, 1], "segmentation": {"size": [20, 30], "counts": "111"}}, "add up"),
    ({"bbox": [0, 0, 1, 1], "segmentation": {"size": [20, 31], "counts": "111"}}, "its mask is 31 x 20, its image 30 x 20"),
    ({"bbox": [0, 0, 1, 1], "segmentation": {"size": [10**6, 10**6], "counts": "111"}}, "size of a mask"),
    ({"bbox": [0, 0, 1, 1], "segmentation": {"counts": "111"}}, "size of a mask"),
    ({"bbox": [0, 0, 1, 1], "segmentation": {"size": [20, 30]}}, "counts of a mask"),
    ({"bbox": [0, 0, 1, 1], "category_id": 3, "keypoints": [1, 2]}, "x, y, visibility"),
    ({"bbox": [0, 0, 1, 1], "category_id": 3, "keypoints": [1, 2, 2]}, "1 keypoints; the schema names 2"),
    ({"bbox": [0, 0, 1, 1], "category_id": 3, "keypoints": [1, 2, 7, 1, 2, 1]}, "visibility"),
]


@pytest.mark.parametrize(("annotation", "message"), BAD)
def test_what_cant_be_represented_is_refused_by_name(tmp_path: Path, annotation: dict[str, Any], message: str) -> None:
    path = foreign(tmp_path, [annotation])
    with pytest.raises(FormatError, match=message) as caught:
        list(Coco().read(path, ALL))
    assert "instances.json" in caught.value.what


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"images": []}',
        '{"images": [{}], "annotations": []}',
        '{"images": [], "annotations": [NaN]}',
        "[" * 100_000,
        '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1e400, 1]}]}',
        "\xff",
    ],
)
def test_what_is_no_coco_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError, match=r"x\.json"):
        list(Coco().read(path, ALL))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([{"id": 7, "file_name": "../b.jpg"}], "no path inside"),
        ([{"id": 7, "file_name": "/b.jpg"}], "no path inside"),
        ([{"id": 7, "file_name": "b.jpg", "height": -1, "width": 2}], "negative"),
        ([{"id": 7, "file_name": "b.jpg", "video_id": 2}], "video 2, which is not in the file"),
        ([{"id": 7, "file_name": "b.jpg"}, {"id": 7, "file_name": "c.jpg"}], "same id"),
        ([{"id": 7, "file_name": "b.jpg", "attributes": {"mood": "bad"}}], "no image attribute 'mood'"),
    ],
)
def test_bad_images_are_refused(tmp_path: Path, images: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        list(Coco().read(foreign(tmp_path, [], images=images), ALL))


def test_a_rle_that_lies_about_its_size_never_reaches_pycocotools() -> None:
    with pytest.raises(Exception, match="add up"):
        geometry.decode(Rle((20, 30), b"111"))


def test_real_annotations_go_out_and_come_back(shared: Path, tmp_path: Path) -> None:
    path = shared / "data/coco/val_a/instances.json"
    file = json.loads(path.read_text())
    schema = Schema("coco", tuple(Class(c["name"]) for c in file["categories"]), ("box", "polygon", "mask"))
    first = list(Coco().read(path, schema))
    assert Coco().export(first, schema, tmp_path).keys() <= {"polygon with holes as mask"}
    assert sum(len(r.labels) for r in first) == 815
    theirs, ours = loaded(path), loaded(tmp_path / "instances.json")
    pairs = [
        (a, b)
        for im, one in zip(file["images"], ours.imgs, strict=True)
        for a, b in zip(theirs.imgToAnns[im["id"]], ours.imgToAnns[one], strict=True)
    ]
    assert len(pairs) == 815
    for a, b in pairs:
        assert b["bbox"] == pytest.approx(a["bbox"])
        assert b["iscrowd"] == a["iscrowd"]
        assert b["area"] == pytest.approx(a["area"])
        assert theirs.cats[a["category_id"]]["name"] == ours.cats[b["category_id"]]["name"]
        overlap = cocomask.iou([theirs.annToRLE(a)], [ours.annToRLE(b)], [0])[0][0]
        # Rings that overlapped became one, or a mask by our rule of pixel centres, which pycocotools does not have.
        assert overlap == 1 if a["segmentation"] == b["segmentation"] else overlap > 0.98
