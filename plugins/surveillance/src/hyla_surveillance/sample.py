"""Make a sample that needs no data: three cameras for some minutes, drawn, with true tracks and events.

`gate` sees people pass, one who loiters, one who leaves a bag, an intruder, a runner, one who goes against the marked way,
one who falls, and a car. `yard` is in infrared, in the night in which clocks go forward, with an intruder. `store` sees nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import yaml

from hyla.codec import record_to_dict
from hyla.errors import ConfigError
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.types import Floats, Labels, Record, Verdict
from hyla_surveillance.clips import write_clip
from hyla_surveillance.events import FIRST_EVENT, Event, to_labels
from hyla_surveillance.loaders import Recordings
from hyla_surveillance.sample_scene import HEIGHT, WIDTH, Actor, Pixels, Scene, ground

FOLD = ("person", "vehicle", "object")  # of the demo: what moves, by its family; each event by its own name
FPS = 8
LEAST_HEIGHT, LEAST_SEEN = 12.0, 0.25  # px and share: less of somebody is no label
ZONE = "Europe/Berlin"
LANE = ((5.5, 8.0), (7.5, 8.0), (7.5, 22.0), (5.5, 22.0))
BEDS = ((-7.5, 17.0), (-3.5, 17.0), (-3.5, 22.0), (-7.5, 22.0))
DOOR = ((-5.5, 9.0), (-5.5, 14.0))
DEPOT = ((-3.0, 9.0), (3.0, 9.0), (3.0, 16.0), (-3.0, 16.0))


@dataclass(frozen=True)
class Shot:
    """Hold one camera of the sample: what happens before it, and what is true of that.

    Args:
        name: of the camera, and of its clip.
        seconds: that the clip lasts.
        start: when it begins.
        cast: who and what is in it.
        events: what a person would confirm: with the seconds at which it began, from when on it is sure, and until when.
        zones, lines: as the camera's YAML has them, in metres on the ground.
        infrared: night mode.
    """

    name: str
    seconds: float
    start: datetime
    cast: Sequence[Actor] = ()
    events: Sequence[tuple[Event, float]] = ()
    zones: Sequence[tuple[str, Sequence[tuple[float, float]], dict[str, Any]]] = ()
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]] = ()
    infrared: bool = False


def _event(
    number: int, name: str, begun: float, sure: float, end: float, who: tuple[int, ...], place: str = "", way: str = ""
) -> Any:
    return Event(name, FIRST_EVENT + number, begun, end, who, place, way, 1.0), sure


WANDER = [(t, 2.0 + 0.9 * np.sin(t * 0.55), 11.0 + 0.8 * np.cos(t * 0.4)) for t in range(14, 71, 4)]
GATE = Shot(
    "gate",
    112.0,
    datetime(2026, 3, 27, 13, 0, tzinfo=UTC),
    (
        Actor(1, "person", [(0, -9, 13), (13.5, 9.5, 13.5)], (150, 44, 40), (40, 42, 60)),
        Actor(2, "person", [(5, 9.5, 15), (19, -9.5, 15)], (60, 96, 150), (60, 54, 46), tall=1.68),
        Actor(3, "person", [(8, 9.5, 11.5), *WANDER, (79, -9, 10.2)], (70, 76, 62), (34, 36, 40), tall=1.82),
        Actor(4, "person", [(18, -9.5, 16), (25, -1.0, 16.5), (27.5, -1.0, 16.5), (36, 10, 19)], (176, 160, 60), (70, 64, 80)),
        Actor(5, "bag", [(25.6, -0.6, 16.2), (112, -0.6, 16.2)], (36, 40, 92), (20, 20, 30)),
        Actor(6, "person", [(38, -10, 19.5), (41.5, -5, 19.6), (46.5, -4.8, 19.4), (50.5, -10, 20)], (40, 40, 44), (30, 30, 36)),
        Actor(7, "person", [(52, 9.5, 14), (56.4, -9, 12.6)], (196, 86, 36), (28, 28, 32), tall=1.78),
        Actor(8, "person", [(58, 6.5, 24), (69.5, 6.4, 8.2), (71.5, 9, 7)], (96, 130, 84), (60, 56, 50), tall=1.62),
        Actor(9, "person", [(72, 6.4, 7), (84, 6.6, 24)], (130, 96, 150), (40, 44, 72)),
        Actor(
            10,
            "person",
            [(83, 10, 18.2), (88.4, 3.0, 18.0), (98.5, 2.9, 18.0), (104.5, 10.5, 17.2)],
            (190, 190, 186),
            (70, 70, 78),
            falls=((88.4, 96.0),),
        ),
        *(
            Actor(
                11 + i, "person", [(60 + 0.3 * i, -10 - i, 24 + i), (74 + 0.3 * i, 9.5, 24.4 + i)], shirt, (48, 50, 60), tall=tall
            )
            for i, (shirt, tall) in enumerate((((120, 60, 96), 1.6), ((80, 110, 110), 1.74), ((150, 130, 100), 1.86)))
        ),
        Actor(14, "car", [(29, -16, 29), (34, 16, 29)], (150, 24, 30)),
    ),
    (
        _event(0, "line_crossing", 2.55, 2.55, 3.55, (1,), "door", "in"),
        _event(1, "intrusion", 39.75, 40.75, 47.9, (6,), "beds"),
        _event(2, "loitering", 12.5, 42.5, 71.5, (3,)),
        _event(3, "running", 52.0, 53.0, 56.4, (7,)),
        _event(4, "line_crossing", 55.5, 55.5, 56.5, (7,), "door", "out"),
        _event(5, "wrong_way", 59.4, 61.4, 69.6, (8,), "lane"),
        _event(6, "line_crossing", 76.3, 76.3, 77.3, (3,), "door", "out"),
        _event(7, "abandoned_object", 25.6, 85.6, 112.0, (5, 4)),
        _event(8, "fall", 88.4, 90.8, 96.2, (10,)),
    ),
    (("beds", BEDS, {"purpose": "restricted"}), ("lane", LANE, {"purpose": "one_way", "direction": [0, 1]})),
    (("door", DOOR),),
)
YARD = Shot(
    "yard",
    36.0,
    datetime(2026, 3, 29, 0, 59, 50, tzinfo=UTC),  # ten seconds before 2:00 becomes 3:00
    (
        Actor(1, "person", [(6, -9, 11), (12, -1.5, 12), (20, 1.5, 12.5), (27, 9.5, 11)], (214, 214, 218), (168, 168, 172)),
        Actor(2, "person", [(16, 9.5, 21), (32, -10, 22)], (190, 190, 190), (70, 70, 76), tall=1.7),
    ),
    (_event(0, "intrusion", 10.9, 11.9, 21.6, (1,), "depot"),),
    (("depot", DEPOT, {"purpose": "restricted", "schedule": [{"begin": "22:00", "end": "06:00"}]}),),
    infrared=True,
)
STORE = Shot("store", 10.0, datetime(2026, 3, 27, 13, 0, tzinfo=UTC))
SHOTS = (GATE, YARD, STORE)


def write(to: Path, seconds: float | None = None, seed: int = 0) -> Path:
    """Write the sample below `to`, and return the folder to label: gate.mp4, yard.mp4, store.mp4 and a YAML for each camera.

    The clips have 640 x 480 pixels and 8 frames per second. Beside the folder lies truth.jsonl, with a record for each frame, in
    their order and under the ids of the loader.

    Args:
        to: folder to write into; made if it is not there.
        seconds: of each clip at most; all of it if not given.
        seed: of paving and grain.

    Raises:
        ConfigError: if `to` can't be written to.
    """
    source = Path(to) / "site"
    try:
        (source / "cameras").mkdir(parents=True, exist_ok=True)
        schema = preset_schema()
        truth: dict[tuple[str, int], Labels] = {}
        for shot in SHOTS:
            text = yaml.safe_dump(settings(shot), sort_keys=False)
            (source / "cameras" / f"{shot.name}.yaml").write_text(text, encoding="utf-8")
            write_clip(source / f"{shot.name}.mp4", _pictures(shot, schema, seconds, seed, truth))
        lines = [json.dumps(record_to_dict(record, schema)) for record in _records(source, truth)]
        (Path(to) / "truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the sample can't be written to {to}: {error}", "name a folder that can be written to") from error
    return source


def preset_schema() -> Schema:
    """Return the schema of the surveillance preset."""
    path = Path(__file__).parent / "conf" / "preset" / "surveillance.yaml"
    return Schema.from_config(yaml.safe_load(path.read_text(encoding="utf-8"))["schema"])


def settings(shot: Shot) -> dict[str, Any]:
    """Return the YAML of a camera."""
    corners = ((-6.0, 8.0), (6.0, 8.0), (8.0, 26.0), (-8.0, 26.0))
    found: dict[str, Any] = {
        "camera": shot.name,
        "size": [HEIGHT, WIDTH],
        "timezone": ZONE,
        "start": shot.start.isoformat(),
        "ground": {"image": _plain(ground(corners)), "metres": [list(c) for c in corners]},
        "legal_basis": "a drawn scene: nobody is recorded",
        "retention_hours": 72,
        "declared": {"site": "sample", "light": "infrared" if shot.infrared else "visible"},
    }
    if shot.zones:
        found["zones"] = {name: {**more, "polygon": _plain(ground(corners))} for name, corners, more in shot.zones}
    if shot.lines:
        found["lines"] = {name: {"points": _plain(ground(points))} for name, points in shot.lines}
    return found


def shoot(scene: Scene, shot: Shot, schema: Schema, number: int) -> tuple[Pixels, Labels]:
    """Return frame `number` of a camera (H, W, 3), and what is truly in it."""
    seconds = number / FPS
    clock = (shot.start + timedelta(seconds=seconds)).astimezone(ZoneInfo(ZONE))
    pixels, seen = scene.shoot(shot.cast, seconds, number, f"{shot.name}  {clock:%Y-%m-%d %H:%M:%S}")
    return pixels, Labels.concat([_boxes(shot, seen, schema), _told(shot, seconds, schema)])


def _boxes(shot: Shot, seen: dict[int, tuple[Floats, float]], schema: Schema) -> Labels:
    shown = {a.track: a.name for a in shot.cast}
    kept = [
        (shown[track], track, box, share)
        for track, (box, share) in sorted(seen.items())
        if share >= LEAST_SEEN and (box[3] - box[1] >= LEAST_HEIGHT or shown[track] != "person")
    ]
    return Labels.of(
        [schema.class_id(name) for name, *_ in kept],
        np.reshape([box for *_, box, _ in kept], (-1, 4)),
        track=[track for _, track, *_ in kept],
        attributes={"visibility": [round(share, 3) for *_, share in kept]} if kept else None,
    )


def _told(shot: Shot, seconds: float, schema: Schema) -> Labels:
    now = [replace(event, end=seconds) for event, sure in shot.events if sure <= seconds < event.end]
    return to_labels(now, schema, (HEIGHT, WIDTH))


def _pictures(
    shot: Shot, schema: Schema, seconds: float | None, seed: int, truth: dict[tuple[str, int], Labels]
) -> Iterator[tuple[float, Pixels]]:
    scene = Scene(seed + SHOTS.index(shot), shot.infrared, [corners for _, corners, _ in shot.zones])
    for i in range(round(min(shot.seconds, seconds or shot.seconds) * FPS)):
        pixels, truth[f"{shot.name}.mp4", i] = shoot(scene, shot, schema, i)
        yield i / FPS, pixels


def _records(source: Path, truth: dict[tuple[str, int], Labels]) -> Iterator[Record]:
    """Yield the truth under the items and frames that the loader gives."""
    loader = Recordings()
    for item in loader.items(str(source)) or ():
        frame = VideoFrame(float(item.meta["seconds"]), item.index)
        yield Record(item, truth[item.uri, item.index], (), Verdict.ACCEPT, "truth:sample", (HEIGHT, WIDTH), frame)


def _plain(points: Floats) -> list[list[float]]:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]
