"""Say in what conditions a picture was taken: what its pixels can tell, and what a file beside it says."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem, ConfigError, HylaError, did_you_mean
from hyla.images import inside

CHOICES = {
    "timeofday": ("day", "dusk", "night"),
    "weather": ("clear", "cloudy", "overcast", "rain", "fog", "snow", "unknown"),
    "road": ("city", "residential", "highway", "rural", "tunnel", "parking", "gas_station", "unknown"),
}
SPANS = "conditions.csv"
COLUMNS = ("file", "start", "stop", *CHOICES)
MAX_SIDECAR = 1 << 20  # bytes; a larger .json beside a picture holds labels
SIDE = 640  # longer side, in pixels and roughly, at which a picture is judged: thresholds must not depend on its size


@dataclass(frozen=True)
class Conditions:
    """Estimate light, glare and blur from the pixels of an RGB picture.

    Luma is Y' of BT.601, 0 to 255. The defaults call day pictures of KITTI, TuSimple and Udacity day, sharp and free of glare,
    and the same pictures out of focus blurred; an auto-exposed city night may well be called dusk, and a white wall glare. Rain,
    fog and snow are not to be had from one picture with any honesty, so weather is `unknown` unless a sidecar says it.

    Args:
        night: below this mean luma it is night.
        dusk: below this one it is dusk.
        sky: mean luma of the upper third from which it is day, however dark the rest (a road in the shade).
        blown: luma from which a pixel is blown out.
        glare: share of blown-out pixels in the lower two thirds from which there is glare, or too long an exposure.
        blur: sharpness below which the picture is blurred: out of focus, moving, or seen through a wet pane.
    """

    night: float = 50.0
    dusk: float = 75.0
    sky: float = 110.0
    blown: int = 250
    glare: float = 0.03
    blur: float = 0.025

    def estimate(self, pixels: npt.NDArray[np.uint8]) -> dict[str, Any]:
        """Return timeofday, weather, glare, blur, luma (mean) and sharpness of a picture (H, W, 3).

        Sharpness is the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) over the variance of luma, which makes it
        independent of exposure and contrast; 0 for a picture that is all one grey.
        """
        grey = _small_grey(pixels)
        third = len(grey) // 3
        (luma, variance), (_, detail) = _moments(grey), _moments(cv2.Laplacian(grey, cv2.CV_16S))
        sky = cv2.mean(grey[:third])[0] if third else luma
        sharpness = detail / variance if variance > 1 else 0.0
        road = grey[third:]
        low = "night" if luma < self.night else "dusk" if luma < self.dusk else "day"
        return {
            "timeofday": "day" if sky >= self.sky else low,
            "weather": "unknown",
            "glare": bool(np.count_nonzero(road >= self.blown) >= self.glare * road.size),
            "blur": sharpness < self.blur,
            "luma": round(luma, 2),
            "sharpness": round(sharpness, 5),
        }


class Span(NamedTuple):
    """Hold what a sidecar says of a file (or the files of a pattern) from `start` until before `stop`, in seconds."""

    file: str
    start: float
    stop: float
    values: dict[str, str]


class Sidecars:
    """Read what people know of the conditions, from files beside the pictures.

    `conditions.csv` in the source has the columns file (a path in the source, or a pattern: `night_*.mp4`), start and stop
    (seconds of a clip), timeofday, weather and road; all but file may be empty or absent. `NAME.json` beside a clip or picture
    NAME.* has the keys timeofday, weather, road, and `ranges`: a list of the same keys with start and stop. What comes later
    wins, and a .json wins over the .csv. A .json with none of these keys is something else, and is left alone.

    Args:
        root: the source, resolved.

    Raises:
        ConfigError: for a conditions.csv that can't be read, an unknown column or value, or a range that can't be.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._spans = _read_csv(root / SPANS)
        self.spans = lru_cache(maxsize=512)(self._spans_of)

    def of(self, uri: str, seconds: float | None = None) -> dict[str, str]:
        """Return what is said of the file at `uri`, at a time if it is a clip; raise BadItem for a sidecar that can't be used."""
        said: dict[str, str] = {}
        for span in self.spans(uri):
            if span.start <= (seconds or 0.0) < span.stop:
                said |= span.values
        return said

    def _spans_of(self, uri: str) -> list[Span]:
        spans = [span for span in self._spans if fnmatchcase(uri, span.file) or uri == span.file]
        path = inside(self._root, uri).with_suffix(".json")
        if path.is_file() and path.stat().st_size <= MAX_SIDECAR:
            spans += _read_json(path)
        return spans


def _small_grey(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    times = round(max(grey.shape) / SIDE)
    if times > 1:  # a whole number, for which averaging is several times faster
        size = (max(1, grey.shape[1] // times), max(1, grey.shape[0] // times))
        grey = cv2.resize(grey[: size[1] * times, : size[0] * times], size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, dtype=np.uint8)


def _moments(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Return mean and variance."""
    mean, deviation = cv2.meanStdDev(values)
    return float(mean.item()), float(deviation.item()) ** 2


def _read_csv(path: Path) -> list[Span]:
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            for column in rows.fieldnames or ():
                if column not in COLUMNS:
                    raise ConfigError(f"{path.name} has an unknown column {column!r}", did_you_mean(column, COLUMNS), COLUMNS)
            if "file" not in (rows.fieldnames or ()):
                raise ConfigError(f"{path.name} has no column 'file'", f"begin it with the line {','.join(COLUMNS)}")
            return [_span(row, f"{path.name} line {rows.line_num}") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} can't be read: {error}", "save it as UTF-8 with commas") from error


def _read_json(path: Path) -> list[Span]:
    try:
        said = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):  # not ours, or not to be read: it says nothing of the conditions
        return []
    if not isinstance(said, dict) or not said.keys() & {*CHOICES, "ranges"}:
        return []
    ranges = said.get("ranges") or []
    try:
        if not isinstance(ranges, list) or not all(isinstance(one, dict) for one in ranges):
            raise ConfigError(f"{path.name}: ranges is no list of objects")
        return [_span(said, path.name), *(_span(one, f"{path.name} range {i}") for i, one in enumerate(ranges))]
    except HylaError as error:
        raise BadItem(error.what, error.hint, error.choices) from error


def _span(said: Mapping[Any, Any], where: str) -> Span:
    values = {}
    for key, choices in CHOICES.items():
        if value := said.get(key):
            if value not in choices:
                raise ConfigError(f"{where}: {key} is {value!r}", did_you_mean(str(value), choices), choices)
            values[key] = str(value)
    try:
        start, stop = float(said.get("start") or 0), float(said.get("stop") or "inf")
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: start or stop is no number of seconds") from error
    if not 0 <= start < stop:
        raise ConfigError(f"{where}: start={start} and stop={stop} span no time", "give 0 <= start < stop, in seconds")
    return Span(str(said.get("file") or ""), start, stop, values)
