"""Read how much is in a pack: `6 x 330 ml`, `0,5 l`, `1 kg e`, `12 fl oz`, `10 Stück`.

A size is what one piece holds, in g, ml or pieces, and how many of them the pack has. US units are those of NIST Handbook 44,
appendix C: an ounce is 28.3495 g, a US fluid ounce 29.5735 ml. What is no size is left out: the base of a unit price or of a
table (per 100 g, 1 kg = 3.98), packs of packs (2 x 6 x 330 ml), a dose in mg, and `ct`, which is cents to some and a count to
others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TOLERANCE = 0.01  # share by which two statements of one size may differ: 12 fl oz is 354.9 ml, printed as 355 ml
LARGEST = 1e6  # g, ml or pieces; more is no pack
NEAR = 12  # letters before a size in which `per` may stand
MOST = 500  # pieces of a multipack
UNITS = {  # how many g, ml or pieces a unit is, and its words
    ("g", 1.0): "g gr gm gram grams gramm gramme grammes gramos grammi",
    ("g", 1000.0): "kg kgs kilo kilos kilogram kilograms kilogramm",
    ("g", 28.349523): "oz ozs ounce ounces",
    ("g", 453.59237): "lb lbs pound pounds",
    ("ml", 1.0): "ml millilitre millilitres milliliter milliliters",
    ("ml", 10.0): "cl",
    ("ml", 100.0): "dl",
    ("ml", 1000.0): "l ℓ lt ltr ltrs liter liters litre litres litro litros litri litr",
    ("ml", 29.573530): "floz fluidounce fluidounces",
    ("ml", 473.176473): "pint pints",
    ("ml", 946.352946): "quart quarts qt",
    ("ml", 3785.411784): "gallon gallons gal",
    ("pieces", 1.0): "piece pieces pcs pc stück stücke stk st stuks stks pièce pièces pieza piezas pezzi pz uds unidades szt kpl"
    " count rolls rollen rouleaux tabs tablets tabletten capsules kapseln bags beutel teabags sachets eggs eier ägg sheets blatt",
}
_UNIT = {word: one for one, words in UNITS.items() for word in words.split()}
_WORDS = r"fl\.?\s*oz\.?|fluid\s+ounces?|" + "|".join(sorted(_UNIT, key=len, reverse=True))
_FRACTIONS = {"½": 0.5, "¼": 0.25, "¾": 0.75}
_NUMBER = r"\d{1,3}[.,]\d{3}(?!\d)|\d{1,6}(?:[.,]\d{1,2})?|[½¼¾]"
_TIMES = r"\s*(?:[x×*]|(?:[^\W\d]+\s+)?[àá])\s*"
_END = r"(?:\s?[e℮](?!\w)|(?![^\W\d_])|(?=[x×]\s*\d))"  # the sign of EU directive 76/211 often touches the unit
_SIZE = re.compile(
    rf"(?<![\w.,])(?:(?P<before>\d{{1,3}}){_TIMES})?(?P<number>{_NUMBER})\s*(?P<unit>{_WORDS}){_END}"
    rf"(?:\s*[x×]\s*(?P<after>\d{{1,3}})(?![\w.,]))?",
    re.IGNORECASE,
)
_CAPITAL = re.compile(r"(?<![\w.,])(\d[.,]\d{1,2}\s?)[I|](?!\w)")  # a litre whose letter was read as a capital i
_OUTER = re.compile(r"(?<![\w.,])\d{1,3}\s*[x×*]\s*$")  # 2 x of 2 x 6 x 330 ml
_INNER = re.compile(r"\s*[x×*]\s*\d{1,3}(?![\w.,])")
_PLAIN = str.maketrans("İıſ", "iis")  # letters that match i and s in any case, and whose lower case is another
_BASE_BEFORE = re.compile(r"(?:/|(?<!\w)(?:per|pro|je|par|por|pr|au)\.?)\s*$", re.IGNORECASE)
_BASE_AFTER = re.compile(
    r"\s*\)?\s*[=≙]|\s*(?:of\s+)?(?:protein|eiwei|eiwit|proteína|sugar|zucker|sucre|fat\b|fett|fibre|fiber|salt\b|carb)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Size:
    """Hold how much is in a pack.

    Args:
        quantity: what one piece of it holds, in `unit`.
        unit: g, ml or pieces.
        count: how many such pieces it has.
    """

    quantity: float
    unit: str
    count: int = 1

    @property
    def total(self) -> float:
        """Return what the whole pack holds, in `unit`."""
        return self.quantity * self.count


def parse(text: str) -> tuple[Size, ...]:
    """Return the sizes that a text names, each once, in the order of the text; the base of a unit price is none."""
    out: list[Size] = []
    for _, _, size in _found(text):
        if size is not None and not any(size.count == other.count and same(size, other) for other in out):
            out.append(size)
    return tuple(out)


def without(text: str) -> str:
    """Return a text of the same length in which what is a size, or the base of a unit price, is blank."""
    letters = list(text)
    for start, stop, _ in _found(text):
        letters[start:stop] = " " * (stop - start)
    return "".join(letters)


def same(a: Size, b: Size) -> bool:
    """Tell whether two sizes may be of one product: equal units, and totals that differ by 1 % at most.

    Two multipacks must have equally many pieces; 6 x 330 ml is the same as 1980 ml.
    """
    if a.unit != b.unit or (a.count != b.count and min(a.count, b.count) > 1):
        return False
    return abs(a.total - b.total) <= TOLERANCE * max(a.total, b.total)


def words(size: Size) -> str:
    """Return the one way in which a size is written: `330 ml`, `6 x 330 ml`, `1.5 l`, `1 kg`, `10 pieces`; to four digits."""
    if size.unit == "pieces":
        one = f"{round(size.quantity)} pieces"
    else:
        quantity = round(float(f"{size.quantity:.4g}"), 2)
        large = {"g": "kg", "ml": "l"}[size.unit]
        one = f"{quantity / 1000:.4g} {large}" if quantity >= 1000 else f"{quantity:g} {size.unit}"
    return f"{size.count} x {one}" if size.count > 1 else one


def _found(text: str) -> Iterator[tuple[int, int, Size | None]]:
    """Yield where each size begins and ends in `text`; None for the base of a unit price, a nutrient, packs of packs."""
    text = text.translate(_PLAIN)
    for match in _SIZE.finditer(_CAPITAL.sub(r"\1l", text)):
        size = _size(match)
        if size is not None:
            start, stop = match.span()
            ahead = text[max(start - NEAR, 0) : start]
            outer = _OUTER.search(ahead) if match["before"] else None
            inner = _INNER.match(text, stop) if match["after"] else None
            base = _BASE_BEFORE.search(ahead) or _BASE_AFTER.match(text, stop)
            packs = outer or inner or (match["before"] and match["after"])
            start -= len(outer[0]) if outer else 0
            yield start, inner.end() if inner else stop, None if base or packs else size


def _size(match: re.Match[str]) -> Size | None:
    """Return the size of a match, or None if there can be none such."""
    unit, factor = _UNIT[re.sub(r"[\s.]", "", match["unit"].lower())]
    number, count = match["number"], int(match["before"] or match["after"] or 1)
    grouped = len(number) > 4 and number[-4] in ".," and number[0] != "0" and factor == 1.0  # 1.000 g, but 1.000 kg
    text = re.sub("[.,]", "", number) if grouped else number.replace(",", ".")
    quantity = _FRACTIONS[number] if number in _FRACTIONS else float(text)
    least = 0.01
    if unit == "pieces":
        least = 2.0  # one piece says nothing, and 1st is a rank
        if not quantity.is_integer():
            return None
    quantity *= factor
    return Size(quantity, unit, count) if least <= quantity <= LARGEST and 1 <= count <= MOST else None
