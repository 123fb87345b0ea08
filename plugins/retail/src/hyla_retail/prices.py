"""Find the price of a product in the words of its price label.

A label also shows what is no price: the price of a unit (2,65 €/kg, Grundpreis), pack sizes, dates, article numbers, discounts,
the price before, a deposit. Those are taken out first. Of the amounts that are left, one with a currency goes before one with
cents, that before one whose cents stand apart (1 99), and that before cents alone (99 ct). Where two amounts of the best kind
differ, the text does not say which is the price, and neither does this module.
"""

from __future__ import annotations

import math
import re

from hyla_retail import money, sizes

LONGEST = 400  # characters; a longer text is no price label

_SIGN = "|".join(
    re.escape(word) if not word[0].isalpha() else rf"(?<![^\W\d_]){re.escape(word)}(?![^\W\d_])"
    for word in sorted({*money.SIGNS, *(code.lower() for code in money.CODES)} - {":-"}, key=len, reverse=True)
)
_GROUPS = r"\d{1,3}(?:[.,' \u00a0]\d{3}){1,3}[.,]\d{2}"
_DECIMALS = rf"(?:{_GROUPS}|\d{{1,5}}[.,:]\d{{2}}|\d{{1,5}}[.,:]\s?[-–—]+)(?![\d%])"
_ANY = (
    rf"(?:{_DECIMALS}|\d{{1,3}}(?:[.,' \u00a0]\d{{3}}){{1,3}}(?![\d%]|[.,]\d)|\d{{1,5}}(?![\d%]|[.,:]\d|[ \u00a0]\d{{3}}(?!\d)))"
)
_OPEN = r"(?<![\d.,:])"
_SIGNED_ANY = rf"(?:{_OPEN}{_ANY}\s*(?:{_SIGN}|ct|p|c)|(?:{_SIGN})?\s*{_OPEN}{_ANY})"
_BARE = r"(?:kg|g|l|ℓ|ml|cl|dl|kilo|lit(?:er|re|ro)|lb|oz|m|wl|wg|wäsche)(?![^\W\d_])"
_UNIT = rf"(?:(?:1|100)\s?)?{_BARE}"
_BEFORE = "statt|uvp|war|bisher|was|rrp|msrp|instead of|au lieu de|avant|antes|prima|før|förr|ord\\.? ?pris|adviesprijs|van"
_SAVED = "save|spare|sparen|spar|ersparnis|bespaar|économisez|ahorra|risparmi"
_BASE = r"grundpreis|unit price|kilo-?preis|liter-?preis|kg-?preis|j[äa]mf\w*-?pris|jmf\.?-?pris|prix au \w+|prezzo al \w+"
_NOT = [  # the order counts: what is named goes before what is only seen from its form
    # Dates and hours.
    r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)",
    r"(?<!\d)\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d{2})(?!\d)",
    r"(?<!\d)\d{1,2}\.\d{1,2}\.?\s*(?:-|–|bis|to|till|au|t/m)\s*\d{1,2}\.\d{1,2}\.?(?!\d)",
    r"(?<!\d)[0-3]?\d\.[01]\d\.(?!\d)",
    r"(?<!\d)\d{1,2}:[0-5]\d(?!\d|\s*kr)",
    # Article numbers, and the digits under a barcode.
    r"\b(?:art|nr|no|sku|ean|gtin|plu|item|best)\b[.:-]*(?:\s*nr\b[.:]*)?\s*\d[\d.\-/]*",
    r"(?<!\d)(?:\d\s+\d{6}\s+\d{6}|\d\s+\d{5}\s+\d{5}\s+\d|\d{4}\s+\d{4}|\d{6,})(?![\d.,])",
    # Discounts and shares.
    r"[-–]?\s*\d{1,3}(?:[.,]\d+)?\s*(?:%|prozent\b|percent\b|procent\b)",
    # Prices of a unit.
    rf"(?:{_BASE})\D{{0,12}}(?:{_UNIT}\W*)?{_SIGNED_ANY}(?:\s*/\s*{_UNIT})?",
    rf"{_SIGNED_ANY}\s*(?:/|per|pro|je|par|por|al|le|la|a|the)\s*{_UNIT}",
    rf"(?<![\d.,])(?:\d+(?:[.,]\d+)?\s*)?{_BARE}\s*\)?\s*[=:≙]+\s*{_SIGNED_ANY}",
    rf"(?:/|per|pro|je|par|por)\s*{_UNIT}\s*:?\s*{_SIGNED_ANY}",
    # What it cost before, and what is saved.
    rf"\b(?:{_BEFORE}|{_SAVED})\b\D{{0,8}}{_SIGNED_ANY}",
]
_BLANK = [re.compile(pattern, re.IGNORECASE) for pattern in _NOT]
_DEPOSIT = re.compile(
    rf"(?:({_SIGNED_ANY})\s*)?\b(?:pfand|deposit|statiegeld|pant|consigne)\b\W{{0,3}}({_SIGNED_ANY})?", re.IGNORECASE
)
_SEVERAL = re.compile(
    rf"{_OPEN}(\d{{1,2}})\s*(?:st\.?|stk\.?|x)?\s*(?:for|für|för|pour|por|per|voor|za|/)\s*({_SIGN})?\s*({_ANY})\s*({_SIGN})?",
    re.IGNORECASE,
)
_PAIR = r"\d{1,4}\s+\d{2}(?![\d.,%]|\s*\d)"
_FRENCH = re.compile(rf"{_OPEN}(\d{{1,4}})\s*(€|£|\$|eur|kr)\s*(\d{{2}})(?![\d%.,])", re.IGNORECASE)  # 1€99
_SIGNED = re.compile(
    rf"(?P<sign>{_SIGN})\s*{_OPEN}(?P<amount>{_DECIMALS}|{_PAIR}|{_ANY})"
    rf"|{_OPEN}(?P<before>{_DECIMALS}|{_PAIR}|{_ANY})\s*(?P<after>{_SIGN})",
    re.IGNORECASE,
)
_PLAIN = re.compile(rf"{_OPEN}(?!0\d)({_DECIMALS})")
_APART = re.compile(rf"(?<![\d.,:])(?!0\d)({_PAIR})")
_CENTS = re.compile(r"(?<![\d.,:])(\d{1,3}\s*(?:ct|cents?|¢|p))(?![^\W\d_])", re.IGNORECASE)


def price_of(text: str) -> tuple[float, str]:
    """Return the price that a label's text names, and its ISO 4217 currency; NaN and "" where it names none, or more than one.

    Lines are apart by line feeds, so that digits of two lines are not taken for one amount (3 below 299 is no 3 299).
    The currency is "" where it is not said. An offer for several (2 for 3.00) gives the price of one, unless the label names that
    as well. The price of a unit (2,49 €/kg) is none of a product, also where it stands alone.
    """
    text = _stripped(text[:LONGEST])
    several = [_one_of(match) for match in _SEVERAL.finditer(text)]
    text = _SEVERAL.sub(_spaces, text)
    text = _FRENCH.sub(r"\1.\3 \2", text)
    for found in (
        [_money(m["amount"] or m["before"], m["sign"] or m["after"]) for m in _SIGNED.finditer(text)],
        [_money(m[1]) for m in _PLAIN.finditer(text)],
        [_money(m[1]) for m in _APART.finditer(text)],
        [money.parse(m[1]) for m in _CENTS.finditer(text)],
        several,
    ):
        if known := {(one.amount, one.currency) for one in found if one.amount > 0}:
            return _only(known)
    return math.nan, ""


def _stripped(text: str) -> str:
    """Return a text of the same length in which all that can't be the price is blank."""
    for pattern in _BLANK:
        text = pattern.sub(_spaces, text)
    for match in _DEPOSIT.finditer(text):
        # Which side the deposit stands on is not told: it is the smaller of the two.
        sides = [side for side in (1, 2) if match[side]]
        if sides:
            least = min(sides, key=lambda side: _money(match[side]).amount)
            text = text[: match.start(least)] + " " * len(match[least]) + text[match.end(least) :]
    return sizes.without(text)


def _spaces(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _only(found: set[tuple[float, str]]) -> tuple[float, str]:
    """Return the price if it is one; a currency that is told once holds for it."""
    amounts, currencies = {amount for amount, _ in found}, {currency for _, currency in found if currency}
    if len(amounts) != 1 or len(currencies) > 1:
        return math.nan, ""
    return amounts.pop(), currencies.pop() if currencies else ""


def _money(amount: str, sign: str = "") -> money.Money:
    told = re.sub(r"^(\d+)(?:\s+|:)(\d\d)$", r"\1.\2", amount.strip())
    return money.parse(f"{told} {sign}".strip())


def _one_of(match: re.Match[str]) -> money.Money:
    told, count = _money(match[3], match[2] or match[4] or ""), int(match[1])
    return told._replace(amount=round(told.amount / count, 2)) if count > 1 else money.NONE
