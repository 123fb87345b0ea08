"""Find the pictures of BDD100K, with what its label files say of the conditions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hyla.errors import ConfigError
from hyla.frame import Frame
from hyla.hooks import Loader, hookimpl
from hyla.images import MAX_PIXELS, files, inside, read_image
from hyla.types import Image, Item, item_id
from hyla.video import moment

PARTS = ("100k", "10k", "track")
TRACK_HZ = 5.0  # Yu et al., CVPR 2020: the frames of the tracking sets are taken at 5 Hz
MAX_JSON = 2 << 30  # bytes; the largest label file has 1.2 GB
TIMEOFDAY = {"daytime": "day", "night": "night", "dawn/dusk": "dusk"}
WEATHER = {
    "clear": "clear",
    "partly cloudy": "cloudy",
    "overcast": "overcast",
    "rainy": "rain",
    "snowy": "snow",
    "foggy": "fog",
}
ROAD = {
    "city street": "city",
    "residential": "residential",
    "highway": "highway",
    "tunnel": "tunnel",
    "parking lot": "parking",
    "gas stations": "gas_station",
}
MEANINGS = {"timeofday": ("timeofday", TIMEOFDAY), "weather": ("weather", WEATHER), "road": ("scene", ROAD)}


class Bdd100k(Loader):
    """Load BDD100K: the stills of images/100k and images/10k, and the sequences of images/track.

    Weather, time of day and scene come from the label files (labels/*.json or labels/*/*.json, in Scalabel's format or that of
    2018), and become conditions. The labels themselves are read by the format, not here.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self.max_pixels = max_pixels
        self.root = Path()

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return the pictures, sorted by path; None unless `source` is a folder that has images/100k, images/10k or images/track.

        Raises:
            ConfigError: for a label file that can't be read.
        """
        root = Path(source).expanduser().resolve()
        if "://" in source or not any((root / "images" / part).is_dir() for part in PARTS):
            return None
        self.root = root
        labels = sorted(p for pattern in ("*.json", "*/*.json") for p in (root / "labels").glob(pattern))
        known: dict[str, dict[str, str]] = {}
        for path in labels:
            known |= _read_attributes(path)
        return self._items(known)

    @hookimpl
    def load(self, item: Item) -> Image:
        """Return the picture with what its label file says of the conditions; raise BadItem for one that can't be read."""
        pixels = read_image(inside(self.root, item.uri), self.max_pixels)
        frame = moment(item.meta["seconds"], item.index) if item.group else Frame()
        return Image(pixels, item, frame, dict(item.meta.get("conditions") or {}))

    def _items(self, known: dict[str, dict[str, str]]) -> Iterator[Item]:
        index, before = 0, ""
        for part in PARTS:
            found = files(str(self.root / "images" / part), (".jpg", ".png"))
            for below in found[1] if found else ():
                uri = f"images/{part}/{below}"
                folder, _, name = uri.rpartition("/")
                meta: dict[str, Any] = {"conditions": known[name]} if name in known else {}
                if part != "track":
                    yield Item(item_id(uri), uri, meta=meta)
                    continue
                index, before = (index + 1 if folder == before else 0), folder
                yield Item(item_id(uri), uri, folder, index, "image", {**meta, "seconds": index / TRACK_HZ})


class _Labelled(msgspec.Struct):
    name: str
    attributes: dict[str, Any] | None = None


class _Scalabel(msgspec.Struct):
    frames: list[_Labelled]


def _read_attributes(path: Path) -> dict[str, dict[str, str]]:
    """Return picture name -> conditions, of a BDD100K label file."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise ConfigError(f"{path} has more than {MAX_JSON >> 30} GiB", "take it out of the labels folder, or split it")
        raw = path.read_bytes()
        listed = raw.lstrip()[:1] == b"["
        frames = msgspec.json.decode(raw, type=list[_Labelled]) if listed else msgspec.json.decode(raw, type=_Scalabel).frames
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(
            f"{path} is no label file of BDD100K: {error}", "take it out of the labels folder, or repair it"
        ) from error
    return {frame.name: said for frame in frames if (said := _conditions(frame.attributes or {}))}


def _conditions(attributes: dict[str, Any]) -> dict[str, str]:
    """Return the conditions in our words; what BDD100K calls undefined, or has no word for here, is left out."""
    said = {key: table.get(str(attributes.get(name))) for key, (name, table) in MEANINGS.items()}
    return {key: word for key, word in said.items() if word}
