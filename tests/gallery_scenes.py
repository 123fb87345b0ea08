"""What is in the pictures of the gallery, and how they are drawn: see `gallery_stages`."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from hyla import Image, Kind, MapFrame
from hyla.geometry import encode, rotated_corners

PHOTO = (480, 640)
FRAME = (360, 640)
VOLUME = (40, 128, 128)
RASTER = (1000, 1200)
HUGE = (8000, 12500)
BORDER = 100  # pixels of nodata round the raster
PART = [300, 200, 400, 350]  # column, row, width, height
SERIES = (600, 800)  # of the rasters of a place at DATES
DATES = ("2024-05-01", "2024-06-05", "2024-07-10")
SPACING = (0.8, 0.8, 2.5)  # mm along x, y, slices
FOCAL = 500.0
INTRINSICS = ((FOCAL, 0.0, 320.0), (0.0, FOCAL, 240.0), (0.0, 0.0, 1.0))
ODD = ("<img src=x onerror=alert(1)>", "مركبة تاريخية", "🚲 bike", ("a very long name of 200 letters, " * 7)[:200])
TURN = ("car", "ship", "roof", "lane", "person", "blob", "indoor", "truck", "odd")
COLORS = {"car": "#d03030", "ship": "#3050d0", "roof": "#c07020", "lane": "#e0e040", "person": "#30b060", "blob": "#a040c0"}
SWITCH = 0.5  # share of a clip at which its second track changes its identity


# What is in a picture: rows of (class, kind, shape, box, score, track).


def scene(item):
    made = item.meta["made"]
    if made == "clip":
        return clip_rows(item.index, item.meta["length"])
    if made in ("volume", "oblique"):
        masks = phantom()[1]
        return [
            (name, Kind.MASK, encode(mask), mask_box(mask), score, -1)
            for (name, mask), score in zip(masks.items(), (0.9, 0.4, 0.7), strict=True)
        ]
    if made in ("raster", "part"):
        dx, dy = PART[:2] if made == "part" else (0, 0)
        height, width = (PART[3], PART[2]) if made == "part" else RASTER
        return field_rows(dx, dy, height, width)
    if made == "series":
        return series_rows(item.index, item.meta["fields"])
    if made == "huge":
        boxes = ((1000, 1000, 1400, 1300), (12400, 7900, 12500, 8000))
        return [("car", Kind.BOX, None, box, score, -1) for box, score in zip(boxes, (0.9, 0.3), strict=True)]
    if made == "broken":
        return [("car", Kind.BOX, None, (10, 10, 60, 50), 0.3, -1)]
    if made == "tiny":
        height, width = PHOTO
        corners = ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1), (300, 200))
        return [("car", Kind.BOX, None, (x, y, x + 1, y + 1), 0.4, -1) for x, y in corners]
    if made == "empty":
        return []
    return photo_rows(item.meta["number"], item.meta["labels"])


def photo_rows(number, labels):
    height, width = PHOTO
    rng = np.random.default_rng(number)
    columns = math.ceil(math.sqrt(labels * width / height))
    lines = math.ceil(labels / columns)
    cell = np.array([width / columns, height / lines])
    rows = []
    for i in range(labels):
        corner = np.array([i % columns, i // columns]) * cell
        size = cell * rng.uniform(0.55, 0.8, 2)
        at = corner + (cell - size) * rng.random(2)
        unsure = i == number % labels and number % 8 != 7
        score = round(float(rng.uniform(0.2, 0.49) if unsure else rng.uniform(0.55, 0.99)), 3)
        rows.append((*one(TURN[i % len(TURN)], at, size, rng, number + i), score, -1))
    return rows


def one(name, at, size, rng, n):
    """Return class, kind, shape and box of an object that fills the rectangle from `at` (x, y) of `size` (w, h)."""
    (x, y), (w, h) = at, size
    unit = lambda points: np.array(points, dtype=float) * size + at  # noqa: E731
    if name == "ship":
        shape = np.array([x + w / 2, y + h / 2, 0.6 * min(w, h), 0.3 * min(w, h), rng.uniform(-1.5, 1.5)])
        return name, Kind.ROTATED_BOX, shape, bounds(rotated_corners(shape))
    if name == "roof":
        rings = (unit([(0, 0), (1, 0), (1, 1), (0.5, 0.8), (0, 1)]), unit([(0.3, 0.3), (0.3, 0.6), (0.6, 0.6), (0.6, 0.3)]))
        return name, Kind.POLYGON, rings, bounds(rings[0])
    if name == "lane":
        line = unit([(0, 0.1), (0.3, 0.6), (0.7, 0.4), (1, 1)])
        return name, Kind.POLYLINE, line, bounds(line)
    if name == "person":
        points = np.column_stack([unit([(0.5, 0), (0, 0.5), (1, 0.5), (0.2, 1), (0.8, 1)]), [2, 2, 2, 1, 2]])
        if n % 2:
            points[2] = 0  # a hand that is not in the picture
        return name, Kind.KEYPOINTS, points, bounds(points[points[:, 2] > 0, :2])
    if name == "blob":
        mask = np.zeros(PHOTO, bool)
        yy, xx = np.ogrid[: PHOTO[0], : PHOTO[1]]
        mask |= ((xx + 0.5 - x - w / 2) / (w / 2)) ** 2 + ((yy + 0.5 - y - h / 2) / (h / 2)) ** 2 <= 1
        mask &= ~((np.abs(xx + 0.5 - x - w / 2) < w / 8) & (np.abs(yy + 0.5 - y - h / 2) < h / 8))
        return name, Kind.MASK, encode(mask), mask_box(mask)
    if name == "indoor":
        return name, Kind.TAG, None, (0, 0, PHOTO[1], PHOTO[0])
    if name == "truck":
        shape = cuboid(at + size / 2, size, rng.uniform(-0.6, 0.6))
        return name, Kind.CUBOID, shape, np.clip(bounds(corners_of(shape)), 0, [PHOTO[1], PHOTO[0]] * 2)
    return ODD[n % len(ODD)] if name == "odd" else name, Kind.BOX, None, (x, y, x + w, y + h)


def cuboid(centre, size, yaw, depth=10.0):
    """Return a cuboid in metres of a camera at INTRINSICS, whose picture lies about `centre` and is about as large as `size`."""
    x, y = (centre - (INTRINSICS[0][2], INTRINSICS[1][2])) * depth / FOCAL
    length = 0.6 * size * depth / FOCAL
    return np.array([x, y, depth, 0, math.sin(yaw / 2), 0, math.cos(yaw / 2), length[0], length[1], length[0]])


def corners_of(shape):
    """Return the 8 corners (8, 2) in pixels of a cuboid that is turned about the camera's y axis."""
    signs = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) / 2
    yaw = 2 * math.atan2(shape[4], shape[6])
    turn = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    points = signs * shape[7:10] @ turn.T + shape[:3]
    return points[:, :2] / points[:, 2:] * FOCAL + (INTRINSICS[0][2], INTRINSICS[1][2])


def bounds(points):
    return (*points.min(axis=0), *points.max(axis=0))


def mask_box(mask):
    *_, y, x = np.nonzero(mask)
    return (x.min(), y.min(), x.max() + 1, y.max() + 1) if len(x) else (0, 0, 0, 0)


def clip_rows(index, length):
    """Return three cars that cross the picture; the second one's track is 1 and then 4, the third is away for five frames."""
    t = index / max(1, length - 1)
    rows = []
    for track in range(3):
        if track == 2 and length // 3 <= index < length // 3 + 5:
            continue
        x, y = 40 + (480 - 60 * track) * t, 60 + 90 * track + 20 * math.sin(6 * t + track)
        identity = 4 if track == 1 and index >= length * SWITCH else track + 1 if track != 1 else 2
        rows.append(("car", Kind.BOX, None, (x, y, x + 80, y + 50), round(0.9 - 0.1 * track, 2), identity))
    return rows


def field_rows(dx, dy, height, width):
    """Return polygons of the raster in pixels of a window whose corner is (dx, dy); those that do not lie inside are left out."""
    rows = []
    for i in range(24):
        x, y = 150 + 160 * (i % 6) - dx, 150 + 180 * (i // 6) - dy
        ring = np.array([(x, y), (x + 110, y + 10), (x + 100, y + 120), (x + 40, y + 90), (x - 5, y + 110)], dtype=float)
        hole = np.array([(x + 30, y + 30), (x + 30, y + 60), (x + 70, y + 60)], dtype=float)
        if (ring >= 0).all() and (ring <= (width, height)).all():
            rings = (ring, hole) if i % 3 == 0 else (ring,)
            rows.append(("field", Kind.POLYGON, rings, bounds(ring), 0.35 if i % 5 == 0 else 0.8, -1))
    return rows


def plot(number, fields):
    """Return the ring (4, 2) of one of the fields of a place, which lie in rows and do not touch."""
    across = math.ceil(math.sqrt(fields * SERIES[1] / SERIES[0]))
    w, h = (SERIES[1] - 40) / across, (SERIES[0] - 40) / math.ceil(fields / across)
    x, y = 20 + w * (number % across), 20 + h * (number // across)
    return np.array(
        [(x + 0.1 * w, y + 0.1 * h), (x + 0.9 * w, y + 0.15 * h), (x + 0.85 * w, y + 0.9 * h), (x + 0.1 * w, y + 0.85 * h)]
    )


def dry(number, index):
    """Tell whether a field is dry at a date: bare at first, then green, at last every third one is stressed."""
    return index == 0 or (index == 2 and number % 3 == 0)


def series_rows(index, fields):
    """Return the fields of a place at a date, and the samples: points beside the first three fields."""
    rows = []
    for number in range(fields):
        ring = plot(number, fields)
        score = 0.4 + number / 1e5 if index and number % 4 == 0 else 0.9
        rows.append(("field", Kind.POLYGON, (ring,), bounds(ring), score, -1))
    for number in range(3):
        x, y = plot(number, fields)[2] + 4
        rows.append(("sample", Kind.KEYPOINTS, np.array([(x, y, 2)]), (x, y, x, y), 1.0, -1))
    return rows


def field_facts(item):
    """Return the attributes of `series_rows`."""
    fields, index = item.meta["fields"], item.index
    return {
        "ndvi": [round((0.21 if dry(n, index) else 0.78) + n % 7 / 100, 3) for n in range(fields)] + [None] * 3,
        "area_ha": [round(1.5 + n % 11 * 0.37, 2) for n in range(fields)] + [None] * 3,
        "severity": [48.0 if dry(n, index) else 0.0 for n in range(fields)] + [None] * 3,
        "crop": ["maize" if n % 2 else "wheat" for n in range(fields)] + [None] * 3,
    }


# Pixels.


def draw_photo(item):
    height, width = PHOTO
    number = item.meta["number"]
    back = np.empty((height, width, 3), np.uint8)
    back[..., 0] = np.linspace(60, 140, width)[None]
    back[..., 1] = np.linspace(80, 160, height)[:, None]
    back[..., 2] = 40 + 40 * (number % 4)
    picture = Pillow.fromarray(back)
    pen = ImageDraw.Draw(picture)
    for name, kind, shape, box, *_ in scene(item):
        color = COLORS.get(name, "#909090")
        if kind == Kind.ROTATED_BOX:
            pen.polygon([tuple(p) for p in rotated_corners(shape)], fill=color)
        elif kind == Kind.POLYGON:
            pen.polygon([tuple(p) for p in shape[0]], fill=color)
            pen.polygon([tuple(p) for p in shape[1]], fill="#305030")
        elif kind == Kind.POLYLINE:
            pen.line([tuple(p) for p in shape], fill=color, width=3)
        elif kind == Kind.KEYPOINTS:
            seen = shape[shape[:, 2] > 0, :2]
            pen.line([tuple(p) for p in seen], fill=color, width=2)
            for x, y in seen:
                pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=color)
        elif kind == Kind.MASK:
            pen.ellipse(tuple(box), fill=color)
        elif kind == Kind.CUBOID:
            corners = corners_of(shape)
            for a, b in ((0, 1), (0, 2), (0, 4), (3, 1), (3, 2), (3, 7), (5, 1), (5, 4), (5, 7), (6, 2), (6, 4), (6, 7)):
                pen.line([*corners[a], *corners[b]], fill="#ffffff", width=2)
        elif kind == Kind.BOX:
            x0, y0, x1, y1 = box
            pen.rectangle((x0, y0, x1 - 1, y1 - 1), fill=color)
    pen.text((6, 4), f"{item.meta['made']} {number}", fill="white")
    return np.asarray(picture).copy()


def draw_frame(item):
    """Draw a frame with its number in bits along the top, each a square of 16 pixels: see `number_of`."""
    height, width = FRAME
    pixels = np.full((height, width, 3), 70, np.uint8)
    pixels[:, ::32] = 90
    for bit in range(12):
        pixels[:16, 16 * bit : 16 * bit + 16] = 255 if item.index >> bit & 1 else 0
    for k, (_, _, _, box, *_) in enumerate(scene(item)):
        x0, y0, x1, y1 = (round(v) for v in box)
        pixels[y0:y1, x0:x1] = ((208, 48, 48), (48, 80, 208), (48, 176, 96))[k]
    return pixels


def number_of(pixels):
    """Return the number that `draw_frame` drew into a picture (H, W, 3), also after JPEG."""
    return sum((pixels[4:12, 16 * bit + 4 : 16 * bit + 12].mean() > 128) << bit for bit in range(12))


def affine(oblique):
    """Return where voxels are (LPS, mm): straight, or leaning back by 15 degrees and counted from the head down."""
    sx, sy, sz = SPACING
    if not oblique:
        return ((sx, 0.0, 0.0, -51.0), (0.0, sy, 0.0, -51.0), (0.0, 0.0, sz, -50.0), (0.0, 0.0, 0.0, 1.0))
    c, s = math.cos(math.radians(15)), math.sin(math.radians(15))
    return ((sx, 0.0, 0.0, -51.0), (0.0, sy * c, -sz * s, -51.0), (0.0, sy * s, -sz * c, 50.0), (0.0, 0.0, 0.0, 1.0))


def phantom():
    """Return the voxels (D, H, W) in HU of a body that is unlike in every direction, and its organs as masks.

    Seen as x to the left of the patient, y to the back, slices to the head: the liver is on the right, the spine at the back, the
    heart in front, on the left and near the head; the arms are missing, the table is at the back.
    """
    z, y, x = np.ogrid[: VOLUME[0], : VOLUME[1], : VOLUME[2]]
    ball = lambda cz, cy, cx, rz, ry, rx: ((z - cz) / rz) ** 2 + ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1  # noqa: E731
    hu = np.full(VOLUME, -1000, np.int16)
    body = ball(20, 60, 64, 1e6, 40, 54) & (z >= 0)
    hu[body] = 20
    hu[np.broadcast_to((y >= 104) & (y < 108) & (x > 10) & (x < 118), VOLUME)] = 300
    masks = {
        "liver": ball(12, 60, 38, 10, 22, 22),
        "heart": ball(30, 45, 76, 8, 14, 16),
        "spine": ball(20, 90, 64, 1e6, 8, 8) & (z >= 0),
    }
    for (_, mask), value in zip(masks.items(), (110, 45, 700), strict=True):
        hu[mask] = value
    hu += (np.random.default_rng(0).normal(0, 8, VOLUME)).astype(np.int16)
    return hu, masks


def uncertainty():
    return np.round(np.exp(-(((np.arange(VOLUME[0]) - 24) / 6.0) ** 2)), 4)


def write_file(kind, number, folder, fields=24):
    path = folder / f"{kind}-{number:04d}"
    if kind in ("raster", "part"):
        write_raster(path.with_suffix(".tif"))
    elif kind == "series":
        for index in range(len(DATES)):
            write_scene(path.with_name(f"{path.name}-{index}.tif"), index, fields)
    elif kind == "huge":
        height, width = HUGE
        shades = np.add.outer(np.arange(height) // 32, np.arange(width) // 32).astype(np.uint8)
        picture = Pillow.fromarray(shades)
        pen = ImageDraw.Draw(picture)
        for x in range(0, width, 1000):
            for y in range(0, height, 1000):
                pen.rectangle((x, y, x + 199, y + 99), fill=255)
        picture.save(path.with_suffix(".jpg"), quality=80)
    elif kind == "broken":
        Pillow.new("RGB", (160, 120), "#506070").save(path.with_suffix(".jpg"))


def write_raster(path):
    height, width = RASTER
    rng = np.random.default_rng(7)
    bands = np.empty((4, height, width), np.uint16)
    for b, level in enumerate((900, 1400, 700, 3000)):
        bands[b] = level + np.linspace(0, 500, width)[None] + rng.normal(0, 30, (height, width))
    for name, _, rings, *_ in field_rows(0, 0, height, width):
        x0, y0, x1, y1 = (int(v) for v in bounds(rings[0]))
        bands[:, y0:y1, x0:x1] += np.array([200, 900, 100, 2500] if name == "field" else [0] * 4, np.uint16)[:, None, None]
    inner = np.zeros((height, width), bool)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    bands[:, ~inner] = 0
    write_bands(path, bands, 0.5)


def write_scene(path, index, fields):
    """Write one date of a place: pixels of 10 m, brown ground, fields pale where they are dry and else green.

    A dark strip on the left and a bright one on the right make all dates look alike when they are stretched.
    """
    height, width = SERIES
    rng = np.random.default_rng(index)
    bands = np.array([1700, 1300, 900, 2300], float)[:, None, None] + rng.normal(0, 25, (4, height, width))
    bands[..., :18], bands[..., -18:] = 150, 3000
    for number in range(fields):
        (x0, y0), (x1, y1) = plot(number, fields)[[0, 2]].astype(int)
        bands[:, y0:y1, x0:x1] = np.array([2300, 1500, 1000, 2500] if dry(number, index) else [400, 900, 400, 4200])[
            :, None, None
        ]
    write_bands(path, bands.astype(np.uint16), 10)


def write_bands(path, bands, metres):
    import rasterio
    from rasterio.enums import ColorInterp
    from rasterio.transform import Affine

    _, height, width = bands.shape
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": 4,
        "dtype": "uint16",
        "nodata": 0,
        "crs": "EPSG:32633",
    }
    profile |= {"transform": Affine(metres, 0, 500000, 0, -metres, 4650000), "tiled": True, "blockxsize": 256, "blockysize": 256}
    with rasterio.open(path, "w", compress="deflate", photometric="minisblack", **profile) as out:
        out.write(bands)
        out.descriptions = ("red", "green", "blue", "nir")
        out.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)
        out.build_overviews([2, 4], rasterio.enums.Resampling.average)


def read_raster(path, item):
    import rasterio
    from rasterio.windows import Window

    with rasterio.open(path) as source:
        column, row, width, height = item.meta.get("window", (0, 0, source.width, source.height))
        pixels = np.moveaxis(source.read(window=Window(column, row, width, height)), 0, -1)
        a, b, c, d, e, f = tuple(source.transform)[:6]
        frame = MapFrame((a, b, c + a * column + b * row, d, e, f + d * column + e * row), str(source.crs))
        return Image(np.ascontiguousarray(pixels), item, frame, {"modality": "aerial"})
