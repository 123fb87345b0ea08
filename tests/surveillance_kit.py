"""What tests of the surveillance plugin share: its schema, its rules as a run builds them, boxes, events and clips."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np
import yaml

from hyla import plugins
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.types import Flag, Image, Item, Labels, Record
from hyla_surveillance.events import FIRST_EVENT, Event, to_labels

CONF = resources.files("hyla_surveillance") / "conf"
SCHEMA = Schema.from_config(yaml.safe_load((CONF / "preset" / "surveillance.yaml").read_text(encoding="utf-8"))["schema"])
RULES = yaml.safe_load((CONF / "rules" / "surveillance.yaml").read_text(encoding="utf-8"))
SIZE = (480, 640)


def rule(rule_name: str, **changes: Any) -> Any:
    """Build a rule as a run does: from the preset's YAML, with some settings changed, and without cameras."""
    node = {key: None if key == "cameras" else "" if key == "source" else value for key, value in RULES[rule_name].items()}
    return plugins.build({**node, **changes}, f"rules.{rule_name}", schema=SCHEMA)


def item(index: int = 0, **meta: Any) -> Item:
    """Return frame `index` of a clip of camera `gate`."""
    return Item(f"gate-{index:04d}", "gate.mp4", "gate.mp4", index, "video_frame", {"camera": "gate", "size": list(SIZE), **meta})


def boxes(*rows: tuple[Any, ...], context: dict[str, Any] | None = None, evidence: Any = None, **attributes: Any) -> Labels:
    """Return boxes given as (class, track, x0, y0, x1, y1) or with a score at the end."""
    return Labels.of(
        [SCHEMA.class_id(row[0]) for row in rows],
        [row[2:6] for row in rows],
        track=[row[1] for row in rows],
        score=[row[6] if len(row) > 6 else 1.0 for row in rows],
        attributes=attributes,
        context=context,
        evidence=evidence,
    )


def event(name: str = "loitering", number: int = 0, **evidence: float) -> Labels:
    """Return one event as a label."""
    return to_labels([Event(name, FIRST_EVENT + number, 1.0, 2.0, (3,), evidence=evidence)], SCHEMA, SIZE)


def clip(*frames: Labels, fps: float = 8.0, seconds: Any = None, **meta: Any) -> list[Record]:
    """Return the records of a clip, a frame each."""
    at = [i / fps for i in range(len(frames))] if seconds is None else list(seconds)
    return [Record(item(i, **meta), labels, (), size=SIZE, frame=VideoFrame(at[i], i)) for i, labels in enumerate(frames)]


def told(of: Any, labels: Labels, **meta: Any) -> list[Flag]:
    """Return what a rule finds on one frame."""
    return list(of.check(item(**meta), labels))


def frame(index: int, seconds: float | None = None, pixels: Any = None, group: str = "gate.mp4") -> Image:
    """Return a black frame of a clip, or one of these pixels."""
    shown = np.zeros((*SIZE, 3), np.uint8) if pixels is None else pixels
    one = Item(f"{group}-{index:04d}", group, group, index, "video_frame", {"camera": "gate"})
    return Image(shown, one, VideoFrame(index / 8 if seconds is None else seconds, index))
