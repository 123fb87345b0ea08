"""Stock and draw the shelves of the sample shop, seen square on: packs, rails, price labels with barcodes, gaps, mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from hyla.types import Floats
from hyla_retail.sample_goods import COLOURS, STRANGERS, Good
from hyla_retail.sample_packs import Pixels, pack, silhouette
from hyla_retail.sample_prints import write

Rng = np.random.Generator

RAIL, BOARD = 130, 14  # heights of the rail that carries the labels, and of the board above it
SIDE, ABOVE = 160, 50  # what lies around a fixture: uprights and floor
LABEL = (356, 118)  # width and height of a price label
MODULE = 3  # of a barcode: 2.2 pixels of a photo
TURNS = (-0.05, 0.0, 0.05)  # of a round pack, in shares of half its girth
APART = 8  # least room between two facings
MORE = 0.3  # share of the goods that have more facings than a price label is wide
# How often, per block of facings: all sold, one sold, one that belongs elsewhere, one that no list has, a wrong price, no label.
SOLD_OUT, ONE_SOLD, MISPLACED, STRANGE, MISPRICED, UNLABELLED = 0.05, 0.12, 0.04, 0.06, 0.06, 0.03
LEFT = ("0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011")
PARITY = ("LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG", "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL")


@dataclass(frozen=True)
class Slot:
    """Hold one line of a planogram: where a product belongs, and with how many facings."""

    shelf: int
    position: int
    good: Good
    facings: int


@dataclass
class Seen:
    """Hold what stands on the shelf: its outline (k, 2) in the drawing, and what is true of it.

    Args:
        kind: class of the schema.
        outline: points whose bounds are the box.
        shelf: from the top, 1.
        good: of a facing or a price label.
        position: of a facing, from the left of its shelf.
        price: on the label that belongs to it.
        text: on a price label.
    """

    kind: str
    outline: Floats
    shelf: int
    good: Good | None = None
    position: int | None = None
    price: float | None = None
    text: str | None = None


@dataclass
class Shelves:
    """Hold a drawn fixture (H, W, 3) with all that stands on it."""

    pixels: Pixels
    seen: list[Seen] = field(default_factory=list)


def planogram(goods: Sequence[Good], rows: int, width: int, rng: Rng) -> list[Slot]:
    """Return what belongs where: all goods in their order, then some again, in blocks no narrower than a price label."""
    slots: list[Slot] = []
    queue: list[int] = []
    for shelf in range(1, rows + 1):
        room, row = width - 2 * APART, list[list[int]]()
        while True:
            queue = queue or list(range(len(goods)))
            step = goods[queue[0]].width + APART
            least = -(-(LABEL[0] + APART) // step)
            if room < least * step:
                break
            facings = min(room // step, least + int(rng.random() < MORE))
            row.append([queue.pop(0), facings])
            room -= facings * step
        while fitting := [one for one in row if goods[one[0]].width + APART <= room]:
            one = fitting[int(rng.integers(len(fitting)))]
            one[1] += 1
            room -= goods[one[0]].width + APART
        slots += [Slot(shelf, n, goods[good], facings) for n, (good, facings) in enumerate(row, 1)]
    return slots


def stock(
    slots: Iterable[Slot], rows: int, size: tuple[int, int], goods: Sequence[Good], rng: Rng, rail: str = "blue"
) -> Shelves:
    """Draw a fixture of `size` (width, height) as somebody finds it, which is not quite as the planogram has it.

    Args:
        slots: the planogram.
        rows: shelves.
        size: without what lies around.
        goods: of which some stand in the wrong place.
        rng: of everything drawn.
        rail: colour that the rails of the shop have.
    """
    width, height = size
    canvas = np.empty((height + 2 * ABOVE, width + 2 * SIDE, 3), np.uint8)
    canvas[:] = (96, 92, 88)
    shelves, pitch, blocks = Shelves(canvas), height // rows, list(slots)
    for shelf in range(1, rows + 1):
        top = ABOVE + (shelf - 1) * pitch
        floor = top + pitch - RAIL - BOARD
        _furniture(canvas, top, floor, width, COLOURS[rail])
        here = [one for one in blocks if one.shelf == shelf]
        taken = sum(one.facings * (one.good.width + APART) for one in here)
        spare = (width - taken) / max(len(here), 1)
        x, first = SIDE + spare / 2, len(shelves.seen)
        for slot in here:
            _block(shelves, slot, x, floor, goods, rng)
            x += slot.facings * (slot.good.width + APART) + spare
        for position, one in enumerate((one for one in shelves.seen[first:] if one.position is not None), 1):
            one.position = position
        shade = np.interp(np.arange(floor - top), [0, 0.3 * pitch, 0.6 * pitch], [0.55, 0.88, 1.0])
        part = canvas[top:floor]
        part[:] = part * shade[:, None, None].astype(np.float32)
    return shelves


def _furniture(canvas: Pixels, top: int, floor: int, width: int, tint: tuple[int, int, int]) -> None:
    """Draw the back, the board and the rail of one shelf, and the uprights beside it."""
    inside = slice(SIDE, SIDE + width)
    canvas[top:floor, inside] = (168, 166, 160)
    canvas[top:floor, inside][:, 40::90] = (140, 138, 132)
    canvas[floor : floor + BOARD, inside] = (214, 212, 206)
    light = np.linspace(1.05, 0.85, RAIL)[:, None, None]
    canvas[floor + BOARD : floor + BOARD + RAIL, inside] = np.clip((0.55 * np.array(tint) + 70) * light, 0, 255)
    for x in (SIDE - 46, SIDE + width + 6):
        canvas[top : floor + BOARD + RAIL, x : x + 40] = (120, 120, 124)


def _block(shelves: Shelves, slot: Slot, x: float, floor: int, goods: Sequence[Good], rng: Rng) -> None:
    """Draw the facings of one slot from `x` on, and its price label; note what is true of them."""
    draws = rng.random(6)
    step = slot.good.width + APART
    sold = set(range(slot.facings)) if draws[0] < SOLD_OUT else set()
    sold |= {int(rng.integers(slot.facings))} if draws[1] < ONE_SOLD and slot.facings > 1 else set()
    fitting = [g for g in goods if g.width <= slot.good.width and g is not slot.good]
    strange = [g for g in STRANGERS if g.width <= slot.good.width]
    other: dict[int, Good] = {}
    if draws[2] < MISPLACED and fitting:
        other[int(rng.integers(slot.facings))] = fitting[int(rng.integers(len(fitting)))]
    if draws[3] < STRANGE and strange:
        other[int(rng.integers(slot.facings))] = strange[int(rng.integers(len(strange)))]
    price = slot.good.price
    if draws[4] < MISPRICED:
        price = round(price * float(rng.choice([0.8, 0.9, 1.1, 1.25])), 2)
    labelled = draws[5] >= UNLABELLED
    for n in range(slot.facings):
        left = x + n * step
        if n in sold:
            if n - 1 not in sold:
                run = next(k for k in range(n, slot.facings + 1) if k not in sold)
                right = left + (run - n) * step - APART
                box = np.array([(left, floor - slot.good.height), (right, floor)], np.float64)
                shelves.seen.append(Seen("gap", _corners(box), slot.shelf))
            continue
        good = other.get(n, slot.good)
        at = int(left + (slot.good.width - good.width) / 2 + rng.integers(-3, 4)), floor - good.height + int(rng.integers(-2, 6))
        _stand(shelves.pixels, good, at, rng)
        outline = np.array(silhouette(good, good.width, good.height)) + at
        known = good not in STRANGERS
        own = price if labelled and good is slot.good else None
        shelves.seen.append(Seen(good.kind if known else "unknown_product", outline, slot.shelf, good, 0, own))
    if labelled:
        middle = x + (slot.facings * step - APART) / 2 + rng.uniform(-12, 12)
        at = int(middle - LABEL[0] / 2), floor + BOARD + (RAIL - LABEL[1]) // 2 + int(rng.integers(-3, 4))
        picture, text = price_label(slot.good, price)
        _paste(shelves.pixels, picture, at)
        box = np.array([at, (at[0] + LABEL[0], at[1] + LABEL[1])], np.float64)
        shelves.seen.append(Seen("price_label", _corners(box), slot.shelf, slot.good, None, price, text))


def _stand(canvas: Pixels, good: Good, at: tuple[int, int], rng: Rng) -> None:
    """Put a pack on the shelf, turned and lit a little unlike its neighbours, with its shadow on what is behind."""
    turned = pack(good, float(rng.choice(TURNS)))
    x, y = at
    height, width = turned.shape[:2]
    alpha = turned[..., 3:].astype(np.float32) / 255
    shadow = canvas[y + 4 : y + 4 + height - 8, x + 12 : x + 12 + width]
    shadow[:] = shadow * (1 - 0.45 * alpha[: shadow.shape[0]])
    part = canvas[y : y + height, x : x + width]
    lit = turned[..., :3] * np.float32(rng.uniform(0.92, 1.06))
    part[:] = np.clip(part * (1 - alpha) + lit * alpha, 0, 255)


def _paste(canvas: Pixels, picture: Pixels, at: tuple[int, int]) -> None:
    x, y = at
    height, width = picture.shape[:2]
    canvas[y + 4 : y + height + 4, x + 4 : x + width + 4] //= 2
    canvas[y : y + height, x : x + width] = picture


def _corners(box: Floats) -> Floats:
    (x0, y0), (x1, y1) = box
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def price_label(good: Good, price: float) -> tuple[Pixels, str]:
    """Return a price label (height, width, 3) with name, size, price, price by weight or volume and barcode, and its words."""
    width, height = LABEL
    picture = Image.new("RGB", LABEL, (250, 250, 246))
    draw = ImageDraw.Draw(picture)
    name = f"{good.name} {good.printed}"
    amount = f"{price:.2f}".replace(".", ",")
    black = COLOURS["black"]
    write(draw, name, (width / 2, 17), width - 24, 25, black)
    write(draw, amount, (width * 0.66, 50), 120, 46, black, 0.03)
    write(draw, "EUR", (width * 0.91, 58), 40, 18, black)
    text = f"{name} {amount} EUR"
    if unit := unit_price(good.size, price):
        write(draw, unit, (width * 0.25, 57), 0.42 * width, 18, black)
        text = f"{name} {unit} {amount} EUR"
    bars = barcode(good.gtin[1:], MODULE, 36)
    pixels = np.array(picture)
    x = (width - bars.shape[1]) // 2
    pixels[height - 40 : height - 4, x : x + bars.shape[1]] = bars[..., None]
    cv2.rectangle(pixels, (0, 0), (width - 1, height - 1), (190, 190, 190), 1)
    return pixels, text


def unit_price(size: str, price: float) -> str:
    """Return what a kilogram or a litre costs, in the words of a label; empty for what is sold by the piece."""
    number, unit = size.split(" ", 1)
    per = {"g": ("1 kg", 1000), "kg": ("1 kg", 1), "ml": ("1 L", 1000), "l": ("1 L", 1)}.get(unit)
    if per is None:
        return ""
    whole = f"{price * per[1] / float(number):.2f}".replace(".", ",")
    return f"{per[0]} = {whole}"


def barcode(digits: str, module: int, height: int) -> npt.NDArray[np.uint8]:
    """Return an EAN-13 (height, 113 modules) with its quiet zones of 11 and 7 modules, as ISO/IEC 15420 has it."""
    first, left, right = int(digits[0]), digits[1:7], digits[7:]
    bars = "101"
    for digit, parity in zip(left, PARITY[first], strict=True):
        code = LEFT[int(digit)]
        mirrored = "".join("10"[int(bit)] for bit in reversed(code))
        bars += code if parity == "L" else mirrored
    bars += "01010" + "".join("10"[int(bit)] for digit in right for bit in LEFT[int(digit)]) + "101"
    line = np.array([255] * 11 + [0 if bit == "1" else 255 for bit in bars] + [255] * 7, np.uint8)
    return np.broadcast_to(np.repeat(line, module), (height, len(line) * module))
