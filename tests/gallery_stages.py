"""Stages of the gallery: items of every kind, made by their own code from their names, and a model that knows what it drew.

A source is a text file named *.gallery with lines `KIND COUNT [MORE]`:

    photo 60 9     60 photos of 640 x 480 with 9 labels each, of every kind of geometry in turn
    clip 1 60      a clip of 60 frames, in which one of three tracks changes its identity half-way
    volume 1       a CT phantom of 40 x 128 x 128 voxels; `oblique 1`: turned, and counted from the head down
    raster 1       a GeoTIFF of 1200 x 1000 pixels, 4 bands; `part 1`: an item that is a part of it
    series 1 24    a place at three dates, with 24 fields and a few samples taken on the ground
    huge 1         a picture of 100 megapixels; `tiny 1`: labels of a pixel; `empty 1`: no labels
    broken 1       a picture that was there during the run, and whose file is then deleted

Files lie in a folder beside the source, all made when that folder is not there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import gallery_scenes as scenes
from hyla import Flag, Image, Item, Kind, Labels, Loader, Model, PatientFrame, Rule, Severity, VideoFrame, hookimpl
from hyla.errors import ConfigError
from hyla.geometry import decode, encode
from hyla.images import inside, read_image
from hyla.types import item_id

RUBBED = 4


class Gallery(Loader):
    def __init__(self):
        self.root = Path()

    @hookimpl
    def items(self, source):
        path = Path(source)
        if path.suffix != ".gallery":
            return None
        self.root = path.parent.resolve()
        wanted = [line.split() for line in path.read_text().splitlines() if line.strip()]
        if len({words[0] for words in wanted}) < len(wanted):
            raise ConfigError("a kind is named twice in the source", "write one line for each kind")
        files = path.with_suffix(".files")
        if not files.exists():
            files.mkdir()
            for kind, count, *more in wanted:
                for n in range(int(count)):
                    scenes.write_file(kind, n, files, *map(int, more))
        return (item for kind, count, *more in wanted for item in self._items(kind, int(count), files.name, *map(int, more)))

    def _items(self, kind, count, files, more=0):
        for n in range(count):
            name = f"{kind}-{n:04d}"
            meta = {"made": kind, "number": n}
            if kind == "clip":
                length = more or 60
                for i in range(length):
                    yield Item(item_id(name, i), name, name, i, "video_frame", {**meta, "length": length, "seconds": i / 25})
            elif kind == "series":
                for i, date in enumerate(scenes.DATES):
                    uri, about = f"{files}/{name}-{i}.tif", {**meta, "date": date, "sensor": "sentinel2", "fields": more or 24}
                    yield Item(item_id(name, i), uri, name, i, "scene", about)
            elif kind in ("raster", "part"):
                window = {"window": scenes.PART} if kind == "part" else {}
                yield Item(item_id(name), f"{files}/{name}.tif", kind="tile", meta={**meta, **window})
            elif kind in ("huge", "broken"):
                yield Item(item_id(name), f"{files}/{name}.jpg", meta=meta)
            else:
                word = "series" if kind in ("volume", "oblique") else "image"
                yield Item(
                    item_id(name), f"{name} <b>&amp;</b>" if kind == "empty" else name, "", 0, word, {**meta, "labels": more or 9}
                )

    @hookimpl
    def load(self, item):
        kind, number = item.meta["made"], item.meta["number"]
        if kind in ("volume", "oblique"):
            frame = PatientFrame(scenes.affine(kind == "oblique"), "1.2.3")
            context = {"modality": "CT", "slice_uncertainty": scenes.uncertainty().tolist(), "light": "day"}
            return Image(scenes.phantom()[0], item, frame, context, volume=True)
        if kind in ("raster", "part", "series"):
            return scenes.read_raster(inside(self.root, item.uri), item)
        if kind in ("huge", "broken"):
            return Image(read_image(inside(self.root, item.uri)), item)
        if kind == "clip":
            return Image(scenes.draw_frame(item), item, VideoFrame(item.index / 25, item.index, item.index * 40, (1, 1000)))
        day = "night" if number % 3 == 2 else "day"
        context = {
            "light": day,
            "wet": number % 2 == 0,
            "temperature": number % 30 - 5.5,
            "caption": f"Photo {number}",
            "people": 1,
        }
        return Image(scenes.draw_photo(item), item, VideoFrame(index=number, intrinsics=scenes.INTRINSICS), context)


class Oracle(Model):
    """Propose what was drawn, a little less sure of one label in each photo."""

    def __init__(self, schema):
        self.schema = schema

    @hookimpl
    def predict(self, images):
        return [self._labels(image) for image in images]

    def _labels(self, image):
        rows = scenes.scene(image.item)
        if not rows:
            return Labels.empty()
        names, kinds, shapes, boxes, scores, tracks = zip(*rows, strict=True)
        ids = np.array([self.schema.class_id(name) for name in names])
        n = np.arange(len(ids))
        vehicle = np.isin(ids, self.schema.under("vehicle"))
        attributes = {
            "occluded": [bool(i % 3 == 0) if i % 4 else None for i in n],
            "count": [int(i % 10) for i in n],
            "length": [round(0.5 + i % 40, 1) for i in n],
            "note": ["<b>bold</b>" if i % 7 == 3 else None for i in n],
            "colour": ["red" if v else None for v in vehicle],
        }
        if image.volume:
            attributes = {}
        if image.item.meta["made"] == "series":
            attributes = scenes.field_facts(image.item)
        return Labels.of(
            ids,
            np.array(boxes, dtype=float),
            score=np.array(scores),
            kind=np.array(kinds, dtype=np.uint8),
            shape=list(shapes),
            track=np.array(tracks),
            attributes=attributes,
            evidence={"margin": np.round(np.array(scores) / 2, 3)},
        )

    @hookimpl
    def refine(self, image, class_id, clicks, mask):
        """Add what was drawn under each click inside to the mask, and cut a square of RUBBED pixels around each outside."""
        drawn = [decode(shape) for _, kind, shape, *_ in scenes.scene(image.item) if kind == Kind.MASK]
        found = np.zeros(image.size, bool) if mask is None else decode(mask)
        volume = found.reshape(-1, *image.size[-2:])
        for z, y, x in ((c.z, int(c.y), int(c.x)) for c in clicks if c.inside):
            for one in drawn:
                if one.reshape(volume.shape)[z, y, x]:
                    found |= one
        for z, y, x in ((c.z, int(c.y), int(c.x)) for c in clicks if not c.inside):
            volume[z, max(0, y - RUBBED) : y + RUBBED, max(0, x - RUBBED) : x + RUBBED] = False
        return encode(found) if found.any() else None

    @hookimpl
    def provenance(self):
        return {"name": "gallery", "digest": "0" * 64}


class LowScore(Rule):
    def __init__(self, name: str, below: float = 0.5):
        self.name, self.below = name, below

    @hookimpl
    def check(self, item, labels):
        rows = tuple(np.flatnonzero(labels.score < self.below).tolist())
        return [Flag(self.name, "low_score", Severity.REVIEW, rows, f"score below {self.below}")] if rows else []


class OddSize(Rule):
    """Flag boxes that are wider than `ratio` times their height."""

    def __init__(self, name: str, ratio: float = 3.0):
        self.name, self.ratio = name, ratio

    @hookimpl
    def check(self, item, labels):
        odd = (labels.kind != Kind.TAG) & (labels.width > self.ratio * np.maximum(labels.height, 1e-9))
        rows = tuple(np.flatnonzero(odd).tolist())
        return [Flag(self.name, "odd_size", Severity.REVIEW, rows, f"wider than {self.ratio} times its height")] if rows else []


class Every(Rule):
    """Flag every n-th photo as a whole, with one severity."""

    def __init__(self, name: str, severity: str, n: int, first: int):
        self.name, self.severity, self.n, self.first = name, Severity(severity), n, first

    @hookimpl
    def check(self, item, labels):
        hit = item.meta["made"] == "photo" and item.meta["number"] % self.n == self.first
        return [Flag(self.name, self.name, self.severity, (), f"one photo in {self.n}")] if hit else []


class TrackSwitch(Rule):
    """Flag a label whose track begins where another track of the same class just ended."""

    def __init__(self, name: str, px: float = 30.0):
        self.name, self.px = name, px

    @hookimpl
    def check_group(self, records):
        found, before, seen = [], None, set()
        for record in records:
            labels = record.labels
            for row in range(len(labels)) if before is not None else ():
                track = int(labels.track[row])
                gone = ~np.isin(before.track, labels.track) & (before.class_id == labels.class_id[row])
                near = np.abs(before.box - labels.box[row]).max(axis=1) < self.px
                if track not in seen and (gone & near).any():
                    old = int(before.track[np.argmax(gone & near)])
                    message = f"track {track} begins where track {old} ends"
                    found.append((record.item.id, Flag(self.name, "track_switch", Severity.REVIEW, (row,), message)))
            seen.update(labels.track.tolist())
            before = labels
        return found
