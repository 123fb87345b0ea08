"""Turn labels of a scene into the class of each pixel, to learn from: areas, and points that say something of one pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hyla.geometry import decode, rasterize, rle_area
from hyla.schema import Schema
from hyla.types import Floats, Kind, Labels
from hyla_agriculture.network import Spec

IGNORE = 255  # in a raster of channels: nothing is known of this pixel


def truth_of(labels: Labels, schema: Schema, spec: Spec, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return the channel of each pixel (h, w) by polygons, masks and points; IGNORE where they say nothing.

    A label of a class that the network does not have counts as its nearest ancestor that it has; other labels are passed over. Of
    areas that overlap, the smaller stands, as a zone in its field; a point stands above areas. Where the network has a background
    (a class without a name), what is in no area of a scene with areas is background; a class `ignore` takes pixels away.
    """
    channels = {name: channel for channel, name in enumerate(spec.classes) if name}
    areas: list[tuple[float, int, int]] = []
    points: list[tuple[int, int]] = []
    for row in range(len(labels)):
        channel = _channel(int(labels.class_id[row]), schema, channels)
        kind = int(labels.kind[row])
        if channel is None:
            continue
        if kind == Kind.KEYPOINTS:
            points.append((row, channel))
        elif kind == Kind.MASK:
            areas.append((float(rle_area(labels.shape[row])), row, channel))
        elif kind == Kind.POLYGON:
            areas.append((_area(labels.shape[row]), row, channel))
    truth = np.full(size, IGNORE, np.uint8)
    if areas and "" in spec.classes:
        truth[...] = spec.classes.index("")
    for _, row, channel in sorted(areas, reverse=True):
        _paint(truth, labels, row, channel)
    for row, channel in points:
        x, y, visible = np.asarray(labels.shape[row]).T
        inside = (visible > 0) & (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0])
        truth[y[inside].astype(int), x[inside].astype(int)] = channel
    return truth


def _channel(class_id: int, schema: Schema, channels: dict[str, int]) -> int | None:
    name = schema.names[class_id]
    if name == "ignore":
        return channels.get(name, IGNORE)
    while name and name not in channels:
        name = schema.classes[schema.ids[name]].parent
    return channels.get(name)


def _area(rings: Sequence[Floats]) -> float:
    """Return about how large a polygon is: its outline."""
    x, y = np.asarray(rings[0]).T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _paint(truth: npt.NDArray[np.uint8], labels: Labels, row: int, channel: int) -> None:
    """Set the pixels of one area, looking only at the part of the raster that it is in."""
    if labels.kind[row] == Kind.MASK:
        truth[decode(labels.shape[row])] = channel
        return
    x0, y0 = np.maximum(np.floor(labels.box[row, :2]), 0).astype(int)
    x1, y1 = np.maximum(np.ceil(labels.box[row, 2:]), 0).astype(int)
    part = truth[y0:y1, x0:x1]
    part[rasterize([ring - (x0, y0) for ring in labels.shape[row]], part.shape)] = channel
