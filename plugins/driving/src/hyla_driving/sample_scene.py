"""Draw a country road as a dashcam sees it: sky, ground and weather, in perspective. See sample_actors.py for who is on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Color = tuple[float, float, float]

TEXEL = 0.025  # m of ground per texel of the finest level
TEXELS = 1024  # side of the ground's tile, which repeats every 25.6 m
LEVELS = 10  # each with half the rows of the one before it
WHITE, YELLOW = (205, 205, 200), (190, 150, 60)
DASH, PERIOD = 4.0, 12.8  # m
LINES = ((-5.25, "solid", "white"), (-1.75, "dashed", "yellow"), (1.75, "dashed", "white"), (5.25, "solid", "white"))
EDGE, VERGE = 5.75, 6.5  # m from the middle of the ego lane: end of the asphalt, end of the gravel


@dataclass(frozen=True)
class Camera:
    """Place a pinhole camera above the middle of its lane: no roll, the optical axis level, pixels square.

    Args:
        width, height: of the picture, in pixels.
        focal: focal length in pixels.
        horizon: row of the horizon, which is that of the principal point.
        above: height over the road, in m.
    """

    width: int = 960
    height: int = 540
    focal: float = 760.0
    horizon: float = 232.0
    above: float = 1.4

    @property
    def matrix(self) -> tuple[tuple[float, float, float], ...]:
        """Return the camera matrix K."""
        return (self.focal, 0.0, self.width / 2), (0.0, self.focal, self.horizon), (0.0, 0.0, 1.0)

    def project(self, points: npt.ArrayLike) -> Floats:
        """Return pixels (n, 2) of points (n, 3): m to the right, up from the road, ahead (more than 0)."""
        right, up, ahead = np.asarray(points, dtype=np.float64).reshape(-1, 3).T
        return np.stack(
            [self.width / 2 + self.focal * right / ahead, self.horizon + self.focal * (self.above - up) / ahead], axis=1
        )


@dataclass(frozen=True)
class Road:
    """Bend the road gently: its middle swings by `swing` m to either side over `length` m, from `phase` on."""

    swing: float = 9.0
    length: float = 520.0
    phase: float = 0.6

    def heading(self, s: float) -> float:
        """Return the direction at station `s` (m), in radians to the right."""
        k = 2 * np.pi / self.length
        return float(self.swing * k * np.cos(k * s + self.phase))

    def shift(self, s: float, ahead: npt.ArrayLike) -> Floats:
        """Return how far (m) the road has bent to the right `ahead` of station `s`, against the direction that it has there."""
        k, z = 2 * np.pi / self.length, np.asarray(ahead, dtype=np.float64)
        middle = np.sin(k * (s + z) + self.phase) - np.sin(k * s + self.phase)
        return np.asarray(self.swing * middle - self.heading(s) * z)


@dataclass(frozen=True)
class Light:
    """Describe light and weather.

    Args:
        timeofday, weather: words of the schema.
        zenith, haze, cloud: colours of the sky, RGB from 0 to 255; haze is also what far things fade to.
        ambient, sun: light that falls on things, as shares of white.
        toward: direction to the sun: right, up, ahead; of length 1.
        clear: m of air at which haze covers 63 %.
        lamps: strength of everyone's headlamps.
        rain: True for drops in the air, on the pane and on the road.
    """

    timeofday: str
    weather: str
    zenith: Color
    haze: Color
    cloud: Color
    ambient: Color
    sun: Color
    toward: Color = (-0.45, 0.75, -0.48)  # to the sun: right, up, ahead
    clear: float = 700.0  # m at which haze covers 63 %
    lamps: float = 0.0
    rain: bool = False


DAY = Light(
    timeofday="day",
    weather="clear",
    zenith=(66, 124, 196),
    haze=(196, 212, 224),
    cloud=(246, 247, 250),
    ambient=(0.56, 0.6, 0.66),
    sun=(0.56, 0.53, 0.46),
)
DUSK = Light(
    timeofday="dusk",
    weather="clear",
    zenith=(40, 47, 84),
    haze=(204, 122, 82),
    cloud=(136, 76, 82),
    ambient=(0.24, 0.22, 0.29),
    sun=(0.17, 0.1, 0.07),
    toward=(0.5, 0.2, 0.84),
    clear=420.0,
    lamps=0.7,
)
NIGHT = Light(
    timeofday="night",
    weather="rain",
    zenith=(7, 9, 15),
    haze=(20, 23, 31),
    cloud=(15, 17, 24),
    ambient=(0.06, 0.066, 0.088),
    sun=(0.0, 0.0, 0.0),
    clear=150.0,
    lamps=1.15,
    rain=True,
)


@dataclass
class Canvas:
    """Hold a picture while it is drawn.

    Args:
        pixels: (H, W, 3) RGB.
        ids: (H, W) of what each pixel shows: the number of an actor, or 0.
        glows: lamps to add at the end: (x, y, radius in pixels, colour, row where a wet road mirrors it).
    """

    camera: Camera
    light: Light
    pixels: Pixels
    ids: npt.NDArray[np.int16]
    glows: list[tuple[float, float, float, Color, float]] = field(default_factory=list)

    def hazed(self, color: Color | Floats, ahead: float) -> Color:
        """Return `color` as it looks through `ahead` m of air."""
        far = 1 - np.exp(-ahead / self.light.clear)
        mixed = np.asarray(color) * (1 - far) + np.asarray(self.light.haze) * far
        r, g, b = np.clip(mixed, 0, 255)
        return float(r), float(g), float(b)

    def beam(self, right: float, up: float, ahead: float) -> float:
        """Return how strongly our own headlamps light a place, 0 to about 1."""
        return self.light.lamps * float(_beam(right, ahead, up)) if self.light.lamps else 0.0

    def fill(self, points: Floats, color: Color) -> None:
        """Fill a polygon (n, 2) of the picture, with smooth edges."""
        cv2.fillPoly(self.pixels, [fixed(points)], color, cv2.LINE_AA, 4)


class World:
    """Draw what stays the same from frame to frame: the ground, the sky, trees and posts.

    Args:
        seed: of grain, clouds, hills and trees.
        camera, road: where it is seen from.
    """

    def __init__(self, seed: int = 0, camera: Camera | None = None, road: Road | None = None) -> None:
        rng = np.random.default_rng(seed)
        self.camera, self.road = camera or Camera(), road or Road()
        self._levels = _pyramid(_tile(rng))
        self._clouds = np.clip((_noise(rng, (1024, 1024), (6, 20, 90)) - 0.5) * 2.4, 0, 1).astype(np.float32)
        self._hills = _noise(rng, (1, 2048), (40, 160))[0]
        self._trees = _noise(rng, (1, 2048), (2, 9, 30))[0]
        self._sprites = [_tree(rng) for _ in range(4)]
        self._planted = [
            (
                side * float(rng.uniform(9, 24)),
                float(s) + float(rng.uniform(-4, 4)),
                int(rng.integers(4)),
                float(rng.uniform(5, 9)),
            )
            for s in np.arange(0, 300, 6.5)
            for side in (-1, 1)
            if rng.random() < 0.75
        ]

    def canvas(self, s: float, light: Light) -> Canvas:
        """Return the empty road at station `s` (m): sky, ground, and what our headlamps light."""
        c = self.camera
        pixels = np.empty((c.height, c.width, 3), np.float32)
        top = int(c.horizon) + 1
        pixels[:top] = self._sky(s, light, top)
        pixels[top:] = self._ground(s, light, top)
        return Canvas(c, light, np.clip(pixels, 0, 255).astype(np.uint8), np.zeros((c.height, c.width), np.int16))

    def place(self, s: float, lateral: float, station: float) -> tuple[float, float]:
        """Return (right, ahead) in m, from station `s`, of a place at `station`, `lateral` m right of the ego lane's middle."""
        ahead = station - s
        return lateral + float(self.road.shift(s, ahead)), ahead

    def scenery(self, s: float) -> list[tuple[float, str, float, float, int, float]]:
        """Return what stands beside the road ahead: (m ahead, word, lateral, station, variant, m high)."""
        posts = [(float(p) - s, "post", side * 6.2, float(p), 0, 1.0) for p in np.arange(0, 300, 25.6) for side in (-1, 1)]
        trees = [(station - s, "tree", lateral, station, kind, high) for lateral, station, kind, high in self._planted]
        return [one for one in posts + trees if 2.5 < one[0] < 240]

    def draw_scenery(self, canvas: Canvas, s: float, word: str, lateral: float, station: float, kind: int, high: float) -> None:
        """Draw one tree or post of `scenery`."""
        right, ahead = self.place(s, lateral, station)
        (x, y), scale = canvas.camera.project([[right, 0, ahead]])[0], canvas.camera.focal / ahead
        light = np.asarray(canvas.light.ambient) + 0.8 * np.asarray(canvas.light.sun) + 0.9 * canvas.beam(right, 0.6, ahead)
        if word == "post":
            half = 0.06 * scale
            for low, top, color in ((0, 1, (225, 225, 220)), (0.72, 0.9, (40, 40, 44)), (0.77, 0.85, (230, 120, 60))):
                corners = (
                    (x - half, y - top * scale),
                    (x + half, y - top * scale),
                    (x + half, y - low * scale),
                    (x - half, y - low * scale),
                )
                canvas.fill(np.array(corners), canvas.hazed(np.asarray(color) * light, ahead))
            return
        _paste(canvas, self._sprites[kind], x, y, high * scale, light, ahead)

    def _sky(self, s: float, light: Light, rows: int) -> Floats:
        c = self.camera
        zenith, haze, white = (np.asarray(color, dtype=np.float32) for color in (light.zenith, light.haze, light.cloud))
        columns = np.arange(c.width, dtype=np.float32) + np.float32(self.road.heading(s) * c.focal)
        over = ((c.horizon + 30 - np.arange(rows) - 0.5) / c.focal).astype(np.float32)  # clouds lie on a plane: low means far
        across = (columns[None, :] - c.width / 2) * (170 / c.focal / over[:, None])
        along = np.repeat(0.6 * np.float32(s) + 75 / over[:, None], c.width, axis=1)
        cloud = np.asarray(cv2.remap(self._clouds, across % 1024, along % 1024, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))
        cloud = cloud * (0.8 * np.clip(over * 9, 0, 1)[:, None] ** 0.7)
        down = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None] ** 1.4
        clear = zenith * (1 - down) + haze * down
        sky = clear + (white - clear) * cloud[:, :, None]
        lit = np.asarray(light.ambient) + 0.55 * np.asarray(light.sun)
        for heights, level, grow, color, far in (
            (self._hills, 10, 42, (92, 112, 112), 0.62),
            (self._trees, 3, 17, (58, 78, 48), 0.38),
        ):
            tops = rows - level - grow * np.interp((columns + 400) % 2048, np.arange(2048), heights)
            top = int(tops.min())
            cover = np.clip(np.arange(top, rows)[:, None] - tops[None, :] + 0.5, 0, 1).astype(np.float32)[:, :, None]
            shade = (np.asarray(color) * lit * (1 - far) + haze * far).astype(np.float32)
            sky[top:] += (shade - sky[top:]) * cover
        return np.asarray(sky)

    def _ground(self, s: float, light: Light, top: int) -> Floats:
        c = self.camera
        z = c.focal * c.above / (np.arange(top, c.height) + 0.5 - c.horizon)
        right = (np.arange(c.width) + 0.5 - c.width / 2)[None, :] * z[:, None] / c.focal
        lateral = right - self.road.shift(s, z)[:, None]
        column = lateral / TEXEL + TEXELS / 2
        column = np.where((column >= 0) & (column < TEXELS), column, TEXELS + column % TEXELS) - 0.5
        level = np.clip(np.log2(z**2 / (c.focal * c.above) / TEXEL), 0, LEVELS - 1.001)
        out = np.empty((len(z), c.width, 3), np.float32)
        for k in range(LEVELS):
            rows = np.flatnonzero((level >= k) & (level < k + 1))
            if len(rows):
                share = (level[rows] - k)[:, None, None].astype(np.float32)
                near = self._sample(k, column[rows], s + z[rows])
                out[rows] = near * (1 - share) + self._sample(min(k + 1, LEVELS - 1), column[rows], s + z[rows]) * share
        lit = np.asarray(light.ambient) + 0.75 * np.asarray(light.sun)
        if light.rain:
            out *= 0.62  # wet asphalt is darker
        out *= (lit + light.lamps * _beam(right, z[:, None], 0.0)[:, :, None] * (0.95, 0.92, 0.82)).astype(np.float32)
        far = np.minimum(1 - np.exp(-z / light.clear), 0.45).astype(np.float32)[:, None, None]
        out += (np.asarray(light.haze, dtype=np.float32) - out) * far
        return out

    def _sample(self, k: int, column: Floats, station: Floats) -> Floats:
        tile = self._levels[k]
        row = np.repeat((station / (TEXEL * 2**k) % len(tile))[:, None] - 0.5, column.shape[1], axis=1)
        return np.asarray(
            cv2.remap(tile, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        )


def finish(canvas: Canvas, rng: np.random.Generator) -> Pixels:
    """Return the picture with the glow of lamps, rain and the grain of the sensor."""
    light = canvas.light
    pixels: Floats = canvas.pixels.astype(np.float32)
    for x, y, radius, color, mirror in canvas.glows:
        _glow(pixels, x, y, radius, radius, color, 1.0)
        _glow(pixels, x, y, 5 * radius, 5 * radius, color, 0.16)
        if light.rain and mirror < canvas.camera.height:
            _glow(pixels, x, mirror + 7 * radius, 1.3 * radius, 9 * radius, color, 0.3)
    height, width = pixels.shape[:2]
    if light.rain:
        drops = np.zeros((height, width), np.uint8)
        for x, y, long in np.stack([rng.uniform(0, width, 240), rng.uniform(-20, height, 240), rng.gamma(2.0, 6.0, 240)], axis=1):
            ends = np.array([[x, y], [x + 0.16 * long, y + long]])
            cv2.polylines(drops, [fixed(ends)], False, 255, 1, cv2.LINE_AA, 4)
        pixels += cv2.GaussianBlur(drops, (0, 0), 0.7).astype(np.float32)[:, :, None] * 0.16
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.8))  # a film of water on the pane
    coarse = rng.normal(0, 3.2 if light.lamps else 1.8, (height // 2 + 1, width // 2 + 1)).astype(np.float32)
    grain = cv2.resize(coarse, (width, height))
    return np.asarray(np.clip(pixels + grain[:, :, None], 0, 255).astype(np.uint8))


def fixed(points: Floats) -> npt.NDArray[np.int32]:
    """Return points (n, 2) as OpenCV draws them with 4 bits of shift: it counts from the centre of the first pixel."""
    return np.asarray(np.round((points - 0.5) * 16).astype(np.int32))


def _beam(right: npt.ArrayLike, ahead: npt.ArrayLike, up: npt.ArrayLike) -> Floats:
    """Return the strength of low-beam headlamps: a wide pool that ends at about 45 m, and lights little above 1 m."""
    z = np.asarray(ahead, dtype=np.float64)
    across = np.exp(-((np.abs(right) / (1.6 + 0.16 * z)) ** 2))
    along = np.clip(z / 7, 0, 1) * np.exp(-((z / 30) ** 2))
    return np.asarray(1.5 * across * along * np.where(np.asarray(up) > 0.9, 0.5, 1.0))


def _noise(rng: np.random.Generator, shape: tuple[int, int], sizes: tuple[float, ...]) -> Floats:
    """Return smooth noise from 0 to 1 that repeats without a seam, as a sum over `sizes` (texels), the larger the stronger."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    spectrum = np.fft.rfft2(rng.standard_normal(shape))
    total = np.zeros(shape)
    for size in sizes:
        layer = np.fft.irfft2(spectrum * np.exp(-2 * (np.pi * size) ** 2 * (fy**2 + fx**2) / 4), shape)
        total += layer / layer.std() * size**0.35
    low, high = np.percentile(total, (1, 99))
    return np.asarray(np.clip((total - low) / (high - low), 0, 1))


def _tile(rng: np.random.Generator) -> Floats:
    """Return the ground's finest level: the road with its lines (columns 0 to TEXELS), then grass alone."""
    shape = (TEXELS, TEXELS)
    blades, patches = _noise(rng, shape, (1, 3)), _noise(rng, shape, (30, 90))
    grass = (
        np.array([62, 92, 38]) + blades[..., None] * np.array([42, 46, 22]) + (patches[..., None] - 0.5) * np.array([38, 14, 16])
    )
    fine, worn = rng.standard_normal(shape), _noise(rng, shape, (6, 40))
    lateral = (np.arange(TEXELS) + 0.5 - TEXELS / 2) * TEXEL
    tracks = sum(np.exp(-(((lateral - lane + side) / 0.28) ** 2)) for lane in (-3.5, 0.0, 3.5) for side in (-0.8, 0.8))
    asphalt = (98 + 7 * fine + 13 * (worn - 0.5) - 9 * tracks[None, :])[..., None] * np.array([0.99, 1.0, 1.02])
    gravel = (138 + 22 * fine + 26 * (worn - 0.5))[..., None] * np.array([1.05, 0.98, 0.86])
    ragged = np.abs(lateral)[None, :] + 0.25 * (_noise(rng, shape, (8, 30)) - 0.5)
    road = np.where((ragged < VERGE)[..., None], gravel, grass)
    road = np.where((np.abs(lateral)[None, :] < EDGE + 0 * ragged)[..., None], asphalt, road)
    along = (np.arange(TEXELS) + 0.5) * TEXEL
    chipped = 0.72 + 0.28 * _noise(rng, shape, (2, 12))
    for middle, style, color in LINES:
        across = np.clip((0.075 - np.abs(lateral - middle)) / TEXEL + 0.5, 0, 1)[None, :]
        painted = np.ones(TEXELS) if style == "solid" else np.clip((DASH - along % PERIOD) / TEXEL, 0, 1)
        cover = (across * painted[:, None] * chipped)[..., None]
        road = road * (1 - cover) + np.array(WHITE if color == "white" else YELLOW) * cover
    return np.concatenate([road, grass], axis=1).astype(np.float32)


def _pyramid(tile: Floats) -> list[Floats]:
    """Return levels that average the ground along the road, as perspective does, and a little across it."""
    levels = [tile]
    for k in range(1, LEVELS):
        halved = (levels[-1][::2] + levels[-1][1::2]) / 2
        blurred = cv2.GaussianBlur(halved, (0, 0), sigmaX=0.32 * 2 ** ((k - 4) / 2), sigmaY=0.01) if k > 4 else halved
        levels.append(np.asarray(blurred))
    return levels


def _tree(rng: np.random.Generator) -> Floats:
    """Return a tree (320, 256, 4): RGB as lit by a light of 1, and cover from 0 to 1."""
    sprite = np.zeros((320, 256, 4), np.uint8)
    cv2.fillPoly(sprite, [np.array([[118, 320], [123, 170], [133, 170], [140, 320]])], (70, 54, 42, 255), cv2.LINE_AA)
    for i in range(1500):
        rise = i / 1500
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        x, y = 128 + 104 * reach * np.cos(angle), 138 + 122 * reach * np.sin(angle)
        bright = 0.5 + 0.5 * rise * (1 - 0.55 * (y - 16) / 250) - 0.12 * (x - 128) / 104 + rng.normal(0, 0.09)
        color = np.clip(np.array([88, 116, 48]) * bright * 1.15, 0, 255)
        axes = (int(rng.integers(3, 10)), int(rng.integers(2, 8)))
        cv2.ellipse(sprite, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, (*color.tolist(), 255), -1, cv2.LINE_AA)
    out = sprite.astype(np.float32)
    out[..., 3] /= 255
    return out


def _paste(canvas: Canvas, sprite: Floats, x: float, y: float, tall: float, light: Floats, ahead: float) -> None:
    """Draw a sprite whose foot is at (x, y), `tall` pixels high."""
    scale = tall / sprite.shape[0]
    width = sprite.shape[1] * scale
    x0, y0 = int(np.floor(x - width / 2)), int(np.floor(y - tall))
    x1, y1 = min(int(x + width / 2) + 1, canvas.camera.width), min(int(y) + 1, canvas.camera.height)
    left, top = max(x0, 0), max(y0, 0)
    if x1 <= left or y1 <= top:
        return
    small = sprite
    while small.shape[0] > 2.2 * tall:  # halve it first, so that the warp does not skip leaves
        small = np.asarray(cv2.resize(small, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    ratio = tall / small.shape[0]
    to = np.array([[ratio, 0, x - width / 2 - left], [0, ratio, y - tall - top]])
    drawn = cv2.warpAffine(small, to, (x1 - left, y1 - top), flags=cv2.INTER_LINEAR)
    far = 1 - np.exp(-ahead / canvas.light.clear)
    color = drawn[..., :3] * (light * (1 - far)).astype(np.float32) + (np.asarray(canvas.light.haze) * far).astype(np.float32)
    under = canvas.pixels[top:y1, left:x1]
    under[:] = np.clip(under + (color - under) * drawn[..., 3:], 0, 255)
    canvas.ids[top:y1, left:x1][drawn[..., 3] > 0.5] = 0


def _glow(pixels: Floats, x: float, y: float, rx: float, ry: float, color: Color, strength: float) -> None:
    """Add a soft spot of light."""
    height, width = pixels.shape[:2]
    x0, x1 = max(0, int(x - 3 * rx)), min(width, int(x + 3 * rx) + 2)
    y0, y1 = max(0, int(y - 3 * ry)), min(height, int(y + 3 * ry) + 2)
    if x0 >= x1 or y0 >= y1:
        return
    gx = np.exp(-(((np.arange(x0, x1) + 0.5 - x) / rx) ** 2))
    gy = np.exp(-(((np.arange(y0, y1) + 0.5 - y) / ry) ** 2))
    pixels[y0:y1, x0:x1] += (gy[:, None] * gx[None, :] * strength)[..., None] * np.asarray(color, dtype=np.float32)
