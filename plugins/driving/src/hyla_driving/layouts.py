"""Read road data however it is laid out: clips and photos, KITTI, BDD100K, nuScenes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hyla.errors import ConfigError, StageError, did_you_mean
from hyla.frame import VideoFrame
from hyla.hooks import Loader, hookimpl
from hyla.images import MAX_PIXELS, Folder, files
from hyla.types import Image, Item, item_id
from hyla.video import Video
from hyla_driving.bdd_layout import Bdd100k
from hyla_driving.conditions import Conditions, Sidecars
from hyla_driving.kitti_layout import Kitti
from hyla_driving.nuscenes_layout import NuScenes


class Recording(Loader):
    """Load any recording of a road, with the conditions of each picture as its context.

    `layout=auto` takes the first that fits: nuScenes (a folder of its tables), BDD100K (images/100k), KITTI (training/image_2 and
    the like), or else the clips and photos of a folder, each file read by whoever reads it. Conditions are estimated from the
    pixels; what the layout knows wins over that, and what a sidecar says wins over both.

    Args:
        layout: auto, files, video, kitti, bdd100k or nuscenes.
        stride, fps, start, stop, threads: of clips; see hyla.video.Video.
        camera: of KITTI: 2 is the left colour camera, 3 the right one.
        sweeps: of nuScenes: True for the frames between the annotated ones too.
        conditions: what estimates the conditions; None to leave them out.
        max_pixels: refuse larger pictures before they are decoded.

    Raises:
        ConfigError: for an unknown layout, or a setting of clips that can't be.
    """

    def __init__(
        self,
        layout: str = "auto",
        stride: int = 1,
        fps: float | None = None,
        start: float = 0.0,
        stop: float | None = None,
        threads: int = 0,
        camera: int = 2,
        sweeps: bool = False,
        conditions: Conditions | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        clips = Video(stride, fps, start, stop, max_pixels=max_pixels, threads=threads)
        self.layouts: dict[str, Reader] = {
            "nuscenes": NuScenes(sweeps, max_pixels),
            "bdd100k": Bdd100k(max_pixels),
            "kitti": Kitti(camera, max_pixels),
            "files": Files(Folder(max_pixels=max_pixels), clips),
            "video": clips,
        }
        names = ("auto", *self.layouts)
        if layout not in names:
            raise ConfigError(f"layout is {layout!r}", did_you_mean(layout, names), names)
        self.layout, self.conditions = layout, conditions
        self._reader: Reader | None = None
        self._sidecars: Sidecars | None = None

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return the items of the layout; None if `source` is not laid out that way.

        Raises:
            ConfigError: for a conditions.csv in the source, or a table of the layout, that can't be used.
        """
        readers = self.layouts.values() if self.layout == "auto" else [self.layouts[self.layout]]
        for reader in readers:
            found = reader.items(source)
            if found is not None:
                self._reader, self._sidecars = reader, Sidecars(reader.root)
                return found
        return None

    @hookimpl
    def load(self, item: Item) -> Image | None:
        """Return the picture with its conditions; raise BadItem for one that can't be read, or whose sidecar can't."""
        if self._reader is None or self._sidecars is None:
            raise StageError("items(source) comes before load(item)")
        image = self._reader.load(item)
        if image is None:
            return None
        estimate = self.conditions.estimate(image.pixels) if self.conditions else {}
        seconds = image.frame.seconds if isinstance(image.frame, VideoFrame) else None
        return replace(image, context={**estimate, **image.context, **self._sidecars.of(item.uri, seconds)})

    @hookimpl
    def close(self, group: str) -> None:
        """Close the clip of `group`."""
        if isinstance(self._reader, (Files, Video)):
            self._reader.close(group)


class Files(Loader):
    """Load the clips and photos of a folder, in order of their paths."""

    def __init__(self, photos: Folder, clips: Video) -> None:
        self.photos, self.clips = photos, clips
        self.root = Path()

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return photos as single items and clips as groups of frames; None unless `source` is a folder, a photo or a clip."""
        found = files(source, self.photos.extensions | self.clips.extensions)
        if found is None:
            return None
        self.root = self.photos.root = self.clips.root = found[0]
        return self._items(found[1])

    @hookimpl
    def load(self, item: Item) -> Image | None:
        """Return a photo or a frame; raise BadItem for one that can't be read."""
        return self.photos.load(item) if item.kind == "image" else self.clips.load(item)

    @hookimpl
    def close(self, group: str) -> None:
        """Close the clip of `group`."""
        self.clips.close(group)

    def _items(self, uris: Iterator[str]) -> Iterator[Item]:
        for uri in uris:
            if Path(uri).suffix.lower() in self.clips.extensions:
                yield from self.clips.frames(uri)
            else:
                yield Item(item_id(uri), uri)


Reader = Files | Video | Kitti | Bdd100k | NuScenes
