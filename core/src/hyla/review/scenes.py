"""Say at which other dates there is a scene of the place that a map shows.

Scenes of one place are items of one group. The page names them by their place in the group and not by their ids: a planted copy
of a scene stands where its original does, and its neighbours must not tell which of the two it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hyla.frame import Frame, MapFrame
from hyla.review import wire
from hyla.review.desk import Desk
from hyla.review.problems import Refused
from hyla.types import Item, Record

SLACK = 0.05  # pixels that two grids may be apart and still be the same


def told(desk: Desk, record: Record, blind: bool = False) -> list[wire.SceneInfo]:
    """Return the dates of the place of a map in their order, this one among them; none for what is no map or has no date at all.

    Args:
        desk: of the project.
        record: of the item, with the labels that the asking person may see.
        blind: the machine's facts about the pictures, which may hold their dates, are not told.
    """
    if not isinstance(record.frame, MapFrame):
        return []
    one = record.item
    others = [] if not one.group else [found for found in desk.project.beside(one.group) if found.item.index != one.index]
    scenes = [_scene(desk, record, one, True, True, blind)]
    scenes += [_scene(desk, record, o.item, False, same_grid(record.frame, record.size, o.frame, o.size), blind) for o in others]
    return sorted(scenes, key=lambda scene: scene.index) if others or scenes[0].date else []


def at(desk: Desk, item_id: str, index: int | None) -> str:
    """Return the item of the same place whose index in the group is `index`; the item itself for None.

    Raises:
        Refused: 404 if there is no such item, or no such date of it.
    """
    one = desk.media.record(item_id).item
    if index is None or index == one.index:
        return item_id
    for other in desk.project.beside(one.group) if one.group else ():
        if other.item.index == index and isinstance(other.frame, MapFrame):
            return other.item.id
    raise Refused(404, "scene", f"there is no scene number {index} of this place")


def same_grid(frame: Frame, size: Sequence[int], other: Frame, other_size: Sequence[int]) -> bool:
    """Tell whether each pixel of a picture lies on the pixel of another that has the same row and column."""
    if not (isinstance(frame, MapFrame) and isinstance(other, MapFrame)) or frame.crs != other.crs:
        return False
    height, width = size[-2:]
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)], dtype=np.float64)
    return tuple(size) == tuple(other_size) and bool(
        np.allclose(frame.to_pixels(other.to_world(corners)), corners, rtol=0, atol=SLACK)
    )


def _scene(desk: Desk, record: Record, item: Item, here: bool, same: bool, blind: bool) -> wire.SceneInfo:
    told = record.labels if here else None
    date = item.meta.get("date")
    if date is None and not blind and told is None:  # all labels are read for it, so only where nothing else tells
        machine = desk.project.record(item.id, "model")
        told = machine.labels if machine else None
    about = told.context if told else {}
    return wire.SceneInfo(
        index=item.index,
        name=item.uri,
        date=_text(about.get("date") if date is None else date),
        sensor=_text(item.meta.get("sensor", about.get("sensor"))),
        here=here,
        same=same,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
