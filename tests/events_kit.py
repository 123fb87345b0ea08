"""A plugin whose clips have events: a drawn yard in which people walk, for tests of what happened and who says so.

    python tests/events_kit.py OUT [FRAMES [CLIPS]]

makes a project at OUT and says how to serve it. Each clip shows the same: person 1 crosses the yard, 2 stands about, 3 crosses
the other way, and in the middle another person goes on under that number; 4 carries a bag and comes late. The events lie where
`EVENTS` says, in shares of the clip: those of class `handover` want two people, the others one. The rule `identity` doubts the
track in which somebody is exchanged.
"""

from __future__ import annotations

import sys
from pathlib import Path

from toy import write as write_plugin

FPS = 8
# track -> class, first and last share of the clip, participants, place
EVENTS = {
    100: ("loitering", 0.30, 0.50, "2", "gate"),
    101: ("handover", 0.45, 0.60, "1,2", ""),
    102: ("intrusion", 0.75, 0.90, "4", "yard"),
}
SWITCH = 0.5  # share of the clip at which somebody else goes on as track 3

STAGES = '''
"""Stages of the events plugin; a source is a text file *.yard with a line for each clip: its name and number of frames."""

from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from hyla import Flag, Image, Item, Kind, Labels, Loader, Model, Rule, Severity, VideoFrame, hookimpl, item_id

FPS, SWITCH, EVENTS = CONSTANTS
SIZE = (360, 640)
COATS = {1: "#b8433c", 2: "#3d6fb0", 3: "#4c8a4a", 4: "#8a5aa8", -3: "#d79a2b"}


def share(item):
    return item.index / max(1, item.meta["length"] - 1)


def people(item):
    """Return track -> middle of the feet of who is in the picture."""
    t = share(item)
    found = {1: (30 + 580 * t, 300 + 12 * np.sin(9 * t)), 2: (330 + 18 * np.sin(20 * t), 235)}
    if not 0.62 < t < 0.68:
        found[3] = (610 - 560 * t, 335 - 20 * t)
    if t > 0.6:
        found[4] = (610 - 560 * (t - 0.6), 215 + 40 * (t - 0.6))
    return found


def box_of(track, feet):
    x, y = feet
    tall = 40 + 0.32 * (y - 150)
    return x - 0.24 * tall, y - tall, x + 0.24 * tall, y


class Yard(Loader):
    @hookimpl
    def items(self, source):
        path = Path(source)
        return self._items(path.read_text()) if path.suffix == ".yard" and path.exists() else None

    def _items(self, text):
        for line in text.splitlines():
            name, length = line.split()
            for i in range(int(length)):
                meta = {"length": int(length), "seconds": i / FPS}
                yield Item(item_id(name, i), name, name, i, "video_frame", meta)

    @hookimpl
    def load(self, item):
        height, width = SIZE
        picture = Pillow.new("RGB", (width, height), "#8f979c")
        pen = ImageDraw.Draw(picture)
        for k in range(14):
            pen.rectangle((0, 150 + 15 * k, width, 166 + 15 * k), fill=(150 - 3 * k, 152 - 3 * k, 150 - 4 * k))
        pen.rectangle((0, 0, width, 150), fill="#a7896e")
        for y in range(0, 150, 12):
            pen.line((0, y, width, y), fill="#97795f")
        pen.rectangle((280, 50, 372, 150), fill="#59422f")
        for x in range(290, 372, 14):
            pen.line((x, 52, x, 150), fill="#3f2e20", width=2)
        for x in (60, 150, 470, 560):
            pen.rectangle((x, 40, x + 46, 96), fill="#3e5566", outline="#d8cdb8", width=4)
        for track, (x, y) in sorted(people(item).items(), key=lambda one: one[1][1]):
            x0, y0, x1, y1 = box_of(track, (x, y))
            tall, coat = y1 - y0, COATS[-3 if track == 3 and share(item) >= SWITCH else track]
            pen.ellipse((x - 0.3 * tall, y - 0.06 * tall, x + 0.34 * tall, y + 0.05 * tall), fill="#767b7c")
            step = 0.1 * tall * np.sin(item.index / 1.3 + track)
            for leg in (step, -step):
                pen.line((x, y - 0.45 * tall, x + leg, y - 2), fill="#2c2f36", width=max(2, int(0.09 * tall)))
            pen.rounded_rectangle((x - 0.17 * tall, y - 0.82 * tall, x + 0.17 * tall, y - 0.38 * tall), 0.08 * tall, fill=coat)
            pen.ellipse((x - 0.1 * tall, y - tall, x + 0.1 * tall, y - 0.78 * tall), fill="#e0b794")
            if track == 4:
                pen.rectangle((x + 0.15 * tall, y - 0.45 * tall, x + 0.36 * tall, y - 0.22 * tall), fill="#22272b")
        # Its number in bits along the lower edge, so that a test can tell which frame is shown.
        for bit in range(10):
            white = (item.index >> bit) & 1
            pen.rectangle((bit * 8, height - 8, bit * 8 + 7, height), fill="white" if white else "black")
        seconds = item.index / FPS
        return Image(np.asarray(picture), item, VideoFrame(seconds, item.index, item.index * 125, (1, 1000)))


class Watcher(Model):
    def __init__(self, schema):
        self.schema = schema

    @hookimpl
    def predict(self, images):
        return [self._labels(image.item) for image in images]

    def _labels(self, item):
        there, t, last = people(item), share(item), item.meta["length"] - 1
        now = {track: one for track, one in EVENTS.items() if one[1] <= t <= one[2]}
        begins = {track: round(one[1] * last) / FPS for track, one in now.items()}
        n = len(there)
        blank = [None] * n
        return Labels.of(
            [self.schema.class_id("person")] * n + [self.schema.class_id(one[0]) for one in now.values()],
            [box_of(*one) for one in there.items()] + [(0, 0, SIZE[1], SIZE[0])] * len(now),
            score=[0.95] * n + [0.7] * len(now),
            kind=[Kind.BOX] * n + [Kind.TAG] * len(now),
            track=[*there, *now],
            attributes={
                "start": blank + [begins[track] for track in now],
                "end": blank + [item.index / FPS for _ in now],
                "participants": blank + [one[3] for one in now.values()],
                "place": blank + [one[4] or None for one in now.values()],
            },
        )


class Identity(Rule):
    """Doubt a track in the frame in which another person goes on under its number."""

    def __init__(self, name):
        self.name = name

    @hookimpl
    def check(self, item, labels):
        if item.index != int(np.ceil(SWITCH * (item.meta["length"] - 1))):
            return []
        rows = tuple(np.flatnonzero(labels.track == 3).tolist())
        return [Flag(self.name, "identity_switch", Severity.REVIEW, rows, "looks like somebody else")]
'''

PRESET = """
# @package _global_
# A yard with events, for tests of the review page.
defaults:
  - override /loader: yard
  - override /model: yard
schema:
  name: yard
  kinds: [box, tag, track]
  classes:
    person: {kinds: [box], color: "#38a169"}
    event: {abstract: true, kinds: [tag]}
    loitering: {parent: event, kinds: [tag], confirmations: 1}
    intrusion: {parent: event, kinds: [tag], confirmations: 1}
    handover: {parent: event, kinds: [tag], confirmations: 2}
  attributes:
    start: {type: number, unit: s, minimum: 0, classes: [event]}
    end: {type: number, unit: s, minimum: 0, classes: [event]}
    participants: {type: text, classes: [event]}
    place: {type: text, classes: [event]}
rules:
  identity: {_target_: hyla_yard.stages.Identity}
"""


def install(site: Path) -> Path:
    """Write the plugin into the folder `site`, which belongs on sys.path and PYTHONPATH; return it."""
    stages = STAGES.replace("CONSTANTS", repr((FPS, SWITCH, EVENTS)))
    write_plugin(site, "yard", "hyla_yard", stages, {"yard": PRESET})
    conf = site / "hyla_yard/conf"
    (conf / "loader/numbers.yaml").unlink()
    (conf / "model/toy.yaml").unlink()
    (conf / "loader/yard.yaml").write_text("_target_: hyla_yard.stages.Yard\n")
    (conf / "model/yard.yaml").write_text("_target_: hyla_yard.stages.Watcher\n")
    return site


def make_project(folder: Path, frames: int = 160, clips: int = 1) -> Path:
    """Run the yard into `folder`, in this process, where the plugin must be importable; return `folder`."""
    import hyla

    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "source.yard"
    source.write_text("".join(f"yard-{n} {frames}\n" for n in range(clips)))
    hyla.run(hyla.compose("yard", source=str(source), out=str(folder), progress=False))
    return folder


def main(words: list[str]) -> None:
    out = Path(words[0]).resolve()
    site = install(out / "site")
    sys.path.insert(0, str(site))
    make_project(out, *map(int, words[1:]))
    print(f"PYTHONPATH={site} hyla review {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
