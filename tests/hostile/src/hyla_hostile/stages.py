"""A loader, a model, a rule and a format that keep every promise, unless a setting `fault` names one to break."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hyla import (
    BadItem,
    Click,
    Flag,
    Format,
    Image,
    Item,
    Kind,
    Labels,
    Loader,
    Model,
    Record,
    Redactor,
    Rle,
    Rule,
    Schema,
    Verdict,
    VideoFrame,
    codec,
    hookimpl,
    item_id,
)
from hyla.geometry import encode

SIZE = (40, 60)


class Clips(Loader):
    """Read clips: files `NAME.clip` that hold the number of their frames, each a grey picture with a bright square."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.root = Path()
        self.calls = 0

    @hookimpl
    def items(self, source: str) -> Iterable[Item] | None:
        if self.fault == "greedy" and not Path(source).is_dir():
            return iter([Item("greedy", "greedy.clip")])
        if not Path(source).is_dir():
            return None
        self.root = Path(source)
        found = self._walk(self.root)
        return list(found) if self.fault == "list" else found

    def _walk(self, root: Path) -> Iterator[Item]:
        for path in sorted(root.glob("*.clip")):
            text = path.read_text()
            if not text and self.fault == "skips":
                continue
            for index in range(int(text or 1)):
                yield self._item(path.name, index)

    def _item(self, uri: str, index: int) -> Item:
        name = item_id(uri, index)
        if self.fault == "hash":
            name = f"{hash(uri)}-{index}"
        if self.fault == "double":
            name = item_id(uri, index // 2)
        meta: dict[str, Any] = {"seconds": index / 10, **({"seen": {1, 2}} if self.fault == "meta" else {})}
        return Item(name, uri, uri, 9 - index if self.fault == "backwards" else index, "video_frame", meta)

    @hookimpl
    def load(self, item: Item) -> Image:
        path = self.root / item.uri
        if self.fault == "invents" and not path.exists():
            return Image(np.zeros((*SIZE, 3), np.uint8), item)
        if not path.exists() or not path.read_text():
            raise BadItem(f"{item.uri} is missing or empty", "copy it again")
        place = item.index
        if self.fault == "counts":
            place, self.calls = self.calls % 6, self.calls + 1
        if self.fault == "thread" and threading.current_thread() is not threading.main_thread():
            place += 1
        pixels = np.full((*SIZE, 3), 30, np.uint8)
        x = 4 + 5 * place
        pixels[10:22, x : x + 12] = 200 + place
        if self.fault == "dtype":
            pixels = pixels.astype(np.int64)
        return Image(pixels, item, VideoFrame(seconds=item.index / 10, index=item.index), {"light": "day"})

    @hookimpl
    def state(self) -> Mapping[str, Mapping[str, Any]]:
        told = {"objects": {"state": "recorded", "seen": {1, 2}}, "sentence": {"state": "it is there"}}
        told["address"] = {"state": "lost", "error": "can't reach rtsp://bob:secret@host/live"}
        return {"gate": told.get(self.fault, {"state": "recorded", "frames": 3})}

    @hookimpl
    def reference(self, attributes: Mapping[str, Any]) -> Image | None:
        known = Image(np.full((*SIZE, 3), 200, np.uint8), Item("reference", "reference"))
        if self.fault == "asks":
            return known if attributes["bright"] else None
        if self.fault == "quotes":
            return "a bright square" if attributes else None  # type: ignore[return-value]
        return known if attributes.get("bright") is True or self.fault == "anything" else None


class Square(Model):
    """Find the bright square by a threshold: a box, a polygon around it, and a track that counts the frames of the clip."""

    def __init__(self, memory: bool = True, fault: str = "") -> None:
        if fault == "build":
            raise ValueError("this model can't be built")
        self.memory = memory
        self.fault = fault
        self.seen: dict[str, int] = {}
        self.last = 0.0
        self.grown = 0

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        if self.fault == "network":
            with suppress(Exception), socket.socket() as one:
                one.settimeout(0.001)
                one.connect(("192.0.2.1", 9))  # an address that RFC 5737 keeps for examples
        if self.fault == "eager":
            return [self._tracked(self._one(image, len(images)), image) for image in images]
        found = [self._one(image, len(images)) for image in images]  # memory changes only when nothing can fail any more
        return [self._tracked(labels, image) for labels, image in zip(found, images, strict=True)]

    def _one(self, image: Image, batch: int) -> Labels:
        bright = image.pixels[..., 0] > 100
        if not bright.any():
            return Labels.of([0], [[0, 0, 1, 1]], score=[np.nan]) if self.fault == "nothing" else Labels.empty()
        if self.fault == "paints":
            image.pixels[0, 0] = 255
        ys, xs = np.nonzero(bright)
        x0, y0, x1, y1 = int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
        if self.fault == "outside":
            x1 += 1000
        score = float(image.pixels.max()) / 255
        if self.fault == "batch":
            score -= batch / 1000
        if self.fault == "remembers":
            score, self.last = score - self.last / 1000, score
        ring = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)
        shape: Any = [ring] if self.fault == "loose" else (ring,)
        kinds, shapes = [Kind.BOX, Kind.POLYGON], [None, shape]
        return Labels.of([0, 0], [[x0, y0, x1, y1]] * 2, score=[score, 0.5], kind=kinds, shape=shapes)

    def _tracked(self, labels: Labels, image: Image) -> Labels:
        group = image.item.group
        if self.memory and group and len(labels):
            self.seen[group] = labels.track[0] = self.seen.get(group, -1) + 1
        return labels

    @hookimpl
    def forget(self, group: str) -> None:
        if self.fault != "keeps":
            self.seen.pop(group, None)

    @hookimpl
    def refine(self, image: Image, class_id: int, clicks: Sequence[Click], mask: Rle | None) -> Rle | None:
        bright = image.pixels[..., 0] > 100
        if self.fault == "smears":
            image.pixels[0, 0] = 255
        if self.fault == "grows":
            self.grown += 1
            bright[0, : self.grown] = True
        return encode(bright[1:] if self.fault == "cuts" else bright)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        return {} if self.fault == "anonymous" else {"name": "square"}


class Watch(Rule):
    """Flag bright squares, and the last picture of each clip."""

    def __init__(self, name: str, above: float = 0.8, fault: str = "") -> None:
        self.name = name
        self.above = above
        self.fault = fault
        self.calls = 0

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        self.calls += 1
        if self.fault == "empty" and labels.score.max() > 1:
            return []
        if self.fault == "changes" and len(labels):
            labels.score[0] *= 0.5
        rows = tuple(np.flatnonzero(labels.score > self.above).tolist())
        message = f"score above {self.above}"
        if self.fault == "counts":
            message += f" for the {self.calls}th time"
        if self.fault == "pid":  # of every picture, since which ones are done before a kill is up to the threads
            return [Flag(self.name, "bright", message=f"in process {os.getpid()}")]
        reason = "Too bright!" if self.fault == "reason" else "bright"
        return [Flag(self.name, reason, rows=rows, message=message)] if rows else []

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> list[tuple[str, Flag]]:
        last = None
        for record in list(records) if self.fault == "hoards" else records:
            last = record.item.id
        return [(last, Flag(self.name, "last_of_clip", message="the last picture of its clip"))] if last else []

    @hookimpl
    def route(self, item: Item, labels: Labels, flags: Sequence[Flag]) -> Verdict | None:
        return "review" if self.fault == "route" else None  # type: ignore[return-value]


class Cover(Redactor):
    """Paint the boxes of all labels black."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.calls = 0

    @hookimpl
    def redact(self, image: Image, labels: Labels) -> Image | None:
        if self.fault == "silent":
            return None
        pixels = image.pixels if self.fault == "scrawls" else image.pixels.copy()
        self.calls += 1
        for x0, y0, x1, y1 in labels.box.astype(int):
            if self.fault == "tints":
                pixels[y0:y1, x0:x1] //= 2
            elif self.fault != "idles":
                pixels[y0:y1, x0:x1] = self.calls if self.fault == "flickers" else 0
        return replace(image, pixels=pixels[1:] if self.fault == "trims" else pixels)


class Lines(Format):
    """Write one JSON line per picture."""

    name = "lines"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        lines = [json.dumps({"at": time.time_ns()})] if self.fault == "time" else []
        for record in records:
            keep = record.labels.kind != Kind.POLYGON if self.fault == "drops" else slice(None)
            labels = record.labels[keep]
            if self.fault == "forgets":
                labels = replace(labels, track=np.full(len(labels), -1))
            lines.append(json.dumps(codec.record_to_dict(replace(record, labels=labels), schema)))
        (out / "lines.jsonl").write_text("\n".join(lines))
        return {}

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        for line in (path / "lines.jsonl").read_text().splitlines():
            yield codec.record_from_dict(json.loads(line), schema)
