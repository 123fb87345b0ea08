"""Say what a frame shows as a whole: light, colour, sharpness, and whether the camera was moved or covered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla.frame import VideoFrame
from hyla.types import Image, Item
from hyla_surveillance.camera_file import open_cameras
from hyla_surveillance.motion import reduced

Plain = npt.NDArray[np.float32]

WIDTH = 240  # pixels at which a frame is measured
STEP = 0.125  # seconds between frames that carry no time
REMEMBER = 30.0  # seconds in which another view becomes the usual one
ADAPT = 10.0  # seconds in which what the background shows is learnt
LEVELS = 25.0  # of 255 by which a pixel differs from the background when it is unlike it
LIGHT = (0.5, 2.0)  # a change of light within is no other picture
COLOUR = 2.0  # levels between the channels, below which a picture has no colour: an infrared lamp, or a grey camera
REACH = 0.25  # of a side: shifts beyond it are not believed
SURE = 0.15  # response of phase correlation, 0 to 1, from which a shift is believed
FEATURELESS = 4.0  # deviation in levels, below which a picture has nothing to be compared by
DAY, TWILIGHT = (8, 18), (6, 21)  # hours by the camera's clock; what lies between the two is dusk
DARK, DIM = 40.0, 80.0  # mean brightness below which it is night, and dusk, where no clock tells


class Scene:
    """Measure each frame against what the camera usually shows, clip by clip and in order.

    Args:
        cameras: YAML of cameras, whose time zones turn UTC into day and night; auto, a path or null.
        source: that the run labels, where `auto` looks.
    """

    def __init__(self, cameras: str | None = None, source: str = "") -> None:
        self._cameras = open_cameras(cameras, source)
        self._usual: dict[str, _Usual] = {}

    def update(self, item: Item, image: Image) -> dict[str, Any]:
        """Return `luma` (0 to 255), `infrared`, `sharpness`, `changed` (0 to 1), `shift` (px of the frame) and `timeofday`.

        `sharpness` is the variance of the Laplacian at 240 px, where 0 is flat and a sharp street has 500 and more; `changed` the
        share of pixels unlike the background, without what a change of light explains; `shift` how far the whole picture moved
        against it, 0 where that can't be told. A frame that belongs to no clip has neither of the two.
        """
        pixels = reduced(image, WIDTH)
        grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        luma = float(grey.mean())
        spread = float(np.mean(pixels.max(axis=2).astype(np.int16) - pixels.min(axis=2)))
        found: dict[str, Any] = {
            "luma": round(luma, 2),
            "infrared": bool(spread < COLOUR),
            "sharpness": round(float(np.var(cv2.Laplacian(grey, cv2.CV_32F))), 2),
        }
        found["timeofday"] = self._hour(item) or _by_light(luma, found["infrared"])
        if item.group and not image.volume:
            usual = self._usual.get(item.group)
            if usual is None or item.index <= usual.index or usual.grey.shape != grey.shape:
                usual = self._usual[item.group] = _Usual(grey.astype(np.float32))
            found["changed"], shift = usual.compare(grey, item.index, image)
            found["shift"] = round(shift * image.size[-1] / grey.shape[1], 2)
        return found

    def forget(self, group: str) -> None:
        """Drop what is remembered of a clip."""
        self._usual.pop(group, None)

    def _hour(self, item: Item) -> str | None:
        """Return the time of day by the clock; None where no time, or no time zone, is known."""
        name, utc = str(item.meta.get("camera", "")), item.meta.get("utc")
        camera = self._cameras.of(name)
        if not camera.timezone or not isinstance(utc, (int, float)):
            return None
        try:
            local = datetime.fromtimestamp(utc, UTC).astimezone(camera.zone)
        except (ValueError, OverflowError, OSError):  # a clock that shows no year
            return None
        if DAY[0] <= local.hour < DAY[1]:
            return "day"
        return "dusk" if TWILIGHT[0] <= local.hour < TWILIGHT[1] else "night"


@dataclass(eq=False)
class _Usual:
    """Remember what one camera usually shows, small and in grey."""

    grey: Plain
    index: int = -1
    seconds: float = -1.0
    other: float = 0.0  # seconds for which the view has been another

    def compare(self, grey: npt.NDArray[np.uint8], index: int, image: Image) -> tuple[float, float]:
        """Return the share that is unlike what was, and the shift in pixels; then learn."""
        before, self.index = self.seconds, index
        moment = image.frame.seconds if isinstance(image.frame, VideoFrame) else before + STEP
        self.seconds = moment if moment > before else before + STEP
        step = STEP if before < 0 else min(self.seconds - before, 2.0)
        now = grey.astype(np.float32)
        usual = float(np.median(self.grey))
        gain = float(np.clip((float(np.median(now)) + 1) / (usual + 1), *LIGHT))
        unlike = np.abs(now - self.grey * gain) > LEVELS
        changed = float(unlike.mean())
        shift = self._shift(now)
        self.other = self.other + step if changed > 0.5 or shift > 1 else 0.0
        if self.other > REMEMBER:  # this is how it looks now
            self.grey, self.other = now, 0.0
        elif changed <= 0.5:
            rate = 1 - float(np.exp(-step / ADAPT))
            self.grey += rate * np.where(unlike, 0.1, 1.0).astype(np.float32) * (now - self.grey)
        return round(changed, 4), shift

    def _shift(self, now: Plain) -> float:
        height, width = (_even(side) for side in now.shape)
        if min(height, width) < 32 or min(float(now.std()), float(self.grey.std())) < FEATURELESS:
            return 0.0
        window = np.asarray(cv2.createHanningWindow((width, height), cv2.CV_32F), dtype=np.float32)
        (x, y), response = cv2.phaseCorrelate(
            *((one - one.mean()) * window for one in (self.grey[:height, :width], now[:height, :width]))
        )
        far = float(np.hypot(x, y))
        return far if response > SURE and abs(x) < REACH * width and abs(y) < REACH * height and far > 0.2 else 0.0


def _by_light(luma: float, infrared: bool) -> str:
    if infrared or luma < DARK:
        return "night"
    return "dusk" if luma < DIM else "day"


def _even(side: int) -> int:
    """Return the next smaller even size that a Fourier transform likes; of an odd one, phaseCorrelate is off by half a pixel."""
    return next((n for n in range(side, 1, -1) if n % 2 == 0 and cv2.getOptimalDFTSize(n) == n), 1)
