"""Read cameras from YAML.

One per camera, in the folder `cameras` beside the recordings (or one file with several, split by `---`):

    camera: entrance
    size: [576, 768]              # height, width of the picture that the points below were drawn on
    timezone: Europe/Berlin       # of schedules; UTC if not given
    files: ["gate/*", "*_ch03_*"]  # its recordings, as paths in the source, where their names don't begin with the camera's
    url: rtsp://${GATE_USER}:${GATE_PASSWORD}@10.0.0.7/live  # its live stream; what is in braces comes from the environment
    start: 2026-03-29T01:30:00Z   # when its recordings begin, where neither file nor stream says so
    clock_offset: -1.5            # seconds to add to what its clock shows
    ground:                       # four or more points of the picture, and where they lie on the ground, in metres
      image: [[100, 500], [700, 500], [500, 200], [250, 200]]
      metres: [[0, 0], [8, 0], [8, 20], [0, 20]]
    zones:
      yard: {purpose: restricted, polygon: [[0, 300], [300, 300], [300, 576], [0, 576]],
             schedule: [{days: [mon, tue, wed, thu, fri], begin: "22:00", end: "06:00"}]}
      lane: {purpose: one_way, polygon: [...], direction: [0, 1]}
    lines:
      door: {points: [[300, 400], [400, 400]]}
    legal_basis: legitimate interest, sign at the gate
    retention_hours: 72
    declared: {site: north}       # groups that errors are compared by; declared here and never guessed
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import yaml
from shapely import Polygon

from hyla.errors import ConfigError, did_you_mean
from hyla.types import Floats
from hyla_surveillance.camera import DAYS, PURPOSES, Camera, Cameras, Line, Span, Zone
from hyla_surveillance.homography import homography_of

FOLDER = "cameras"
EXTENSIONS = (".yaml", ".yml")
MAX_FILE = 1 << 20  # bytes
MAX_POINTS = 1000  # of a polygon, a line or the ground


def open_cameras(setting: str | None, source: str) -> Cameras:
    """Read the cameras of a site.

    Args:
        setting: `auto` for `cameras/` or `cameras.yaml` in the source, or beside it if the source is a file, or for the source
            itself if it is such a YAML; a file or folder, looked for in the source and then in the working folder; None for none.
        source: that a run labels.

    Raises:
        ConfigError: for what is named and is not there, and for a file that can't be used, with file, key and reason.
    """
    if setting is None:
        return Cameras()
    root = Path(source) if "://" not in source else Path()
    root = root.parent if root.is_file() else root
    if setting == "auto":
        places = [root / FOLDER, *(root / f"{FOLDER}{extension}" for extension in EXTENSIONS)]
        if "://" in source:
            return Cameras()
        if Path(source).suffix.lower() in EXTENSIONS and Path(source).is_file() and listed(Path(source)) is None:
            places = [Path(source)]
    else:
        places = [root / setting, Path(setting).expanduser()]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        if setting == "auto":
            return Cameras()
        raise ConfigError(f"loader.cameras: there is no {setting!r}", "name a YAML file or a folder of them, or null for none")
    paths = [found] if found.is_file() else sorted(p for p in found.iterdir() if p.suffix in EXTENSIONS)
    return _read(tuple((path, path.stat().st_mtime_ns) for path in paths))


@lru_cache(maxsize=32)
def _read(paths: tuple[tuple[Path, int], ...]) -> Cameras:
    cameras: dict[str, Camera] = {}
    for path, _ in paths:
        for number, values in enumerate(_documents(path)):
            where = path.name if number == 0 else f"{path.name} part {number + 1}"
            camera = camera_of(values, where, path.stem)
            if camera.name in cameras:
                raise ConfigError(f"{where}: there are two cameras {camera.name!r}", "give each a name of its own")
            cameras[camera.name] = camera
    return Cameras(cameras.values())


def _documents(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > MAX_FILE:
            raise ConfigError(f"{path.name} is larger than {MAX_FILE} bytes", "keep one camera in a file")
        return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8-sig")) if one is not None]
    except yaml.MarkedYAMLError as error:  # whose text quotes the line, with the password of an address
        at = error.problem_mark or error.context_mark
        where = f", line {at.line + 1}, column {at.column + 1}" if at else ""
        raise ConfigError(f"{path.name}{where}: {error.problem or 'no YAML'}", "put addresses in single quotes") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path.name} can't be read: {error}", "save it as YAML in UTF-8") from error


def listed(path: Path) -> dict[str, str] | None:
    """Return the names and addresses of a YAML that holds nothing else (`gate: rtsp://10.0.0.7/live`); None for another."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):  # several cameras in one file, or what is told when it is read
        return None
    if not isinstance(values, dict) or not values or "url" in values:
        return None
    plain = all(isinstance(value, str) and ("://" in value or value.startswith("$")) for value in values.values())
    return {str(name): value for name, value in values.items()} if plain else None


def camera_of(values: Any, where: str, name: str = "") -> Camera:
    """Return the camera that one YAML document describes; raise ConfigError with `where`, the key and the reason."""
    known = {"camera", "ground", *(f.name for f in fields(Camera))} - {"name", "homography"}
    _keys(values, known, where)
    size = values.get("size")
    if size is not None:
        size = tuple(int(v) for v in _array(size, (2,), f"{where}: size"))
        if min(size) < 1:
            raise ConfigError(f"{where}: size is {list(size)}", "give [height, width] in pixels")
    zone = str(values.get("timezone") or "")
    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"{where}: unknown timezone {zone!r}", "name one of the IANA database: Europe/Berlin") from error
    declared = values.get("declared") or {}
    _keys(declared, declared, f"{where}: declared")
    return Camera(
        name=str(values.get("camera") or name),
        size=size,
        zones=tuple(_zone(k, v, f"{where}: zones.{k}", size) for k, v in _named(values, "zones", where)),
        lines=tuple(_line(k, v, f"{where}: lines.{k}", size) for k, v in _named(values, "lines", where)),
        homography=None if values.get("ground") is None else _ground(values["ground"], f"{where}: ground", size),
        timezone=zone,
        start=_moment(values.get("start"), f"{where}: start"),
        clock_offset=_number(values.get("clock_offset", 0.0), f"{where}: clock_offset"),
        legal_basis=str(values.get("legal_basis") or ""),
        retention_hours=_hours(values.get("retention_hours"), f"{where}: retention_hours"),
        declared={str(k): str(v) for k, v in declared.items()},
        files=_patterns(values.get("files"), f"{where}: files"),
        url=_text(values.get("url"), f"{where}: url"),
    )


def _zone(name: Any, values: Any, where: str, size: tuple[int, ...] | None) -> Zone:
    _keys(values, {"purpose", "polygon", "schedule", "direction", "seconds"}, where)
    purpose = str(values.get("purpose") or "dwell")
    if purpose not in PURPOSES:
        raise ConfigError(f"{where}: unknown purpose {purpose!r}", did_you_mean(purpose, PURPOSES), PURPOSES)
    polygon = _array(values.get("polygon"), (None, 2), f"{where}.polygon")
    if len(polygon) < 3 or not Polygon(polygon).is_valid or Polygon(polygon).area < 1:
        raise ConfigError(f"{where}.polygon is no area", "give three or more corners, in order, whose sides don't cross")
    _inside(polygon, size, f"{where}.polygon")
    direction = values.get("direction")
    if direction is not None:
        direction = _array(direction, (2,), f"{where}.direction")
    if (direction is None or not np.hypot(*direction)) and purpose == "one_way":
        raise ConfigError(f"{where} needs a direction", "direction: [0, 1]")
    seconds = values.get("seconds")
    seconds = None if seconds is None else _number(seconds, f"{where}.seconds")
    if seconds is not None and (seconds < 0 or (seconds == 0 and purpose == "dwell")):
        raise ConfigError(f"{where}.seconds is {seconds}", "give more than 0" if purpose == "dwell" else "give 0 or more")
    return Zone(str(name), purpose, polygon, _schedule(values.get("schedule"), where), direction, seconds)


def _line(name: Any, values: Any, where: str, size: tuple[int, ...] | None) -> Line:
    _keys(values, {"points", "direction", "schedule"}, where)
    points = _array(values.get("points"), (None, 2), f"{where}.points")
    if len(points) < 2 or not np.hypot(*np.diff(points, axis=0).T).all():
        raise ConfigError(f"{where}.points is no line", "give two or more different points")
    _inside(points, size, f"{where}.points")
    direction = str(values.get("direction") or "both")
    if direction not in ("in", "out", "both"):
        raise ConfigError(f"{where}: unknown direction {direction!r}", choices=("in", "out", "both"))
    return Line(str(name), points, direction, _schedule(values.get("schedule"), where))


def _inside(points: Floats, size: tuple[int, ...] | None, where: str) -> None:
    """Refuse what lies wholly outside the picture; what leaves it in part is fine."""
    if size is None:
        return
    low, high = points.min(axis=0), points.max(axis=0)
    if (high < 0).any() or low[0] > size[1] or low[1] > size[0]:
        raise ConfigError(
            f"{where} lies outside the picture of {size[1]} x {size[0]} pixels", "draw it on a frame of this camera"
        )


def _schedule(given: Any, where: str) -> tuple[Span, ...]:
    if given is None:
        return ()
    spans = []
    for i, values in enumerate(given if isinstance(given, list) else [given]):
        at = f"{where}.schedule[{i}]"
        _keys(values, {"days", "begin", "end"}, at)
        days = values.get("days") or DAYS
        days = tuple(str(d).lower()[:3] for d in (days if isinstance(days, (list, tuple)) else [days]))
        if unknown := [d for d in days if d not in DAYS]:
            raise ConfigError(f"{at}: unknown day {unknown[0]!r}", choices=DAYS)
        spans.append(Span(days, _clock(values.get("begin", "00:00"), at), _clock(values.get("end", "00:00"), at)))
    return tuple(spans)


def _clock(given: Any, where: str) -> time:
    if isinstance(given, int) and not isinstance(given, bool):  # YAML 1.1 reads 22:00 without quotes as 22 * 60
        given = f"{given // 60:02d}:{given % 60:02d}"
    try:
        clock = time(0, 0) if str(given) == "24:00" else time.fromisoformat(str(given))
    except ValueError as error:
        raise ConfigError(f"{where}: {given!r} is no time of day", 'write "22:00"') from error
    if clock.tzinfo is not None:
        raise ConfigError(f"{where}: {given!r} has a time zone of its own", 'write "22:00", and the timezone of the camera')
    return clock


def _ground(given: Any, where: str, size: tuple[int, ...] | None) -> Floats:
    _keys(given, {"image", "metres", "matrix"}, where)
    if given.get("matrix") is not None:
        matrix = _array(given["matrix"], (3, 3), f"{where}.matrix")
        height, width = size or (1080, 1920)
        # The ground at the lower edge lies before the camera; other tools scale the matrix as they like.
        matrix = -matrix if matrix[2] @ (width / 2, height, 1) < 0 else matrix
    else:
        image = _array(given.get("image"), (None, 2), f"{where}.image")
        metres = _array(given.get("metres"), (None, 2), f"{where}.metres")
        if len(image) != len(metres) or len(image) < 4:
            raise ConfigError(f"{where} has {len(image)} points and {len(metres)} places", "give four or more of each")
        matrix = homography_of(image, metres)
    if not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix, tol=1e-12) < 3:
        raise ConfigError(f"{where}: these points span no plane", "take four points of which no three lie on a line")
    return matrix


def _moment(given: Any, where: str) -> datetime | None:
    if given is None:
        return None
    try:
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    except ValueError as error:
        raise ConfigError(f"{where}: {given!r} is no moment", "write it as 2026-03-29T01:30:00Z") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)  # YAML gives UTC without a zone


def _hours(given: Any, where: str) -> float | None:
    if given is None:
        return None
    hours = _number(given, where)
    if not 0 < hours <= timedelta(days=36500) / timedelta(hours=1):
        raise ConfigError(f"{where} is {hours}", "give hours, more than 0")
    return hours


def _patterns(given: Any, where: str) -> tuple[str, ...]:
    if given is None:
        return ()
    listed = given if isinstance(given, list) else [given]
    return tuple(_text(one, where) for one in listed)


def _text(given: Any, where: str) -> str:
    if given is not None and not isinstance(given, str):
        raise ConfigError(f"{where} must be text", "put it in quotes")
    return given or ""


def _number(given: Any, where: str) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not np.isfinite(given):
        raise ConfigError(f"{where}: {given!r} is no number")
    return float(given)


def _array(given: Any, shape: tuple[int | None, ...], where: str) -> Floats:
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where} must be a list of numbers") from error
    fits = values.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, values.shape, strict=False))
    if not fits or not np.isfinite(values).all() or values.size > 2 * MAX_POINTS:
        raise ConfigError(f"{where} must be {' x '.join('n' if n is None else str(n) for n in shape)} finite numbers")
    return values


def _named(values: Mapping[str, Any], key: str, where: str) -> Iterable[tuple[Any, Any]]:
    given = values.get(key) or {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where}: {key} must be a dict by name", f"{key}: {{NAME: {{...}}}}")
    return given.items()


def _keys(values: Any, known: Iterable[str], where: str) -> None:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} must hold keys and values")
    known = sorted(known)
    for key in values:
        if key not in known:
            raise ConfigError(f"{where} has no setting {key!r}", did_you_mean(str(key), known), known)
