"""Global Trade Item Numbers (GTIN): one spelling for all of them, check digits, and numbers that mean nothing outside a shop."""

from __future__ import annotations

import re
from typing import NamedTuple

from stdnum.ean import calc_check_digit

LENGTHS = (8, 12, 13, 14)
# A GTIN within an element string, (01)05449000000996, or a GS1 Digital Link, https://id.gs1.org/01/05449000000996.
_WITHIN = re.compile(r"\(01\)\s*(\d{14})|/(?:01|gtin)/(\d{14}|\d{13}|\d{12}|\d{8})(?=$|[/?#])")
_BETWEEN = str.maketrans("", "", " -\u00a0\u2009\u202f")
# GS1 General Specifications 7.9: what digits 0 to 9 of a price or weight add to its verifier digit, by the weight of their place.
_TWO, _THREE, _FIVE_PLUS, _FIVE_MINUS = "0246891357", "0369258147", "0516273849", "0594837261"
_VERIFIERS = {4: (_TWO, _TWO, _THREE, _FIVE_MINUS), 5: (_FIVE_PLUS, _TWO, _FIVE_MINUS, _FIVE_PLUS, _TWO)}


class Measure(NamedTuple):
    """Hold what a shop wrote into the number of a weighed product.

    Args:
        prefix: 02 or 20 to 29: whether it is a price or a weight follows from it, differently in each country and chain.
        item: the shop's own number of the product.
        value: in the smallest unit: cents, or grams.
        verified: whether its verifier digit is right; None if it has none.
    """

    prefix: str
    item: str
    value: int
    verified: bool | None = None


def normalise(text: str) -> str:
    """Return the 14 digits, padded with zeros, of a GTIN-8, -12, -13 or -14; empty if it is none, or its check digit is wrong.

    Spaces and hyphens are passed over, element strings and GS1 Digital Links understood. A UPC-E of 8 digits is expanded to the
    UPC-A that it stands for. Eight digits from 0 that are right as both are UPC-E, since no GTIN-8 begins with 0 (GS1 General
    Specifications, table of GS1-8 prefixes). A number of zeros is none.
    """
    if "/" in text or "(" in text:
        found = _WITHIN.search(text)
        text = (found[1] or found[2]) if found else ""
    digits = text.translate(_BETWEEN)
    if digits.startswith("0") and (upc := expand_upc_e(digits)):
        return upc.zfill(14)
    if check_digit_ok(digits):
        return digits.zfill(14) if digits.strip("0") else ""
    upc = expand_upc_e(digits)
    return upc.zfill(14) if upc else ""


def check_digit_ok(digits: str) -> bool:
    """Tell whether 8, 12, 13 or 14 digits end in the right check digit: weights 3 and 1 from the right, modulo 10."""
    return len(digits) in LENGTHS and digits.isascii() and digits.isdigit() and calc_check_digit(digits[:-1]) == digits[-1]


def check_digit(digits: str) -> str:
    """Return the digit that makes a GTIN of `digits`, which lack it."""
    return str(calc_check_digit(digits))


def expand_upc_e(digits: str) -> str:
    """Return the 12 digits of the UPC-A that 8 digits of a UPC-E stand for; empty if they are none."""
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()) or digits[0] not in "01" or not digits.strip("0"):
        return ""
    system, body, check = digits[0], digits[1:7], digits[7]
    last = body[5]
    if last in "012":
        long = f"{body[:2]}{last}0000{body[2:5]}"
    elif last == "3":
        long = f"{body[:3]}00000{body[3:5]}"
    elif last == "4":
        long = f"{body[:4]}00000{body[4]}"
    else:
        long = f"{body[:5]}0000{last}"
    upc = f"{system}{long}{check}"
    return upc if check_digit_ok(upc) else ""


def restricted_prefix(gtin14: str) -> bool:
    """Tell whether a number of 14 digits means something only within a company or region, so that it names no product elsewhere.

    These are the restricted circulation numbers of the GS1 General Specifications: prefixes 02 and 20 to 29 (a region), 04 and
    0000000 (a company) of the 13 digits, and of a GTIN-8 the prefixes 0 and 2.
    """
    if len(gtin14) != 14 or gtin14[0] != "0":
        return False
    thirteen = gtin14[1:]
    if thirteen.startswith("00000"):  # a GTIN-8, or prefix 0000000
        return thirteen[5] in "02"
    return thirteen.startswith(("02", "04", "2"))


def variable_measure(gtin14: str, digits: int = 5, verifier: bool = False) -> Measure | None:
    """Return what the number of a weighed product says; None if it has no prefix for such (02 or 20 to 29).

    GS1 leaves the layout to its member organisations: usual are 5 digits of value, or 4 with a verifier digit before them.

    Args:
        gtin14: the number.
        digits: of the value, 4 to 6, the last before the check digit.
        verifier: True if the digit before the value verifies it.
    """
    thirteen = gtin14[1:]
    if len(gtin14) != 14 or gtin14[0] != "0" or not (thirteen.startswith("02") or thirteen.startswith("2")):
        return None
    value, before = thirteen[12 - digits : 12], thirteen[2 : 12 - digits]
    if not verifier:
        return Measure(thirteen[:2], before, int(value))
    return Measure(thirteen[:2], before[:-1], int(value), verifier_digit(value) == before[-1])


def verifier_digit(value: str) -> str:
    """Return the verifier digit of the 4 or 5 digits of a price or weight (GS1 General Specifications 7.9); empty for others."""
    weights = _VERIFIERS.get(len(value))
    if weights is None:
        return ""
    total = sum(int(weight[int(digit)]) for weight, digit in zip(weights, value, strict=True))
    if len(value) == 4:
        return str(total * 3 % 10)
    # Of five digits: the digit whose value under the weight 5- completes the sum to a multiple of ten.
    return str(_FIVE_MINUS.index(str(-total % 10)))


def without_measure(gtin14: str, digits: int = 5) -> str:
    """Return the number of a weighed product with its value set to 0, as catalogues list it; empty if it is none."""
    if variable_measure(gtin14) is None:
        return ""
    bare = f"{gtin14[: 13 - digits]}{'0' * digits}"
    return bare + check_digit(bare)
