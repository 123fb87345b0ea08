"""What every part of this plugin speaks of: the bands of a scene, its fields, and pixels that are read part by part."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem
from hyla.lazy import LazyPixels
from hyla.types import Floats, Image

NODATA = -9999.0  # in place of NaN in rasters of floats, since pixels of Hyla are finite
CLEAR, CLOUD, SHADOW, SNOW, SATURATED, MISSING = range(6)  # codes of `Quality.quality`
# Bands by their common names (STAC eo, as spyndex knows them), in the order in which bands without names are taken.
BANDS = (
    *("coastal", "blue", "green", "yellow", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "nir09"),
    *("cirrus", "swir16", "swir22", "lwir11", "lwir12"),
)
UNNAMED = {1: ("gray",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "nir")}


class Window(NamedTuple):
    """Hold a part of a raster in pixels; the far ends are exclusive."""

    row0: int
    row1: int
    column0: int
    column1: int

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width)."""
        return self.row1 - self.row0, self.column1 - self.column0


@dataclass(frozen=True)
class Fields:
    """Hold parcels in the pixels of a scene, as parallel sequences of length n.

    Args:
        ids: as the file calls them, unique.
        shapes: tuple of rings (k, 2) in pixels of each, as `hyla.types.Kind.POLYGON`: valid, and clipped to the raster.
        crops: EPPO code of the crop, or whatever word the file has; None where it says nothing.
        previous: the same of the season before.
        hectares: true area (n,) of the whole parcel on the ellipsoid, also of what lies beyond the raster.
        declared: area (n,) in hectares that the file states; NaN where it states none.
        inside: share (n,) of the parcel that lies on the raster, 0 to 1.
        season: word or year the crops are of, or empty.
        found: True for outlines that were only found in the pixels: nobody says that they are fields.
    """

    ids: tuple[str, ...] = ()
    shapes: tuple[tuple[Floats, ...], ...] = ()
    crops: tuple[str | None, ...] = ()
    previous: tuple[str | None, ...] = ()
    hectares: Floats = field(default_factory=lambda: np.zeros(0))
    declared: Floats = field(default_factory=lambda: np.zeros(0))
    inside: Floats = field(default_factory=lambda: np.zeros(0))
    season: str = ""
    found: bool = False

    def __len__(self) -> int:
        return len(self.ids)


class Scene(LazyPixels):
    """Read the pixels of a scene as they are stored, and as physical values.

    Args:
        shape: (H, W, bands).
        dtype: of the samples as stored.
        bands: common names, as BANDS has them; an index that is stored as a band has its own name (`ndvi`).
        blocks: (height, width) of the blocks that are read in one go.
        fields: parcels, where the source has any; None where it has none.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: npt.DTypeLike,
        bands: Sequence[str],
        blocks: tuple[int, int] = (256, 256),
        fields: Fields | None = None,
    ) -> None:
        super().__init__(shape, dtype, bands)
        self.blocks = blocks
        self.fields = fields

    @abstractmethod
    def reflectance(self, window: Window, bands: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return (len(bands), h, w): sample x scale + offset, NaN where there is no data; clouds are not masked here.

        Several threads may ask at once.

        Raises:
            BadItem: for a part that can't be read, or a band that the scene does not have.
        """

    @abstractmethod
    def quality(self, window: Window) -> npt.NDArray[np.uint8]:
        """Return (h, w) of CLEAR, CLOUD, SHADOW, SNOW, SATURATED or MISSING; CLEAR where nothing is known of clouds."""


class Plain(Scene):
    """Treat an array in memory as a scene: bands as the item names them, else by their number; nothing is known of clouds."""

    def __init__(self, image: Image) -> None:
        array = np.asarray(image.pixels)
        count = array.shape[2]
        named = [str(name) for name in image.item.meta.get("bands", ())]
        bands = tuple(named) if len(named) == count else UNNAMED.get(count, tuple(f"b{n + 1}" for n in range(count)))
        super().__init__((array.shape[0], array.shape[1], count), array.dtype, bands)
        self._array = array
        self._nodata: Any = image.item.meta.get("nodata")
        self._scale = 1 / np.iinfo(array.dtype).max if array.dtype == np.uint8 else 1.0

    def read(self, row0: int, row1: int, column0: int, column1: int, bands: Sequence[int], step: int = 1) -> npt.NDArray[Any]:
        """Return samples (h, w, len(bands)); see `LazyPixels.read`."""
        return self._array[row0:row1:step, column0:column1:step, list(bands)]

    def reflectance(self, window: Window, bands: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return physical values; see `Scene.reflectance`."""
        if lost := [band for band in bands if band not in self.bands]:
            raise BadItem(f"the picture has no band {', '.join(lost)}", "name its bands: loader.bands=[...]", self.bands)
        part = self._array[window.row0 : window.row1, window.column0 : window.column1, [self.bands.index(b) for b in bands]]
        values = np.moveaxis(part.astype(np.float32), -1, 0)
        missing = ~np.isfinite(values) if self._nodata is None else ~np.isfinite(values) | (values == self._nodata)
        return np.where(missing, np.float32(np.nan), values * np.float32(self._scale))

    def quality(self, window: Window) -> npt.NDArray[np.uint8]:
        """Return what is known of each pixel; see `Scene.quality`."""
        values = self.reflectance(window, self.bands)
        return np.where(np.isnan(values).any(axis=0), np.uint8(MISSING), np.uint8(CLEAR))


def view(image: Image) -> Scene:
    """Return the pixels of `image` as a scene, whichever loader it came from."""
    pixels: Any = image.pixels
    return pixels if isinstance(pixels, Scene) else Plain(image)
