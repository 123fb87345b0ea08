"""Whatever the layout, pictures come in order, with the time, camera and conditions that the layout knows."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from hyla.config import compose
from hyla.errors import BadItem, ConfigError, StageError
from hyla.frame import Frame, VideoFrame
from hyla.hooks import Loader
from hyla.plugins import Pipeline, build
from hyla.types import item_id
from hyla_driving.bdd_layout import Bdd100k
from hyla_driving.conditions import Conditions
from hyla_driving.kitti_layout import Kitti
from hyla_driving.layouts import Recording
from hyla_driving.nuscenes_layout import NuScenes, describe
from hyla_driving.sample import _Clip

P2 = "721.5377 0 609.5593 44.85728 0 721.5377 172.854 0.2163791 0 0 1 0.002745884"
K = ((721.5377, 0.0, 609.5593), (0.0, 721.5377, 172.854), (0.0, 0.0, 1.0))


def picture(path, value=120, size=(32, 24)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


def clip(path, frames=3):
    with _Clip(path) as out:
        for i in range(frames):
            out.add(np.full((32, 48, 3), 60 + 5 * i, np.uint8))


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def read(loader, source):
    items = list(loader.items(str(source)))
    return [loader.load(item) for item in items]


# Clips and photos


def test_each_file_goes_to_whoever_reads_it(tmp_path):
    clip(tmp_path / "b.mp4")
    (tmp_path / "sub").mkdir()
    clip(tmp_path / "sub" / "c.mp4")
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "sub" / "d.png")
    (tmp_path / "e.jpg").write_text("no picture")
    (tmp_path / "f.mp4").write_text("no clip")
    (tmp_path / "notes.txt").touch()
    loader = Recording()
    items = list(loader.items(str(tmp_path)))
    assert [item.uri for item in items] == ["a.jpg", *["b.mp4"] * 3, "e.jpg", "f.mp4", *["sub/c.mp4"] * 3, "sub/d.png"]
    assert len({item.id for item in items}) == len(items)
    bad = []
    for item in items:
        try:
            image = loader.load(item)
        except BadItem:
            bad.append(item.uri)
            continue
        assert image.item == item
        assert isinstance(image.frame, VideoFrame) == (item.kind == "video_frame")
    assert bad == ["e.jpg", "f.mp4"]
    loader.close("b.mp4")
    assert list(loader.layouts["video"]._clips) == ["sub/c.mp4"]


def test_video_layout_leaves_photos_out(tmp_path):
    clip(tmp_path / "b.mp4")
    picture(tmp_path / "a.jpg")
    assert [item.uri for item in Recording(layout="video").items(str(tmp_path))] == ["b.mp4"] * 3
    assert [item.index for item in Recording(stride=2).items(str(tmp_path))] == [0, 0, 2]


def test_one_clip_or_one_photo_is_a_source(tmp_path):
    clip(tmp_path / "b.mp4")
    picture(tmp_path / "a.jpg")
    assert [i.uri for i in Recording().items(str(tmp_path / "a.jpg"))] == ["a.jpg"]
    single = list(Recording().items(str(tmp_path / "b.mp4")))
    assert single == [i for i in Recording().items(str(tmp_path)) if i.group]
    assert Recording().items(str(tmp_path / "none")) is None
    assert Recording().items("https://example.org/b.mp4") is None


def test_conditions_are_estimated_and_a_sidecar_wins(tmp_path):
    clip(tmp_path / "b.mp4", frames=30)
    picture(tmp_path / "a.jpg", value=20)
    text(tmp_path / "b.json", {"weather": "clear", "ranges": [{"start": 0.4, "weather": "rain", "timeofday": "night"}]})
    text(tmp_path / "conditions.csv", "file,road\n*.jpg,tunnel\n")
    photo, *frames = read(Recording(conditions=Conditions()), tmp_path)
    assert photo.context["timeofday"] == "night"
    assert photo.context["road"] == "tunnel"
    assert photo.context["luma"] == pytest.approx(20, abs=0.5)
    assert [f.context["weather"] for f in frames] == ["clear"] * 10 + ["rain"] * 20
    assert frames[9].context["timeofday"] == "day"
    assert frames[10].context["timeofday"] == "night"
    bare = read(Recording(conditions=None), tmp_path)
    assert dict(bare[0].context) == {"road": "tunnel"}
    assert dict(bare[1].context) == {"weather": "clear"}


def test_a_wrong_sidecar_fails_before_work_or_costs_its_clip(tmp_path):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    text(tmp_path / "a.json", {"weather": "lovely"})
    loader = Recording()
    first, second = loader.items(str(tmp_path))
    with pytest.raises(BadItem, match=r"a\.json: weather is 'lovely'"):
        loader.load(first)
    assert loader.load(second).pixels.shape == (24, 32, 3)
    text(tmp_path / "conditions.csv", "file,weather\na.jpg,lovely\n")
    with pytest.raises(ConfigError, match="line 2"):
        Recording().items(str(tmp_path))


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match="layout is 'kity'") as error:
        Recording(layout="kity")
    assert "kitti" in str(error.value)
    with pytest.raises(ConfigError, match="stride"):
        Recording(stride=0)
    with pytest.raises(StageError, match="comes before"):
        Recording().load(None)


@pytest.mark.parametrize("stage", [Recording(), Kitti(), Bdd100k(), NuScenes()])
def test_every_loader_answers_the_hooks(stage):
    assert isinstance(stage, Loader)
    pipeline = Pipeline({"loader": stage})
    assert pipeline.items("s3://nowhere/else") is None


# KITTI


def test_kitti_objects_stand_alone_with_their_camera(tmp_path):
    for name in ("000000", "000001"):
        picture(tmp_path / "training" / "image_2" / f"{name}.png")
        picture(tmp_path / "training" / "image_3" / f"{name}.png")
    picture(tmp_path / "testing" / "image_2" / "000000.png")
    text(tmp_path / "training" / "calib" / "000001.txt", f"P1: 1 2 3\nP2: {P2}\nP3: {P2}\nR0_rect: 1 0 0\n")
    images = read(Kitti(), tmp_path)
    assert [i.item.uri for i in images] == [
        "testing/image_2/000000.png",
        "training/image_2/000000.png",
        "training/image_2/000001.png",
    ]
    assert {(i.item.group, i.item.index) for i in images} == {("", 0)}
    assert [i.item.id for i in images] == [item_id(i.item.uri) for i in images]
    assert images[1].frame == Frame()
    assert images[2].frame.intrinsics == K
    half = read(Kitti(), tmp_path / "training")
    assert [i.item.uri for i in half] == ["image_2/000000.png", "image_2/000001.png"]
    assert half[1].frame.intrinsics == K
    assert len(read(Kitti(camera=3), tmp_path)) == 2


def test_kitti_tracking_is_sequences_at_ten_per_second(tmp_path):
    for sequence, count in (("0000", 3), ("0001", 2)):
        for i in range(count):
            picture(tmp_path / "training" / "image_02" / sequence / f"{i:06d}.png")
    text(tmp_path / "training" / "calib" / "0001.txt", f"P2: {P2}\n")
    images = read(Kitti(), tmp_path)
    assert [(i.item.group, i.item.index) for i in images] == [
        *[("training/image_02/0000", n) for n in range(3)],
        *[("training/image_02/0001", n) for n in range(2)],
    ]
    assert [i.frame.seconds for i in images] == pytest.approx([0, 0.1, 0.2, 0, 0.1])
    assert images[0].frame.intrinsics is None
    assert images[3].frame.intrinsics == K


def test_kitti_raw_and_odometry_have_their_own_times(tmp_path):
    drive = tmp_path / "raw" / "2011_09_26" / "2011_09_26_drive_0001_sync" / "image_02"
    for i in range(3):
        picture(drive / "data" / f"{i:010d}.png")
        picture(tmp_path / "odometry" / "sequences" / "00" / "image_2" / f"{i:06d}.png")
    stamps = ["2011-09-26 13:02:59.900000000", "2011-09-26 13:03:00.003500000", "2011-09-26 13:03:00.107000000"]
    text(drive / "timestamps.txt", "\n".join(stamps) + "\n")
    text(tmp_path / "raw" / "2011_09_26" / "calib_cam_to_cam.txt", f"calib_time: x\nP_rect_02: {P2}\n")
    text(tmp_path / "odometry" / "sequences" / "00" / "times.txt", "0.0\n1.037e-01\n2.074e-01\n")
    text(tmp_path / "odometry" / "sequences" / "00" / "calib.txt", f"P0: {P2}\nP2: {P2}\n")
    for source, seconds in (
        (tmp_path / "raw", [0, 0.1035, 0.207]),
        (tmp_path / "raw" / "2011_09_26", [0, 0.1035, 0.207]),
        (tmp_path / "odometry", [0, 0.1037, 0.2074]),
    ):
        images = read(Kitti(), source)
        assert [i.frame.seconds for i in images] == pytest.approx(seconds, abs=1e-6)
        assert images[1].frame.pts == pytest.approx(seconds[1] * 1e6, abs=1)
        assert all(i.frame.intrinsics == K for i in images)
        assert len({i.item.group for i in images}) == 1


def test_kitti_files_that_are_damaged_say_so(tmp_path):
    picture(tmp_path / "training" / "image_2" / "000000.png")
    text(tmp_path / "training" / "calib" / "000000.txt", "P2: 1 2 three\n")
    loader = Kitti()
    (item,) = loader.items(str(tmp_path))
    with pytest.raises(BadItem, match=r"calibration training/calib/000000.txt can't be read"):
        loader.load(item)
    picture(tmp_path / "odo" / "sequences" / "00" / "image_2" / "000000.png")
    text(tmp_path / "odo" / "sequences" / "00" / "times.txt", "early\n")
    with pytest.raises(ConfigError, match=r"times\.txt can't be read as times"):
        list(Kitti().items(str(tmp_path / "odo")))


def test_what_is_not_kitti_is_left_to_others(tmp_path):
    picture(tmp_path / "a.png")
    assert Kitti().items(str(tmp_path)) is None
    assert Kitti().items(str(tmp_path / "a.png")) is None


# BDD100K


def bdd(root):
    for name in ("images/100k/val/b.jpg", "images/100k/train/a.jpg", "images/10k/val/c.jpg"):
        picture(root / name)
    for i in (1, 2):
        picture(root / "images/track/val/v1" / f"v1-{i:07d}.jpg")
    picture(root / "images/track/val/v2/v2-0000001.jpg")
    rainy = {"weather": "rainy", "scene": "city street", "timeofday": "night"}
    cloudy = {"weather": "partly cloudy", "scene": "gas stations", "timeofday": "dawn/dusk"}
    old = [{"name": "a.jpg", "attributes": rainy, "labels": [{"id": 1}]}]
    new = {"frames": [{"name": "b.jpg", "attributes": cloudy}]}
    text(root / "labels" / "bdd100k_labels_images_train.json", old)
    text(root / "labels" / "det_20" / "det_val.json", new)
    text(root / "labels" / "det_20" / "more.json", [{"name": "c.jpg", "attributes": {"weather": "undefined"}}, {"name": "d.jpg"}])
    return root


def test_bdd100k_stills_and_sequences_with_their_conditions(tmp_path):
    images = read(Bdd100k(), bdd(tmp_path))
    assert [(i.item.uri, i.item.group, i.item.index) for i in images] == [
        ("images/100k/train/a.jpg", "", 0),
        ("images/100k/val/b.jpg", "", 0),
        ("images/10k/val/c.jpg", "", 0),
        ("images/track/val/v1/v1-0000001.jpg", "images/track/val/v1", 0),
        ("images/track/val/v1/v1-0000002.jpg", "images/track/val/v1", 1),
        ("images/track/val/v2/v2-0000001.jpg", "images/track/val/v2", 0),
    ]
    assert images[0].context == {"timeofday": "night", "weather": "rain", "road": "city"}
    assert images[1].context == {"timeofday": "dusk", "weather": "cloudy", "road": "gas_station"}
    assert images[2].context == {}
    assert images[0].frame == Frame()
    assert images[4].frame.seconds == pytest.approx(0.2)


def test_what_bdd100k_knows_wins_over_the_estimate(tmp_path):
    first = read(Recording(conditions=Conditions()), bdd(tmp_path))[0]
    assert first.context["timeofday"] == "night"
    assert first.context["luma"] == pytest.approx(120, abs=1)


def test_a_bdd100k_label_file_that_cant_be_read_is_named(tmp_path):
    text(bdd(tmp_path) / "labels" / "det_20" / "x.json", '[{"name": 3}]')
    with pytest.raises(ConfigError, match=r"x\.json is no label file of BDD100K"):
        Bdd100k().items(str(tmp_path))


# nuScenes


def nuscenes(root, tables="v1.0-mini"):
    sensors = [
        {"token": "s1", "channel": "CAM_FRONT", "modality": "camera"},
        {"token": "s2", "channel": "LIDAR_TOP", "modality": "lidar"},
        {"token": "s3", "channel": "CAM_BACK", "modality": "camera"},
    ]
    calibrated = [
        {
            "token": f"c{i}",
            "sensor_token": f"s{i}",
            "translation": [1.7, 0.0, 1.5],
            "rotation": [0.5, -0.5, 0.5, -0.5],
            "camera_intrinsic": [] if i == 2 else [[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]],
        }
        for i in (1, 2, 3)
    ]
    data = []
    for n, (scene, sensor, stamp, key) in enumerate(
        [(2, 1, 700, True), (1, 1, 500_300, True), (1, 1, 300, True), (1, 1, 200_300, False), (1, 3, 100, True), (1, 2, 90, True)]
    ):
        name = f"{'samples' if key else 'sweeps'}/{sensors[sensor - 1]['channel']}/{n}.jpg"
        picture(root / name)
        data.append(
            {
                "token": f"d{n}",
                "sample_token": f"m{scene}",
                "ego_pose_token": "e1",
                "calibrated_sensor_token": f"c{sensor}",
                "timestamp": 1_532_402_927_000_000 + stamp,
                "is_key_frame": key,
                "filename": name,
                "height": 900,
                "width": 1600,
            }
        )
    rows = {
        "scene": [
            {"token": "t1", "name": "scene-0061", "description": "Parked truck, construction", "log_token": "x"},
            {"token": "t2", "name": "scene-0001", "description": "Night, after rain, pedestrians"},
        ],
        "sample": [{"token": f"m{i}", "scene_token": f"t{i}", "timestamp": 1} for i in (1, 2)],
        "sensor": sensors,
        "calibrated_sensor": calibrated,
        "ego_pose": [{"token": "e1", "translation": [411.3, 1180.9, 0.0], "rotation": [0.57, 0.0, 0.0, 0.82], "timestamp": 1}],
        "sample_data": data,
    }
    for name, content in rows.items():
        text(root / tables / f"{name}.json", content)
    return root


def test_nuscenes_cameras_are_sequences_in_order_of_time(tmp_path):
    images = read(NuScenes(), nuscenes(tmp_path))
    assert [(i.item.group, i.item.index, i.item.uri) for i in images] == [
        ("scene-0001/CAM_FRONT", 0, "samples/CAM_FRONT/0.jpg"),
        ("scene-0061/CAM_BACK", 0, "samples/CAM_BACK/4.jpg"),
        ("scene-0061/CAM_FRONT", 0, "samples/CAM_FRONT/2.jpg"),
        ("scene-0061/CAM_FRONT", 1, "samples/CAM_FRONT/1.jpg"),
    ]
    assert [i.frame.seconds for i in images] == pytest.approx([0, 0, 0.0002, 0.5002])
    assert images[3].frame.intrinsics == ((1266.4, 0.0, 816.3), (0.0, 1266.4, 491.5), (0.0, 0.0, 1.0))
    assert images[3].frame.pts == 1_532_402_927_500_300
    assert images[3].item.meta["ego_pose"] == {"translation": [411.3, 1180.9, 0.0], "rotation": [0.57, 0.0, 0.0, 0.82]}
    assert images[0].context == {"timeofday": "night", "weather": "rain"}
    assert images[3].context == {"timeofday": "day"}
    json.dumps([dict(i.item.meta) for i in images])


def test_nuscenes_sweeps_are_a_setting(tmp_path):
    images = read(Recording(layout="nuscenes", sweeps=True), nuscenes(tmp_path))
    assert [i.item.uri for i in images if i.item.group.endswith("0061/CAM_FRONT")] == [
        "samples/CAM_FRONT/2.jpg",
        "sweeps/CAM_FRONT/3.jpg",
        "samples/CAM_FRONT/1.jpg",
    ]


def test_the_tables_of_nuscenes_may_be_the_source(tmp_path):
    nuscenes(tmp_path)
    assert list(NuScenes().items(str(tmp_path / "v1.0-mini"))) == list(NuScenes().items(str(tmp_path)))
    assert len(read(NuScenes(), tmp_path / "v1.0-mini")) == 4


def test_damaged_tables_of_nuscenes_are_named_before_work_starts(tmp_path):
    tables = nuscenes(tmp_path) / "v1.0-mini"
    whole = {path: path.read_text() for path in tables.iterdir()}
    for name, content, message in (
        ("sensor", None, r"sensor\.json can't be read"),
        ("ego_pose", "[{", r"ego_pose\.json is no table of nuScenes"),
        ("scene", '[{"token": "t1"}]', r"scene\.json is no table of nuScenes"),
        ("sample", "[]", "refer to 'm2', which is in none of them"),
        ("ego_pose", "[]", "refer to 'e1'"),
    ):
        path = tables / f"{name}.json"
        path.unlink() if content is None else path.write_text(content)
        with pytest.raises(ConfigError, match=message):
            NuScenes().items(str(tmp_path))
        path.write_text(whole[path])
    nuscenes(tmp_path, "v1.0-trainval")
    with pytest.raises(ConfigError, match="several versions"):
        NuScenes().items(str(tmp_path))


def test_a_table_can_not_lead_out_of_the_source(tmp_path):
    source = nuscenes(tmp_path / "set")
    picture(tmp_path / "secret.jpg")
    path = source / "v1.0-mini" / "sample_data.json"
    path.write_text(path.read_text().replace("samples/CAM_BACK/4.jpg", "../secret.jpg"))
    loader = Recording()
    items = list(loader.items(str(source)))
    (bad,) = [item for item in items if "secret" in item.uri]
    with pytest.raises(BadItem, match="lies outside the source"):
        loader.load(bad)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", {}),
        ("Turn left, trains", {"timeofday": "day"}),
        ("Night, big street", {"timeofday": "night"}),
        ("Rain, bus", {"timeofday": "day", "weather": "rain"}),
    ],
)
def test_descriptions_are_read_by_words(words, expected):
    assert describe(words) == expected


# Which layout it is


def test_the_layout_is_recognised(tmp_path):
    nuscenes(tmp_path / "n")
    bdd(tmp_path / "b")
    picture(tmp_path / "k" / "training" / "image_2" / "0.png")
    picture(tmp_path / "f" / "x.png")
    for name, cls in (("n", NuScenes), ("b", Bdd100k), ("k", Kitti), ("f", None)):
        loader = Recording()
        assert list(loader.items(str(tmp_path / name)))
        assert isinstance(loader._reader, cls or type(loader.layouts["files"]))
    assert Recording(layout="kitti").items(str(tmp_path / "f")) is None
    assert len(list(Recording(layout="files").items(str(tmp_path / "k")))) == 1


@pytest.mark.parametrize(
    ("name", "layout"),
    [("driving", "auto"), ("video", "video"), ("kitti", "kitti"), ("bdd100k", "bdd100k"), ("nuscenes", "nuscenes")],
)
def test_each_loader_of_the_plugin_composes_and_builds(name, layout):
    run = compose("driving", f"loader={name}", "loader.stride=3", "loader.conditions.night=40", source=".")
    loader = build(run.loader, "loader")
    assert isinstance(loader, Recording)
    assert loader.layout == layout
    assert loader.layouts["video"].stride == 3
    assert loader.conditions == Conditions(night=40)


def test_conditions_can_be_left_out():
    assert build(compose("driving", "loader.conditions=null", source=".").loader, "loader").conditions is None


def test_real_recordings_load(shared):
    loader = Recording(conditions=Conditions(), stride=60)
    images = read(loader, shared / "data" / "driving" / "udacity_lanes")
    assert [i.item.uri for i in images].count("solidWhiteRight.mp4") == 4
    assert len(images) == 10
    assert {i.context["timeofday"] for i in images} == {"day"}
