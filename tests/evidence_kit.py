"""A project of one clip of a camera, drawn and labelled here, whose events people can answer: for tests of what leaves it."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from hyla.frame import VideoFrame
from hyla.hooks import Format
from hyla.pictures import Pictures
from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.types import Item, Kind, Labels, Record, Verdict, item_id
from hyla_surveillance.clips import write_clip
from hyla_surveillance.events import FIRST_EVENT, Event, to_labels
from hyla_surveillance.loaders import Recordings
from surveillance_kit import SCHEMA

SIZE = (120, 160)
FPS, FRAMES = 4, 80  # 20 s
UTC0 = 1_774_746_000.0  # 2026-03-29T01:00:00Z: the hour in which Berlin's clocks go forward
LOADER = {"_target_": "hyla_surveillance.loaders.Recordings", "cameras": None, "fps": None}
MOSAIC = {"_target_": "hyla_surveillance.redact.Mosaic", "cameras": None, "source": ""}
FACE = (30, 20, 54, 44)  # where a face is in each frame: noise, so that what is left of it can be measured
# name -> track, first and last frame that carry it, start in seconds, participants
EVENTS = {"loitering": (0, 32, 48, 6.0, (3,)), "intrusion": (1, 40, 44, 9.5, (3, 4)), "fall": (2, 60, 62, 14.75, (4,))}


def picture(index: int) -> np.ndarray:
    """Return a frame (H, W, 3): grey, with noise where the face is."""
    pixels = np.full((*SIZE, 3), 90 + index % 8, np.uint8)
    x0, y0, x1, y1 = FACE
    pixels[y0:y1, x0:x1] = np.random.default_rng(7).integers(0, 256, (y1 - y0, x1 - x0, 3))
    return pixels


def labels(index: int) -> Labels:
    """Return what the machine says of a frame; its face is missed in every tenth."""
    people = Labels.of(
        [SCHEMA.class_id("person")] * 2,
        [[25, 15, 60, 110], [80 + index % 40, 30, 110 + index % 40, 115]],
        track=[3, 4],
        score=[0.9, 0.8],
    )
    face = Labels.of([SCHEMA.class_id("face")], [FACE], score=[0.7], attributes={"subject": [3]})
    events = [
        Event(
            name,
            FIRST_EVENT + n,
            start,
            index / FPS,
            who,
            "yard",
            score=0.7,
            evidence={"dwell_s": index / FPS - start, "fps": 4.0},
        )
        for name, (n, first, last, start, who) in EVENTS.items()
        if first <= index <= last
    ]
    match = Labels.of([SCHEMA.class_id("candidate_match")], [[25, 15, 60, 110]], track=[3], attributes={"entry": ["17"]})
    parts = [
        people,
        *([match] if index == 40 else []),
        *([face] if index % 10 != 5 else []),
        *([to_labels(events, SCHEMA, SIZE)] if events else []),
    ]
    found = Labels.concat(parts)
    found.context.update(camera="gate", site="works")
    return found


def frame(index: int, rows: Any = (), name: str = "gate.mp4", **more: Any) -> Record:
    """Return a frame of 240 x 320 with `rows`: (class, track, box)."""
    labels = Labels.of([SCHEMA.class_id(c) for c, _, _ in rows], [b for _, _, b in rows], track=[t for _, t, _ in rows], **more)
    item = Item(item_id(name, index), name, name, index, "video_frame", {"seconds": index / 25})
    return Record(item, labels, size=(240, 320), frame=VideoFrame(index / 25, index, index * 512, (1, 12800)))


def walk(
    n: int = 20, stride: int = 1, start: float = 0.0, tracks: tuple[int, ...] = (1, 2), name: str = "gate.mp4"
) -> list[Record]:
    """Return `n` frames in which two people walk beside each other."""
    return [
        frame(
            i,
            [("person", t, [20 + 2 * i + start, 20 + 80 * k, 60 + 2 * i + start, 95 + 80 * k]) for k, t in enumerate(tracks)],
            name,
        )
        for i in range(0, n * stride, stride)
    ]


class Watched:
    """Hold the project, and answer in it as people do."""

    def __init__(
        self,
        folder: Path,
        redact: dict[str, Any] | None = MOSAIC,
        frames: int = FRAMES,
        schema: Schema = SCHEMA,
        **more: Any,
    ) -> None:
        source = folder / "source"
        source.mkdir(parents=True)
        write_clip(source / "gate.mp4", ((i / FPS, picture(i)) for i in range(frames)), quality=10)
        self.project, self.keys, self.schema = Project.create(folder / "project"), count(), schema
        settings = {"loader": LOADER, **({"redact": redact} if redact else {}), **more}
        self.project.start_run(settings, schema, str(source), {}, {"name": "toy", "digest": "0f"})
        loader = Recordings(cameras=None, fps=None)
        self.records = []
        for item in loader.items(str(source)) or ():
            image = loader.load(item)
            assert image is not None
            meta = {**item.meta, "utc": UTC0 + float(item.meta["seconds"])}
            item = type(item)(item.id, item.uri, item.group, item.index, item.kind, meta)
            one = Record(item, labels(item.index), (), Verdict.ACCEPT, "model:toy@0f", SIZE, image.frame)
            self.records.append(one)
        loader.close("gate.mp4")
        self.project.write([Stored(one, n, 0.0) for n, one in enumerate(self.records)])

    @property
    def pictures(self) -> Pictures:
        """Return the pictures as a verb of the command line gives them to a format."""
        return Pictures(self.project.source(), self.project.settings()["loader"], self.schema, self.project)

    def of(self, name: str) -> list[str]:
        """Return the ids of the frames that carry an event."""
        return [one.item.id for one in self.records if SCHEMA.class_id(name) in one.labels.class_id]

    def answer(self, who: str, name: str, action: str = "accept") -> None:
        """Say of every frame of an event that it, and it alone, is right; or take it out (reject)."""
        for one in self.of(name):
            held = self.project.record(one)
            assert held is not None
            event = (held.labels.class_id == SCHEMA.class_id(name)) & (held.labels.kind == Kind.TAG)
            rows = tuple(np.flatnonzero(event).tolist())
            self.project.decide(one, action, who=who, key=f"k{next(self.keys)}", rows=rows)

    def export(self, form: Format, out: Path) -> dict[str, int]:
        """Write what may leave the project, as `hyla export` does."""
        return dict(form.export(self.project.released(), self.schema, out) or {})
