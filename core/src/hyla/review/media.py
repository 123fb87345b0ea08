"""The pictures of a project as the review page shows them: read by the project's own loader, kept within bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from time import monotonic
from typing import Any, Literal
from urllib.parse import quote

import numpy as np

from hyla.errors import BadItem, StoreError
from hyla.frame import Frame, MapFrame, VideoFrame
from hyla.lazy import LazyPixels
from hyla.redaction import Redaction
from hyla.review import crops, pixels, tiles, volumes, wire
from hyla.review.cache import Cache
from hyla.review.pixels import Bytes
from hyla.review.problems import Refused
from hyla.review.reading import Reading, gone
from hyla.review.tiles import Decoded, Lazy, OnDisk, Painted
from hyla.review.volumes import Axis, Volume
from hyla.store import Project
from hyla.types import Image, Labels, Record

LARGE = 24_000_000  # pixels; a picture with more is shown by tiles
DECODED = 512 * 2**20  # bytes of decoded pictures kept
ENCODED = 128 * 2**20  # bytes of JPEG kept
VOLUMES = 2
RECORDS = 20_000
ANNOTATIONS = 64
LOOK = 0.5  # seconds within which what was deleted is shown no more
PYRAMID = 4 / 3  # of a picture's bytes, with all its smaller levels

Max = Literal["1024", "2048", "4096", "full"]


class _NoneThere(Exception):
    """Say that there is no picture, past a cache that would keep it."""


class Media:
    """Show the pictures of `project`.

    Nothing is read before it is asked for. Where the project hides something, everything here is redacted, by the labels that
    hold when it is asked for, except for what `original` gives to the model; a `reference`, of which no labels say what to hide,
    is not shown there. A loader may name the sample that means nothing as `nodata`, in an item's meta or an image's context; it
    is shown black.

    Args:
        project: whose items are shown.
        decoded: bytes of decoded pictures to keep.
        encoded: bytes of JPEG to keep.
    """

    def __init__(self, project: Project, decoded: int = DECODED, encoded: int = ENCODED) -> None:
        self._project = project
        self._reading = Reading(project)
        self._records: Cache[Record] = Cache(RECORDS, lambda _: 1)
        self._labels: Cache[tuple[str, Labels]] = Cache(ANNOTATIONS, lambda _: 1)
        self._images: Cache[Image] = Cache(decoded, lambda image: image.pixels.nbytes)
        self._redacted: Cache[Image] = Cache(decoded, lambda image: image.pixels.nbytes)
        self._rasters: Cache[Painted] = Cache(decoded, _bytes)
        self._volumes: Cache[Volume] = Cache(VOLUMES, lambda _: 1)
        self._jpegs: Cache[bytes] = Cache(encoded, len)
        self._looked, self._event = float("-inf"), -1  # when it was last asked whether something was deleted, and the answer

    @cached_property
    def _redaction(self) -> Redaction | None:
        return Redaction.of(self._project)

    # What the page is told

    def view(self, kind: str, group: str, size: Sequence[int], frame: Frame) -> wire.View:
        """Return the screen that shows an item of this kind, group, size and frame."""
        if len(size) == 3:
            return "volume"
        if isinstance(frame, MapFrame):
            return "map"
        return "video" if group and (kind == "video_frame" or isinstance(frame, VideoFrame)) else "image"

    def describe(self, record: Record, blind: bool = False) -> wire.Media:
        """Return where the pixels of an item are; nowhere if they can't be read any more.

        Args:
            record: with the labels that the asking person may see.
            blind: nothing may tell where the machine was unsure.
        """
        view = self.view(record.item.kind, record.item.group, record.size, record.frame)
        try:
            if view == "volume":
                return wire.Media(image=None, tiles=None, slices=self._slices(record, blind))
            if view == "map" or _large(record.size):
                return wire.Media(image=None, tiles=self._tiles(record), slices=None)
        except Refused:
            return wire.Media(image=None, tiles=None, slices=None)
        return wire.Media(image=self.image_url(record.item.id, record.size), tiles=None, slices=None)

    def image_url(self, item_id: str, size: Sequence[int]) -> str | None:
        """Return the address of a whole picture, or None for what is shown by tiles or slices."""
        return None if len(size) == 3 or _large(size) else f"/media/{quote(item_id, safe='')}/image.jpg?max=full"

    def tiles_url(self, item_id: str) -> str:
        """Return the address of the tiles of a picture, with {z}, {x} and {y} in it."""
        return f"/media/{quote(item_id, safe='')}/tile/{{z}}/{{x}}/{{y}}.jpg"

    def crop_url(self, item_id: str, annotation: int, row: int) -> str:
        """Return the address of the crop of one label."""
        return f"/media/{quote(item_id, safe='')}/crop/{annotation}/{row}.jpg?v={self.version}"

    @property
    def crop_template(self) -> str:
        """Return the address of the crop of any label, with {item} (quoted), {annotation} and {row} in it."""
        return f"/media/{{item}}/crop/{{annotation}}/{{row}}.jpg?v={self.version}"

    def crop_box(self, box: Sequence[float], size: Sequence[int]) -> tuple[float, float, float, float]:
        """Return where a label is on its crop: x0, y0, x1, y1 as shares of the crop's width and height."""
        return crops.place(box, size)

    @cached_property
    def version(self) -> str:
        """Return a word that tells this project from others whose annotations have the same numbers."""
        return sha256(f"{self._project.path.resolve()} {self._project.runs()[0]['started']}".encode()).hexdigest()[:8]

    def tiles(self, item_id: str) -> wire.Tiles:
        """Return how a map is tiled; raise Refused for what is no map, and 410 if it can't be read any more."""
        record = self.record(item_id)
        if not isinstance(record.frame, MapFrame):
            raise Refused(404, "map", "this item does not lie on a map")
        with _reading(record):
            return self._tiles(record)

    # Pixels

    def image(self, item_id: str, longest: Max) -> bytes:
        """Return a whole picture as JPEG, its longer side at most `longest`.

        Raises:
            Refused: 404 for an item or a picture that there is not; 410 if it can't be read any more; 422 if it is too large.
        """
        record = self._picture(item_id)
        if longest == "full" and _large(record.size):
            raise Refused(422, "large", "this picture is shown by tiles")
        return self._jpegs.get((item_id, longest, self.redacted(item_id)), lambda: self._whole(record, longest))

    def crop(self, item_id: str, annotation: int, row: int, size: int) -> bytes:
        """Return the crop of one label as JPEG, its longer side `size`; raise Refused as `image` does."""
        key = (item_id, annotation, row, size, self.redacted(item_id))
        return self._jpegs.get(key, lambda: self._crop(item_id, annotation, row, size))

    def reference(self, attribute: str, value: Any, size: int) -> bytes:
        """Return what the loader shows of a value as JPEG, its longer side at most `size`; no bytes if it has no picture.

        That there is none is not kept: there are no end of such values, and a picture may come. Where the project hides
        something there is none.
        """
        if self.redacts:
            return b""

        def make() -> bytes:
            if found := self._reference({attribute: value}, size):
                return found
            raise _NoneThere

        try:
            return self._jpegs.get(("reference", value, size), make)
        except _NoneThere:
            return b""

    def tile(self, item_id: str, z: int, x: int, y: int, bands: str | None, stretch: str | None) -> bytes:
        """Return a tile as JPEG; raise Refused as `image` does, and 422 for bands or a stretch that can't be."""
        record = self._picture(item_id)
        raster = self._painted(record).raster
        chosen = pixels.parse_bands(bands, len(raster.bands), raster.default_bands)
        how = pixels.parse_stretch(stretch, raster.dtype)

        def make() -> bytes:
            with _reading(record):
                tile = self._painted(record).tile(z, x, y, chosen, how)
            if tile is None:
                raise Refused(404, "tile", "the picture does not reach so far")
            return pixels.jpeg(tile)

        return self._jpegs.get((item_id, z, x, y, chosen, how, self.redacted(item_id)), make)

    def slices(self, item_id: str, axis: Axis, first: int, last: int) -> tuple[bytes, tuple[int, ...]]:
        """Return slices of a volume as bytes, and their shape (n, h, w); raise Refused as `image` does; see `volumes.slices`."""
        record = self.record(item_id)
        if len(record.size) != 3:
            raise Refused(404, "volume", "this item is no volume")
        found = volumes.slices(self._volume(record), axis, first, last)
        return found.tobytes(), found.shape

    def original(self, item_id: str) -> Image:
        """Return a picture or a volume as the loader gives it, not to be changed; raise Refused as `image` does.

        For a model: nothing is redacted.
        """
        record = self.record(item_id)
        return self._load(record) if self._redaction or len(record.size) == 2 else self._volume(record).image

    def redacted(self, item_id: str) -> tuple[int, ...]:
        """Return what a redacted picture depends on besides its item; nothing where nothing is hidden."""
        return self._redaction.version(self.record(item_id).item) if self._redaction else ()

    @property
    def redacts(self) -> bool:
        """Tell whether the project hides something, so that a picture may be another once labels change."""
        return self._redaction is not None

    def record(self, item_id: str) -> Record:
        """Return what does not change of an item: its record without labels; raise Refused (404) if there is none, or no more."""
        self._forget_deleted()

        def make() -> Record:
            record = self._project.record(item_id, source="model")
            if record is None:
                raise Refused(404, "item", "there is no such item")
            return replace(record, labels=Labels.empty(), flags=())

        return self._records.get(item_id, make)

    def _forget_deleted(self) -> None:
        """Forget everything once something was deleted from the project, so that nothing of it is shown from memory."""
        if (here := monotonic()) - self._looked < LOOK:
            return
        number, self._looked = self._project.last_event(), here
        if number != self._event:
            self._event = number
            for cache in (self._records, self._labels, self._images, self._redacted, self._rasters, self._volumes, self._jpegs):
                cache.clear()
            self._reading.forget()

    def _picture(self, item_id: str) -> Record:
        record = self.record(item_id)
        if len(record.size) == 3:
            raise Refused(404, "volume", "a volume is shown by slices")
        return record

    def _whole(self, record: Record, longest: Max) -> bytes:
        height, width = record.size
        most = max(height, width) if longest == "full" else min(int(longest), max(height, width))
        with _reading(record):
            shown = self._painted(record).fit(most) if self._by_tiles(record) else self._flat(record)
        scale = most / max(height, width)
        return pixels.jpeg(shown, (max(1, round(width * scale)), max(1, round(height * scale))))

    def _crop(self, item_id: str, annotation: int, row: int, size: int) -> bytes:
        record = self.record(item_id)
        owner, labels = self._labels.get(annotation, lambda: self._labels_of(annotation))
        if owner != item_id or row >= len(labels):
            raise Refused(404, "label", "there is no such label")
        part = x0, y0, x1, y1 = crops.window(labels.box[row].tolist(), record.size)
        with _reading(record):
            if len(record.size) == 3:
                volume = self._volume(record)
                shown = volumes.plane(volume, crops.slice_of(labels, row, record.size[0]))[y0:y1, x0:x1]
            elif self._by_tiles(record):
                shown = self._painted(record).cut(part, size)
            else:
                shown = self._flat(record)[y0:y1, x0:x1]
        return pixels.jpeg(np.ascontiguousarray(shown), crops.scaled(part, size))

    def _reference(self, attributes: Mapping[str, Any], size: int) -> bytes:
        image = self._reading.reference(attributes)
        if image is None or image.volume:
            return b""
        height, width = image.size
        most = min(size, max(height, width))
        given = image.pixels
        shown = Painted(Lazy(given, None)).fit(most) if isinstance(given, LazyPixels) else pixels.flat(given)
        scale = most / max(height, width)
        return pixels.jpeg(shown, (max(1, round(width * scale)), max(1, round(height * scale))))

    def _labels_of(self, annotation: int) -> tuple[str, Labels]:
        try:
            item_id, _, labels = self._project.labels_of(annotation)
        except StoreError as error:
            raise Refused(404, "label", "there is no such label") from error
        return item_id, labels

    def _flat(self, record: Record) -> Bytes:
        image = self._shown(record)
        return pixels.flat(image.pixels, tiles.nodata_of(record.item, image))

    def _load(self, record: Record) -> Image:
        return self._images.get(record.item.id, lambda: self._read(record))

    def _read(self, record: Record) -> Image:
        image = self._reading.load(record.item)
        if image.size != tuple(record.size):
            raise gone(record.item)  # another picture lies there now, on which the labels would stand wrong
        return image

    def _shown(self, record: Record) -> Image:
        """Return a picture as people may see it; raise Refused (410, redact) if it can't be redacted."""
        if self._redaction is None:
            return self._load(record)
        redaction, version = self._redaction, self.redacted(record.item.id)

        def make() -> Image:
            try:
                return redaction(self._load(record), version)
            except BadItem as error:
                raise Refused(410, "redact", error.what, error.hint) from error

        return self._redacted.get((record.item.id, version), make)

    def _volume(self, record: Record) -> Volume:
        def make() -> Volume:
            return volumes.prepare(self._shown(record) if self._redaction else self._read(record))

        return self._volumes.get((record.item.id, self.redacted(record.item.id)), make)

    def _painted(self, record: Record) -> Painted:
        def make() -> Painted:
            found = None if self._redaction else tiles.on_disk(record, self._project.source())
            if found is not None:
                return Painted(found)
            image = self._shown(record)
            nodata = tiles.nodata_of(record.item, image)
            if isinstance(image.pixels, LazyPixels):
                return Painted(Lazy(image.pixels, nodata))
            return Painted(Decoded(image, nodata))

        return self._rasters.get((record.item.id, self.redacted(record.item.id)), make)

    def _by_tiles(self, record: Record) -> bool:
        return isinstance(record.frame, MapFrame) or _large(record.size)

    def _tiles(self, record: Record) -> wire.Tiles:
        names, shown = list[str](), list[int]()
        if isinstance(record.frame, MapFrame):  # of a large photo nobody chooses bands, and decoding it takes seconds
            raster = self._painted(record).raster
            names, shown = raster.bands, list(raster.default_bands)
        return wire.Tiles(url=self.tiles_url(record.item.id), levels=tiles.levels(record.size), bands=names, default_bands=shown)

    def _slices(self, record: Record, blind: bool) -> wire.Slices:
        volume = self._volume(record)
        spacing, directions = volumes.geometry(record.frame)
        shown, shown_of = volumes.strip(volume, record.labels)
        if blind:
            shown, shown_of = [0.0] * len(shown), "area"
        return wire.Slices(
            url=f"/media/{quote(record.item.id, safe='')}/slices/{{axis}}/{{first}}-{{last}}",
            shape=list(record.size),
            spacing=spacing,
            directions=directions,
            unit=volume.unit,
            window=volume.window,
            strip=shown,
            strip_of=shown_of,
        )


@contextmanager
def _reading(record: Record) -> Iterator[None]:
    """Say that an item is gone where its file can't be read any more."""
    try:
        yield
    except BadItem as error:
        raise gone(record.item) from error


def _large(size: Sequence[int]) -> bool:
    return math.prod(size) > LARGE


def _bytes(painted: Painted) -> int:
    """Return how much memory a raster may come to hold; a file keeps none."""
    raster = painted.raster
    held = math.prod(raster.size) * len(raster.bands) * np.dtype(raster.dtype).itemsize
    return 1 if isinstance(raster, (OnDisk, Lazy)) else round(held * PYRAMID)
