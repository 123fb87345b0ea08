"""Make a sample that needs no data: a rendered road clip and stills, with true boxes, tracks and lanes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import yaml

from hyla.codec import record_to_dict
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Kind, Labels, Record, Verdict
from hyla_driving import sample_actors as actors
from hyla_driving.layouts import Recording
from hyla_driving.sample_actors import Actor
from hyla_driving.sample_scene import DAY, DUSK, LINES, NIGHT, Canvas, Floats, Light, Pixels, Road, World, finish, fixed

OVERRIDES = ("model=embedded",)  # settings of the demo: a model that needs no weights
FPS = 25
EGO_SPEED = 8.0  # m/s
SCENES = ((0.0, DAY), (0.5, DUSK), (0.75, NIGHT))  # from which share of the clip on
STILLS = ((0.9, DAY), (1.7, DAY), (2.5, DUSK), (0.4, DUSK))  # seconds into the scene, and light
POSITIONS = ("left", "ego_left", "ego_right", "right")
CAST = (
    Actor(1, "car", -3.5, 38, -13, color="red", facing=-1),
    Actor(2, "car", -3.5, 95, -13, color="white", facing=-1),
    Actor(3, "bus", -3.5, 170, -12, color="green", facing=-1),
    Actor(4, "car", 0.0, 58, 13, color="blue"),
    Actor(5, "truck", 3.5, 20, 3.5, color="green"),
    Actor(6, "car", 3.5, 95, 9, color="silver"),
    Actor(7, "van", 8.2, 78, color="white"),
    Actor(8, "rider", -9.0, 46, drift=3.5, color="graphite"),
    Actor(9, "person", 6.2, 50, drift=-1.5, color="red", facing=-1),
    Actor(10, "traffic_sign", -7.6, 44),
)
FAR = 70.0  # m up to which lane lines are given
LEAST_HEIGHT, LEAST_SEEN = 8.0, 0.2  # px and share: less of a road user is no label
BICYCLE = 100  # added to a rider's track for that of the bicycle


@dataclass(frozen=True)
class Drawn:
    """Hold what was drawn of one label: its polygons (n, 2), in pixels and beyond the picture, and how many pixels they cover."""

    name: str
    track: int
    ahead: float
    polygons: list[Floats]
    covered: int


def write(to: Path, frames: int = 120, seed: int = 0) -> Path:
    """Write the sample below `to`, and return the folder to label: road.mp4 and stills.

    The clip has 960 x 540 pixels and 25 frames per second: half by day, a quarter at dusk, a quarter at night in rain. Beside the
    folder lies truth.jsonl, with a record for each frame and still, in their order and under the ids of the loader. The
    weather, which pixels can't tell, is in sidecars.

    Args:
        to: folder to write into; made if it is not there.
        frames: of the clip.
        seed: of ground, trees, clouds and grain.

    Raises:
        ConfigError: if `to` can't be written to.
    """
    source = Path(to) / "road"
    try:
        source.mkdir(parents=True, exist_ok=True)
        schema = preset_schema()
        world = World(seed)
        truth: dict[tuple[str, int], Labels] = {}
        with _Clip(source / "road.mp4") as clip:
            for i in range(frames):
                pixels, truth["road.mp4", i] = shoot(world, schema, i / FPS, _light(i / frames), seed * 100_000 + i)
                clip.add(pixels)
        world.road = Road(swing=-14.0)
        for n, (seconds, light) in enumerate(STILLS, 1):
            pixels, truth[f"still-{n}.jpg", 0] = shoot(world, schema, seconds, light, seed * 100_000 + 50_000 + n)
            coded = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            (source / f"still-{n}.jpg").write_bytes(coded.tobytes())
        night = next(start for start, light in SCENES if light.rain) * frames / FPS
        sidecar = {"weather": "clear", "road": "rural", "ranges": [{"start": night, "weather": "rain"}]}
        (source / "road.json").write_text(json.dumps(sidecar, indent=2) + "\n", encoding="utf-8")
        (source / "conditions.csv").write_text("file,weather,road\nstill-*.jpg,clear,rural\n", encoding="utf-8")
        lines = [json.dumps(record_to_dict(record, schema)) for record in _records(source, truth)]
        (Path(to) / "truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the sample can't be written to {to}: {error}", "name a folder that can be written to") from error
    return source


def preset_schema() -> Schema:
    """Return the schema of the driving preset."""
    path = Path(__file__).parent / "conf" / "preset" / "driving.yaml"
    return Schema.from_config(yaml.safe_load(path.read_text(encoding="utf-8"))["schema"])


def shoot(world: World, schema: Schema, seconds: float, light: Light, seed: int) -> tuple[Pixels, Labels]:
    """Return the picture (H, W, 3) that the camera takes after so many seconds, and what is truly in it."""
    s = EGO_SPEED * seconds
    canvas = world.canvas(s, light)
    for actor in CAST:
        actors.shadow(world, canvas, s, actor, seconds)
    things: list[tuple[float, Any]] = [(thing[0], thing) for thing in world.scenery(s)]
    things += [(actors.rear(world, s, actor, seconds), actor) for actor in CAST]
    drawn: list[Drawn] = []
    for _, thing in sorted(things, key=lambda pair: -pair[0]):
        if not isinstance(thing, Actor):
            world.draw_scenery(canvas, s, *thing[1:])
            continue
        outlines = actors.draw(world, canvas, s, thing, seconds)
        for name, polygons in actors.split(thing.kind, outlines).items():
            if polygons:
                track = thing.number + BICYCLE * (name == "bicycle")
                covered = _mark(canvas, polygons, len(drawn) + 1)
                ahead = world.place(s, *thing.at(seconds))[1]
                drawn.append(Drawn(name, track, ahead, polygons, covered))
    context = {"timeofday": light.timeofday, "weather": light.weather, "road": "rural"}
    labels = Labels.concat([_boxes(canvas, drawn, schema), _lanes(world, s, schema), Labels.empty(context)])
    return finish(canvas, np.random.default_rng(seed)), labels


def _boxes(canvas: Canvas, drawn: list[Drawn], schema: Schema) -> Labels:
    """Return the boxes of who can be seen: whole, as if nothing stood before them, and cut off at the picture's edge."""
    size = np.array([canvas.camera.width, canvas.camera.height], dtype=np.float64)
    visible = np.bincount(canvas.ids.ravel(), minlength=len(drawn) + 1)
    names, boxes, tracks = [], [], []
    attributes: dict[str, list[float]] = {"truncated": [], "occluded": [], "depth_m": []}
    for number, one in enumerate(drawn, 1):
        seen = visible[number] / max(one.covered, 1)
        inside = [part for polygon in one.polygons if len(part := _framed(polygon, size))]
        if seen < LEAST_SEEN or not inside:
            continue
        everything = np.concatenate(one.polygons)
        low, high = everything.min(axis=0), everything.max(axis=0)
        box = np.concatenate([np.concatenate(inside).min(axis=0), np.concatenate(inside).max(axis=0)])
        width, height = box[2:] - box[:2]
        if height < LEAST_HEIGHT or width < LEAST_HEIGHT / 4:
            continue
        names.append(one.name)
        boxes.append(box)
        tracks.append(one.track)
        attributes["truncated"].append(round(float(1 - width * height / (high - low).prod()), 3))
        attributes["occluded"].append(0 if seen > 0.95 else 1 if seen > 0.5 else 2)  # KITTI's levels
        attributes["depth_m"].append(round(max(one.ahead, 0.0), 2))
    ids = [schema.class_id(name) for name in names]
    return Labels.of(ids, np.reshape(boxes, (-1, 4)), track=tracks, attributes=attributes)


def _framed(polygon: Floats, size: Floats) -> Floats:
    """Return the part of a polygon (n, 2) that lies in the picture."""
    if polygon.min() >= 0 and (polygon <= size).all():
        return polygon
    for axis in (0, 1):
        for sign, limit in ((1, 0.0), (-1, -size[axis])):
            side = sign * polygon[:, axis] - limit
            if len(polygon) == 0 or (side >= 0).all():
                continue
            after, beyond = np.roll(polygon, -1, axis=0), np.roll(side, -1)
            crossing = (side >= 0) != (beyond >= 0)
            share = np.where(crossing, side, 0.0) / np.where(crossing, side - beyond, 1.0)
            cuts = polygon + (after - polygon) * share[:, None]
            kept = np.stack([side >= 0, crossing], axis=1).ravel()
            polygon = np.stack([polygon, cuts], axis=1).reshape(-1, 2)[kept]
    return polygon


def _lanes(world: World, s: float, schema: Schema) -> Labels:
    """Return the painted lines as polylines from near to far, where they are in the picture."""
    camera = world.camera
    near = camera.focal * camera.above / (camera.height - camera.horizon)
    ahead = np.geomspace(near, FAR, 400)
    shapes, attributes = [], {"marking": [], "position": [], "color": []}  # type: tuple[list[Floats], dict[str, list[str]]]
    for (lateral, marking, color), position in zip(LINES, POSITIONS, strict=True):
        points = camera.project(np.stack([lateral + world.road.shift(s, ahead), np.zeros_like(ahead), ahead], axis=1))
        seen = np.flatnonzero((points >= 0).all(axis=1) & (points <= (camera.width, camera.height)).all(axis=1))
        if len(seen) < 2:
            continue
        shapes.append(points[seen[np.unique(np.linspace(0, len(seen) - 1, 24).round().astype(int))]])
        for key, value in (("marking", marking), ("position", position), ("color", color)):
            attributes[key].append(value)
    return Labels.of([schema.class_id("lane")] * len(shapes), kind=Kind.POLYLINE, shape=shapes, attributes=attributes)


def _mark(canvas: Canvas, polygons: list[Floats], number: int) -> int:
    """Write `number` where the polygons cover the picture, and return how many pixels that is."""
    points = np.concatenate(polygons)
    low = np.clip(np.floor(points.min(axis=0)), 0, None).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, (canvas.camera.width, canvas.camera.height))
    if (high <= low).any():
        return 0
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [fixed(polygon - low)], 1, cv2.LINE_8, 4)
    canvas.ids[low[1] : high[1], low[0] : high[0]][mask > 0] = number
    return int(np.count_nonzero(mask))


def _light(share: float) -> Light:
    return next(light for start, light in reversed(SCENES) if share >= start)


class _Clip:
    """Write a clip: H.264 where this build of FFmpeg has it, else MPEG-4; a set number of threads makes the bytes repeatable."""

    def __init__(self, path: Path) -> None:
        codec, options = "mpeg4", {"qscale": "3"}
        if "libx264" in av.codecs_available:
            codec, options = "libx264", {"preset": "superfast", "crf": "18"}
        self._container = av.open(str(path), "w")
        self._stream: Any = self._container.add_stream(codec, rate=FPS, options=options)
        self._stream.codec_context.thread_count = 2
        self._count = 0

    def __enter__(self) -> _Clip:
        return self

    def add(self, pixels: Pixels) -> None:
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        if not self._count:
            self._stream.width, self._stream.height, self._stream.pix_fmt = frame.width, frame.height, "yuv420p"
        frame.pts, frame.time_base = self._count, Fraction(1, FPS)
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def __exit__(self, *_: object) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


def _records(source: Path, truth: dict[tuple[str, int], Labels]) -> Iterator[Record]:
    """Yield the truth under the items and frames that the loader gives."""
    loader = Recording(layout="files")
    for item in loader.items(str(source)) or ():
        image = loader.load(item)
        assert image is not None
        yield Record(item, truth[item.uri, item.index], (), Verdict.ACCEPT, "truth:sample", image.size, image.frame)
    loader.close("road.mp4")
