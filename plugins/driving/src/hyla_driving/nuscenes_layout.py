"""Read the camera pictures of nuScenes from its JSON tables, without the devkit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hyla.errors import ConfigError
from hyla.frame import VideoFrame
from hyla.hooks import Loader, hookimpl
from hyla.images import MAX_PIXELS, inside, read_image
from hyla.types import Image, Item, item_id

MAX_TABLE = 4 << 30  # bytes; sample_data.json of the full set has about 1.5 GB
Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


class Row(msgspec.Struct):
    """Hold what every row has."""

    token: str


class Scene(Row):
    """Hold a row of scene.json: a drive of about 20 s."""

    name: str
    description: str = ""


class Sample(Row):
    """Hold a row of sample.json: an annotated moment, 2 per second."""

    scene_token: str


class Sensor(Row):
    """Hold a row of sensor.json; `channel` is CAM_FRONT and the like."""

    channel: str
    modality: str


class CalibratedSensor(Row):
    """Hold a row of calibrated_sensor.json: pose in the car (m; quaternion w, x, y, z) and camera matrix."""

    sensor_token: str
    translation: Vector
    rotation: Quaternion
    camera_intrinsic: list[list[float]]


class EgoPose(Row):
    """Hold a row of ego_pose.json: pose of the car on the map (m; quaternion w, x, y, z)."""

    translation: Vector
    rotation: Quaternion


class SampleData(Row):
    """Hold a row of sample_data.json: one picture or sweep; `timestamp` in microseconds."""

    sample_token: str
    ego_pose_token: str
    calibrated_sensor_token: str
    timestamp: int
    is_key_frame: bool
    filename: str


R = TypeVar("R", bound=Row)


class NuScenes(Loader):
    """Load the camera pictures of nuScenes: a sequence per scene and camera, in order of time.

    The camera matrix comes as `VideoFrame.intrinsics`; `item.meta` holds ego_pose and sensor (translation in m, rotation as a
    quaternion w, x, y, z: nuScenes puts the scalar first, OpenLABEL last). Night and rain are taken from a scene's description.

    Args:
        sweeps: True for the pictures between the annotated ones too (12 per second in place of 2).
        max_pixels: refuse larger pictures before they are decoded.
    """

    def __init__(self, sweeps: bool = False, max_pixels: int = MAX_PIXELS) -> None:
        self.sweeps, self.max_pixels = sweeps, max_pixels
        self.root = Path()

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return the pictures, sorted by scene, camera and time; None unless `source` has the tables, in itself or in v1.0-mini.

        Raises:
            ConfigError: for a table that is missing or can't be read, or a row that refers to one that is not there.
        """
        root = Path(source).expanduser().resolve()
        if "://" in source or not root.is_dir():
            return None
        tables = sorted(p.parent for pattern in ("sample_data.json", "v*/sample_data.json") for p in root.glob(pattern))
        if not tables:
            return None
        if len(tables) > 1:
            names = [t.name for t in tables]
            raise ConfigError(f"{source} holds several versions of nuScenes", "leave one of them there", names)
        self.root = root.parent if tables[0] == root and not (root / "samples").is_dir() else root
        metadata = _Tables(tables[0])
        return _items(metadata, metadata.sequences(self.sweeps))

    @hookimpl
    def load(self, item: Item) -> Image:
        """Return the picture, placed in time and with its camera matrix; raise BadItem for one that can't be read."""
        pixels = read_image(inside(self.root, item.uri), self.max_pixels)
        rows = item.meta["intrinsics"]
        matrix = tuple((float(r[0]), float(r[1]), float(r[2])) for r in rows) if rows else None
        seconds = float(item.meta["seconds"])
        frame = VideoFrame(seconds, item.index, int(item.meta["timestamp"]), (1, 1_000_000), matrix)
        return Image(pixels, item, frame, dict(item.meta["conditions"]))


class _Tables:
    """Hold the tables that lead from a picture to its scene, camera and poses."""

    def __init__(self, folder: Path) -> None:
        self.scenes, self.samples, self.sensors = _table(folder, Scene), _table(folder, Sample), _table(folder, Sensor)
        self.calibrated, self.poses, self.data = (
            _table(folder, CalibratedSensor),
            _table(folder, EgoPose),
            _table(folder, SampleData),
        )

    def sequences(self, sweeps: bool) -> dict[tuple[str, str], list[SampleData]]:
        """Return (scene token, channel) -> the camera's pictures in order of time."""
        found: dict[tuple[str, str], list[SampleData]] = defaultdict(list)
        for data in self.data.values():
            sensor = _row(self.sensors, _row(self.calibrated, data.calibrated_sensor_token).sensor_token)
            if sensor.modality == "camera" and (data.is_key_frame or sweeps):
                scene = _row(self.scenes, _row(self.samples, data.sample_token).scene_token)
                _row(self.poses, data.ego_pose_token)
                found[scene.token, sensor.channel].append(data)
        return {key: sorted(members, key=lambda d: (d.timestamp, d.token)) for key, members in found.items()}


def _items(tables: _Tables, sequences: dict[tuple[str, str], list[SampleData]]) -> Iterator[Item]:
    began: dict[str, int] = {}
    for (token, _), members in sequences.items():
        began[token] = min(members[0].timestamp, began.get(token, members[0].timestamp))
    for (token, channel), members in sorted(sequences.items(), key=lambda pair: (tables.scenes[pair[0][0]].name, pair[0][1])):
        scene = tables.scenes[token]
        for index, data in enumerate(members):
            camera, ego = tables.calibrated[data.calibrated_sensor_token], tables.poses[data.ego_pose_token]
            meta = {
                "seconds": (data.timestamp - began[token]) / 1e6,
                "timestamp": data.timestamp,
                "sample": data.sample_token,
                "intrinsics": camera.camera_intrinsic,
                "sensor": _pose(camera),
                "ego_pose": _pose(ego),
                "conditions": describe(scene.description),
            }
            yield Item(item_id(data.filename), data.filename, f"{scene.name}/{channel}", index, "image", meta)


def describe(description: str) -> dict[str, str]:
    """Return the conditions that a scene's description names: "Night, after rain, big street" is night and rain.

    nuScenes notes what is out of the ordinary, so that a description without `night` means day; none at all means nothing.
    """
    words = set(re.findall(r"[a-z]+", description.lower()))
    if not words:
        return {}
    return {"timeofday": "night" if "night" in words else "day", **({"weather": "rain"} if words & {"rain", "rainy"} else {})}


def _table(folder: Path, row: type[R]) -> dict[str, R]:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", row.__name__).lower()
    path = folder / f"{name}.json"
    try:
        if path.stat().st_size > MAX_TABLE:
            raise ConfigError(f"{path} has more than {MAX_TABLE >> 30} GiB", "split the set by scenes")
        rows: list[R] = msgspec.json.decode(path.read_bytes(), type=list[row])  # type: ignore[valid-type]
        return {one.token: one for one in rows}
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}", "nuScenes needs all its tables") from error
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path} is no table of nuScenes: {error}", "download the metadata again") from error


def _row(table: dict[str, R], token: str) -> R:
    if token not in table:
        raise ConfigError(f"the tables of nuScenes refer to {token!r}, which is in none of them", "download the metadata again")
    return table[token]


def _pose(row: CalibratedSensor | EgoPose) -> dict[str, Any]:
    return {"translation": list(row.translation), "rotation": list(row.rotation)}
