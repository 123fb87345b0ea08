"""Say where a pixel of a map is in the world, and which pixel lies at a place."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Path, Query

from hyla.frame import Frame, MapFrame
from hyla.review import wire
from hyla.review.access import DeskDep, ViewerDep
from hyla.review.problems import Refused

router = APIRouter()
WGS84 = "EPSG:4326"
ItemId = Annotated[str, Path(max_length=300)]
Coordinate = Annotated[float, Query(allow_inf_nan=False, ge=-1e9, le=1e9)]
Longitude = Annotated[float, Query(allow_inf_nan=False, ge=-180, le=180)]
Latitude = Annotated[float, Query(allow_inf_nan=False, ge=-90, le=90)]


@router.get("/place/{item:path}")
def place(item: ItemId, x: Coordinate, y: Coordinate, at: DeskDep, _: ViewerDep) -> wire.Place:
    """Return where a pixel of a map is."""
    return place_of(at.media.record(item).frame, x, y)


@router.get("/pixel/{item:path}")
def pixel(item: ItemId, lon: Longitude, lat: Latitude, at: DeskDep, _: ViewerDep) -> wire.Pixel:
    """Return which point of a map lies at a longitude and latitude (WGS84)."""
    return pixel_of(at.media.record(item).frame, lon, lat)


def place_of(frame: Frame, x: float, y: float) -> wire.Place:
    """Return where a pixel of a map is, without longitude and latitude where they can't be known.

    Raises:
        Refused: 404 for what is no map.
    """
    frame = _map(frame)
    ((east, north),) = frame.to_world([[x, y]]).tolist()
    lon, lat = _transformed(frame.crs, WGS84, east, north) or (None, None)
    return wire.Place(crs=frame.crs, x=east, y=north, lon=lon, lat=lat)


def pixel_of(frame: Frame, lon: float, lat: float) -> wire.Pixel:
    """Return which point of a map lies at a place; it may be outside of the picture.

    Raises:
        Refused: 404 for what is no map; 422 for what has no place on this one.
    """
    frame = _map(frame)
    found = _transformed(WGS84, frame.crs, lon, lat)
    if found is None:
        raise Refused(422, "place", f"{lon}, {lat} has no place on this map", "give a longitude and latitude that it can show")
    ((x, y),) = frame.to_pixels([found]).tolist()
    return wire.Pixel(x=x, y=y)


def _map(frame: Frame) -> MapFrame:
    if not isinstance(frame, MapFrame):
        raise Refused(404, "map", "this item does not lie on a map")
    return frame


def _transformed(source: str, target: str, x: float, y: float) -> tuple[float, float] | None:
    """Return coordinates in another system; None where they have none there or rasterio is not installed."""
    try:
        from rasterio._err import CPLE_BaseError  # what a point outside of a projection raises, in no public module
        from rasterio.errors import CRSError
        from rasterio.warp import transform
    except ImportError:
        return None
    try:
        ((east,), (north,)) = transform(source, target, [x], [y])
    except (CRSError, CPLE_BaseError):
        return None
    return (float(east), float(north)) if math.isfinite(east) and math.isfinite(north) else None
